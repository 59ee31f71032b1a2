//! Randomness that replays: a draw is a hash of what it is for, never the next number of a stream.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// Folds `parts` into `seed`: FNV-1a over the bytes with a separator, then splitmix64's finaliser.
pub(crate) fn hash(seed: u64, parts: &[&str]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64 ^ seed;
    let mut feed = |byte: u8| {
        state ^= u64::from(byte);
        state = state.wrapping_mul(0x0000_0100_0000_01b3);
    };
    for part in parts {
        part.bytes().for_each(&mut feed);
        feed(0xff);
    }
    finalise(state)
}

fn finalise(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The draws of one branch of one execution. A draw is `hash(seed, execution, branch, state, ordinal)`.
pub(crate) struct Draws {
    seed: u64,
    ordinals: RefCell<BTreeMap<String, u64>>,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ordinals: RefCell::new(BTreeMap::new()) }
    }

    /// The next draw of `state`.
    pub(crate) fn next(&self, state: &str) -> u64 {
        let mut ordinals = self.ordinals.borrow_mut();
        let ordinal = ordinals.entry(state.to_owned()).or_insert(0);
        *ordinal += 1;
        finalise(hash(self.seed, &[state]) ^ ordinal.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// The seed for the draws of branch or iteration `index` below `state`.
    pub(crate) fn child_seed(&self, state: &str, index: usize) -> u64 {
        hash(self.seed, &[state, "branch"]) ^ finalise(index as u64)
    }
}

/// A number in `0.0..1.0` with 53 random bits.
pub(crate) fn unit_interval(draw: u64) -> f64 {
    (draw >> 11) as f64 / (1_u64 << 53) as f64
}

/// A version 4 UUID made of two draws.
pub(crate) fn uuid(high: u64, low: u64) -> String {
    let high = (high & 0xffff_ffff_ffff_0fff) | 0x4000;
    let low = (low & 0x3fff_ffff_ffff_ffff) | 0x8000_0000_0000_0000;
    format!("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32, (high >> 16) & 0xffff, high & 0xffff, low >> 48, low & 0xffff_ffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_draw_is_the_same_number_and_another_state_leaves_it_alone() {
        let one = Draws::new(7);
        let first = one.next("A");
        let second = one.next("A");
        let two = Draws::new(7);
        two.next("B");
        assert_eq!(two.next("A"), first);
        assert_eq!(two.next("A"), second);
        assert_ne!(first, second);
        assert_ne!(Draws::new(8).next("A"), first);
    }

    #[test]
    fn a_uuid_says_that_it_is_version_four() {
        let text = uuid(u64::MAX, u64::MAX);
        assert_eq!(text, "ffffffff-ffff-4fff-bfff-ffffffffffff");
    }
}
