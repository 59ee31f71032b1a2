//! Which copies may be asked for now.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::Region;
use muster_plan::PartReference;

use crate::decision::CopyOrder;
use crate::point::Place;

/// Copies in flight at once into one region, of one account: the quota that RDS has for "Cross-Region snapshot copy requests", which others of the
/// account use too.
pub const COPIES_PER_REGION: usize = 20;

/// Exports of databases' snapshots in progress at once, whoever asked for them. Source: the RDS user guide, "Considerations for DB snapshot exports":
/// "You can have up to five concurrent DB snapshot export tasks in progress per AWS account."
pub const EXPORTS_PER_ACCOUNT: usize = 5;

/// The copies that are asked for now; the others wait for the next call. At most `at_once` are in flight into a region, whoever asked for them, and
/// one of each part: RDS makes copies of one source one after the other, and each would hold a place of the quota while it queues. Exports of
/// databases are no copies for that quota, and have one of their own.
pub fn start_now<'a>(orders: &'a [CopyOrder], under_way: &[(PartReference, Place)], at_once: usize) -> Vec<&'a CopyOrder> {
    let mut in_flight: BTreeMap<(&Region, bool), usize> = BTreeMap::new();
    let mut busy = BTreeSet::new();
    for (of, place) in under_way {
        let is_export = place.bucket.is_some() && of.parts().is_some_and(|(section, _)| section == "databases");
        *in_flight.entry((&place.region, is_export)).or_default() += 1;
        busy.insert((of, place));
    }
    orders
        .iter()
        .filter(|order| {
            let is_export = order.export.is_some();
            let free = in_flight.entry((&order.to.region, is_export)).or_default();
            let starts = *free < if is_export { at_once.min(EXPORTS_PER_ACCOUNT) } else { at_once } && busy.insert((&order.of, &order.to));
            *free += usize::from(starts);
            starts
        })
        .collect()
}
