//! Ends that nobody planned.

use muster_core::ports::RunRegistry;

use crate::stack::{Stack, wait_for};

#[test]
fn an_execution_that_is_stopped_in_the_console_is_closed_by_the_janitor() {
    let stack = Stack::start("holding", "stopped");
    wait_for(async {
        stack.lose_the_primary();
        let arn = stack.start_flow(&stack.order()).await;
        stack.is_asked("Preflight").await;
        stack.stop(&arn).await;
        assert_eq!(stack.aws.open_runs().await.unwrap().len(), 1, "nobody has closed it yet");
        // A minute for calls that may be under way, then the janitor's next look.
        let began = std::time::Instant::now();
        while !stack.aws.open_runs().await.unwrap().is_empty() {
            assert!(began.elapsed() < std::time::Duration::from_mins(7), "the janitor has not come");
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        }
        assert_eq!(stack.lane().await.last_closed.unwrap().outcome.as_ref(), "abandoned");
        assert_eq!(stack.reports().await.len(), 1);
    });
}
