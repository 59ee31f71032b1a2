//! Loads a definition: reads it, refuses what is not known, and reports every problem at once.

mod fields;
mod graph;
mod handlers;
mod json;
mod problem;
mod state;
mod substitution;
mod workflow;

use std::collections::BTreeMap;
use std::rc::Rc;

use fields::Fields;
use problem::Problems;
pub use problem::{LoadErrors, Problem};
use workflow::Place;

use crate::limits::{MAX_DEFINITION_BYTES, MAX_SECONDS};
use crate::machine::{Definition, Machine};

impl Machine {
    /// Reads a definition in Amazon States Language with `QueryLanguage: JSONata`.
    ///
    /// `${Name}` inside a string is replaced by `substitutions["Name"]`, as SAM's
    /// `DefinitionSubstitutions` does.
    ///
    /// # Errors
    /// Every problem of the definition at once: a field, state type, resource, function or variable that
    /// is not known, a target that does not exist, a state that cannot be reached, a workflow without an
    /// end, an expression that cannot be parsed, a substitution without a value.
    pub fn load(source: &str, substitutions: &BTreeMap<String, String>) -> Result<Machine, LoadErrors> {
        let problems = Problems::default();
        let definition = load(source, substitutions, &problems);
        problems.into_result()?;
        definition
            .map(|loaded| Machine(Rc::new(loaded)))
            .ok_or_else(|| LoadErrors(vec![Problem { path: "/".to_owned(), message: "the definition could not be loaded".to_owned() }]))
    }
}

fn load(source: &str, substitutions: &BTreeMap<String, String>, problems: &Problems) -> Option<Definition> {
    if source.len() > MAX_DEFINITION_BYTES {
        problems.add("", format!("the definition has {} bytes; a state machine has at most {MAX_DEFINITION_BYTES}", source.len()));
        return None;
    }
    let root = match json::parse(source) {
        Ok(root) => root,
        Err(error) => {
            problems.add("", format!("the definition is not JSON: {error}"));
            return None;
        }
    };
    let root = substitution::substitute(&root, substitutions, problems);
    let fields = Fields::new(problems, String::new(), &root);
    fields.only(&["Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds", "Version"]);
    match fields.required_string("QueryLanguage") {
        Some(language) if &*language != "JSONata" => fields.problem("QueryLanguage", format!("is {language:?}; this interpreter speaks \"JSONata\" only")),
        _ => {}
    }
    if let Some(version) = fields.string("Version")
        && &*version != "1.0"
    {
        fields.problem("Version", format!("is {version:?}; only \"1.0\" exists"));
    }
    let workflow = workflow::load(&fields, &Place::top());
    Some(Definition {
        comment: fields.string("Comment").map(|text| text.to_string()),
        timeout_seconds: fields.integer("TimeoutSeconds", 1, MAX_SECONDS),
        workflow: workflow?,
    })
}
