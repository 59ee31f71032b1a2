//! Triggers: what starts a recovery, how an outage is confirmed, and who decides.

use muster_core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::custom::Flow;
use crate::name::Name;
use crate::objectives::{Objectives, PartReference};
use crate::traffic::RegionRole;
use crate::units::DurationText;

/// What starts a region failover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Triggers {
    /// Names of CloudWatch alarms in the standby region. With none, only an operator starts it.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// How the outage is confirmed before anything happens.
    pub confirm: Confirm,
    /// Who decides, once it is confirmed.
    pub decision: Decision,
    /// What is blocked after a failover, so that a flapping region does not bring about a second one.
    pub after_failover: HoldDown,
    /// How soon each phase should have ended, from the alarm on. Misses are reported, and nothing else.
    #[serde(default)]
    pub timeline: Vec<PhaseBudget>,
}

/// How an outage is confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Confirm {
    /// How many of the sources must say that the primary is down, at the same time.
    pub at_least: u32,
    /// The sources. At least one must not be in the standby region, whose own network may be what failed.
    pub of: Vec<Source>,
    /// How long they must have said so, by the timestamps of their samples.
    #[serde(rename = "for")]
    #[schemars(with = "DurationText")]
    pub held_for: Duration,
}

/// Somebody who can tell that the primary is down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Source {
    /// The probe, which asks an address every minute.
    Http {
        /// The source's name.
        name: Name,
        /// The address, in the primary region.
        #[schemars(regex(pattern = r"^https?://[^\s/]+(/\S*)?$"))]
        url: String,
        /// Where the probe stands.
        from: Vantage,
        /// The longest that an answer may take.
        #[schemars(with = "Option<DurationText>")]
        timeout: Option<Duration>,
    },
    /// AWS Health has an open event for the primary region.
    AwsHealth {
        /// The source's name.
        name: Name,
        /// The services that count, such as `RDS`; without them, all.
        #[serde(default)]
        services: Vec<String>,
    },
    /// A CloudWatch alarm is in ALARM.
    Alarm {
        /// The source's name.
        name: Name,
        /// The alarm's name.
        alarm: String,
        /// The region that it is in.
        region: RegionRole,
    },
}

impl Source {
    /// The source's name.
    pub fn name(&self) -> &Name {
        match self {
            Source::Http { name, .. } | Source::AwsHealth { name, .. } | Source::Alarm { name, .. } => name,
        }
    }

    /// The region that it looks at the primary from; `None` for AWS Health, which is told and does not look.
    pub fn vantage(&self) -> Option<RegionRole> {
        match self {
            Source::Http { from: Vantage::Standby, .. } => Some(RegionRole::Standby),
            Source::Http { from: Vantage::Witness, .. } => Some(RegionRole::Witness),
            Source::AwsHealth { .. } => None,
            Source::Alarm { region, .. } => Some(*region),
        }
    }
}

/// Where a probe stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Vantage {
    /// In the standby region.
    Standby,
    /// In the witness region.
    Witness,
}

/// Who decides whether to fail over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Decision {
    /// Nobody: it goes on at once.
    Automatic,
    /// It goes on unless somebody says no. The window opens only once a channel has accepted the message.
    Veto {
        /// How long they have.
        #[schemars(with = "DurationText")]
        window: Duration,
    },
    /// It goes on only when somebody says yes.
    Approval {
        /// Who may say it: one of `people.roles`.
        by: String,
        /// How long they have; then the run ends, and nothing was touched.
        #[schemars(with = "DurationText")]
        within: Duration,
    },
}

/// What is blocked after a failover.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct HoldDown {
    /// How long alarms start no further failover. A person still can.
    #[schemars(with = "DurationText")]
    pub no_automatic_failover_for: Duration,
}

/// When a phase should have ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PhaseBudget {
    /// The phase.
    pub phase: crate::custom::Phase,
    /// How long after the alarm it should have ended.
    #[schemars(with = "DurationText")]
    pub by: Duration,
}

/// A failure that is narrower than a region, what it looks like, and which flow answers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Scenario {
    /// Its name.
    pub name: Name,
    /// What it is called in the runbook.
    pub title: Option<String>,
    /// What happens, in the runbook's words.
    pub response: Option<String>,
    /// The flow that answers it; left out where the platform recovers by itself and Muster only verifies and reports.
    pub flow: Option<Flow>,
    /// The parts that it is about, such as `databases.portal-db`.
    #[serde(default)]
    pub parts: Vec<PartReference>,
    /// How soon they must serve again, and how much may be lost.
    pub objectives: Option<Objectives>,
    /// Names of CloudWatch alarms in the primary region that start the flow.
    #[serde(default)]
    pub alarms: Vec<String>,
    /// Names of CloudWatch alarms that are shown to whoever is told, and start nothing: a symptom is not a failure.
    #[serde(default)]
    pub symptoms: Vec<String>,
    /// Who decides. Left out, an operator starts it.
    pub decision: Option<Decision>,
    /// Its severity, as in `people.escalation`.
    pub severity: Option<String>,
    /// Who may run it: some of `people.roles`. Left out, everyone whom IAM lets.
    #[serde(default)]
    pub run_by: Vec<String>,
    /// The checks that must pass afterwards, by name.
    #[serde(default)]
    pub verify: Vec<Name>,
}
