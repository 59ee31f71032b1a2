//! Reads a plan file, or says everything that is wrong with it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use muster_plan::{Diagnostic, MAX_FILE_BYTES, Plan, Severity, load, render};

use crate::ending::Complaint;
use crate::output;

/// A file that was read, whatever it holds.
pub(crate) struct PlanFile {
    /// The file, as the operator wrote it.
    pub(crate) name: String,
    /// The plan; `None` where there are errors.
    pub(crate) plan: Option<Plan>,
    /// Everything that is wrong or doubtful.
    pub(crate) diagnostics: Vec<Diagnostic>,
    source: String,
}

impl PlanFile {
    /// Reads the file.
    pub(crate) fn read(path: &Path) -> Result<PlanFile, Complaint> {
        let name = path.display().to_string();
        let bytes = read_at_most(path, MAX_FILE_BYTES + 1).map_err(|error| unreadable(&name, &error, "a plan in YAML, such as plans/basecoat.yaml"))?;
        let loaded = load(&name, &bytes);
        Ok(PlanFile { plan: loaded.plan, diagnostics: loaded.diagnostics, source: String::from_utf8_lossy(&bytes).into_owned(), name })
    }

    /// Shows every problem on stderr.
    pub(crate) fn show_problems(&self) -> io::Result<()> {
        output::note(&render(&self.diagnostics, &self.name, &self.source, output::notes_have_color()))
    }

    /// How many warnings there are.
    pub(crate) fn warnings(&self) -> u64 {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Warning).count() as u64
    }
}

/// A file that could not be read.
pub(crate) fn unreadable(name: &str, error: &io::Error, wanted: &str) -> Complaint {
    let now = match error.kind() {
        io::ErrorKind::NotFound => "check the path; it is relative to the directory that you are in",
        io::ErrorKind::PermissionDenied => "give yourself the right to read it",
        io::ErrorKind::IsADirectory => "name a file in it",
        _ => "look whether it is a file that can be read",
    };
    Complaint::new(format!("{name} cannot be read: {error}"), wanted, now)
}

fn read_at_most(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}
