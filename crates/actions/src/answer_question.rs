//! Takes a person's answer to a question of a run: a veto, an approval, what to do at a hold.
//!
//! Converges: the first answer wins; a second one changes nothing and says whose stands. The run is woken either way.
//! Refuses:   an answer that is none of the choices, one without a name, and one that takes a risk without a reason.
//! Leaves behind on failure: nothing, or an answer that the sweeper passes on within a minute.
//! AWS: dynamodb:UpdateItem, dynamodb:Query, states:SendTaskSuccess (standby region).
//!
//! Who may invoke this function may answer: that is the installation's to decide, in IAM.

use std::sync::Arc;

use muster_core::ports::{Answer, Decisions, Executions, Question, RunRegistry};
use muster_core::{Action, ActionError, Clock, Conduct, Override, Progress, RunId};
use serde::Deserialize;

/// The action.
pub const ANSWER_QUESTION: Action = Action { name: "answer-question", conduct: Conduct::KeepsBooks };

/// What a person sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// The service whose run asks.
    pub service: Arc<str>,
    /// The run; without it, the one that is open.
    #[serde(default)]
    pub run: Option<RunId>,
    /// The question, as its message names it; without it, the only one that is open.
    #[serde(default)]
    pub question: Option<Arc<str>>,
    /// One of the choices: `veto`, `proceed`, `retry`, `skip`, `abort`, …
    pub choice: Arc<str>,
    /// Who answers.
    pub by: Arc<str>,
    /// Why.
    #[serde(default)]
    pub reason: String,
    /// Risks that are accepted with the answer.
    #[serde(default)]
    pub overrides: Vec<Override>,
}

/// Answers that let something happen to data or traffic, or keep it from happening: the report says why.
const WANT_A_REASON: [&str; 3] = ["veto", "skip", "abort"];

/// Writes the answer down, if nobody has answered, and wakes the run. Called twice, the second call finds the first.
///
/// # Errors
/// `Invalid` for an answer that cannot be taken, with what could be; `Transient` when the table cannot be reached.
pub async fn answer_question<W>(request: Request, world: &W) -> Result<Progress, ActionError>
where
    W: Clock + Decisions + RunRegistry + Executions,
{
    let of_service = |question: &Question| question.service == request.service && request.run.as_ref().is_none_or(|run| *run == question.run);
    let asked: Vec<Question> = world.questions().await?.into_iter().filter(of_service).collect();
    let question = choose(&asked, &request)?;
    let answer = Answer {
        choice: request.choice.clone(),
        by: request.by.clone(),
        reason: request.reason.clone(),
        at: world.now(),
        overrides: request.overrides.clone(),
    };
    let question = world.answer(&question.run, &question.name, &answer).await?;
    let Some(stands) = &question.answer else { return Err(ActionError::Transient("the answer was not written: send it again".into())) };
    // A token that nobody waits for any more is no error: the run reads the answer when it looks next.
    world.wake(&question.token, &Progress::done(format!("{} by {}", stands.choice, stands.by)).with_verdict(&stands.choice)).await?;
    let told = format!("{} of {}: `{}` by {} at {}", question.name, question.run, stands.choice, stands.by, stands.at);
    Ok(if (&stands.choice, &stands.by, stands.at) == (&answer.choice, &answer.by, answer.at) {
        Progress::done(told).with_verdict("answered")
    } else {
        Progress::done(format!("{told} stands; the first answer wins")).with_verdict("answeredBefore")
    })
}

/// The question that is meant, if it can be answered so.
fn choose<'a>(asked: &'a [Question], request: &Request) -> Result<&'a Question, ActionError> {
    let open = || asked.iter().filter(|question| question.answer.is_none());
    let names = |questions: &mut dyn Iterator<Item = &Question>| questions.map(|question| format!("`{}`", question.name)).collect::<Vec<_>>().join(", ");
    let question = match &request.question {
        Some(name) => asked.iter().find(|question| question.name == *name).ok_or_else(|| {
            let known = names(&mut asked.iter());
            let known = if known.is_empty() { "it asks nothing".to_owned() } else { format!("it asks {known}") };
            ActionError::Invalid(format!("the open run of {} asks no question `{name}`: {known}", request.service))
        })?,
        None => {
            let mut questions = open();
            match (questions.next(), questions.next()) {
                (Some(question), None) => question,
                (None, _) => return Err(ActionError::Invalid(format!("no run of {} waits for an answer", request.service))),
                _ => {
                    return Err(ActionError::Invalid(format!(
                        "several questions of {} are open: say which with `question`: {}",
                        request.service,
                        names(&mut open())
                    )));
                }
            }
        }
    };
    if !question.choices.contains(&request.choice) {
        let choices = question.choices.iter().map(|choice| format!("`{choice}`")).collect::<Vec<_>>().join(", ");
        return Err(ActionError::Invalid(format!("`{}` is no answer to `{}`: {choices}", request.choice, question.name)));
    }
    if request.by.trim().is_empty() {
        return Err(ActionError::Invalid("an answer needs a name: say who you are with `by`".into()));
    }
    if request.reason.trim().is_empty() && (WANT_A_REASON.contains(&&*request.choice) || !request.overrides.is_empty()) {
        return Err(ActionError::Invalid(format!("`{}` needs a reason: it stands in the report", request.choice)));
    }
    Ok(question)
}

#[cfg(test)]
mod tests {
    use muster_core::Timestamp;

    use serde_json::json;

    use super::*;

    fn question(name: &str, answered: bool) -> Question {
        let answer = answered.then(|| Answer {
            choice: "proceed".into(),
            by: "silence".into(),
            reason: String::new(),
            at: Timestamp::from_millis(1),
            overrides: vec![],
        });
        Question {
            run: RunId("r-1".into()),
            service: "portal".into(),
            name: name.into(),
            choices: vec!["proceed".into(), "veto".into()],
            default: "proceed".into(),
            asked_at: Timestamp::from_millis(0),
            deadline: None,
            token: "t".into(),
            answer,
        }
    }

    fn request(text: serde_json::Value) -> Request {
        let mut full = json!({"service": "portal", "choice": "proceed", "by": "Ann"});
        for (key, value) in text.as_object().unwrap() {
            full[key] = value.clone();
        }
        serde_json::from_value(full).unwrap()
    }

    #[test]
    fn without_a_name_the_only_open_question_is_meant() {
        let asked = [question("failover", true), question("Hold@1", false)];
        assert_eq!(&*choose(&asked, &request(json!({}))).unwrap().name, "Hold@1");
        let named = request(json!({"question": "failover"}));
        assert_eq!(&*choose(&asked, &named).unwrap().name, "failover", "an answer that comes too late is told whose stands");
    }

    #[test]
    fn what_cannot_be_taken_is_told_with_what_could_be() {
        let both = [question("a", false), question("b", false)];
        for (asked, answer, wanted) in [
            (&both[..], json!({}), "say which with `question`: `a`, `b`"),
            (&both[..0], json!({}), "no run of portal waits for an answer"),
            (&both[..1], json!({"question": "c"}), "asks no question `c`: it asks `a`"),
            (&both[..1], json!({"choice": "yes"}), "`yes` is no answer to `a`: `proceed`, `veto`"),
            (&both[..1], json!({"by": " "}), "say who you are"),
            (&both[..1], json!({"choice": "veto"}), "`veto` needs a reason"),
        ] {
            let error = choose(asked, &request(answer)).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        assert!(choose(&both[..1], &request(json!({"choice": "veto", "reason": "the region is back"}))).is_ok());
    }
}
