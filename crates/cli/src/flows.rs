//! `muster flows`: what is built, what is planned, and what starts it.

use muster_actions::FLOWS;
use muster_plan::Flow;

use crate::ending::{Complaint, Ending, Stop};
use crate::output::{self, GOOD, PLAIN, QUIET, STRONG};
use crate::table::table;
use crate::words::nearest;

/// Every flow, what starts it, and what it does.
const ALL: [(Flow, &str, &str); 9] = [
    (Flow::RegionFailover, "alarm, operator", "The service moves to the standby region: confirm, decide, fence, recover, verify, move traffic."),
    (Flow::Failback, "operator", "The service moves back, with a freeze of writes and nothing lost. Never by itself."),
    (Flow::DatabaseFailover, "alarm, operator", "A database is recovered inside its region."),
    (Flow::DatabaseRestore, "operator", "A database's data is brought back: isolate, restore, verify, switch."),
    (Flow::CacheFailover, "alarm, operator", "A cache fails over or is restored, and is warmed."),
    (Flow::ComputeRecovery, "alarm, operator", "Groups, nodes and workloads are recovered; an Availability Zone is left."),
    (Flow::Backup, "schedule", "Snapshots are made, copied to the standby region, pruned and verified."),
    (Flow::RestoreTest, "schedule", "The newest backup is restored into a clone, checked, measured and removed."),
    (Flow::Drill, "calendar, console", "A flow is carried out for real, on clones or live, and held against its targets."),
];

/// Prints the table.
pub(crate) fn run() -> Result<Ending, Stop> {
    let head = ["FLOW", "STATE", "STARTED BY", "WHAT IT DOES"].map(|title| (QUIET, title.to_owned()));
    let rows = ALL.iter().map(|(flow, starts, does)| {
        let state = if *flow == Flow::Backup || can_be_rehearsed(flow.as_str()) { (GOOD, "built".to_owned()) } else { (QUIET, "later".to_owned()) };
        vec![(STRONG, flow.as_str().to_owned()), state, (PLAIN, (*starts).to_owned()), (PLAIN, (*does).to_owned())]
    });
    let rows: Vec<_> = std::iter::once(head.to_vec()).chain(rows).collect();
    output::result(&table(0, &rows))?;
    Ok(Ending::Good)
}

/// Refuses a flow that cannot be rehearsed.
pub(crate) fn check(name: &str) -> Result<(), Complaint> {
    if can_be_rehearsed(name) {
        return Ok(());
    }
    let built = FLOWS.join(", ");
    if name == Flow::Backup.as_str() {
        return Err(Complaint::new(
            "the flow `backup` has no disaster to rehearse",
            format!("a flow that recovers: {built}"),
            "let months of it pass with `muster backups simulate PLAN`",
        ));
    }
    if ALL.iter().any(|(flow, ..)| flow.as_str() == name) {
        return Err(Complaint::new(
            format!("the flow `{name}` is planned, and not built yet"),
            format!("a flow that is built: {built}"),
            format!("rehearse `--flow {}`; `muster flows` says what comes later", FLOWS[0]),
        ));
    }
    let now = match nearest(name, ALL.iter().map(|(flow, ..)| flow.as_str())) {
        Some(known) => format!("did you mean `{known}`? `muster flows` lists them all"),
        None => "`muster flows` lists them all".to_owned(),
    };
    Err(Complaint::new(format!("there is no flow `{name}`"), format!("a flow that is built: {built}"), now))
}

fn can_be_rehearsed(name: &str) -> bool {
    FLOWS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_wants_to_rehearse_backups_is_told_what_does_it() {
        assert!(check("backup").unwrap_err().to_string().contains("muster backups simulate"));
        assert!(check("region-failover").is_ok());
    }

    #[test]
    fn every_flow_that_is_built_is_in_the_table() {
        assert!(FLOWS.iter().all(|built| ALL.iter().any(|(flow, ..)| flow.as_str() == *built)));
    }
}
