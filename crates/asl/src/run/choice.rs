//! Choice: the first rule whose condition is true, or the default.

use super::{conclude, leave};
use crate::context::Visit;
use crate::failure::{self, Failure};
use crate::machine::{Choice, Condition, Next, State};
use crate::value::Value;

pub(super) fn run(visit: &Visit, state: &State, choice: &Choice, input: &Value) -> Result<(Next, Value), Failure> {
    let env = visit.env(input);
    for rule in &choice.rules {
        let holds = match &rule.condition {
            Condition::Literal(holds) => *holds,
            Condition::Expression(expression) => {
                let evaluated = expression.evaluate(&env);
                match evaluated.map_err(|error| visit.evaluation_failed(error))? {
                    (Value::Bool(holds), _) => holds,
                    (other, _) => {
                        let error = expression.wrong_type("boolean", &other);
                        return Err(visit.evaluation_failed(error));
                    }
                }
            }
        };
        if holds {
            let output = rule.output.as_ref();
            let output = conclude(visit, &rule.assign, output, env, input.clone())?;
            return Ok((Next::State(rule.next), output));
        }
    }
    // The state's own Assign and Output belong to the default.
    match choice.default {
        Some(default) => {
            let output = leave(visit, state, env, input.clone())?;
            Ok((Next::State(default), output))
        }
        None => Err(visit.failure(failure::NO_CHOICE, "Failed to transition out of the state. No condition is true and there is no Default.")),
    }
}
