//! Where the time went, from the incident to the restoration (to the run's close, where there was none).
//!
//! Every instant of that span belongs to exactly one of five parts, so the parts always add up to it:
//!
//! 1. **Detection**: until the outage was first confirmed (found to be none; the run was opened by a person without either).
//! 2. **Decision**: a question waited for a person and nothing else of the critical path was going on.
//! 3. **AWS**: AWS was at work for the phase that the restoration hung on: what the phase awaited, from asking until it was first seen
//!    finished, or to the phase's end where it never was (in a rehearsal it is AWS's own work, exactly); and its calls, while they were on
//!    their way.
//! 4. **DNS**: from asking traffic to move until the restoration.
//! 5. **Overhead**: all the rest, so Muster's own: polls that came late, transitions, functions that start, its own tables.
//!
//! The **critical path** is walked backwards from the end: the phase that was active there, then each time the phase that had ended
//! last when the one after it began. Phases of a parallel branch that ended earlier cost nothing, and are not on it.

use std::collections::BTreeSet;

use muster_core::{Duration, Timestamp};

use crate::clients::Busy;
use crate::record::{Breakdown, Decision, InFlight, Phase, Wait};

/// What the breakdown is made from.
pub(crate) struct Span<'a> {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) restored: bool,
    pub(crate) detected_at: Timestamp,
    pub(crate) traffic_moved_at: Option<Timestamp>,
    pub(crate) phases: &'a [Phase],
    pub(crate) decisions: &'a [Decision],
    pub(crate) awaited: &'a [Wait],
    pub(crate) in_flight: &'a [InFlight],
    /// AWS's own work, where it is known exactly.
    pub(crate) busy: Option<&'a [Busy]>,
}

/// Actions that work beside the flow: it never waits for them.
const BESIDE: [&str; 2] = ["notify", "fence-returned"];

/// A phase's part of the critical path.
struct Stretch<'a> {
    phase: &'a Phase,
    from: Timestamp,
    until: Timestamp,
    /// When AWS worked for it, without overlaps.
    aws: Vec<(Timestamp, Timestamp)>,
}

enum Part {
    Detection,
    Decision,
    Aws,
    Dns,
    Overhead,
}

/// Divides the span.
pub(crate) fn divide(span: &Span<'_>) -> Breakdown {
    let until = span.until.max(span.from);
    let path = critical_path(span, until);
    let mut edges = vec![span.from, until, span.detected_at];
    edges.extend(span.traffic_moved_at);
    edges.extend(span.decisions.iter().flat_map(|decision| [decision.asked_at, decision.decided_at]));
    for stretch in &path {
        edges.extend([stretch.from, stretch.until]);
        edges.extend(stretch.aws.iter().flat_map(|(from, until)| [*from, *until]));
    }
    edges.retain(|at| (span.from..=until).contains(at));
    edges.sort_unstable();
    edges.dedup();
    let mut breakdown = Breakdown {
        from: span.from,
        until,
        restored: span.restored,
        detection: Duration::ZERO,
        decision: Duration::ZERO,
        aws: Duration::ZERO,
        dns: Duration::ZERO,
        overhead: Duration::ZERO,
        exact: span.busy.is_some(),
        critical_path: path.iter().map(|stretch| stretch.phase.name.clone()).collect(),
    };
    for pair in edges.windows(2) {
        let part = match part_of(span, &path, pair[0]) {
            Part::Detection => &mut breakdown.detection,
            Part::Decision => &mut breakdown.decision,
            Part::Aws => &mut breakdown.aws,
            Part::Dns => &mut breakdown.dns,
            Part::Overhead => &mut breakdown.overhead,
        };
        *part = part.saturating_add(pair[1].since(pair[0]));
    }
    breakdown
}

/// The part that the time from `at` to the next edge belongs to.
fn part_of(span: &Span<'_>, path: &[Stretch<'_>], at: Timestamp) -> Part {
    if at < span.detected_at {
        return Part::Detection;
    }
    let open = |decision: &&Decision| decision.asked_at <= at && at < decision.decided_at;
    let moved = span.traffic_moved_at.is_some_and(|moved| moved <= at);
    let stretch = path.iter().find(|stretch| stretch.from <= at && at < stretch.until);
    if let Some(stretch) = stretch {
        let own = |decision: &Decision| decision.phase == stretch.phase.name || decision.question.starts_with(&stretch.phase.name);
        if span.decisions.iter().filter(open).any(own) {
            return Part::Decision;
        }
        let worked = stretch.aws[..stretch.aws.partition_point(|(from, _)| *from <= at)].last().is_some_and(|(_, until)| at < *until);
        if !moved && worked {
            return Part::Aws;
        }
    }
    if span.decisions.iter().any(|decision| open(&decision)) {
        return Part::Decision;
    }
    if moved { Part::Dns } else { Part::Overhead }
}

/// The phases that the end hung on, first to last.
fn critical_path<'a>(span: &Span<'a>, until: Timestamp) -> Vec<Stretch<'a>> {
    let start = span.from.max(span.detected_at);
    let mut path: Vec<Stretch<'a>> = Vec::new();
    let mut end = until;
    while end > start {
        let earlier = span.phases.iter().filter(|phase| phase.from < end && !BESIDE.contains(&phase.action.as_str()));
        let next = if path.is_empty() {
            earlier.max_by_key(|phase| (phase.until.min(end), phase.from))
        } else {
            earlier.filter(|phase| phase.until <= end).max_by_key(|phase| (phase.until, phase.from))
        };
        let Some(phase) = next.filter(|phase| phase.until > start) else { break };
        path.push(Stretch { phase, from: phase.from.max(start), until: phase.until.min(end), aws: aws_at_work(span, phase) });
        end = phase.from;
    }
    path.reverse();
    path
}

/// When AWS worked for a phase.
fn aws_at_work(span: &Span<'_>, phase: &Phase) -> Vec<(Timestamp, Timestamp)> {
    let waits = || span.awaited.iter().filter(|wait| wait.phase == phase.name);
    let calls = span.in_flight.iter().filter(|call| *call.phase == *phase.name).map(|call| (call.from, call.until));
    let mut at_work: Vec<(Timestamp, Timestamp)> = match span.busy {
        // Work that nobody awaited in this phase was not what it hung on; a phase that awaited nothing (a health check, a promotion that
        // hangs) may hang on any.
        Some(busy) => {
            let any = waits().all(|wait| !wait.finished);
            let awaited: BTreeSet<&str> = waits().map(|wait| wait.component.as_str()).collect();
            busy.iter().filter(|work| any || awaited.contains(work.component.as_str())).map(|work| (work.from, work.until)).collect()
        }
        None => waits().map(|wait| (wait.from, wait.until)).collect(),
    };
    at_work.extend(calls);
    united(at_work)
}

/// The same time without overlaps, in order.
fn united(mut spans: Vec<(Timestamp, Timestamp)>) -> Vec<(Timestamp, Timestamp)> {
    spans.retain(|(from, until)| from < until);
    spans.sort_unstable();
    let mut united: Vec<(Timestamp, Timestamp)> = Vec::with_capacity(spans.len());
    for (from, until) in spans {
        match united.last_mut().filter(|last| from <= last.1) {
            Some(last) => last.1 = last.1.max(until),
            None => united.push((from, until)),
        }
    }
    united
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn phase(name: usize, (from, length): (i64, i64)) -> Phase {
        Phase {
            name: format!("Phase{name}"),
            action: String::new(),
            from: at(from),
            until: at(from + length),
            invocations: 1,
            calls: 0,
            outcome: "done".to_owned(),
            detail: String::new(),
            held: 0,
            critical: false,
        }
    }

    fn wait(phase: usize, (from, length): (i64, i64)) -> Wait {
        Wait { phase: format!("Phase{phase}"), component: "db".into(), what: String::new(), from: at(from), until: at(from + length), finished: true }
    }

    fn decision(question: usize, (from, length): (i64, i64)) -> Decision {
        Decision {
            question: format!("Phase{question}-1"),
            choice: "retry".into(),
            by: "somebody".into(),
            reason: String::new(),
            asked_at: at(from),
            decided_at: at(from + length),
            heard_by: vec![],
            phase: "Hold".into(),
        }
    }

    fn span() -> impl Strategy<Value = (i64, i64)> {
        (-50..1_000i64, 0..400i64)
    }

    proptest! {
        #[test]
        fn the_five_parts_always_add_up_to_the_time_between_incident_and_end(
            from in 0..500i64, length in -10..900i64, detected in -20..1_200i64, moved in proptest::option::of(0..1_200i64),
            phases in proptest::collection::vec(span(), 0..8), waits in proptest::collection::vec(span(), 0..8),
            decisions in proptest::collection::vec(span(), 0..4), busy in proptest::option::of(proptest::collection::vec(span(), 0..5)),
        ) {
            let phases: Vec<Phase> = phases.into_iter().enumerate().map(|(index, span)| phase(index, span)).collect();
            let awaited: Vec<Wait> = waits.into_iter().enumerate().map(|(index, span)| wait(index, span)).collect();
            let decisions: Vec<Decision> = decisions.into_iter().enumerate().map(|(index, span)| decision(index, span)).collect();
            let busy: Option<Vec<Busy>> = busy.map(|busy| {
                busy.into_iter().map(|(from, length)| Busy { component: "db".into(), what: String::new(), from: at(from), until: at(from + length) }).collect()
            });
            let breakdown = divide(&Span {
                from: at(from), until: at(from + length), restored: true, detected_at: at(detected), traffic_moved_at: moved.map(at),
                phases: &phases, decisions: &decisions, awaited: &awaited, in_flight: &[], busy: busy.as_deref(),
            });
            let sum: u64 = breakdown.parts().iter().map(|(_, part)| part.as_millis()).sum();
            prop_assert_eq!(sum, length.max(0) as u64);
            prop_assert_eq!(breakdown.total().as_millis(), sum);
        }
    }

    fn parts(phases: &[Phase], awaited: &[Wait], decisions: &[Decision], busy: Option<&[Busy]>, moved: Option<i64>) -> [u64; 5] {
        let span = Span {
            from: at(0),
            until: at(1_000),
            restored: true,
            detected_at: at(100),
            traffic_moved_at: moved.map(at),
            phases,
            decisions,
            awaited,
            in_flight: &[],
            busy,
        };
        divide(&span).parts().map(|(_, part)| part.as_millis())
    }

    #[test]
    fn each_instant_goes_to_the_part_that_held_the_restoration_up() {
        let long = [phase(0, (100, 900))];
        let busy = |from, until| [Busy { component: "db".into(), what: String::new(), from: at(from), until: at(until) }];
        for (found, expected, why) in [
            (parts(&[], &[], &[], None, None), [100, 0, 0, 0, 900], "nothing is known: Muster's own"),
            (parts(&long, &[wait(0, (200, 500))], &[], None, None), [100, 0, 500, 0, 400], "what the phase awaited is AWS's"),
            (parts(&long, &[wait(7, (200, 500))], &[], None, None), [100, 0, 0, 0, 900], "what another phase awaited is not"),
            (parts(&long, &[wait(0, (200, 500))], &[], Some(&busy(200, 690)), None), [100, 0, 490, 0, 410], "a late poll is overhead once AWS's end is known"),
            (parts(&long, &[wait(0, (200, 500))], &[], None, Some(600)), [100, 0, 400, 400, 100], "after traffic moved, it is DNS"),
            (parts(&long, &[], &[decision(0, (200, 300))], None, None), [100, 300, 0, 0, 600], "the phase waited for a person"),
            (
                parts(&long, &[wait(0, (200, 300))], &[decision(7, (200, 400))], None, None),
                [100, 100, 300, 0, 500],
                "beside AWS's work a decision of another branch costs its rest",
            ),
            (parts(&long, &[], &[decision(0, (700, 200))], None, Some(600)), [100, 200, 0, 200, 500], "a hold after traffic moved is a decision"),
        ] {
            assert_eq!(found, expected, "{why}");
        }
    }

    /// A second in which nothing is known but the phases.
    fn of_phases(phases: &[Phase]) -> Span<'_> {
        Span {
            from: at(0),
            until: at(1_000),
            restored: true,
            detected_at: at(100),
            traffic_moved_at: None,
            phases,
            decisions: &[],
            awaited: &[],
            in_flight: &[],
            busy: None,
        }
    }

    #[test]
    fn a_call_on_its_way_is_awss_and_not_another_phases() {
        let phases = [phase(0, (100, 900))];
        let call = |phase: &str, from, until| InFlight { phase: phase.into(), from: at(from), until: at(until) };
        let in_flight = [call("Phase0", 200, 260), call("Phase7", 300, 400)];
        assert_eq!(divide(&Span { in_flight: &in_flight, ..of_phases(&phases) }).parts().map(|(_, part)| part.as_millis()), [100, 0, 60, 0, 840]);
    }

    #[test]
    fn a_branch_that_ended_earlier_is_not_on_the_critical_path() {
        let phases = [phase(0, (100, 100)), phase(1, (200, 700)), phase(2, (200, 300)), phase(3, (901, 99))];
        assert_eq!(divide(&of_phases(&phases)).critical_path, ["Phase0", "Phase1", "Phase3"]);
    }
}
