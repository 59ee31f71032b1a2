//! Promises about safety, each held by a test that fails when the code that keeps it is taken out: single actions on the
//! twin, and whole flows where the order of states is the subject.

mod answers;
mod archives;
mod backups;
mod fences;
mod fleets;
mod flows;
mod holds;
mod many;
mod probes;
mod promotions;
mod protection;
mod proving;
mod reports;
mod restores;
mod scheduled;
mod stand_downs;
mod verified;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use muster_actions::dispatch;
use muster_core::ports::{Decisions, ExecutionState, Notes, OpenRun, Question, RunRegistry};
use muster_core::{Body, DatabaseId, Duration, Evidence, Failure, Lane, Progress, Run};
use muster_plan::RegionRole;
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::scenario::Scenario;
use crate::testing::{opened, pass, run};
use crate::world::{Engine, Twin, World};

/// A run of Muster on the twin: calls its functions one by one, as the state machine would.
struct Muster {
    twin: Rc<Twin>,
    run: Run,
    calls: Cell<u64>,
}

impl Muster {
    /// An open run on a good day.
    async fn opened(twin: &Rc<Twin>) -> Self {
        opened(twin, "region-failover").await;
        Muster::of_open_run(twin)
    }

    /// The run that is open.
    fn of_open_run(twin: &Rc<Twin>) -> Self {
        Muster { twin: twin.clone(), run: open_run(twin).expect("a run is open"), calls: Cell::new(0) }
    }

    /// An open run whose outage is confirmed: the primary region has been dark for some minutes.
    async fn in_outage(twin: &Rc<Twin>) -> Self {
        let normal = Muster { twin: twin.clone(), run: run(twin, "none", 0), calls: Cell::new(100_000) };
        normal.probe_for(6).await;
        strike(twin, &Fault::RegionDown);
        normal.probe_for(5).await;
        let muster = Muster::opened(twin).await;
        let confirmed = muster.until_done("confirm-outage", "ConfirmOutage").await.unwrap();
        assert_eq!(confirmed.verdict.as_deref(), Some("confirmed"), "{}", confirmed.detail);
        muster
    }

    /// The run after this one, which was closed.
    async fn next(self) -> Self {
        assert!(open_run(&self.twin).is_none(), "one run after the other");
        let epoch = self.run.epoch + 1;
        let next = run(&self.twin, "region-failover", epoch);
        let world = self.looking();
        let open = OpenRun { run: next.clone(), execution: "another".into(), drill: false };
        assert!(world.open_run(self.run.epoch, &open).await.unwrap());
        Muster { run: next, calls: Cell::new(self.calls.get() + 1_000), ..self }
    }

    /// Invokes a function that belongs to no run.
    async fn alone(&self, here: RegionRole, function: &str, event: Value) -> Result<Progress, Failure> {
        self.calls.set(self.calls.get() + 1);
        let id = format!("{:06}-{function}", self.calls.get());
        let world = self.twin.world(here, function, &*id);
        let result = dispatch(function, &*id, event, &world).await;
        world.settle().await;
        result
    }

    /// Invokes a function of the run for the first time in a phase.
    async fn call(&self, function: &str, phase: &str, request: Value) -> Result<Progress, Failure> {
        self.alone(RegionRole::Standby, function, json!({"run": self.run, "phase": phase, "request": request})).await
    }

    /// Invokes it again, with what it answered.
    async fn again(&self, function: &str, last: &Progress, request: &Value) -> Result<Progress, Failure> {
        self.alone(RegionRole::Standby, function, json!({"run": self.run, "phase": last.phase, "request": request, "last": last})).await
    }

    /// Invokes it as the state machine's loop does, until it is done or fails.
    async fn until_done(&self, function: &str, phase: &str) -> Result<Progress, Failure> {
        self.until_done_with(function, phase, Value::Null).await
    }

    async fn until_done_with(&self, function: &str, phase: &str, request: Value) -> Result<Progress, Failure> {
        let began = self.twin.now();
        let mut progress = self.call(function, phase, request.clone()).await?;
        while !progress.is_done() {
            assert!(self.twin.now().since(began) < Duration::from_hours(24), "{function} never ends: {}", progress.detail);
            pass(progress.retry_after_seconds.unwrap_or(1)).await;
            progress = self.again(function, &progress, &request).await?;
        }
        Ok(progress)
    }

    /// Both probes, once a minute.
    async fn probe_for(&self, minutes: u64) {
        for _ in 0..minutes {
            self.probe().await;
            pass(60).await;
        }
    }

    async fn probe(&self) {
        for (role, region) in [(RegionRole::Standby, "us-west-2"), (RegionRole::Witness, "us-east-2")] {
            self.alone(role, "probe", json!({"vantage": region})).await.unwrap();
        }
    }

    /// Everything that the run wrote down.
    fn evidence(&self) -> Vec<Evidence> {
        let entries = self.twin.look(|estate| estate.memory.read_ledger(&self.run.id));
        let saw = |body| if let Body::Saw { evidence } = body { Some(evidence) } else { None };
        entries.into_iter().filter_map(|entry| saw(entry.body)).collect()
    }

    /// What the run said it leaves without protection.
    fn unprotected(&self) -> Vec<String> {
        let what = |evidence| if let Evidence::Unprotected { what } = evidence { Some(what) } else { None };
        self.evidence().into_iter().filter_map(what).collect()
    }

    /// A note of the run.
    async fn note(&self, name: &str) -> Option<Value> {
        self.looking().read_note(&self.run.id.0, name).await.unwrap().map(Arc::unwrap_or_clone)
    }

    /// A note of the service.
    async fn service_note(&self, name: &str) -> Option<Value> {
        self.looking().read_note("service/portal", name).await.unwrap().map(Arc::unwrap_or_clone)
    }

    /// A question of the run.
    async fn question(&self, name: &str) -> Question {
        self.looking().read_question(&self.run.id, name).await.unwrap().expect("it was put")
    }

    /// The world of somebody who only looks.
    fn looking(&self) -> World {
        self.twin.world(RegionRole::Standby, "test", "looking")
    }

    /// A question at a hold: with a token it is put, without one it is settled.
    fn hold(phase: &str, token: Option<&str>) -> Value {
        json!({"phase": phase, "error": "Muster.Refused", "cause": "as a test wants it", "question": format!("{phase}@1"), "token": token})
    }

    /// Puts the question of a hold, as the state `Hold` does.
    async fn hold_at(&self, phase: &str) -> Progress {
        self.call("hold", "Hold", Muster::hold(phase, Some("token"))).await.unwrap()
    }

    /// Waits for the answer of a hold, as the state `SettleHold` does.
    async fn settle_hold(&self, phase: &str) -> Progress {
        self.until_done_with("hold", "SettleHold", Muster::hold(phase, None)).await.unwrap()
    }

    /// Goes on as far as the promotion: the call has been made, or tried.
    async fn ask_for_promotion(&self) {
        self.until_done("fence-database", "FenceDatabase").await.unwrap();
        self.call("promote-replica", "PromoteReplica", Value::Null).await.unwrap();
        assert!(self.note("promotion/portal-db").await.is_some());
    }
}

fn open_run(twin: &Rc<Twin>) -> Option<Run> {
    twin.look(|estate| estate.memory.lane("portal", Lane::Recover)).open.map(|open| open.run)
}

fn strike(twin: &Rc<Twin>, fault: &Fault) {
    twin.change(|estate| estate.strike(fault));
}

/// The control plane of RDS in the standby region answers again.
fn standby_returns(twin: &Rc<Twin>) {
    twin.change(|estate| estate.network.restore(RegionRole::Standby));
}

/// RDS in the standby region does not answer any more.
fn standby_is_blind(twin: &Rc<Twin>) {
    strike(twin, &Fault::ControlPlaneDown { service: "rds" });
}

fn primary() -> DatabaseId {
    DatabaseId::new(&"us-east-1".parse().unwrap(), "portal-db")
}

/// Whether the old primary has the plan's quarantine and takes no writes.
fn is_quarantined(twin: &Rc<Twin>) -> bool {
    twin.look(|estate| {
        let instance = &estate.instances[&primary()];
        let grouped = instance.groups.iter().map(|group| &**group).eq(["sg-quarantine"]);
        assert_eq!(grouped, instance.read_only, "a fence is put up and lifted as one");
        grouped
    })
}

fn quiet() -> Scenario {
    Scenario::quiet(1)
}

/// Step Functions as far as single actions see it: writes down what it is asked to do.
#[derive(Default)]
struct Recorder {
    woken: RefCell<Vec<(String, Progress)>>,
    started: RefCell<Vec<(String, String)>>,
}

impl Recorder {
    fn of(twin: &Rc<Twin>) -> Rc<Self> {
        let recorder = Rc::new(Recorder::default());
        twin.set_engine(recorder.clone());
        recorder
    }

    /// The verdicts with which a token was woken.
    fn woken(&self, token: &str) -> Vec<String> {
        self.woken.borrow().iter().filter(|(known, _)| known == token).map(|(_, progress)| progress.verdict.clone().unwrap_or_default()).collect()
    }
}

impl Engine for Recorder {
    fn execution_state(&self, _: &str) -> ExecutionState {
        ExecutionState::Running
    }

    fn wake(&self, token: &str, progress: &Progress) -> bool {
        self.woken.borrow_mut().push((token.to_owned(), progress.clone()));
        true
    }

    fn start_flow(&self, flow: &str, name: &str, _: &Value) {
        self.started.borrow_mut().push((flow.to_owned(), name.to_owned()));
    }
}
