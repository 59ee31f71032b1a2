//! CloudWatch alarms.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::types::{AlarmType, CompositeAlarm, MetricAlarm, StateValue};
use aws_smithy_types::DateTime;
use muster_core::ports::{AlarmState, Alarms};
use muster_core::{CallError, CallFault, Region, Timestamp};

use crate::Aws;
use crate::call::Target;
use crate::failure::{Failed, classify};

/// Source: the API reference of CloudWatch, DescribeAlarms: at most 100 names, and at most 100 alarms in an answer.
const NAMES: usize = 100;

impl<X> Alarms for Aws<X> {
    async fn alarm_states(&self, region: &Region, names: &[String]) -> Result<BTreeMap<String, AlarmState>, CallError> {
        let mut states = BTreeMap::new();
        for names in names.chunks(NAMES) {
            let target = Target::data("cloudwatch:DescribeAlarms", region, names.join(", "));
            let mut page: Option<String> = None;
            loop {
                let request = self
                    .cloudwatch(region)
                    .describe_alarms()
                    .set_alarm_names(Some(names.to_vec()))
                    // Without this, composite alarms are left out.
                    .alarm_types(AlarmType::MetricAlarm)
                    .alarm_types(AlarmType::CompositeAlarm)
                    .max_records(NAMES as i32)
                    .set_next_token(page.take());
                let output = self.read(target.clone(), async { request.send().await.map_err(classify) }).await?;
                let metric = output.metric_alarms().iter().map(Seen::from);
                let composite = output.composite_alarms().iter().map(Seen::from);
                for seen in metric.chain(composite) {
                    let state = seen.state().map_err(|failed| target.failed(failed))?;
                    states.insert(seen.name, state);
                }
                page = output.next_token().filter(|token| !token.is_empty()).map(str::to_owned);
                if page.is_none() {
                    break;
                }
            }
        }
        Ok(states)
    }
}

/// What both kinds of alarms say of their state.
struct Seen {
    name: String,
    value: Option<StateValue>,
    since: Option<DateTime>,
}

impl From<&MetricAlarm> for Seen {
    fn from(alarm: &MetricAlarm) -> Self {
        let since = alarm.state_transitioned_timestamp().or(alarm.state_updated_timestamp()).copied();
        Seen { name: alarm.alarm_name().unwrap_or_default().to_owned(), value: alarm.state_value().cloned(), since }
    }
}

impl From<&CompositeAlarm> for Seen {
    fn from(alarm: &CompositeAlarm) -> Self {
        let since = alarm.state_transitioned_timestamp().or(alarm.state_updated_timestamp()).copied();
        Seen { name: alarm.alarm_name().unwrap_or_default().to_owned(), value: alarm.state_value().cloned(), since }
    }
}

impl Seen {
    fn state(&self) -> Result<AlarmState, Failed> {
        match &self.value {
            Some(StateValue::Ok) => Ok(AlarmState::Ok),
            Some(StateValue::Alarm) => {
                let since = self.since.and_then(|at| at.to_millis().ok()).map(Timestamp::from_millis);
                let since = since.ok_or_else(|| Failed::new(CallFault::Unavailable, format!("alarm {} does not say since when", self.name)))?;
                Ok(AlarmState::Alarm { since })
            }
            _ => Ok(AlarmState::InsufficientData),
        }
    }
}

#[cfg(test)]
mod tests;
