//! Asks whether to fail over, as the plan's policy says: at once, unless somebody says no, or when a named person says yes.
//!
//! Converges: a question is put once per run and answered once; the first answer wins, also over silence.
//! Refuses:   to take silence for consent before a channel has accepted the message.
//! Leaves behind on failure: the question, which the sweeper and the next call settle.
//! AWS: dynamodb:BatchGetItem, dynamodb:PutItem, dynamodb:UpdateItem, sns:Publish, secretsmanager:GetSecretValue,
//!      states:SendTaskSuccess (standby region).

use muster_core::ports::{Answer, Channels, Control, Decisions, Executions, Notes};
use muster_core::{Action, ActionError, Clock, Conduct, Context, Duration, Evidence, Finding, Progress};
use muster_plan::{Decision, Event, Plan};
use serde::Deserialize;

use crate::notes;
use crate::question::{Asking, Standing, ask, note_answer, settle, still_open};
use crate::superseded::is_superseded;
use crate::tell::channels_for;

/// The action.
pub const REQUEST_DECISION: Action = Action { name: "request-decision", conduct: Conduct::KeepsBooks };

/// The question's name.
pub const FAILOVER: &str = "failover";

/// With a token, the state machine waits for the answer; without one, it asks how the question stands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// The task token of the state that waits.
    #[serde(default)]
    pub token: Option<String>,
}

/// Nobody could be told for so long: a person has to find out another way.
const PATIENCE: Duration = Duration::from_mins(10);

struct Policy {
    choices: &'static [&'static str],
    default: &'static str,
    window: Duration,
    subject: String,
}

fn policy(plan: &Plan) -> Option<Policy> {
    match &plan.triggers.decision {
        Decision::Automatic => None,
        Decision::Veto { window } => Some(Policy {
            choices: &["proceed", "veto", "standDown"],
            default: "proceed",
            window: *window,
            subject: format!("{}: fails over to {} in {window} unless somebody says no", plan.service, plan.regions.standby),
        }),
        Decision::Approval { by, within } => Some(Policy {
            choices: &["proceed", "veto", "standDown"],
            default: "veto",
            window: *within,
            subject: format!("{}: {by} must approve the failover to {} within {within}", plan.service, plan.regions.standby),
        }),
    }
}

/// Puts the question, or reads its answer. Called twice, it asks nobody twice.
///
/// # Errors
/// `Refused` when no channel has accepted the question for ten minutes.
pub async fn request_decision<W>(request: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Control + Decisions + Channels + Executions + Notes,
{
    let verdict = if is_superseded(world, cx.run).await? {
        Progress::done("another run has taken over").with_verdict("superseded")
    } else {
        stand(&request, world, cx).await?
    };
    if let (Some(token), true) = (&request.token, verdict.is_done()) {
        world.wake(token, &verdict).await?;
    }
    Ok(verdict)
}

async fn stand<W>(request: &Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Decisions + Channels + Notes,
{
    let Some(policy) = policy(cx.plan) else {
        if request.token.is_none() {
            let (question, choice) = (FAILOVER.to_owned(), "proceed".to_owned());
            cx.saw(world.now(), Evidence::Decided { question, choice, by: "policy".into(), reason: "the plan decides automatically".into(), asked_at: cx.now });
        }
        return Ok(Progress::done("the plan decides automatically").with_verdict("proceed"));
    };
    let window = policy.window;
    let asking = Asking {
        name: FAILOVER,
        choices: policy.choices,
        default: policy.default,
        window,
        token: request.token.as_deref().unwrap_or_default(),
        body: body(cx, &policy),
        subject: policy.subject,
        channels: channels_for(&cx.plan.people, Event::Decision),
    };
    match settle(world, ask(world, cx, asking).await?).await? {
        Standing::Answered(question, answer) => {
            if request.token.is_none() {
                note_answer(world, cx, &question, &answer);
                if &*answer.choice == "veto" && &*answer.by != "silence" {
                    notes::no_automatic_start(world, cx).await?;
                }
            }
            Ok(Progress::done(in_words(&answer)).with_verdict(&answer.choice))
        }
        Standing::Open { left } => Ok(still_open(left)),
        Standing::Unheard if cx.elapsed() > PATIENCE => Err(ActionError::refused(Finding::new(
            &cx.run.service,
            format!("no channel has accepted the question for {PATIENCE}"),
            "somebody who could hear it: silence is consent only then",
            "repair a channel and answer `retry`, or answer `skip` to decide for the failover yourself",
        ))),
        Standing::Unheard => Ok(Progress::pending("no channel has accepted the question yet", Duration::from_secs(15))),
    }
}

fn in_words(answer: &Answer) -> String {
    let why = if answer.reason.is_empty() { String::new() } else { format!(": {}", answer.reason) };
    format!("{} by {}{why}", answer.choice, answer.by)
}

fn body(cx: &Context<'_, Plan>, policy: &Policy) -> String {
    format!(
        "Run {} has confirmed that {} is down in {}.\n\nAnswers: {}. Silence after {} answers `{}`.\nPrimary: {}. Standby: {}. Target: RTO {}, RPO {}.",
        cx.run.id,
        cx.plan.service,
        cx.plan.regions.primary,
        policy.choices.join(", "),
        policy.window,
        policy.default,
        cx.plan.regions.primary,
        cx.plan.regions.standby,
        cx.plan.objectives.rto,
        cx.plan.objectives.rpo
    )
}
