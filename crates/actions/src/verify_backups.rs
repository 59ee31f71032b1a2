//! Looks at the plan's backups wherever they have to be, and says what is wrong and what would be lost if the primary region died now.
//!
//! Converges: everything is read once; a survey that one invocation has no time for is gone on with by the next.
//! Refuses:   nothing. What cannot be looked at is a finding, and never taken for well.
//! Leaves behind on failure: notes of what was read, which the next call goes on from.
//! AWS: rds:DescribeDBSnapshots, rds:DescribeDBClusterSnapshots, rds:DescribeDBInstances, rds:DescribeDBClusters,
//!      rds:DescribeDBInstanceAutomatedBackups, rds:DescribeDBClusterAutomatedBackups, rds:DescribeAccountAttributes, rds:DescribeExportTasks,
//!      elasticache:DescribeSnapshots, elasticache:ListTagsForResource, elasticache:DescribeReplicationGroups, s3:ListBucket, s3:GetObject, s3:GetLifecycleConfiguration,
//!      kms:DescribeKey (primary region and standby region); dynamodb:Query, cloudwatch:PutMetricData (standby region).

use muster_backups::{Problem, Verdict, expectations, verify};
use muster_core::ports::{Buckets, Keys, METRICS_A_CALL, MetricValue, MetricWriter, Notes, Recoverability, Snapshots};
use muster_core::{Action, ActionError, BackupExposure, BackupProblem, Clock, Conduct, Context, Duration, Evidence, Progress};
use muster_plan::Plan;
use serde::Deserialize;

use crate::probe::NAMESPACE;
use crate::survey::Surveying;

/// The action. It reads, publishes and keeps notes, and a deadline is no reason not to know.
pub const VERIFY_BACKUPS: Action = Action { name: "verify-backups", conduct: Conduct::KeepsBooks };

/// Nothing to ask for: the plan says what has to be where.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// The metric that counts what somebody has to be called for, by service.
pub const BACKUP_PROBLEMS: &str = "BackupProblems";
/// The metric of what would be lost if the primary region died now, in seconds, by service and component.
pub const BACKUP_EXPOSURE: &str = "BackupExposure";
/// What is published as exposure where nothing outside the primary region is known to restore from: more than any RPO.
pub const EVERYTHING: Duration = Duration::from_hours(10 * 365 * 24);

/// The pause before calls that failed for a moment are made again.
const PAUSE: Duration = Duration::from_secs(5);
/// So many problems or exposures are one entry of the ledger, whose item holds 400 KB: a problem may name an object, and a key has up to 1,024 bytes.
const AN_ENTRY: usize = 150;
/// So many problems are said in the answer.
const NAMED: usize = 3;

/// Surveys and judges. Called twice, it looks twice and says the same of the same.
///
/// # Errors
/// `Transient` and `Permanent` only where Muster's own table or metrics cannot be reached: a backup that cannot be looked at is a finding.
pub async fn verify_backups<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Snapshots + Recoverability + Buckets + Keys + Notes + MetricWriter,
{
    let mut surveying = Surveying::resume(world, cx, expectations(cx.plan)).await?;
    let has_time_left = surveying.go_on(world).await;
    if surveying.left() > 0 {
        surveying.keep(world).await?;
        let detail = format!("{} objects and snapshots read; {} listings and questions left", surveying.read(), surveying.left());
        return Ok(Progress::pending(detail, if has_time_left { PAUSE } else { Duration::from_secs(1) }));
    }
    let (read, stored) = (surveying.read(), surveying.stored());
    let survey = surveying.into_survey();
    let looked_at = survey.listings.len();
    let verdict = verify(cx.plan, &survey, cx.since);
    for values in metrics(cx.plan, &verdict).chunks(METRICS_A_CALL) {
        world.put_metrics(&cx.plan.regions.standby, NAMESPACE, values, false).await?;
    }
    for evidence in evidence(cx, &verdict) {
        cx.saw(world.now(), evidence);
    }
    world.note_all(&stored).await?;
    let is_unwell = verdict.problems.iter().any(|problem| problem.finding.is_alarm());
    let detail = format!("{}; {looked_at} listings, {read} objects and snapshots", told(cx.plan, &verdict));
    Ok(Progress::done(detail).with_verdict(if is_unwell { "unwell" } else { "sound" }))
}

/// All of them every time, so that silence is missing data and can be alarmed on.
fn metrics(plan: &Plan, verdict: &Verdict) -> Vec<MetricValue> {
    let service = ("Service".to_owned(), plan.service.to_string());
    let alarms: i64 = verdict.problems.iter().map(|problem| i64::from(problem.finding.is_alarm())).sum();
    // Once more without the service: the stack's alarm does not know which services there will be.
    let problems = [[service.clone()].into(), [].into()].map(|dimensions| MetricValue { name: BACKUP_PROBLEMS.into(), dimensions, milli: alarms * 1_000 });
    let exposures = verdict.exposures.iter().map(|exposure| MetricValue {
        name: BACKUP_EXPOSURE.into(),
        dimensions: [service.clone(), ("Component".to_owned(), exposure.of.0.clone())].into(),
        milli: milli(exposure.loss.unwrap_or(EVERYTHING).min(EVERYTHING)),
    });
    problems.into_iter().chain(exposures).collect()
}

/// Seconds, in thousandths.
fn milli(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

fn evidence(cx: &Context<'_, Plan>, verdict: &Verdict) -> Vec<Evidence> {
    let component = |problem: &Problem| problem.backup.as_ref().and_then(|name| cx.plan.backup(name.as_str())?.of.as_ref().map(|of| of.0.clone()));
    let problems: Vec<BackupProblem> = verdict
        .problems
        .iter()
        .map(|problem| BackupProblem {
            component: component(problem),
            backup: problem.backup.as_ref().map(ToString::to_string),
            place: problem.place.to_string(),
            words: problem.finding.to_string(),
            alarms: problem.finding.is_alarm(),
        })
        .collect();
    let exposures: Vec<BackupExposure> = verdict
        .exposures
        .iter()
        .map(|exposure| BackupExposure {
            component: exposure.of.0.clone(),
            loss: exposure.loss,
            rpo: exposure.rpo,
            from: exposure.from.as_ref().map(ToString::to_string),
        })
        .collect();
    // That nothing is wrong is written down too.
    let entries = problems.len().div_ceil(AN_ENTRY).max(exposures.len().div_ceil(AN_ENTRY)).max(1);
    let (mut problems, mut exposures) = (problems.chunks(AN_ENTRY), exposures.chunks(AN_ENTRY));
    let mut entry = || Evidence::BackupsVerified {
        as_of: cx.since,
        problems: problems.next().unwrap_or_default().to_vec(),
        exposures: exposures.next().unwrap_or_default().to_vec(),
    };
    (0..entries).map(|_| entry()).collect()
}

/// The verdict in words: what people are called for first.
fn told(plan: &Plan, verdict: &Verdict) -> String {
    let (alarms, others): (Vec<&Problem>, Vec<&Problem>) = verdict.problems.iter().partition(|problem| problem.finding.is_alarm());
    let said = |problem: &Problem| {
        let backup = problem.backup.as_ref().map_or_else(String::new, |backup| format!("{backup} in "));
        format!("{backup}{}: {}", problem.place, problem.finding)
    };
    let mut parts: Vec<String> = alarms.iter().take(NAMED).map(|problem| said(problem)).collect();
    parts.extend(alarms.len().checked_sub(NAMED).filter(|more| *more > 0).map(|more| format!("{more} more are wrong")));
    if alarms.is_empty() {
        parts.push("nothing is wrong".to_owned());
    }
    if !others.is_empty() {
        parts.push(format!("{} to be looked at by day", others.len()));
    }
    let exposed = verdict.exposures.iter().filter(|exposure| !exposure.is_within()).count();
    if exposed > 0 {
        let promised = format!("{exposed} of {} components would lose more than their RPO if {} died now", verdict.exposures.len(), plan.regions.primary);
        parts.push(format!("by backups alone, {promised}"));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_backups::{Exposure, Finding, Place};
    use muster_plan::PartReference;

    fn verdict(losses: &[Option<u64>], findings: &[Finding]) -> Verdict {
        let place = Place::in_region(&"us-east-1".parse().unwrap());
        let exposure = |(index, loss): (usize, &Option<u64>)| Exposure {
            of: PartReference(format!("databases.db-{index}")),
            loss: loss.map(Duration::from_secs),
            from: None,
            rpo: Some(Duration::from_mins(1)),
        };
        Verdict {
            problems: findings.iter().map(|finding| Problem { backup: None, place: place.clone(), finding: finding.clone() }).collect(),
            exposures: losses.iter().enumerate().map(exposure).collect(),
        }
    }

    fn plan() -> Plan {
        serde_json::from_value(serde_json::json!({
            "service": "portal",
            "regions": {"primary": "us-east-1", "standby": "us-west-2", "witness": "us-east-2"},
            "objectives": {"rto": "4h", "rpo": "1h"},
            "triggers": {
                "alarms": [], "confirm": {"atLeast": 1, "for": "3m", "of": []}, "decision": {"kind": "veto", "window": "15m"},
                "afterFailover": {"noAutomaticFailoverFor": "24h"}
            },
            "people": {"roles": [], "channels": [], "decide": [], "told": [], "hold": {"within": "30m", "otherwise": "abort"}}
        }))
        .unwrap()
    }

    #[test]
    fn every_metric_is_published_every_time_and_everything_is_more_than_any_rpo() {
        let published = |verdict: &Verdict| -> Vec<(String, String, i64)> {
            let values = metrics(&plan(), verdict).into_iter();
            values.map(|value| (value.name.to_string(), value.dimensions.into_values().collect::<Vec<_>>().join(" "), value.milli)).collect()
        };
        let named = |name: &str, of: &str, milli| (name.to_owned(), of.to_owned(), milli);
        assert_eq!(published(&verdict(&[], &[])), [named("BackupProblems", "portal", 0), named("BackupProblems", "", 0)]);
        let morning = Finding::QuotaNear { used: 91, limit: 100 };
        assert_eq!(
            published(&verdict(&[Some(90), None], &[Finding::Nothing, morning, Finding::NoSuchBucket])),
            [
                named("BackupProblems", "portal", 2_000),
                named("BackupProblems", "", 2_000),
                named("BackupExposure", "databases.db-0 portal", 90_000),
                named("BackupExposure", "databases.db-1 portal", 315_360_000_000)
            ]
        );
    }

    #[test]
    fn what_people_are_called_for_is_said_first_and_the_rest_is_counted() {
        let findings =
            [Finding::QuotaNear { used: 91, limit: 100 }, Finding::NoSuchBucket, Finding::NoSuchBucket, Finding::NoSuchBucket, Finding::NoSuchBucket];
        let words = told(&plan(), &verdict(&[Some(30), Some(90), None], &findings));
        assert!(words.starts_with("us-east-1: its bucket does not exist; "), "{words}");
        assert!(words.contains("; 1 more are wrong; 1 to be looked at by day; "), "{words}");
        assert!(words.ends_with("2 of 3 components would lose more than their RPO if us-east-1 died now"), "{words}");
        assert_eq!(told(&plan(), &verdict(&[Some(30)], &[])), "nothing is wrong");
    }
}
