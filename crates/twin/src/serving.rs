//! What either region does for clients that come to it: capacity, and the databases that its application points to.

use std::sync::Arc;

use muster_core::{DatabaseId, LaunchTemplateId, ParameterId};
use muster_plan::{Configuration, RegionRole};

use crate::clients::{ALL, Service};
use crate::compute::Group;
use crate::estate::Estate;
use crate::network::From;

/// Sessions that an application keeps open to a database that it uses.
const SESSIONS: u64 = 20;

/// Where the application in a region reads which instance of a database it uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wiring {
    /// Parameters: read afresh on every connection.
    parameters: Vec<ParameterId>,
    /// Launch templates: read when an instance starts.
    templates: Vec<LaunchTemplateId>,
}

impl Wiring {
    /// The configuration items of the plan that name a database.
    pub(crate) fn of(plan: &muster_plan::Plan, database: &str) -> Self {
        let mut wiring = Wiring::default();
        for item in &plan.configuration {
            let names = item
                .values()
                .iter()
                .any(|(_, value)| value.references().iter().flatten().any(|reference| reference.section == "databases" && reference.name == database));
            match item {
                Configuration::SsmParameter { parameter, region, .. } if names => {
                    wiring.parameters.push(ParameterId::new(plan.regions.get(*region), parameter))
                }
                Configuration::LaunchTemplate { template, .. } if names => wiring.templates.push(LaunchTemplateId::new(&plan.regions.standby, template)),
                _ => {}
            }
        }
        wiring
    }
}

impl Estate {
    /// The instance that the application in a region uses for a database, on an instance of that template's version.
    fn points_at(&self, role: RegionRole, database: usize, template: Option<&LaunchTemplateId>, version: u64) -> Option<&DatabaseId> {
        let pair = &self.pairs[database];
        let region = self.region(role);
        let wiring = &self.wiring[database];
        let parameter = wiring.parameters.iter().find(|id| id.region == *region).and_then(|id| self.parameters.get(id));
        let user_data = || {
            let id = wiring.templates.iter().find(|id| id.region == *region && template.is_none_or(|used| used == *id))?;
            let known = self.templates.get(id)?;
            // A group without a template of its own is told by the newest version.
            Some(known.user_data(if template.is_some() { version } else { known.latest() }))
        };
        // What an instance was started with decides where there is such a thing: a parameter beside it is read by nobody.
        match user_data().or(parameter.map(|text| &**text)) {
            Some(text) => [Some(&pair.primary), pair.standby.as_ref()]
                .into_iter()
                .flatten()
                .find(|id| self.instances.get(id).is_some_and(|known| text.contains(&*known.host))),
            None if role == RegionRole::Primary => Some(&pair.primary),
            None => pair.standby.as_ref(),
        }
    }

    /// Whether the application in a region is served by an instance: reads, writes.
    fn is_served_by(&self, role: RegionRole, id: &DatabaseId) -> (bool, bool) {
        let Some(instance) = self.instances.get(id) else { return (false, false) };
        let reached = self.role_of(&id.region).is_some_and(|there| self.network.reaches(From::Region(role), there));
        let reads = reached && instance.lets_clients_in();
        (reads, reads && instance.is_writable())
    }

    /// Groups that serve clients in a region.
    pub(crate) fn serving_groups(&self, role: RegionRole) -> impl Iterator<Item = &Group> {
        let region = self.region(role);
        self.groups.values().filter(move |group| group.serving && group.id.region == *region)
    }

    fn serve(&self, role: RegionRole) -> Service {
        let databases = self.pairs.len();
        let mut service = Service { success: 0, writes_to_primary: vec![0; databases], writes_to_standby: vec![0; databases] };
        if !self.network.reaches(From::Clients, role) || (self.application_down && role == RegionRole::Primary) {
            return service;
        }
        service.success = ALL;
        service.writes_to_primary.fill(ALL);
        service.writes_to_standby.fill(ALL);
        let mut any = false;
        for group in self.serving_groups(role) {
            any = true;
            self.limit(&mut service, role, group.healthy.iter().map(|(version, count)| (*version, *count)), group.needed, group.template.as_ref());
        }
        if !any {
            self.limit(&mut service, role, std::iter::once((0, 1)), 1, None);
        }
        service
    }

    /// No group serves more than its healthy instances can: the smallest decides.
    fn limit(&self, service: &mut Service, role: RegionRole, versions: impl Iterator<Item = (u64, u32)>, needed: u32, template: Option<&LaunchTemplateId>) {
        let writes = self.clients.write_share();
        let databases = self.pairs.len();
        let (mut success, mut to_primary, mut to_standby) = (0, vec![0; databases], vec![0; databases]);
        let mut left = needed;
        for (version, count) in versions {
            let count = count.min(left);
            left -= count;
            let share = u64::from(count) * ALL / u64::from(needed.max(1));
            let (mut reads_all, mut writes_all) = (true, true);
            for index in 0..databases {
                let pair = &self.pairs[index];
                if !self.instances.contains_key(&pair.primary) {
                    continue; // not Muster's to recover: taken to work
                }
                let target = self.points_at(role, index, template, version);
                let (read, written) = target.map_or((false, false), |id| self.is_served_by(role, id));
                reads_all &= read;
                writes_all &= written;
                if written {
                    let sink = if target == Some(&pair.primary) { &mut to_primary } else { &mut to_standby };
                    sink[index] += share;
                }
            }
            let rate = if reads_all { ALL - writes } else { 0 } + if reads_all && writes_all { writes } else { 0 };
            success += share * rate / ALL;
        }
        service.success = service.success.min(success);
        for index in 0..databases {
            service.writes_to_primary[index] = service.writes_to_primary[index].min(to_primary[index]);
            service.writes_to_standby[index] = service.writes_to_standby[index].min(to_standby[index]);
        }
    }

    /// Sessions of clients on an instance.
    pub fn sessions(&self, id: &DatabaseId) -> u64 {
        let Some(instance) = self.instances.get(id).filter(|instance| instance.answers()) else { return 0 };
        if instance.quarantined {
            return instance.held_sessions;
        }
        let used = [RegionRole::Primary, RegionRole::Standby].into_iter().any(|role| {
            let works = |group: &Group| {
                let version = group.healthy.keys().next().copied();
                version.is_some_and(|version| self.points_at(role, instance.database, group.template.as_ref(), version) == Some(id))
            };
            let any = self.serving_groups(role).next().is_some();
            let used = if any { self.serving_groups(role).any(works) } else { self.points_at(role, instance.database, None, 0) == Some(id) };
            used && self.is_served_by(role, id).0
        });
        if used { SESSIONS } else { 0 }
    }

    /// Recomputes what clients get from either region, after a change.
    pub(crate) fn refresh(&mut self) {
        self.service = [self.serve(RegionRole::Primary), self.serve(RegionRole::Standby)];
        self.measure();
        let now = self.now;
        let mut truth = std::mem::take(&mut self.truth);
        for (index, pair) in self.pairs.iter().enumerate() {
            let serves = |id: &DatabaseId| {
                let reached = self.role_of(&id.region).is_some_and(|role| self.network.reaches(From::Clients, role));
                reached && self.instances.get(id).is_some_and(|instance| instance.is_writable() && instance.lets_clients_in())
            };
            if self.instances.contains_key(&self.pairs[index].primary) {
                truth.set(&pair.name, now, serves(&pair.primary) || pair.standby.as_ref().is_some_and(serves));
            }
        }
        let mut whole: Vec<(&Arc<str>, bool)> = Vec::with_capacity(self.groups.len());
        for group in self.groups.values() {
            let reached = self.role_of(&group.id.region).is_some_and(|role| self.network.reaches(From::Clients, role));
            let enough = reached && group.healthy() >= group.needed;
            match whole.iter_mut().find(|(name, _)| *name == &group.component) {
                Some((_, known)) => *known |= enough,
                None => whole.push((&group.component, enough)),
            }
        }
        for (name, enough) in whole {
            truth.set(name, now, enough);
        }
        for cache in self.caches.values() {
            let region = cache.primary_region().and_then(|region| self.role_of(region));
            truth.set(&cache.component, now, region.is_some_and(|role| self.network.reaches(From::Clients, role)));
        }
        self.truth = truth;
    }
}
