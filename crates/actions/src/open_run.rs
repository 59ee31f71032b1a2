//! Opens a run: finds the plan, pins it, takes the service's lock, raises its epoch.
//!
//! Converges: the same execution opens its run once, however often this is called; a second alarm joins the open run.
//! Refuses:   an alarm soon after a failover or a decision against one (a person still may); a run while the kill switch is set; a plan that needs what is not built.
//! Leaves behind on failure: nothing, or an open run that the same execution finds again.
//! AWS: s3:ListBucket, s3:GetObject, s3:GetObjectVersion, s3:PutObject, dynamodb:BatchGetItem, dynamodb:GetItem, dynamodb:UpdateItem,
//!      dynamodb:Query, dynamodb:BatchWriteItem, states:DescribeExecution (standby region).

use std::sync::Arc;

use muster_backups::Rules;
use muster_core::ports::{Control, ExecutionState, Executions, LaneState, Ledger, Notes, OpenRun, Plans, Reports, RunRegistry, Samples, StartedPlan};
use muster_core::{Action, ActionError, Body, Clock, Conduct, Duration, Evidence, Finding, Journaled, Override, Progress, Run, RunId, Timestamp, Waits};
use muster_plan::{Decision, Flow, Name, PartReference, Plan, TrafficMethod};
use muster_report::Report;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::clones::parts;
use crate::close_run::close_abandoned;
use crate::notes;
use crate::unbuilt::unbuilt;

/// The action.
pub const OPEN_RUN: Action = Action { name: "open-run", conduct: Conduct::KeepsBooks };

/// What the state machine hands over.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// The flow.
    pub flow: Flow,
    /// The execution's ARN: the lock's owner.
    pub execution: Arc<str>,
    /// The execution's input: an alarm event, or what an operator wrote.
    pub input: Value,
}

/// What an operator writes in the console.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Order {
    service: String,
    by: String,
    reason: String,
    #[serde(default)]
    overrides: Vec<Override>,
    /// Of the flow `backup`: what is to be taken now, besides what is due. `take-backup` reads it from the execution's input.
    #[serde(default)]
    backups: Vec<Name>,
    /// Of the flow `restore-test`: whose backup is restored; without any, those of the plan's restore tests. `restore-clone` reads it from there too.
    #[serde(default)]
    parts: Vec<PartReference>,
}

/// The part of a CloudWatch alarm event that counts. Source: EventBridge, "CloudWatch Alarm State Change".
#[derive(Debug, Deserialize)]
struct AlarmEvent {
    source: String,
    detail: AlarmDetail,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AlarmDetail {
    alarm_name: String,
    state: AlarmState,
}

#[derive(Debug, Deserialize)]
struct AlarmState {
    value: String,
}

/// Who started the run, and what for.
struct Start<'a> {
    plan: &'a StartedPlan<Plan>,
    by: String,
    reason: String,
    overrides: Vec<Override>,
    /// Whether this run is to do something in particular, which another one does not do.
    asks: bool,
    /// Parts whose restore is asked for.
    parts: Vec<PartReference>,
    automatic: bool,
}

/// How long a run of the flow `backup` may take: it waits for nothing longer than an hour, but for what somebody asked for.
const LONGEST_BACKUP: Duration = Duration::from_hours(24);
/// How long a restore test may take that no drill of the plan says a time for: a restore of terabytes takes hours (RDS user guide).
const UNPLANNED_TEST: Duration = Duration::from_hours(12);
/// How often somebody who waits for another run looks whether it has ended.
const AFTER_ANOTHER: Duration = Duration::from_secs(20);
/// The same, of a run that takes hours: a look is eleven events of the waiting execution's history, which has room for 25,000.
const AFTER_A_LONG_ONE: Duration = Duration::from_mins(2);
/// A function of Muster runs for at most this long; only then can no call of an ended execution be under way any more.
pub const LONGEST_FUNCTION: Duration = Duration::from_secs(60);

fn start<'a>(flow: Flow, input: &Value, plans: &'a [StartedPlan<Plan>]) -> Result<Start<'a>, ActionError> {
    let services = || plans.iter().map(|started| started.plan.service.as_str()).collect::<Vec<_>>().join(", ");
    if input.get("detail-type").is_some() || input.get("source").is_some() {
        let event: AlarmEvent = serde_json::from_value(input.clone())
            .map_err(|error| ActionError::Invalid(format!("the event is no CloudWatch alarm event: {error}. Look at the rule that sends it")))?;
        let alarm = &event.detail.alarm_name;
        if event.source != "aws.cloudwatch" {
            return Err(ActionError::Invalid(format!("the event comes from `{}`; only alarms of aws.cloudwatch start a failover", event.source)));
        }
        let plan = plans.iter().find(|started| started.plan.triggers.alarms.contains(alarm)).ok_or_else(|| {
            ActionError::Invalid(format!(
                "no plan names the alarm `{alarm}` under `triggers.alarms`. Plans in force: {}. Add it to the plan and push it, or narrow the rule",
                services()
            ))
        })?;
        return Ok(Start {
            plan,
            by: format!("alarm {alarm}"),
            reason: "the alarm is in ALARM".into(),
            overrides: Vec::new(),
            asks: false,
            parts: Vec::new(),
            automatic: true,
        });
    }
    let order: Order = serde_json::from_value(input.clone()).map_err(|error| {
        ActionError::Invalid(format!(
            "the input is neither an alarm event nor an order: {error}. Write {{\"service\": \"...\", \"by\": \"your name\", \"reason\": \"...\"}}"
        ))
    })?;
    let plan = plans
        .iter()
        .find(|started| *started.plan.service.as_str() == *order.service)
        .ok_or_else(|| ActionError::Invalid(format!("no plan is in force for the service `{}`. Plans in force: {}", order.service, services())))?;
    if let Some(unknown) = order.backups.iter().find(|name| flow != Flow::Backup || !can_be_asked_for(&plan.plan, name)) {
        let known: Vec<&str> =
            plan.plan.backups.iter().filter(|backup| can_be_asked_for(&plan.plan, &backup.name)).map(|backup| backup.name.as_str()).collect();
        return Err(ActionError::Invalid(format!(
            "`{unknown}` cannot be asked for: only the flow `backup` takes backups, and only those that Muster makes. Of {} these are: {}",
            order.service,
            known.join(", ")
        )));
    }
    if flow != Flow::RestoreTest && !order.parts.is_empty() {
        return Err(ActionError::Invalid(format!("`parts` belong to an order of the flow `restore-test`, and not of `{}`", flow.as_str())));
    }
    let asks = !order.backups.is_empty() || !order.parts.is_empty();
    Ok(Start { plan, by: order.by, reason: order.reason, overrides: order.overrides, asks, parts: order.parts, automatic: false })
}

fn can_be_asked_for(plan: &Plan, name: &Name) -> bool {
    Rules::of(plan).lines.iter().any(|line| line.name == *name)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// This execution has opened its run already.
    Mine(Run),
    /// Take the lock.
    Open,
    /// Close what an ended execution left, then take the lock.
    Inherit(OpenRun),
    /// The open run is narrower, or a drill: raise the epoch over it.
    Supersede,
    /// Another run does this already.
    Joined(RunId),
    /// Too soon after a failover for an alarm.
    HeldDown(Timestamp),
    /// The owner has just ended: a call of it may still be under way.
    Wait(Duration),
}

fn decide(lane: &LaneState, owner: Option<ExecutionState>, request: &Request, automatic: bool, hold_down: Duration, now: Timestamp) -> Step {
    match (&lane.open, owner) {
        (Some(open), _) if open.execution == request.execution => Step::Mine(open.run.clone()),
        (Some(_), Some(ExecutionState::Ended(at))) if now.since(at) < LONGEST_FUNCTION => Step::Wait(LONGEST_FUNCTION.saturating_sub(now.since(at))),
        (Some(open), Some(ExecutionState::Ended(_) | ExecutionState::Unknown)) => Step::Inherit(open.clone()),
        (Some(open), _) if open.drill || breadth(&open.run.flow) < breadth(request.flow.as_str()) => Step::Supersede,
        (Some(open), _) => Step::Joined(open.run.id.clone()),
        (None, _) => match &lane.last_closed {
            Some(closed) if automatic && *closed.flow == *request.flow.as_str() && &*closed.outcome == "succeeded" && now.since(closed.at) < hold_down => {
                Step::HeldDown(closed.at.after(hold_down))
            }
            _ => Step::Open,
        },
    }
}

/// A region failover recovers everything that narrower flows do.
fn breadth(flow: &str) -> u8 {
    if flow == Flow::RegionFailover.as_str() { 2 } else { 1 }
}

/// Opens a run for the execution, or says why there is none to open. Called twice by the same execution, it returns the
/// same run.
///
/// # Errors
/// `Invalid` for an input or a plan that cannot be run; `Refused` while the kill switch is set.
pub async fn open_run<W>(request: Request, world: &W) -> Result<Progress, ActionError>
where
    W: Clock + Control + RunRegistry + Executions + Ledger + Samples + Notes + Plans<Plan> + Reports<Report> + Journaled,
{
    if let Some(state) = other_than_alarm(&request.input) {
        return Ok(Progress::done(format!("the alarm went to {state}: only ALARM starts a run")).with_verdict("notAnAlarm"));
    }
    let plans = world.plans_in_force().await?;
    if let Some((alarm, service)) = takeover_alarm(&request.input, &plans) {
        return Ok(
            Progress::done(format!("the alarm {alarm} says that the standby of {service} has taken over: it starts nothing")).with_verdict("notATrigger")
        );
    }
    let start = start(request.flow, &request.input, &plans)?;
    let plan = &start.plan.plan;
    let missing = match request.flow {
        Flow::RegionFailover => unbuilt(plan),
        Flow::RestoreTest => parts(plan, &start.parts).map(|_| Vec::new())?,
        _ => Vec::new(),
    };
    if !missing.is_empty() {
        return Err(ActionError::Invalid(format!("{} of {} needs what is not built yet: {}", request.flow.as_str(), plan.service, missing.join("; "))));
    }
    let control = world.read_control(plan.service.as_str(), request.flow.lane()).await?;
    if let Some(switch) = control.kill_switch {
        return Err(ActionError::refused(Finding::new(
            &plan.service,
            format!("the kill switch is set by {}: {}", switch.by, switch.reason),
            "a clear kill switch",
            "clear it if that is right, then start the flow again",
        )));
    }
    let lane = world.read_lane(plan.service.as_str(), request.flow.lane()).await?;
    let owner = match &lane.open {
        Some(open) if open.execution != request.execution => Some(world.execution_state(&open.execution).await?),
        _ => None,
    };
    let now = world.now();
    let held_until = if start.automatic { notes::no_automatic_start_until(world, plan.service.as_str()).await?.filter(|until| now < *until) } else { None };
    if let (Some(until), None) = (held_until, &lane.open) {
        return Ok(held_down(until));
    }
    match decide(&lane, owner, &request, start.automatic, plan.triggers.after_failover.no_automatic_failover_for, now) {
        Step::Mine(run) => {
            // The write that opened it may have been applied although its answer was lost: then nobody has written down who started it.
            world.journal().belongs_to(world.now(), &run);
            let is_told = world.read_ledger(&run.id).await?.iter().any(|entry| matches!(&entry.body, Body::Saw { evidence: Evidence::Opened { .. } }));
            if !is_told {
                world.journal().saw(world.now(), Evidence::Opened { by: start.by.clone(), reason: start.reason.clone() });
            }
            Ok(opened(&run))
        }
        // What somebody asked for would be forgotten if this execution ended here.
        Step::Joined(id) if start.asks => {
            let (what, soon) = match request.flow {
                Flow::Backup => ("the backups that were asked for are taken", AFTER_ANOTHER),
                _ => ("what was asked for is done", AFTER_A_LONG_ONE),
            };
            Ok(Progress::pending(format!("run {id} is at it: {what} after it"), soon))
        }
        Step::Joined(id) => {
            let left = if start.overrides.is_empty() { "" } else { "; the overrides of this order were not taken: give them in an answer to a hold" };
            Ok(Progress::done(format!("run {id} is open and does this already{left}")).with_verdict("joined"))
        }
        Step::HeldDown(until) => Ok(held_down(until)),
        Step::Wait(left) => Ok(Progress::pending("the last run's execution has just ended: a call of it may still be under way", left)),
        Step::Inherit(open) => {
            close_abandoned(world, &open).await?;
            Ok(Progress::pending(format!("closed run {}, whose execution had ended", open.run.id), Duration::from_secs(1)))
        }
        Step::Open | Step::Supersede => take(world, &request, &start, &lane, now).await,
    }
}

/// The state that an alarm event reports, where it is not `ALARM`.
fn other_than_alarm(input: &Value) -> Option<String> {
    let event: AlarmEvent = serde_json::from_value(input.clone()).ok()?;
    (event.detail.state.value != "ALARM").then_some(event.detail.state.value)
}

/// The alarm that a health check follows, and its service: it goes off at every failover, and its name may well begin like one that starts them.
fn takeover_alarm(input: &Value, plans: &[StartedPlan<Plan>]) -> Option<(String, String)> {
    let event: AlarmEvent = serde_json::from_value(input.clone()).ok()?;
    let name = event.detail.alarm_name;
    let follows = |plan: &Plan| {
        let takes_over = |method: &TrafficMethod| matches!(method, TrafficMethod::TakeoverMetric { alarm: Some(alarm), .. } if *alarm == name);
        !plan.triggers.alarms.contains(&name) && plan.traffic.iter().any(|record| takes_over(&record.method))
    };
    let service = plans.iter().map(|started| &started.plan).find(|plan| follows(plan))?.service.to_string();
    Some((name, service))
}

fn held_down(until: Timestamp) -> Progress {
    Progress::done(format!(
        "the service was failed over, or a person decided against it, a short while ago: until {until} only a person may start another failover"
    ))
    .with_verdict("heldDown")
}

async fn take<W>(world: &W, request: &Request, start: &Start<'_>, lane: &LaneState, now: Timestamp) -> Result<Progress, ActionError>
where
    W: Clock + RunRegistry + Journaled,
{
    let plan = &start.plan.plan;
    let epoch = lane.epoch + 1;
    let run = Run {
        id: RunId(format!("{}.{}.{epoch}", plan.service, request.flow.as_str()).into()),
        service: plan.service.as_str().into(),
        flow: request.flow.as_str().into(),
        epoch,
        lane: request.flow.lane(),
        opened_at: now,
        deadline: now.after(longest(plan, request.flow)),
        plan: start.plan.pin.clone(),
        overrides: start.overrides.clone(),
        waits: waits(plan),
    };
    let open = OpenRun { run, execution: request.execution.clone(), drill: false };
    if !world.open_run(lane.epoch, &open).await? {
        return Ok(Progress::pending("another execution was faster; looking again", Duration::from_secs(1)));
    }
    world.journal().belongs_to(world.now(), &open.run);
    world.journal().saw(now, Evidence::Opened { by: start.by.clone(), reason: start.reason.clone() });
    Ok(opened(&open.run))
}

/// How long a run may take. A drill that takes twice as long as planned is stopped and cleaned up; a restore test is one.
fn longest(plan: &Plan, flow: Flow) -> Duration {
    match flow {
        Flow::Backup => LONGEST_BACKUP,
        Flow::RestoreTest => {
            let planned = plan.drills.iter().filter(|drill| drill.flow == Flow::RestoreTest).map(|drill| drill.duration.times(2)).max();
            planned.unwrap_or(UNPLANNED_TEST).min(LONGEST_BACKUP)
        }
        _ => plan.objectives.rto.times(2),
    }
}

/// How long the state machine's waiting states may last, at least a second: zero is no time-out that AWS accepts.
fn waits(plan: &Plan) -> Waits {
    let decision = match &plan.triggers.decision {
        Decision::Automatic => Duration::from_secs(60),
        Decision::Veto { window } => *window,
        Decision::Approval { within, .. } => *within,
    };
    Waits { decision_seconds: decision.as_secs_ceil().max(1), hold_seconds: plan.people.hold.within.as_secs_ceil().max(1) }
}

fn opened(run: &Run) -> Progress {
    Progress::done(format!("run {} is open, epoch {}", run.id, run.epoch)).with_verdict("opened").with_output(json!({ "run": run }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::ports::Closing;
    use muster_core::{Lane, PlanPin};

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn request(flow: &str) -> Request {
        Request { flow: serde_json::from_value(json!(flow)).unwrap(), execution: "arn:mine".into(), input: Value::Null }
    }

    fn open(flow: &str, execution: &str, drill: bool) -> OpenRun {
        let run = Run {
            id: RunId(format!("portal.{flow}.7").into()),
            service: "portal".into(),
            flow: flow.into(),
            epoch: 7,
            lane: Lane::Recover,
            opened_at: NOW,
            deadline: NOW,
            plan: PlanPin { key: "k".into(), version: "v".into(), sha256: "s".into() },
            overrides: Vec::new(),
            waits: Waits { decision_seconds: 1, hold_seconds: 1 },
        };
        OpenRun { run, execution: execution.into(), drill }
    }

    fn decided(open: Option<OpenRun>, owner: Option<ExecutionState>, flow: &str) -> Step {
        decide(&LaneState { epoch: 7, open, last_closed: None }, owner, &request(flow), true, Duration::from_hours(24), NOW)
    }

    #[test]
    fn the_second_delivery_of_an_alarm_joins_the_open_run() {
        assert!(matches!(decided(Some(open("region-failover", "arn:other", false)), Some(ExecutionState::Running), "region-failover"), Step::Joined(_)));
    }

    #[test]
    fn an_execution_that_asks_again_finds_its_own_run() {
        assert!(matches!(decided(Some(open("region-failover", "arn:mine", false)), None, "region-failover"), Step::Mine(_)));
    }

    #[test]
    fn a_region_failover_supersedes_narrower_flows_and_drills_and_nothing_supersedes_it() {
        let running = Some(ExecutionState::Running);
        assert_eq!(decided(Some(open("database-failover", "arn:other", false)), running, "region-failover"), Step::Supersede);
        assert_eq!(decided(Some(open("region-failover", "arn:other", true)), running, "database-failover"), Step::Supersede);
        assert!(matches!(decided(Some(open("region-failover", "arn:other", false)), running, "database-failover"), Step::Joined(_)));
    }

    #[test]
    fn a_lock_is_inherited_only_when_no_call_of_its_owner_can_be_under_way() {
        let ended = |seconds| Some(ExecutionState::Ended(NOW.before(Duration::from_secs(seconds))));
        let held = || Some(open("region-failover", "arn:other", false));
        assert!(matches!(decided(held(), ended(59), "region-failover"), Step::Wait(_)));
        assert!(matches!(decided(held(), ended(60), "region-failover"), Step::Inherit(_)));
        assert!(matches!(decided(held(), Some(ExecutionState::Unknown), "region-failover"), Step::Inherit(_)));
    }

    #[test]
    fn an_alarm_that_went_to_ok_starts_nothing() {
        let event = |value: &str| json!({"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "detail": {"alarmName": "a", "state": {"value": value}}});
        assert_eq!(other_than_alarm(&event("ALARM")), None);
        assert_eq!(other_than_alarm(&event("OK")).as_deref(), Some("OK"));
        assert_eq!(other_than_alarm(&json!({"service": "portal", "by": "Ada", "reason": "drill"})), None);
    }

    #[test]
    fn after_a_failover_an_alarm_waits_and_a_person_does_not() {
        let decided = |outcome: &str, automatic| {
            let closed = Closing { run: RunId("r".into()), flow: "region-failover".into(), outcome: outcome.into(), at: NOW.before(Duration::from_hours(23)) };
            let lane = LaneState { epoch: 7, open: None, last_closed: Some(closed) };
            decide(&lane, None, &request("region-failover"), automatic, Duration::from_hours(24), NOW)
        };
        assert!(matches!(decided("succeeded", true), Step::HeldDown(_)));
        assert_eq!(decided("succeeded", false), Step::Open);
        for outcome in ["stoodDown", "aborted", "failed", "abandoned", "superseded"] {
            assert_eq!(decided(outcome, true), Step::Open, "{outcome}: whether a person said no is in a note");
        }
    }
}
