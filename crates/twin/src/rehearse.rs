//! A rehearsal: the real state machines and the real actions, on the twin, from normal life to the end of the last run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use muster_asl::{Config, HistoryMode, LoadErrors, Machine, StepFunctions};
use muster_core::{Duration, RunId, Timestamp};
use muster_plan::{Flow, Plan};

use crate::calls_made::CallsMade;
use crate::clock::{self, Sleepers, VirtualClock};
use crate::console::Console;
use crate::estate::Estate;
use crate::functions::{Functions, Invoker};
use crate::machines::{self, StateMachines};
use crate::outcome::Rehearsal;
use crate::scenario::{Scenario, When};
use crate::schedules::{REGION_FAILOVER, Schedules, TICK};
use crate::story::{Event, Story};
use crate::world::Twin;

/// When every rehearsal begins: 02:00 UTC, as outages do.
pub(crate) const BEGINNING: Timestamp = Timestamp::from_millis(1_793_584_800_000);
/// A rehearsal in which nothing starts a run ends so long after the incident.
const NOTHING_HAPPENS: Duration = Duration::from_mins(25);
/// The janitor looks every five minutes, and waits for calls that may be under way: it has this long.
const JANITOR: Duration = Duration::from_mins(15);
/// After the last fault of the scenario, the estate is watched for this long.
const AFTERWARDS: Duration = Duration::from_mins(4);
/// A run that nobody closed: the schedule answers the alarm that still stands, for which it needs a look or two.
const ABANDONED: Duration = Duration::from_mins(5);
/// Everything must have been quiet for so long: the schedule may still start another run.
const LULL: Duration = Duration::from_mins(2);
/// Holds and their answers may come on top of a run's deadline.
const SLACK: Duration = Duration::from_hours(12);

/// What a systematic simulation goes through: every call, and every point at which the execution can be cut off.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// The calls since the incident.
    pub calls: CallsMade,
    /// The history of the flow: each event with the state that was entered last.
    pub events: Vec<String>,
}

/// Who looks on.
#[derive(Default)]
pub(crate) struct Onlooker<'a> {
    pub(crate) story: Story,
    pub(crate) watch: Option<&'a mut dyn FnMut(Event)>,
    pub(crate) record: Option<&'a mut Recording>,
}

/// Runs rehearsals of one plan. Loading the state machines is the dear part: keep it for many seeds.
pub struct Rehearser {
    plan: Arc<Plan>,
    sha256: Arc<str>,
    machines: Vec<(&'static str, Machine)>,
}

impl Rehearser {
    /// Loads the state machines.
    ///
    /// # Errors
    /// Every problem of a state machine.
    pub fn new(plan: &Arc<Plan>) -> Result<Self, LoadErrors> {
        Ok(Rehearser { plan: plan.clone(), sha256: plan.digest().into(), machines: machines::load(&plan.regions.standby)? })
    }

    /// The plan.
    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The plan's digest.
    pub(crate) fn sha256(&self) -> Arc<str> {
        self.sha256.clone()
    }

    /// Rehearses one scenario.
    pub fn run(&self, scenario: &Scenario) -> Rehearsal {
        let rehearsal = self.rehearse(scenario, Onlooker { story: Story::untold(), ..Onlooker::default() });
        if rehearsal.violation.is_none() {
            return rehearsal;
        }
        // What led to a violation is wanted, and the same happens again.
        self.rehearse(scenario, Onlooker::default())
    }

    /// Rehearses one scenario, and shows what happens while it does.
    pub fn watch(&self, scenario: &Scenario, watch: &mut dyn FnMut(Event)) -> Rehearsal {
        self.rehearse(scenario, Onlooker { story: Story::watched(), watch: Some(watch), record: None })
    }

    /// Rehearses one scenario, and writes down what a systematic simulation goes through.
    pub fn record(&self, scenario: &Scenario) -> (Rehearsal, Recording) {
        let mut recording = Recording::default();
        let rehearsal = self.rehearse(scenario, Onlooker { record: Some(&mut recording), ..Onlooker::default() });
        (rehearsal, recording)
    }

    fn rehearse(&self, scenario: &Scenario, onlooker: Onlooker<'_>) -> Rehearsal {
        // A clock of its own for each run: it starts at the beginning, and nothing is left over from another.
        let sleepers = Rc::new(Sleepers::default());
        let clock = VirtualClock::new(BEGINNING, sleepers.clone());
        match scenario.flow {
            Flow::RegionFailover => clock::run(&sleepers, self.drive(scenario, clock, onlooker)),
            _ => clock::run(&sleepers, self.follow_schedule(scenario, clock, onlooker)),
        }
    }

    async fn drive(&self, scenario: &Scenario, clock: VirtualClock, onlooker: Onlooker<'_>) -> Rehearsal {
        let Onlooker { story, mut watch, record } = onlooker;
        let mut estate = Estate::new(&self.plan, self.sha256.clone(), scenario, BEGINNING);
        estate.story = story;
        if record.is_some() {
            estate.made = Some(CallsMade::default());
        }
        let twin = Twin::on(estate, clock);
        let functions = Functions::new(twin.clone());
        let state_machines = self.step_functions(scenario, &twin, &functions);
        twin.set_engine(state_machines.clone());
        let events = record.is_some().then(|| record_events(&state_machines, scenario.flow));
        let console = Console::attend(scenario, &twin, &state_machines, &self.plan);

        let mut schedules = Schedules::new(&twin, &functions, &state_machines, &self.plan);
        let mut end = End::of(scenario, &self.plan, &twin);
        // The minute schedules fire at a second of their own.
        let first = twin.look(|estate| estate.durations.within_a_minute("schedules"));
        twin.sleep(first).await;
        loop {
            schedules.tick();
            let over = tokio::select! {
                biased;
                () = twin.violated.notified() => true,
                () = twin.sleep(TICK) => end.is_reached(&twin, &state_machines, &console),
            };
            if let Some(watch) = &mut watch {
                twin.look(|estate| estate.story.take_unseen()).into_iter().for_each(&mut **watch);
            }
            if over {
                break;
            }
        }
        let still_running = state_machines.any_running();
        if let Some(record) = record {
            record.calls = twin.look(|estate| estate.made.take()).unwrap_or_default();
            record.events = events.map(|events| events.take()).unwrap_or_default();
        }
        came_to(&twin, scenario, state_machines.longest_history(), still_running)
    }

    pub(crate) fn step_functions(&self, scenario: &Scenario, twin: &Rc<Twin>, functions: &Rc<Functions>) -> Rc<StateMachines> {
        let mut config = Config::new(twin.clock(), Rc::new(Invoker(functions.clone())));
        config.seed = scenario.seed;
        config.region = self.plan.regions.standby.to_string();
        config.history = HistoryMode::Off;
        let step_functions = StepFunctions::new(config);
        for (flow, machine) in &self.machines {
            step_functions.register(flow, machine.clone());
        }
        let observed = Rc::downgrade(twin);
        step_functions.observe_entries(move |execution, state| {
            let Some(twin) = observed.upgrade() else { return };
            let at = twin.now();
            twin.look(|estate| {
                estate.story.tell(|| Event::Phase { at, execution: execution.rsplit(':').nth(1).unwrap_or(execution).into(), state: state.into() });
            });
        });
        StateMachines::new(step_functions)
    }
}

/// Rehearses one scenario. For many, make a [`Rehearser`] and keep it, or use [`rehearse_many`].
///
/// # Errors
/// Every problem of a state machine.
pub fn rehearse(plan: &Arc<Plan>, scenario: &Scenario, watch: &mut dyn FnMut(Event)) -> Result<Rehearsal, LoadErrors> {
    Ok(Rehearser::new(plan)?.watch(scenario, watch))
}

/// Rehearses a scenario per seed on `threads` threads, and hands over each rehearsal in the order of the seeds. At most
/// a few rehearsals per thread wait at any time.
///
/// # Errors
/// Every problem of a state machine.
pub fn rehearse_many(
    plan: &Arc<Plan>,
    seeds: Range<u64>,
    threads: usize,
    scenario: impl Fn(u64) -> Scenario + Sync,
    mut fold: impl FnMut(Rehearsal),
) -> Result<(), LoadErrors> {
    if threads <= 1 {
        // Without another thread, memory is given and taken without locks.
        let rehearser = Rehearser::new(plan)?;
        seeds.for_each(|seed| fold(rehearser.run(&scenario(seed))));
        return Ok(());
    }
    // Problems are found here, once, and not on every thread.
    machines::load(&plan.regions.standby)?;
    std::thread::scope(|scope| {
        let mut results = Vec::with_capacity(threads);
        for thread in 0..threads {
            let (sender, receiver) = std::sync::mpsc::sync_channel(4);
            results.push(receiver);
            let (scenario, seeds) = (&scenario, seeds.clone());
            scope.spawn(move || {
                let Ok(rehearser) = Rehearser::new(plan) else { return };
                for seed in seeds.skip(thread).step_by(threads) {
                    if sender.send(rehearser.run(&scenario(seed))).is_err() {
                        return;
                    }
                }
            });
        }
        for (index, _) in seeds.enumerate() {
            match results[index % threads].recv() {
                Ok(rehearsal) => fold(rehearsal),
                Err(_) => return,
            }
        }
    });
    Ok(())
}

/// Each event of a flow's executions, as it happens, with the state that was entered last.
pub(crate) fn record_events(machines: &Rc<StateMachines>, flow: Flow) -> Rc<RefCell<Vec<String>>> {
    let events = Rc::new(RefCell::new(Vec::new()));
    let (written, entered) = (events.clone(), RefCell::new(String::new()));
    let flow = format!(":{}:", flow.as_str());
    machines.functions.observe(move |execution, event| {
        if execution.contains(&flow) {
            if let (true, Some(state)) = (event.event_type().ends_with("Entered"), event.state_name()) {
                *entered.borrow_mut() = state.to_owned();
            }
            written.borrow_mut().push(format!("{} in {}", event.event_type(), entered.borrow()));
        }
    });
    events
}

/// What a rehearsal came to, once the invariants have looked at its end.
pub(crate) fn came_to(twin: &Twin, scenario: &Scenario, longest_history: u64, still_running: bool) -> Rehearsal {
    // The engine holds the functions, and these hold the twin: nothing of a run outlives it.
    twin.release_engine();
    twin.look(|estate| {
        estate.effort.longest_history = longest_history;
        if estate.guard.violation().is_none() {
            estate.check_end(&runs(estate), still_running);
        }
        estate.conclude(scenario)
    })
}

/// Every run that is open or has written into its ledger.
pub(crate) fn runs(estate: &Estate) -> BTreeMap<Arc<str>, RunId> {
    let ledger = estate.memory.ledger.keys().map(|run| (run.0.clone(), run.clone()));
    let open = estate.memory.open_runs().into_iter().map(|open| (open.run.id.0.clone(), open.run.id));
    ledger.chain(open).collect()
}

/// When a rehearsal is over.
struct End {
    /// Not before: the scenario has faults until then.
    earliest: Timestamp,
    /// Then, if nothing has started a run.
    nothing: Timestamp,
    /// Then at the latest.
    latest: Timestamp,
    /// Since when everything has ended.
    quiet_since: Option<Timestamp>,
}

impl End {
    fn of(scenario: &Scenario, plan: &Plan, twin: &Rc<Twin>) -> Self {
        let incident_at = twin.look(|estate| estate.incident_at);
        let last = scenario.faults.iter().map(|planned| if let When::At(offset) = planned.when { offset } else { 0 }).max().unwrap_or(0);
        let last_fault = Timestamp::from_millis(incident_at.as_millis().saturating_add(last));
        End {
            earliest: last_fault.after(AFTERWARDS),
            nothing: incident_at.after(NOTHING_HAPPENS),
            latest: incident_at.after(plan.objectives.rto.times(2)).after(SLACK),
            quiet_since: None,
        }
    }

    fn is_reached(&mut self, twin: &Rc<Twin>, machines: &Rc<StateMachines>, console: &Console) -> bool {
        let now = twin.now();
        if now >= self.latest {
            return true;
        }
        if now < self.earliest || (machines.started(REGION_FAILOVER) == 0 && now < self.nothing) || machines.any_running() || console.is_busy() {
            self.quiet_since = None;
            return false;
        }
        let quiet_since = *self.quiet_since.get_or_insert(now);
        let (locked, settled) = twin.look(|estate| (!estate.memory.open_runs().is_empty(), estate.is_settled()));
        if twin.look(|estate| estate.memory.abandoned_at()).is_some_and(|at| now.since(at) < ABANDONED) {
            return false;
        }
        let waited = now.since(quiet_since);
        if locked { waited >= JANITOR } else { (settled && waited >= LULL) || waited >= JANITOR.times(2) }
    }
}

impl Estate {
    /// Whether names have reached every client, and nobody is about to answer anything.
    fn is_settled(&self) -> bool {
        let records = self.records.iter().all(|record| record.answers.current() == record.wanted && record.answers.settled_at() <= self.now);
        records && !self.queue.values().any(|change| matches!(change, crate::changes::Change::Answered { .. }))
    }
}
