//! Redrive: an execution that did not succeed goes on where it stood.
//!
//! As on AWS, what has succeeded is not run again: the state that was in progress is entered anew with the same input and the
//! same variables, and of a Parallel only the branches that had not ended. Retries are counted afresh, and so is the machine's
//! time-out. Source: the Step Functions developer guide, "Restarting state machine executions with redrive". A Map that was in
//! progress is refused: its iterations are not kept here.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::account::ExecutionDoesNotExist;
use crate::context::Thread;
use crate::draw::Draws;
use crate::execution::{Execution, ExecutionStatus};
use crate::machine::StateType;
use crate::scope::Scope;
use crate::value::Value;

/// Why an execution was not redriven.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedriveError {
    /// No execution has this ARN.
    #[error(transparent)]
    ExecutionDoesNotExist(#[from] ExecutionDoesNotExist),
    /// It runs, or it has succeeded, or a Map was in progress.
    #[error("ExecutionNotRedrivable: {0}")]
    ExecutionNotRedrivable(String),
}

/// Where a thread stood when its execution ended. It holds nothing of the execution: an execution keeps its own.
pub(crate) struct Standstill {
    scope: Rc<Scope>,
    draws: Rc<Draws>,
    /// The state that it was in, or was about to enter, and its input.
    at: Option<(usize, Value)>,
    /// Set for a branch that had ended.
    output: Option<Value>,
    in_map: bool,
    branches: Vec<Standstill>,
}

impl Standstill {
    /// Where a thread stands, and the branches below it.
    pub(crate) fn of(thread: &Thread) -> Self {
        Standstill {
            scope: thread.scope.clone(),
            draws: thread.draws.clone(),
            at: thread.at.borrow().clone(),
            output: thread.output.borrow().clone(),
            in_map: thread.active.get() == Some(StateType::Map),
            branches: thread.children.borrow().iter().map(|child| Standstill::of(child)).collect(),
        }
    }

    fn has_map(&self) -> bool {
        self.in_map || self.branches.iter().any(Standstill::has_map)
    }

    /// The threads that go on from here; their next event follows `last`.
    pub(crate) fn resume(&self, execution: &Rc<Execution>, last: u64) -> Rc<Thread> {
        // They were given back when the old thread ended.
        execution.variables_grew(self.scope.bytes() as isize);
        Rc::new(Thread {
            execution: execution.clone(),
            scope: self.scope.clone(),
            draws: self.draws.clone(),
            map_item: None,
            last: Cell::new(last),
            active: Cell::new(None),
            at: RefCell::new(self.at.clone()),
            output: RefCell::new(self.output.clone()),
            children: RefCell::new(self.branches.iter().map(|branch| branch.resume(execution, last)).collect()),
        })
    }
}

impl Execution {
    /// Lets an execution that did not succeed go on where it stood.
    ///
    /// # Errors
    /// `ExecutionNotRedrivable`, with the reason.
    pub(crate) fn redrive(self: &Rc<Self>) -> Result<(), RedriveError> {
        let refused = |why: &str| Err(RedriveError::ExecutionNotRedrivable(format!("{} {why}", self.arn)));
        match self.status().0 {
            ExecutionStatus::Running => return refused("is running"),
            ExecutionStatus::Succeeded => return refused("has succeeded"),
            ExecutionStatus::Failed | ExecutionStatus::TimedOut | ExecutionStatus::Aborted => {}
        }
        match &*self.standstill.borrow() {
            None => return refused("ended this very moment; try again"),
            Some(standstill) if standstill.has_map() => return refused("ended inside a Map, which this interpreter cannot resume"),
            Some(_) => {}
        }
        self.go_on();
        Ok(())
    }
}
