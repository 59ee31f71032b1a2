//! What a restore test came to: which backup was restored, how long that took, whether its data is sound, and what became of the clone.

use muster_core::{Duration, Evidence, Timestamp};
use muster_plan::Flow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::{CheckMade, Report, Verdict};
use crate::scan::Scan;
use crate::schema::{DurationText, TimestampText};
use crate::text::{moment, span};

/// A backup that was restored into a clone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Restore {
    /// The part of the plan, such as `databases.portal-db`.
    pub component: String,
    /// The backup.
    pub backup: String,
    /// The instant that its data is of.
    #[schemars(with = "TimestampText")]
    pub taken_at: Timestamp,
    /// The clone.
    pub clone: String,
    /// From the request until the clone was first seen to serve, or until the dump was loaded into it: the component's restore time. A clone is looked at
    /// once a minute.
    #[schemars(with = "DurationText")]
    pub took: Duration,
    /// Of a dump: how much of that its load took; the rest made a server for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DurationText>")]
    pub load: Option<Duration>,
    /// The component's RTO.
    #[schemars(with = "DurationText")]
    pub rto: Duration,
    /// When the clone was first seen to be gone; absent where that was not seen within the run.
    #[schemars(with = "Option<TimestampText>")]
    pub destroyed_at: Option<Timestamp>,
}

impl Restore {
    /// Whether a restore alone would keep the component's RTO. A replica may keep it where a restore does not.
    pub fn verdict(&self) -> Verdict {
        if self.took <= self.rto { Verdict::Pass } else { Verdict::Fail }
    }

    /// Component, backup, of when, time, RTO, verdict, clone, gone: a row of the table.
    pub(crate) fn row(&self) -> Vec<String> {
        let gone = self.destroyed_at.map_or_else(|| "not seen to be gone: it goes when its lease is over".to_owned(), moment);
        vec![
            self.component.clone(),
            self.backup.clone(),
            moment(self.taken_at),
            with_load(self.took, self.load),
            span(self.rto),
            self.verdict().word().to_owned(),
            self.clone.clone(),
            gone,
        ]
    }
}

/// A restore time, and how much of it a dump's load took.
pub(crate) fn with_load(took: Duration, load: Option<Duration>) -> String {
    let load = load.map_or_else(String::new, |load| format!(", {} of it the load", span(load)));
    format!("{}{load}", span(took))
}

/// The names of the columns.
pub(crate) const RESTORE: [&str; 8] = ["Component", "Backup", "Of", "Restored in", "RTO", "By a restore alone", "Clone", "Destroyed"];
pub(crate) const QUESTION: [&str; 5] = ["Component", "Question", "Seen in the clone", "Wanted", "Passed"];
/// The sentence where a list is empty.
pub(crate) const NO_QUESTION: &str = "None was asked.";

/// Whether a flow proves backups.
pub(crate) fn proves(flow: &str) -> bool {
    flow == Flow::RestoreTest.as_str()
}

/// Every restore of a run, by component; of one that was made again, the last.
pub(crate) fn restores(scan: &Scan<'_>) -> Vec<Restore> {
    let mut found: Vec<Restore> = Vec::new();
    for fact in &scan.facts {
        match fact.evidence {
            Evidence::Restored { component, snapshot, taken_at, instance, from, until, loaded_from, rto } => {
                found.retain(|restore| restore.component != *component);
                found.push(Restore {
                    component: component.clone(),
                    backup: snapshot.clone(),
                    taken_at: *taken_at,
                    clone: instance.clone(),
                    took: until.since(*from),
                    load: loaded_from.map(|began| until.since(began)),
                    rto: *rto,
                    destroyed_at: None,
                });
            }
            Evidence::CloneDestroyed { instance, .. } => {
                for restore in found.iter_mut().filter(|restore| restore.clone == *instance) {
                    restore.destroyed_at.get_or_insert(fact.entry.at);
                }
            }
            _ => {}
        }
    }
    found.sort_by(|a, b| a.component.cmp(&b.component));
    found
}

impl Report {
    /// Whether the run was a restore test.
    pub fn proves(&self) -> bool {
        proves(&self.summary.flow)
    }

    /// What was asked of the clones: a row each.
    pub(crate) fn questions(&self) -> impl Iterator<Item = Vec<String>> {
        self.asked().map(|check| {
            let passed = if check.passed { "yes" } else { "NO" };
            vec![check.component.clone(), check.check.clone(), check.seen.clone(), check.wanted.clone(), passed.to_owned()]
        })
    }

    fn asked(&self) -> impl Iterator<Item = &CheckMade> {
        self.checks.iter().filter(|check| check.data)
    }

    /// The verdict on a restore test, in a sentence.
    pub(crate) fn verdict_on_restores(&self) -> (Verdict, String) {
        let (made, passed) = (self.asked().count(), self.asked().filter(|check| check.passed).count());
        let slow: Vec<&str> = self.restores.iter().filter(|restore| restore.verdict() == Verdict::Fail).map(|restore| restore.component.as_str()).collect();
        let slow = if slow.is_empty() { String::new() } else { format!(". A restore alone takes longer than the RTO of {}", slow.join(", ")) };
        let is_whole = self.summary.outcome == "succeeded";
        match self.restores.len() {
            0 => (Verdict::Fail, "Nothing was restored: it is not known whether the backups restore".to_owned()),
            _ if passed < made => (Verdict::Fail, format!("Restored, and the data is not as wanted: {} of {made} questions failed{slow}", made - passed)),
            _ if made == 0 || !is_whole => {
                (Verdict::Unknown, format!("Restored, and not everything was asked or cleaned up: {passed} of {made} questions passed{slow}"))
            }
            restored => (Verdict::Pass, format!("Restored and sound: {restored} of {restored} backups, {made} of {made} questions{slow}")),
        }
    }
}
