//! People: who decides, who is told what, on which channel, how often, and what happens when nobody answers.

use muster_core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::databases::SecretReference;
use crate::name::Name;
use crate::units::{DurationOrZeroText, DurationText};

/// Who is involved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct People {
    /// The roles that the plan speaks of.
    pub roles: Vec<Role>,
    /// The ways to reach them.
    pub channels: Vec<Channel>,
    /// The roles that may veto, approve, and answer a hold.
    pub decide: Vec<String>,
    /// Who is told what during an incident.
    #[serde(default)]
    pub told: Vec<Audience>,
    /// Who is called in, by severity.
    #[serde(default)]
    pub escalation: Vec<Escalation>,
    /// What is said to whom at which point.
    #[serde(default)]
    pub milestones: Vec<Milestone>,
    /// What happens when a run holds and nobody answers.
    pub hold: Hold,
    /// The public status page.
    pub status_page: Option<StatusPage>,
    /// Where people meet during an incident: a war room, a conference bridge.
    pub war_room: Option<String>,
}

impl People {
    /// The channel of that name.
    pub fn channel(&self, name: &Name) -> Option<&Channel> {
        self.channels.iter().find(|channel| channel.name == *name)
    }
}

/// A role, such as `VP Engineering`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Role {
    /// The role, as the rest of the plan writes it.
    pub role: String,
    /// Who fills it, or how they are found, such as `PagerDuty rotation`.
    pub person: Option<String>,
    /// The channels that reach them, in the order in which they are tried.
    #[serde(default)]
    pub channels: Vec<Name>,
}

/// A way to reach people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Channel {
    /// Its name.
    pub name: Name,
    /// What it is.
    pub kind: ChannelKind,
    /// How a message gets into it.
    pub via: Delivery,
    /// What people call it, such as `#incident-response`.
    pub label: Option<String>,
}

/// What kind of channel it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ChannelKind {
    /// A Slack channel.
    Slack,
    /// E-mail.
    Email,
    /// Text messages.
    Sms,
    /// A public status page.
    StatusPage,
    /// PagerDuty.
    PagerDuty,
    /// A person calls: Muster reminds them of it.
    Phone,
}

/// How a message gets into a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Delivery {
    /// An SNS topic, in the standby region.
    Sns {
        /// Its ARN.
        #[schemars(regex(pattern = r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]+(\.fifo)?$"))]
        topic: String,
    },
    /// A webhook, whose address is a secret.
    Webhook {
        /// The secret with the address, in the standby region.
        address: SecretReference,
    },
    /// By hand: somebody in this role is asked to do it.
    Person {
        /// One of `people.roles`.
        role: String,
    },
}

/// Who is told what during an incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Audience {
    /// Who they are, such as `Executive Team`.
    pub audience: String,
    /// The channels, by name.
    pub channels: Vec<Name>,
    /// What they are told.
    pub what: Vec<Event>,
    /// The shortest time between two messages that are not decisions; without it, at once.
    #[schemars(with = "Option<DurationText>")]
    pub every: Option<Duration>,
    /// How soon they must have heard for the first time.
    #[schemars(with = "Option<DurationText>")]
    pub within: Option<Duration>,
    /// The flows that they hear of; without them, all.
    #[serde(default)]
    pub flows: Vec<crate::custom::Flow>,
    /// Whether a person decides if they are told at all.
    #[serde(default)]
    pub if_required: bool,
}

/// What can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Event {
    /// A run was opened.
    Declared,
    /// A veto, an approval or a hold waits for an answer.
    Decision,
    /// A phase ended.
    Progress,
    /// The run holds.
    Held,
    /// The service was restored, or was not.
    Closed,
    /// Data was lost or has diverged.
    DataLoss,
    /// A drill was announced, or has ended.
    Drill,
    /// A backup is late, or a check of Muster itself failed.
    Warning,
}

/// Who is called in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Escalation {
    /// The severity, such as `P1` or `SEV1`.
    pub severity: String,
    /// What it stands for, such as `Regional outage`.
    pub issue: Option<String>,
    /// Who is called in, and when.
    pub ladder: Vec<Rung>,
}

/// A rung of the ladder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Rung {
    /// The roles.
    pub roles: Vec<String>,
    /// How long nobody has answered; `0s` is at once.
    #[schemars(with = "DurationOrZeroText")]
    pub after: Duration,
}

/// What is said to whom at which point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Milestone {
    /// What has happened.
    pub when: MilestoneEvent,
    /// When that is expected, counted from the declaration.
    #[schemars(with = "DurationOrZeroText")]
    pub expected: Duration,
    /// The words, such as `Investigating`.
    pub say: String,
    /// The channels, by name.
    pub channels: Vec<Name>,
}

/// The points of an incident that are spoken of in public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum MilestoneEvent {
    /// The incident was declared.
    Declared,
    /// The failover began.
    FailoverStarted,
    /// The service runs in the standby region.
    FailoverComplete,
    /// The primary region is back, and data is brought back to it.
    PrimaryRecovered,
    /// The service runs in the primary region again.
    FailbackComplete,
}

/// What happens when a run holds and nobody answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Hold {
    /// How long somebody has to answer.
    #[schemars(with = "DurationText")]
    pub within: Duration,
    /// What is done then.
    pub otherwise: HoldDefault,
    /// How often people are reminded meanwhile.
    #[schemars(with = "Option<DurationText>")]
    pub remind_every: Option<Duration>,
}

/// What is done when nobody answers a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum HoldDefault {
    /// The run ends, and what was done is undone. After the first promotion the phase is tried again instead, until the run's deadline.
    Abort,
    /// The phase is tried again, until the run's deadline.
    Retry,
    /// The phase is left out, where that harms nobody's data: a cache, the configuration of new instances, background work, the last metrics. Everything else is as with `abort`.
    Skip,
}

/// A public status page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StatusPage {
    /// Its address.
    #[schemars(regex(pattern = r"^https?://[^\s/]+(/\S*)?$"))]
    pub url: String,
    /// The components that it shows.
    #[serde(default)]
    pub components: Vec<String>,
}
