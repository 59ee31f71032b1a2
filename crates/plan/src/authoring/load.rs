//! From the bytes of a file to a plan, or to everything that is wrong with it.

use crate::plan::Plan;

use super::diagnostic::{Diagnostic, Severity};
use super::{rules, structure, yaml};

/// The largest file that is read: as large as the bucket takes one, room for a few thousand databases.
pub const MAX_FILE_BYTES: usize = 4 << 20;

/// The most problems that are shown; more than that is not a plan with mistakes.
pub(super) const MAX_DIAGNOSTICS: usize = 100;

/// What a file held.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The plan; `None` where any diagnostic is an error.
    pub plan: Option<Plan>,
    /// Everything that is wrong or doubtful, in the order of the file.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads a plan from the bytes of a YAML file. `name` is the file's, for messages about the file as a whole.
///
/// Problems come all at once, but in two rounds: what is wrong with the form hides what is wrong with the meaning, since the meaning of a
/// plan that cannot be read is anyone's guess.
pub fn load(name: &str, bytes: &[u8]) -> Loaded {
    let failed = |diagnostic: Diagnostic| Loaded { plan: None, diagnostics: vec![diagnostic] };
    if bytes.len() > MAX_FILE_BYTES {
        let message = format!("{name} has {} bytes, and a plan at most {MAX_FILE_BYTES}", bytes.len());
        return failed(Diagnostic::error("too-large", message).help("one plan describes one service: split it, or look whether this is a plan at all"));
    }
    let source = match std::str::from_utf8(bytes) {
        Ok(source) => source,
        Err(error) => {
            let line = bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
            let message = format!("{name} is not UTF-8: line {line} holds bytes that are no text");
            return failed(Diagnostic::error("not-utf8", message).help("save the file as UTF-8, without a byte-order mark"));
        }
    };
    let (document, mut diagnostics) = yaml::read(source);
    let mut plan = None;
    if let Some(document) = document.filter(|document| !document.value.is_null()) {
        let mut form = structure::check(&document);
        // What the reader refused already need not be refused again for its form.
        form.retain(|problem| !diagnostics.iter().any(|known| known.span == problem.span));
        let is_sound = form.is_empty() && diagnostics.is_empty();
        diagnostics.extend(form);
        if is_sound {
            match serde_json::from_value::<Plan>(document.value.clone()) {
                Ok(read) => {
                    diagnostics.extend(rules::check(&read, &document));
                    plan = Some(read);
                }
                Err(error) => diagnostics.push(Diagnostic::error("not-a-plan", format!("{name} cannot be read as a plan: {error}"))),
            }
        }
    } else if diagnostics.is_empty() {
        let help = "begin with `service:`, `regions:` and `objectives:`, or copy one of the plans that come with Muster";
        diagnostics.push(Diagnostic::error("empty", format!("{name} is empty")).help(help));
    }
    diagnostics.sort_by_key(|diagnostic| (diagnostic.span.as_ref().map_or(0, |span| span.start), diagnostic.severity, diagnostic.code));
    let failed = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    shorten(&mut diagnostics, name, failed);
    for diagnostic in &mut diagnostics {
        diagnostic.locate(source);
    }
    Loaded { plan: plan.filter(|_| !failed), diagnostics }
}

/// Keeps the first of too many, and says that there are more.
fn shorten(diagnostics: &mut Vec<Diagnostic>, name: &str, failed: bool) {
    if diagnostics.len() > MAX_DIAGNOSTICS {
        diagnostics.truncate(MAX_DIAGNOSTICS);
        let message = format!("{name} has more than {MAX_DIAGNOSTICS} problems");
        let last = if failed { Diagnostic::error("too-many", message) } else { Diagnostic::warning("too-many", message) };
        diagnostics.push(last.help("solve those above first"));
    }
}
