//! The faults that a rehearsal can put in, each with a name, what it does and what should happen.

use muster_core::{CallFault, Duration};

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
    /// An operator stops the execution in the console.
    ExecutionStopped,
    /// A person answers a question.
    Answer {
        /// `failover`, or the beginning of a question's name; `*` is any.
        question: &'static str,
        /// One of the choices.
        choice: &'static str,
        /// Who.
        by: &'static str,
        /// Whether the risks that the question is about are accepted with it.
        accepting: bool,
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
pub const FAULTS: [FaultName; 30] = [
    outage(
        "primary-region-down",
        "Nothing in the primary region works, and nobody reaches it.",
        "The service moves; clients are served from the standby region.",
    ),
    outage(
        "primary-region-partitioned",
        "The primary region serves its clients, but the standby region does not see it.",
        "The witness sees it: the outage is not confirmed, and nothing is touched.",
    ),
    outage(
        "primary-region-isolated",
        "The primary region serves its clients, but neither the standby nor the witness region sees it.",
        "It looks like an outage and cannot be fenced: the run goes on only under a recorded acceptance, and writes that are lost are counted.",
    ),
    outage(
        "outage-clears",
        "The primary region is down, and back after about six minutes.",
        "A run that still waits for a decision stands down; nothing was touched.",
    ),
    outage(
        "primary-returns",
        "The primary region is down, and back in the middle of the failover.",
        "The failover goes on; the old primary is fenced as soon as it answers, and its divergence is counted.",
    ),
    beside(
        "control-plane-down",
        "One service's control plane fails in the standby region for a while.",
        "What needs it is retried and then held for a person; data-plane steps go on.",
    ),
    beside("throttling", "Several calls in a row are throttled.", "They are retried; nothing else is seen of it."),
    beside("unavailable", "A call is answered with a server error and is not applied.", "It is retried."),
    beside("unavailable-applied", "A call is answered with a server error, and was applied.", "The next attempt finds the work done, or under way."),
    beside("applied-timeout", "A mutating call is applied, and its answer is lost.", "The next attempt finds the work done, or under way."),
    beside("timeout", "A mutating call is lost on its way.", "The next attempt makes it."),
    beside("stale-read", "A read shows the state of half a minute ago.", "Nothing is done twice."),
    beside(
        "duplicate-delivery",
        "A function is invoked twice for one event, side by side.",
        "The second finds the work done; the evidence is not counted twice.",
    ),
    beside("crash-before-call", "A function dies before a mutating call.", "The state machine retries it."),
    beside("crash-after-call", "A function dies after a mutating call.", "The retry finds the work done, or under way."),
    beside("replica-lag", "Before the outage the replica falls minutes behind.", "It is not promoted beyond what the plan or a person accepted."),
    beside("promotion-hangs", "The promotion takes hours.", "The phase goes on asking; people are told; the run's deadline holds it."),
    beside("replica-backing-up", "The replica is being backed up when it is to be promoted.", "The promotion waits for it."),
    beside("quota-reached", "The standby region's quota leaves room for two instances.", "The preflight or the capacity phase says so, and holds."),
    beside("target-unhealthy", "New instances never become healthy.", "Traffic does not move; the phase holds."),
    beside("channel-down", "No channel accepts a message.", "A veto window does not open: silence is consent only where somebody could hear."),
    beside(
        "execution-stopped",
        "An operator stops the execution in the console, in the middle.",
        "The janitor closes the run, with a report, and releases the lock.",
    ),
    beside("kill-switch", "Somebody sets the kill switch, in the middle.", "No mutating call begins any more; the run holds."),
    beside("veto", "A person says no within the veto window.", "The run ends as vetoed; nothing was touched."),
    beside("approval", "A person says yes at once.", "The failover goes on without waiting for the window's end."),
    beside("late-answer", "A person says no after the window's end.", "Silence has answered; the late answer changes nothing."),
    beside("double-answer", "A person answers the same thing twice.", "The first counts, the second changes nothing."),
    beside("contradicting-answers", "Two people answer at the same time, and differently.", "The first counts, and everybody is told which."),
    beside("person-accepts", "A person answers every hold with `retry`, accepting the risk.", "The run goes on, with the acceptance recorded by name."),
    beside("operator-by-hand", "An operator promotes the replicas in the console.", "The run finds them promoted and goes on."),
];
