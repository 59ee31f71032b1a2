//! A hash chain that grows: what [`Hash::link`] gives, without writing anew what all entries of an invocation share.

use std::sync::Arc;

use serde::Serialize;

use crate::RunId;
use crate::ledger::{Entry, Hash};

/// The chain of one invocation, or of several one after the other.
#[derive(Debug, Default)]
pub struct Chain {
    head: Option<Hash>,
    shared: Option<Shared>,
    /// What is hashed: a head, then an entry's text, of which the first [`Chain::common`] bytes are those of `shared`.
    text: Vec<u8>,
    common: usize,
}

/// The fields of an [`Entry`] that stand first in it and are the same for a whole invocation, in its order.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shared {
    run: RunId,
    epoch: u64,
    invocation: Arc<str>,
    action: Arc<str>,
    phase: Arc<str>,
}

impl Shared {
    fn is_of(&self, entry: &Entry) -> bool {
        self.epoch == entry.epoch && self.invocation == entry.invocation && self.action == entry.action && self.phase == entry.phase && self.run == entry.run
    }
}

impl Chain {
    /// The head; `None` before the first entry.
    pub const fn head(&self) -> Option<Hash> {
        self.head
    }

    /// Begins the chain of another invocation.
    pub const fn restart(&mut self) {
        self.head = None;
    }

    /// Adds an entry: the head becomes what [`Hash::link`] makes of it.
    pub fn link(&mut self, entry: &Entry) {
        if !self.shared.as_ref().is_some_and(|shared| shared.is_of(entry)) {
            self.share(entry);
        }
        self.text.truncate(self.common);
        self.text[..Hash::BYTES].copy_from_slice(self.head.unwrap_or(Hash::ZERO).as_bytes());
        // Nothing in an entry can fail to serialize.
        self.text.extend_from_slice(b",\"sequence\":");
        let _ = serde_json::to_writer(&mut self.text, &entry.sequence);
        self.text.extend_from_slice(b",\"at\":");
        let _ = serde_json::to_writer(&mut self.text, &entry.at);
        // The body's fields follow as the entry's own.
        let body = self.text.len();
        let _ = serde_json::to_writer(&mut self.text, &entry.body);
        if let Some(brace) = self.text.get_mut(body) {
            *brace = b',';
        }
        self.head = Some(Hash::of(&self.text));
    }

    fn share(&mut self, entry: &Entry) {
        let shared = Shared {
            run: entry.run.clone(),
            epoch: entry.epoch,
            invocation: entry.invocation.clone(),
            action: entry.action.clone(),
            phase: entry.phase.clone(),
        };
        self.text.clear();
        self.text.extend_from_slice(Hash::ZERO.as_bytes());
        let _ = serde_json::to_writer(&mut self.text, &shared);
        // The entry goes on where this object ends.
        self.text.pop();
        self.common = self.text.len();
        self.shared = Some(shared);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Body, Call, CallFault, Duration, Evidence, Outcome, Override, Plane, Timestamp};

    fn entry(invocation: &str, phase: &str, sequence: u32, body: Body) -> Entry {
        Entry {
            run: RunId("portal/region-failover/1".into()),
            epoch: 3,
            invocation: invocation.into(),
            action: "promote-\"replica\"".into(),
            phase: phase.into(),
            sequence,
            at: Timestamp::from_millis(1_700_000_000_000 + i64::from(sequence)),
            body,
        }
    }

    fn bodies() -> Vec<Body> {
        let call =
            Call { operation: "rds:Promote".into(), region: "us-west-2".parse().unwrap(), plane: Plane::Control, mutates: true, resource: "a\nb".into() };
        let outcome = |fault| Outcome { fault, message: "Rate \"exceeded\"".into(), latency: Duration::from_millis(61_001), request_id: Some("é".into()) };
        let risk = Override::Unfenced { database: "db".into(), by: "me".into(), reason: "you".into() };
        vec![
            Body::Began,
            Body::Intent { call: call.clone() },
            Body::Called { call: call.clone(), outcome: outcome(Some(CallFault::Throttled)) },
            Body::Called { call, outcome: Outcome { message: String::new(), request_id: None, ..outcome(None) } },
            Body::Saw { evidence: Evidence::Accepted { risk, standing: true } },
            Body::Saw { evidence: Evidence::Opened { by: "alarm".into(), reason: String::new() } },
            Body::Ended { status: "done".into(), detail: "all".into(), chain: Hash::of(b"x") },
        ]
    }

    #[test]
    fn a_chain_grows_as_single_links_do() {
        let mut chain = Chain::default();
        for (invocation, phase) in [("0001", "Promote"), ("0002", "Promote"), ("0002", "Other"), ("0001", "Promote")] {
            chain.restart();
            let mut head = Hash::ZERO;
            for (sequence, body) in (0..).zip(bodies()) {
                let entry = entry(invocation, phase, sequence, body);
                head = head.link(&entry);
                chain.link(&entry);
                assert_eq!(chain.head(), Some(head), "{entry:?}");
            }
        }
    }

    #[test]
    fn what_one_chain_shares_is_not_taken_for_another_s() {
        let first = entry("0001", "Promote", 0, Body::Began);
        let others = [
            Entry { epoch: 4, ..first.clone() },
            Entry { run: RunId("other".into()), ..first.clone() },
            Entry { action: "other".into(), ..first.clone() },
            Entry { phase: "Other".into(), ..first.clone() },
            Entry { invocation: "0002".into(), ..first.clone() },
        ];
        for other in others {
            let mut chain = Chain::default();
            chain.link(&first);
            chain.link(&other);
            assert_eq!(chain.head(), Some(Hash::ZERO.link(&first).link(&other)));
        }
    }
}
