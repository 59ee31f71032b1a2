//! `muster asl`: runs a state machine in virtual time, against recorded results of its tasks.

use std::path::Path;

use muster_asl::ExecutionStatus;
use muster_asl::recorded::{RecordedError, run_recorded};
use serde_json::{Value, json};

use crate::cli::Asl;
use crate::ending::{Complaint, Ending, Stop};
use crate::output;
use crate::plan_file::unreadable;

/// Runs the machine once and prints its status, output, error and history.
pub(crate) fn run(arguments: &Asl) -> Result<Ending, Stop> {
    let machine = read(&arguments.file, "a state machine in Amazon States Language (JSON, with JSONata)")?;
    let input = match arguments.input.strip_prefix('@') {
        Some(file) => parse(&read(Path::new(file), "the input, as JSON")?, file, "the execution's input, as JSON")?,
        None => parse(&arguments.input, "--input", "the execution's input, as JSON text or as @FILE")?,
    };
    let tasks = match &arguments.tasks {
        Some(file) => parse(
            &read(file, "recorded results, as JSON")?,
            &file.display().to_string(),
            "a JSON object from the names of states or functions to their results",
        )?,
        None => json!({}),
    };
    let run = run_recorded(&machine, &input, &tasks).map_err(|error| refused(&arguments.file, &error))?;
    let text =
        serde_json::to_string_pretty(&run).map_err(|error| Complaint::new(format!("the history is no JSON: {error}"), "JSON", "report this as a bug"))?;
    output::result(&format!("{text}\n"))?;
    Ok(if run.status == ExecutionStatus::Succeeded { Ending::Good } else { Ending::Bad })
}

fn read(path: &Path, wanted: &str) -> Result<String, Complaint> {
    std::fs::read_to_string(path).map_err(|error| unreadable(&path.display().to_string(), &error, wanted))
}

fn parse(text: &str, name: &str, wanted: &str) -> Result<Value, Complaint> {
    serde_json::from_str(text).map_err(|error| Complaint::new(format!("{name} is not JSON: {error}"), wanted, "mend the text at that line and column"))
}

fn refused(file: &Path, error: &RecordedError) -> Complaint {
    let (wanted, now) = match error {
        RecordedError::Machine(_) => ("a state machine that AWS would take", "mend each of them; the path is that of the field in the file"),
        RecordedError::Missing { .. } => ("a recorded result for every task that is called", "write it into a file and name it with --tasks"),
        RecordedError::Exhausted { .. } => ("a recorded result for every call", "add one, or give a single result in place of the list: it answers every call"),
        RecordedError::Tasks(_) => ("recorded results as `muster asl --help` describes them", "mend the file that --tasks names"),
        RecordedError::Input(_) => ("an input that an execution may have", "mend --input"),
        RecordedError::Runtime(_) => ("a runtime for virtual time", "report this as a bug"),
    };
    Complaint::new(format!("{}: {error}", file.display()), wanted, now)
}
