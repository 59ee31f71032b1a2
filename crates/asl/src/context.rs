//! What a state knows while it runs: its branch, its visit, and the context object.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::draw::Draws;
use crate::event::Details;
use crate::execution::Execution;
use crate::expression::EvaluationError;
use crate::failure::{self, Failure};
use crate::machine::StateType;
use crate::scope::{Scope, ScopeNames};
use crate::timestamp;
use crate::value::{self, Value};

/// The top level of an execution, a branch of a Parallel, or an iteration of a Map.
pub(crate) struct Thread {
    pub(crate) execution: Rc<Execution>,
    pub(crate) scope: Rc<Scope>,
    pub(crate) draws: Rc<Draws>,
    /// `{"Index": 0, "Value": …}` inside a Map.
    pub(crate) map_item: Option<Value>,
    /// The event that the next one follows.
    pub(crate) last: Cell<u64>,
    /// The state that is in progress.
    pub(crate) active: Cell<Option<StateType>>,
    /// The state that it is in, or is about to enter, by position, and its input.
    pub(crate) at: RefCell<Option<(usize, Value)>>,
    /// What a branch ended with.
    pub(crate) output: RefCell<Option<Value>>,
    /// The threads of the Parallel or Map that is in progress.
    pub(crate) children: RefCell<Vec<Rc<Thread>>>,
}

impl Thread {
    pub(crate) fn top(execution: Rc<Execution>, names: &ScopeNames, last: u64) -> Rc<Self> {
        let draws = Rc::new(Draws::new(execution.seed));
        Rc::new(Self {
            scope: Rc::new(Scope::new(names, None)),
            draws,
            map_item: None,
            last: Cell::new(last),
            active: Cell::new(None),
            at: RefCell::new(None),
            output: RefCell::new(None),
            children: RefCell::new(Vec::new()),
            execution,
        })
    }

    /// The thread of branch or iteration `index` of `state`.
    pub(crate) fn child(&self, names: &ScopeNames, state: &str, index: usize, map_item: Option<Value>) -> Rc<Self> {
        let seed = self.draws.child_seed(state, index);
        Rc::new(Self {
            execution: self.execution.clone(),
            scope: Rc::new(Scope::new(names, Some(self.scope.clone()))),
            draws: Rc::new(Draws::new(seed)),
            map_item: map_item.or_else(|| self.map_item.clone()),
            last: Cell::new(self.last.get()),
            active: Cell::new(None),
            at: RefCell::new(None),
            output: RefCell::new(None),
            children: RefCell::new(Vec::new()),
        })
    }

    /// Records an event that the next one of this thread follows.
    pub(crate) fn emit(&self, details: impl FnOnce() -> Details) -> Result<u64, Failure> {
        let id = self.emit_aside(details)?;
        self.last.set(id);
        Ok(id)
    }

    /// Records an event that the next one of this thread does not follow.
    pub(crate) fn emit_aside(&self, details: impl FnOnce() -> Details) -> Result<u64, Failure> {
        self.execution.emit(self.last.get(), details)
    }

    /// The states in progress that a cancelled branch leaves, the innermost first.
    pub(crate) fn in_progress(&self, found: &mut Vec<StateType>) {
        for child in self.children.borrow().iter() {
            child.in_progress(found);
        }
        if let Some(state) = self.active.get()
            && matches!(state, StateType::Task | StateType::Wait | StateType::Parallel | StateType::Map)
        {
            found.push(state);
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // The variables of a branch are lost at its end.
        self.execution.variables_grew(-(self.scope.bytes() as isize));
    }
}

/// One visit to a state, from its entered event to its exited event.
pub(crate) struct Visit {
    pub(crate) thread: Rc<Thread>,
    pub(crate) state: Rc<str>,
    pub(crate) state_type: StateType,
    entered_at: u64,
    entered_event: u64,
    /// The event before the entered event.
    before: u64,
    pub(crate) retry_count: Cell<u64>,
    pub(crate) token: RefCell<Option<Rc<str>>>,
    /// Set for an ItemSelector.
    pub(crate) map_item: Option<Value>,
}

impl Visit {
    /// Records that the state was entered.
    pub(crate) fn enter(thread: &Rc<Thread>, state: &Rc<str>, state_type: StateType, input: &Value) -> Result<Self, Failure> {
        let before = thread.last.get();
        let entered_event = thread.emit(|| Details::StateEntered { state: state_type, name: state.clone(), input: Some(input.clone()) })?;
        thread.active.set(Some(state_type));
        let execution = &thread.execution;
        let observer = execution.world.entered.borrow().clone();
        if let Some(observer) = observer {
            observer(&execution.arn, state);
        }
        Ok(Self {
            thread: thread.clone(),
            state: state.clone(),
            state_type,
            entered_at: thread.execution.now(),
            entered_event,
            before,
            retry_count: Cell::new(0),
            token: RefCell::new(None),
            map_item: None,
        })
    }

    /// The same visit as an ItemSelector sees it.
    pub(crate) fn with_map_item(&self, item: Value) -> Self {
        Self {
            thread: self.thread.clone(),
            state: self.state.clone(),
            state_type: self.state_type,
            entered_at: self.entered_at,
            entered_event: self.entered_event,
            before: self.before,
            retry_count: Cell::new(self.retry_count.get()),
            token: RefCell::new(None),
            map_item: Some(item),
        }
    }

    pub(crate) fn now(&self) -> u64 {
        self.thread.execution.now()
    }

    /// AWS's words for an error inside a state.
    pub(crate) fn message(&self, what: &str) -> String {
        format!("An error occurred while executing the state '{}' (entered at the event id #{}). {what}", self.state, self.entered_event)
    }

    /// A failure with AWS's words around `what`.
    pub(crate) fn failure(&self, error: &str, what: &str) -> Failure {
        Failure::new(error, self.message(what))
    }

    /// Records that an expression failed, and returns the failure.
    pub(crate) fn evaluation_failed(&self, error: EvaluationError) -> Failure {
        let location = (!error.location.is_empty()).then(|| error.location.clone());
        let failure = self.failure(failure::QUERY_EVALUATION, &error.cause);
        // As recorded on AWS, the event follows the one before the state was entered, unless something
        // has happened in the state since.
        let thread = &self.thread;
        if thread.last.get() == self.entered_event {
            thread.last.set(self.before);
        }
        let recorded =
            thread.emit(|| Details::EvaluationFailed { state: self.state.clone(), error: failure.error.clone(), cause: failure.cause.clone(), location });
        recorded.err().unwrap_or(failure)
    }

    /// The context object, as AWS fills it.
    pub(crate) fn context(&self) -> Value {
        let execution = &self.thread.execution;
        let mut state = vec![("EnteredTime", Value::from(timestamp::format(self.entered_at))), ("Name", Value::String(self.state.clone()))];
        // As recorded on AWS, only a state that can be retried has a RetryCount.
        if matches!(self.state_type, StateType::Task | StateType::Parallel | StateType::Map) {
            state.push(("RetryCount", Value::from(self.retry_count.get())));
        }
        let mut context =
            vec![("Execution", execution.context.borrow().clone()), ("State", value::object(state)), ("StateMachine", execution.machine_context.clone())];
        if let Some(token) = &*self.token.borrow() {
            let token = Value::String(token.clone());
            context.push(("Task", value::object([("Token", token)])));
        }
        if let Some(item) = self.map_item.as_ref().or(self.thread.map_item.as_ref()) {
            context.push(("Map", value::object([("Item", item.clone())])));
        }
        value::object(context)
    }

    pub(crate) fn env<'a>(&'a self, input: &'a Value) -> Env<'a> {
        Env { visit: self, input, result: None, error_output: None }
    }
}

/// What an expression sees.
#[derive(Clone, Copy)]
pub(crate) struct Env<'a> {
    pub(crate) visit: &'a Visit,
    pub(crate) input: &'a Value,
    pub(crate) result: Option<&'a Value>,
    pub(crate) error_output: Option<&'a Value>,
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::{LocalBoxFuture, TokioClock};
    use crate::lambda::{FunctionError, Invocation, Lambda};
    use crate::{Config, Machine, StepFunctions};

    struct NoFunctions;

    impl Lambda for NoFunctions {
        fn invoke(&self, _: Invocation) -> LocalBoxFuture<'static, Result<Value, FunctionError>> {
            Box::pin(async { Ok(Value::Null) })
        }
    }

    /// A visit to a Pass state of an execution of its own.
    pub(crate) fn with_visit<T>(test: impl FnOnce(&Visit) -> T) -> T {
        let source = r#"{"QueryLanguage": "JSONata", "StartAt": "S", "States": {"S": {"Type": "Pass", "End": true}}}"#;
        let machine = Machine::load(source, &BTreeMap::new()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let clock = Rc::new(TokioClock::new(0));
            let account = StepFunctions::new(Config::new(clock, Rc::new(NoFunctions)));
            account.register("flow", machine.clone());
            let arn = account.start("flow", Some("run"), Value::Null).unwrap();
            let execution = account.execution(&arn).unwrap();
            let thread = Thread::top(execution, &machine.0.workflow.scope, 0);
            let state: Rc<str> = "S".into();
            let visit = Visit::enter(&thread, &state, StateType::Pass, &Value::Null).unwrap();
            test(&visit)
        })
    }
}
