//! Ends that nobody planned.

use std::time::{Duration, Instant};

use muster_core::ports::RunRegistry;

use crate::stack::{Stack, wait_for};

#[test]
fn a_run_whose_execution_is_stopped_in_the_console_is_closed_with_a_report() {
    let stack = Stack::start("holding", "stopped");
    wait_for(async {
        stack.lose_the_primary();
        let arn = stack.start_flow(&stack.order()).await;
        stack.is_asked("Preflight").await;
        let run = stack.aws.open_runs().await.unwrap().remove(0).run.id;
        stack.stop(&arn).await;
        // By the janitor, a minute after its end at the earliest; or by the next run, since the alarm still stands.
        let began = Instant::now();
        let report = loop {
            if let Some(report) = stack.reports().await.into_iter().find(|report| report["summary"]["run"] == *run.0) {
                break report;
            }
            assert!(began.elapsed() < Duration::from_mins(7), "nobody has closed {run}");
            tokio::time::sleep(Duration::from_secs(2)).await;
        };
        assert_eq!(report["summary"]["outcome"], "abandoned");
        assert!(stack.aws.open_runs().await.unwrap().iter().all(|open| open.run.id != run), "its lock is released");
    });
}
