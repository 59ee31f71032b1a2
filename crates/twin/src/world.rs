//! A handle on the estate for one invocation: implements every port.
//!
//! Every call goes the same way: may it begin, does a fault strike it, does anybody answer, how long does it take; then
//! its effect, at one instant; then the journal. So the ports themselves read as lists of effects.
//!
//! Calls to Muster's own tables take their time and can fail like all others, but are not journaled: the ledger is
//! about the service's estate, and appending to it would otherwise never end.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use muster_core::ports::ExecutionState;
use muster_core::{Call, CallError, CallFault, Clock, Duration, Journal, Journaled, Outcome, Plane, Progress, Region, Timestamp, admit};
use muster_plan::RegionRole;
use serde_json::Value;
use tokio::sync::Notify;

use crate::clock::VirtualClock;
use crate::durations::Table;
use crate::estate::Estate;
use crate::network::From;
use crate::story::Event;
use crate::strikes::{Strike, Struck};

/// An attempt's budget: every SDK client is set up so (design, time-outs).
pub const ATTEMPT: Duration = Duration::from_secs(3);
/// Nobody answers a connection within this.
pub const CONNECT: Duration = Duration::from_secs(1);

/// Whatever runs state machines: the rehearsal's interpreter, or nothing in tests of single actions.
pub trait Engine {
    /// The state of an execution, by its ARN.
    fn execution_state(&self, execution: &str) -> ExecutionState;
    /// Wakes a state that waits for a task token; `false` where nothing waits for it.
    fn wake(&self, token: &str, progress: &Progress) -> bool;
    /// Starts a flow.
    fn start_flow(&self, flow: &str, name: &str, input: &Value);
}

/// The estate and what runs on it. One per rehearsal.
pub struct Twin {
    estate: RefCell<Estate>,
    clock: Rc<VirtualClock>,
    engine: RefCell<Option<Rc<dyn Engine>>>,
    /// Invocations that are to be delivered once more.
    redeliver: RefCell<Vec<Arc<str>>>,
    /// Whether mutating calls ask [`admit`]: only tests of invariants switch it off.
    admission: Cell<bool>,
    pub(crate) violated: Notify,
}

impl Twin {
    /// The twin of an estate. Call it inside a runtime whose clock is paused; time begins with the estate's.
    pub fn new(estate: Estate) -> Rc<Self> {
        let clock = VirtualClock::of_tokio(estate.now());
        Twin::on(estate, clock)
    }

    /// The twin of an estate, whose time is a clock's.
    pub(crate) fn on(estate: Estate, clock: VirtualClock) -> Rc<Self> {
        Rc::new(Twin {
            clock: Rc::new(clock),
            estate: RefCell::new(estate),
            engine: RefCell::new(None),
            redeliver: RefCell::new(Vec::new()),
            admission: Cell::new(true),
            violated: Notify::new(),
        })
    }

    /// What runs state machines.
    pub fn set_engine(&self, engine: Rc<dyn Engine>) {
        *self.engine.borrow_mut() = Some(engine);
    }

    /// Lets go of what runs state machines, at the end of a run.
    pub(crate) fn release_engine(&self) {
        self.engine.borrow_mut().take();
    }

    pub(crate) fn engine(&self) -> Option<Rc<dyn Engine>> {
        self.engine.borrow().clone()
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The clock that everything in this rehearsal goes by.
    pub(crate) fn clock(&self) -> Rc<VirtualClock> {
        self.clock.clone()
    }

    /// Passes time.
    pub(crate) async fn sleep(&self, span: Duration) {
        self.clock.sleep(span).await;
    }

    /// Looks at the estate as it is now.
    pub fn look<T>(&self, look: impl FnOnce(&mut Estate) -> T) -> T {
        let mut estate = self.estate.borrow_mut();
        estate.advance(self.now());
        let seen = look(&mut estate);
        self.report(&estate);
        seen
    }

    /// Changes the estate now.
    pub fn change<T>(&self, effect: impl FnOnce(&mut Estate) -> T) -> T {
        let now = self.now();
        self.look(|estate| estate.change(now, effect))
    }

    fn report(&self, estate: &Estate) {
        if estate.guard.violation().is_some() {
            self.violated.notify_one();
        }
    }

    /// Takes the marks that an invocation is to be delivered once more.
    pub(crate) fn take_redeliveries(&self, invocation: &str) -> Vec<Arc<str>> {
        let mut marked = self.redeliver.borrow_mut();
        if marked.is_empty() { Vec::new() } else { marked.extract_if(.., |id| **id == *invocation).collect() }
    }

    /// A handle for an invocation of `action` in a region.
    pub fn world(self: &Rc<Self>, here: RegionRole, action: impl Into<Arc<str>>, invocation: impl Into<Arc<str>>) -> World {
        let (action, id) = (action.into(), invocation.into());
        let invocation = Invocation { here, action, id, journal: Journal::default(), crashed: Cell::new(false), owed: Cell::default() };
        World { twin: self.clone(), invocation: Rc::new(invocation) }
    }

    #[cfg(test)]
    pub(crate) fn without_admission(&self) {
        self.admission.set(false);
    }
}

struct Invocation {
    here: RegionRole,
    action: Arc<str>,
    id: Arc<str>,
    journal: Journal,
    crashed: Cell<bool>,
    /// Time that calls to Muster's own tables have taken and that is still to pass: it passes together with the next call
    /// to the estate, or at the end. A rehearsal spends most of its own time on waking up.
    owed: Cell<Duration>,
}

/// The world as one invocation sees it. Cheap to clone; implements every port.
#[derive(Clone)]
pub struct World {
    twin: Rc<Twin>,
    invocation: Rc<Invocation>,
}

/// A call, before it is made.
pub(crate) struct Calling<'a> {
    pub(crate) operation: &'static str,
    pub(crate) region: Region,
    pub(crate) plane: Plane,
    pub(crate) mutates: bool,
    pub(crate) resource: Cow<'a, str>,
    pub(crate) table: &'static Table,
    /// Whether it is about the service's estate; Muster's own tables otherwise.
    pub(crate) estate: bool,
}

/// Why a service refuses a call that reached it.
pub(crate) type Refusal = (CallFault, String);

impl World {
    /// The twin that this is a handle on.
    pub fn twin(&self) -> &Rc<Twin> {
        &self.twin
    }

    /// The region that the invocation runs in.
    pub fn here(&self) -> RegionRole {
        self.invocation.here
    }

    /// Whether the function has died.
    pub(crate) fn has_crashed(&self) -> bool {
        self.invocation.crashed.get()
    }

    pub(crate) fn journal_run(&self) -> Option<Arc<muster_core::Run>> {
        self.invocation.journal.run()
    }

    /// The region of a role.
    pub(crate) fn region(&self, role: RegionRole) -> Region {
        self.twin.estate.borrow().region(role).clone()
    }

    /// A read: `effect` looks at the estate, as it is or as it was `stale` ago.
    pub(crate) async fn read<T>(&self, calling: Calling<'_>, effect: impl FnOnce(&mut Estate, Option<Duration>) -> Result<T, Refusal>) -> Result<T, CallError> {
        self.call(calling, false, effect).await
    }

    /// A change of the service's estate.
    pub(crate) async fn mutate<T>(&self, calling: Calling<'_>, effect: impl FnOnce(&mut Estate) -> Result<T, Refusal>) -> Result<T, CallError> {
        if self.twin.admission.get() {
            admit(self, &calling.as_call()).await?;
        }
        if let Some(run) = self.journal_run() {
            self.twin.look(|estate| estate.check_begin(calling.operation, &calling.resource, &run));
        }
        self.call(calling, true, |estate, _| effect(estate)).await
    }

    async fn call<T>(
        &self,
        calling: Calling<'_>,
        changes: bool,
        effect: impl FnOnce(&mut Estate, Option<Duration>) -> Result<T, Refusal>,
    ) -> Result<T, CallError> {
        let began = self.now();
        let (strike, latency, obstacle) = self.twin.look(|estate| self.set_out(estate, &calling));
        if strike.delivered_twice {
            self.twin.redeliver.borrow_mut().push(self.invocation.id.clone());
        }
        if strike.crash_before {
            self.die().await;
        }
        // A fault that strikes wins over what would have happened anyway.
        let outcome = match (strike.fails, obstacle) {
            (Some((fault, true)), None) => {
                self.twin.sleep(latency).await;
                let _ = self.land(changes, strike.stale, effect);
                self.twin.sleep(wait_before(fault, latency)).await;
                Err((fault, spoken(fault).to_owned()))
            }
            (Some((fault, _)), _) => {
                self.twin.sleep(latency.saturating_add(wait_before(fault, latency))).await;
                Err((fault, spoken(fault).to_owned()))
            }
            (None, Some((fault, message))) => {
                self.twin.sleep(wait_before(fault, Duration::ZERO)).await;
                Err((fault, message))
            }
            (None, None) if !calling.estate && strike.is_harmless() => {
                self.invocation.owed.set(self.invocation.owed.get().saturating_add(latency));
                self.land(changes, strike.stale, effect)
            }
            (None, None) => {
                self.twin.sleep(latency.saturating_add(self.invocation.owed.take())).await;
                self.land(changes, strike.stale, effect)
            }
        };
        if strike.crash_after {
            self.die().await;
        }
        self.finish(&calling, began, outcome)
    }

    /// Whether a fault strikes, how long the call takes, and what stands in its way.
    fn set_out(&self, estate: &mut Estate, calling: &Calling<'_>) -> (Strike, Duration, Option<Refusal>) {
        let struck = Struck { action: &self.invocation.action, operation: calling.operation, mutates: calling.mutates, estate: calling.estate };
        let (now, incident_at) = (estate.now, estate.incident_at);
        if let Some(made) = estate.made.as_mut().filter(|_| now >= incident_at) {
            made.add(&self.invocation.action, calling);
        }
        let strike = estate.strikes.at_call(now, incident_at, struck);
        for fault in &strike.estate {
            estate.change(now, |estate| estate.strike(fault));
        }
        *estate.effort.calls.entry(calling.operation).or_insert(0) += 1;
        let latency = estate.time_of_call(calling.table, calling.operation, &calling.resource).min(ATTEMPT);
        (strike, latency, self.obstacle(estate, calling))
    }

    fn obstacle(&self, estate: &mut Estate, calling: &Calling<'_>) -> Option<Refusal> {
        let region = &calling.region;
        let service = calling.operation.split_once(':').map_or(calling.operation, |(service, _)| service);
        if estate.network.global_planes_fail(service) {
            return Some((CallFault::Unavailable, format!("{service}, whose control plane is in us-east-1: Service Unavailable")));
        }
        let Some(role) = estate.role_of(region) else { return self.throttle(estate, calling) };
        if !estate.network.reaches(From::Region(self.invocation.here), role) {
            return Some((CallFault::Unreachable, format!("no connection to {region} within {CONNECT}")));
        }
        if calling.plane == Plane::Control && !estate.network.control_plane_answers(role, service) {
            return Some((CallFault::Unavailable, format!("{service} in {region}: Service Unavailable")));
        }
        self.throttle(estate, calling)
    }

    /// A call that arrives takes from its budget.
    fn throttle(&self, estate: &mut Estate, calling: &Calling<'_>) -> Option<Refusal> {
        let admitted = estate.limits.admit(estate.now, &calling.region, calling.operation);
        (!admitted).then(|| (CallFault::Throttled, spoken(CallFault::Throttled).to_owned()))
    }

    fn land<T>(&self, changes: bool, stale: Option<Duration>, effect: impl FnOnce(&mut Estate, Option<Duration>) -> Result<T, Refusal>) -> Result<T, Refusal> {
        if changes { self.twin.change(|estate| effect(estate, stale)) } else { self.twin.look(|estate| effect(estate, stale)) }
    }

    fn finish<T>(&self, calling: &Calling<'_>, began: Timestamp, outcome: Result<T, Refusal>) -> Result<T, CallError> {
        let now = self.now();
        let failure = outcome.as_ref().err();
        if calling.estate {
            let fault = failure.map(|(fault, _)| *fault);
            if self.journal_run_is_open() {
                let message = failure.map(|(_, message)| message.clone()).unwrap_or_default();
                // A read's request id is of no use to anybody.
                let request_id = (calling.mutates && fault.is_none()).then(|| format!("{}-{}", self.invocation.id, now.as_millis()));
                self.journal().called(now, calling.as_call(), Outcome { fault, message, latency: now.since(began), request_id });
            }
            if calling.mutates || fault.is_some() {
                let event = || {
                    let (action, resource) = (self.invocation.action.clone(), calling.resource.as_ref().into());
                    Event::Call { at: now, action, operation: calling.operation, resource, fault }
                };
                self.twin.look(|estate| estate.story.tell(event));
            }
        }
        outcome.map_err(|(fault, message)| CallError { operation: calling.operation.to_owned(), resource: calling.resource.to_string(), fault, message })
    }

    fn journal_run_is_open(&self) -> bool {
        self.invocation.journal.has_begun()
    }

    /// Lets the time pass that calls to Muster's own tables have taken: before an invocation answers.
    pub(crate) async fn settle(&self) {
        self.twin.sleep(self.invocation.owed.take()).await;
    }

    /// The function dies here: whoever drives it sees that and drops it.
    async fn die(&self) {
        self.invocation.crashed.set(true);
        std::future::pending::<()>().await;
    }
}

impl Calling<'_> {
    pub(crate) fn as_call(&self) -> Call {
        Call {
            operation: self.operation.into(),
            region: self.region.clone(),
            plane: self.plane,
            mutates: self.mutates,
            resource: self.resource.as_ref().into(),
        }
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        self.twin.now()
    }
}

impl muster_actions::World for World {}

impl Journaled for World {
    fn journal(&self) -> &Journal {
        &self.invocation.journal
    }
}

/// How long nobody answers before a call is known to have failed so.
fn wait_before(fault: CallFault, spent: Duration) -> Duration {
    match fault {
        CallFault::TimedOut => ATTEMPT.saturating_sub(spent),
        CallFault::Unreachable => CONNECT.saturating_sub(spent),
        CallFault::Unavailable => Duration::from_millis(400),
        _ => Duration::ZERO,
    }
}

fn spoken(fault: CallFault) -> &'static str {
    match fault {
        CallFault::Throttled => "Rate exceeded",
        CallFault::Unavailable => "Service Unavailable",
        CallFault::TimedOut => "no answer within 3s",
        CallFault::Unreachable => "no connection within 1s",
        CallFault::Denied => "not authorized",
        CallFault::NotFound => "not found",
        CallFault::Rejected => "rejected",
        CallFault::Halted => "halted",
    }
}

#[cfg(test)]
mod tests;
