//! Map, inline: one iteration for each item, some of them side by side.

use std::collections::VecDeque;
use std::rc::Rc;

use super::branches::{Running, first_to_end};
use super::{evaluate, evaluate_data, limited, seconds};
use crate::context::{Thread, Visit};
use crate::event::{Details, IterationStep};
use crate::expression::EvaluationError;
use crate::failure::Failure;
use crate::limits::{MAX_MAP_CONCURRENCY, MAX_SECONDS};
use crate::machine::{Map, StateType};
use crate::template::Template;
use crate::value::{self, Value};

/// One attempt.
pub(super) async fn run(visit: &Visit, map: &Map, input: &Value) -> Result<Value, Failure> {
    let items = items(visit, map, input)?;
    let width = match &map.max_concurrency {
        Some(field) => seconds(visit, "MaxConcurrency", field, 0, MAX_SECONDS, input)?,
        None => 0,
    };
    let width = match usize::try_from(width) {
        Ok(0) | Err(_) => MAX_MAP_CONCURRENCY,
        Ok(width) => width.min(MAX_MAP_CONCURRENCY),
    };
    let thread = &visit.thread;
    let length = items.len();
    thread.emit(|| Details::MapStateStarted { length })?;
    let mut waiting: VecDeque<(usize, Value)> = items.into_iter().enumerate().collect();
    let mut running: Vec<Running<'_>> = Vec::new();
    let mut outputs = vec![Value::Null; length];
    loop {
        while running.len() < width
            && let Some((index, item)) = waiting.pop_front()
        {
            let started = start(visit, map, input, index, item);
            match started {
                Ok(one) => running.push(one),
                Err(failure) => {
                    thread.children.borrow_mut().clear();
                    return Err(failure);
                }
            }
        }
        if running.is_empty() {
            break;
        }
        let (index, ended, result) = first_to_end(&mut running).await;
        let before = ended.last.get();
        thread.last.set(before);
        match result {
            Ok(output) => {
                outputs[index] = output;
                let succeeded = thread.emit(|| iteration(visit, IterationStep::Succeeded, index))?;
                // The next iteration follows the last state of this one; the end follows its success.
                let more = !waiting.is_empty() || !running.is_empty();
                thread.last.set(if more { before } else { succeeded });
            }
            Err(failure) => {
                fail(visit, index, &ended, &running);
                thread.children.borrow_mut().clear();
                return Err(failure);
            }
        }
    }
    thread.children.borrow_mut().clear();
    let result = Value::array(outputs);
    let bytes = value::plain(&result).map_or(usize::MAX, |(_, bytes)| bytes);
    let result = limited(visit, result, bytes, "output")?;
    thread.emit_aside(|| Details::MapStateSucceeded)?;
    Ok(result)
}

fn iteration(visit: &Visit, step: IterationStep, index: usize) -> Details {
    Details::MapIteration { step, name: visit.state.clone(), index }
}

fn items(visit: &Visit, map: &Map, input: &Value) -> Result<Vec<Value>, Failure> {
    let (value, wrong) = match &map.items {
        None => (input.clone(), None),
        Some(template) => {
            let (value, _) = evaluate(visit, template, visit.env(input))?;
            let expression = match template {
                Template::Expression(expression) => Some(expression),
                _ => None,
            };
            (value, expression)
        }
    };
    match (&value, wrong) {
        (Value::Array(items), _) => Ok(items.iter().cloned().collect()),
        (other, Some(expression)) => Err(visit.evaluation_failed(expression.wrong_type("array", other))),
        (other, None) => Err(visit.evaluation_failed(EvaluationError {
            location: "".into(),
            cause: format!("Map state input must be an array but was: {}", value::to_short_text(other, 1_000)),
        })),
    }
}

fn start<'a>(visit: &Visit, map: &'a Map, input: &Value, index: usize, item: Value) -> Result<Running<'a>, Failure> {
    let map_item = value::object([("Index", Value::from(index)), ("Value", item.clone())]);
    let item_input = match &map.item_selector {
        Some(template) => {
            let selecting = visit.with_map_item(map_item.clone());
            evaluate_data(&selecting, template, selecting.env(input), "input")?
        }
        None => item,
    };
    let parent = &visit.thread;
    let started = parent.emit_aside(|| iteration(visit, IterationStep::Started, index))?;
    let thread = parent.child(&map.processor.scope, &visit.state, index, Some(map_item));
    thread.last.set(started);
    parent.children.borrow_mut().push(thread.clone());
    let future_thread = thread.clone();
    Ok(Running { index, thread, future: Box::pin(async move { crate::run::workflow(&future_thread, &map.processor, item_input).await }) })
}

/// Records what the failure of one iteration does to the others, in the order that AWS was recorded to
/// use: all of it follows the event of the failure.
fn fail(visit: &Visit, index: usize, failed: &Rc<Thread>, others: &[Running<'_>]) {
    let thread = &visit.thread;
    // When the history is full, the first failure is still the reason.
    let _ = thread.emit_aside(|| iteration(visit, IterationStep::Failed, index));
    if failed.active.get() == Some(StateType::Task) {
        let state = StateType::Task;
        let _ = thread.emit_aside(|| Details::StateAborted { state });
    }
    for other in others {
        let _ = thread.emit_aside(|| iteration(visit, IterationStep::Aborted, other.index));
        let mut states = Vec::new();
        other.thread.in_progress(&mut states);
        for state in states {
            let _ = thread.emit_aside(|| Details::StateAborted { state });
        }
    }
}
