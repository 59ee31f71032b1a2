//! Holds a run for a person: says what failed, and waits for `retry`, `skip` or `abort`.
//!
//! Converges: one question per hold, answered once; the plan's default when nobody answers.
//! Refuses:   nothing. What a skip stands for is written down with the name of whoever answered.
//! Leaves behind on failure: the question, which the sweeper and the next call settle.
//! AWS: dynamodb:PutItem, dynamodb:UpdateItem, dynamodb:GetItem, sns:Publish, states:SendTaskSuccess (standby region).

use muster_core::ports::{Answer, Channels, Control, Decisions, Executions, Notes};
use muster_core::{Action, ActionError, Clock, Conduct, Context, DEADLINE_NOTE, Duration, Evidence, Override, Progress};
use muster_plan::{Event, HoldDefault, Plan};
use serde::Deserialize;
use serde_json::json;

use crate::acceptance::{Fencing, keep_overrides, note_fencing, read_fencing};
use crate::notes;
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

/// What a person who answers `retry` or `skip` gives a run whose deadline has passed.
const MORE_TIME: Duration = Duration::from_hours(1);
/// Phases that are never skipped because nobody answered.
const NEVER_SKIPPED_BY_SILENCE: [&str; 6] = ["FenceDatabase", "PromoteReplica", "VerifyData", "VerifyStandby", "FlipDns", "RequestDecision"];

fn default_answer(plan: &Plan, phase: &str, time_is_left: bool) -> &'static str {
    match plan.people.hold.otherwise {
        // Past the run's deadline a retry is refused at once: silence would go round in circles.
        HoldDefault::Retry if time_is_left => "retry",
        HoldDefault::Retry => "abort",
        HoldDefault::Skip if !NEVER_SKIPPED_BY_SILENCE.contains(&phase) => "skip",
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
    let progress = if is_superseded(world, cx.run).await? {
        Progress::done("another run has taken over").with_verdict("superseded")
    } else {
        stand(&request, world, cx).await?
    };
    if let (Some(token), true) = (&request.token, progress.is_done()) {
        world.wake(token, &json!(progress)).await?;
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
    let default = default_answer(cx.plan, &request.phase, cx.now <= cx.run.deadline);
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
    match settle(world, ask(world, cx, asking).await?).await? {
        Standing::Answered(question, answer) => {
            if request.token.is_none() {
                note_answer(world, cx, &question, &answer);
                make_count(world, cx, &request.phase, &answer).await?;
            }
            Ok(Progress::done(format!("{} by {}", answer.choice, answer.by)).with_verdict(&answer.choice))
        }
        Standing::Open { left } => Ok(still_open(left)),
        // Nobody has heard: a hold that nobody knows of is asked again until the run's own time is over, and then ends safely.
        Standing::Unheard if cx.elapsed() > within => Ok(Progress::done("no channel has accepted the question, and the time is over").with_verdict("abort")),
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
    if by_a_person && matches!(&*answer.choice, "retry" | "skip") && world.now() > cx.run.deadline {
        world.note(&cx.run.id.0, DEADLINE_NOTE, &json!(world.now().after(MORE_TIME))).await?;
    }
    if &*answer.choice == "skip" {
        overrides.extend(meaning_of_skip(cx.plan, phase, answer));
        if phase.starts_with("Confirm") {
            notes::outage_began(world, cx.run, cx.run.opened_at).await?;
        }
    }
    for risk in &overrides {
        cx.saw(world.now(), Evidence::Accepted { risk: risk.clone(), standing: false });
        if let Override::Unfenced { database, .. } = risk
            && let Some(database) = cx.plan.database(database)
            && read_fencing(world, cx.run, database).await?.is_none()
        {
            note_fencing(world, cx.run, database, Some(Fencing::Accepted)).await?;
        }
    }
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
