//! An outage is confirmed from two sides, and whoever decides can hear.

use muster_core::Duration;

use super::{Findings, each};
use crate::checks::{Check, CheckStage};
use crate::custom::Flow;
use crate::people::{Delivery, Event, People};
use crate::plan::Plan;
use crate::traffic::RegionRole;
use crate::triggers::Decision;

pub(super) fn check(plan: &Plan, findings: &mut Findings<'_>) {
    confirmation(plan, findings);
    decision(plan, findings);
    health(plan, findings);
    thresholds(plan, findings);
}

fn confirmation(plan: &Plan, findings: &mut Findings<'_>) {
    let confirm = &plan.triggers.confirm;
    let sources = confirm.of.len();
    if confirm.at_least == 0 || usize::try_from(confirm.at_least).is_ok_and(|wanted| wanted > sources) {
        findings.error(
            "impossible-confirmation",
            "/triggers/confirm/atLeast",
            format!("{} of {sources} sources can never be what confirms an outage", confirm.at_least),
            format!("write a number from 1 to {sources}"),
        );
    }
    let at = |role: RegionRole| confirm.of.iter().filter(|source| source.vantage() == Some(role)).count();
    let inside = at(RegionRole::Standby);
    if at(RegionRole::Witness) == 0 {
        findings.error(
            "one-sided-confirmation",
            "/triggers/confirm/of",
            "every source looks from the standby region: if its own network fails, the primary seems dead",
            format!("add a source in the witness region: {{kind: http, name: …, url: …, from: witness}} ({})", plan.regions.witness),
        );
    } else if usize::try_from(confirm.at_least).is_ok_and(|wanted| wanted <= inside) {
        findings.warning(
            "one-sided-confirmation",
            "/triggers/confirm/atLeast",
            format!("the sources in the standby region ({inside}) can confirm an outage alone"),
            format!("write `atLeast: {}`, so that somebody outside the standby always agrees", inside + 1),
        );
    }
    if confirm.held_for < Duration::from_mins(2) {
        findings.warning(
            "hasty-confirmation",
            "/triggers/confirm/for",
            format!("probes look every minute: {} is not two looks", confirm.held_for),
            "write at least 2m",
        );
    }
}

/// True where a machine delivers such messages of a region failover to somebody.
fn is_heard(people: &People, event: Event) -> bool {
    let audiences = people.told.iter().filter(|audience| audience.what.contains(&event));
    let audiences = audiences.filter(|audience| audience.flows.is_empty() || audience.flows.contains(&Flow::RegionFailover));
    audiences.flat_map(|audience| &audience.channels).filter_map(|name| people.channel(name)).any(|channel| !matches!(channel.via, Delivery::Person { .. }))
}

fn decision(plan: &Plan, findings: &mut Findings<'_>) {
    let waits = match &plan.triggers.decision {
        Decision::Automatic => None,
        Decision::Veto { .. } => Some("a veto that nobody hears of is no veto: the window would never open"),
        Decision::Approval { .. } => Some("an approval that nobody is asked for is never given"),
    };
    if let Some(why) = waits.filter(|_| !is_heard(&plan.people, Event::Decision)) {
        findings.error(
            "nobody-hears",
            "/triggers/decision",
            why,
            "add `decision` to the `what` of an audience in `people.told` whose channel is `sns` or `webhook`",
        );
    }
    if !is_heard(&plan.people, Event::Held) {
        findings.error(
            "nobody-hears",
            "/people/hold",
            "a run that holds waits for somebody who was never told",
            "add `held` to the `what` of an audience in `people.told` whose channel is `sns` or `webhook`",
        );
    }
    if plan.people.decide.is_empty() {
        findings.error("nobody-decides", "/people/decide", "nobody may veto, approve or answer a hold", "name at least one of `people.roles`");
    }
    if let Decision::Approval { by, .. } = &plan.triggers.decision
        && !plan.people.decide.contains(by)
    {
        findings.error(
            "nobody-decides",
            "/triggers/decision/by",
            format!("`{by}` is asked, and is not among those who may decide"),
            "add the role to `people.decide`",
        );
    }
}

/// Traffic moves only to what was seen healthy, and the end is seen through the public name.
fn health(plan: &Plan, findings: &mut Findings<'_>) {
    if plan.traffic.is_empty() {
        return;
    }
    if plan.checks_at(CheckStage::AfterTraffic).next().is_none() {
        findings.warning(
            "unverified-end",
            "/traffic",
            "nothing looks at the service through its public name once it has moved",
            "add a check {kind: http, name: …, url: …, via: public}",
        );
    }
}

fn thresholds(plan: &Plan, findings: &mut Findings<'_>) {
    for (at, check) in each("/checks", &plan.checks) {
        let Check::Metric(metric) = check else { continue };
        let bounds = [metric.below, metric.above, metric.equals].iter().flatten().count();
        if bounds != 1 {
            findings.error(
                "no-threshold",
                &format!("{at}/name"),
                format!("`{}` has {bounds} thresholds", metric.name),
                "write exactly one of `below`, `above` and `equals`",
            );
        }
        if let Some(period) = metric.period.filter(|period| !is_a_period(*period)) {
            findings.error(
                "no-such-period",
                &format!("{at}/period"),
                format!("CloudWatch has no datapoints of {period}"),
                "write 1s, 5s, 10s, 20s, 30s, or whole minutes",
            );
        }
    }
}

/// Source: the API reference of CloudWatch, MetricStat.
fn is_a_period(period: Duration) -> bool {
    const SHORT: [u64; 5] = [1_000, 5_000, 10_000, 20_000, 30_000];
    let millis = period.as_millis();
    SHORT.contains(&millis) || (millis > 0 && millis.is_multiple_of(60_000))
}
