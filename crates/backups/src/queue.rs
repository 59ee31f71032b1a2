//! Which copies may be asked for now.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::Region;
use muster_plan::PartReference;

use crate::decision::CopyOrder;
use crate::point::Place;

/// Copies in flight at once into one region, of one account: the quota that RDS has for "Cross-Region snapshot copy requests", which others of the
/// account use too.
pub const COPIES_PER_REGION: usize = 20;

/// The copies that are asked for now; the others wait for the next call. At most `at_once` are in flight into a region, whoever asked for them, and
/// one of each part: RDS makes copies of one source one after the other, and each would hold a place of the quota while it queues.
pub fn start_now<'a>(orders: &'a [CopyOrder], under_way: &[(PartReference, Place)], at_once: usize) -> Vec<&'a CopyOrder> {
    let mut in_flight: BTreeMap<&Region, usize> = BTreeMap::new();
    let mut busy = BTreeSet::new();
    for (of, place) in under_way {
        *in_flight.entry(&place.region).or_default() += 1;
        busy.insert((of, place));
    }
    orders
        .iter()
        .filter(|order| {
            let free = in_flight.entry(&order.to.region).or_default();
            let starts = *free < at_once && busy.insert((&order.of, &order.to));
            *free += usize::from(starts);
            starts
        })
        .collect()
}
