//! How a command ends: its exit code, and what it says when it cannot do its work.

use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::output::{self, BAD, STRONG, WIDTH, paint};
use crate::words::wrap;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Done; targets met.
    Good,
    /// The run failed, broke an invariant or missed a target.
    Bad,
    /// Wrong usage, or a wrong plan.
    Wrong,
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> ExitCode {
        ExitCode::from(match ending {
            Ending::Good => 0,
            Ending::Bad => 1,
            Ending::Wrong => 2,
        })
    }
}

/// What was seen, what was wanted, and what to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    seen: String,
    wanted: String,
    now: String,
}

impl Complaint {
    /// All three, none of them optional.
    pub(crate) fn new(seen: impl Into<String>, wanted: impl Into<String>, now: impl Into<String>) -> Self {
        Complaint { seen: seen.into(), wanted: wanted.into(), now: now.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [("error: ", &self.seen), ("wanted: ", &self.wanted), ("   now: ", &self.now)];
        for (position, (head, text)) in parts.into_iter().enumerate() {
            let lines: Vec<String> = text.lines().flat_map(|line| wrap(line, WIDTH - 8)).collect();
            for (index, line) in lines.iter().enumerate() {
                match (index, position) {
                    (0, 0) => writeln!(f, "{}{}", paint(BAD.bold(), head), paint(STRONG, line))?,
                    (0, _) => writeln!(f, "{head}{line}")?,
                    (_, 0) => writeln!(f, "       {}", paint(STRONG, line))?,
                    _ => writeln!(f, "        {line}")?,
                }
            }
        }
        Ok(())
    }
}

/// Why a command stopped before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was used wrongly, or a file was wrong.
    Wrong(Complaint),
    /// Its output could not be written.
    Output(io::Error),
}

impl From<Complaint> for Stop {
    fn from(complaint: Complaint) -> Self {
        Stop::Wrong(complaint)
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Output(error)
    }
}

/// Says why a command stopped, and gives its exit code.
pub(crate) fn conclude(outcome: Result<Ending, Stop>) -> ExitCode {
    match outcome {
        Ok(ending) => ending.into(),
        Err(Stop::Wrong(complaint)) => {
            // Where not even the error can be written, the exit code has to say it all.
            let _ = output::note(&complaint.to_string());
            Ending::Wrong.into()
        }
        // Whoever read the output has seen enough: `muster faults | head`.
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ending::Good.into(),
        Err(Stop::Output(error)) => {
            let complaint =
                Complaint::new(format!("the output could not be written: {error}"), "a terminal, a pipe or a file", "look whether the disk is full");
            let _ = output::note(&complaint.to_string());
            Ending::Bad.into()
        }
    }
}
