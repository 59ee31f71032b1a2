//! For tests of adapters that change the estate: a world in which a run is open, and whose table permits its calls.

use std::collections::BTreeMap;
use std::sync::Mutex;

use muster_core::{CallFault, Clock, Journaled, Lane, PlanPin, Run, RunId, Timestamp, Waits};
use serde_json::json;

use crate::Aws;
use crate::testing::{Answer, Sent, Wire, answer, world};

/// The refusals that every service makes, whatever its protocol: status, code, and what they mean.
pub(crate) const REFUSALS: [(u16, &str, CallFault); 5] = [
    (400, "Throttling", CallFault::Throttled),
    (400, "RequestLimitExceeded", CallFault::Throttled),
    (403, "AccessDenied", CallFault::Denied),
    (500, "InternalFailure", CallFault::Unavailable),
    (503, "ServiceUnavailable", CallFault::Unavailable),
];

pub(crate) fn run() -> Run {
    Run {
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
    }
}

/// A world in us-west-2 with an open run. Its table permits what the run does; all other requests get these answers, one after the
/// other. `None` breaks the connection after the request was sent.
pub(crate) fn estate(answers: impl IntoIterator<Item = Option<Answer>>) -> (Aws, Wire) {
    let mut answers = answers.into_iter().collect::<Vec<_>>();
    answers.reverse();
    let answers = Mutex::new(answers);
    estate_that(move |sent| answers.lock().unwrap().pop().unwrap_or_else(|| panic!("a request that nobody expects: {sent:?}")))
}

/// The same with a function for the other requests.
pub(crate) fn estate_that(answering: impl Fn(&Sent) -> Option<Answer> + Send + Sync + 'static) -> (Aws, Wire) {
    let (aws, wire) = world(move |sent| match sent.operation() {
        "BatchGetItem" => Some(answer(
            200,
            json!({"Responses": {"table": [{"pk": {"S": "lanes"}, "sk": {"S": "portal/recover"}, "epoch": {"N": "7"}}]}, "UnprocessedKeys": {}}),
        )),
        "BatchWriteItem" => Some(answer(200, json!({"UnprocessedItems": {}}))),
        _ => answering(sent),
    });
    aws.journal().begin("invocation", "action", "phase");
    aws.journal().belongs_to(aws.now(), &run());
    (aws, wire)
}

/// The requests to the estate, without those to Muster's table.
pub(crate) fn calls(wire: &Wire) -> Vec<Sent> {
    wire.sent().into_iter().filter(|sent| !sent.uri.contains("dynamodb")).collect()
}

/// The body of a service that speaks the Query protocol, decoded.
pub(crate) fn form(sent: &Sent) -> BTreeMap<String, String> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            bytes.push(match byte {
                b'%' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                }
                b'+' => b' ',
                byte => byte,
            });
        }
        String::from_utf8(bytes).unwrap()
    };
    sent.body.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(name, value)| (decode(name), decode(value))).collect()
}

/// An answer of the Query protocol.
pub(crate) fn xml(operation: &str, result: &str) -> Option<Answer> {
    let body = format!("<{operation}Response><{operation}Result>{result}</{operation}Result></{operation}Response>");
    Some(answer(200, body).with("x-amzn-requestid", "request-1"))
}

/// An error of the Query protocol.
pub(crate) fn xml_error(status: u16, code: &str) -> Option<Answer> {
    let body =
        format!("<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>it says</Message></Error><RequestId>1</RequestId></ErrorResponse>");
    Some(answer(status, body))
}

/// An error of a service that speaks JSON.
pub(crate) fn json_error(status: u16, code: &str) -> Option<Answer> {
    Some(answer(status, json!({"__type": code, "message": "it says"})))
}
