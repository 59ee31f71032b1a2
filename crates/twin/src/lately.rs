//! What was there a little earlier: for answers that are old.

use std::collections::{BTreeMap, VecDeque};

use muster_core::{Duration, Timestamp};

/// No answer is older than this: what was changed longer ago is forgotten.
const REMEMBERED: Duration = Duration::from_mins(2);

/// What stood under a key before each of the last changes, oldest first.
#[derive(Clone, Debug)]
pub(crate) struct Lately<K, V>(VecDeque<(Timestamp, K, Option<V>)>);

impl<K, V> Default for Lately<K, V> {
    fn default() -> Self {
        Lately(VecDeque::new())
    }
}

impl<K: Ord + Clone, V: Clone> Lately<K, V> {
    /// Before what stands under a key is changed.
    pub(crate) fn changes(&mut self, now: Timestamp, key: &K, before: Option<&V>) {
        while self.0.front().is_some_and(|(at, ..)| now.since(*at) > REMEMBERED) {
            self.0.pop_front();
        }
        self.0.push_back((now, key.clone(), before.cloned()));
    }

    /// All that was there so long ago.
    pub(crate) fn before(&self, there: &BTreeMap<K, V>, now: Timestamp, age: Duration) -> BTreeMap<K, V> {
        let mut there = there.clone();
        for (_, key, before) in self.0.iter().rev().take_while(|(at, ..)| *at > now.before(age)) {
            match before {
                Some(value) => drop(there.insert(key.clone(), value.clone())),
                None => drop(there.remove(key)),
            }
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_changed_and_removed_is_as_it_was() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        let (mut lately, mut there) = (Lately::default(), BTreeMap::from([("kept", 1), ("changed", 1), ("removed", 1)]));
        lately.changes(at(10), &"changed", there.get("changed"));
        there.insert("changed", 2);
        lately.changes(at(20), &"removed", there.get("removed"));
        there.remove("removed");
        lately.changes(at(30), &"made", there.get("made"));
        there.insert("made", 1);
        lately.changes(at(31), &"made", there.get("made"));
        there.insert("made", 2);
        let before = |age: u64| lately.before(&there, at(35), Duration::from_secs(age)).into_iter().collect::<Vec<_>>();
        assert_eq!(before(0), [("changed", 2), ("kept", 1), ("made", 2)]);
        assert_eq!(before(5), [("changed", 2), ("kept", 1), ("made", 1)]);
        assert_eq!(before(6), [("changed", 2), ("kept", 1)]);
        assert_eq!(before(20), [("changed", 2), ("kept", 1), ("removed", 1)]);
        assert_eq!(before(30), [("changed", 1), ("kept", 1), ("removed", 1)]);
    }
}
