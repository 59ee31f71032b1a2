//! How many instances of a type a region still takes, by the quota on its family's vCPUs.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{Filter, Instance, InstanceLifecycleType, InstanceType};
use muster_aws::{Aws, Failed, Target, classify};
use muster_core::ports::Headroom;
use muster_core::{CallError, CallFault, Region};

/// A call of `DescribeInstanceTypes` takes no more types.
const TYPES: usize = 100;

/// The quotas on running On-Demand instances, in vCPUs, with the families that count against each. A family is the letters
/// before a type's first digit: `m` in `m5.large`, `u` in `u-6tb1.metal`.
/// Source: the Service Quotas of EC2, "Running On-Demand … instances".
const QUOTAS: [(&str, &[&str]); 10] = [
    ("L-1216C47A", &["a", "c", "cr", "d", "h", "hs", "i", "im", "is", "m", "r", "t", "z"]),
    ("L-DB2E81BA", &["g", "gr", "vt"]),
    ("L-417A185B", &["p"]),
    ("L-74FC7D96", &["f"]),
    ("L-7295265B", &["x"]),
    ("L-43DA4232", &["u"]),
    ("L-1945791B", &["inf"]),
    ("L-2C3B7624", &["trn"]),
    ("L-6E869C2A", &["dl"]),
    ("L-F7808C92", &["hpc"]),
];

fn quota_of(instance_type: &str) -> Option<&'static str> {
    let letters = instance_type.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(instance_type.len());
    let family = &instance_type[..letters];
    QUOTAS.iter().find(|(_, families)| families.contains(&family)).map(|(code, _)| *code)
}

/// How many instances of the type the quota allows, and how many of them what runs now amounts to.
///
/// Pending instances are counted, since they will run in a moment. An On-Demand Capacity Reservation counts against the quota although nothing
/// runs in it: that is not seen here, and shows when the group is made larger.
pub(crate) async fn headroom<X>(client: &Client, aws: &Aws<X>, region: &Region, instance_type: &str) -> Result<Headroom, CallError> {
    let target = Target::control("servicequotas:GetServiceQuota", region, instance_type);
    let unknown = || target.failed(Failed::new(CallFault::Rejected, "no quota is known for this family of instances"));
    let code = quota_of(instance_type).ok_or_else(unknown)?;
    let quota = aws.ec2_quota(region, code).await?;
    let running = running(client, aws, region, code).await?;
    let types: BTreeSet<&str> = running.keys().map(String::as_str).chain([instance_type]).collect();
    let sizes = sizes(client, aws, region, &types).await?;
    let size = sizes.get(instance_type).copied().filter(|size| *size > 0).ok_or_else(|| {
        Target::control("ec2:DescribeInstanceTypes", region, instance_type).failed(Failed::new(CallFault::NotFound, "the region has no such instance type"))
    })?;
    let used: u64 = running.iter().map(|(name, count)| count * u64::from(sizes.get(name).copied().unwrap_or(0))).sum();
    // A quota is a whole number, far below the limits of both.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let limit = quota.max(0.0) as u64 / u64::from(size);
    let count = |instances: u64| u32::try_from(instances).unwrap_or(u32::MAX);
    Ok(Headroom { limit: count(limit), used: count(used.div_ceil(u64::from(size))) })
}

/// The On-Demand instances that count against a quota, by type.
async fn running<X>(client: &Client, aws: &Aws<X>, region: &Region, code: &str) -> Result<BTreeMap<String, u64>, CallError> {
    let states = Filter::builder().name("instance-state-name").values("pending").values("running").build();
    let mut counts = BTreeMap::new();
    let mut token = None;
    loop {
        let request = client.describe_instances().filters(states.clone()).max_results(1_000).set_next_token(token);
        let target = Target::control("ec2:DescribeInstances", region, "pending and running");
        let page = aws.read(target, async { request.send().await.map_err(classify) }).await?;
        let instances = page.reservations().iter().flat_map(|reservation| reservation.instances());
        for instance_type in instances.filter(|instance| is_on_demand(instance)).filter_map(|instance| instance.instance_type()) {
            if quota_of(instance_type.as_str()) == Some(code) {
                *counts.entry(instance_type.as_str().to_owned()).or_default() += 1;
            }
        }
        token = page.next_token;
        if token.as_deref().is_none_or(str::is_empty) {
            return Ok(counts);
        }
    }
}

/// Spot Instances, Scheduled Instances and Capacity Blocks have quotas of their own; `InstanceLifecycle` is absent from all others.
fn is_on_demand(instance: &Instance) -> bool {
    !matches!(instance.instance_lifecycle(), Some(InstanceLifecycleType::Spot | InstanceLifecycleType::Scheduled | InstanceLifecycleType::CapacityBlock))
}

/// The vCPUs of each type. A quota counts a type's own number, whatever was switched off when an instance was launched.
async fn sizes<X>(client: &Client, aws: &Aws<X>, region: &Region, types: &BTreeSet<&str>) -> Result<BTreeMap<String, u32>, CallError> {
    let mut sizes = BTreeMap::new();
    let types: Vec<&str> = types.iter().copied().collect();
    for asked in types.chunks(TYPES) {
        let names = asked.iter().map(|name| InstanceType::from(*name)).collect();
        let mut token = None;
        loop {
            let request = client.describe_instance_types().set_instance_types(Some(Vec::clone(&names))).set_next_token(token);
            let target = Target::control("ec2:DescribeInstanceTypes", region, asked.join(", "));
            let page = aws.read(target, async { request.send().await.map_err(classify) }).await?;
            for known in page.instance_types() {
                let vcpus = known.v_cpu_info().and_then(|info| info.default_v_cpus()).and_then(|count| u32::try_from(count).ok());
                if let (Some(name), Some(vcpus)) = (known.instance_type(), vcpus) {
                    sizes.insert(name.as_str().to_owned(), vcpus);
                }
            }
            token = page.next_token;
            if token.as_deref().is_none_or(str::is_empty) {
                break;
            }
        }
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests;
