use std::sync::{Arc, Mutex};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use muster_backups::{restore_test_schedules, schedules};
use muster_plan::Plan;
use serde_json::{Map, Value, json};

use super::*;

/// A Scheduler that keeps what it is given: schedules by name, two a page, and the requests that changed anything.
#[derive(Clone, Debug, Default)]
struct Scheduler {
    schedules: Arc<Mutex<BTreeMap<String, Value>>>,
    changes: Arc<Mutex<Vec<String>>>,
    denied: bool,
}

impl HttpConnector for Scheduler {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        let (status, answer) = self.answer(request.method(), request.uri(), body);
        let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(answer.to_string()));
        if status >= 400 {
            response.headers_mut().insert("x-amzn-errortype", answer["__type"].as_str().unwrap().to_owned());
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for Scheduler {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl Scheduler {
    fn answer(&self, method: &str, uri: &str, mut body: Value) -> (u16, Value) {
        if self.denied {
            return (403, json!({ "__type": "AccessDeniedException", "Message": "not authorized" }));
        }
        assert!(uri.starts_with("https://scheduler.us-west-2."), "{uri}");
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let parameter =
            |name: &str| query.split('&').filter_map(|pair| pair.split_once('=')).find(|(known, _)| *known == name).map(|(_, value)| value.to_owned());
        let mut schedules = self.schedules.lock().unwrap();
        let Some((_, name)) = path.split_once("/schedules/") else {
            assert_eq!(parameter("ScheduleGroup").as_deref(), Some("muster-backups"));
            let (prefix, from) = (parameter("NamePrefix").unwrap(), parameter("NextToken").unwrap_or_default());
            let names: Vec<&String> = schedules.keys().filter(|name| name.starts_with(&prefix) && **name >= from).collect();
            let page: Vec<Value> = names.iter().take(2).map(|name| json!({ "Name": name, "GroupName": "muster-backups" })).collect();
            return (200, json!({ "Schedules": page, "NextToken": names.get(2) }));
        };
        if matches!(method, "GET" | "DELETE") {
            assert_eq!(parameter("groupName").as_deref(), Some("muster-backups"), "another group's would be meant: {uri}");
        }
        if method != "GET" {
            self.changes.lock().unwrap().push(format!("{method} {name}"));
        }
        let gone = (404, json!({ "__type": "ResourceNotFoundException", "Message": "no such schedule" }));
        match method {
            "GET" => schedules.get(name).map_or(gone, |schedule| (200, schedule.clone())),
            "DELETE" => schedules.remove(name).map_or(gone, |_| (200, json!({}))),
            "POST" if schedules.contains_key(name) => (409, json!({ "__type": "ConflictException", "Message": "it exists" })),
            "PUT" if !schedules.contains_key(name) => gone,
            _ => {
                assert_eq!(body["GroupName"], "muster-backups");
                body["Name"] = json!(name);
                schedules.insert(name.to_owned(), body);
                (200, json!({ "ScheduleArn": "arn" }))
            }
        }
    }

    fn account(&self) -> Account {
        let credentials = SharedCredentialsProvider::new(Credentials::new("key", "secret", None, None, "test"));
        let sdk = SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest()).credentials_provider(credentials);
        Account { sdk: sdk.http_client(SharedHttpClient::new(self.clone())).build() }
    }

    fn changed(&self) -> Vec<String> {
        std::mem::take(&mut *self.changes.lock().unwrap())
    }

    /// Changes a schedule behind the back of push.
    fn edit(&self, name: &str, edit: impl FnOnce(&mut Map<String, Value>)) {
        edit(self.schedules.lock().unwrap().get_mut(name).unwrap().as_object_mut().unwrap());
    }
}

fn stack() -> BackupSchedules {
    BackupSchedules {
        flow_arn_prefix: "arn:aws:states:us-west-2:123456789012:stateMachine:muster-".into(),
        group: "muster-backups".into(),
        role: "arn:aws:iam::123456789012:role/muster-schedules".into(),
        dead_letters: "arn:aws:sqs:us-west-2:123456789012:muster-undelivered".into(),
    }
}

fn kaireon() -> Plan {
    muster_plan::load("kaireon.yaml", include_bytes!("../../../../plans/kaireon.yaml")).plan.unwrap()
}

/// Looks and makes the changes, as push does; returns what was to be done.
async fn pushed(scheduler: &Scheduler, plan: &Plan) -> Vec<ScheduleChange> {
    let (account, region) = (scheduler.account(), "us-west-2".parse().unwrap());
    let changes = schedule_changes(&account, &region, &stack(), &plan.service, &schedules(plan)).await.unwrap();
    apply_schedules(&account, &region, &stack(), &changes).await.unwrap();
    changes
}

#[tokio::test]
async fn a_schedule_starts_the_flow_at_its_slots_in_utc_on_time() {
    let scheduler = Scheduler::default();
    pushed(&scheduler, &kaireon()).await;
    let made = scheduler.schedules.lock().unwrap()["kaireon.rds-daily"].clone();
    assert_eq!((&made["ScheduleExpression"], &made["ScheduleExpressionTimezone"]), (&json!("cron(0 2 * * ? *)"), &json!("UTC")));
    assert_eq!((&made["FlexibleTimeWindow"], &made["State"]), (&json!({ "Mode": "OFF" }), &json!("ENABLED")));
    let target = &made["Target"];
    assert_eq!((&target["Arn"], &target["RoleArn"]), (&json!("arn:aws:states:us-west-2:123456789012:stateMachine:muster-backup"), &json!(stack().role)));
    assert_eq!(target["DeadLetterConfig"], json!({ "Arn": stack().dead_letters }));
    assert_eq!(target["RetryPolicy"], json!({ "MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 185 }));
    let input: Value = serde_json::from_str(target["Input"].as_str().unwrap()).unwrap();
    assert_eq!(input, json!({ "service": "kaireon", "by": "schedule kaireon.rds-daily", "reason": "rds-daily is due: daily 02:00 UTC" }));
}

#[tokio::test]
async fn a_restore_test_starts_its_own_machine_with_its_parts() {
    let scheduler = Scheduler::default();
    let (account, region, plan) = (scheduler.account(), "us-west-2".parse().unwrap(), kaireon());
    let entries = restore_test_schedules(&plan);
    let changes = schedule_changes(&account, &region, &stack(), &plan.service, &entries).await.unwrap();
    apply_schedules(&account, &region, &stack(), &changes).await.unwrap();
    let made = scheduler.schedules.lock().unwrap()["kaireon.drill_backup-restore"].clone();
    assert_eq!(made["Target"]["Arn"], "arn:aws:states:us-west-2:123456789012:stateMachine:muster-restore-test");
    assert!(made["Target"]["Input"].as_str().unwrap().contains(r#""parts":["databases.main"]"#), "{made}");
    assert_eq!(schedule_changes(&account, &region, &stack(), &plan.service, &entries).await.unwrap(), [], "a second push changes nothing");
}

#[tokio::test]
async fn a_second_push_changes_nothing() {
    let scheduler = Scheduler::default();
    assert_eq!(pushed(&scheduler, &kaireon()).await.len(), 3, "and they are more than a page");
    assert_eq!(scheduler.changed(), ["POST kaireon.rds-daily", "POST kaireon.redis-daily", "POST kaireon.watch.hourly"]);
    assert_eq!(pushed(&scheduler, &kaireon()).await, []);
    assert_eq!(scheduler.changed(), [""; 0]);
}

#[tokio::test]
async fn looking_changes_nothing() {
    let scheduler = Scheduler::default();
    let plan = kaireon();
    let changes = schedule_changes(&scheduler.account(), &"us-west-2".parse().unwrap(), &stack(), &plan.service, &schedules(&plan)).await.unwrap();
    assert_eq!((changes.len(), scheduler.changed()), (3, vec![]));
}

#[tokio::test]
async fn what_the_plan_dropped_goes_and_what_it_moved_moves() {
    let scheduler = Scheduler::default();
    pushed(&scheduler, &kaireon()).await;
    let mut plan = kaireon();
    plan.backups.retain(|backup| backup.name != "redis-daily");
    plan.backups.iter_mut().find(|backup| backup.name == "rds-daily").unwrap().every = Some("daily 03:15 UTC".parse().unwrap());
    scheduler.changed();
    let changes = pushed(&scheduler, &plan).await;
    let [ScheduleChange::Update(moved, differences), ScheduleChange::Delete { name, expression }] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((moved.name.as_str(), differences[0].as_str()), ("kaireon.rds-daily", "when: cron(0 2 * * ? *) → cron(15 3 * * ? *)"));
    assert_eq!((name.as_str(), expression.as_str()), ("kaireon.redis-daily", "cron(30 2 * * ? *)"));
    assert_eq!(scheduler.changed(), ["PUT kaireon.rds-daily", "DELETE kaireon.redis-daily"]);
    assert_eq!(pushed(&scheduler, &plan).await, []);
    plan.backups.clear();
    pushed(&scheduler, &plan).await;
    assert!(scheduler.schedules.lock().unwrap().is_empty());
}

#[tokio::test]
async fn whatever_a_person_changed_by_hand_is_shown_and_made_as_the_plan_says() {
    type Edit = fn(&mut Map<String, Value>);
    let edits: [(Edit, &str); 10] = [
        (|it| drop(it.insert("State".into(), json!("DISABLED"))), "state: DISABLED → ENABLED"),
        (|it| drop(it.insert("ScheduleExpressionTimezone".into(), json!("Europe/Berlin"))), "time zone: Europe/Berlin → UTC"),
        (|it| it["FlexibleTimeWindow"] = json!({ "Mode": "FLEXIBLE", "MaximumWindowInMinutes": 5 }), "flexible window: FLEXIBLE → OFF"),
        (|it| drop(it.insert("EndDate".into(), json!(1_790_000_000))), "from and until: 2026-09-21T14:13:20Z → nothing"),
        (|it| it["Target"]["Arn"] = json!("arn:other"), "state machine: arn:other → arn:aws:states:us-west-2:123456789012:stateMachine:muster-backup"),
        (|it| it["Target"]["RoleArn"] = json!("arn:other"), "role: arn:other → arn:aws:iam::123456789012:role/muster-schedules"),
        (
            |it| drop(it["Target"].as_object_mut().unwrap().remove("DeadLetterConfig")),
            "dead-letter queue: nothing → arn:aws:sqs:us-west-2:123456789012:muster-undelivered",
        ),
        (|it| it["Target"]["RetryPolicy"]["MaximumEventAgeInSeconds"] = json!(60), "retries within: 60 s → 3600 s"),
        (|it| it["Target"]["RetryPolicy"]["MaximumRetryAttempts"] = json!(0), "retries at most: 0 → 185"),
        (
            |it| it["Target"]["Input"] = json!("{}"),
            r#"input: {} → {"service":"kaireon","by":"schedule kaireon.rds-daily","reason":"rds-daily is due: daily 02:00 UTC"}"#,
        ),
    ];
    for (edit, told) in edits {
        let scheduler = Scheduler::default();
        pushed(&scheduler, &kaireon()).await;
        let before = scheduler.schedules.lock().unwrap().clone();
        scheduler.edit("kaireon.rds-daily", edit);
        let changes = pushed(&scheduler, &kaireon()).await;
        let [ScheduleChange::Update(_, differences)] = changes.as_slice() else { panic!("{told}: {changes:?}") };
        assert_eq!(differences.as_slice(), [told]);
        let after = scheduler.schedules.lock().unwrap().clone();
        let without_token =
            |schedule: &Value| schedule.as_object().unwrap().clone().into_iter().filter(|(name, _)| name != "ClientToken").collect::<Map<_, _>>();
        assert_eq!(without_token(&after["kaireon.rds-daily"]), without_token(&before["kaireon.rds-daily"]), "{told}");
    }
}

#[tokio::test]
async fn the_schedules_of_others_are_left_alone() {
    let scheduler = Scheduler::default();
    pushed(&scheduler, &kaireon()).await;
    let schedule = |name: &str, service: &str| {
        json!({ "Name": name, "ScheduleExpression": "rate(1 hour)", "Target": { "Arn": "a", "RoleArn": "r",
        "Input": json!({ "service": service, "by": format!("schedule {name}"), "reason": "r" }).to_string() } })
    };
    let others = [
        // Another service, whose name begins alike.
        ("kaireon-eu.rds-daily", schedule("kaireon-eu.rds-daily", "kaireon-eu")),
        // By hand: another service's, one that says so, one without input.
        ("kaireon.elsewhere", schedule("kaireon.elsewhere", "other")),
        (
            "kaireon.mine",
            json!({ "Name": "kaireon.mine", "Target": { "Arn": "a", "RoleArn": "r", "Input": r#"{"service":"kaireon","by":"Ada","reason":"r"}"# } }),
        ),
        ("kaireon.nothing", json!({ "Name": "kaireon.nothing", "Target": { "Arn": "a", "RoleArn": "r" } })),
    ];
    for (name, schedule) in &others {
        scheduler.schedules.lock().unwrap().insert((*name).to_owned(), schedule.clone());
    }
    let mut plan = kaireon();
    plan.backups.clear();
    pushed(&scheduler, &plan).await;
    let left = scheduler.schedules.lock().unwrap().clone();
    assert_eq!(left.keys().map(String::as_str).collect::<Vec<_>>(), others.map(|(name, _)| name));
}

#[tokio::test]
async fn a_scheduler_that_cannot_be_asked_is_an_error_with_its_code() {
    let scheduler = Scheduler { denied: true, ..Scheduler::default() };
    let plan = kaireon();
    let (account, region) = (scheduler.account(), "us-west-2".parse().unwrap());
    let error = schedule_changes(&account, &region, &stack(), &plan.service, &schedules(&plan)).await.unwrap_err();
    assert_eq!((error.operation, error.code.as_str()), ("scheduler:ListSchedules", "AccessDeniedException"));
    let changes = schedules(&plan).into_iter().map(ScheduleChange::Create).collect::<Vec<_>>();
    let error = apply_schedules(&account, &region, &stack(), &changes).await.unwrap_err();
    assert_eq!((error.operation, error.code.as_str()), ("scheduler:CreateSchedule", "AccessDeniedException"));
}
