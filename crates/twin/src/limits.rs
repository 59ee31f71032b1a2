//! AWS's request-rate limits: token buckets, one for each region and budget, at the levels that AWS documents.
//!
//! A bucket holds a burst and is filled at a rate; a call takes a token, and one that finds none is refused with `Throttling: Rate exceeded`,
//! which changes nothing and takes no token. All callers of an account share it, in a rehearsal all of Muster's.
//!
//! Modelled: RDS, Route 53's requests, Parameter Store, CloudWatch. Not modelled: Route 53's second bucket, of single changes; EC2, Auto Scaling and
//! ElastiCache, whose figures AWS does not publish for the operations that Muster calls or keeps far above what it does; DynamoDB's capacity; and that
//! an account's other callers spend from the same buckets.

use std::collections::BTreeMap;

use muster_core::{Region, Timestamp};

/// A budget that calls are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rate {
    /// Which calls share it.
    name: &'static str,
    /// Calls that can be made at once.
    burst: u64,
    /// Calls a second, from then on.
    per_second: u64,
}

/// All of RDS's API in a region, Aurora's included. Assumed: AWS publishes no quota for it.
const RDS: Rate = Rate { name: "rds", burst: 300, per_second: 12 };
/// All of Route 53's API in an account. Source: the Route 53 developer guide, "Throttling for Amazon Route 53 API requests".
const ROUTE_53: Rate = Rate { name: "route53", burst: 50, per_second: 10 };
/// Without the setting for higher throughput. Source: AWS General Reference, "AWS Systems Manager endpoints and quotas", Parameter Store.
const PUT_PARAMETER: Rate = Rate { name: "ssm:PutParameter", burst: 3, per_second: 3 };
const GET_PARAMETERS: Rate = Rate { name: "ssm:GetParameters", burst: 40, per_second: 40 };
/// Source of the next three: the CloudWatch user guide, "CloudWatch service quotas".
const GET_METRIC_DATA: Rate = Rate { name: "cloudwatch:GetMetricData", burst: 50, per_second: 50 };
const PUT_METRIC_DATA: Rate = Rate { name: "cloudwatch:PutMetricData", burst: 500, per_second: 500 };
const DESCRIBE_ALARMS: Rate = Rate { name: "cloudwatch:DescribeAlarms", burst: 9, per_second: 9 };

/// The budget of an operation, where it has one.
fn rate(operation: &str) -> Option<Rate> {
    let (service, name) = operation.split_once(':')?;
    match (service, name) {
        ("rds", _) => Some(RDS),
        ("route53", _) => Some(ROUTE_53),
        ("ssm", "PutParameter") => Some(PUT_PARAMETER),
        ("ssm", "GetParameters") => Some(GET_PARAMETERS),
        ("cloudwatch", "GetMetricData") => Some(GET_METRIC_DATA),
        ("cloudwatch", "PutMetricData") => Some(PUT_METRIC_DATA),
        ("cloudwatch", "DescribeAlarms") => Some(DESCRIBE_ALARMS),
        _ => None,
    }
}

/// What is left in a bucket, in thousandths of a call, and when that was.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u64,
    at: Timestamp,
}

/// The buckets of an account.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    buckets: Vec<(Region, Rate, Bucket)>,
    throttled: BTreeMap<&'static str, u64>,
}

impl Limits {
    /// Takes a token for a call that arrives at `now`; `false` where none is left.
    pub(crate) fn admit(&mut self, now: Timestamp, region: &Region, operation: &str) -> bool {
        let Some(rate) = rate(operation) else { return true };
        // A handful: a list is found through faster than a map.
        let known = self.buckets.iter().position(|(at, of, _)| *of == rate && at == region);
        let index = known.unwrap_or_else(|| {
            self.buckets.push((region.clone(), rate, Bucket { left: rate.burst * 1_000, at: now }));
            self.buckets.len() - 1
        });
        let bucket = &mut self.buckets[index].2;
        bucket.left = (bucket.left + now.since(bucket.at).as_millis() * rate.per_second).min(rate.burst * 1_000);
        bucket.at = now;
        if bucket.left < 1_000 {
            *self.throttled.entry(rate.name).or_insert(0) += 1;
            return false;
        }
        bucket.left -= 1_000;
        true
    }

    /// Calls that were refused because of their rate, by budget.
    pub fn throttled(&self) -> &BTreeMap<&'static str, u64> {
        &self.throttled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn admitted(limits: &mut Limits, now: i64, operation: &str, calls: u64) -> u64 {
        let region = "us-west-2".parse().unwrap();
        (0..calls).filter(|_| limits.admit(at(now), &region, operation)).count().try_into().unwrap()
    }

    #[test]
    fn a_burst_is_taken_and_then_the_rate() {
        let mut limits = Limits::default();
        assert_eq!(admitted(&mut limits, 0, "rds:PromoteReadReplica", 400), 300);
        assert_eq!(admitted(&mut limits, 999, "rds:DescribeDBInstances", 20), 11, "all of RDS shares one bucket");
        assert_eq!(admitted(&mut limits, 1_000, "rds:PromoteReadReplica", 20), 1);
        assert_eq!(admitted(&mut limits, 26_000, "rds:PromoteReadReplica", 400), 300, "a bucket is never more than full");
        assert_eq!(limits.throttled(), &BTreeMap::from([("rds", 100 + 9 + 19 + 100)]));
    }

    #[test]
    fn regions_and_budgets_do_not_share() {
        let mut limits = Limits::default();
        assert_eq!(admitted(&mut limits, 0, "route53:ChangeResourceRecordSets", 60), 50);
        assert_eq!(admitted(&mut limits, 0, "rds:DescribeDBInstances", 301), 300);
        assert!(limits.admit(at(0), &"us-east-1".parse().unwrap(), "rds:DescribeDBInstances"));
        assert_eq!(admitted(&mut limits, 0, "ssm:PutParameter", 4), 3);
        assert_eq!(admitted(&mut limits, 0, "dns:Resolve", 10_000), 10_000, "no AWS API has a say in it");
    }
}
