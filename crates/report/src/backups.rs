//! What verifying the backups came to, and how a run reads that recovers nothing but makes and verifies backups.

use muster_core::{Duration, Evidence, Timestamp};
use muster_plan::Flow;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::{Issue, Report, Severity, Verdict};
use crate::restores::proves;
use crate::scan::Scan;
use crate::schema::{DurationText, TimestampText};
use crate::text::span;

/// What verifying the backups came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backups {
    /// The instant that all of it is of.
    #[schemars(with = "TimestampText")]
    pub as_of: Timestamp,
    /// What is wrong, in the plan's order; empty where all is well.
    pub problems: Vec<BackupProblem>,
    /// What would be lost if the primary region died then, for each part of the plan that has backups.
    pub exposures: Vec<BackupExposure>,
}

/// One thing that is wrong with the backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupProblem {
    /// The part of the plan, such as `databases.portal-db`; absent of what the plan does not recover, and of what concerns a whole region.
    pub component: Option<String>,
    /// The backup in the plan; absent of what concerns a whole region.
    pub backup: Option<String>,
    /// Where: a region, with the account if it is another's, or a bucket as `s3://…`.
    pub place: String,
    /// What was seen and what to do now.
    pub what: String,
    /// Whether somebody has to be called; otherwise it has time until the morning.
    pub alarms: bool,
}

/// What would be lost of a part if the primary region died and nothing were left but its backups.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupExposure {
    /// The part of the plan.
    pub component: String,
    /// How much, as time; absent where no good backup outside the primary region is known: everything.
    #[schemars(with = "Option<DurationText>")]
    pub loss: Option<Duration>,
    /// The part's RPO.
    #[schemars(with = "Option<DurationText>")]
    pub rpo: Option<Duration>,
    /// The backup that it would be restored from.
    pub from: Option<String>,
}

impl BackupExposure {
    /// Whether backups alone would keep the promise; unknown where the plan promises nothing. A replica may keep it where they do not.
    pub fn verdict(&self) -> Verdict {
        match (self.loss, self.rpo) {
            (_, None) => Verdict::NotApplicable,
            (Some(loss), Some(rpo)) if loss <= rpo => Verdict::Pass,
            _ => Verdict::Fail,
        }
    }

    /// Component, loss, promise, verdict, backup: a row of the table.
    pub(crate) fn row(&self) -> Vec<String> {
        let words = |span: Option<Duration>, none: &str| span.map_or_else(|| none.to_owned(), crate::text::span);
        let from = self.from.clone().unwrap_or_else(|| "nothing known outside the primary region".to_owned());
        vec![self.component.clone(), words(self.loss, "everything"), words(self.rpo, "–"), self.verdict().word().to_owned(), from]
    }
}

impl BackupProblem {
    /// When, component, backup, place, words: a row of the table.
    pub(crate) fn row(&self) -> Vec<String> {
        let named = |name: &Option<String>| name.clone().unwrap_or_else(|| "–".to_owned());
        let when = if self.alarms { "now" } else { "by day" };
        vec![when.to_owned(), named(&self.component), named(&self.backup), self.place.clone(), self.what.clone()]
    }
}

/// The names of the columns.
pub(crate) const PROBLEM: [&str; 5] = ["Look at it", "Component", "Backup", "Where", "What was seen, and what to do"];
pub(crate) const EXPOSURE: [&str; 5] = ["Component", "Would lose", "Promised RPO", "By backups alone", "Restored from"];
/// The sentence where a list is empty.
pub(crate) const NO_PROBLEM: &str = "Nothing is wrong.";
pub(crate) const NO_EXPOSURE: &str = "No part of the plan has backups.";

/// What the last verification of a run came to. One that was called again, after its answer was lost, is told once.
pub(crate) fn backups(scan: &Scan<'_>) -> Option<Backups> {
    let verified = || scan.facts.iter().filter(|fact| matches!(fact.evidence, Evidence::BackupsVerified { .. }));
    let last = &verified().next_back()?.entry.invocation;
    let mut all: Option<Backups> = None;
    for fact in verified().filter(|fact| fact.entry.invocation == *last) {
        let Evidence::BackupsVerified { as_of, problems, exposures } = fact.evidence else { continue };
        let known = all.get_or_insert_with(|| Backups { as_of: *as_of, problems: Vec::new(), exposures: Vec::new() });
        known.problems.extend(problems.iter().map(|problem| BackupProblem {
            component: problem.component.clone(),
            backup: problem.backup.clone(),
            place: problem.place.clone(),
            what: problem.words.clone(),
            alarms: problem.alarms,
        }));
        known.exposures.extend(exposures.iter().map(|exposure| BackupExposure {
            component: exposure.component.clone(),
            loss: exposure.loss,
            rpo: exposure.rpo,
            from: exposure.from.clone(),
        }));
    }
    all
}

impl Backups {
    /// How many of its problems somebody has to be called for.
    pub fn alarms(&self) -> usize {
        self.problems.iter().filter(|problem| problem.alarms).count()
    }

    /// What is wrong, as issues of the run.
    pub(crate) fn issues(&self) -> impl Iterator<Item = Issue> {
        self.problems.iter().map(|problem| {
            let backup = problem.backup.as_ref().map_or_else(String::new, |backup| format!("{backup} in "));
            let severity = if problem.alarms { Severity::High } else { Severity::Low };
            Issue { severity, about: "backup".to_owned(), what: format!("{backup}{}: {}", problem.place, problem.what) }
        })
    }

    /// The verdict, in a sentence.
    pub(crate) fn verdict(&self) -> (Verdict, String) {
        let exposed = self.exposures.iter().filter(|exposure| exposure.verdict() == Verdict::Fail).count();
        let exposed = match exposed {
            0 => String::new(),
            exposed => format!(". By backups alone, {exposed} of {} components would lose more than their RPO", self.exposures.len()),
        };
        match (self.alarms(), self.problems.len()) {
            (0, 0) => (Verdict::Pass, format!("Nothing is wrong with the backups{exposed}")),
            (0, others) => (Verdict::Pass, format!("Nothing is wrong with the backups that cannot wait; to be looked at by day: {others}{exposed}")),
            (alarms, all) => (Verdict::Fail, format!("Wrong with the backups: {alarms}{}{exposed}", by_day(all - alarms))),
        }
    }
}

fn by_day(others: usize) -> String {
    if others == 0 { String::new() } else { format!("; to be looked at by day: {others}") }
}

/// Whether a flow recovers anything, so that RTO and RPO are asked of it. Making, verifying and proving backups does not.
pub(crate) fn recovers(flow: &str) -> bool {
    flow != Flow::Backup.as_str() && !proves(flow)
}

impl Report {
    /// Whether the run was one that recovers something, so that it has an RTO and an RPO.
    pub fn recovers(&self) -> bool {
        recovers(&self.summary.flow)
    }

    /// The verdict on the backups, of a run that recovers nothing.
    pub(crate) fn verdict_on_backups(&self) -> (Verdict, String) {
        if self.proves() {
            return self.verdict_on_restores();
        }
        self.backups.as_ref().map_or_else(|| (Verdict::Unknown, "The backups were not verified: nothing is known of them".to_owned()), Backups::verdict)
    }

    /// How long the run took, of a run that recovers nothing.
    pub(crate) fn run_time(&self) -> String {
        span(self.summary.closed_at.since(self.summary.opened_at))
    }
}
