//! One execution: its status, its history, and the task that runs it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use serde::Serialize;
use serde::ser::Serializer;
use tokio::sync::Notify;

use crate::account::{Account, HistoryMode, StepFunctions, World};
use crate::context::Thread;
use crate::draw;
use crate::event::{Details, Event};
use crate::failure::{self, Failure};
use crate::limits::{MAX_HISTORY_EVENTS, MAX_VARIABLE_BYTES};
use crate::machine::Machine;
use crate::redrive::Standstill;
use crate::run;
use crate::timestamp;
use crate::value::{self, Value};

/// How an execution is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)] // The names of the API.
pub enum ExecutionStatus {
    Running,
    Succeeded,
    Failed,
    TimedOut,
    Aborted,
}

/// What `DescribeExecution` answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)] // The names of the API.
pub struct Description {
    pub execution_arn: Rc<str>,
    pub state_machine_arn: Rc<str>,
    pub name: Rc<str>,
    pub status: ExecutionStatus,
    /// Milliseconds since 1970; serialises in ISO 8601.
    #[serde(serialize_with = "date")]
    pub start_date: u64,
    /// As `start_date`; `None` while it runs.
    #[serde(serialize_with = "optional_date", skip_serializing_if = "Option::is_none")]
    pub stop_date: Option<u64>,
    pub input: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Rc<str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<Rc<str>>,
    /// How many events the history has, recorded or not.
    pub history_events: u64,
}

fn date<S: Serializer>(milliseconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&timestamp::format(*milliseconds))
}

fn optional_date<S: Serializer>(milliseconds: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    match milliseconds {
        Some(milliseconds) => date(milliseconds, serializer),
        None => serializer.serialize_none(),
    }
}

/// How an execution ended.
pub(crate) struct End {
    pub(crate) status: ExecutionStatus,
    pub(crate) output: Option<Value>,
    pub(crate) error: Option<Rc<str>>,
    pub(crate) cause: Option<Rc<str>>,
    pub(crate) at: u64,
}

pub(crate) struct Execution {
    pub(crate) world: Rc<World>,
    account: Weak<Account>,
    pub(crate) arn: Rc<str>,
    pub(crate) name: Rc<str>,
    pub(crate) machine_arn: Rc<str>,
    pub(crate) machine: Machine,
    pub(crate) input: Value,
    pub(crate) seed: u64,
    /// `$states.context.Execution`
    pub(crate) context: RefCell<Value>,
    /// `$states.context.StateMachine`
    pub(crate) machine_context: Value,
    pub(crate) started: u64,
    pub(crate) end: RefCell<Option<End>>,
    /// Where it stood when it ended without success.
    pub(crate) standstill: RefCell<Option<Standstill>>,
    redrives: Cell<u64>,
    running: Cell<bool>,
    /// Wakes the execution's own task when it was stopped.
    stop: Notify,
    /// Wakes whoever waits for the end.
    ended: Notify,
    events: Cell<u64>,
    history: RefCell<Vec<Event>>,
    variable_bytes: Cell<isize>,
}

impl Execution {
    #[allow(clippy::too_many_arguments)] // Called once.
    pub(crate) fn new(
        world: Rc<World>,
        account: Weak<Account>,
        machine_name: &str,
        machine_arn: Rc<str>,
        machine: Machine,
        name: Rc<str>,
        arn: Rc<str>,
        input: Value,
    ) -> Rc<Self> {
        let started = world.clock.now();
        let machine_context = value::object([("Id", Value::String(machine_arn.clone())), ("Name", Value::from(machine_name))]);
        let execution = Rc::new(Self {
            seed: draw::hash(world.seed, &[&arn]),
            world,
            account,
            arn,
            name,
            machine_arn,
            machine,
            input,
            context: RefCell::new(Value::Null),
            machine_context,
            started,
            end: RefCell::new(None),
            standstill: RefCell::new(None),
            redrives: Cell::new(0),
            running: Cell::new(true),
            stop: Notify::new(),
            ended: Notify::new(),
            events: Cell::new(0),
            history: RefCell::new(Vec::new()),
            variable_bytes: Cell::new(0),
        });
        *execution.context.borrow_mut() = value::object(execution.described());
        execution
    }

    /// The fields of the context object that say which execution this is.
    fn described(&self) -> Vec<(&'static str, Value)> {
        let text = |text: &Rc<str>| Value::String(text.clone());
        vec![
            ("Id", text(&self.arn)),
            ("Input", self.input.clone()),
            ("StartTime", Value::from(timestamp::format(self.started))),
            ("Name", text(&self.name)),
            ("RoleArn", text(&self.world.role_arn)),
            ("RedriveCount", Value::from(self.redrives.get() as i64)),
        ]
    }

    pub(crate) fn now(&self) -> u64 {
        self.world.clock.now()
    }

    /// The account that started the execution; gone when nobody holds a handle on it any more.
    pub(crate) fn account(&self) -> Option<StepFunctions> {
        self.account.upgrade().map(StepFunctions)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.get()
    }

    /// Starts the task that runs the machine.
    pub(crate) fn spawn(self: Rc<Self>) {
        tokio::task::spawn_local(async move {
            let started = self.emit(0, || Details::ExecutionStarted { input: Some(self.input.clone()), role_arn: self.world.role_arn.clone() });
            if started.is_err() {
                return;
            }
            // As on AWS, the first state follows no event.
            let thread = Thread::top(self.clone(), &self.machine.0.workflow.scope, 0);
            self.run(&thread).await;
        });
    }

    /// Starts the task that goes on where the machine stood. The caller has seen that it ended and that it may.
    pub(crate) fn go_on(self: &Rc<Self>) {
        let Some(standstill) = self.standstill.take() else { return };
        self.end.take();
        self.running.set(true);
        let count = self.redrives.get() + 1;
        self.redrives.set(count);
        let mut context = self.described();
        context.push(("RedriveTime", Value::from(timestamp::format(self.now()))));
        *self.context.borrow_mut() = value::object(context);
        let execution = self.clone();
        tokio::task::spawn_local(async move {
            let previous = execution.events.get();
            let Ok(redriven) = execution.emit(previous, || Details::ExecutionRedriven { redrive_count: count }) else { return };
            let thread = standstill.resume(&execution, redriven);
            execution.run(&thread).await;
        });
    }

    async fn run(&self, thread: &Rc<Thread>) {
        let definition = &self.machine.0;
        let timer = async {
            match definition.timeout_seconds {
                Some(seconds) => {
                    self.world.clock.sleep(seconds * 1_000).await;
                    // Lets a function that ends at this very moment end first.
                    tokio::task::yield_now().await;
                }
                None => std::future::pending().await,
            }
        };
        // At one instant, being stopped comes first and a result comes before a time-out.
        let result = tokio::select! {
            biased;
            () = self.stopped() => None,
            result = run::workflow(thread, &definition.workflow, self.input.clone()) => Some(result),
            () = timer => None,
        };
        if !matches!(result, Some(Ok(_))) {
            *self.standstill.borrow_mut() = Some(Standstill::of(thread));
        }
        self.conclude(result, thread.last.get());
    }

    /// Waits until the execution is stopped. Whoever stopped it before it was redriven does not count.
    async fn stopped(&self) {
        while self.is_running() {
            self.stop.notified().await;
        }
    }

    fn conclude(&self, result: Option<Result<Value, Failure>>, last: u64) {
        match result {
            Some(Ok(output)) => self.finish(ExecutionStatus::Succeeded, Some(output), None, None, last),
            Some(Err(failure)) => self.finish(ExecutionStatus::Failed, None, failure.error, failure.cause, last),
            None => self.finish(ExecutionStatus::TimedOut, None, None, None, 0),
        }
    }

    /// Ends the execution once; later calls change nothing.
    pub(crate) fn finish(&self, status: ExecutionStatus, output: Option<Value>, error: Option<Rc<str>>, cause: Option<Rc<str>>, previous: u64) {
        if !self.running.replace(false) {
            return;
        }
        *self.end.borrow_mut() = Some(End { status, output: output.clone(), error: error.clone(), cause: cause.clone(), at: self.now() });
        self.record(previous, || match status {
            ExecutionStatus::Succeeded => Details::ExecutionSucceeded { output },
            ExecutionStatus::TimedOut => Details::ExecutionTimedOut { error, cause },
            ExecutionStatus::Aborted => Details::ExecutionAborted { error, cause },
            _ => Details::ExecutionFailed { error, cause },
        });
        self.stop.notify_one();
        self.ended.notify_waiters();
    }

    pub(crate) async fn wait_for_end(&self) {
        loop {
            let ended = self.ended.notified();
            if !self.is_running() {
                return;
            }
            ended.await;
        }
    }

    /// Records an event. Fails when the execution has ended, and when only the last event is left.
    pub(crate) fn emit(&self, previous: u64, details: impl FnOnce() -> Details) -> Result<u64, Failure> {
        if !self.is_running() {
            return Err(Failure::ended());
        }
        if self.events.get() + 1 >= MAX_HISTORY_EVENTS {
            return Err(Failure::new(failure::RUNTIME, format!("The execution reached the maximum number of history events ({MAX_HISTORY_EVENTS}).")));
        }
        Ok(self.record(previous, details))
    }

    fn record(&self, previous_event_id: u64, details: impl FnOnce() -> Details) -> u64 {
        let id = self.events.get() + 1;
        self.events.set(id);
        let observer = self.world.observer.borrow().clone();
        let mode = self.world.history;
        if observer.is_none() && mode == HistoryMode::Off {
            return id;
        }
        let event = Event { id, previous_event_id, timestamp: self.now(), details: details() };
        match mode {
            HistoryMode::Full => self.history.borrow_mut().push(event.clone()),
            HistoryMode::Compact => self.history.borrow_mut().push(event.clone().without_data()),
            HistoryMode::Off => {}
        }
        if let Some(observer) = observer {
            observer(&self.arn, &event);
        }
        id
    }

    pub(crate) fn history(&self) -> Vec<Event> {
        self.history.borrow().clone()
    }

    /// Counts variables; false when the execution has more of them than it may have.
    pub(crate) fn variables_grew(&self, bytes: isize) -> bool {
        let total = self.variable_bytes.get() + bytes;
        self.variable_bytes.set(total);
        total <= MAX_VARIABLE_BYTES as isize
    }

    /// The status and, once it has ended, when that was.
    pub(crate) fn status(&self) -> (ExecutionStatus, Option<u64>) {
        let end = self.end.borrow();
        (end.as_ref().map_or(ExecutionStatus::Running, |end| end.status), end.as_ref().map(|end| end.at))
    }

    pub(crate) fn describe(&self) -> Description {
        let (status, stop_date) = self.status();
        let end = self.end.borrow();
        Description {
            execution_arn: self.arn.clone(),
            state_machine_arn: self.machine_arn.clone(),
            name: self.name.clone(),
            status,
            start_date: self.started,
            stop_date,
            input: value::to_json(&self.input),
            output: end.as_ref().and_then(|end| end.output.as_ref()).map(value::to_json),
            error: end.as_ref().and_then(|end| end.error.clone()),
            cause: end.as_ref().and_then(|end| end.cause.clone()),
            history_events: self.events.get(),
        }
    }
}
