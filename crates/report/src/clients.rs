//! What simulated clients saw: the truth of a rehearsal, which no probe on AWS can know.

use muster_core::{Duration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema::{DurationText, TimestampText};

/// A rate of one, in parts per million.
pub const ALL: u32 = 1_000_000;

/// Clients are served again when at least so many of a million requests succeed, and it stays so: 99.9 %.
pub const RESTORED_PPM: u32 = 999_000;

/// What the clients of a rehearsal saw, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Clients {
    /// When the incident began; the run's opening where nothing was broken.
    #[schemars(with = "TimestampText")]
    pub incident_at: Timestamp,
    /// The share of requests that succeed, over time: segments in order, without gaps.
    pub curve: Vec<CurveSegment>,
    /// What happened to each component of the plan.
    pub components: Vec<ComponentTruth>,
    /// AWS's own work, exactly.
    pub busy: Vec<Busy>,
    /// The seed that decides every duration.
    pub seed: u64,
    /// The faults that were put in, in words.
    pub faults: Vec<String>,
}

/// A stretch of time in which the success rate changes linearly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CurveSegment {
    /// Its beginning.
    #[schemars(with = "TimestampText")]
    pub from: Timestamp,
    /// Its end.
    #[schemars(with = "TimestampText")]
    pub until: Timestamp,
    /// Successes in a million requests at its beginning.
    pub success_ppm_start: u32,
    /// Successes in a million requests at its end.
    pub success_ppm_end: u32,
}

/// What happened to a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ComponentTruth {
    /// Its name in the plan, such as `portal-db`.
    pub component: String,
    /// When it stopped serving; absent when it never did.
    #[schemars(with = "Option<TimestampText>")]
    pub unavailable_from: Option<Timestamp>,
    /// When it served again, for good; absent when it never did.
    #[schemars(with = "Option<TimestampText>")]
    pub available_at: Option<Timestamp>,
    /// How far before the incident the last lost write was confirmed at the earliest; absent where it keeps no data.
    #[schemars(with = "Option<DurationText>")]
    pub rpo: Option<Duration>,
    /// Writes that clients had confirmed.
    pub writes_confirmed: u64,
    /// Confirmed writes that the new primary does not have.
    pub writes_lost: u64,
}

/// AWS at work on a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Busy {
    /// The component in the plan.
    pub component: String,
    /// What AWS was doing.
    pub what: String,
    /// From when.
    #[schemars(with = "TimestampText")]
    pub from: Timestamp,
    /// Until when.
    #[schemars(with = "TimestampText")]
    pub until: Timestamp,
}

impl CurveSegment {
    /// The first instant from which the rate stays at or above `wanted` until the segment's end; absent where it ends below.
    fn reaches(&self, wanted: u32) -> Option<Timestamp> {
        if self.success_ppm_end < wanted {
            return None;
        }
        if self.success_ppm_start >= wanted {
            return Some(self.from);
        }
        let rise = u64::from(self.success_ppm_end - self.success_ppm_start);
        let missing = u64::from(wanted - self.success_ppm_start);
        let into = (u128::from(self.until.since(self.from).as_millis()) * u128::from(missing)).div_ceil(u128::from(rise));
        Some(self.from.after(Duration::from_millis(u64::try_from(into).unwrap_or(u64::MAX))))
    }
}

impl Clients {
    /// When clients stopped being served: the first instant from the incident on at which more than one request in a thousand fails.
    pub fn failing_from(&self) -> Option<Timestamp> {
        let segments = self.curve.iter().filter(|segment| segment.until > self.incident_at);
        segments
            .filter(|segment| segment.success_ppm_start.min(segment.success_ppm_end) < RESTORED_PPM)
            .map(|segment| segment.from.max(self.incident_at))
            .next()
    }

    /// When clients were served again, for good; absent when they never were.
    pub fn restored_at(&self) -> Option<Timestamp> {
        let mut restored = None;
        for segment in self.curve.iter().rev().take_while(|segment| segment.until > self.incident_at) {
            let Some(reached) = segment.reaches(RESTORED_PPM) else { break };
            restored = Some(reached);
            if reached > segment.from {
                break;
            }
        }
        restored.map(|at| at.max(self.incident_at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INCIDENT: i64 = 1_000_000;

    fn clients(curve: &[(i64, i64, u32, u32)]) -> Clients {
        let at = |offset| Timestamp::from_millis(INCIDENT + offset);
        let segment =
            |&(from, until, success_ppm_start, success_ppm_end): &_| CurveSegment { from: at(from), until: at(until), success_ppm_start, success_ppm_end };
        Clients { incident_at: at(0), curve: curve.iter().map(segment).collect(), components: vec![], busy: vec![], seed: 0, faults: vec![] }
    }

    #[test]
    fn clients_are_served_again_when_the_rate_is_up_for_good() {
        for (curve, expected, why) in [
            (&[(-9, 0, ALL, ALL), (0, 100, 0, 0), (100, 200, ALL, ALL)][..], Some(100), "a step"),
            (&[(0, 100, 0, 0), (100, 1_100, 0, ALL), (1_100, 1_200, ALL, ALL)], Some(1_099), "a ramp reaches 99.9 % a little before its end"),
            (&[(0, 100, 0, 0), (100, 200, ALL, ALL), (200, 300, 500_000, 500_000), (300, 400, ALL, ALL)], Some(300), "a relapse starts it again"),
            (&[(0, 100, 0, 0), (100, 200, 0, 998_999)], None, "never quite up"),
            (&[(0, 100, 0, 0)], None, "never up"),
            (&[(-100, 100, ALL, ALL)], Some(0), "never down"),
        ] {
            assert_eq!(clients(curve).restored_at().map(|at| at.as_millis() - INCIDENT), expected, "{why}");
        }
    }

    #[test]
    fn clients_that_lose_one_request_in_a_thousand_notice_nothing() {
        assert_eq!(clients(&[(-100, 100, RESTORED_PPM, RESTORED_PPM)]).failing_from(), None);
        assert_eq!(clients(&[(-100, 50, ALL, ALL), (50, 100, 0, 0)]).failing_from().map(Timestamp::as_millis), Some(INCIDENT + 50));
        assert_eq!(clients(&[(-100, 100, 0, 0)]).failing_from().map(Timestamp::as_millis), Some(INCIDENT));
    }
}
