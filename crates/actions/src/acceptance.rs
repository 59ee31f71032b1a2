//! Risks that people accepted: in the plan beforehand, in the run's input, or in an answer to a hold.

use muster_core::ports::{Decisions, Note, Notes};
use muster_core::{ActionError, Override, Run};
use muster_plan::Database;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::notes::{self, Book, OVERRIDES};

/// What stands between a promotion and two writable primaries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Fencing {
    /// The old primary was seen to refuse writes, with nobody connected.
    Proven,
    /// It could not be seen, and a named person accepted that.
    Accepted,
}

/// How the names of those notes begin.
pub(crate) const FENCING: &str = "fencing/";

/// How a database is fenced, from what was read already.
pub(crate) fn fencing(book: &Book, database: &Database) -> Result<Option<Fencing>, ActionError> {
    book.get(&format!("{FENCING}{}", database.name))
}

/// The note of it.
pub(crate) fn fencing_note(run: &Run, database: &Database, fencing: Option<Fencing>) -> Note {
    notes::of_run(run, format!("{FENCING}{}", database.name), json!(fencing))
}

/// Every override of a run: those it was started with, then those that people gave in answers.
pub(crate) async fn accepted_overrides(world: &impl Notes, run: &Run) -> Result<Vec<Override>, ActionError> {
    let mut overrides = run.overrides.clone();
    overrides.extend(notes::read::<Vec<Override>>(world, &run.id.0, OVERRIDES).await?.unwrap_or_default());
    Ok(overrides)
}

/// Keeps the overrides of all answers that the run's questions have got. Called twice, it writes the same.
pub(crate) async fn keep_overrides<W: Notes + Decisions>(world: &W, run: &Run, given: &[Override]) -> Result<(), ActionError> {
    if given.is_empty() {
        return Ok(());
    }
    let mut kept: Vec<Override> = notes::read(world, &run.id.0, OVERRIDES).await?.unwrap_or_default();
    kept.extend(given.iter().filter(|one| !kept.contains(one)).cloned().collect::<Vec<_>>());
    Ok(world.note(&run.id.0, OVERRIDES, &json!(kept)).await?)
}
