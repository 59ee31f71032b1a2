//! Closes runs whose execution has ended without closing them: stopped from the console, timed out, failed.
//!
//! Converges: a run that is closed, or whose execution still runs, is left alone.
//! Refuses:   to close while a call of the ended execution can still be under way.
//! Leaves behind on failure: the open run, for the next call.
//! AWS: dynamodb:Query, dynamodb:UpdateItem, dynamodb:BatchWriteItem, states:DescribeExecution, s3:GetObjectVersion, s3:PutObject (standby region).

use muster_core::ports::{ExecutionState, Executions, Ledger, Plans, Reports, RunRegistry, Samples};
use muster_core::{Action, ActionError, Clock, Conduct, Journaled, Progress};
use muster_plan::Plan;
use muster_report::Report;
use serde::Deserialize;

use crate::close_run::close_abandoned;
use crate::open_run::LONGEST_FUNCTION;

/// The action.
pub const JANITOR: Action = Action { name: "janitor", conduct: Conduct::KeepsBooks };

/// Started by a schedule, with nothing to say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// Closes what was abandoned. Called twice, it closes nothing twice.
///
/// # Errors
/// `Transient` when the table or the bucket cannot be reached.
pub async fn janitor<W>(_: Request, world: &W) -> Result<Progress, ActionError>
where
    W: Clock + RunRegistry + Executions + Ledger + Samples + Plans<Plan> + Reports<Report> + Journaled,
{
    let (mut closed, mut failed) = (0, None);
    for open in world.open_runs().await? {
        let abandoned = match world.execution_state(&open.execution).await? {
            ExecutionState::Running => false,
            ExecutionState::Ended(at) => world.now().since(at) >= LONGEST_FUNCTION,
            ExecutionState::Unknown => true,
        };
        if abandoned {
            match close_abandoned(world, &open).await {
                Ok(was_open) => closed += u32::from(was_open),
                // One run that cannot be closed must not keep the others open.
                Err(error) => failed = Some(error),
            }
        }
    }
    failed.map_or_else(|| Ok(Progress::done(format!("{closed} abandoned runs closed"))), Err)
}
