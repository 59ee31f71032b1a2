//! Task tokens: how somebody outside answers a Task with `.waitForTaskToken`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use tokio::sync::Notify;

use crate::execution::Execution;
use crate::limits::MAX_DATA_BYTES;
use crate::value::Value;

/// Why an answer to a task was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// The token was never given out here.
    #[error("TaskDoesNotExist: nobody was given this task token; check where it came from")]
    TaskDoesNotExist,
    /// The task was answered before, has timed out, or its execution has ended.
    #[error("TaskTimedOut: the task has timed out or was closed before; nobody waits for this answer")]
    TaskTimedOut,
    /// The output is not JSON or is larger than 256 KiB.
    #[error("InvalidOutput: the output has more than {MAX_DATA_BYTES} bytes; pass a reference instead")]
    InvalidOutput,
}

/// What somebody answered.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Success(Value),
    Failure(Option<Rc<str>>, Option<Rc<str>>),
}

/// Every token that was given out; a closed one stays known, so that a late answer gets its own error.
#[derive(Default)]
pub(crate) struct Tokens(RefCell<BTreeMap<Rc<str>, Option<Rc<Slot>>>>);

/// Where the answer to one token arrives.
pub(crate) struct Slot {
    execution: Weak<Execution>,
    answer: RefCell<Option<Answer>>,
    answered: Notify,
    /// When the last heartbeat came, in milliseconds since 1970.
    pub(crate) heartbeat_at: Cell<u64>,
}

impl Slot {
    pub(crate) async fn answer(&self) -> Answer {
        loop {
            if let Some(answer) = self.answer.borrow_mut().take() {
                return answer;
            }
            self.answered.notified().await;
        }
    }
}

/// A token that is open as long as this lives.
pub(crate) struct Open<'a> {
    tokens: &'a Tokens,
    token: Rc<str>,
    pub(crate) slot: Rc<Slot>,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if let Some(slot) = self.tokens.0.borrow_mut().get_mut(&self.token) {
            *slot = None;
        }
    }
}

impl Tokens {
    pub(crate) fn open(&self, token: Rc<str>, execution: &Rc<Execution>) -> Open<'_> {
        let slot = Rc::new(Slot {
            execution: Rc::downgrade(execution),
            answer: RefCell::new(None),
            answered: Notify::new(),
            heartbeat_at: Cell::new(execution.now()),
        });
        let mut tokens = self.0.borrow_mut();
        tokens.insert(token.clone(), Some(slot.clone()));
        Open { tokens: self, token, slot }
    }

    pub(crate) fn slot(&self, token: &str) -> Result<Rc<Slot>, TaskError> {
        match self.0.borrow().get(token) {
            None => Err(TaskError::TaskDoesNotExist),
            Some(None) => Err(TaskError::TaskTimedOut),
            Some(Some(slot)) => match slot.execution.upgrade() {
                Some(execution) if execution.is_running() => Ok(slot.clone()),
                _ => Err(TaskError::TaskTimedOut),
            },
        }
    }

    pub(crate) fn answer(&self, token: &str, answer: Answer) -> Result<(), TaskError> {
        let slot = self.slot(token)?;
        *slot.answer.borrow_mut() = Some(answer);
        slot.answered.notify_one();
        if let Some(entry) = self.0.borrow_mut().get_mut(token) {
            *entry = None;
        }
        Ok(())
    }

    pub(crate) fn heartbeat(&self, token: &str, now: u64) -> Result<(), TaskError> {
        self.slot(token)?.heartbeat_at.set(now);
        Ok(())
    }
}
