//! Whether every state can be reached, and whether the workflow can end.

use super::fields::Fields;
use crate::machine::{Kind, Next, State};

pub(super) fn check(fields: &Fields<'_>, start: usize, states: &[State]) {
    let mut reached = vec![false; states.len()];
    let mut pending = vec![start];
    let mut ends = false;
    while let Some(index) = pending.pop() {
        if std::mem::replace(&mut reached[index], true) {
            continue;
        }
        let state = &states[index];
        let mut follow = |next: &Next| match next {
            Next::State(target) => pending.push(*target),
            Next::End => ends = true,
        };
        match &state.kind {
            Kind::Succeed | Kind::Fail { .. } => ends = true,
            Kind::Choice(choice) => {
                pending.extend(choice.rules.iter().map(|rule| rule.next));
                pending.extend(choice.default);
            }
            Kind::Pass | Kind::Wait(_) => follow(&state.next),
            Kind::Task(task) => {
                follow(&state.next);
                pending.extend(task.handlers.catch.iter().map(|catcher| catcher.next));
            }
            Kind::Parallel(parallel) => {
                follow(&state.next);
                pending.extend(parallel.handlers.catch.iter().map(|catcher| catcher.next));
            }
            Kind::Map(map) => {
                follow(&state.next);
                pending.extend(map.handlers.catch.iter().map(|catcher| catcher.next));
            }
        }
    }
    for (state, _) in states.iter().zip(&reached).filter(|(_, reached)| !**reached) {
        fields.problem(&state.name, "cannot be reached from StartAt; point a Next at it or remove it");
    }
    if !ends {
        fields.problems.add(&fields.path, "has no state that can be reached and ends the workflow; add \"End\": true, a Succeed or a Fail");
    }
}
