//! Randomness that replays: a draw is a hash of what it is for, never the next number of a stream. So leaving out one
//! fault leaves every other draw as it was.

/// The draws of one rehearsal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    seed: u64,
}

impl Draw {
    /// The draws of a seed.
    pub const fn new(seed: u64) -> Self {
        Draw { seed }
    }

    /// The seed.
    pub const fn seed(self) -> u64 {
        self.seed
    }

    /// The draw for the `ordinal`th `operation` on `resource`: 64 even bits.
    pub fn bits(self, resource: &str, operation: &str, ordinal: u64) -> u64 {
        self.of(resource, operation).bits(ordinal)
    }

    /// The draws for all ordinals of an `operation` on `resource`.
    pub fn of(self, resource: &str, operation: &str) -> Draws {
        // FNV-1a over the words, each closed by a byte that no UTF-8 text contains; then splitmix64's finaliser.
        let mut state = 0xcbf2_9ce4_8422_2325_u64 ^ mix(self.seed);
        for word in [resource, operation] {
            for byte in word.bytes() {
                state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
            state = (state ^ 0xff).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Draws(state)
    }

    /// A number below `bound`; zero where `bound` is.
    pub fn below(self, resource: &str, operation: &str, ordinal: u64, bound: u64) -> u64 {
        scale(self.bits(resource, operation, ordinal), bound)
    }

    /// True once in `one_in` times.
    pub fn chance(self, resource: &str, operation: &str, ordinal: u64, one_in: u64) -> bool {
        self.below(resource, operation, ordinal, one_in) == 0
    }
}

/// The draws for one operation on one resource, by their ordinals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Draws(u64);

impl Draws {
    /// The draw for an ordinal: 64 even bits.
    pub fn bits(self, ordinal: u64) -> u64 {
        mix(self.0 ^ mix(ordinal))
    }
}

/// `bits` as a share of 2⁶⁴, of `bound`.
pub(crate) const fn scale(bits: u64, bound: u64) -> u64 {
    ((bits as u128 * bound as u128) >> 64) as u64
}

const fn mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_depends_on_every_part_of_its_name_and_on_nothing_else() {
        let draw = Draw::new(7);
        let one = draw.bits("portal-db", "promotion", 1);
        assert_eq!(one, Draw::new(7).bits("portal-db", "promotion", 1));
        for other in [
            draw.bits("portal-db", "promotion", 2),
            draw.bits("portal-db", "reboot", 1),
            draw.bits("portal-d", "bpromotion", 1),
            Draw::new(8).bits("portal-db", "promotion", 1),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn draws_are_even_and_neighbours_are_independent() {
        let draw = Draw::new(1);
        let (mut buckets, mut both_high) = ([0_u32; 10], 0);
        for ordinal in 0..10_000 {
            let here = draw.below("r", "o", ordinal, 10);
            buckets[usize::try_from(here).unwrap()] += 1;
            if here >= 5 && draw.below("r", "o", ordinal + 1, 10) >= 5 {
                both_high += 1;
            }
        }
        assert!(buckets.iter().all(|count| (900..1_100).contains(count)), "{buckets:?}");
        assert!((2_350..2_650).contains(&both_high), "{both_high}");
    }
}
