//! An installation of Muster, as the outputs of its stack describe it.

use std::collections::BTreeMap;

use muster_core::Region;

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
        Ok(Some(Installation { bucket: output("Bucket")?, alarm_prefix: output("AlarmPrefix")?, mode: output("Mode")?, service_tag: output("ServiceTag")? }))
    }
}
