//! What the estate looks like once everything has settled: what two ends of a disaster are compared by.
//!
//! Each fact says how things are and, where it counts, how often they were done, so that an effect that happened twice is seen.

use std::collections::BTreeMap;

use muster_core::Duration;
use muster_core::ports::SnapshotStatus;

use crate::clients::Side;
use crate::estate::Estate;

/// What was taken since then may still be on its way.
const SETTLED: Duration = Duration::from_hours(3);

/// Facts, by what they are about.
pub type Facts = BTreeMap<String, String>;

impl Estate {
    /// The facts as they are now.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::new();
        let mut fact = |about: String, is: String| {
            facts.insert(about, is);
        };
        for pair in &self.pairs {
            fact(format!("promotions of {}", pair.name), pair.promotions.to_string());
        }
        for (id, instance) in &self.instances {
            let role = instance.source.as_ref().map_or_else(|| "a primary".to_owned(), |source| format!("a replica of {source}"));
            let writes = if instance.is_writable() { "takes writes" } else { "takes no writes" };
            let clients = if instance.quarantined { "lets no client in" } else { "lets clients in" };
            fact(id.to_string(), format!("{role}, {:?}, {writes}, {clients}, groups {}", instance.phase, instance.groups.join(" ")));
        }
        for (id, group) in &self.groups {
            fact(id.to_string(), format!("{} to {}, {} desired, {} healthy", group.size.min, group.size.max, group.size.desired, group.healthy()));
        }
        for (id, template) in &self.templates {
            fact(id.to_string(), format!("version {}: {}", template.latest(), template.user_data(template.latest())));
        }
        for (id, value) in &self.parameters {
            fact(id.to_string(), value.to_string());
        }
        for cache in self.caches.values() {
            let region = cache.primary_region().map_or("no region", |region| region.as_str());
            fact(cache.id.to_string(), format!("primary in {region} after {} failovers", cache.failovers));
        }
        for record in &self.records {
            let side = if record.answers.current() == Side::Standby { "standby" } else { "primary" };
            fact(record.name.to_string(), format!("answered with the {side} after {} changes", record.changes));
        }
        for ((place, name), stored) in self.snapshots.there.iter().filter(|(_, stored)| self.now.since(stored.taken_at) > SETTLED) {
            let place = place.bucket.as_deref().unwrap_or(place.region.as_str());
            let is_good = stored.status(self.now) == SnapshotStatus::Available;
            let used = stored.tags.get(muster_actions::USED_BY_TAG).map_or("nobody", |by| &**by);
            fact(format!("{name} in {place}"), format!("{}, used by {used}", if is_good { "there" } else { "there, and not good" }));
        }
        for ((region, name), _) in self.clones.at(self.now) {
            fact(format!("{name} in {region}"), "an instance".to_owned());
        }
        facts
    }
}

/// The first fact in which two ends differ, in words.
pub(crate) fn difference(expected: &Facts, seen: &Facts) -> Option<String> {
    let about = expected.keys().chain(seen.keys()).find(|about| expected.get(*about) != seen.get(*about))?;
    let is = |facts: &Facts| facts.get(about).map_or("absent", String::as_str).to_owned();
    Some(format!("{about} is {}; without the fault it is {}", is(seen), is(expected)))
}
