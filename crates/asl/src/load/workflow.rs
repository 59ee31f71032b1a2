//! Loads the states of one workflow: the top level, a branch, or an ItemProcessor.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::fields::{Fields, Names};
use super::{graph, state};
use crate::limits::MAX_WORKFLOW_DEPTH;
use crate::machine::{Assignment, Workflow};
use crate::names::Available;
use crate::scope::ScopeNames;
use crate::value::Value;

/// Where a workflow is.
#[derive(Clone)]
pub(super) struct Place {
    pub(super) depth: usize,
    pub(super) in_map: bool,
    pub(super) outer: Option<Rc<ScopeNames>>,
}

impl Place {
    pub(super) fn top() -> Self {
        Self { depth: 0, in_map: false, outer: None }
    }

    pub(super) fn inner(&self, scope: &Rc<ScopeNames>, in_map: bool) -> Self {
        Self { depth: self.depth + 1, in_map: self.in_map || in_map, outer: Some(scope.clone()) }
    }
}

/// What the states of one workflow share while they are loaded.
pub(super) struct Shared {
    pub(super) place: Place,
    pub(super) scope: Rc<ScopeNames>,
    pub(super) names: Vec<Rc<str>>,
}

impl Shared {
    pub(super) fn available(&self) -> Available {
        Available { map_item: self.place.in_map, ..Available::default() }
    }

    pub(super) fn names(&self, available: Available) -> Names<'_> {
        Names { scope: &self.scope, available }
    }

    /// The state that `field` names, or a problem.
    pub(super) fn target(&self, fields: &Fields<'_>, field: &str) -> Option<usize> {
        let name = fields.string(field)?;
        let index = self.names.iter().position(|known| *known == name);
        if index.is_none() {
            fields.problem(field, format!("names the state {name:?}, which does not exist here; the states are {}", self.names.join(", ")));
        }
        index
    }

    /// The field `Assign`.
    pub(super) fn assign(&self, fields: &Fields<'_>, available: Available) -> Option<Vec<Assignment>> {
        let Some(value) = fields.get("Assign") else {
            return Some(Vec::new());
        };
        let assign = Fields::new(fields.problems, fields.at("Assign"), value);
        let Value::Object(variables) = value else {
            return None;
        };
        let names = self.names(available);
        let mut assignments = Vec::with_capacity(variables.len());
        for (name, value) in variables.iter() {
            let template = names.template(fields.problems, &assign.at(name), &format!("Assign/{name}"), value);
            let slot = self.scope.names.iter().position(|known| **known == **name);
            if let (Some(value), Some(slot)) = (template, slot) {
                assignments.push(Assignment { name: name.as_str().into(), slot, value });
            }
        }
        Some(assignments)
    }
}

/// Loads `StartAt` and `States` of `fields`.
pub(super) fn load(fields: &Fields<'_>, place: &Place) -> Option<Workflow> {
    if place.depth > MAX_WORKFLOW_DEPTH {
        fields.problems.add(&fields.path, format!("is nested deeper than {MAX_WORKFLOW_DEPTH} Parallel and Map states; start a child execution instead"));
        return None;
    }
    fields.required_string("StartAt");
    let value = fields.required("States")?;
    let states_fields = Fields::new(fields.problems, fields.at("States"), value);
    let Value::Object(states) = value else {
        return None;
    };
    if states.is_empty() {
        fields.problem("States", "is empty; a workflow has at least one state");
        return None;
    }
    let names: Vec<Rc<str>> = states.iter().map(|(name, _)| name.as_str().into()).collect();
    for name in &names {
        if let Some(message) = bad_state_name(name) {
            states_fields.problem(name, message);
        }
    }
    let scope = Rc::new(scope_names(&states_fields, states.iter(), place));
    let shared = Shared { place: place.clone(), scope: scope.clone(), names };
    let mut loaded = Vec::with_capacity(states.len());
    for (name, value) in states.iter() {
        let state = Fields::new(fields.problems, states_fields.at(name), value);
        loaded.push(state::load(name, &state, &shared));
    }
    let start = shared.target(fields, "StartAt")?;
    let states: Vec<_> = loaded.into_iter().collect::<Option<_>>()?;
    graph::check(&states_fields, start, &states);
    Some(Workflow { start, states, scope })
}

fn bad_state_name(name: &str) -> Option<String> {
    let length = name.chars().count();
    if length == 0 || length > 80 {
        return Some(format!("has a name of {length} characters; a state's name has 1 to 80"));
    }
    if name.chars().any(char::is_control) {
        return Some("has a control character in its name; remove it".to_owned());
    }
    None
}

/// The names that the states of this workflow assign, each checked against the rules for names.
fn scope_names<'v>(fields: &Fields<'_>, states: impl Iterator<Item = (&'v String, &'v Value)>, place: &Place) -> ScopeNames {
    let mut names: BTreeSet<String> = BTreeSet::new();
    for (state, value) in states {
        for (path, assign) in assigns(value) {
            let Value::Object(variables) = assign else {
                continue;
            };
            for (name, _) in variables.iter() {
                if let Some(message) = bad_variable_name(name, place.outer.as_deref()) {
                    fields.problem(&format!("{state}{path}/Assign/{name}"), message);
                }
                names.insert(name.clone());
            }
        }
    }
    ScopeNames { parent: place.outer.clone(), names: names.into_iter().map(Rc::from).collect() }
}

/// Every `Assign` of a state: its own, its rules', its catchers'.
fn assigns(state: &Value) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    if let Some(assign) = state.get("Assign") {
        found.push((String::new(), assign));
    }
    for field in ["Choices", "Catch"] {
        let entries = state.get(field).and_then(Value::as_array);
        for (index, entry) in entries.into_iter().flatten().enumerate() {
            if let Some(assign) = entry.get("Assign") {
                found.push((format!("/{field}[{index}]"), assign));
            }
        }
    }
    found
}

fn bad_variable_name(name: &str, outer: Option<&ScopeNames>) -> Option<String> {
    let mut letters = name.chars();
    let well_formed =
        letters.next().is_some_and(|letter| letter.is_alphabetic() || letter == '_') && letters.all(|letter| letter.is_alphanumeric() || letter == '_');
    if name == "states" {
        return Some("assigns $states, which is reserved; use another name".to_owned());
    }
    if !well_formed || name.chars().count() > 80 {
        return Some("is not a variable's name: it begins with a letter, goes on with letters, digits and _, and has at most 80 characters".to_owned());
    }
    if outer.is_some_and(|outer| outer.resolve(name).is_some()) {
        return Some("is a variable of an outer scope, and an inner scope cannot assign those; use another name".to_owned());
    }
    None
}
