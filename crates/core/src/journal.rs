//! What one invocation writes down: its hash chain, and whether mutating calls may begin.

use std::cell::RefCell;
use std::sync::Arc;

use crate::chain::Chain;
use crate::ledger::{Body, Call, Entry, Evidence, Hash, Outcome};
use crate::ports::{Control, Ledger};
use crate::{CallError, CallFault, Clock, Duration, Run, Timestamp};

/// How long a look at kill switch and epoch is good for. A mutating call later than this looks again first.
pub const PERMIT: Duration = Duration::from_secs(1);

/// The journal of one invocation. Adapters write calls into it, actions write evidence.
#[derive(Debug, Default)]
pub struct Journal(RefCell<Pages>);

#[derive(Debug, Default)]
struct Pages {
    run: Option<Arc<Run>>,
    invocation: Arc<str>,
    action: Arc<str>,
    phase: Arc<str>,
    sequence: u32,
    chain: Chain,
    /// Not in the ledger yet. Which of them are in the chain is counted by `linked`.
    unsaved: Vec<Entry>,
    linked: usize,
    permitted_at: Option<Timestamp>,
}

impl Pages {
    /// Brings the chain up to the last entry. An entry is hashed only when its head is wanted: many are forgotten before.
    fn link(&mut self) {
        for entry in &self.unsaved[self.linked..] {
            self.chain.link(entry);
        }
        self.linked = self.unsaved.len();
    }

    fn take(&mut self) -> Vec<Entry> {
        self.link();
        self.linked = 0;
        std::mem::take(&mut self.unsaved)
    }

    /// What could not be saved comes before what was written since.
    fn put_back(&mut self, entries: Vec<Entry>) {
        self.linked += entries.len();
        let later = std::mem::replace(&mut self.unsaved, entries);
        self.unsaved.extend(later);
    }
}

/// A world that keeps a journal.
pub trait Journaled {
    /// The journal of the present invocation.
    fn journal(&self) -> &Journal;
}

impl Journal {
    /// Starts the journal of an invocation; whatever an earlier one left is dropped.
    pub fn begin(&self, invocation: impl Into<Arc<str>>, action: impl Into<Arc<str>>, phase: impl Into<Arc<str>>) {
        *self.0.borrow_mut() = Pages { invocation: invocation.into(), action: action.into(), phase: phase.into(), ..Pages::default() };
    }

    /// From here on, entries belong to `run`. What was done before, outside any run, is not written down: it has no
    /// ledger to go to.
    pub fn belongs_to(&self, now: Timestamp, run: &Run) {
        self.is_of(now, Arc::new(run.clone()));
    }

    /// The invocation turns to another run, such as the next of those whose remains it removes. The ledger of each is whole: what was written of the one
    /// before ends here, and the other's chain begins anew, with a permit of its own. Of the same run, nothing changes.
    pub fn turn_to(&self, now: Timestamp, run: &Run) {
        let before = self.run();
        if before.as_ref().is_some_and(|before| before.id == run.id && before.epoch == run.epoch) {
            return;
        }
        if before.is_some() {
            let chain = self.head().unwrap_or(Hash::ZERO);
            self.write(now, Body::Ended { status: "done".to_owned(), detail: "the invocation went on with another run".to_owned(), chain });
        }
        let mut pages = self.0.borrow_mut();
        pages.link();
        pages.chain.restart();
        pages.sequence = 0;
        pages.permitted_at = None;
        drop(pages);
        self.belongs_to(now, run);
    }

    /// The same, of a run that whoever invokes holds too.
    pub(crate) fn is_of(&self, now: Timestamp, run: Arc<Run>) {
        self.0.borrow_mut().run = Some(run);
        self.write(now, Body::Began);
    }

    /// Writes down a fact.
    pub fn saw(&self, now: Timestamp, evidence: Evidence) {
        self.write(now, Body::Saw { evidence });
    }

    /// Writes down a call that was made.
    pub fn called(&self, now: Timestamp, call: Call, outcome: Outcome) {
        self.write(now, Body::Called { call, outcome });
    }

    /// Writes an entry, if the invocation belongs to a run.
    pub fn write(&self, now: Timestamp, body: Body) {
        let mut pages = self.0.borrow_mut();
        let Some(run) = &pages.run else { return };
        let entry = Entry {
            run: run.id.clone(),
            epoch: run.epoch,
            invocation: pages.invocation.clone(),
            action: pages.action.clone(),
            phase: pages.phase.clone(),
            sequence: pages.sequence,
            at: now,
            body,
        };
        pages.sequence += 1;
        pages.unsaved.push(entry);
    }

    /// The head of this invocation's chain.
    pub fn head(&self) -> Option<Hash> {
        let mut pages = self.0.borrow_mut();
        pages.link();
        pages.chain.head()
    }

    /// Whether anything was written.
    pub fn has_begun(&self) -> bool {
        self.0.borrow().sequence > 0
    }

    /// The run that this invocation belongs to.
    pub fn run(&self) -> Option<Arc<Run>> {
        self.0.borrow().run.clone()
    }

    /// Marks that kill switch and epoch were read and allow mutating calls.
    pub fn permit(&self, now: Timestamp) {
        self.0.borrow_mut().permitted_at = Some(now);
    }

    fn is_permitted(&self, now: Timestamp) -> bool {
        self.0.borrow().permitted_at.is_some_and(|at| now.since(at) <= PERMIT)
    }

    /// Drops what is unsaved, if this invocation only looked: nothing was saved before, no call mutates, nothing was seen
    /// that is worth a line. For bookkeeping that is asked every few seconds and finds nothing to do. Whether it was so.
    pub(crate) fn forget_a_mere_look(&self) -> bool {
        let mut pages = self.0.borrow_mut();
        let merely_looked = |entry: &Entry| match &entry.body {
            Body::Began | Body::Ended { .. } => true,
            Body::Called { call, .. } => !call.mutates,
            Body::Intent { .. } | Body::Saw { .. } => false,
        };
        let forgets = pages.sequence as usize == pages.unsaved.len() && pages.unsaved.iter().all(merely_looked);
        if forgets {
            pages.unsaved.clear();
        }
        forgets
    }

    /// Saves what is unsaved. A ledger that cannot be written never blocks recovery: the entries stay for the next
    /// attempt, and the caller logs the error.
    pub async fn save<W: Ledger>(&self, world: &W) -> Result<(), CallError> {
        let entries = self.0.borrow_mut().take();
        if entries.is_empty() {
            return Ok(());
        }
        let saved = world.append(&entries).await;
        if saved.is_err() {
            self.0.borrow_mut().put_back(entries);
        }
        saved
    }

    /// What could not be saved: for the log.
    pub fn unsaved(&self) -> Vec<Entry> {
        self.0.borrow().unsaved.clone()
    }
}

/// Lets a mutating call begin, or says why not. Every adapter asks this first.
///
/// Reads kill switch and epoch unless that was done within [`PERMIT`], and fails closed: what cannot be read does not
/// permit. Then writes the intent to the ledger, which does not block. Asking twice is harmless.
pub async fn admit<W: Clock + Control + Ledger + Journaled>(world: &W, call: &Call) -> Result<(), CallError> {
    let halted = |message: String| CallError { operation: call.operation.to_string(), resource: call.resource.to_string(), fault: CallFault::Halted, message };
    let journal = world.journal();
    let Some(run) = journal.run() else { return Err(halted("no run is open for this invocation".into())) };
    let denied = |denial| match denial {
        // The call has not begun: whatever became of the look at the switches, nothing was applied.
        Denial::Unreadable(error) => CallError { fault: CallFault::Throttled, ..halted(format!("kill switch and epoch cannot be read: {error}")) },
        Denial::Halted(message) => halted(message),
    };
    look_again_if_old(world, &run).await.map_err(denied)?;
    journal.write(world.now(), Body::Intent { call: call.clone() });
    // A ledger that cannot be written never blocks recovery; but what it took to try counts against the permit.
    let _ = journal.save(world).await;
    look_again_if_old(world, &run).await.map_err(denied)
}

async fn look_again_if_old<W: Clock + Control + Journaled>(world: &W, run: &Run) -> Result<(), Denial> {
    if world.journal().is_permitted(world.now()) { Ok(()) } else { permit(world, run).await }
}

/// Why a run may not mutate.
#[derive(Debug)]
pub(crate) enum Denial {
    Unreadable(CallError),
    Halted(String),
}

/// Reads kill switch and epoch, and permits mutating calls for [`PERMIT`].
pub(crate) async fn permit<W: Clock + Control + Journaled>(world: &W, run: &Run) -> Result<(), Denial> {
    let control = world.read_control(&run.service, run.lane).await.map_err(Denial::Unreadable)?;
    if let Some(switch) = control.kill_switch {
        return Err(Denial::Halted(format!("the kill switch is set by {}: {}", switch.by, switch.reason)));
    }
    if control.epoch != run.epoch {
        return Err(Denial::Halted(format!("this run has epoch {}, and the service is at epoch {}: another run has taken over", run.epoch, control.epoch)));
    }
    world.journal().permit(world.now());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Lane, PlanPin, RunId, Waits};

    fn run(id: &str) -> Run {
        Run {
            id: RunId(id.into()),
            service: "portal".into(),
            flow: "restore-test".into(),
            epoch: 7,
            lane: Lane::Prove,
            opened_at: Timestamp::from_millis(0),
            deadline: Timestamp::from_millis(0),
            plan: PlanPin { key: "k".into(), version: "v".into(), sha256: "s".into() },
            overrides: Vec::new(),
            waits: Waits { decision_seconds: 1, hold_seconds: 1 },
        }
    }

    #[test]
    fn an_invocation_that_turns_to_another_run_leaves_each_a_whole_chain_and_asks_for_a_permit_anew() {
        let (journal, at) = (Journal::default(), Timestamp::from_millis(5));
        journal.begin("000001-sweep-clones", "sweep-clones", "sweep-clones");
        for id in ["a", "a", "b"] {
            journal.turn_to(at, &run(id));
            journal.saw(at, Evidence::Undone { what: id.to_owned() });
            assert_eq!(journal.is_permitted(at), id == "a" && journal.0.borrow().sequence == 3, "{id}");
            journal.permit(at);
        }
        let entries = journal.0.borrow_mut().take();
        for (id, length) in [("a", 4), ("b", 2)] {
            let of_run: Vec<&Entry> = entries.iter().filter(|entry| *entry.run.0 == *id).collect();
            assert_eq!(of_run.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), (0..length).collect::<Vec<_>>(), "{id}");
            let head = of_run.iter().take_while(|entry| !matches!(entry.body, Body::Ended { .. })).fold(Hash::ZERO, |head, entry| head.link(entry));
            match of_run.last().map(|entry| &entry.body) {
                Some(Body::Ended { chain, .. }) => assert_eq!(*chain, head, "{id}"),
                _ => assert_eq!(journal.head(), Some(head), "{id}: the last run's chain goes on"),
            }
        }
    }
}
