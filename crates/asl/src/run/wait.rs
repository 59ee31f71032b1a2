//! Wait: for a number of seconds, or until a moment.

use super::seconds;
use crate::context::Visit;
use crate::expression::EvaluationError;
use crate::failure::{self, Failure};
use crate::limits::MAX_SECONDS;
use crate::machine::Wait;
use crate::timestamp;
use crate::value::{self, Value};

pub(super) async fn run(visit: &Visit, wait: &Wait, input: &Value) -> Result<(), Failure> {
    let milliseconds = match wait {
        Wait::Seconds(field) => seconds(visit, "Seconds", field, 0, MAX_SECONDS, input)? * 1_000,
        Wait::Until(moment) => moment.saturating_sub(visit.now()),
        Wait::UntilExpression(expression) => {
            let evaluated = expression.evaluate(&visit.env(input));
            let (value, _) = evaluated.map_err(|error| visit.evaluation_failed(error))?;
            let Value::String(text) = &value else {
                let error = expression.wrong_type("string", &value);
                return Err(visit.evaluation_failed(error));
            };
            let Some(moment) = timestamp::parse(text) else {
                return Err(visit.evaluation_failed(EvaluationError {
                    location: "Timestamp".into(),
                    cause: format!(
                        "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format string: {}",
                        value::to_short_text(&value, 200).trim_matches('"')
                    ),
                }));
            };
            moment.saturating_sub(visit.now())
        }
    };
    if milliseconds > MAX_SECONDS * 1_000 {
        return Err(visit.failure(failure::RUNTIME, "Wait state delay is too long."));
    }
    if milliseconds > 0 {
        visit.thread.execution.world.clock.sleep(milliseconds).await;
    }
    Ok(())
}
