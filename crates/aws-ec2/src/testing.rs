//! For tests: a world with EC2 whose AWS gives these answers, and in which a run is open.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use muster_aws::{Aws, Settings};
use muster_core::{CallFault, Clock, Journaled, Lane, PlanPin, Run, RunId, Timestamp, Waits};

use crate::Ec2;

/// The refusals that EC2 makes of any call: status, code, and what they mean.
pub(crate) const REFUSALS: [(u16, &str, CallFault); 5] = [
    (503, "RequestLimitExceeded", CallFault::Throttled),
    (403, "UnauthorizedOperation", CallFault::Denied),
    (401, "AuthFailure", CallFault::Denied),
    (500, "InternalError", CallFault::Unavailable),
    (503, "Unavailable", CallFault::Unavailable),
];

/// A request as it was sent: its operation, and its body, decoded where it is a form.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) operation: String,
    pub(crate) uri: String,
    pub(crate) body: String,
    pub(crate) form: BTreeMap<String, String>,
}

impl Sent {
    fn of(request: &HttpRequest) -> Sent {
        let body = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
        let json = request.headers().get("x-amz-target").and_then(|target| target.rsplit('.').next()).map(str::to_owned);
        let form: BTreeMap<String, String> = match &json {
            Some(_) => BTreeMap::new(),
            None => body.split('&').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (decoded(name), decoded(value))).collect(),
        };
        let operation = json.or_else(|| form.get("Action").cloned()).unwrap_or_default();
        Sent { operation, uri: request.uri().to_owned(), body, form }
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// A status and a body; `None` breaks the connection after the request was sent.
pub(crate) type Answer = Option<(u16, String)>;

/// An answer of EC2.
pub(crate) fn xml(operation: &str, result: &str) -> Answer {
    Some((200, format!("<{operation}Response>{result}</{operation}Response>")))
}

/// An error of EC2.
pub(crate) fn error(status: u16, code: &str) -> Answer {
    Some((status, format!("<Response><Errors><Error><Code>{code}</Code><Message>it says</Message></Error></Errors><RequestID>1</RequestID></Response>")))
}

#[derive(Clone)]
pub(crate) struct Wire {
    sent: Arc<Mutex<Vec<Sent>>>,
    answers: Arc<Mutex<Vec<Answer>>>,
}

impl Wire {
    /// Every request, in order.
    pub(crate) fn all(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    /// Those that were not for Muster's own table.
    pub(crate) fn calls(&self) -> Vec<Sent> {
        self.all().into_iter().filter(|sent| !sent.uri.contains("dynamodb")).collect()
    }
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sent = Sent::of(&request);
        self.sent.lock().unwrap().push(sent.clone());
        let permitted = r#"{"Responses": {"table": [{"pk": {"S": "lanes"}, "sk": {"S": "portal/recover"}, "epoch": {"N": "7"}}]}, "UnprocessedKeys": {}}"#;
        let answer = match sent.operation.as_str() {
            "BatchGetItem" => Some((200, permitted.to_owned())),
            "BatchWriteItem" => Some((200, r#"{"UnprocessedItems": {}}"#.to_owned())),
            _ => self.answers.lock().unwrap().pop().unwrap_or_else(|| panic!("a request that nobody expects: {sent:?}")),
        };
        HttpConnectorFuture::ready(match answer {
            Some((status, body)) => Ok(HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body))),
            None => Err(ConnectorError::io("connection reset".into())),
        })
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// A world in us-west-2 with an open run, which its table permits; all other requests get these answers, one after the other.
pub(crate) fn world(answers: impl IntoIterator<Item = Answer>) -> (Aws<Ec2>, Wire) {
    let mut answers: Vec<Answer> = answers.into_iter().collect();
    answers.reverse();
    let wire = Wire { sent: Arc::default(), answers: Arc::new(Mutex::new(answers)) };
    let sdk = aws_types::SdkConfig::builder()
        .behavior_version(aws_sdk_ec2::config::BehaviorVersion::latest())
        .http_client(SharedHttpClient::new(wire.clone()))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("key", "secret", None, None, "test")))
        .build();
    let settings = Settings::read(|name| {
        let value = match name {
            "MUSTER_TABLE" => "table",
            "MUSTER_BUCKET" => "bucket",
            "MUSTER_HOME_REGION" | "AWS_REGION" => "us-west-2",
            "MUSTER_FLOW_ARN_PREFIX" => "arn:aws:states:us-west-2:123456789012:stateMachine:muster-",
            _ => return None,
        };
        Some(value.to_owned())
    });
    let aws = Aws::new(settings.unwrap(), &sdk).with(Ec2::default());
    let run = Run {
        id: RunId("portal/region-failover/1".into()),
        service: "portal".into(),
        flow: "region-failover".into(),
        epoch: 7,
        lane: Lane::Recover,
        opened_at: Timestamp::default(),
        deadline: Timestamp::default(),
        plan: PlanPin { key: "plans/portal.json".into(), version: "v".into(), sha256: "0".repeat(64).into() },
        overrides: Vec::new(),
        waits: Waits { decision_seconds: 60, hold_seconds: 60 },
    };
    aws.journal().begin("invocation", "action", "phase");
    aws.journal().belongs_to(aws.now(), &run);
    (aws, wire)
}
