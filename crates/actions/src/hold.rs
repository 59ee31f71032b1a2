//! Holds a run for a person: says what failed, and waits for `retry`, `skip` or `abort`.
//!
//! Converges: one question per hold, answered once; the plan's default when nobody answers.
//! Refuses:   nothing. What a skip stands for is written down with the name of whoever answered.
//! Leaves behind on failure: the question, which the sweeper and the next call settle.
//! AWS: dynamodb:BatchGetItem, dynamodb:GetItem, dynamodb:Query, dynamodb:PutItem, dynamodb:UpdateItem, sns:Publish, secretsmanager:GetSecretValue,
//!      states:SendTaskSuccess (standby region).

use muster_core::ports::{Answer, Channels, Control, Decisions, Executions, Notes, Question};
use muster_core::{ABORT_NOTE, Action, ActionError, Clock, Conduct, Context, DEADLINE_NOTE, Duration, Evidence, Lane, Override, Progress};
use muster_plan::{Event, HoldDefault, Plan};
use serde::Deserialize;
use serde_json::json;

use crate::acceptance::{FENCING, fencing, keep_overrides};
use crate::fence_database::{Unfenced, accept_unfenced};
use crate::notes::{self, Book};
use crate::question::{Asking, Standing, ask, note_answer, settle, still_open};
use crate::superseded::is_superseded;
use crate::tell::channels_for;

/// The action.
pub const HOLD: Action = Action { name: "hold", conduct: Conduct::KeepsBooks };

/// What failed, and how the question about it is called. With a token, the state machine waits for the answer.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// The phase that failed.
    pub phase: String,
    /// The error's name.
    pub error: String,
    /// The error's text, as Lambda reports it.
    pub cause: String,
    /// The question's name: unique for each time that a phase holds.
    pub question: String,
    /// The task token of the state that waits.
    #[serde(default)]
    pub token: Option<String>,
}

/// From here on an accepted unfenced primary stays unfenced until it is seen again.
const FENCE_IS_OVER: [&str; 2] = ["FenceDatabase", "PromoteReplica"];
/// What a person who answers `retry` or `skip` gives a run whose deadline has passed.
const MORE_TIME: Duration = Duration::from_hours(1);
/// The only phases that may be skipped because nobody answered: what they leave undone harms nobody's data.
const SKIPPED_BY_SILENCE: [&str; 4] = ["ConfigureLaunch", "FailoverCache", "StartBackground", "Stabilize"];

/// How far the run has come, as far as silence is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stand {
    /// A promotion was asked for, or traffic was: half of a failover is worse than a failover.
    irreversible: bool,
    /// The run's deadline has not passed.
    in_time: bool,
    /// What failed passes by itself, such as a throttled service.
    passing: bool,
    /// The run makes or proves backups: what it leaves undone is made up for by the next one, and nothing is deleted for it.
    protects: bool,
}

/// What silence answers.
fn default_answer(otherwise: HoldDefault, phase: &str, stand: Stand) -> &'static str {
    match otherwise {
        _ if stand.protects => "skip",
        HoldDefault::Skip if SKIPPED_BY_SILENCE.contains(&phase) => "skip",
        // Past the run's deadline a retry is refused at once: silence would go round in circles.
        _ if !stand.in_time => "abort",
        _ if stand.irreversible => "retry",
        HoldDefault::Retry => "retry",
        _ if stand.passing => "retry",
        HoldDefault::Skip | HoldDefault::Abort => "abort",
    }
}

/// Puts the question and waits, or reads its answer and makes it count. Called twice, it asks nobody twice.
///
/// # Errors
/// `Transient` when the table cannot be read or written.
pub async fn hold<W>(request: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Control + Decisions + Channels + Executions + Notes,
{
    let aborted: Option<String> = notes::read(world, &cx.run.id.0, ABORT_NOTE).await?;
    let progress = if is_superseded(world, cx.run).await? {
        Progress::done("another run has taken over").with_verdict("superseded")
    } else if let Some(by) = aborted {
        Progress::done(format!("the run was aborted by {by}")).with_verdict("abort")
    } else {
        stand(&request, world, cx).await?
    };
    if let (Some(token), true) = (&request.token, progress.is_done()) {
        world.wake(token, &progress).await?;
    }
    Ok(progress)
}

async fn stand<W>(request: &Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Decisions + Channels + Notes,
{
    let cause = readable(&request.cause);
    if request.token.is_some() {
        cx.saw(world.now(), Evidence::Held { phase: request.phase.clone(), error: request.error.clone(), cause: cause.clone() });
    }
    let stand = Stand {
        irreversible: notes::point_of_no_return(world, cx).await?.is_some(),
        in_time: cx.now <= notes::read(world, &cx.run.id.0, DEADLINE_NOTE).await?.unwrap_or(cx.run.deadline).max(cx.run.deadline),
        passing: request.error == "Muster.Transient",
        protects: cx.run.lane != Lane::Recover,
    };
    let default = default_answer(cx.plan.people.hold.otherwise, &request.phase, stand);
    let within = cx.plan.people.hold.within;
    let asking = Asking {
        name: &request.question,
        choices: &["retry", "skip", "abort"],
        default,
        window: within,
        token: request.token.as_deref().unwrap_or_default(),
        subject: format!("{}: {} holds and needs an answer", cx.run.service, request.phase),
        body: format!(
            "Run {} holds at {} with {}.\n\n{cause}\n\nAnswers: retry, skip, abort. Without an answer within {within}: {default}.",
            cx.run.id, request.phase, request.error
        ),
        channels: channels_for(&cx.plan.people, Event::Held),
    };
    // What silence means depends on how far the run has come by now, and not on when the question was put.
    let question = Question { default: default.into(), ..ask(world, cx, asking).await? };
    match settle(world, question).await? {
        Standing::Answered(question, answer) => {
            if request.token.is_none() {
                note_answer(world, cx, &question, &answer);
                make_count(world, cx, &request.phase, &answer).await?;
            }
            Ok(Progress::done(format!("{} by {}", answer.choice, answer.by)).with_verdict(&answer.choice))
        }
        Standing::Open { left } => Ok(still_open(left)),
        // Nobody has heard: a hold that nobody knows of is asked again until the run's own time is over, and then ends safely.
        Standing::Unheard if cx.elapsed() > within => {
            let reason = "no channel has accepted the question, and the time is over".to_owned();
            let answer = Answer { choice: default.into(), by: "silence".into(), reason, at: cx.now, overrides: Vec::new() };
            cx.saw(
                world.now(),
                Evidence::Decided {
                    question: request.question.clone(),
                    choice: default.to_owned(),
                    by: "silence".to_owned(),
                    reason: answer.reason.clone(),
                    asked_at: cx.since,
                },
            );
            make_count(world, cx, &request.phase, &answer).await?;
            Ok(Progress::done(format!("{}: {default}", answer.reason)).with_verdict(default))
        }
        Standing::Unheard => Ok(Progress::pending("no channel has accepted the question yet", Duration::from_secs(15))),
    }
}

/// The answer's consequences, written down before the run goes on. Called twice, it writes the same.
async fn make_count<W>(world: &W, cx: &Context<'_, Plan>, phase: &str, answer: &Answer) -> Result<(), ActionError>
where
    W: Clock + Decisions + Notes,
{
    let by_a_person = &*answer.by != "silence";
    let mut overrides = answer.overrides.clone();
    let goes_on = matches!(&*answer.choice, "retry" | "skip");
    if by_a_person && goes_on && world.now() > cx.run.deadline {
        world.note(&cx.run.id.0, DEADLINE_NOTE, &json!(world.now().after(MORE_TIME))).await?;
    }
    if !goes_on {
        world.note_once(&cx.run.id.0, ABORT_NOTE, &json!(answer.by)).await?;
        // Who stops a backup has said nothing about failing over.
        if by_a_person && cx.run.lane == Lane::Recover {
            notes::no_automatic_start(world, cx).await?;
        }
    }
    if &*answer.choice == "skip" && by_a_person {
        overrides.extend(meaning_of_skip(cx.plan, phase, answer));
        if phase.starts_with("Confirm") {
            notes::outage_began(world, cx.run, cx.run.opened_at).await?;
        }
    }
    let fences = if overrides.is_empty() { Book::default() } else { Book::of_run(world, cx.run, FENCING).await? };
    let mut unfenced = Vec::new();
    for risk in &overrides {
        match risk {
            // Before the fence has been tried, the acceptance only waits for it: a primary that can be fenced is fenced.
            Override::Unfenced { database, .. } if FENCE_IS_OVER.contains(&phase) => {
                if let Some(database) = cx.plan.database(database)
                    && fencing(&fences, database)?.is_none()
                {
                    unfenced.push(Unfenced { database, seen: format!("{phase} held"), risk: risk.clone(), standing: false });
                }
            }
            _ => cx.saw(world.now(), Evidence::Accepted { risk: risk.clone(), standing: false }),
        }
    }
    accept_unfenced(world, cx, unfenced).await?;
    keep_overrides(world, cx.run, &overrides).await
}

/// Whoever skips a phase accepts the risk that the phase guards against.
fn meaning_of_skip(plan: &Plan, phase: &str, answer: &Answer) -> Vec<Override> {
    let (by, reason) = (answer.by.to_string(), if answer.reason.is_empty() { format!("skipped {phase}") } else { answer.reason.clone() });
    match phase {
        "FenceDatabase" => plan
            .databases
            .iter()
            .filter(|database| database.fence.is_some())
            .map(|database| Override::Unfenced { database: database.name.to_string(), by: by.clone(), reason: reason.clone() })
            .collect(),
        _ => vec![Override::Check { phase: phase.to_owned(), by, reason }],
    }
}

/// Lambda wraps an error's text in JSON; people want the text.
fn readable(cause: &str) -> String {
    serde_json::from_str::<serde_json::Value>(cause)
        .ok()
        .and_then(|value| value.get("errorMessage").and_then(|message| message.as_str().map(str::to_owned)))
        .unwrap_or_else(|| cause.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: Stand = Stand { irreversible: false, in_time: true, passing: false, protects: false };

    #[test]
    fn silence_never_skips_what_guards_data_or_people() {
        for phase in [
            "ConfirmOutage",
            "SettleDecision",
            "ConfirmAgain",
            "Preflight",
            "FenceDatabase",
            "PromoteReplica",
            "VerifyData",
            "VerifyStandby",
            "FlipDns",
            "Recover",
        ] {
            assert_eq!(default_answer(HoldDefault::Skip, phase, EARLY), "abort", "{phase}");
        }
        assert_eq!(default_answer(HoldDefault::Skip, "Stabilize", EARLY), "skip");
    }

    #[test]
    fn silence_does_not_leave_half_of_a_failover_while_there_is_time() {
        for otherwise in [HoldDefault::Abort, HoldDefault::Retry, HoldDefault::Skip] {
            let answered = |in_time| default_answer(otherwise, "PromoteReplica", Stand { irreversible: true, in_time, ..EARLY });
            assert_eq!((answered(true), answered(false)), ("retry", "abort"), "every run ends");
        }
    }

    #[test]
    fn silence_retries_what_passes_and_ends_what_is_late() {
        assert_eq!(default_answer(HoldDefault::Abort, "Preflight", Stand { passing: true, ..EARLY }), "retry");
        assert_eq!(default_answer(HoldDefault::Abort, "Preflight", EARLY), "abort");
        assert_eq!(default_answer(HoldDefault::Retry, "Preflight", Stand { in_time: false, ..EARLY }), "abort");
    }

    #[test]
    fn silence_leaves_out_what_a_backup_could_not_do_whatever_the_plan_says_of_failovers() {
        for otherwise in [HoldDefault::Abort, HoldDefault::Retry, HoldDefault::Skip] {
            for in_time in [true, false] {
                assert_eq!(default_answer(otherwise, "PruneBackups", Stand { protects: true, passing: true, in_time, ..EARLY }), "skip");
            }
        }
    }

    #[test]
    fn the_text_is_taken_out_of_lambdas_wrapping() {
        assert_eq!(readable(r#"{"errorType":"Muster.Refused","errorMessage":"too far behind"}"#), "too far behind");
        assert_eq!(readable("plain"), "plain");
    }
}
