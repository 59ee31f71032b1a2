//! What is promised is possible on paper.

use muster_core::Duration;

use super::{Findings, each};
use crate::caches::CacheStandby;
use crate::databases::{Database, DatabaseStandby, WhenLagUnknown};
use crate::estimate::{estimate, standby_takes, total};
use crate::objectives::{Component, OutageScope};
use crate::plan::Plan;

pub(super) fn check(plan: &Plan, findings: &mut Findings<'_>) {
    recovery_time(plan, findings);
    for (at, database) in each("/databases", &plan.databases) {
        loss(plan, &at, database, findings);
        let takes = standby_takes(plan, &database.standby, database.size);
        if takes > database.objectives.rto {
            findings.warning(
                "rto-on-paper",
                &format!("{at}/objectives/rto"),
                format!("`{}` is to be back within {}, and takes about {takes} from its standby", database.name, database.objectives.rto),
                "promise more time, or keep a standby that is sooner ready, such as a replica",
            );
        }
        if database.objectives.rpo > plan.objectives.rpo {
            findings.error(
                "rpo-on-paper",
                &format!("{at}/objectives/rpo"),
                format!("`{}` may lose {}, and the service promises to lose at most {}", database.name, database.objectives.rpo, plan.objectives.rpo),
                "the service loses what its databases lose: bring the two together",
            );
        }
    }
    for (at, cache) in each("/caches", &plan.caches) {
        if let CacheStandby::Snapshot { max_age, .. } = &cache.standby
            && *max_age > cache.objectives.rpo
        {
            findings.error(
                "rpo-on-paper",
                &format!("{at}/objectives/rpo"),
                format!("`{}` may lose {}, and its snapshots are accepted up to an age of {max_age}", cache.name, cache.objectives.rpo),
                "take snapshots more often, promise less, or use a global datastore",
            );
        }
    }
    for (at, component) in each("/components", &plan.components) {
        recoverable(plan, &at, component, findings);
    }
}

fn recovery_time(plan: &Plan, findings: &mut Findings<'_>) {
    let phases = estimate(plan);
    let takes = total(&phases);
    if takes > plan.objectives.rto {
        let parts: Vec<String> = phases.iter().filter(|phase| !phase.takes.is_zero()).map(|phase| format!("{} {}", phase.what, phase.takes)).collect();
        findings.warning(
            "rto-on-paper",
            "/objectives/rto",
            format!("the service is to be back within {}, and on paper a region failover takes {takes}", plan.objectives.rto),
            format!("on paper: {}", parts.join(", ")),
        );
    }
}

/// How much a standby may be behind, by itself, and why.
fn behind(plan: &Plan, database: &Database, standby: &DatabaseStandby) -> Option<(Duration, String)> {
    match standby {
        DatabaseStandby::Replica { .. } | DatabaseStandby::GlobalCluster { .. } => {
            let max = database.lag.as_ref()?.max;
            Some((max, format!("its replica may be {max} behind (`lag.max`)")))
        }
        DatabaseStandby::LatestSnapshot { max_age, .. } => {
            let part = format!("databases.{}", database.name);
            let gaps = plan.backups_of(&part).filter(|backup| backup.copy.is_some()).filter_map(|backup| backup.every.as_ref());
            let gap = gaps.map(|every| every.longest_gap()).min().unwrap_or(*max_age);
            // Until the next one is made, the newest is as old as the gap between two.
            let worst = gap.max(*max_age);
            Some((worst, format!("its snapshots are up to {worst} old")))
        }
        DatabaseStandby::PointInTime { max_age, .. } => Some((*max_age, format!("its replicated backups end up to {max_age} ago"))),
        DatabaseStandby::External { .. } => None,
    }
}

fn loss(plan: &Plan, at: &str, database: &Database, findings: &mut Findings<'_>) {
    let rpo = database.objectives.rpo;
    if let Some((worst, why)) = behind(plan, database, &database.standby).filter(|(worst, _)| *worst > rpo) {
        findings.error(
            "rpo-on-paper",
            &format!("{at}/objectives/rpo"),
            format!("`{}` may lose {rpo}, but {why}", database.name),
            format!("promise {worst}, or keep a standby that is less far behind, such as a replica"),
        );
        findings.also(&format!("{at}/standby/kind"), "the standby");
    }
    if let Some(WhenLagUnknown::LastKnown { within, up_to, by, .. }) = database.lag.as_ref().map(|lag| &lag.when_unknown) {
        let worst = within.saturating_add(*up_to);
        if worst > rpo {
            findings.warning(
                "rpo-on-paper",
                &format!("{at}/lag/whenUnknown/upTo"),
                format!("{by} accepts a loss of up to {worst} ({within} since the sample, {up_to} of lag), which is more than the promised {rpo}"),
                "lower `within` or `upTo` so that their sum stays within `objectives.rpo`, unless this is meant",
            );
        }
    }
    for (path, fallback) in each(&format!("{at}/fallback"), &database.fallback) {
        if let Some((worst, why)) = behind(plan, database, fallback).filter(|(worst, _)| *worst > rpo) {
            findings.warning(
                "fallback-loses-more",
                &format!("{path}/kind"),
                format!("falling back loses up to {worst}, and `{}` promises {rpo}: {why}", database.name),
                "a person has to choose it, and is told so; that is right where the alternative is nothing at all",
            );
        }
    }
}

fn recoverable(plan: &Plan, at: &str, component: &Component, findings: &mut Findings<'_>) {
    if component.recovered_by.is_empty() {
        findings.error(
            "no-way-back",
            &format!("{at}/name"),
            format!("nothing recovers `{}`", component.name),
            "name the parts that do, such as `recoveredBy: [databases.main, compute.api]`",
        );
    }
    if component.scope < OutageScope::Region {
        return;
    }
    let takes = total(&estimate(plan));
    if component.rto < takes {
        findings.warning(
            "rto-on-paper",
            &format!("{at}/rto"),
            format!("`{}` is to be back within {} of losing the region, and on paper a region failover takes {takes}", component.name, component.rto),
            "promise more time, or write `scope: zone` where the promise is about the loss of a zone",
        );
    }
    let databases = component.recovered_by.iter().filter_map(|part| part.parts()).filter(|(section, _)| *section == "databases");
    for database in databases.filter_map(|(_, name)| plan.database(name)) {
        if let Some(rpo) = component.rpo.filter(|rpo| *rpo < database.objectives.rpo) {
            findings.error(
                "rpo-on-paper",
                &format!("{at}/rpo"),
                format!("`{}` may lose {rpo}, and its database `{}` may lose {}", component.name, database.name, database.objectives.rpo),
                "a component loses what its databases lose: bring the two together",
            );
        }
    }
}
