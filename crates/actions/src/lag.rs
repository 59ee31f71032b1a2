//! How far behind a replica is, and whether that is little enough to promote it. Unknown is not zero.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::ports::{Datapoint, MetricQuery, Reading, Sample, Samples};
use muster_core::{CallError, Duration, Finding, LagBasis, Override, Timestamp};
use muster_plan::{LagGate, Name, WhenLagUnknown};

/// A metric older than this says nothing about now. CloudWatch's `ReplicaLag` has one value a minute.
const FRESH: Duration = Duration::from_mins(3);

/// What is known about a replica's lag.
#[derive(Clone, Debug, Default)]
pub(crate) struct LagKnowledge {
    /// The newest value of the metric, if it has one that is no `-1` (replication broken).
    pub(crate) measured: Option<(Duration, Timestamp)>,
    /// The probe's last sample from before the outage.
    pub(crate) last_known: Option<(Duration, Timestamp)>,
    /// When the outage was first seen; absent when none was.
    pub(crate) outage_since: Option<Timestamp>,
    /// Whether the old primary is proven to take no writes.
    pub(crate) fenced: bool,
}

/// Whether a replica may be promoted, as far as its lag goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LagVerdict {
    /// It may.
    Go {
        /// The lag, if it is known.
        lag: Option<Duration>,
        /// When it was sampled.
        sampled_at: Option<Timestamp>,
        /// Where the figure comes from.
        basis: LagBasis,
        /// The risk that somebody accepted, if it took that.
        accepted: Option<(Override, bool)>,
    },
    /// The primary is fenced and the replica still catches up: what it is behind shrinks by itself.
    Drain {
        /// What is left.
        lag: Duration,
    },
    /// It may not, unless a person says so.
    Refuse(Finding),
}

/// The probe's last sample of each replica from before the outage.
#[derive(Debug, Default)]
pub(crate) struct SampledLags(BTreeMap<Arc<str>, (Duration, Timestamp)>);

impl SampledLags {
    /// Reads them: those of the quarter of an hour before `until`.
    pub(crate) async fn read(world: &impl Samples, service: &str, until: Timestamp, outage_since: Option<Timestamp>) -> Result<Self, CallError> {
        let samples = world.read_samples(&samples_of_lag(service), until.before(LOOKED_BACK)).await?;
        Ok(SampledLags::last(samples, outage_since))
    }

    fn last(samples: Vec<Sample>, outage_since: Option<Timestamp>) -> Self {
        let mut last = SampledLags::default();
        for sample in samples {
            if let (Reading::Lags { lags }, true) = (sample.reading, outage_since.is_none_or(|since| sample.at < since)) {
                last.0.extend(lags.into_iter().map(|(database, lag)| (database, (lag, sample.at))));
            }
        }
        last
    }
}

/// How far back before an outage a lag is looked for.
pub(crate) const LOOKED_BACK: Duration = Duration::from_mins(15);

/// Under this name the lags of a service's replicas are sampled: apart from what confirms an outage, which is read every few seconds.
pub fn samples_of_lag(service: &str) -> String {
    format!("{service}/lag")
}

impl LagKnowledge {
    /// Puts together what the metric and the probe's samples say.
    ///
    /// A figure that was taken after the outage began says nothing about a primary that cannot be seen: RDS lets the
    /// metric freeze at its last value when the source is gone.
    pub(crate) fn gather(database: &Name, metric: &[Datapoint], sampled: &SampledLags, outage_since: Option<Timestamp>, fenced: bool) -> Self {
        let measured = metric.last().filter(|point| point.milli >= 0).map(|point| (Duration::from_millis(point.milli.unsigned_abs()), point.at));
        let before_outage = |at: Timestamp| outage_since.is_none_or(|since| at < since);
        let sampled = sampled.0.get(database.as_str()).copied();
        // The metric itself still has its points from before the outage, should a probe have missed the last of them.
        let recorded = metric
            .iter()
            .rev()
            .find(|point| point.milli >= 0 && before_outage(point.at))
            .map(|point| (Duration::from_millis(point.milli.unsigned_abs()), point.at));
        let last_known = [sampled, recorded].into_iter().flatten().max_by_key(|(lag, at)| (*at, *lag));
        LagKnowledge { measured, last_known, outage_since, fenced }
    }
}

/// CloudWatch's metric for the lag of an RDS replica: seconds, and −1 when replication is broken or stopped.
/// Source: the RDS user guide, "Monitoring read replication".
pub(crate) fn lag_query(replica: &str, since: Timestamp) -> MetricQuery {
    MetricQuery {
        namespace: "AWS/RDS".into(),
        name: "ReplicaLag".into(),
        dimensions: [("DBInstanceIdentifier".to_owned(), replica.to_owned())].into(),
        statistic: "Maximum".into(),
        period: Duration::from_mins(1),
        since,
    }
}

/// Decides, from what is known, whether a replica may be promoted.
pub(crate) fn judge_lag(database: &Name, known: &LagKnowledge, gate: &LagGate, overrides: &[Override], now: Timestamp) -> LagVerdict {
    let go = |lag, sampled_at, basis| LagVerdict::Go { lag, sampled_at, basis, accepted: None };
    let refusal = match trusted_measurement(known, now) {
        Some((lag, at)) if lag <= gate.max => return go(Some(lag), Some(at), LagBasis::Measured),
        Some((lag, _)) if known.fenced && !overrides.iter().any(|accepted| covers(accepted, database, Some(lag))) => return LagVerdict::Drain { lag },
        Some((lag, at)) => Finding::new(
            database,
            format!("its replica is {lag} behind, measured at {}", at.clock_time()),
            format!("at most {}", gate.max),
            format!("wait for it to catch up and answer `retry`, or accept the loss of up to {lag} of writes with an override of kind `lag`"),
        ),
        None => match judge_unknown(database, known, gate) {
            Ok(verdict) => return verdict,
            Err(finding) => finding,
        },
    };
    let seen = trusted_measurement(known, now).or(known.last_known);
    match overrides.iter().find(|accepted| covers(accepted, database, seen.map(|(lag, _)| lag))) {
        Some(accepted) => LagVerdict::Go {
            lag: seen.map(|(lag, _)| lag),
            sampled_at: seen.map(|(_, at)| at),
            basis: match (trusted_measurement(known, now), seen) {
                (Some(_), _) => LagBasis::Measured,
                (None, Some(_)) => LagBasis::LastKnown,
                (None, None) => LagBasis::Unknown,
            },
            accepted: Some((accepted.clone(), false)),
        },
        None => LagVerdict::Refuse(refusal),
    }
}

fn trusted_measurement(known: &LagKnowledge, now: Timestamp) -> Option<(Duration, Timestamp)> {
    let (lag, at) = known.measured?;
    let primary_was_seen = known.fenced || known.outage_since.is_none();
    (primary_was_seen && now.since(at) <= FRESH).then_some((lag, at))
}

fn judge_unknown(database: &Name, known: &LagKnowledge, gate: &LagGate) -> Result<LagVerdict, Finding> {
    let WhenLagUnknown::LastKnown { within, up_to, by, reason } = &gate.when_unknown else {
        return Err(Finding::new(
            database,
            "its replica's lag is unknown: the primary cannot be seen",
            format!("a measured lag of at most {}", gate.max),
            "accept the risk with an override of kind `lag`, or answer `abort`; a standing acceptance in the plan (`lag.whenUnknown`) would have let this run go on",
        ));
    };
    let outage_since = known.outage_since.unwrap_or_default();
    match known.last_known {
        Some((lag, at)) if lag <= *up_to && outage_since.since(at) <= *within => Ok(LagVerdict::Go {
            lag: Some(lag),
            sampled_at: Some(at),
            basis: LagBasis::LastKnown,
            accepted: Some((
                Override::Lag {
                    database: database.to_string(),
                    up_to: Some(*up_to),
                    by: by.clone(),
                    reason: reason.clone().unwrap_or_else(|| "standing acceptance in the plan".to_owned()),
                },
                true,
            )),
        }),
        Some((lag, at)) => Err(Finding::new(
            database,
            format!("its replica was {lag} behind at {}, the last sample before the outage at {}", at.clock_time(), outage_since.clock_time()),
            format!("at most {up_to} behind, sampled at most {within} before the outage"),
            "accept the loss with an override of kind `lag`, or answer `abort`",
        )),
        None => Err(Finding::new(
            database,
            "its replica's lag is unknown, and the probe has no sample from before the outage",
            format!("a sample from at most {within} before the outage"),
            "see whether the probe runs; accept the risk with an override of kind `lag`, or answer `abort`",
        )),
    }
}

fn covers(accepted: &Override, name: &Name, lag: Option<Duration>) -> bool {
    match accepted {
        Override::Lag { database, up_to, .. } => *name == **database && up_to.is_none_or(|limit| lag.is_some_and(|lag| lag <= limit)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn name() -> Name {
        "portal-db".parse().unwrap()
    }

    fn gate(when_unknown: WhenLagUnknown) -> LagGate {
        LagGate { max: Duration::from_secs(60), measured: muster_plan::LagSource::Metric, when_unknown }
    }

    fn last_known() -> WhenLagUnknown {
        WhenLagUnknown::LastKnown { within: Duration::from_secs(60), up_to: Duration::from_mins(5), by: "VP Engineering".into(), reason: None }
    }

    fn seconds_ago(seconds: u64) -> Timestamp {
        NOW.before(Duration::from_secs(seconds))
    }

    fn outage(last_known: Option<(u64, u64)>) -> LagKnowledge {
        LagKnowledge {
            measured: Some((Duration::ZERO, seconds_ago(30))),
            last_known: last_known.map(|(lag, age)| (Duration::from_secs(lag), seconds_ago(age))),
            outage_since: Some(seconds_ago(240)),
            fenced: false,
        }
    }

    #[test]
    fn a_replica_with_unknown_lag_is_not_promoted() {
        let verdict = judge_lag(&name(), &LagKnowledge::default(), &gate(WhenLagUnknown::Hold), &[], NOW);
        assert!(matches!(verdict, LagVerdict::Refuse(_)), "{verdict:?}");
    }

    #[test]
    fn a_metric_that_froze_at_zero_when_the_primary_died_is_not_believed() {
        let verdict = judge_lag(&name(), &outage(None), &gate(WhenLagUnknown::Hold), &[], NOW);
        assert!(matches!(verdict, LagVerdict::Refuse(_)), "{verdict:?}");
    }

    #[test]
    fn a_fresh_measurement_counts_while_the_primary_is_seen() {
        let known = LagKnowledge { measured: Some((Duration::from_secs(60), seconds_ago(60))), ..LagKnowledge::default() };
        assert!(matches!(judge_lag(&name(), &known, &gate(WhenLagUnknown::Hold), &[], NOW), LagVerdict::Go { basis: LagBasis::Measured, accepted: None, .. }));
        let stale = LagKnowledge { measured: Some((Duration::ZERO, seconds_ago(181))), ..LagKnowledge::default() };
        assert!(matches!(judge_lag(&name(), &stale, &gate(WhenLagUnknown::Hold), &[], NOW), LagVerdict::Refuse(_)));
    }

    #[test]
    fn the_last_sample_before_the_outage_counts_only_within_what_was_accepted() {
        let judged = |sample| judge_lag(&name(), &outage(sample), &gate(last_known()), &[], NOW);
        assert!(matches!(judged(Some((2, 250))), LagVerdict::Go { basis: LagBasis::LastKnown, accepted: Some((_, true)), .. }));
        assert!(matches!(judged(Some((301, 250))), LagVerdict::Refuse(_)), "more lag than accepted");
        assert!(matches!(judged(Some((2, 301))), LagVerdict::Refuse(_)), "sampled too long before the outage");
        assert!(matches!(judged(None), LagVerdict::Refuse(_)), "no sample");
    }

    #[test]
    fn a_fenced_primary_lets_the_replica_catch_up_instead_of_losing_the_rest() {
        let known =
            LagKnowledge { measured: Some((Duration::from_secs(90), seconds_ago(10))), fenced: true, outage_since: Some(seconds_ago(300)), last_known: None };
        assert_eq!(judge_lag(&name(), &known, &gate(WhenLagUnknown::Hold), &[], NOW), LagVerdict::Drain { lag: Duration::from_secs(90) });
    }

    #[test]
    fn a_person_may_accept_what_a_fenced_primarys_replica_is_still_behind() {
        let known =
            LagKnowledge { measured: Some((Duration::from_secs(90), seconds_ago(10))), fenced: true, outage_since: Some(seconds_ago(300)), last_known: None };
        let accepted = [Override::Lag { database: "portal-db".into(), up_to: None, by: "Ada".into(), reason: "it is stuck".into() }];
        let verdict = judge_lag(&name(), &known, &gate(WhenLagUnknown::Hold), &accepted, NOW);
        assert!(matches!(verdict, LagVerdict::Go { basis: LagBasis::Measured, accepted: Some((_, false)), .. }), "{verdict:?}");
    }

    #[test]
    fn the_metrics_own_points_from_before_the_outage_count_where_the_probe_has_none() {
        let point = |seconds, milli| Datapoint { at: seconds_ago(seconds), milli };
        let known =
            LagKnowledge::gather(&name(), &[point(310, 1_500), point(250, 2_000), point(190, 0)], &SampledLags::default(), Some(seconds_ago(240)), false);
        assert_eq!(known.last_known, Some((Duration::from_millis(2_000), seconds_ago(250))), "not the zero from after it");
    }

    #[test]
    fn of_the_probes_samples_the_last_before_the_outage_counts_for_each_replica() {
        let sample = |seconds, lags: &[(&str, u64)]| Sample {
            at: seconds_ago(seconds),
            vantage: "us-west-2".parse().unwrap(),
            source: "lag".into(),
            reading: Reading::Lags { lags: lags.iter().map(|(name, lag)| ((*name).into(), Duration::from_secs(*lag))).collect() },
        };
        let samples =
            vec![sample(310, &[("portal-db", 1), ("other-db", 2)]), sample(250, &[("portal-db", 3)]), sample(190, &[("portal-db", 0), ("other-db", 0)])];
        let last = SampledLags::last(samples, Some(seconds_ago(240)));
        let known = |name: &str| LagKnowledge::gather(&name.parse().unwrap(), &[], &last, Some(seconds_ago(240)), false).last_known;
        assert_eq!(known("portal-db"), Some((Duration::from_secs(3), seconds_ago(250))));
        assert_eq!(known("other-db"), Some((Duration::from_secs(2), seconds_ago(310))));
        assert_eq!(known("third-db"), None);
    }

    #[test]
    fn a_persons_override_covers_no_more_than_it_names() {
        let accept = |database: &str, up_to: Option<u64>| {
            [Override::Lag { database: database.into(), up_to: up_to.map(Duration::from_secs), by: "Ada".into(), reason: "customers wait".into() }]
        };
        let judged = |overrides: &[Override]| judge_lag(&name(), &outage(Some((400, 250))), &gate(WhenLagUnknown::Hold), overrides, NOW);
        assert!(matches!(judged(&accept("portal-db", Some(400))), LagVerdict::Go { accepted: Some((_, false)), .. }));
        assert!(matches!(judged(&accept("portal-db", None)), LagVerdict::Go { .. }));
        assert!(matches!(judged(&accept("portal-db", Some(399))), LagVerdict::Refuse(_)));
        assert!(matches!(judged(&accept("other-db", None)), LagVerdict::Refuse(_)));
    }
}
