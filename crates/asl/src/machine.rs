//! A loaded state machine: every target is an index, every expression is parsed.

use std::rc::Rc;

use crate::expression::Expression;
use crate::retry::Retrier;
use crate::scope::ScopeNames;
use crate::template::Template;

/// A state machine that was checked and can be run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Machine(pub(crate) Rc<Definition>);

impl Machine {
    /// The machine's `Comment`.
    pub fn comment(&self) -> Option<&str> {
        self.0.comment.as_deref()
    }

    /// The machine's own `TimeoutSeconds`.
    pub fn timeout_seconds(&self) -> Option<u64> {
        self.0.timeout_seconds
    }

    /// The names of the states of the top level, in the order of the file.
    pub fn state_names(&self) -> impl Iterator<Item = &str> {
        self.0.workflow.states.iter().map(|state| &*state.name)
    }
}

#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) comment: Option<String>,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) workflow: Workflow,
}

/// The states of the top level, of a branch, or of an ItemProcessor.
#[derive(Debug)]
pub(crate) struct Workflow {
    pub(crate) start: usize,
    pub(crate) states: Vec<State>,
    pub(crate) scope: Rc<ScopeNames>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) name: Rc<str>,
    pub(crate) kind: Kind,
    pub(crate) assign: Vec<Assignment>,
    pub(crate) output: Option<Template>,
    /// Unused by Choice (its rules say), Succeed and Fail (they end).
    pub(crate) next: Next,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    State(usize),
    End,
}

#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) name: Rc<str>,
    pub(crate) slot: usize,
    pub(crate) value: Template,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Pass,
    Task(Box<Task>),
    Choice(Choice),
    Wait(Wait),
    Succeed,
    Fail { error: Option<Template>, cause: Option<Template> },
    Parallel(Box<Parallel>),
    Map(Box<Map>),
}

impl Kind {
    pub(crate) fn state_type(&self) -> StateType {
        match self {
            Kind::Pass => StateType::Pass,
            Kind::Task(_) => StateType::Task,
            Kind::Choice(_) => StateType::Choice,
            Kind::Wait(_) => StateType::Wait,
            Kind::Succeed => StateType::Succeed,
            Kind::Fail { .. } => StateType::Fail,
            Kind::Parallel(_) => StateType::Parallel,
            Kind::Map(_) => StateType::Map,
        }
    }
}

/// The `Type` of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // They are the names of the language.
pub enum StateType {
    Choice,
    Fail,
    Map,
    Parallel,
    Pass,
    Succeed,
    Task,
    Wait,
}

/// A whole number of seconds: literal, or an expression.
#[derive(Debug)]
pub(crate) enum Seconds {
    Literal(u64),
    Expression(Expression),
}

#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) resource: Resource,
    pub(crate) arguments: Option<Template>,
    pub(crate) timeout: Option<Seconds>,
    pub(crate) heartbeat: Option<Seconds>,
    pub(crate) handlers: Handlers,
}

/// What a Task calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    Invoke,
    InvokeWaitForTaskToken,
    StartExecution,
    StartExecutionSync,
}

impl Resource {
    pub(crate) const ALL: [Resource; 4] = [Resource::Invoke, Resource::InvokeWaitForTaskToken, Resource::StartExecution, Resource::StartExecutionSync];

    pub(crate) fn arn(self) -> &'static str {
        match self {
            Resource::Invoke => "arn:aws:states:::lambda:invoke",
            Resource::InvokeWaitForTaskToken => "arn:aws:states:::lambda:invoke.waitForTaskToken",
            Resource::StartExecution => "arn:aws:states:::states:startExecution",
            Resource::StartExecutionSync => "arn:aws:states:::states:startExecution.sync:2",
        }
    }

    /// `resourceType` in the history.
    pub(crate) fn service(self) -> &'static str {
        match self {
            Resource::Invoke | Resource::InvokeWaitForTaskToken => "lambda",
            Resource::StartExecution | Resource::StartExecutionSync => "states",
        }
    }

    /// `resource` in the history.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Resource::Invoke => "invoke",
            Resource::InvokeWaitForTaskToken => "invoke.waitForTaskToken",
            Resource::StartExecution => "startExecution",
            Resource::StartExecutionSync => "startExecution.sync:2",
        }
    }

    pub(crate) fn waits_for_token(self) -> bool {
        self == Resource::InvokeWaitForTaskToken
    }

    /// The arguments that the resource takes; the first one is required.
    pub(crate) fn arguments(self) -> &'static [&'static str] {
        match self {
            Resource::Invoke | Resource::InvokeWaitForTaskToken => &["FunctionName", "Payload", "Qualifier"],
            Resource::StartExecution | Resource::StartExecutionSync => &["StateMachineArn", "Input", "Name"],
        }
    }
}

#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) rules: Vec<Rule>,
    pub(crate) default: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) condition: Condition,
    pub(crate) assign: Vec<Assignment>,
    pub(crate) output: Option<Template>,
    pub(crate) next: usize,
}

#[derive(Debug)]
pub(crate) enum Condition {
    Literal(bool),
    Expression(Expression),
}

#[derive(Debug)]
pub(crate) enum Wait {
    Seconds(Seconds),
    /// Milliseconds since 1970.
    Until(u64),
    UntilExpression(Expression),
}

#[derive(Debug)]
pub(crate) struct Parallel {
    pub(crate) arguments: Option<Template>,
    pub(crate) branches: Vec<Workflow>,
    pub(crate) handlers: Handlers,
}

#[derive(Debug)]
pub(crate) struct Map {
    pub(crate) items: Option<Template>,
    pub(crate) item_selector: Option<Template>,
    pub(crate) max_concurrency: Option<Seconds>,
    pub(crate) processor: Workflow,
    pub(crate) handlers: Handlers,
}

/// Retry and Catch.
#[derive(Debug, Default)]
pub(crate) struct Handlers {
    pub(crate) retry: Vec<Retrier>,
    pub(crate) catch: Vec<Catcher>,
}

#[derive(Debug)]
pub(crate) struct Catcher {
    pub(crate) errors: Vec<Rc<str>>,
    pub(crate) assign: Vec<Assignment>,
    pub(crate) output: Option<Template>,
    pub(crate) next: usize,
}
