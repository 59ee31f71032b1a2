//! An installation of Muster, as the outputs of its stack describe it.

use std::collections::BTreeMap;

use muster_core::Region;
use muster_plan::Flow;

use crate::{Account, Failed, failed};

/// An installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// The bucket of plans and reports.
    pub bucket: String,
    /// An alarm whose name begins so starts a failover.
    pub alarm_prefix: String,
    /// `live` or `drill`.
    pub mode: String,
    /// The value or pattern of the tag that resources must carry; `*` for any.
    pub service_tag: String,
    /// The ARN of the topic that tells of trouble with Muster itself.
    pub pages: String,
    /// Where the schedules of backups go; the name of the first output that is missing for them in a stack that has none.
    pub schedules: Result<BackupSchedules, &'static str>,
}

/// What the schedules of backups are made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSchedules {
    /// What the ARN of a flow's state machine begins with, before the flow's name.
    pub flow_arn_prefix: String,
    /// The group that they are in.
    pub group: String,
    /// The ARN of the role that starts the state machine.
    pub role: String,
    /// The ARN of the queue that takes what could not be delivered.
    pub dead_letters: String,
}

impl BackupSchedules {
    /// The ARN of the state machine that a flow's entries start.
    pub fn machine(&self, flow: Flow) -> String {
        format!("{}{}", self.flow_arn_prefix, flow.as_str())
    }

    /// # Errors
    /// The name of the first output that is missing.
    fn of_outputs(outputs: &BTreeMap<&str, &str>) -> Result<Self, &'static str> {
        let output = |name: &'static str| outputs.get(name).map(|value| (*value).to_owned()).ok_or(name);
        Ok(BackupSchedules {
            flow_arn_prefix: output("FlowArnPrefix")?,
            group: output("BackupScheduleGroup")?,
            role: output("BackupScheduleRoleArn")?,
            dead_letters: output("BackupDeadLetterQueueArn")?,
        })
    }
}

impl Installation {
    /// Reads the outputs of a stack; `None` where there is no such stack in the region.
    ///
    /// # Errors
    /// CloudFormation cannot be asked, or the stack is none of Muster's.
    pub async fn of_stack(account: &Account, region: &Region, stack: &str) -> Result<Option<Self>, Failed> {
        let client = aws_sdk_cloudformation::Client::new(&account.in_region(region));
        let described = match client.describe_stacks().stack_name(stack).send().await.map_err(failed("cloudformation:DescribeStacks")) {
            Ok(described) => described,
            // A stack that does not exist is a validation error.
            Err(error) if error.code == "ValidationError" && error.message.contains("does not exist") => return Ok(None),
            Err(error) => return Err(error),
        };
        let outputs: BTreeMap<&str, &str> =
            described.stacks().iter().flat_map(|stack| stack.outputs()).filter_map(|output| Some((output.output_key()?, output.output_value()?))).collect();
        let output = |name: &str| {
            outputs.get(name).map(|value| (*value).to_owned()).ok_or_else(|| Failed {
                operation: "cloudformation:DescribeStacks",
                code: String::new(),
                message: format!("the stack {stack} has no output `{name}`: it is none of Muster's, or an older one"),
            })
        };
        Ok(Some(Installation {
            bucket: output("Bucket")?,
            alarm_prefix: output("AlarmPrefix")?,
            mode: output("Mode")?,
            service_tag: output("ServiceTag")?,
            pages: output("PagesTopicArn")?,
            schedules: BackupSchedules::of_outputs(&outputs),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_need_all_four_outputs_and_the_first_that_is_missing_is_named() {
        let all =
            [("FlowArnPrefix", "flows:muster-"), ("BackupScheduleGroup", "group"), ("BackupScheduleRoleArn", "role"), ("BackupDeadLetterQueueArn", "queue")];
        let known = BackupSchedules { flow_arn_prefix: "flows:muster-".into(), group: "group".into(), role: "role".into(), dead_letters: "queue".into() };
        assert_eq!(known.machine(Flow::RestoreTest), "flows:muster-restore-test");
        assert_eq!(BackupSchedules::of_outputs(&all.into()), Ok(known));
        for (missing, _) in all {
            let outputs = all.into_iter().filter(|(name, _)| *name != missing).collect();
            assert_eq!(BackupSchedules::of_outputs(&outputs), Err(missing));
        }
    }
}
