//! Compute: what serves, what works in the background, and how much of it the standby region needs.

use muster_core::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::objectives::Objectives;
use crate::units::DurationText;

/// A group of workers and how it is recovered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Compute {
    /// An Auto Scaling group in each region.
    AutoScalingGroup(AutoScalingGroup),
    /// An EKS node group in each region. Node groups are scaled before the deployments that need them.
    EksNodeGroup(EksNodeGroup),
    /// A Kubernetes deployment in each region.
    KubernetesDeployment(KubernetesDeployment),
    /// Work that must run in one region only: stopped in one, then started once in the other.
    Background(Background),
}

impl Compute {
    /// Its name in the plan.
    pub fn name(&self) -> &Name {
        match self {
            Compute::AutoScalingGroup(group) => &group.name,
            Compute::EksNodeGroup(group) => &group.name,
            Compute::KubernetesDeployment(deployment) => &deployment.name,
            Compute::Background(background) => &background.name,
        }
    }

    /// Whether clients wait for it.
    pub fn role(&self) -> ComputeRole {
        match self {
            Compute::AutoScalingGroup(group) => group.role,
            Compute::EksNodeGroup(_) => ComputeRole::Serving,
            Compute::KubernetesDeployment(deployment) => deployment.role,
            Compute::Background(_) => ComputeRole::Background,
        }
    }

    /// How soon it must serve again, and how much may be lost, where that was promised.
    pub fn objectives(&self) -> Option<&Objectives> {
        match self {
            Compute::AutoScalingGroup(group) => group.objectives.as_ref(),
            Compute::EksNodeGroup(group) => group.objectives.as_ref(),
            Compute::KubernetesDeployment(deployment) => deployment.objectives.as_ref(),
            Compute::Background(background) => background.objectives.as_ref(),
        }
    }
}

/// Whether clients wait for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ComputeRole {
    /// It answers clients: healthy before traffic moves.
    #[default]
    Serving,
    /// It works behind them: may follow after traffic moved.
    Background,
}

/// An Auto Scaling group in each region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AutoScalingGroup {
    /// The name that the rest of the plan uses.
    pub name: Name,
    /// Whether clients wait for it.
    #[serde(default)]
    pub role: ComputeRole,
    /// The group in the primary region.
    pub primary: PrimaryGroup,
    /// The group in the standby region, and how large it becomes.
    pub standby: StandbyGroup,
    /// How soon it must serve again, and how much may be lost.
    pub objectives: Option<Objectives>,
    /// What `compute-recovery` does when all its instances fail.
    pub systemic_failure: Option<SystemicFailure>,
}

/// The group in the primary region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PrimaryGroup {
    /// The Auto Scaling group's name.
    pub group: String,
    /// Its target group, by name, whose healthy targets are counted.
    pub target_group: Option<String>,
    /// How long a new instance is given before its health counts.
    #[schemars(with = "Option<DurationText>")]
    pub health_check_grace: Option<Duration>,
}

/// The group in the standby region, and how large it becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct StandbyGroup {
    /// The Auto Scaling group's name.
    pub group: String,
    /// How many instances it must have, healthy, before traffic moves.
    pub desired: u32,
    /// Its minimum afterwards; without it, left as it is where that allows `desired`.
    pub min: Option<u32>,
    /// Its maximum afterwards; without it, raised to `desired` where it is smaller.
    pub max: Option<u32>,
    /// Its target group, by name, whose healthy targets are counted.
    pub target_group: Option<String>,
    /// Its launch template's name; its image is checked in the preflight.
    pub launch_template: Option<String>,
    /// The image, where the launch template does not name it.
    pub image: Option<String>,
    /// The instance type, where the launch template does not name it.
    pub instance_type: Option<String>,
}

/// What is done when replacing single instances does not help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct SystemicFailure {
    /// The launch template with a good image, whose newest version is rolled out.
    pub launch_template: Option<String>,
    /// The desired capacity that it is raised to.
    pub desired: Option<u32>,
    /// Whether a region failover is proposed to whoever decides when this does not help either.
    #[serde(default)]
    pub then_region_failover: bool,
}

/// An EKS node group in each region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct EksNodeGroup {
    /// The name that the rest of the plan uses.
    pub name: Name,
    /// The node group in the primary region.
    pub primary: NodeGroup,
    /// The node group in the standby region.
    pub standby: NodeGroup,
    /// How soon it must serve again, and how much may be lost.
    pub objectives: Option<Objectives>,
    /// A node that has not been ready for so long is drained.
    #[schemars(with = "Option<DurationText>")]
    pub drain_after: Option<Duration>,
}

/// An EKS node group and its size during a recovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct NodeGroup {
    /// The EKS cluster's name.
    pub cluster: String,
    /// The node group's name.
    pub node_group: String,
    /// How many nodes a recovery brings it to.
    pub desired: u32,
}

/// A Kubernetes deployment in each region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct KubernetesDeployment {
    /// The name that the rest of the plan uses.
    pub name: Name,
    /// Whether clients wait for it.
    #[serde(default)]
    pub role: ComputeRole,
    /// The namespace, the same in both clusters.
    pub namespace: String,
    /// The deployment's name, the same in both clusters.
    pub deployment: String,
    /// Where it runs in the primary region.
    pub primary: ClusterReplicas,
    /// Where it runs in the standby region, and with how many replicas.
    pub standby: ClusterReplicas,
    /// How soon it must serve again, and how much may be lost.
    pub objectives: Option<Objectives>,
    /// Its disruption budget, as configured.
    pub disruption_budget: Option<DisruptionBudget>,
    /// Its horizontal autoscaler, whose minimum is raised when a zone is lost.
    pub autoscaler: Option<Autoscaler>,
    /// An address inside the pod's network that answers when it is well, such as `http://localhost:9090/healthz`.
    pub health_url: Option<String>,
}

/// A deployment's cluster, and its replicas there during a recovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClusterReplicas {
    /// The EKS cluster's name.
    pub cluster: String,
    /// How many replicas it has there when that region serves.
    pub replicas: u32,
}

/// A Kubernetes PodDisruptionBudget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DisruptionBudget {
    /// Its name.
    pub name: String,
    /// How many pods it keeps.
    pub min_available: u32,
}

/// A Kubernetes HorizontalPodAutoscaler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Autoscaler {
    /// Its name.
    pub name: String,
    /// The minimum that it is raised to when a zone is lost.
    pub min_replicas_when_zone_lost: u32,
}

/// Work that must run in one region only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Background {
    /// The name that the rest of the plan uses.
    pub name: Name,
    /// What it does, for people: `Batch processes`.
    pub title: Option<String>,
    /// What is stopped in one region and started in the other.
    pub workload: BackgroundWorkload,
    /// How soon it must run again, and how much may be lost.
    pub objectives: Option<Objectives>,
    /// How work that was cut short is taken up again, in the runbook's words.
    pub resume: Option<String>,
}

/// What is stopped in one region and started in the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", deny_unknown_fields, rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum BackgroundWorkload {
    /// An Auto Scaling group: zero instances in one region, `desired` in the other.
    AutoScalingGroup {
        /// The group in the primary region.
        primary: String,
        /// The group in the standby region.
        standby: String,
        /// How many instances it has where it runs.
        desired: u32,
    },
    /// A Kubernetes deployment: zero replicas in one cluster, `replicas` in the other.
    KubernetesDeployment {
        /// The cluster in the primary region.
        primary_cluster: String,
        /// The cluster in the standby region.
        standby_cluster: String,
        /// The namespace.
        namespace: String,
        /// The deployment's name.
        deployment: String,
        /// How many replicas it has where it runs.
        replicas: u32,
    },
    /// A group of EventBridge schedules: disabled in one region, enabled in the other.
    ScheduleGroup {
        /// The group in the primary region.
        primary: String,
        /// The group in the standby region.
        standby: String,
    },
    /// An EventBridge rule: disabled in one region, enabled in the other.
    EventRule {
        /// The rule in the primary region.
        primary: String,
        /// The rule in the standby region.
        standby: String,
    },
}
