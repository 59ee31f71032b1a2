//! What is wrong with a definition: everything at once.

use std::cell::RefCell;
use std::fmt;

/// One mistake in a definition.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The field, as AWS writes it: `/States/Poll/Next`.
    pub path: String,
    /// What was seen, what is wanted.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.message)
    }
}

/// Every mistake of a definition, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct LoadErrors(
    /// At least one.
    pub Vec<Problem>,
);

impl fmt::Display for LoadErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(formatter, "the state machine has {count} {noun}:")?;
        for problem in &self.0 {
            write!(formatter, "\n  {problem}")?;
        }
        Ok(())
    }
}

/// Where the loader collects problems.
#[derive(Default)]
pub(super) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    pub(super) fn add(&self, path: &str, message: impl Into<String>) {
        let problem = Problem { path: if path.is_empty() { "/" } else { path }.to_owned(), message: message.into() };
        let mut problems = self.0.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    pub(super) fn into_result(self) -> Result<(), LoadErrors> {
        let problems = self.0.into_inner();
        if problems.is_empty() { Ok(()) } else { Err(LoadErrors(problems)) }
    }
}
