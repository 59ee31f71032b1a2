//! An alarm that nobody heard of. The longest of the tests, since it waits for real minutes: it comes first, so that the others run beside it.

use std::time::{Duration, Instant};

use muster_core::ports::{AlarmState, Alarms};
use serde_json::json;

use crate::failover::assert_moved;
use crate::stack::{Stack, wait_for};

#[test]
fn an_alarm_whose_event_was_lost_is_answered_by_the_probes_schedule() {
    let stack = Stack::start("automatic", "schedule");
    wait_for(async {
        // Nothing but the schedules of the templates from here on: the probes look each minute, the alarm goes off after two bad ones.
        stack.operate(&["deaf"]);
        stack.operate(&["dark", "primary"]);
        let (began, alarm, [_, there]) = (Instant::now(), stack.text("/alarm"), stack.regions());
        while !matches!(stack.aws.alarm_states(&there, std::slice::from_ref(&alarm)).await.unwrap().get(&alarm), Some(AlarmState::Alarm { .. })) {
            assert!(began.elapsed() < Duration::from_mins(5), "the alarm has not gone off");
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        // The probe answers it when it has stood for three minutes: nobody has to sit through them.
        stack.control("/unheard", Some(&json!({ "alarm": alarm, "region": there, "seconds": 170 })));
        let ended = stack.end_of(&stack.only_execution().await).await;
        assert_moved(&stack, &ended).await;
        assert!(ended.arn.contains("standing."), "{}", ended.arn);
    });
}
