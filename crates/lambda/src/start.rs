//! What is done once, before the first event: logging, settings, credentials, endpoints.

use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::environment::EnvironmentVariableCredentialsProvider;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnectorSettings, SharedHttpClient, SharedHttpConnector, http_client_fn};
use aws_types::region::Region;
use muster_aws::{Aws, CONNECT, Settings};

use crate::{Error, log};

/// A connection that was not used for so long is not used again: a function sleeps between events, and the other side hangs up meanwhile.
/// A call that finds that out half-way may have been applied, and nothing repeats it here.
const IDLE: Duration = Duration::from_secs(10);

/// The world of this function: settings, credentials and endpoints from the environment, as Lambda and the template set it. Begins
/// logging as well.
///
/// # Errors
/// The first variable that is missing or cannot be read.
pub async fn world() -> Result<Aws, Error> {
    log::begin(variable("AWS_LAMBDA_LOG_LEVEL").as_deref());
    let settings = Settings::read(variable)?;
    // Nothing but the environment: Lambda has neither profiles nor an instance's metadata, and looking for them takes time.
    let sdk = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(settings.here.as_str().to_owned()))
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .http_client(https())
        .load()
        .await;
    let world = Aws::new(settings, &sdk);
    // While Lambda starts a function it gives it more of a processor than later: what every event needs is made now.
    world.prepare();
    Ok(world)
}

/// One pool of connections and one set of trusted certificates for the clients of all services: each would make its own, and reading the
/// certificates is most of what a client costs. All have the same time-outs, so none needs a connector of its own.
fn https() -> SharedHttpClient {
    let settings = HttpConnectorSettings::builder().connect_timeout(CONNECT).build();
    let stack = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
    let connector = Connector::builder().connector_settings(settings).pool_idle_timeout(IDLE).tls_provider(stack).build();
    let connector = SharedHttpConnector::new(connector);
    http_client_fn(move |_, _| connector.clone())
}

#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read, once")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
