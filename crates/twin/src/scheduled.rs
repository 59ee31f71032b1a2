//! A flow that schedules start, `backup` or `restore-test`, under a scenario's faults: what a systematic simulation goes through.
//!
//! The first execution is the one that is tried. Beside and after it runs what the stack's schedules run: the janitor and the sweep every five minutes,
//! and an execution of `backup` an hour, which makes up for what the first one left. Nobody answers a hold.

use std::sync::Arc;

use muster_actions::{BACKUP_TAG, LEGAL_HOLD_TAG, SERVICE_TAG, SLOT_TAG, source_of, unbuilt_restores};
use muster_backups::{Rules, assumed};
use muster_core::ports::SnapshotPlace;
use muster_core::{Duration, Timestamp};
use muster_plan::{Flow, PartReference, Plan, RegionRole};
use serde_json::json;

use crate::clock::VirtualClock;
use crate::console::Console;
use crate::estate::Estate;
use crate::functions::Functions;
use crate::outcome::Rehearsal;
use crate::rehearse::{Onlooker, Rehearser, came_to, record_events};
use crate::scenario::Scenario;
use crate::snapshots::Stored;
use crate::world::Twin;

/// How often the stack's schedules call the janitor and the sweep.
pub(crate) const SCHEDULE: Duration = Duration::from_mins(5);
const HOUR: Duration = Duration::from_hours(1);
/// A morning of backups: whatever the first run left is made up for long before its end.
const MORNING: Duration = Duration::from_hours(7);
/// Longer than a restore test, its holds and its clones' leases.
const TEST: Duration = Duration::from_hours(20);

/// The flows that schedules start for a plan, each of which a systematic simulation can go through.
pub fn scheduled_flows(plan: &Plan) -> Vec<Flow> {
    let takes = Rules::of(plan).lines.iter().any(|line| line.every.is_some());
    let proves = plan.restore_tested().into_iter().any(|of| unbuilt_restores(plan, std::slice::from_ref(of)).is_empty());
    [(Flow::Backup, takes), (Flow::RestoreTest, proves)].into_iter().filter(|(_, has)| *has).map(|(flow, _)| flow).collect()
}

impl Rehearser {
    pub(crate) async fn follow_schedule(&self, scenario: &Scenario, clock: VirtualClock, onlooker: Onlooker<'_>) -> Rehearsal {
        let Onlooker { story, mut watch, record } = onlooker;
        let mut estate = Estate::new(self.plan(), self.sha256(), scenario, crate::rehearse::BEGINNING);
        estate.story = story;
        estate.put_history();
        if record.is_some() {
            estate.made = Some(crate::calls_made::CallsMade::default());
        }
        let twin = Twin::on(estate, clock);
        let functions = Functions::new(twin.clone());
        let machines = self.step_functions(scenario, &twin, &functions);
        twin.set_engine(machines.clone());
        let events = record.is_some().then(|| record_events(&machines, scenario.flow));
        let console = Console::attend(scenario, &twin, &machines, self.plan());
        let flow = scenario.flow.as_str();
        let order = || json!({"service": self.plan().service, "by": "schedule", "reason": "a slot"});
        // Calls count from the incident on.
        let first = twin.look(|estate| estate.incident_at).since(twin.now());
        twin.sleep(first).await;
        machines.start(flow, None, order());
        let tried = machines.running(flow);
        let (mut elapsed, mut recorded) = (Duration::ZERO, None);
        let watched = if scenario.flow == Flow::Backup { MORNING } else { TEST };
        while elapsed < watched && twin.look(|estate| estate.guard.violation().is_none()) {
            let is_every = |span: Duration| elapsed.as_millis().is_multiple_of(span.as_millis());
            if is_every(SCHEDULE) {
                for function in ["janitor", "sweep-clones"] {
                    functions.start(RegionRole::Standby, function, &muster_asl::Value::from(json!({})));
                }
            }
            if scenario.flow == Flow::Backup && is_every(HOUR) && !elapsed.is_zero() {
                machines.start(flow, None, order());
            }
            twin.sleep(Duration::from_mins(1)).await;
            elapsed = elapsed.saturating_add(Duration::from_mins(1));
            twin.look(Estate::check_leases);
            if let Some(watch) = &mut watch {
                twin.look(|estate| estate.story.take_unseen()).into_iter().for_each(&mut **watch);
            }
            let is_tried = !machines.running(flow).iter().any(|execution| tried.contains(execution));
            // What comes after it is what makes up for it.
            if let (Some(events), None, true) = (&events, &recorded, is_tried) {
                recorded = Some((twin.look(|estate| estate.made.take()).unwrap_or_default(), events.take()));
            }
            let is_over = scenario.flow == Flow::RestoreTest && is_tried && !machines.any_running() && !console.is_busy();
            if is_over && twin.look(|estate| estate.memory.open_runs().is_empty() && estate.clones.at(estate.now()).next().is_none() && !estate.has_marks()) {
                break;
            }
        }
        if let (Some(record), Some((calls, events))) = (record, recorded) {
            (record.calls, record.events) = (calls, events);
        }
        came_to(&twin, scenario, machines.longest_history(), machines.any_running())
    }
}

impl Estate {
    /// What the schedules would have made until now; and of each source one that somebody else made, and one under legal hold.
    pub(crate) fn put_history(&mut self) {
        let (plan, now) = (self.plan.clone(), self.now());
        let rules = Rules::of(&plan);
        let text = |text: &str| Arc::<str>::from(text);
        let mut put = |of: &PartReference, place: SnapshotPlace, name: &str, taken_at: Timestamp, kms_key: Option<&str>, tags: Vec<(&str, String)>| {
            let Some(source) = source_of(&plan, of) else { return };
            let tags = tags.into_iter().map(|(name, value)| (text(name), text(&value))).collect();
            let stored = Stored { source, taken_at, ready_at: taken_at, fails: false, kms_key: kms_key.map(text), tags };
            self.snapshots.there.insert((place, text(name)), stored);
        };
        for point in assumed(&rules, now) {
            let place = SnapshotPlace { region: point.place.region.clone(), account: None, bucket: point.place.bucket.as_deref().map(text) };
            let destination = rules.line_of(&point).and_then(|line| line.at(&point.place));
            let key = destination.filter(|destination| destination.from.is_some()).map(|destination| destination.kms_key.as_deref().unwrap_or("default"));
            let backup = point.backup.as_ref().map(ToString::to_string).unwrap_or_default();
            let slot = point.slot.map(|slot| slot.to_string()).unwrap_or_default();
            let tags = vec![(SERVICE_TAG, plan.service.to_string()), (BACKUP_TAG, backup), (SLOT_TAG, slot)];
            put(&point.of, place, &point.name, point.taken_at, key, tags);
        }
        let old = now.before(Duration::from_hours(24 * 900));
        for line in &rules.lines {
            let place = || SnapshotPlace { region: plan.regions.primary.clone(), account: None, bucket: None };
            let ours = [(SERVICE_TAG, plan.service.to_string()), (BACKUP_TAG, line.name.to_string())];
            let held = ours.into_iter().chain([(LEGAL_HOLD_TAG, "Counsel: a matter".to_owned())]).collect();
            put(&line.of, place(), &format!("{}-somebodys", line.name), old, None, Vec::new());
            put(&line.of, place(), &format!("{}-held", line.name), old, None, held);
        }
    }

    /// Whether anything marks a snapshot as used.
    fn has_marks(&self) -> bool {
        self.snapshots.there.values().any(|stored| stored.tags.contains_key(muster_actions::USED_BY_TAG))
    }
}
