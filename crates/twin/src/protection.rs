//! A plan's backups over months: the real state machine, started by the plan's schedules, while things go wrong for hours and days.
//!
//! What has to hold, besides the invariants: whatever is late in truth, Muster has said so by its metric within two hours. Half of the holds are answered
//! (`people.rs`): what a run leaves out, the next one makes up for. Modelled and not: see `snapshots.rs` and `objects.rs`.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use muster_actions::{BACKUP_PROBLEMS, BACKUP_TAG, NAMESPACE};
use muster_backups::{Expectation, Place, Rules, expectations};
use muster_core::ports::SnapshotStatus;
use muster_core::{Duration, Lane, Timestamp};
use muster_plan::{Backup, Plan, Schedule};
use serde_json::json;

use crate::clock::{self, Sleepers, VirtualClock};
use crate::draw::Draw;
use crate::estate::Estate;
use crate::functions::Functions;
use crate::invariants::Violation;
use crate::machines::StateMachines;
use crate::people;
use crate::rehearse::{BEGINNING, Rehearser};
use crate::scenario::Scenario;
use crate::snapshots::SnapshotFault;
use crate::story::Story;
use crate::world::Twin;

const BACKUP: &str = "backup";
const HOUR: Duration = Duration::from_hours(1);
/// Every hour a run makes up for what was missed, and verifies; it has the next hour for that.
const TO_SAY_SO: Duration = Duration::from_hours(2);
/// A run may take two days, and hold for a person then.
const LONGEST_RUN_HOURS: u64 = 3 * 24;
/// An execution that ended longer ago is forgotten: its run is closed and counted by then, and nothing asks for it any more.
const REMEMBERED: Duration = Duration::from_hours(24 * 7);
/// The last weeks are quiet: everything has to be made good by then.
const QUIET: Duration = Duration::from_hours(24 * 21);

/// How it went.
#[derive(Clone, Debug)]
pub struct Protection {
    /// The seed.
    pub seed: u64,
    /// Runs, by their outcome.
    pub runs: BTreeMap<Arc<str>, u64>,
    /// What went wrong, in words, in its order.
    pub faults: Vec<String>,
    /// How many snapshots and copies were made.
    pub made: u64,
    /// How many were deleted.
    pub deleted: u64,
    /// How often a run held for a person.
    pub held: u64,
    /// For how long something was late, all in all, and Muster said so.
    pub late: Duration,
    /// What was late, and Muster did not say so, in words.
    pub unsaid: Vec<String>,
    /// What must never happen, and did.
    pub violation: Option<Violation>,
    /// What is missing or too much after the quiet weeks, in words.
    pub left: Vec<String>,
}

impl Protection {
    /// Whether everything held.
    pub fn is_sound(&self) -> bool {
        self.violation.is_none() && self.unsaid.is_empty() && self.left.is_empty()
    }
}

impl Rehearser {
    /// Lets so many days of backups pass; a seed decides what goes wrong when.
    pub fn protect(&self, seed: u64, days: u64) -> Protection {
        let sleepers = Rc::new(Sleepers::default());
        clock::run(&sleepers, self.live(seed, days, VirtualClock::new(BEGINNING, sleepers.clone())))
    }

    async fn live(&self, seed: u64, days: u64, clock: VirtualClock) -> Protection {
        let scenario = Scenario::quiet(seed);
        let mut estate = Estate::new(self.plan(), self.sha256(), &scenario, BEGINNING);
        estate.story = Story::untold();
        let until = BEGINNING.after(HOUR.times(24 * days));
        estate.snapshots.faults = faults(self.plan(), seed, until);
        estate.objects.periods = seldom(self.plan());
        let twin = Twin::on(estate, clock);
        let functions = Functions::new(twin.clone());
        let machines = self.step_functions(&scenario, &twin, &functions);
        twin.set_engine(machines.clone());
        people::attend(&twin, &functions, Draw::new(seed));
        let mut watch = Watch::of(self.plan(), &twin);
        let schedules: Vec<Schedule> = Rules::of(self.plan()).lines.into_iter().filter_map(|line| line.every).chain([Schedule::Every(HOUR)]).collect();
        while twin.now() < until && twin.look(|estate| estate.guard.violation().is_none()) {
            let next = schedules.iter().filter_map(|schedule| schedule.next_after(twin.now())).min().unwrap_or(until);
            twin.sleep(next.since(twin.now())).await;
            watch.look();
            machines.forget_ended_before(twin.now().before(REMEMBERED));
            machines.start(BACKUP, None, json!({"service": self.plan().service, "by": "schedule", "reason": "a slot"}));
        }
        watch.look();
        // The last run has its time.
        for _ in 0..LONGEST_RUN_HOURS {
            if machines.any_running() && twin.look(|estate| estate.guard.violation().is_none()) {
                twin.sleep(HOUR).await;
            }
        }
        let protection = watch.end(seed, &machines);
        twin.release_engine();
        protection
    }
}

/// What others write all the time, they write about as rarely as they may: every hour of a year somebody lists all of it.
fn seldom(plan: &Plan) -> Vec<(String, Duration)> {
    let rarely = |backup: &Backup| Some((backup.name.to_string(), Duration::from_millis(backup.max_age?.as_millis() / 10 * 9)));
    plan.backups.iter().filter(|backup| backup.every.is_none()).filter_map(rarely).collect()
}

/// What goes wrong: every other week something, for hours or for days; the last weeks are quiet.
fn faults(plan: &Plan, seed: u64, until: Timestamp) -> Vec<(SnapshotFault, Timestamp, Timestamp)> {
    let draw = Draw::new(seed);
    let (here, there) = (&plan.regions.primary, &plan.regions.standby);
    let sources: Vec<Arc<str>> = plan.databases.iter().map(|database| database.primary.as_str().into()).collect();
    let mut faults = Vec::new();
    for ordinal in 0.. {
        let number = |what: &str, bound: u64| draw.below("backups", what, ordinal, bound);
        let from = BEGINNING.after(HOUR.times(14 * 24 * ordinal + number("from", 13 * 24)));
        let span = HOUR.times(1 + number("span", 60));
        if from.after(span).after(QUIET) > until {
            break;
        }
        let region = |what: &str| if number(what, 2) == 0 { here } else { there }.clone();
        let fault = match number("fault", 9) {
            0 => SnapshotFault::QuotaReached(region("quota")),
            1 => SnapshotFault::KeyDisabled(there.clone()),
            2 => SnapshotFault::CopiesFail(there.clone()),
            3 => SnapshotFault::SnapshotsFail,
            4 if !sources.is_empty() => SnapshotFault::SourceGone(sources[usize::try_from(number("source", sources.len() as u64)).unwrap_or(0)].clone()),
            5 => SnapshotFault::Denied(region("denied")),
            6 => SnapshotFault::EmptyListing(region("empty")),
            7 => SnapshotFault::Throttled(region("throttled")),
            _ => SnapshotFault::AppliedWithoutAnswer(region("unanswered")),
        };
        faults.push((fault, from, from.after(span)));
    }
    faults
}

/// Whoever looks at what is really there.
struct Watch {
    twin: Rc<Twin>,
    plan: Arc<Plan>,
    /// What Muster takes and copies on a schedule, by region.
    expected: Vec<Expectation>,
    late_since: BTreeMap<(String, Place), Timestamp>,
    late: Duration,
    unsaid: Vec<String>,
    runs: BTreeMap<Arc<str>, u64>,
    held: u64,
}

impl Watch {
    fn of(plan: &Arc<Plan>, twin: &Rc<Twin>) -> Self {
        let rules = Rules::of(plan);
        let is_made = |expected: &Expectation| {
            (expected.place.bucket.is_none() || expected.archive.is_some())
                && expected.place.account.is_none()
                && rules.lines.iter().any(|line| line.name == expected.backup && line.every.is_some())
        };
        let expected = expectations(plan).into_iter().filter(is_made).collect();
        Watch {
            twin: twin.clone(),
            plan: plan.clone(),
            expected,
            late_since: BTreeMap::new(),
            late: Duration::ZERO,
            unsaid: Vec::new(),
            runs: BTreeMap::new(),
            held: 0,
        }
    }

    fn look(&mut self) {
        let now = self.twin.now();
        let said = self.twin.look(|estate| {
            let published = estate.published(&estate.plan.regions.standby, NAMESPACE, BACKUP_PROBLEMS);
            published.and_then(|points| points.last().copied()).is_some_and(|last| last.milli > 0 && now.since(last.at) <= TO_SAY_SO)
        });
        for expected in &self.expected {
            let newest = self.twin.look(|estate| estate.newest(expected, now));
            let at_most = expected.at_most.unwrap_or(Duration::from_millis(u64::MAX));
            let began = self.twin.look(|estate| estate.started_at);
            let key = (expected.backup.to_string(), expected.place.clone());
            if now.since(newest.unwrap_or(began)) <= at_most {
                self.late_since.remove(&key);
                continue;
            }
            let since = *self.late_since.entry(key).or_insert(now);
            match now.since(since) > TO_SAY_SO && !said {
                true => self.unsaid.push(format!("{} in {} is late at {now}, and Muster did not say so", expected.backup, expected.place)),
                false => self.late = self.late.saturating_add(HOUR),
            }
        }
        self.close_the_books();
    }

    /// Every run that is closed has its report; and is forgotten, since nobody reads thousands of them here.
    fn close_the_books(&mut self) {
        let service: Arc<str> = self.plan.service.as_str().into();
        self.twin.look(|estate| {
            let open = estate.memory.lane(&service, Lane::Protect).open.map(|open| open.run.id);
            let closed: Vec<_> = estate.memory.ledger.keys().filter(|run| open.as_ref() != Some(run)).cloned().collect();
            for run in closed {
                match estate.memory.reports.remove(&run) {
                    Some(report) => *self.runs.entry(report.summary.outcome.as_str().into()).or_insert(0) += 1,
                    None => estate.violate(7, format!("{run} has no report")),
                }
                estate.memory.ledger.remove(&run);
                estate.memory.notes.remove(&run.0);
                estate.memory.questions.retain(|(of, _), _| *of != run);
            }
            self.held = estate.guard.held();
            estate.memory.delivered.clear();
        });
    }

    fn end(mut self, seed: u64, machines: &StateMachines) -> Protection {
        let still_running = machines.any_running();
        self.close_the_books();
        let now = self.twin.now();
        let assumed = muster_backups::assumed(&Rules::of(&self.plan), now);
        let mut left = Vec::new();
        for expected in self.expected.iter().filter(|expected| expected.archive.is_none()) {
            let is_wanted = |point: &&muster_backups::RecoveryPoint| {
                point.place == expected.place && point.backup.as_ref() == Some(&expected.backup) && point.taken_at >= BEGINNING
            };
            let wanted = assumed.iter().filter(is_wanted).count();
            let there = self.twin.look(|estate| estate.points_of(expected).count());
            // One that has just been taken or is about to go makes no difference.
            if there.abs_diff(wanted) > 3 {
                left.push(format!("{} in {}: {there} are there, and {wanted} are wanted", expected.backup, expected.place));
            }
        }
        self.twin.look(|estate| {
            if estate.guard.violation().is_none() {
                estate.check_end(&BTreeMap::new(), still_running);
            }
            Protection {
                seed,
                runs: self.runs,
                faults: estate.snapshots.faults.iter().map(|(fault, from, until)| format!("{from} to {until}: {fault:?}")).collect(),
                made: estate.snapshots.made,
                deleted: estate.snapshots.deleted,
                held: self.held,
                late: self.late,
                unsaid: self.unsaid,
                violation: estate.guard.violation().cloned(),
                left,
            }
        })
    }
}

impl Estate {
    /// What is really there of a backup in a place, whatever listings say.
    fn points_of<'a>(&'a self, expected: &'a Expectation) -> impl Iterator<Item = &'a crate::snapshots::Stored> {
        let here = move |place: &muster_core::ports::SnapshotPlace| place.region == expected.place.region && place.bucket.is_none() && place.account.is_none();
        let of_backup = move |stored: &&crate::snapshots::Stored| stored.tags.get(BACKUP_TAG).is_some_and(|backup| expected.backup == **backup);
        self.snapshots.there.iter().filter(move |((place, _), _)| here(place)).map(|(_, stored)| stored).filter(of_backup)
    }

    fn newest(&self, expected: &Expectation, now: Timestamp) -> Option<Timestamp> {
        if let (Some(_), Some(stem)) = (&expected.archive, &expected.prefix) {
            return self.newest_export(stem, now);
        }
        self.points_of(expected).filter(|stored| stored.status(now) == SnapshotStatus::Available).map(|stored| stored.taken_at).max()
    }
}
