//! The table on the wire: what is sent, and what the answers mean.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use muster_core::ports::{Answer, Closing, Control, Decisions, KillSwitch, Ledger, Note, Notes, OpenRun, Question, Reading, RunRegistry, Sample, Samples};
use muster_core::{Body, CallFault, Duration, Entry, Evidence, Lane, PlanPin, Run, RunId, Timestamp, Waits};
use serde_json::{Value, json};

use crate::testing::{self, Sent, answer, world};

const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_123);

fn run() -> Run {
    Run {
        id: RunId("portal.region-failover.8".into()),
        service: "portal".into(),
        flow: "region-failover".into(),
        epoch: 8,
        lane: Lane::Recover,
        opened_at: NOW,
        deadline: NOW.after(Duration::from_hours(8)),
        plan: PlanPin { key: "plans/portal.json".into(), version: "v1".into(), sha256: "0".repeat(64).into() },
        overrides: Vec::new(),
        waits: Waits { decision_seconds: 900, hold_seconds: 3_600 },
    }
}

fn open() -> OpenRun {
    OpenRun { run: run(), execution: "arn:mine".into(), drill: false }
}

fn question() -> Question {
    Question {
        run: run().id,
        service: "portal".into(),
        name: "failover".into(),
        choices: vec!["proceed".into(), "veto".into()],
        default: "proceed".into(),
        asked_at: NOW,
        deadline: None,
        token: "token".into(),
        answer: None,
    }
}

fn reply(choice: &str) -> Answer {
    Answer { choice: choice.into(), by: "Ada".into(), reason: "because".into(), at: NOW, overrides: Vec::new() }
}

fn sample(at: Timestamp) -> Sample {
    Sample {
        at,
        vantage: "us-west-2".parse().unwrap(),
        source: "front-door".into(),
        reading: Reading::Lags { lags: [("portal-db".into(), Duration::from_millis(1_500))].into() },
    }
}

fn entry(sequence: u32, what: &str) -> Entry {
    Entry {
        run: run().id,
        epoch: 8,
        invocation: "1790000000123-request".into(),
        action: "hold".into(),
        phase: "Hold".into(),
        sequence,
        at: NOW,
        body: Body::Saw { evidence: Evidence::Undone { what: what.into() } },
    }
}

/// The refusal of a write whose condition does not hold.
fn refused(item: &Value) -> testing::Answer {
    let mut body = json!({ "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "message": "The conditional request failed" });
    if !item.is_null() {
        body["Item"] = item.clone();
    }
    answer(400, body)
}

/// The item that a put or an update would leave, as DynamoDB would hand it out.
fn stored_question(question: &Question) -> Value {
    let mut item = json!({ "pk": { "S": "run/portal.region-failover.8" }, "sk": { "S": "question/failover" } });
    item["value"] = json!({ "S": json!(Question { deadline: None, answer: None, ..question.clone() }).to_string() });
    if let Some(deadline) = question.deadline {
        item["deadline"] = json!({ "S": deadline.to_string() });
    }
    if let Some(answer) = &question.answer {
        item["answer"] = json!({ "S": json!(answer).to_string() });
    }
    item
}

fn switches(kill_switch: bool, epoch: Option<u64>) -> Value {
    let mut items = Vec::new();
    if let Some(epoch) = epoch {
        items.push(json!({ "pk": { "S": "lanes" }, "sk": { "S": "portal/recover" }, "epoch": { "N": epoch.to_string() } }));
    }
    if kill_switch {
        items.push(json!({ "pk": { "S": "control" }, "sk": { "S": "kill-switch" }, "by": { "S": "Ada" } }));
    }
    json!({ "Responses": { "table": items }, "UnprocessedKeys": {} })
}

#[tokio::test]
async fn kill_switch_and_epoch_come_from_one_consistent_read() {
    let (world, wire) = world(|_| Some(answer(200, switches(true, Some(8)))));
    let state = world.read_control("portal", Lane::Recover).await.unwrap();
    assert_eq!((state.epoch, state.kill_switch), (8, Some(KillSwitch { by: "Ada".into(), reason: "no reason is given".into() })));
    let sent = wire.only();
    assert_eq!(sent.operation(), "BatchGetItem");
    let wanted = sent.json()["RequestItems"]["table"].clone();
    assert_eq!((wanted["ConsistentRead"].clone(), wanted["Keys"].as_array().map(Vec::len)), (json!(true), Some(2)));
}

#[tokio::test]
async fn a_service_that_never_had_a_run_has_epoch_zero() {
    let (world, _) = world(|_| Some(answer(200, switches(false, None))));
    let state = world.read_control("portal", Lane::Recover).await.unwrap();
    assert_eq!((state.epoch, state.kill_switch), (0, None));
}

#[tokio::test]
async fn a_kill_switch_that_was_not_read_is_not_a_clear_one() {
    let left =
        json!({ "Responses": { "table": [] }, "UnprocessedKeys": { "table": { "Keys": [{ "pk": { "S": "control" }, "sk": { "S": "kill-switch" } }] } } });
    let (blind, _) = world(move |_| Some(answer(200, &left)));
    assert_eq!(blind.read_control("portal", Lane::Recover).await.unwrap_err().fault, CallFault::Throttled);
    let (empty, _) = world(|_| Some(answer(200, "{}")));
    assert_eq!(empty.read_control("portal", Lane::Recover).await.unwrap_err().fault, CallFault::Unavailable);
}

#[tokio::test]
async fn a_lock_is_taken_only_from_the_epoch_that_was_read() {
    let (taken, wire) = world(|_| Some(answer(200, "{}")));
    assert!(taken.open_run(7, &open()).await.unwrap());
    let sent = wire.only().json();
    assert_eq!(sent["ConditionExpression"], "#epoch = :expected");
    assert_eq!((&sent["ExpressionAttributeValues"][":expected"]["N"], &sent["ExpressionAttributeValues"][":epoch"]["N"]), (&json!("7"), &json!("8")));

    let (first, wire) = world(|_| Some(answer(200, "{}")));
    assert!(first.open_run(0, &open()).await.unwrap());
    assert_eq!(wire.only().json()["ConditionExpression"], "attribute_not_exists(#epoch) OR #epoch = :expected");

    let (late, _) = world(|_| Some(refused(&Value::Null)));
    assert!(!late.open_run(7, &open()).await.unwrap());

    let (broken, _) = world(|_| None);
    assert!(broken.open_run(7, &open()).await.unwrap_err().fault.is_ambiguous(), "it may have been taken: the caller reads the lane again");
}

#[tokio::test]
async fn a_lane_reads_back_what_opening_and_closing_wrote() {
    let closing = Closing { run: RunId("portal.region-failover.7".into()), flow: "region-failover".into(), outcome: "succeeded".into(), at: NOW };
    let (opened, wire) = world(|_| Some(answer(200, "{}")));
    opened.open_run(7, &open()).await.unwrap();
    opened.close_run("portal", Lane::Recover, &closing).await.unwrap();
    let sent = wire.sent();
    let values = |index: usize, name: &str| sent[index].json()["ExpressionAttributeValues"][name].clone();
    let item = json!({ "epoch": values(0, ":epoch"), "run": values(0, ":run"), "open": values(0, ":open"), "lastClosed": values(1, ":closing") });
    let (reads, wire) = world(move |_| Some(answer(200, json!({ "Item": item }))));
    let lane = reads.read_lane("portal", Lane::Recover).await.unwrap();
    assert_eq!((lane.epoch, lane.open, lane.last_closed), (8, Some(open()), Some(closing)));
    assert_eq!(wire.only().json()["ConsistentRead"], true);
}

#[tokio::test]
async fn only_the_run_that_holds_a_lock_releases_it() {
    let closing = Closing { run: run().id, flow: "region-failover".into(), outcome: "failed".into(), at: NOW };
    let (holder, wire) = world(|_| Some(answer(200, "{}")));
    assert!(holder.close_run("portal", Lane::Recover, &closing).await.unwrap());
    let sent = wire.only().json();
    assert_eq!(
        (sent["ConditionExpression"].clone(), sent["UpdateExpression"].clone()),
        (json!("#run = :run"), json!("SET #lastClosed = :closing REMOVE #run, #open"))
    );
    assert_eq!(sent["ExpressionAttributeValues"][":run"]["S"], "portal.region-failover.8");
    let (other, _) = world(|_| Some(refused(&Value::Null)));
    assert!(!other.close_run("portal", Lane::Recover, &closing).await.unwrap());
}

#[tokio::test]
async fn a_question_that_was_put_stands_with_its_token_deadline_and_answer() {
    let (first, wire) = world(|_| Some(answer(200, "{}")));
    assert_eq!(first.ask(&question()).await.unwrap(), question());
    let sent = wire.only().json();
    assert_eq!((&sent["ConditionExpression"], &sent["ReturnValuesOnConditionCheckFailure"]), (&json!("attribute_not_exists(pk)"), &json!("ALL_OLD")));
    assert_eq!(sent["Item"], stored_question(&question()));

    let stands = Question { deadline: Some(NOW), answer: Some(reply("veto")), token: "the first".into(), ..question() };
    let item = stored_question(&stands);
    let (again, _) = world(move |_| Some(refused(&item)));
    assert_eq!(again.ask(&question()).await.unwrap(), stands);
}

#[tokio::test]
async fn a_token_that_came_later_stands_beside_the_question_unless_that_was_answered() {
    let mut item = stored_question(&question());
    item["token"] = json!({ "S": "the second" });
    let (asking, wire) = world(move |_| Some(answer(200, json!({ "Attributes": item }))));
    assert_eq!(&*asking.renew_token(&run().id, "failover", "the second").await.unwrap().token, "the second");
    let sent = wire.only().json();
    assert_eq!(sent["ConditionExpression"], json!("attribute_exists(pk) AND attribute_not_exists(#answer)"));
    assert_eq!((&sent["UpdateExpression"], &sent["ExpressionAttributeValues"][":token"]), (&json!("SET #token = :token"), &json!({ "S": "the second" })));

    let stands = stored_question(&Question { answer: Some(reply("veto")), ..question() });
    let (late, _) = world(move |_| Some(refused(&stands)));
    assert_eq!(late.renew_token(&run().id, "failover", "the second").await.unwrap().token, question().token);
}

#[tokio::test]
async fn a_put_that_is_refused_for_an_item_that_is_not_handed_out_is_tried_again() {
    let (silent, wire) = world(|_| Some(refused(&Value::Null)));
    let error = silent.ask(&question()).await.unwrap_err();
    assert!(error.fault.is_transient(), "{error}");
    assert_eq!(wire.only().operation(), "PutItem");
}

#[tokio::test]
async fn the_first_answer_wins_and_the_first_deadline_stays() {
    let stands = Question { deadline: Some(NOW), answer: Some(reply("veto")), ..question() };
    let item = stored_question(&stands);
    let (late, wire) = world(move |_| Some(refused(&item)));
    assert_eq!(late.answer(&run().id, "failover", &reply("proceed")).await.unwrap(), stands);
    assert_eq!(late.open_window(&run().id, "failover", NOW.after(Duration::from_mins(15))).await.unwrap(), stands);
    let conditions: Vec<Value> = wire.sent().iter().map(|sent| sent.json()["ConditionExpression"].clone()).collect();
    assert_eq!(conditions, ["attribute_exists(pk) AND attribute_not_exists(#answer)", "attribute_exists(pk) AND attribute_not_exists(#deadline)"]);

    let item = stored_question(&stands);
    let (prompt, _) = world(move |_| Some(answer(200, json!({ "Attributes": item }))));
    assert_eq!(prompt.answer(&run().id, "failover", &reply("veto")).await.unwrap(), stands);
}

#[tokio::test]
async fn a_question_that_was_never_put_cannot_be_answered() {
    let (world, wire) = world(|sent: &Sent| Some(if sent.operation() == "GetItem" { answer(200, "{}") } else { refused(&Value::Null) }));
    let error = world.answer(&run().id, "failover", &reply("veto")).await.unwrap_err();
    assert_eq!(error.fault, CallFault::NotFound, "{error}");
    assert_eq!(wire.only().operation(), "UpdateItem");
    assert_eq!(world.read_question(&run().id, "failover").await.unwrap(), None);
}

#[tokio::test]
async fn the_sweeper_gets_the_questions_of_open_runs() {
    let lanes = json!({ "Items": [
        { "pk": { "S": "lanes" }, "sk": { "S": "idle/recover" }, "epoch": { "N": "3" } },
        { "pk": { "S": "lanes" }, "sk": { "S": "portal/recover" }, "epoch": { "N": "8" }, "open": { "S": json!(open()).to_string() } },
    ] });
    let asked = json!({ "Items": [stored_question(&question())] });
    let (world, wire) = world(move |sent: &Sent| {
        let of_lanes = sent.json()["ExpressionAttributeValues"][":pk"]["S"] == "lanes";
        Some(answer(200, if of_lanes { &lanes } else { &asked }))
    });
    assert_eq!(world.questions().await.unwrap(), [question()]);
    let sent = wire.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|sent| sent.json()["ConsistentRead"] == true));
    assert_eq!(sent[1].json()["ExpressionAttributeValues"], json!({ ":pk": { "S": "run/portal.region-failover.8" }, ":sk": { "S": "question/" } }));
}

#[tokio::test]
async fn a_note_is_written_once_overwritten_or_removed() {
    let (once, _) = world(|_| Some(refused(&json!({ "value": { "S": "{\"value\":\"before\"}" } }))));
    assert_eq!(once.note_once("scope", "name", &json!("now")).await.unwrap(), Arc::new(json!({ "value": "before" })));

    let (notes, wire) = world(|_| Some(answer(200, "{}")));
    assert_eq!(notes.note_once("scope", "name", &json!("now")).await.unwrap(), Arc::new(json!("now")));
    notes.note("scope", "name", &json!({ "a": 1 })).await.unwrap();
    notes.note("scope", "name", &Value::Null).await.unwrap();
    let sent = wire.sent();
    assert_eq!(sent.iter().map(Sent::operation).collect::<Vec<_>>(), ["PutItem", "PutItem", "BatchWriteItem"]);
    assert_eq!(sent[1].json().get("ConditionExpression"), None);
    assert_eq!(sent[1].json()["Item"], json!({ "pk": { "S": "notes/scope" }, "sk": { "S": "name" }, "value": { "S": "{\"a\":1}" } }));
    let removed = &sent[2].json()["RequestItems"]["table"][0]["DeleteRequest"]["Key"];
    assert_eq!(*removed, json!({ "pk": { "S": "notes/scope" }, "sk": { "S": "name" } }));
}

#[tokio::test]
async fn a_note_that_dynamodb_would_not_take_is_refused_before_it_is_sent() {
    let (world, wire) = world(|_| Some(answer(200, "{}")));
    let error = world.note("scope", "name", &json!("x".repeat(400 * 1_024))).await.unwrap_err();
    assert_eq!(error.fault, CallFault::Rejected);
    assert!(error.message.contains("400 KB") || error.message.contains("takes 400"), "{error}");
    assert!(wire.sent().is_empty());
}

#[tokio::test]
async fn notes_go_in_batches_and_what_is_null_is_removed() {
    let note = |scope: &str, name: &str, value| Note { scope: scope.into(), name: name.into(), value };
    let mut notes: Vec<Note> = (0..30).map(|index| note("run", &format!("promotion/db-{index}"), json!(index))).collect();
    notes.push(note("service/portal", "promoted/db-0", Value::Null));
    let (world, wire) = world(|_| Some(answer(200, "{\"UnprocessedItems\":{}}")));
    world.note_all(&notes).await.unwrap();
    let batches: Vec<Value> = wire.sent().iter().map(|sent| sent.json()["RequestItems"]["table"].clone()).collect();
    assert_eq!(batches.iter().map(|batch| batch.as_array().unwrap().len()).collect::<Vec<_>>(), [25, 6]);
    assert_eq!(batches[0][1]["PutRequest"]["Item"], json!({ "pk": { "S": "notes/run" }, "sk": { "S": "promotion/db-1" }, "value": { "S": "1" } }));
    assert_eq!(batches[1][5]["DeleteRequest"]["Key"], json!({ "pk": { "S": "notes/service/portal" }, "sk": { "S": "promoted/db-0" } }));
    world.note_all(&[]).await.unwrap();
    assert_eq!(wire.sent().len(), 2, "nothing to note is no call");
}

#[tokio::test]
async fn notes_of_a_beginning_are_one_consistent_query() {
    let stored =
        json!({ "Items": [{ "sk": { "S": "promotion/db-1" }, "value": { "S": "1" } }, { "sk": { "S": "promotion/db-2" }, "value": { "S": "\"two\"" } }] });
    let (world, wire) = world(move |_| Some(answer(200, &stored)));
    let notes = world.read_notes("run", "promotion/").await.unwrap();
    assert_eq!(notes, [("promotion/db-1".to_owned(), Arc::new(json!(1))), ("promotion/db-2".to_owned(), Arc::new(json!("two")))].into());
    let sent = wire.only().json();
    assert_eq!((&sent["KeyConditionExpression"], &sent["ConsistentRead"]), (&json!("pk = :pk AND begins_with(sk, :sk)"), &json!(true)));
    assert_eq!(sent["ExpressionAttributeValues"], json!({ ":pk": { "S": "notes/run" }, ":sk": { "S": "promotion/" } }));
    world.read_notes("run", "").await.unwrap();
    assert_eq!(wire.sent().pop().unwrap().json()["KeyConditionExpression"], "pk = :pk", "the beginning of a key cannot be an empty text");
}

#[tokio::test]
async fn samples_go_in_batches_each_once_and_expire_after_two_weeks() {
    let samples: Vec<Sample> = (0..30).map(|minute| sample(NOW.after(Duration::from_mins(minute)))).chain([sample(NOW)]).collect();
    let (world, wire) = world(|_| Some(answer(200, "{\"UnprocessedItems\":{}}")));
    world.put_samples("portal", &samples).await.unwrap();
    let sizes: Vec<usize> = wire.sent().iter().map(|sent| sent.json()["RequestItems"]["table"].as_array().unwrap().len()).collect();
    assert_eq!(sizes, [25, 5]);
    let item = wire.sent()[0].json()["RequestItems"]["table"][0]["PutRequest"]["Item"].clone();
    assert_eq!((&item["pk"]["S"], &item["sk"]["S"]), (&json!("samples/portal"), &json!("1790000000123/us-west-2/front-door")));
    assert_eq!(item["expiresAt"]["N"], (1_790_000_000_u64 + 14 * 86_400).to_string());
    assert_eq!(serde_json::from_str::<Sample>(item["value"]["S"].as_str().unwrap()).unwrap(), sample(NOW));
}

#[tokio::test]
async fn what_a_batch_leaves_unprocessed_is_sent_again_and_in_the_end_throttled() {
    let times = Arc::new(AtomicUsize::new(0));
    let left = json!({ "UnprocessedItems": { "table": [{ "PutRequest": { "Item": { "pk": { "S": "samples/portal" }, "sk": { "S": "1" } } } }] } });
    let (busy, counted) = (left.clone(), times.clone());
    let (once, wire) = world(move |_| Some(if counted.fetch_add(1, Ordering::Relaxed) == 0 { answer(200, &busy) } else { answer(200, "{}") }));
    once.put_samples("portal", &[sample(NOW)]).await.unwrap();
    assert_eq!(wire.sent().len(), 2);
    let (always, wire) = world(move |_| Some(answer(200, &left)));
    assert_eq!(always.put_samples("portal", &[sample(NOW)]).await.unwrap_err().fault, CallFault::Throttled);
    assert_eq!(wire.sent().len(), 5);
}

#[tokio::test]
async fn samples_are_read_from_an_instant_on() {
    let stored = json!({ "Items": [{ "value": { "S": json!(sample(NOW)).to_string() } }] });
    let (world, wire) = world(move |_| Some(answer(200, &stored)));
    assert_eq!(world.read_samples("portal", NOW).await.unwrap(), [sample(NOW)]);
    let sent = wire.only().json();
    assert_eq!(sent["KeyConditionExpression"], "pk = :pk AND sk >= :sk");
    assert_eq!(sent["ExpressionAttributeValues"][":sk"]["S"], "1790000000123");
}

#[tokio::test]
async fn a_ledger_is_read_page_by_page_and_its_entries_still_make_the_same_chain() {
    let entries = [entry(0, "first"), entry(1, "second")];
    let (writes, wire) = world(|_| Some(answer(200, "{}")));
    writes.append(&entries).await.unwrap();
    let puts = wire.only().json()["RequestItems"]["table"].clone();
    let items: Vec<Value> = puts.as_array().unwrap().iter().map(|put| put["PutRequest"]["Item"].clone()).collect();
    assert_eq!(items[1]["sk"]["S"], "1790000000123-request/000001");

    let (reads, wire) = world(move |sent: &Sent| {
        let second = !sent.json()["ExclusiveStartKey"].is_null();
        let page = json!({ "Items": [items[usize::from(second)]] });
        let key = json!({ "pk": { "S": "ledger/portal" }, "sk": { "S": "x" } });
        Some(answer(200, if second { page } else { json!({ "Items": page["Items"], "LastEvaluatedKey": key }) }))
    });
    let read = reads.read_ledger(&run().id).await.unwrap();
    assert_eq!(wire.sent().len(), 2);
    assert_eq!(read, entries);
    let chain = |entries: &[Entry]| entries.iter().fold(muster_core::Hash::ZERO, |head, entry| head.link(entry));
    assert_eq!(chain(&read), chain(&entries));
}

#[tokio::test]
async fn an_entry_that_is_too_large_does_not_keep_the_others_out() {
    let (world, wire) = world(|_| Some(answer(200, "{}")));
    let error = world.append(&[entry(0, "small"), entry(1, &"x".repeat(400 * 1_024)), entry(2, "small")]).await.unwrap_err();
    assert!(error.fault == CallFault::Rejected && error.message.contains("1790000000123-request/1"), "{error}");
    let sent = wire.only().json();
    let keys: Vec<&Value> = sent["RequestItems"]["table"].as_array().unwrap().iter().map(|put| &put["PutRequest"]["Item"]["sk"]["S"]).collect();
    assert_eq!(keys, ["1790000000123-request/000000", "1790000000123-request/000002"]);
}

#[tokio::test]
async fn an_item_that_cannot_be_read_is_an_error_and_no_default() {
    let (world, _) = world(|_| Some(answer(200, json!({ "Item": { "epoch": { "S": "eight" } } }))));
    let error = world.read_lane("portal", Lane::Recover).await.unwrap_err();
    assert!(error.message.contains("`epoch`"), "{error}");
}
