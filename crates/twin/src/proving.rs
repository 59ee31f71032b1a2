//! A restore test by its real state machine, from the order to the last clone that is swept, with something that goes wrong or nothing.
//!
//! Beside it run what the stack's schedules run: the janitor and the sweep. Nobody answers a hold. Modelled and not: see `clones.rs`.

use std::collections::BTreeMap;
use std::rc::Rc;

use muster_core::{Duration, RunId};
use muster_plan::RegionRole;
use muster_report::Report;
use serde_json::json;

use crate::builds::BuildFault;
use crate::clock::{self, Sleepers, VirtualClock};
use crate::clones::CloneFault;
use crate::estate::Estate;
use crate::functions::Functions;
use crate::invariants::Violation;
use crate::objects::ObjectFault;
use crate::rehearse::{BEGINNING, Rehearser};
use crate::scenario::Scenario;
use crate::scheduled::SCHEDULE;
use crate::story::Story;
use crate::world::Twin;

const RESTORE_TEST: &str = "restore-test";
/// It is watched for so long: longer than a run, its holds and its clones' leases.
const WATCHED: Duration = Duration::from_hours(20);

/// What goes wrong in a restore test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Something with clones, from the beginning on, for so long.
    With(CloneFault, Duration),
    /// Something with the builds that load dumps, from the beginning on, for so long.
    Loading(BuildFault, Duration),
    /// Something with a backup that others write, or with its bucket, by the plan's name, from so long before the beginning on until it.
    Written(ObjectFault, &'static str, Duration),
    /// The execution is stopped in the console so long after the order.
    Stopped(Duration),
    /// Somebody deletes every copy so long after the order.
    CopiesGone(Duration),
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Proving {
    /// The reports of all runs, by run.
    pub reports: BTreeMap<RunId, Report>,
    /// How many clones were made, deleted, and are still there.
    pub clones: (u64, u64, usize),
    /// How many builds were started, and are still at work.
    pub builds: (usize, usize),
    /// How many snapshots are still marked as used.
    pub marks: usize,
    /// How often a run held for a person.
    pub held: u64,
    /// The events of the longest execution.
    pub longest_history: u64,
    /// When the last clone was gone, since the order.
    pub gone_after: Option<Duration>,
    /// What must never happen, and did.
    pub violation: Option<Violation>,
}

impl Rehearser {
    /// Runs one restore test of parts of the plan, with the copies that the schedules would have made to restore from. A seed decides every duration.
    pub fn prove(&self, seed: u64, parts: &[&str], troubles: &[Trouble]) -> Proving {
        let sleepers = Rc::new(Sleepers::default());
        clock::run(&sleepers, self.test(seed, parts, troubles, VirtualClock::new(BEGINNING, sleepers.clone())))
    }

    async fn test(&self, seed: u64, parts: &[&str], troubles: &[Trouble], clock: VirtualClock) -> Proving {
        let scenario = Scenario::quiet(seed);
        let mut estate = Estate::new(self.plan(), self.sha256(), &scenario, BEGINNING);
        estate.story = Story::untold();
        estate.put_history();
        for trouble in troubles {
            match trouble {
                Trouble::With(fault, span) => estate.clones.faults.push((*fault, BEGINNING, BEGINNING.after(*span))),
                Trouble::Loading(fault, span) => estate.builds.faults.push((*fault, BEGINNING, BEGINNING.after(*span))),
                Trouble::Written(fault, name, span) => estate.objects.faults.push((*fault, (*name).to_owned(), BEGINNING.before(*span), BEGINNING)),
                Trouble::Stopped(_) | Trouble::CopiesGone(_) => {}
            }
        }
        let twin = Twin::on(estate, clock);
        let functions = Functions::new(twin.clone());
        let machines = self.step_functions(&scenario, &twin, &functions);
        twin.set_engine(machines.clone());
        machines.start(RESTORE_TEST, None, json!({"service": self.plan().service, "by": "schedule", "reason": "a drill", "parts": parts}));
        let (mut elapsed, mut gone_after) = (Duration::ZERO, None);
        while elapsed < WATCHED && twin.look(|estate| estate.guard.violation().is_none()) {
            for trouble in troubles {
                match trouble {
                    Trouble::Stopped(after) if elapsed == *after => {
                        for execution in machines.running(RESTORE_TEST) {
                            let _ = machines.functions.stop_execution(&execution, Some("Console"), Some("stopped by an operator"));
                        }
                    }
                    Trouble::CopiesGone(after) if elapsed == *after => twin.look(|estate| estate.snapshots.there.clear()),
                    _ => {}
                }
            }
            if elapsed.as_millis().is_multiple_of(SCHEDULE.as_millis()) {
                for function in ["janitor", "sweep-clones"] {
                    functions.start(RegionRole::Standby, function, &muster_asl::Value::from(json!({})));
                }
            }
            twin.sleep(Duration::from_mins(1)).await;
            elapsed = elapsed.saturating_add(Duration::from_mins(1));
            twin.look(Estate::check_leases);
            let (made, there) = twin.look(|estate| (estate.clones.made, estate.clones.at(estate.now()).count()));
            gone_after = if made > 0 && there == 0 { gone_after.or(Some(elapsed)) } else { None };
        }
        let still_running = machines.any_running();
        let longest_history = machines.longest_history();
        twin.release_engine();
        twin.look(|estate| {
            if estate.guard.violation().is_none() {
                estate.check_end(&BTreeMap::new(), still_running);
            }
            Proving {
                reports: estate.memory.reports.clone(),
                clones: (estate.clones.made, estate.clones.deleted, estate.clones.at(estate.now()).count()),
                builds: (estate.builds.there.len(), estate.builds_at_work()),
                marks: estate.snapshots.there.values().filter(|stored| stored.tags.contains_key("muster:used-by")).count(),
                held: estate.guard.held(),
                longest_history,
                gone_after,
                violation: estate.guard.violation().cloned(),
            }
        })
    }
}
