//! The calls of a run: grouped, the mutating ones singly, and which of them needed what an outage takes away.

use std::collections::BTreeMap;

use muster_core::{Call, CallFault, Duration, Plane, Region};

use crate::record::{CallGroup, Calls, Dependence, MutatingCall};
use crate::scan::Scan;

/// The region in which the control planes of AWS's global services are.
const GLOBAL_CONTROL_PLANES: &str = "us-east-1";

/// The services whose control plane is global, by their prefix in IAM's spelling.
const GLOBAL_SERVICES: [&str; 8] = ["route53", "iam", "cloudfront", "organizations", "account", "shield", "waf", "route53domains"];

/// Puts the calls in order.
pub(crate) fn calls(scan: &Scan<'_>, failed_region: Option<&Region>) -> Calls {
    let mut groups: BTreeMap<(&str, &Region, Plane, bool), CallGroup> = BTreeMap::new();
    let mut dependences: BTreeMap<(&str, &Region, &str), Dependence> = BTreeMap::new();
    let mut mutating = Vec::new();
    for made in &scan.calls {
        let (call, outcome) = (made.call, made.outcome);
        let failed = u64::from(outcome.fault.is_some());
        let group = groups.entry((&call.operation, &call.region, call.plane, call.mutates)).or_insert_with(|| CallGroup {
            operation: call.operation.to_string(),
            region: call.region.clone(),
            plane: call.plane,
            mutates: call.mutates,
            count: 0,
            failures: 0,
            latency_total: Duration::ZERO,
            latency_max: Duration::ZERO,
        });
        group.count += 1;
        group.failures += failed;
        group.latency_total = group.latency_total.saturating_add(outcome.latency);
        group.latency_max = group.latency_max.max(outcome.latency);
        if let Some(why) = dependence(call, failed_region) {
            let dependence = dependences.entry((&call.operation, &call.region, &made.entry.phase)).or_insert_with(|| Dependence {
                operation: call.operation.to_string(),
                region: call.region.clone(),
                phase: made.entry.phase.to_string(),
                why,
                count: 0,
                failures: 0,
                first_at: made.entry.at,
                on_critical_path: false,
            });
            dependence.count += 1;
            dependence.failures += failed;
        }
        if call.mutates {
            let said = |fault: CallFault| {
                let message = if outcome.message.is_empty() { String::new() } else { format!(": {}", outcome.message) };
                format!("{}{message}", fault_in_words(fault))
            };
            mutating.push(MutatingCall {
                at: made.entry.at,
                phase: made.entry.phase.to_string(),
                operation: call.operation.to_string(),
                resource: call.resource.to_string(),
                region: call.region.clone(),
                plane: call.plane,
                outcome: outcome.fault.map_or_else(|| "ok".to_owned(), said),
                succeeded: outcome.fault.is_none(),
                request_id: outcome.request_id.clone(),
                latency: Some(outcome.latency),
            });
        }
    }
    mutating.extend(scan.unanswered.iter().map(|(entry, call)| MutatingCall {
        at: entry.at,
        phase: entry.phase.to_string(),
        operation: call.operation.to_string(),
        resource: call.resource.to_string(),
        region: call.region.clone(),
        plane: call.plane,
        outcome: "not known: the intent was written, the outcome was not".to_owned(),
        succeeded: false,
        request_id: None,
        latency: None,
    }));
    mutating.sort_by_key(|call| call.at);
    Calls { groups: groups.into_values().collect(), mutating, dependences: dependences.into_values().collect() }
}

/// Why a call depends on something that an outage can take away.
fn dependence(call: &Call, failed_region: Option<&Region>) -> Option<String> {
    if failed_region == Some(&call.region) {
        return Some("the failed region".to_owned());
    }
    let service = call.operation.split(':').next().unwrap_or_default();
    let global = call.plane == Plane::Control && GLOBAL_SERVICES.contains(&service);
    global.then(|| format!("a global control plane, in {GLOBAL_CONTROL_PLANES}"))
}

/// A fault, for people.
pub(crate) const fn fault_in_words(fault: CallFault) -> &'static str {
    match fault {
        CallFault::Throttled => "throttled",
        CallFault::Unavailable => "the service failed (5xx)",
        CallFault::TimedOut => "no answer in time; may have been applied",
        CallFault::Unreachable => "no connection",
        CallFault::Denied => "denied",
        CallFault::NotFound => "not found",
        CallFault::Rejected => "rejected",
        CallFault::Halted => "held back by Muster (kill switch or stale epoch)",
    }
}
