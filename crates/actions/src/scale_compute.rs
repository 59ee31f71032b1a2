//! Brings Auto Scaling groups of the standby region to their size, and waits until the instances are healthy. Work that
//! must run in one region only is stopped in the other one first.
//!
//! Converges: a group that is large enough is left alone; one that is larger is not made smaller.
//! Refuses:   nothing.
//! Leaves behind on failure: groups that were made larger; `stand-down` gives them their former size.
//! AWS: autoscaling:DescribeAutoScalingGroups, autoscaling:DescribeScalingActivities, autoscaling:UpdateAutoScalingGroup (standby region;
//!      primary region for background work).

use std::collections::BTreeMap;

use futures::{StreamExt, stream};
use muster_core::ports::{GroupSize, GroupState, Notes, ScalingGroups};
use muster_core::{Action, ActionError, CallError, Clock, Conduct, Context, Duration, Evidence, Finding, Override, Progress, ScalingGroupId};
use muster_plan::{BackgroundWorkload, Compute, ComputeRole, Name, Plan};
use serde::Deserialize;

use crate::acceptance::accepted_overrides;
use crate::batch::{Batch, Pace};
use crate::notes::{self, Finished};

/// The action.
pub const SCALE_COMPUTE: Action = Action { name: "scale-compute", conduct: Conduct::Mutates };

/// Which part of the compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// What answers clients.
    #[default]
    Serving,
    /// What works behind them, and must run in one region only.
    Background,
}

/// Which part of the compute.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// Serving or background.
    pub stage: Stage,
}

/// Instances take minutes to start and to pass their health checks; after this long a person should look.
const PATIENCE: Duration = Duration::from_mins(30);
/// No instance is in service sooner after it was asked for: it boots, and its health check must pass more than once.
const AT_LEAST: Duration = Duration::from_secs(30);

/// So many groups are resized at any time.
const SIDE_BY_SIDE: usize = 10;

/// A group and the size that it must have.
struct Wanted<'a> {
    name: &'a Name,
    id: ScalingGroupId,
    desired: u32,
    min: Option<u32>,
    max: Option<u32>,
    /// The group in the primary region that must be empty first.
    instead_of: Option<ScalingGroupId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Resize(GroupSize),
    Await { healthy: u32 },
    Done,
    Fail(Finding),
}

fn decide(wanted: &Wanted<'_>, state: Option<&GroupState>) -> Step {
    let Some(state) = state else {
        return Step::Fail(Finding::new(
            &wanted.id,
            "the group does not exist",
            "the Auto Scaling group that the plan names",
            "create it or correct the plan, then answer `retry`",
        ));
    };
    let size = GroupSize {
        min: wanted.min.unwrap_or(state.size.min).min(wanted.desired.max(state.size.desired)),
        desired: state.size.desired.max(wanted.desired),
        max: wanted.max.unwrap_or(0).max(state.size.max).max(wanted.desired),
    };
    if state.size != size {
        return Step::Resize(size);
    }
    if state.healthy >= wanted.desired { Step::Done } else { Step::Await { healthy: state.healthy } }
}

fn wanted(plan: &Plan, stage: Stage) -> Vec<Wanted<'_>> {
    let standby = &plan.regions.standby;
    plan.compute
        .iter()
        .filter_map(|compute| match compute {
            Compute::AutoScalingGroup(group) if (group.role == ComputeRole::Serving) == (stage == Stage::Serving) => Some(Wanted {
                name: &group.name,
                id: ScalingGroupId::new(standby, &group.standby.group),
                desired: group.standby.desired,
                min: group.standby.min,
                max: group.standby.max,
                instead_of: None,
            }),
            Compute::Background(background) if stage == Stage::Background => match &background.workload {
                BackgroundWorkload::AutoScalingGroup { primary, standby: group, desired } => Some(Wanted {
                    name: &background.name,
                    id: ScalingGroupId::new(standby, group),
                    desired: *desired,
                    min: None,
                    max: None,
                    instead_of: Some(ScalingGroupId::new(&plan.regions.primary, primary)),
                }),
                _ => None,
            },
            _ => None,
        })
        .collect()
}

/// Brings every group of the stage to its size. Called twice, it changes no group twice.
///
/// # Errors
/// `Permanent` names every group that does not get there.
pub async fn scale_compute<W>(request: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + ScalingGroups + Notes,
{
    let overrides = accepted_overrides(world, cx.run).await?;
    if cx.phase == "StartWorkloads" && overrides.iter().any(|risk| matches!(risk, Override::Check { phase, .. } if phase == "ScaleCompute")) {
        return Ok(Progress::done("a person has accepted the capacity as it is"));
    }
    let wanted = wanted(cx.plan, request.stage);
    if wanted.is_empty() {
        return Ok(Progress::done("the plan scales nothing here"));
    }
    let ids: Vec<ScalingGroupId> = wanted.iter().map(|wanted| wanted.id.clone()).collect();
    let states = world.describe_groups(&cx.plan.regions.standby, &ids).await?;
    let mut batch = Batch::default();
    let mut finished = Finished::read(world, cx.run, cx.phase).await?;
    let mut pace = if request.stage == Stage::Background { Pace::Unhurried } else { Pace::NotBefore(AT_LEAST) };
    let mut to_resize = Vec::new();
    for one in &wanted {
        match decide(one, states.get(&one.id)) {
            Step::Done => {
                batch.saw(Evidence::Awaited {
                    component: one.name.to_string(),
                    what: "healthy instances".into(),
                    from: cx.since,
                    until: finished.first_seen(one.name.as_str(), world.now()),
                });
                batch.done(one.name);
            }
            Step::Await { healthy } if cx.elapsed() > PATIENCE => batch.failed(not_healthy(one, healthy, &states, cx)),
            Step::Await { healthy } => {
                // Asked for a while ago, or by somebody else: it may be done at any time.
                if request.stage != Stage::Background {
                    pace = Pace::Minutes;
                }
                batch.pending(one.name, format!("{healthy} of {} instances healthy", one.desired));
            }
            Step::Fail(finding) => batch.failed(finding),
            Step::Resize(size) => to_resize.push((one, size)),
        }
    }
    let resized: Vec<Result<(), CallError>> =
        stream::iter(&to_resize).map(|(one, size)| resize(world, cx, one, &states, *size)).buffered(SIDE_BY_SIDE).collect().await;
    for ((one, size), resized) in to_resize.into_iter().zip(resized) {
        match resized {
            Ok(()) => batch.pending(one.name, format!("asked for {} instances", size.desired)),
            Err(error) => batch.call_failed(one.name, error),
        }
    }
    finished.keep(world, cx.run).await?;
    batch.into_progress(world.now(), cx, pace, "healthy")
}

async fn resize<W>(world: &W, cx: &Context<'_, Plan>, one: &Wanted<'_>, states: &BTreeMap<ScalingGroupId, GroupState>, size: GroupSize) -> Result<(), CallError>
where
    W: Clock + ScalingGroups + Notes,
{
    if let Some(elsewhere) = &one.instead_of {
        stop_elsewhere(world, cx, one.name, elsewhere).await;
    }
    if let Some(state) = states.get(&one.id) {
        notes::remember_size(world, cx.run, &one.id, state.size).await?;
    }
    world.resize_group(&one.id, size).await
}

/// One try to stop the work in the primary region. It cannot be waited for: that region may be dark. What could not be
/// stopped is written down for people, and its database takes no writes of it any more, because it is fenced.
async fn stop_elsewhere<W>(world: &W, cx: &Context<'_, Plan>, name: &Name, id: &ScalingGroupId)
where
    W: Clock + ScalingGroups + Notes,
{
    let dark: Result<Option<muster_core::Timestamp>, _> = notes::read(world, &cx.run.id.0, "primaryDark").await;
    let stopped = match dark {
        Ok(None) => world.resize_group(id, GroupSize { min: 0, desired: 0, max: 0 }).await.is_ok(),
        _ => false,
    };
    if !stopped {
        cx.saw(
            world.now(),
            Evidence::Unprotected { what: format!("{name} could not be stopped in {}: stop it there when the region returns, or it runs twice", id.region) },
        );
    }
}

fn not_healthy(one: &Wanted<'_>, healthy: u32, states: &BTreeMap<ScalingGroupId, GroupState>, cx: &Context<'_, Plan>) -> Finding {
    let why = states.get(&one.id).and_then(|state| state.last_failure.clone()).map(|why| format!(": {why}")).unwrap_or_default();
    Finding::new(
        &one.id,
        format!("{healthy} of {} instances are healthy after {}{why}", one.desired, cx.elapsed().in_words()),
        format!("{} within {PATIENCE}", one.desired),
        "see the group's activities; raise the quota or offer other instance types, then answer `retry`; or answer `skip` to go on with what there is",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(min: u32, desired: u32, max: u32) -> GroupSize {
        GroupSize { min, desired, max }
    }

    #[test]
    fn a_group_grows_to_its_size_and_never_shrinks() {
        let name: Name = "portal".parse().unwrap();
        let region = "us-west-2".parse().unwrap();
        let decided = |min, max, state: Option<GroupState>| {
            decide(&Wanted { name: &name, id: ScalingGroupId::new(&region, "asg-dr"), desired: 5, min, max, instead_of: None }, state.as_ref())
        };
        let state = |size, healthy| Some(GroupState { size, healthy, last_failure: None });
        assert_eq!(decided(None, None, state(size(0, 0, 2), 0)), Step::Resize(size(0, 5, 5)));
        assert_eq!(decided(Some(3), Some(10), state(size(0, 0, 2), 0)), Step::Resize(size(3, 5, 10)));
        assert_eq!(decided(None, None, state(size(0, 5, 5), 4)), Step::Await { healthy: 4 });
        assert_eq!(decided(None, None, state(size(0, 5, 5), 5)), Step::Done);
        assert_eq!(decided(None, None, state(size(0, 8, 9), 7)), Step::Done);
        assert!(matches!(decided(None, None, None), Step::Fail(_)));
    }
}
