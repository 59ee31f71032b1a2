//! `muster backups plan`: what becomes of a plan's backups, when, and why, before anything is done.

mod happens;
mod picture;
pub(crate) mod simulate;
mod there;

use muster_backups::{Event, Fate, RecoveryPoint, Rules, Situation, assumed, decide, forecast};
use muster_core::{Duration, Timestamp};
use muster_plan::{BackupMethod, Plan};
use serde_json::{Value, json};

use crate::cli::BackupsPlan;
use crate::ending::{Complaint, Ending, Stop};
use crate::output::{self, PLAIN, QUIET, STRONG, WARN, paint};
use crate::plan_file::{PlanFile, unreadable};
use crate::table::table;
use crate::words::{count, day_and_time, wrap};

/// What is shown: what is there, and what happens to it until `until`.
struct Outlook<'a> {
    plan: &'a Plan,
    rules: Rules,
    now: Timestamp,
    until: Timestamp,
    /// Whether what is there was assumed.
    is_assumed: bool,
    situation: Situation,
    events: Vec<Event>,
}

/// Shows it.
pub(crate) fn run(arguments: &BackupsPlan) -> Result<Ending, Stop> {
    let file = PlanFile::read(&arguments.plan)?;
    let Some(plan) = &file.plan else {
        file.show_problems()?;
        return Ok(Ending::Wrong);
    };
    let now = arguments.at.unwrap_or_else(wall_clock);
    let rules = Rules::of(plan);
    let situation = match &arguments.existing {
        Some(path) => existing(&path.display().to_string(), std::fs::read_to_string(path))?,
        None => Situation { points: assumed(&rules, now), ..Situation::default() },
    };
    let until = now.after(Duration::from_hours(24).times(u64::from(arguments.days)));
    let events = forecast(&rules, &situation, now, until);
    let outlook = Outlook { plan, rules, now, until, is_assumed: arguments.existing.is_none(), situation, events };
    let text = if arguments.json { format!("{:#}\n", outlook.json()) } else { outlook.text(arguments.list) };
    output::result(&text)?;
    let is_held = outlook.events.iter().any(|event| matches!(event.what, muster_backups::Happening::Held { .. }));
    Ok(if is_held { Ending::Bad } else { Ending::Good })
}

#[expect(clippy::disallowed_methods, reason = "no run hangs on it: it is only what `--at` is without being given")]
fn wall_clock() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn existing(name: &str, text: std::io::Result<String>) -> Result<Situation, Complaint> {
    let wanted = "what is there, as JSON: {\"points\": [{\"name\": …, \"place\": {\"region\": …}, \"of\": …, \"takenAt\": …}]}";
    let text = text.map_err(|error| unreadable(name, &error, wanted))?;
    serde_json::from_str(&text)
        .map_err(|error| Complaint::new(format!("{name}: {error}"), wanted, "mend it there; `muster backups plan … --json` prints such a list under `there`"))
}

impl Outlook<'_> {
    fn json(&self) -> Value {
        let decision = decide(&self.situation, &self.rules, self.now);
        json!({
            "service": self.plan.service,
            "at": self.now,
            "until": self.until,
            "assumed": self.is_assumed,
            "there": self.situation,
            "now": decision,
            "events": self.events,
        })
    }

    fn text(&self, list: bool) -> String {
        let mut text = format!("{}: backups on {} UTC\n", paint(STRONG, self.plan.service.as_str()), day_and_time(self.now, None));
        let assumed = "What is there is assumed: what the schedules would have made. Name a list of what is really there with --existing.";
        for line in wrap(assumed, 78).iter().filter(|_| self.is_assumed) {
            text.push_str(&format!("  {}\n", paint(QUIET, line)));
        }
        for warning in self.warnings() {
            for line in wrap(&warning, 78) {
                text.push_str(&format!("  {}\n", paint(WARN, &line)));
            }
        }
        text.push_str(&section("What is there", &there::summary(self)));
        text.push_str(&section(&format!("What happens until {} UTC", day_and_time(self.until, Some(self.now))), &happens::rows(self, list)));
        let picture = picture::draw(self);
        if !picture.is_empty() {
            text.push_str(&section("How many there are of each day", &picture));
        }
        if list {
            text.push_str(&section("Each of them", &there::list(self)));
        }
        let others = self.others();
        if !others.is_empty() {
            text.push_str(&section("Made by others: Muster deletes none of them", &others));
        }
        text
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.situation.kill_switch {
            warnings.push("The kill switch is set: nothing is taken, copied or deleted until it is cleared.".to_owned());
        }
        for place in &self.situation.unread {
            warnings.push(format!("{place} could not be read to the end: nothing is taken, copied into or deleted there."));
        }
        warnings
    }

    /// What the plan names and Muster does not make.
    fn others(&self) -> String {
        let rows = self.plan.backups.iter().filter(|backup| !backup.method.is_made_by_muster());
        let rows = rows.map(|backup| {
            let what = match &backup.method {
                BackupMethod::AutomatedBackups => "RDS's automated backups".to_owned(),
                BackupMethod::S3Objects { bucket, prefix, .. } => format!("s3://{bucket}/{}", prefix.as_deref().unwrap_or("")),
                BackupMethod::External { location } => format!("{location}: recorded only"),
                BackupMethod::DatabaseSnapshot | BackupMethod::CacheSnapshot { .. } | BackupMethod::SnapshotExport { .. } => String::new(),
            };
            let fresh = backup.max_age.map(|age| format!("; late when older than {age}")).unwrap_or_default();
            vec![(PLAIN, backup.name.to_string()), (PLAIN, format!("{what}{fresh}"))]
        });
        table(2, &rows.collect::<Vec<_>>())
    }

    /// What becomes of each point at once, with the point.
    fn fates(&self) -> Vec<(&RecoveryPoint, Fate)> {
        self.situation.points.iter().zip(decide(&self.situation, &self.rules, self.now).fates).collect()
    }
}

fn section(title: &str, body: &str) -> String {
    format!("\n{}\n{body}", paint(STRONG, title))
}

/// `3 backups`, or `none`.
fn some(number: usize, what: &str) -> String {
    if number == 0 { "none".to_owned() } else { count(number as u64, what) }
}
