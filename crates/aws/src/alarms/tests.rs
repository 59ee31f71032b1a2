use serde_json::{Value, json};

use super::*;
use crate::testing::{Sent, cbor_answer, world};

async fn read(names: &[String], pages: Vec<Value>) -> (Result<BTreeMap<String, AlarmState>, CallError>, Vec<Sent>) {
    let next = std::sync::atomic::AtomicUsize::new(0);
    let (world, wire) = world(move |_| {
        let page = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Some(cbor_answer(200, &pages[page]))
    });
    let states = world.alarm_states(&"us-west-2".parse().unwrap(), names).await;
    (states, wire.sent())
}

fn names(of: &[&str]) -> Vec<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

#[tokio::test]
async fn an_alarm_stands_since_its_state_changed_and_not_since_it_was_last_written() {
    let page = json!({
        "MetricAlarms": [
            { "AlarmName": "primary", "StateValue": "ALARM", "StateTransitionedTimestamp": "@1600", "StateUpdatedTimestamp": "@1900" },
            { "AlarmName": "old", "StateValue": "ALARM", "StateUpdatedTimestamp": "@1900" },
            { "AlarmName": "fine", "StateValue": "OK" },
            { "AlarmName": "silent", "StateValue": "INSUFFICIENT_DATA" },
        ],
        "CompositeAlarms": [{ "AlarmName": "both", "StateValue": "ALARM", "StateTransitionedTimestamp": "@1700" }],
    });
    let (states, sent) = read(&names(&["primary", "old", "fine", "silent", "both", "gone"]), vec![page]).await;
    let since = |second: i64| AlarmState::Alarm { since: Timestamp::from_millis(second * 1_000) };
    let wanted = [("primary", since(1_600)), ("old", since(1_900)), ("fine", AlarmState::Ok), ("silent", AlarmState::InsufficientData), ("both", since(1_700))];
    assert_eq!(states.unwrap(), wanted.map(|(name, state)| (name.to_owned(), state)).into(), "and one that does not exist is absent");
    assert!(sent[0].body.contains("CompositeAlarm") && sent[0].body.contains("MetricAlarm") && sent[0].body.contains("gone"));
}

#[tokio::test]
async fn an_alarm_that_does_not_say_since_when_is_an_error() {
    let page = json!({ "MetricAlarms": [{ "AlarmName": "primary", "StateValue": "ALARM" }] });
    let error = read(&names(&["primary"]), vec![page]).await.0.unwrap_err();
    assert!(error.fault == CallFault::Unavailable && error.message.contains("primary"), "{error}");
}

#[tokio::test]
async fn many_alarms_are_read_in_hundreds_and_page_by_page() {
    let many: Vec<String> = (0..101).map(|index| format!("alarm-{index}")).collect();
    let page = |name: &str| json!({ "MetricAlarms": [{ "AlarmName": name, "StateValue": "OK" }], "CompositeAlarms": [] });
    let mut first = page("alarm-0");
    first["NextToken"] = "more".into();
    let (states, sent) = read(&many, vec![first, page("alarm-1"), page("alarm-100")]).await;
    assert_eq!(states.unwrap().into_keys().collect::<Vec<_>>(), ["alarm-0", "alarm-1", "alarm-100"]);
    assert!(sent.len() == 3 && sent[1].body.contains("more") && sent[2].body.contains("alarm-100") && !sent[1].body.contains("alarm-100"));
}
