//! Secrets Manager: what servers inside the VPC want to be told.

use muster_core::{CallError, CallFault, Region};

use crate::{Aws, Failed, Target, classify};

impl<X> Aws<X> {
    /// What a secret holds, read afresh each time: it rotates. `understand` says in words what it wanted, and never what it saw.
    pub(crate) async fn secret<T>(&self, secret: &str, understand: impl FnOnce(&str) -> Result<T, &'static str>) -> Result<T, CallError> {
        let region = region_of(secret).unwrap_or_else(|| self.home().clone());
        let request = self.secretsmanager(&region).get_secret_value().secret_id(secret);
        self.read(Target::data("secretsmanager:GetSecretValue", &region, secret), async {
            let answer = request.send().await.map_err(classify)?;
            understand(answer.secret_string().unwrap_or_default()).map_err(|wanted| Failed::new(CallFault::Rejected, wanted))
        })
        .await
    }
}

/// The region in a secret's ARN: arn:partition:secretsmanager:region:account:secret:name.
fn region_of(secret: &str) -> Option<Region> {
    secret.strip_prefix("arn:")?.split(':').nth(2)?.parse().ok()
}
