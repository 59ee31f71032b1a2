//! The plan itself.

use muster_core::Region;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::aftercare::{Document, Failback, FollowUp, InventoryItem, Load, Prerequisite};
use crate::backups::{Backup, Pruning};
use crate::caches::Cache;
use crate::checks::{Check, CheckStage};
use crate::compute::Compute;
use crate::configuration::Configuration;
use crate::custom::{CustomStep, Placement};
use crate::databases::{Database, DatabaseStandby};
use crate::drills::{Drill, PastResult};
use crate::name::Name;
use crate::objectives::{Component, Objectives, PartReference, ServiceLevel};
use crate::people::People;
use crate::queues::Queue;
use crate::template::Template;
use crate::traffic::{RegionRole, TrafficRecord};
use crate::triggers::{Scenario, Triggers};
use crate::units::RegionText;

/// A recovery plan: one service, what it consists of, and how it is recovered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Plan {
    /// The service's name.
    pub service: Name,
    /// The document that the plan was made from.
    pub document: Option<Document>,
    /// Where it runs, where it is recovered, and who watches.
    pub regions: Regions,
    /// How soon the service must be back after its region was lost, and how much may be lost.
    pub objectives: Objectives,
    /// Commitments to customers.
    #[serde(default)]
    pub service_levels: Vec<ServiceLevel>,
    /// The service's parts as its users know them, each with a promise of its own.
    #[serde(default)]
    pub components: Vec<Component>,
    /// Databases.
    #[serde(default)]
    pub databases: Vec<Database>,
    /// Caches.
    #[serde(default)]
    pub caches: Vec<Cache>,
    /// Compute: what serves, and what works in the background.
    #[serde(default)]
    pub compute: Vec<Compute>,
    /// Queues.
    #[serde(default)]
    pub queues: Vec<Queue>,
    /// What workloads are told about the recovered parts.
    #[serde(default)]
    pub configuration: Vec<Configuration>,
    /// Public names.
    #[serde(default)]
    pub traffic: Vec<TrafficRecord>,
    /// Steps of your own.
    #[serde(default)]
    pub custom: Vec<CustomStep>,
    /// Checks of the service as a whole.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// What the standby region must have.
    #[serde(default)]
    pub prerequisites: Vec<Prerequisite>,
    /// What starts a region failover, and who decides.
    pub triggers: Triggers,
    /// Failures that are narrower than a region, or wider than an outage, and what answers them.
    #[serde(default)]
    pub scenarios: Vec<Scenario>,
    /// How the service moves back.
    pub failback: Option<Failback>,
    /// What is to be done in the hours and days after a recovery.
    #[serde(default)]
    pub follow_up: Vec<FollowUp>,
    /// Backups.
    #[serde(default)]
    pub backups: Vec<Backup>,
    /// How many backups may be deleted at once; without it, 50.
    pub pruning: Option<Pruning>,
    /// Drills.
    #[serde(default)]
    pub drills: Vec<Drill>,
    /// Results of drills that were held before this plan existed.
    #[serde(default)]
    pub past_results: Vec<PastResult>,
    /// Who decides, and who is told.
    pub people: People,
    /// Resources that people need to find.
    #[serde(default)]
    pub inventory: Vec<InventoryItem>,
    /// The load that a rehearsal puts on the service.
    pub load: Option<Load>,
}

/// The regions of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Regions {
    /// Where the service runs on a good day.
    #[schemars(with = "RegionText")]
    pub primary: Region,
    /// Where it is recovered, and where Muster itself runs.
    #[schemars(with = "RegionText")]
    pub standby: Region,
    /// A third one, from which the primary is watched too.
    #[schemars(with = "RegionText")]
    pub witness: Region,
}

impl Regions {
    /// The region in that role.
    pub fn get(&self, role: RegionRole) -> &Region {
        match role {
            RegionRole::Primary => &self.primary,
            RegionRole::Standby => &self.standby,
            RegionRole::Witness => &self.witness,
        }
    }
}

impl Plan {
    /// The database of that name.
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.iter().find(|database| database.name == *name)
    }

    /// The cache of that name.
    pub fn cache(&self, name: &str) -> Option<&Cache> {
        self.caches.iter().find(|cache| cache.name == *name)
    }

    /// The compute of that name.
    pub fn compute(&self, name: &str) -> Option<&Compute> {
        self.compute.iter().find(|compute| *compute.name() == *name)
    }

    /// The queue of that name.
    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.name == *name)
    }

    /// The configuration of that name.
    pub fn configuration(&self, name: &str) -> Option<&Configuration> {
        self.configuration.iter().find(|configuration| *configuration.name() == *name)
    }

    /// The custom step of that name.
    pub fn custom_step(&self, name: &str) -> Option<&CustomStep> {
        self.custom.iter().find(|step| step.name == *name)
    }

    /// The backup of that name.
    pub fn backup(&self, name: &str) -> Option<&Backup> {
        self.backups.iter().find(|backup| backup.name == *name)
    }

    /// The drill of that name.
    pub fn drill(&self, name: &str) -> Option<&Drill> {
        self.drills.iter().find(|drill| drill.name == *name)
    }

    /// The databases whose cross-region replica is promoted, each with the replica's identifier.
    pub fn replica_databases(&self) -> impl Iterator<Item = (&Database, &str)> {
        self.databases.iter().filter_map(|database| database.replica_id().map(|id| (database, id)))
    }

    /// The databases whose first choice is a restore, from a snapshot or to a point in time.
    pub fn restored_databases(&self) -> impl Iterator<Item = &Database> {
        self.databases.iter().filter(|database| matches!(database.standby, DatabaseStandby::LatestSnapshot { .. } | DatabaseStandby::PointInTime { .. }))
    }

    /// The databases that Muster recovers itself.
    pub fn recovered_databases(&self) -> impl Iterator<Item = &Database> {
        self.databases.iter().filter(|database| database.is_recovered_by_muster())
    }

    /// The service's checks that run at that stage.
    pub fn checks_at(&self, stage: CheckStage) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(move |check| check.stage() == stage)
    }

    /// The custom steps of a region failover that run there, in the plan's order.
    pub fn custom_at(&self, at: Placement) -> impl Iterator<Item = &CustomStep> {
        self.custom.iter().filter(move |step| step.at == at && step.flow == crate::custom::Flow::RegionFailover)
    }

    /// The backups of a part, such as `databases.portal-db`.
    pub fn backups_of(&self, part: &str) -> impl Iterator<Item = &Backup> {
        self.backups.iter().filter(move |backup| backup.of.as_ref().is_some_and(|of| of.0 == part))
    }

    /// Every value with references, each with its path in the plan, such as `configuration[0].env.DATABASE_URL`.
    pub fn templates(&self) -> Vec<(String, &Template)> {
        let configured =
            self.configuration.iter().enumerate().flat_map(|(index, configuration)| {
                configuration.values().into_iter().map(move |(key, value)| (format!("configuration[{index}].{key}"), value))
            });
        let custom = self
            .custom
            .iter()
            .enumerate()
            .flat_map(|(index, step)| step.run.values().into_iter().map(move |(key, value)| (format!("custom[{index}].run.{key}"), value)));
        configured.chain(custom).collect()
    }

    /// True where the plan has a part of that reference.
    pub fn has_part(&self, part: &PartReference) -> bool {
        part.parts().is_some_and(|(section, name)| self.names_in(section).is_some_and(|names| names.contains(&name)))
    }

    /// The names in a section that can be referred to; `None` where there is no such section.
    pub fn names_in(&self, section: &str) -> Option<Vec<&str>> {
        let names: Vec<&str> = match section {
            "databases" => self.databases.iter().map(|part| part.name.as_str()).collect(),
            "caches" => self.caches.iter().map(|part| part.name.as_str()).collect(),
            "compute" => self.compute.iter().map(|part| part.name().as_str()).collect(),
            "queues" => self.queues.iter().map(|part| part.name.as_str()).collect(),
            "configuration" => self.configuration.iter().map(|part| part.name().as_str()).collect(),
            "custom" => self.custom.iter().map(|part| part.name.as_str()).collect(),
            "backups" => self.backups.iter().map(|part| part.name.as_str()).collect(),
            "components" => self.components.iter().map(|part| part.name.as_str()).collect(),
            _ => return None,
        };
        Some(names)
    }
}
