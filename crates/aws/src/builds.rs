//! CodeBuild: builds of the customer's own projects.

use std::sync::Arc;

use aws_sdk_codebuild::types::{Build, BuildPhase, EnvironmentVariable, EnvironmentVariableType, StatusType};
use aws_smithy_types::DateTime;
use muster_core::ports::{BuildOrder, BuildState, BuildStatus, Builds, Control, Ledger};
use muster_core::{CallError, CallFault, Duration, Region, Timestamp};

use crate::{Aws, Failed, Target, classify};

/// The least and the most minutes that a build may take. Source: the API reference of CodeBuild, StartBuild, `timeoutInMinutesOverride`.
const MINUTES: (u64, u64) = (5, 2_160);

impl<X> Builds for Aws<X>
where
    Self: Control + Ledger,
{
    async fn start_build(&self, order: &BuildOrder<'_>) -> Result<Arc<str>, CallError> {
        let target = Target::control("codebuild:StartBuild", order.region, order.project);
        let variables = order.variables.iter().map(|(name, value)| {
            EnvironmentVariable::builder().name(*name).value(value).r#type(EnvironmentVariableType::Plaintext).build().map_err(|error| {
                // Both are there: it cannot happen.
                target.failed(Failed::new(CallFault::Rejected, error.to_string()))
            })
        });
        let request = self
            .codebuild(order.region)
            .start_build()
            .project_name(order.project)
            .idempotency_token(order.token)
            .timeout_in_minutes_override(minutes(order.time_out))
            .set_environment_variables_override(Some(variables.collect::<Result<_, _>>()?));
        self.mutate(target.clone(), async {
            let answer = request.send().await.map_err(classify)?;
            // It was started: a repetition with the same token tells its id.
            let id =
                answer.build_value.and_then(|build| build.id).ok_or_else(|| Failed::new(CallFault::TimedOut, "the answer does not tell the build's id"))?;
            Ok(id.into())
        })
        .await
    }

    async fn describe_build(&self, region: &Region, id: &str) -> Result<Option<BuildState>, CallError> {
        let target = Target::control("codebuild:BatchGetBuilds", region, id);
        let request = self.codebuild(region).batch_get_builds().ids(id);
        let answer = self.read(target.clone(), async { request.send().await.map_err(classify) }).await?;
        let build = answer.builds().iter().find(|build| build.id() == Some(id));
        build.map(described).transpose().map_err(|failed| target.failed(failed))
    }
}

fn minutes(time_out: Duration) -> i32 {
    let minutes = (time_out.as_millis() / 60_000).clamp(MINUTES.0, MINUTES.1);
    i32::try_from(minutes).unwrap_or(i32::MAX)
}

fn described(build: &Build) -> Result<BuildState, Failed> {
    let status = match build.build_status() {
        Some(StatusType::Succeeded) => BuildStatus::Succeeded,
        Some(StatusType::InProgress) => BuildStatus::Running { phase: build.current_phase().unwrap_or("no phase").into() },
        Some(failed @ (StatusType::Failed | StatusType::Fault | StatusType::Stopped | StatusType::TimedOut)) => {
            BuildStatus::Failed { why: why(failed, build.phases()) }
        }
        // Neither a good end nor a bad one may be made of what is not known.
        other => return Err(Failed::new(CallFault::Rejected, format!("the build's status is `{}`, which is not known", other.map_or("", StatusType::as_str)))),
    };
    let log = build.logs().and_then(|logs| logs.deep_link().or(logs.s3_deep_link()));
    Ok(BuildState { status, began_at: instant(build.start_time()), ended_at: instant(build.end_time()), log: log.map(Into::into) })
}

fn instant(at: Option<&DateTime>) -> Option<Timestamp> {
    at.and_then(|at| at.to_millis().ok()).map(Timestamp::from_millis)
}

/// `FAILED: BUILD: COMMAND_EXECUTION_ERROR: …`: the phases that did not succeed, in their own words.
fn why(status: &StatusType, phases: &[BuildPhase]) -> Arc<str> {
    let mut words = vec![status.as_str().to_owned()];
    let is_bad = |phase: &&BuildPhase| phase.phase_status().is_some_and(|status| !matches!(status, StatusType::Succeeded | StatusType::InProgress));
    for phase in phases.iter().filter(is_bad) {
        let name = phase.phase_type().map_or("a phase", |phase| phase.as_str());
        let contexts = phase.contexts().iter().map(|context| {
            let said = [context.status_code(), context.message()];
            said.into_iter().flatten().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(": ")
        });
        let contexts = contexts.filter(|said| !said.is_empty()).collect::<Vec<_>>().join("; ");
        words.push(if contexts.is_empty() { name.to_owned() } else { format!("{name}: {contexts}") });
    }
    words.join(": ").into()
}

#[cfg(test)]
mod tests;
