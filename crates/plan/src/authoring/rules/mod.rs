//! What has to be true of a plan as a whole.

mod backups;
mod databases;
mod drills;
mod names;
mod promises;
mod references;
mod regions;
mod restores;
mod triggers;

use super::diagnostic::Diagnostic;
use super::yaml::Document;
use crate::plan::Plan;

/// Every rule, against a plan whose form is right.
pub(crate) fn check(plan: &Plan, document: &Document) -> Vec<Diagnostic> {
    let mut findings = Findings { document, list: Vec::new() };
    names::check(plan, &mut findings);
    references::check(plan, &mut findings);
    regions::check(plan, &mut findings);
    databases::check(plan, &mut findings);
    promises::check(plan, &mut findings);
    backups::check(plan, &mut findings);
    triggers::check(plan, &mut findings);
    drills::check(plan, &mut findings);
    restores::check(plan, &mut findings);
    findings.list
}

/// What the rules found. Places are JSON pointers into the document.
struct Findings<'a> {
    document: &'a Document,
    list: Vec<Diagnostic>,
}

impl Findings<'_> {
    /// The plan cannot be used.
    fn error(&mut self, code: &'static str, pointer: &str, message: impl Into<String>, help: impl Into<String>) {
        self.add(Diagnostic::error(code, message), pointer, help);
    }

    /// The plan can be used, but does not do what its author may think.
    fn warning(&mut self, code: &'static str, pointer: &str, message: impl Into<String>, help: impl Into<String>) {
        self.add(Diagnostic::warning(code, message), pointer, help);
    }

    fn add(&mut self, diagnostic: Diagnostic, pointer: &str, help: impl Into<String>) {
        self.list.push(diagnostic.at(self.document.span_of(pointer)).help(help).of(pointer));
    }

    /// What is said at the place of the last finding.
    fn label(&mut self, label: impl Into<String>) {
        if let Some(last) = self.list.last_mut() {
            last.label = Some(label.into());
        }
    }

    /// A second place that belongs to the last finding.
    fn also(&mut self, pointer: &str, label: impl Into<String>) {
        let span = self.document.span_of(pointer);
        if let Some(last) = self.list.last_mut() {
            last.second = Some((span, label.into()));
        }
    }
}

/// Every item of a list with its JSON pointer.
fn each<'a, T>(section: &str, items: &'a [T]) -> impl Iterator<Item = (String, &'a T)> + use<'a, T> {
    let section = section.to_owned();
    items.iter().enumerate().map(move |(index, item)| (format!("{section}/{index}"), item))
}
