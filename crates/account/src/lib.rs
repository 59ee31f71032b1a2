//! What `muster push` needs of an AWS account: the installation, the tags of a plan's resources, the plans in force, the
//! alarms that a plan speaks of, and the schedules of its backups.
//!
//! With whatever credentials the AWS command line would use. The deployed functions use nothing of this.

mod alarms;
mod installation;
mod plans;
mod resources;
mod schedules;
mod tags;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::region::Region as SdkRegion;
use muster_core::Region;

pub use alarms::{AlarmPlan, AlarmRule, make_alarms, plan_alarms};
pub use installation::{BackupSchedules, Installation};
pub use plans::{InForce, plan_in_force, put_plan};
pub use resources::{Kind, Resource, resources};
pub use schedules::{ScheduleChange, apply_schedules, schedule_changes};
pub use tags::{SERVICE_TAG, Untagged, untagged};

/// An account, by the credentials at hand.
#[derive(Clone, Debug)]
pub struct Account {
    sdk: SdkConfig,
}

impl Account {
    /// Finds credentials as the AWS command line does: environment, profile, single sign-on, role.
    pub async fn connect() -> Self {
        let https = aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        Account { sdk: aws_config::defaults(BehaviorVersion::latest()).http_client(https).load().await }
    }

    fn in_region(&self, region: &Region) -> SdkConfig {
        self.sdk.to_builder().region(SdkRegion::new(region.as_str().to_owned())).build()
    }
}

/// A call that failed, with what to do about it left to whoever knows why it was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {message}")]
pub struct Failed {
    /// The API's name, such as `cloudformation:DescribeStacks`.
    pub operation: &'static str,
    /// The service's own code, where it answered.
    pub code: String,
    /// The service's own words, or ours where nothing answered.
    pub message: String,
}

fn failed<E>(operation: &'static str) -> impl FnOnce(SdkError<E, HttpResponse>) -> Failed
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    move |error| {
        let code = error.code().unwrap_or_default().to_owned();
        let said = error.message().map(str::to_owned);
        let message = said.unwrap_or_else(|| {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text = format!("{text}: {inner}");
                cause = inner.source();
            }
            text
        });
        Failed { operation, message: if code.is_empty() { message } else { format!("{code}: {message}") }, code }
    }
}
