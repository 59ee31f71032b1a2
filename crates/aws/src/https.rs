//! HTTPS for every client: one pool of connections, one TLS stack, one set of trusted certificates.

use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn};

use crate::clients::CONNECT;

/// A connection that was not used for so long is not used again: a function sleeps between events, and the other side hangs up meanwhile.
/// A call that finds that out half-way may have been applied, and nothing repeats it here.
const IDLE: Duration = Duration::from_secs(10);

/// What the clients of all services share: each would make its own, and reading the certificates is most of what a client costs. All have
/// the same time-outs, so none needs a connector of its own.
pub fn https() -> SharedHttpClient {
    let connector = Connector::builder().connector_settings(settings()).pool_idle_timeout(IDLE).tls_provider(stack()).build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

/// How long a connection may take.
pub(crate) fn settings() -> HttpConnectorSettings {
    HttpConnectorSettings::builder().connect_timeout(CONNECT).build()
}

/// The TLS stack of all of Muster: rustls, on the smaller of its two sets of primitives.
pub(crate) fn stack() -> Provider {
    Provider::Rustls(CryptoMode::Ring)
}
