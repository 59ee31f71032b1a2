//! One pass over the ledger: evidence by time, phases, calls.

use std::collections::BTreeMap;

use muster_core::{Body, Call, Duration, Entry, Evidence, Outcome, Timestamp};

/// The ledger, ordered for reading.
pub(crate) struct Scan<'a> {
    /// Facts, by time.
    pub(crate) facts: Vec<Fact<'a>>,
    /// Calls that ended, by time.
    pub(crate) calls: Vec<Made<'a>>,
    /// Intents whose outcome was never written, by time.
    pub(crate) unanswered: Vec<(&'a Entry, &'a Call)>,
    /// Phases, by when they began.
    pub(crate) phases: Vec<PhaseSpan<'a>>,
    /// The positions of the facts about each part of the plan, by its name.
    by_part: BTreeMap<&'a str, Vec<usize>>,
}

/// A fact, and where it is written.
#[derive(Clone, Copy)]
pub(crate) struct Fact<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) evidence: &'a Evidence,
}

/// A call that ended.
#[derive(Clone, Copy)]
pub(crate) struct Made<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) call: &'a Call,
    pub(crate) outcome: &'a Outcome,
}

/// A phase: all invocations of one state.
pub(crate) struct PhaseSpan<'a> {
    pub(crate) name: &'a str,
    pub(crate) action: &'a str,
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    /// When each invocation began.
    pub(crate) looks: Vec<Timestamp>,
    pub(crate) calls: u32,
    pub(crate) held: u32,
    /// The last `Ended`: when, status, detail.
    pub(crate) ended: Option<(Timestamp, &'a str, &'a str)>,
    /// The first successful call that changed the estate.
    pub(crate) first_change: Option<Timestamp>,
}

impl PhaseSpan<'_> {
    /// Whether its last word was `done`.
    pub(crate) fn is_done(&self) -> bool {
        self.ended.is_some_and(|(_, status, _)| status == "done")
    }
}

/// The part of the plan that a fact is about, where it is about one.
fn part_of(evidence: &Evidence) -> Option<&str> {
    match evidence {
        Evidence::Lag { database, .. } | Evidence::Fenced { database, .. } | Evidence::Unfenced { database, .. } => Some(database),
        Evidence::Awaited { component, .. } | Evidence::Checked { component, .. } => Some(component),
        _ => None,
    }
}

impl<'a> Scan<'a> {
    pub(crate) fn of(entries: &'a [Entry]) -> Self {
        let mut scan = Scan { facts: Vec::new(), calls: Vec::new(), unanswered: Vec::new(), phases: Vec::new(), by_part: BTreeMap::new() };
        let mut index: BTreeMap<&str, usize> = BTreeMap::new();
        let mut ordered: Vec<&Entry> = entries.iter().collect();
        ordered.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.invocation.cmp(&b.invocation)).then(a.sequence.cmp(&b.sequence)));
        let mut last = usize::MAX;
        for entry in ordered {
            let same = scan.phases.get(last).is_some_and(|phase| phase.name == &*entry.phase);
            let at = if same {
                last
            } else {
                *index.entry(&entry.phase).or_insert_with(|| {
                    scan.phases.push(PhaseSpan {
                        name: &entry.phase,
                        action: &entry.action,
                        from: entry.at,
                        until: entry.at,
                        looks: Vec::new(),
                        calls: 0,
                        held: 0,
                        ended: None,
                        first_change: None,
                    });
                    scan.phases.len() - 1
                })
            };
            last = at;
            let phase = &mut scan.phases[at];
            phase.until = phase.until.max(entry.at);
            match &entry.body {
                Body::Began => phase.looks.push(entry.at),
                Body::Intent { call } => scan.unanswered.push((entry, call)),
                Body::Called { call, outcome } => {
                    phase.calls += 1;
                    if call.mutates {
                        if outcome.fault.is_none() {
                            phase.first_change.get_or_insert(entry.at);
                        }
                        let intent = scan.unanswered.iter().position(|(asked, intent)| asked.invocation == entry.invocation && *intent == call);
                        intent.map(|at| scan.unanswered.remove(at));
                    }
                    scan.calls.push(Made { entry, call, outcome });
                }
                Body::Saw { evidence } => scan.facts.push(Fact { entry, evidence }),
                Body::Ended { status, detail, .. } => phase.ended = Some((entry.at, status, detail)),
            }
        }
        for fact in &scan.facts {
            if let Evidence::Held { phase, .. } = fact.evidence
                && let Some(at) = index.get(phase.as_str())
            {
                scan.phases[*at].held += 1;
            }
        }
        for (at, fact) in scan.facts.iter().enumerate() {
            if let Some(part) = part_of(fact.evidence) {
                scan.by_part.entry(part).or_default().push(at);
            }
        }
        scan
    }

    /// The facts about a part of the plan, by time: its lag, its fence, what was awaited of it, its checks.
    pub(crate) fn about(&self, part: &str) -> impl DoubleEndedIterator<Item = &Fact<'a>> {
        self.by_part.get(part).into_iter().flatten().map(|at| &self.facts[*at])
    }

    /// How far before `at` the phase had last looked: the precision of what it saw then.
    pub(crate) fn precision(&self, phase: &str, at: Timestamp) -> Option<Duration> {
        let looks = &self.phases.iter().find(|span| span.name == phase)?.looks;
        let before = looks.partition_point(|look| *look <= at);
        Some(at.since(*looks.get(before.checked_sub(2)?)?))
    }

    /// The first fact that `pick` picks.
    pub(crate) fn first<T>(&self, pick: impl Fn(&Fact<'a>) -> Option<T>) -> Option<T> {
        self.facts.iter().find_map(pick)
    }

    /// When traffic was first asked to move.
    pub(crate) fn traffic_moved_at(&self) -> Option<Timestamp> {
        self.first(|fact| matches!(fact.evidence, Evidence::TrafficMoved { .. }).then_some(fact.entry.at))
    }

    /// When the first promotion was asked for that was not certainly left undone.
    pub(crate) fn irreversible_at(&self) -> Option<Timestamp> {
        // What comes next about the same step says whether it was taken back.
        let taken_back = |asked: &str, at: usize| {
            let next = self.facts[at + 1..].iter().find_map(|fact| match fact.evidence {
                Evidence::Irreversible { step } if step == asked => Some(false),
                Evidence::NotApplied { step, .. } if step == asked => Some(true),
                _ => None,
            });
            next.unwrap_or(false)
        };
        self.facts.iter().enumerate().find_map(|(at, fact)| match fact.evidence {
            Evidence::Irreversible { step } if !taken_back(step, at) => Some(fact.entry.at),
            _ => None,
        })
    }
}
