//! The ledger's chains: whole or not, and the one digest that seals them.

use muster_core::{Body, Chain, Entry, Hash, RunId};

use crate::record::LedgerProof;

struct Proven<'a> {
    invocation: &'a str,
    action: &'a str,
    head: Hash,
    next: u32,
    began: bool,
    ended: bool,
}

/// Computes every chain's head and the root over them.
///
/// The entries of an invocation are linked by their sequence; one that is missing, twice there, or of another run is a fault.
pub(crate) fn prove(run: &RunId, entries: &[Entry]) -> LedgerProof {
    let mut ordered: Vec<&Entry> = entries.iter().collect();
    ordered.sort_by(|a, b| a.invocation.cmp(&b.invocation).then(a.sequence.cmp(&b.sequence)));
    let mut chains: Vec<Proven<'_>> = Vec::new();
    let mut links = Chain::default();
    let mut faults = Vec::new();
    for entry in ordered {
        if chains.last().is_none_or(|chain| *chain.invocation != *entry.invocation) {
            links.restart();
            chains.push(Proven { invocation: &entry.invocation, action: &entry.action, head: Hash::ZERO, next: 0, began: false, ended: false });
        }
        let Some(chain) = chains.last_mut() else { continue };
        if entry.run != *run {
            faults.push(format!("{} #{}: belongs to the run {}", entry.invocation, entry.sequence, entry.run));
        }
        if entry.sequence != chain.next {
            faults.push(format!("{}: entry {} stands where {} belongs", entry.invocation, entry.sequence, chain.next));
        }
        if let Body::Ended { chain: head, .. } = &entry.body
            && *head != chain.head
        {
            faults.push(format!("{}: its entries do not lead to the head that it ended with: one of them was changed", entry.invocation));
        }
        links.link(entry);
        chain.head = links.head().unwrap_or(Hash::ZERO);
        chain.next = entry.sequence.saturating_add(1);
        chain.began |= matches!(entry.body, Body::Began);
        chain.ended |= matches!(entry.body, Body::Ended { .. });
    }
    let mut heads: Vec<Hash> = chains.iter().map(|chain| chain.head).collect();
    heads.sort_unstable();
    let listed: String = heads.iter().map(|head| format!("{head}\n")).collect();
    // The newest invocation, where its action closes runs, is the one that makes this report, and cannot have ended.
    let newest = chains.iter().max_by_key(|chain| chain.invocation).filter(|chain| matches!(chain.action, "close-run" | "janitor" | "open-run"));
    let at_work = newest.map(|chain| chain.invocation);
    let cut_short = chains
        .iter()
        .filter(|chain| chain.began && !chain.ended && Some(chain.invocation) != at_work)
        .map(|chain| format!("{} ({})", chain.invocation, chain.action))
        .collect();
    LedgerProof {
        root: Hash::of(listed.as_bytes()).to_string(),
        entries: entries.len() as u64,
        chains: chains.len() as u64,
        intact: faults.is_empty(),
        faults,
        cut_short,
    }
}
