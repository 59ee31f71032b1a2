//! Looking at the service as its clients do, from where this function runs.

use std::time::Duration;

use muster_core::ports::{Http, HttpAnswer, Vantage};
use muster_core::{CallError, CallFault, Clock};

use crate::Aws;
use crate::call::Target;
use crate::failure::Failed;
use crate::web::{self, Unanswered};

/// For everything: name, connection, answer. The port says so.
const BUDGET: Duration = Duration::from_secs(5);

impl<X> Http for Aws<X> {
    async fn get(&self, from: &Vantage, url: &str) -> Result<HttpAnswer, CallError> {
        let target = Target::data("http:Get", &from.0, url);
        let here = &self.settings().here;
        if from.0 != *here {
            let message = format!("this function runs in {here}, and nobody can look from {} there", from.0);
            return Err(target.failed(Failed::new(CallFault::Rejected, message)));
        }
        let dns = self.settings().dns;
        self.read(target, async {
            let began = self.now();
            // What is found out is the result, never a failure of the look: the page that does not answer is what is looked for.
            match web::request(dns, "GET", url, &[], "", BUDGET).await {
                Ok(status) => Ok(HttpAnswer::Status { status, took: self.now().since(began) }),
                Err(Unanswered::Malformed(why)) => Err(Failed::new(CallFault::Rejected, why)),
                Err(Unanswered::NoDns(why)) => Err(Failed::new(CallFault::Unavailable, why)),
                Err(Unanswered::NoName(why) | Unanswered::NoConnection(why) | Unanswered::NoAnswer(why)) => Ok(HttpAnswer::Nothing { why }),
            }
        })
        .await
    }
}

#[cfg(test)]
mod tests;
