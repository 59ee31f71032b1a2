//! Restore tests: where a database's backup is restored to be looked at, and what is compared.

use muster_core::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::custom::Flow;
use crate::databases::Database;
use crate::name::Name;
use crate::objectives::PartReference;
use crate::plan::Plan;
use crate::units::Bytes;

/// What a restore test of a database needs: a place for a clone that nobody reaches but the checks. The region is the standby, where the copies are,
/// and where they will be needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RestoreTest {
    /// The clone's subnet group: isolated subnets, which lead nowhere.
    pub subnet_group: String,
    /// The clone's security groups: they let in the function that runs the checks, and nobody else.
    pub security_groups: Vec<String>,
    /// The clone's class, such as `db.r6g.large`; without it, that of the instance that the snapshot is of.
    pub instance_class: Option<String>,
    /// What has to be the same in the source and in the clone.
    #[serde(default)]
    pub compare: Vec<Comparison>,
    /// How a dump of it is restored, where a drill's `parts` name one, such as `backups.pg-dump`.
    pub dump: Option<DumpTest>,
}

/// How a dump is restored: into a database of its own in a clone of the newest snapshot, which has the version, the users and their passwords, by a
/// machine with PostgreSQL's tools.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DumpTest {
    /// Its name under `backups`: one object each time, in a bucket of the standby region, on a schedule.
    pub backup: Name,
    /// The CodeBuild project of the standby region that loads it, such as `kaireon-pg-restore`.
    pub project: String,
    /// The clone's storage, which holds the snapshot's data and the dump's beside each other; without it, as much as the snapshot is of.
    pub storage: Option<Bytes>,
}

/// A query whose first column of its first row is the same in the source and in a clone of its snapshot: a count, a sum, a checksum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Comparison {
    /// What is shown in reports.
    pub name: Name,
    /// The query. `{takenAt}` is the instant that the snapshot (or the dump) is of, such as `2026-11-26T02:00:04.000Z`: a table that only grows is compared up to a
    /// moment before it.
    pub query: String,
}

/// What a restore test of a part restores.
#[derive(Clone, Copy, Debug)]
pub struct Restorable<'p> {
    /// The database.
    pub database: &'p Database,
    /// Where, and what is compared.
    pub test: &'p RestoreTest,
    /// The dump, where it is not its newest snapshot.
    pub dump: Option<&'p DumpTest>,
}

/// What stands for the instant that a snapshot is of.
pub const TAKEN_AT: &str = "{takenAt}";

impl Comparison {
    /// The query about a snapshot of that instant.
    pub fn at(&self, taken_at: Timestamp) -> String {
        self.query.replace(TAKEN_AT, &taken_at.to_string())
    }
}

impl Plan {
    /// The parts whose backups the plan's calendar restores, each once, in its order.
    pub fn restore_tested(&self) -> Vec<&PartReference> {
        let mut parts: Vec<&PartReference> = Vec::new();
        for part in self.drills.iter().filter(|drill| drill.flow == Flow::RestoreTest).flat_map(|drill| &drill.parts) {
            if !parts.contains(&part) {
                parts.push(part);
            }
        }
        parts
    }

    /// What a restore test of a part restores: `databases.…` the newest snapshot, `backups.…` the newest dump of the database whose `restoreTest.dump`
    /// names that backup. `None` where the plan does not say how.
    pub fn restorable(&self, part: &PartReference) -> Option<Restorable<'_>> {
        let (section, name) = part.parts()?;
        let mut tested = self.databases.iter().filter_map(|database| Some((database, database.restore_test.as_ref()?)));
        match section {
            "databases" => tested.find(|(database, _)| database.name == *name).map(|(database, test)| Restorable { database, test, dump: None }),
            "backups" => tested.find_map(|(database, test)| {
                let dump = test.dump.as_ref().filter(|dump| dump.backup == *name)?;
                Some(Restorable { database, test, dump: Some(dump) })
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instant_of_the_snapshot_stands_wherever_the_query_wants_it() {
        let comparison = Comparison { name: "orders".parse().unwrap(), query: "select count(*) from o where a < '{takenAt}' and b < '{takenAt}'".into() };
        let taken_at: Timestamp = "2026-11-26T02:00:04Z".parse().unwrap();
        let text = taken_at.to_string();
        assert_eq!(comparison.at(taken_at), format!("select count(*) from o where a < '{text}' and b < '{text}'"));
        assert_eq!(Comparison { query: "select '{1,2}'".into(), ..comparison }.at(taken_at), "select '{1,2}'");
    }
}
