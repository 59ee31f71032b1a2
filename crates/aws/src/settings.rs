//! What a function is told by its environment.

use std::net::SocketAddr;

use muster_core::Region;

/// The settings of an installation. The template sets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `MUSTER_TABLE`: the DynamoDB table.
    pub table: String,
    /// `MUSTER_BUCKET`: the bucket of plans and reports.
    pub bucket: String,
    /// `MUSTER_HOME_REGION`: where table, bucket and state machines are: the standby region.
    pub home: Region,
    /// `AWS_REGION`: where the function itself runs; the witness's probe runs elsewhere.
    pub here: Region,
    /// `MUSTER_FLOW_ARN_PREFIX`: a flow's ARN without the flow's name.
    pub flow_arn_prefix: String,
    /// `MUSTER_DNS`: the resolver to ask, as `address:port`; without it, the system's.
    pub dns: Option<SocketAddr>,
}

/// A variable that a function cannot do without, or cannot read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {name} {problem}. The template sets it: deploy the stack anew, or set it as docs/install.md shows")]
pub struct Missing {
    name: &'static str,
    problem: String,
}

impl Settings {
    /// The partition and the account that Muster runs in, as the flows' ARN has them: `aws`, `123456789012`.
    pub(crate) fn partition_and_account(&self) -> Option<(&str, &str)> {
        // arn:partition:states:region:account:stateMachine:prefix
        let parts: Vec<&str> = self.flow_arn_prefix.split(':').collect();
        match parts.as_slice() {
            ["arn", partition, "states", _, account, ..] if account.len() == 12 && account.bytes().all(|digit| digit.is_ascii_digit()) => {
                Some((partition, account))
            }
            _ => None,
        }
    }

    /// Reads the settings from variables.
    ///
    /// # Errors
    /// The first variable that is missing or cannot be read.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Missing> {
        let wanted = |name: &'static str| variable(name).filter(|value| !value.is_empty()).ok_or(Missing { name, problem: "is not set".into() });
        let region = |name: &'static str| {
            let value = wanted(name)?;
            value.parse().map_err(|_| Missing { name, problem: format!("is `{value}`, which is no region") })
        };
        let dns = variable("MUSTER_DNS").filter(|value| !value.is_empty());
        let dns =
            dns.map(|value| value.parse().map_err(|_| Missing { name: "MUSTER_DNS", problem: format!("is `{value}`, not `address:port`") })).transpose()?;
        Ok(Settings {
            table: wanted("MUSTER_TABLE")?,
            bucket: wanted("MUSTER_BUCKET")?,
            home: region("MUSTER_HOME_REGION")?,
            here: region("AWS_REGION")?,
            flow_arn_prefix: wanted("MUSTER_FLOW_ARN_PREFIX")?,
            dns,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str) -> Option<String> {
        let value = match name {
            "MUSTER_TABLE" => "table",
            "MUSTER_BUCKET" => "bucket",
            "MUSTER_HOME_REGION" | "AWS_REGION" => "us-west-2",
            "MUSTER_FLOW_ARN_PREFIX" => "arn:aws:states:us-west-2:123456789012:stateMachine:muster-",
            _ => return None,
        };
        Some(value.to_owned())
    }

    #[test]
    fn settings_come_from_the_environment() {
        let settings = Settings::read(set).unwrap();
        assert_eq!((settings.table.as_str(), settings.home.as_str(), settings.dns), ("table", "us-west-2", None));
        assert_eq!(settings.partition_and_account(), Some(("aws", "123456789012")));
    }

    #[test]
    fn an_account_is_twelve_digits_of_an_arn_or_unknown() {
        let settings = Settings::read(set).unwrap();
        for odd in ["", "muster-", "arn:aws:states:us-west-2::stateMachine:muster-", "arn:aws:sns:us-west-2:123456789012:topic"] {
            assert_eq!(Settings { flow_arn_prefix: odd.into(), ..settings.clone() }.partition_and_account(), None, "{odd}");
        }
    }

    #[test]
    fn a_variable_that_is_missing_or_no_region_is_named() {
        let without = |missing: &'static str| Settings::read(move |name| set(name).filter(|_| name != missing)).unwrap_err().to_string();
        for name in ["MUSTER_TABLE", "MUSTER_BUCKET", "MUSTER_HOME_REGION", "AWS_REGION", "MUSTER_FLOW_ARN_PREFIX"] {
            assert!(without(name).starts_with(&format!("the environment variable {name} is not set")), "{}", without(name));
        }
        let odd = Settings::read(|name| if name == "AWS_REGION" { Some("Oregon".into()) } else { set(name) }).unwrap_err();
        assert!(odd.to_string().contains("is `Oregon`, which is no region"), "{odd}");
        let odd = Settings::read(|name| if name == "MUSTER_DNS" { Some("resolver".into()) } else { set(name) }).unwrap_err();
        assert!(odd.to_string().contains("not `address:port`"), "{odd}");
    }
}
