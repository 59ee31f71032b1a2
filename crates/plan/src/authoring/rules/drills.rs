//! Drills end as they began, and leave the service as protected as it was.

use super::{Findings, each};
use crate::custom::Flow;
use crate::drills::{DrillFinish, DrillTarget};
use crate::plan::Plan;

pub(super) fn check(plan: &Plan, findings: &mut Findings<'_>) {
    for (at, drill) in each("/drills", &plan.drills) {
        if matches!(drill.flow, Flow::Drill | Flow::Backup) {
            findings.error(
                "wrong-flow",
                &format!("{at}/flow"),
                format!("`{}` is not a flow that can be drilled", drill.flow.as_str()),
                "name the flow to rehearse, such as `region-failover` or `restore-test`",
            );
        }
        let moves = drill.flow == Flow::RegionFailover;
        match (drill.on, drill.finish) {
            (DrillTarget::Clone, DrillFinish::FailBack) => {
                findings.error(
                    "wrong-finish",
                    &format!("{at}/finish"),
                    "a drill on clones moved nothing that could fail back",
                    "delete `finish`: clones are removed",
                );
            }
            (DrillTarget::Live, DrillFinish::CleanUp) if moves => {
                findings.error(
                    "wrong-finish",
                    &format!("{at}/on"),
                    format!("`{}` really moves the service, and nothing moves it back", drill.name),
                    "add `finish: failBack`, or use `on: clone`",
                );
            }
            _ => {}
        }
        if drill.on == DrillTarget::Live && moves {
            if plan.failback.is_none() {
                findings.error(
                    "wrong-finish",
                    &format!("{at}/on"),
                    format!("`{}` has to fail back, and the plan says nothing about that", drill.name),
                    "add `failback`",
                );
            }
            if plan.replica_databases().next().is_some() {
                findings.warning(
                    "drill-unprotects",
                    &format!("{at}/on"),
                    format!("`{}` promotes the real replica, which is one way: until a new one is built, nothing protects the service", drill.name),
                    "use `on: clone`, which shows the same times; or let it be, knowing it",
                );
            }
        }
    }
}
