//! For tests: a world whose AWS is a function from the request that was sent to an answer.

pub(crate) mod sockets;

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

use crate::{Aws, Settings};

/// A request as it was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) uri: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Sent {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The operation of a service that speaks JSON.
    pub(crate) fn operation(&self) -> &str {
        self.header("x-amz-target").and_then(|target| target.rsplit('.').next()).unwrap_or_default()
    }

    /// The body of a service that speaks JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// What is answered.
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

/// An answer with a body.
pub(crate) fn answer(status: u16, body: impl ToString) -> Answer {
    Answer { status, headers: Vec::new(), body: body.to_string().into_bytes() }
}

/// An answer of a service that speaks CBOR, as CloudWatch does.
pub(crate) fn cbor_answer(status: u16, body: &Value) -> Answer {
    let mut bytes = Vec::new();
    write_cbor(body, &mut bytes);
    Answer { status, headers: vec![("smithy-protocol", "rpc-v2-cbor".to_owned()), ("content-type", "application/cbor".to_owned())], body: bytes }
}

/// Writes CBOR (RFC 8949). A text such as `@1790000000` is an instant, in seconds.
fn write_cbor(value: &Value, to: &mut Vec<u8>) {
    let mut head = |major: u8, length: usize| {
        to.push(major << 5 | 26);
        to.extend(u32::try_from(length).unwrap().to_be_bytes());
    };
    match value {
        Value::Null => to.push(0xf6),
        Value::Bool(is_true) => to.push(0xf4 + u8::from(*is_true)),
        Value::Number(number) => {
            to.push(0xfb);
            to.extend(number.as_f64().unwrap().to_be_bytes());
        }
        Value::String(text) => match text.strip_prefix('@') {
            Some(seconds) => {
                to.extend([0xc1, 0xfb]);
                to.extend(seconds.parse::<f64>().unwrap().to_be_bytes());
            }
            None => {
                head(3, text.len());
                to.extend(text.as_bytes());
            }
        },
        Value::Array(items) => {
            head(4, items.len());
            items.iter().for_each(|item| write_cbor(item, to));
        }
        Value::Object(fields) => {
            head(5, fields.len());
            for (name, value) in fields {
                write_cbor(&Value::String(name.clone()), to);
                write_cbor(value, to);
            }
        }
    }
}

impl Answer {
    pub(crate) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// The requests that were sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wire(Arc<Mutex<Vec<Sent>>>);

impl Wire {
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.0.lock().unwrap().clone()
    }

    /// The only request that was sent.
    pub(crate) fn only(&self) -> Sent {
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:?}");
        sent[0].clone()
    }
}

type Answering = dyn Fn(&Sent) -> Option<Answer> + Send + Sync;

#[derive(Clone)]
struct Fake {
    wire: Wire,
    answering: Arc<Answering>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

impl HttpConnector for Fake {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let sent = Sent {
            method: request.method().to_owned(),
            uri: request.uri().to_owned(),
            headers: request.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            body: String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned(),
        };
        self.wire.0.lock().unwrap().push(sent.clone());
        let Some(answer) = (self.answering)(&sent) else {
            // The request went out, and the connection broke.
            return HttpConnectorFuture::ready(Err(ConnectorError::io("connection reset".into())));
        };
        let mut response = HttpResponse::new(StatusCode::try_from(answer.status).unwrap(), SdkBody::from(answer.body));
        for (name, value) in answer.headers {
            response.headers_mut().insert(name, value);
        }
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for Fake {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// A world in us-west-2 whose AWS answers so; `None` breaks the connection after the request was sent.
pub(crate) fn world(answering: impl Fn(&Sent) -> Option<Answer> + Send + Sync + 'static) -> (Aws, Wire) {
    let wire = Wire::default();
    let fake = Fake { wire: wire.clone(), answering: Arc::new(answering) };
    let sdk = aws_types::SdkConfig::builder()
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .http_client(SharedHttpClient::new(fake))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("key", "secret", None, None, "test")))
        .build();
    (Aws::new(settings(), &sdk), wire)
}

/// The settings of a function in us-west-2, the home region.
pub(crate) fn settings() -> Settings {
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
    settings.unwrap()
}
