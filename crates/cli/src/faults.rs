//! `muster faults`: what a rehearsal can put in, and what should follow.

use muster_twin::{FAULTS, FaultName};

use crate::ending::{Complaint, Ending, Stop};
use crate::output::{self, PLAIN, STRONG, paint};
use crate::table::{Cell, table};
use crate::words::nearest;

/// Prints the table.
pub(crate) fn run() -> Result<Ending, Stop> {
    let row = |fault: &FaultName| -> Vec<Cell> { vec![(STRONG, fault.name.to_owned()), (PLAIN, format!("{}\n→ {}", fault.what, fault.expected))] };
    let part = |is_outage: bool| table(2, &FAULTS.iter().filter(|fault| fault.is_outage == is_outage).map(row).collect::<Vec<_>>());
    output::result(&format!(
        "{}\n{}\n{}\n{}",
        paint(STRONG, "Outages: one of them begins every rehearsal (primary-region-down unless named)"),
        part(true),
        paint(STRONG, "What can go wrong beside it"),
        part(false),
    ))?;
    Ok(Ending::Good)
}

/// Refuses a name that is no fault.
pub(crate) fn check(name: &str) -> Result<(), Complaint> {
    if FAULTS.iter().any(|fault| fault.name == name) {
        return Ok(());
    }
    let now = match nearest(name, FAULTS.iter().map(|fault| fault.name)) {
        Some(known) => format!("did you mean `{known}`? `muster faults` lists them all"),
        None => "`muster faults` lists them all".to_owned(),
    };
    Err(Complaint::new(format!("there is no fault `{name}`"), "a fault that can be rehearsed", now))
}
