//! Settles questions whose time is over, and wakes the states that wait for an answer, again if the first wake-up was lost.
//! Stands a run down when its outage clears while people are still deciding.
//!
//! Converges: the first answer wins; a token that nobody waits for any more is left alone.
//! Refuses:   nothing.
//! Leaves behind on failure: nothing; the next minute's call goes on.
//! AWS: dynamodb:Query, dynamodb:GetItem, dynamodb:UpdateItem, s3:ListBucket, s3:GetObject, states:SendTaskSuccess (standby region).

use muster_core::ports::{Answer, Decisions, Executions, Notes, Plans, Question, RunRegistry, Samples};
use muster_core::{Action, ActionError, Clock, Conduct, Duration, Lane, Progress};
use muster_plan::Plan;
use serde::Deserialize;

use crate::acceptance::accepted_overrides;
use crate::confirm_outage::declared;
use crate::outage::{Outage, judge_outage, window};
use crate::question::{Standing, settle};
use crate::request_decision::FAILOVER;

/// The action.
pub const SWEEP_DECISIONS: Action = Action { name: "sweep-decisions", conduct: Conduct::KeepsBooks };

/// Started by a schedule, with nothing to say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// The run itself settles its question at the deadline; the sweeper only after it had its chance.
const GRACE: Duration = Duration::from_secs(30);

/// Settles every open question that can be. Called twice, it changes nothing more.
///
/// # Errors
/// `Transient` when the table cannot be read or written.
pub async fn sweep_decisions<W>(_: Request, world: &W) -> Result<Progress, ActionError>
where
    W: Clock + RunRegistry + Decisions + Executions + Samples + Notes + Plans<Plan>,
{
    let mut settled = 0;
    for question in world.questions().await? {
        let question = if question.answer.is_none() && &*question.name == FAILOVER { stand_down_if_cleared(world, question).await? } else { question };
        // What silence means at a hold depends on how far its run has come: the run itself says.
        let overdue = &*question.name == FAILOVER && question.deadline.is_some_and(|deadline| world.now() >= deadline.after(GRACE));
        if question.answer.is_none() && !overdue {
            continue;
        }
        if let Standing::Answered(question, answer) = settle(world, question).await? {
            world.wake(&question.token, &Progress::done(format!("{} by {}", answer.choice, answer.by)).with_verdict(&answer.choice)).await?;
            settled += 1;
        }
    }
    Ok(Progress::done(format!("{settled} answered")))
}

async fn stand_down_if_cleared<W>(world: &W, question: Question) -> Result<Question, ActionError>
where
    W: Clock + RunRegistry + Decisions + Samples + Notes + Plans<Plan>,
{
    let plans = world.plans_in_force().await?;
    let Some(plan) = plans.iter().map(|started| &started.plan).find(|plan| *plan.service.as_str() == *question.service) else { return Ok(question) };
    let run = world.read_lane(&question.service, Lane::Recover).await?.open.map(|open| open.run).filter(|run| run.id == question.run);
    let overrides = match &run {
        Some(run) => accepted_overrides(world, run).await?,
        None => Vec::new(),
    };
    if declared(&overrides).is_some() {
        return Ok(question);
    }
    let confirm = &plan.triggers.confirm;
    let samples = world.read_samples(&question.service, world.now().before(window(confirm))).await?;
    match judge_outage(confirm, &samples, world.now()) {
        Outage::Cleared { seen } => {
            let answer = Answer {
                choice: "standDown".into(),
                by: "probe".into(),
                reason: format!("the outage has cleared: {seen}"),
                at: world.now(),
                overrides: Vec::new(),
            };
            Ok(world.answer(&question.run, &question.name, &answer).await?)
        }
        _ => Ok(question),
    }
}
