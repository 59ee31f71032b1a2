//! What is done once, before the first event: logging, settings, credentials, endpoints.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::service_config::{LoadServiceConfig, ServiceConfigKey};
use muster_aws::{Aws, Settings};

use crate::{Error, log};

/// The world of this function: settings, credentials and endpoints from the environment, as Lambda and the template set it. Begins
/// logging as well.
///
/// # Errors
/// The first variable that is missing or cannot be read.
pub async fn world() -> Result<Aws, Error> {
    log::begin(variable("AWS_LAMBDA_LOG_LEVEL").as_deref());
    let settings = Settings::read(variable)?;
    let sdk = sdk(&settings, variable);
    let world = Aws::new(settings, &sdk);
    // While Lambda starts a function it gives it more of a processor than later: what every event needs is made now.
    world.prepare();
    Ok(world)
}

/// The SDK's configuration. Nothing but the environment, and not by `aws-config`: Lambda has neither profiles nor single sign-on nor an
/// instance's metadata, and what looks for them would be in every function.
fn sdk(settings: &Settings, variable: fn(&str) -> Option<String>) -> SdkConfig {
    let mut sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(settings.here.as_str().to_owned()))
        .http_client(muster_aws::https())
        .service_config(Environment(variable));
    // Those of the function's role. They live longer than Lambda lets a process live, so they are read once.
    if let (Some(id), Some(secret)) = (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY")) {
        let credentials = Credentials::new(id, secret, variable("AWS_SESSION_TOKEN").filter(|token| !token.is_empty()), None, "environment");
        sdk = sdk.credentials_provider(SharedCredentialsProvider::new(credentials));
    }
    sdk.build()
}

/// What a client asks of the environment: where its service is. Source: AWS SDKs and Tools Reference Guide, "Service-specific endpoints".
#[derive(Debug)]
struct Environment(fn(&str) -> Option<String>);

impl LoadServiceConfig for Environment {
    fn load_config(&self, key: ServiceConfigKey<'_>) -> Option<String> {
        let service = key.service_id().to_uppercase().replace(' ', "_");
        self.0(&format!("{}_{service}", key.env())).or_else(|| self.0(key.env()))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read, once")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str) -> Option<String> {
        let value = match name {
            "MUSTER_TABLE" | "MUSTER_BUCKET" | "MUSTER_FLOW_ARN_PREFIX" => "x",
            "MUSTER_HOME_REGION" | "AWS_REGION" => "us-west-2",
            "AWS_ACCESS_KEY_ID" => "id",
            "AWS_SECRET_ACCESS_KEY" => "secret",
            "AWS_ENDPOINT_URL" => "http://127.0.0.1:1",
            "AWS_ENDPOINT_URL_SECRETS_MANAGER" => "http://127.0.0.1:2",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn asked(service: &str, variable: fn(&str) -> Option<String>) -> Option<String> {
        let key = ServiceConfigKey::builder().service_id(service).env("AWS_ENDPOINT_URL").profile("endpoint_url").build().unwrap();
        Environment(variable).load_config(key)
    }

    #[test]
    fn a_service_has_its_own_endpoint_or_that_of_all_or_none() {
        assert_eq!(asked("Secrets Manager", set).as_deref(), Some("http://127.0.0.1:2"));
        assert_eq!(asked("RDS", set).as_deref(), Some("http://127.0.0.1:1"));
        assert_eq!(asked("RDS", |_| None), None);
    }

    #[tokio::test]
    async fn credentials_are_those_of_the_environment() {
        use aws_credential_types::provider::ProvideCredentials;
        let settings = Settings::read(set).unwrap();
        let found = sdk(&settings, set).credentials_provider().unwrap().provide_credentials().await.unwrap();
        assert_eq!((found.access_key_id(), found.secret_access_key(), found.session_token()), ("id", "secret", None));
        assert!(sdk(&settings, |_| None).credentials_provider().is_none());
    }
}
