//! The faults that a rehearsal can put in, each with a name, what it does and what should happen.

use std::fmt;

use muster_core::{CallFault, Duration};

use crate::clones::CloneFault;
use crate::snapshots::SnapshotFault;

/// Which risks a person accepts with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepting {
    /// None.
    Nothing,
    /// That a replica is promoted whatever it lacks.
    Loss,
    /// That the old primary may still take writes.
    Unfenced,
    /// Both, and that the check passes that holds the phase.
    Everything,
}

/// A fault, with everything that was drawn for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The primary region is down: nothing in it works.
    RegionDown,
    /// The primary region serves its clients, but the standby region does not see it.
    RegionPartitioned,
    /// The primary region serves its clients, but neither the standby nor the witness region sees it.
    RegionIsolated,
    /// The primary region, and every link to it, is back.
    RegionReturns,
    /// A service's control plane fails in the standby region.
    ControlPlaneDown {
        /// As in IAM: `rds`, `autoscaling`, `route53`.
        service: &'static str,
    },
    /// Every replica falls behind.
    ReplicaLag {
        /// How much further behind it is at once.
        already: Duration,
        /// How much further it falls behind, in thousandths of the time that passes.
        permille: u64,
    },
    /// Promotions take this much longer.
    PromotionHangs {
        /// How much.
        by: Duration,
    },
    /// Every replica is being backed up, and cannot be promoted meanwhile.
    ReplicaBackingUp {
        /// For how long.
        span: Duration,
    },
    /// The quota in the standby region leaves room for few instances.
    QuotaReached {
        /// For how many.
        left: u32,
    },
    /// Instances in the standby region start and never become healthy.
    TargetUnhealthy,
    /// A channel accepts no message; all of them where none is named.
    ChannelDown {
        /// Its name in the plan.
        channel: Option<String>,
    },
    /// Somebody sets the kill switch.
    KillSwitchSet,
    /// Somebody clears it.
    KillSwitchCleared,
    /// An operator promotes the replicas in the console.
    OperatorPromotes,
    /// The service's application in the primary region answers nobody any more, while everything under it works.
    ApplicationDown,
    /// The control planes that AWS keeps in us-east-1 for all regions (Route 53, IAM, CloudFront) do not answer.
    GlobalPlanesDown,
    /// An operator sizes the standby region's groups in the console, as the plan has them.
    OperatorScales,
    /// An operator fails the global datastores over in the console.
    OperatorFailsCachesOver,
    /// The alarm's event starts the flow once more.
    AlarmAgain,
    /// An operator starts the flow by hand.
    OperatorStarts,
    /// Something goes wrong with snapshots for a while.
    Snapshots {
        /// What.
        fault: SnapshotFault,
        /// For how long.
        span: Duration,
    },
    /// Something goes wrong with clones for a while.
    Clones {
        /// What.
        fault: CloneFault,
        /// For how long.
        span: Duration,
    },
    /// The execution is stopped in the console.
    ExecutionStopped {
        /// What becomes of it.
        then: Afterwards,
    },
    /// A person answers a question.
    Answer {
        /// `failover`, or the beginning of a question's name; `*` is any.
        question: &'static str,
        /// One of the choices.
        choice: &'static str,
        /// Who.
        by: &'static str,
        /// Which risks that the question is about are accepted with it.
        accepting: Accepting,
    },
    /// The call fails.
    Call {
        /// How.
        fault: CallFault,
        /// Whether it is applied nevertheless.
        applied: bool,
        /// How many calls in a row.
        times: u64,
    },
    /// A read answers as things were some time ago.
    StaleRead {
        /// How long ago.
        age: Duration,
    },
    /// The invocation that makes the call is delivered twice.
    DuplicateDelivery,
    /// The function dies before the call.
    CrashBefore,
    /// The function dies after the call, whose effect stays.
    CrashAfter,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::RegionDown => f.write_str("the primary region is down"),
            Fault::RegionPartitioned => f.write_str("the standby region does not see the primary any more"),
            Fault::RegionIsolated => f.write_str("nobody but clients sees the primary any more"),
            Fault::RegionReturns => f.write_str("the primary region is back"),
            Fault::ControlPlaneDown { service } => write!(f, "the control plane of {service} in the standby region is down"),
            Fault::ReplicaLag { already, permille } => {
                write!(f, "replicas are {} behind, and fall {permille} ms behind each second", already.in_words())
            }
            Fault::PromotionHangs { by } => write!(f, "promotions take {} longer", by.in_words()),
            Fault::ReplicaBackingUp { span } => write!(f, "replicas are backed up for {}", span.in_words()),
            Fault::QuotaReached { left } => write!(f, "room for {left} more instances"),
            Fault::TargetUnhealthy => f.write_str("new instances do not become healthy"),
            Fault::ChannelDown { channel } => write!(f, "{} accepts no message", channel.as_deref().unwrap_or("no channel")),
            Fault::KillSwitchSet => f.write_str("the kill switch is set"),
            Fault::KillSwitchCleared => f.write_str("the kill switch is cleared"),
            Fault::OperatorPromotes => f.write_str("an operator promotes the replicas"),
            Fault::ApplicationDown => f.write_str("the application in the primary region answers nobody"),
            Fault::GlobalPlanesDown => f.write_str("the control planes in us-east-1 do not answer"),
            Fault::OperatorScales => f.write_str("an operator sizes the standby's groups"),
            Fault::OperatorFailsCachesOver => f.write_str("an operator fails the caches over"),
            Fault::AlarmAgain => f.write_str("the alarm's event comes again"),
            Fault::OperatorStarts => f.write_str("an operator starts the flow"),
            Fault::Snapshots { fault, span } => write!(f, "{fault:?} for {}", span.in_words()),
            Fault::Clones { fault, span } => write!(f, "{fault:?} for {}", span.in_words()),
            Fault::ExecutionStopped { then: Afterwards::Left } => f.write_str("the execution is stopped"),
            Fault::ExecutionStopped { then: Afterwards::Redriven { after } } => write!(f, "the execution is stopped, and redriven after {}", after.in_words()),
            Fault::ExecutionStopped { then: Afterwards::StartedAgain } => f.write_str("the execution is stopped, and the flow started again"),
            Fault::Answer { question, choice, by, accepting } => {
                let question = if *question == "*" { "a hold" } else { question };
                let risks = match accepting {
                    Accepting::Nothing => "",
                    Accepting::Loss => ", accepting that data is lost",
                    Accepting::Unfenced => ", accepting that the old primary may still take writes",
                    Accepting::Everything => ", accepting the risk",
                };
                write!(f, "{by} answers {question} with {choice}{risks}")
            }
            Fault::Call { fault, applied, times } => {
                let times = if *times > 1 { format!(", {times} times") } else { String::new() };
                write!(f, "{fault:?}{}{times}", if *applied { ", but applied" } else { "" })
            }
            Fault::StaleRead { age } => write!(f, "the answer is {} old", age.in_words()),
            Fault::DuplicateDelivery => f.write_str("the invocation is delivered twice"),
            Fault::CrashBefore => f.write_str("the function dies before it"),
            Fault::CrashAfter => f.write_str("the function dies after it"),
        }
    }
}

/// What becomes of an execution that was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// Nobody cares for it: the janitor closes its run.
    Left,
    /// Somebody redrives it, so much later.
    Redriven {
        /// How much.
        after: Duration,
    },
    /// Once its run is closed, somebody starts the flow by hand.
    StartedAgain,
}

/// A name for a fault, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultName {
    /// As on the command line.
    pub name: &'static str,
    /// What happens, in one line.
    pub what: &'static str,
    /// What should follow.
    pub expected: &'static str,
    /// Whether it is an outage by itself; others come on top of `primary-region-down`.
    pub is_outage: bool,
}

const fn outage(name: &'static str, what: &'static str, expected: &'static str) -> FaultName {
    FaultName { name, what, expected, is_outage: true }
}

const fn beside(name: &'static str, what: &'static str, expected: &'static str) -> FaultName {
    FaultName { name, what, expected, is_outage: false }
}

/// Every fault that can be named.
pub const FAULTS: [FaultName; 41] = [
    outage(
        "primary-region-down",
        "Nothing in the primary region works, and nobody reaches it.",
        "The service moves; clients are served from the standby region.",
    ),
    outage(
        "primary-region-partitioned",
        "The primary region serves its clients, but the standby region does not see it.",
        "The witness sees it, so the outage is not confirmed. Where enough sources see it healthy the run stands down; otherwise it holds at \
         ConfirmOutage after half an hour, and ends by the plan's default. Nothing was touched, and clients notice nothing.",
    ),
    outage(
        "primary-region-isolated",
        "The primary region serves its clients, but neither the standby nor the witness region sees it.",
        "It looks like an outage and cannot be fenced: the run goes on only where the plan or a person accepts that, and what clients still \
         write to the old primary is lost, and counted.",
    ),
    outage(
        "outage-clears",
        "The primary region is down, and back after five to eight minutes.",
        "A run that still waits for a decision stands down; nothing was touched.",
    ),
    outage(
        "primary-returns",
        "The primary region is down, and back after 15 to 45 minutes, often in the middle of the failover.",
        "Until the outage is confirmed again the run stands down. Afterwards it goes on; the old primary is fenced as soon as it answers, and \
         its divergence is counted.",
    ),
    outage(
        "application-down",
        "The application in the primary region answers nobody; the region, and the database in it, work.",
        "The service moves; the old primary is fenced and proven to refuse writes before its replica is promoted.",
    ),
    outage(
        "blackout",
        "Nothing in the primary region works, and the control planes that AWS keeps in us-east-1 for all regions do not answer either.",
        "The service moves where its names follow a metric. Where records must be rewritten, FlipDns asks people, and says what it is that does not answer.",
    ),
    beside(
        "control-plane-down",
        "One control plane fails in the standby region, for good: RDS, Auto Scaling, ElastiCache, Route 53 or CloudWatch.",
        "Where the failover needs it, the run holds at Preflight and ends by the plan's default, and nothing was touched. Steps that use data \
         planes only (a takeover metric) do not notice.",
    ),
    beside(
        "throttling",
        "Several calls in a row are throttled.",
        "They are retried. Where they were the probe's, the outage is confirmed later, and the last known lag can be too old by then: \
         Preflight holds.",
    ),
    beside("unavailable", "A call is answered with a server error and is not applied.", "It is retried."),
    beside("unavailable-applied", "A call is answered with a server error, and was applied.", "The next attempt finds the work done, or under way."),
    beside("applied-timeout", "A mutating call is applied, and its answer is lost.", "The next attempt finds the work done, or under way."),
    beside("timeout", "A mutating call is lost on its way.", "The next attempt makes it."),
    beside("stale-read", "A read shows the state of half a minute ago.", "Nothing is done twice."),
    beside(
        "duplicate-delivery",
        "A function is invoked twice for one event, side by side.",
        "The second finds the work done, or under way; the evidence is not counted twice.",
    ),
    beside("crash-before-call", "A function dies before a mutating call.", "The state machine retries it."),
    beside("crash-after-call", "A function dies after a mutating call.", "The retry finds the work done, or under way."),
    beside(
        "replica-lag",
        "Before the outage the replica falls minutes behind.",
        "Beyond what the plan or a person accepted it is not promoted: the run holds at Preflight, and ends by the plan's default.",
    ),
    beside(
        "promotion-hangs",
        "The promotion takes one to five hours longer.",
        "The run holds at PromoteReplica, and people are told. It cannot be undone, so silence waits again, and once it is done the failover goes on.",
    ),
    beside(
        "replica-backing-up",
        "The replica is being backed up, for 5 to 40 minutes from the incident on.",
        "The promotion waits for it; if the two take more than half an hour, PromoteReplica holds, and silence waits again.",
    ),
    beside(
        "quota-reached",
        "The standby region's quota leaves room for two instances.",
        "What is missing does not start: the run holds at ScaleCompute, and traffic does not move. After a promotion silence tries again, \
         until the run's deadline.",
    ),
    beside(
        "target-unhealthy",
        "New instances never become healthy.",
        "The run holds at ScaleCompute, and traffic does not move. After a promotion silence tries again, until the run's deadline.",
    ),
    beside(
        "channel-down",
        "No channel accepts a message.",
        "A veto window does not open, since silence is consent only where somebody could hear: the run holds at SettleDecision, and ends by \
         the plan's default. Nothing was touched.",
    ),
    beside(
        "execution-stopped",
        "An operator stops the execution in the console, in the middle.",
        "The janitor closes the run as abandoned, with a report, and releases the lock. While the outage lasts another run is opened, which \
         finds what was done and goes on.",
    ),
    beside(
        "execution-redriven",
        "An operator stops the execution in the console, in the middle, and redrives it half a minute to 20 minutes later.",
        "It goes on where it stood. Where its run was closed meanwhile, it changes nothing more, and another run takes over.",
    ),
    beside(
        "execution-restarted",
        "An operator stops the execution in the console, in the middle, and starts the flow by hand once its run is closed.",
        "The new run finds what was done and goes on.",
    ),
    beside(
        "kill-switch",
        "Somebody sets the kill switch, in the middle, and clears it five minutes to an hour later.",
        "No mutating call begins any more, and the run holds where it is. Before a promotion silence ends it by the plan's default, \
         afterwards it tries again.",
    ),
    beside(
        "kill-switch-at-a-call",
        "Somebody sets the kill switch while a mutating call is under way that takes long: it is applied, and its answer is lost. An hour or more later it is cleared.",
        "No other mutating call begins, in the middle of an invocation too, and the run holds where it is.",
    ),
    beside("veto", "A person says no within the veto window.", "The run ends as vetoed; nothing was touched."),
    beside("approval", "A person says yes at once.", "The failover goes on without waiting for the window's end."),
    beside("late-answer", "A person says no after the window's end.", "Silence has answered; the late answer changes nothing."),
    beside("double-answer", "A person answers the same thing twice.", "The first counts, the second changes nothing."),
    beside("contradicting-answers", "Two people answer at the same time, and differently.", "The first counts, the second changes nothing."),
    beside(
        "person-accepts",
        "A person answers every hold with `retry`, accepting the risk, after 20 seconds to 90 minutes.",
        "A run that still holds goes on, with the acceptance recorded by name; an answer after the hold's end is too late. Seen only together \
         with a fault that brings about a hold.",
    ),
    beside(
        "person-accepts-loss",
        "A person answers every hold with `retry`, accepting that data is lost and nothing else, after 20 seconds to 90 minutes.",
        "A replica whose lag is unknown is promoted, once its old primary is fenced. One that cannot be fenced holds again: nobody has accepted \
         that it may still take writes.",
    ),
    beside(
        "person-accepts-unfenced",
        "A person answers every hold with `retry`, accepting that the old primary may still take writes and nothing else, after 20 seconds to 90 minutes.",
        "A replica whose lag is known and small enough is promoted, whether its old primary can be fenced or not. One whose lag is unknown holds \
         again: nobody has accepted that data is lost.",
    ),
    beside(
        "operator-by-hand",
        "An operator promotes the replicas in the console, 5 to 30 minutes after the incident.",
        "A run that is not there yet finds them promoted, or being promoted, and goes on; where Muster was first, nothing changes.",
    ),
    beside(
        "scaled-by-hand",
        "An operator sizes the standby region's groups in the console, up to half an hour after the incident.",
        "A run that is not there yet finds them at their size, and goes on. Instances that were started before the launch template names the new \
         database do not serve with it: then the run holds at VerifyStandby.",
    ),
    beside(
        "caches-by-hand",
        "An operator fails the global datastores over in the console, up to half an hour after the incident.",
        "A run that is not there yet finds them failed over, and goes on.",
    ),
    beside(
        "second-alarm",
        "The alarm's event is delivered once more, up to an hour after the incident.",
        "It joins the open run, or is held down after a failover.",
    ),
    beside(
        "started-by-hand",
        "An operator starts the flow by hand, up to an hour after the incident.",
        "It joins the open run; where none is open, a run begins, and stands down where nothing is wrong.",
    ),
];
