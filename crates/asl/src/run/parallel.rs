//! Parallel: all branches side by side; the first that fails cancels the others.

use super::branches::{Running, first_to_end};
use super::evaluate_data;
use crate::context::{Thread, Visit};
use crate::event::Details;
use crate::failure::Failure;
use crate::machine::{Parallel, StateType};
use crate::value::{self, Value};

/// One attempt.
pub(super) async fn run(visit: &Visit, parallel: &Parallel, input: &Value) -> Result<Value, Failure> {
    let arguments = match &parallel.arguments {
        Some(template) => evaluate_data(visit, template, visit.env(input), "input")?,
        None => input.clone(),
    };
    let thread = &visit.thread;
    thread.emit(|| Details::ParallelStateStarted)?;
    let mut threads = thread.children.borrow().clone();
    // There are some where the execution was redriven: those that had ended are not run again.
    if threads.is_empty() {
        let branches = parallel.branches.iter().enumerate();
        threads = branches.map(|(index, branch)| thread.child(&branch.scope, &visit.state, index, None)).collect();
        *thread.children.borrow_mut() = threads.clone();
    }
    let mut running: Vec<Running<'_>> = threads
        .iter()
        .zip(&parallel.branches)
        .enumerate()
        .filter(|(_, (branch_thread, _))| branch_thread.output.borrow().is_none())
        .map(|(index, (branch_thread, branch))| Running {
            index,
            thread: branch_thread.clone(),
            future: crate::run::workflow(branch_thread, branch, arguments.clone()),
        })
        .collect();
    while !running.is_empty() {
        let (_, ended, result) = first_to_end(&mut running).await;
        thread.last.set(ended.last.get());
        match result {
            Ok(output) => *ended.output.borrow_mut() = Some(output),
            Err(failure) => {
                abort(thread, &ended, &running);
                // Dropping the branches drops only their waiting: functions run on. Their threads stay, for a redrive.
                return Err(failure);
            }
        }
    }
    thread.children.borrow_mut().clear();
    let result = Value::array(threads.iter().filter_map(|branch| branch.output.take()).collect());
    let bytes = value::plain(&result).map_or(usize::MAX, |(_, bytes)| bytes);
    let result = super::limited(visit, result, bytes, "output")?;
    thread.emit_aside(|| Details::ParallelStateSucceeded)?;
    Ok(result)
}

/// Records what the failure of one branch does to the states in progress.
fn abort(thread: &Thread, failed: &Thread, others: &[Running<'_>]) {
    let mut states = Vec::new();
    if failed.active.get() == Some(StateType::Task) {
        states.push(StateType::Task);
    }
    for other in others {
        other.thread.in_progress(&mut states);
    }
    for state in states {
        // When the history is full, the first failure is still the reason.
        let _ = thread.emit(|| Details::StateAborted { state });
    }
}
