//! One look at each part of a plan, in as many invocations as it takes: a plan may have more parts than one has time for.
//!
//! What came of each part is kept in a note of the run while a round is under way. A round that one invocation has time for is kept nowhere: the
//! next one looks at everything anew.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::ports::Notes;
use muster_core::{ActionError, CallError, Clock, Context, Duration, Progress, Timestamp};
use muster_plan::Plan;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::batch::Batch;
use crate::notes;

/// So long into an invocation nothing more is begun. A call takes three seconds more at most, and the notes are written after it: far from a
/// function's end.
pub(crate) const LONG_ENOUGH: Duration = Duration::from_secs(20);

/// Whether the invocation has spent its time.
pub(crate) fn is_over(world: &impl Clock, cx: &Context<'_, Plan>) -> bool {
    world.now().since(cx.now) >= LONG_ENOUGH
}

/// A round under way.
pub(crate) struct Round<T> {
    note: String,
    kept: Kept<T>,
    /// An earlier invocation had no time for all parts.
    goes_on: bool,
}

/// What is known of the parts: an attempt of the phase that begins anew knows nothing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kept<T> {
    since: Timestamp,
    known: BTreeMap<String, T>,
    /// Those that had their turn in this round.
    seen: BTreeSet<String>,
}

impl<T: Serialize + DeserializeOwned> Round<T> {
    /// The round that earlier invocations of this phase have begun, or a new one.
    pub(crate) async fn resume(world: &impl Notes, cx: &Context<'_, Plan>, what: &str) -> Result<Self, ActionError> {
        let note = format!("round/{}/{what}", cx.phase);
        let known: Option<Kept<T>> = if cx.elapsed().is_zero() { None } else { notes::read(world, &cx.run.id.0, &note).await? };
        let known = known.filter(|known| known.since == cx.since);
        let goes_on = known.is_some();
        let kept = known.unwrap_or_else(|| Kept { since: cx.since, known: BTreeMap::new(), seen: BTreeSet::new() });
        Ok(Round { note, kept, goes_on })
    }

    /// Whether the part is to be looked at now.
    pub(crate) fn has_turn(&self, part: &str) -> bool {
        !self.kept.seen.contains(part)
    }

    /// What came of the part when it was last looked at.
    pub(crate) fn known(&self, part: &str) -> Option<&T> {
        self.kept.known.get(part)
    }

    /// What came of the part now.
    pub(crate) fn put(&mut self, part: impl Into<String>, came_of_it: T) {
        let part = part.into();
        self.kept.seen.insert(part.clone());
        self.kept.known.insert(part, came_of_it);
    }

    /// Everything that is known, part by part.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.kept.known.values()
    }

    /// Keeps what is known, if there is more to look at than this invocation has time for. When every part has had its turn, those begin the next round
    /// that are not `settled`.
    ///
    /// Whether every part has had its turn.
    pub(crate) async fn keep(&mut self, world: &impl Notes, cx: &Context<'_, Plan>, parts: usize, settled: impl Fn(&T) -> bool) -> Result<bool, CallError> {
        let is_complete = self.kept.seen.len() >= parts;
        if is_complete {
            let known = &self.kept.known;
            self.kept.seen.retain(|part| known.get(part).is_some_and(&settled));
        }
        if !is_complete || self.goes_on {
            self.store(world, cx).await?;
        }
        Ok(is_complete)
    }

    /// Keeps what is known in any case: what follows from it needs another invocation.
    pub(crate) async fn store(&self, world: &impl Notes, cx: &Context<'_, Plan>) -> Result<(), CallError> {
        world.note(&cx.run.id.0, &self.note, &json!(self.kept)).await
    }

    /// What to answer while some parts have their turn still to come.
    pub(crate) fn go_on(&self, parts: usize) -> Progress {
        Progress::pending(format!("{} of {parts} parts were looked at", self.kept.seen.len()), Duration::from_secs(1))
    }
}

impl Round<Batch> {
    /// What became of all parts together.
    pub(crate) fn together(&self) -> Batch {
        let mut together = Batch::default();
        self.kept.known.values().for_each(|batch| together.join(batch.clone()));
        together
    }
}
