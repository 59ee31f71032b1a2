//! Muster's own tables and buckets, in the standby region: what its ports for state read and write.
//!
//! Modelled: conditional writes, strongly consistent reads. Not modelled: item sizes, capacity, replication.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::ports::{Answer, Closing, ExecutionState, KillSwitch, LaneState, Message, OpenRun, Question, Reading, Sample};
use muster_core::{Duration, Entry, Lane, PlanPin, Region, RunId, Timestamp};
use muster_plan::Plan;
use muster_report::Report;
use serde_json::Value;

/// A message that a channel accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// When.
    pub at: Timestamp,
    /// The channel, by its name in the plan.
    pub channel: Arc<str>,
    /// The message.
    pub message: Message,
}

/// How a source looks, by its samples in order.
#[derive(Clone, Copy, Debug)]
struct View {
    newest: Timestamp,
    failing_since: Option<Timestamp>,
}

impl View {
    fn see(&mut self, sample: &Sample) {
        self.failing_since = match sample.reading {
            Reading::Healthy => None,
            Reading::Failing { .. } => Some(self.failing_since.unwrap_or(sample.at)),
            // It proves nothing.
            Reading::Blind { .. } | Reading::Lags { .. } => return,
        };
        self.newest = sample.at;
    }
}

/// A sample's instant, vantage and source.
type SampleKey = (Timestamp, Region, Arc<str>);

/// Everything that Muster remembers.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The kill switch, and when it was set.
    pub kill_switch: Option<(KillSwitch, Timestamp)>,
    /// Lanes, by service.
    pub lanes: BTreeMap<(Arc<str>, Lane), LaneState>,
    /// When a lane's epoch was last raised.
    pub raised_at: BTreeMap<(Arc<str>, Lane), Timestamp>,
    /// Questions, by run and name, in the order in which they were put.
    pub questions: BTreeMap<(RunId, Arc<str>), Question>,
    /// Samples, by what they are kept under: oldest first.
    pub samples: BTreeMap<Arc<str>, BTreeMap<SampleKey, Sample>>,
    /// How each source looks by those of its samples that saw anything.
    views: BTreeMap<Arc<str>, View>,
    /// Notes, by scope and name.
    pub notes: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Arc<Value>>>,
    /// The ledger: entries by run and invocation, in their sequence.
    pub ledger: BTreeMap<RunId, BTreeMap<Arc<str>, Vec<Entry>>>,
    /// The plan in force.
    pub pin: PlanPin,
    /// The plan itself.
    pub plan: Arc<Plan>,
    /// Reports, by run.
    pub reports: BTreeMap<RunId, Report>,
    /// Messages that channels accepted.
    pub delivered: Vec<Delivered>,
    /// Executions, where no engine knows them better.
    pub executions: BTreeMap<Arc<str>, ExecutionState>,
}

impl Memory {
    /// Nothing remembered but the plan in force.
    pub fn new(plan: &Arc<Plan>, sha256: Arc<str>) -> Self {
        Memory {
            kill_switch: None,
            lanes: BTreeMap::new(),
            raised_at: BTreeMap::new(),
            questions: BTreeMap::new(),
            samples: BTreeMap::new(),
            views: BTreeMap::new(),
            notes: BTreeMap::new(),
            ledger: BTreeMap::new(),
            pin: PlanPin { key: format!("plans/{}.json", plan.service).into(), version: "1".into(), sha256 },
            plan: plan.clone(),
            reports: BTreeMap::new(),
            delivered: Vec::new(),
            executions: BTreeMap::new(),
        }
    }

    /// The lane as it is.
    pub fn lane(&self, service: &str, lane: Lane) -> LaneState {
        self.lanes.get(&(Arc::from(service), lane)).cloned().unwrap_or_default()
    }

    /// The epoch of a lane.
    pub fn epoch(&self, service: &Arc<str>, lane: Lane) -> u64 {
        self.lanes.get(&(service.clone(), lane)).map_or(0, |state| state.epoch)
    }

    /// Takes the lock if the epoch is as expected.
    pub fn open_run(&mut self, now: Timestamp, expected_epoch: u64, open: &OpenRun) -> bool {
        let key = (open.run.service.clone(), open.run.lane);
        let state = self.lanes.entry(key.clone()).or_default();
        if state.epoch != expected_epoch {
            return false;
        }
        state.epoch = open.run.epoch;
        state.open = Some(open.clone());
        self.raised_at.insert(key, now);
        true
    }

    /// Releases the lock if the run holds it.
    pub fn close_run(&mut self, service: &str, lane: Lane, closing: &Closing) -> bool {
        let Some(state) = self.lanes.get_mut(&(Arc::from(service), lane)) else { return false };
        if state.open.as_ref().is_none_or(|open| open.run.id != closing.run) {
            return false;
        }
        state.open = None;
        state.last_closed = Some(closing.clone());
        true
    }

    /// When the last run was closed, if nobody but the janitor did.
    pub fn abandoned_at(&self) -> Option<Timestamp> {
        let closed = self.lanes.values().filter_map(|state| state.last_closed.as_ref()).max_by_key(|closed| closed.at)?;
        (&*closed.outcome == "abandoned").then_some(closed.at)
    }

    /// Every locked lane's run.
    pub fn open_runs(&self) -> Vec<OpenRun> {
        self.lanes.values().filter_map(|state| state.open.clone()).collect()
    }

    /// The questions of runs that are open.
    pub fn open_questions(&self) -> impl Iterator<Item = &Question> {
        let is_open = |run: &RunId| self.lanes.values().any(|state| state.open.as_ref().is_some_and(|open| open.run.id == *run));
        self.questions.values().filter(move |question| is_open(&question.run))
    }

    /// Answers a question, if nobody has.
    pub fn answer(&mut self, run: &RunId, name: &str, answer: &Answer) -> Option<Question> {
        let question = self.questions.get_mut(&(run.clone(), Arc::from(name)))?;
        if question.answer.is_none() {
            question.answer = Some(answer.clone());
        }
        Some(question.clone())
    }

    /// Appends entries of one invocation; those that are there already are not doubled.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let chain = self.ledger.entry(first.run.clone()).or_default().entry(first.invocation.clone()).or_default();
        let next = chain.last().map_or(0, |last| last.sequence + 1);
        chain.extend(entries.iter().filter(|entry| entry.sequence >= next).cloned());
    }

    /// How an execution is doing, as far as is known here.
    pub fn execution_state(&self, execution: &str) -> ExecutionState {
        self.executions.get(execution).copied().unwrap_or(ExecutionState::Unknown)
    }

    /// Stores samples, each once.
    pub fn put_samples(&mut self, service: &str, samples: &[Sample]) {
        for sample in samples {
            let kept = self.samples.entry(service.into()).or_default();
            let key = (sample.at, sample.vantage.clone(), sample.source.clone());
            if kept.insert(key, sample.clone()).is_none() {
                self.see(service, sample);
            }
        }
    }

    fn see(&mut self, service: &str, sample: &Sample) {
        match self.views.get_mut(&sample.source) {
            Some(view) if sample.at >= view.newest => view.see(sample),
            // The first, or one that came late: it may stand in the middle of a streak.
            _ => {
                let mut view = View { newest: sample.at, failing_since: None };
                let kept = self.samples.get(service).into_iter().flat_map(BTreeMap::values);
                kept.filter(|known| known.source == sample.source).for_each(|known| view.see(known));
                self.views.insert(sample.source.clone(), view);
            }
        }
    }

    /// The samples since an instant, oldest first.
    pub fn samples_since(&self, service: &str, since: Timestamp) -> Vec<Sample> {
        let recent = |(at, ..): &SampleKey| *at >= since;
        let kept = self.samples.get(service).into_iter().flat_map(|kept| kept.iter().rev().take_while(|(key, _)| recent(key)));
        let mut samples: Vec<Sample> = kept.map(|(_, sample)| sample.clone()).collect();
        samples.reverse();
        samples
    }

    /// Writes a note; `Null` removes it.
    pub fn note(&mut self, scope: &str, name: &str, value: &Value) {
        let notes = self.notes.entry(scope.into()).or_default();
        if value.is_null() {
            notes.remove(name);
        } else {
            notes.insert(name.into(), Arc::new(value.clone()));
        }
    }

    /// The notes of a scope whose names begin so.
    pub fn notes_beginning(&self, scope: &str, beginning: &str) -> BTreeMap<String, Arc<Value>> {
        let Some(notes) = self.notes.get(scope) else { return BTreeMap::new() };
        let from = notes.range::<str, _>((std::ops::Bound::Included(beginning), std::ops::Bound::Unbounded));
        from.take_while(|(name, _)| name.starts_with(beginning)).map(|(name, value)| (name.to_string(), value.clone())).collect()
    }

    /// Since when every sample of a source has failed, if that is at least `span` ago; samples that saw nothing do not count.
    pub fn failing_since(&self, source: &str, span: Duration) -> Option<Timestamp> {
        let view = self.views.get(source)?;
        view.failing_since.filter(|first| view.newest.since(*first) >= span)
    }

    /// A run's entries, by invocation and sequence.
    pub fn read_ledger(&self, run: &RunId) -> Vec<Entry> {
        let Some(chains) = self.ledger.get(run) else { return Vec::new() };
        let mut entries = Vec::with_capacity(chains.values().map(Vec::len).sum());
        chains.values().for_each(|chain| entries.extend_from_slice(chain));
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    /// What [`Memory::failing_since`] means, told by a look at every sample.
    fn by_looking_at_all(memory: &Memory, source: &str, span: Duration) -> Option<Timestamp> {
        let sees = |sample: &&Sample| *sample.source == *source && matches!(sample.reading, Reading::Healthy | Reading::Failing { .. });
        let newest_first = || memory.samples.values().flat_map(BTreeMap::values).rev().filter(sees);
        let newest = newest_first().next()?.at;
        let first = newest_first().take_while(|sample| matches!(sample.reading, Reading::Failing { .. })).last()?.at;
        (newest.since(first) >= span).then_some(first)
    }

    #[test]
    fn since_when_a_source_fails_is_known_in_whatever_order_its_samples_come() {
        let plan = crate::testing::plan();
        let mut known = 0;
        for seed in 0..200 {
            let draw = Draw::new(seed);
            let mut memory = Memory::new(&plan, "".into());
            for ordinal in 0..40 {
                let drawn = |what: &str, bound: u64| draw.below("sample", what, ordinal, bound);
                // Mostly one after the other, and some late.
                let at = Timestamp::from_millis(i64::try_from(ordinal * 60_000 + drawn("late", 4) * 50_000).unwrap());
                let reading = match drawn("reading", 8) {
                    0 => Reading::Healthy,
                    1 => Reading::Blind { why: "no network".into() },
                    2 => Reading::Lags { lags: BTreeMap::new() },
                    _ => Reading::Failing { why: "503".into() },
                };
                let source = if drawn("source", 2) == 0 { "near" } else { "far" };
                memory.put_samples("service", &[Sample { at, vantage: plan.regions.standby.clone(), source: source.into(), reading }]);
                for source in ["near", "far"] {
                    let span = Duration::from_millis(drawn("span", 400_000));
                    let since = memory.failing_since(source, span);
                    assert_eq!(since, by_looking_at_all(&memory, source, span), "{source}, seed {seed}");
                    known += usize::from(since.is_some());
                }
            }
        }
        assert!(known > 1_000, "{known}");
    }
}
