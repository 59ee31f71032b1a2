//! An alarm that nobody heard of. The longest of the tests, since it waits for real minutes: it comes first, so that the others run beside it.

use crate::failover::assert_moved;
use crate::stack::{Stack, wait_for};

#[test]
fn an_alarm_whose_event_was_lost_is_answered_by_the_probes_schedule() {
    let stack = Stack::start("automatic", "schedule");
    wait_for(async {
        // Nothing but the schedules of the templates from here on: the probes look each minute, the alarm goes off after two bad ones, and
        // the probe answers it when it has stood for three.
        stack.operate(&["deaf"]);
        stack.operate(&["dark", "primary"]);
        let ended = stack.end_of(&stack.only_execution().await).await;
        assert_moved(&stack, &ended).await;
        assert!(ended.arn.contains("standing."), "{}", ended.arn);
    });
}
