//! What either region does for clients that come to it: capacity, and the databases that its application points to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_core::{DatabaseId, LaunchTemplateId, ParameterId};
use muster_plan::{Configuration, RegionRole};

use crate::clients::{ALL, Side};
use crate::compute::Group;
use crate::estate::Estate;
use crate::network::From;
use crate::shares::Rates;

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
    /// The configuration items of the plan that name each database, in the plan's order.
    pub(crate) fn of(plan: &muster_plan::Plan) -> Vec<Self> {
        let positions: BTreeMap<&str, usize> = plan.databases.iter().enumerate().map(|(index, database)| (database.name.as_str(), index)).collect();
        let mut wirings = vec![Wiring::default(); plan.databases.len()];
        for item in &plan.configuration {
            let values = item.values();
            let references = values.iter().flat_map(|(_, value)| value.references().into_iter().flatten().filter(|reference| reference.section == "databases"));
            let named: BTreeSet<usize> = references.filter_map(|reference| positions.get(reference.name.as_str()).copied()).collect();
            for index in named {
                match item {
                    Configuration::SsmParameter { parameter, region, .. } => {
                        wirings[index].parameters.push(ParameterId::new(plan.regions.get(*region), parameter));
                    }
                    Configuration::LaunchTemplate { template, .. } => wirings[index].templates.push(LaunchTemplateId::new(&plan.regions.standby, template)),
                    _ => {}
                }
            }
        }
        wirings
    }

    /// The databases, by position, whose wiring each parameter is part of.
    pub(crate) fn readers(wirings: &[Wiring]) -> BTreeMap<ParameterId, Vec<usize>> {
        let mut readers: BTreeMap<ParameterId, Vec<usize>> = BTreeMap::new();
        for (index, wiring) in wirings.iter().enumerate() {
            wiring.parameters.iter().for_each(|id| readers.entry(id.clone()).or_default().push(index));
        }
        readers
    }
}

/// What the application in a region gets from the databases, as far as it is told alike: by a launch template's version.
#[derive(Clone, Debug, Default)]
pub(crate) struct Serving {
    told: Vec<Told>,
}

#[derive(Clone, Debug)]
struct Told {
    template: Option<LaunchTemplateId>,
    version: u64,
    /// By database, in the plan's order.
    gets: Vec<Gets>,
    /// Databases of which it gets no answer, and those that take no writes of it.
    unread: usize,
    unwritten: usize,
}

/// What it gets from one database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Gets {
    read: bool,
    /// The side whose instance takes its writes.
    written: Option<Side>,
}

impl Told {
    fn set(&mut self, database: usize, gets: Gets) {
        let before = std::mem::replace(&mut self.gets[database], gets);
        self.unread = self.unread + usize::from(!gets.read) - usize::from(!before.read);
        self.unwritten = self.unwritten + usize::from(gets.written.is_none()) - usize::from(before.written.is_none());
    }
}

/// Instances that are told alike, how many of them serve, and of how many that are needed.
struct Serves<'g> {
    template: Option<&'g LaunchTemplateId>,
    versions: Vec<(u64, u32)>,
    needed: u32,
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

    /// Those who serve clients in a region. Where the plan has no group there, something serves that is not Muster's to move.
    fn those_who_serve(&self, role: RegionRole) -> Vec<Serves<'_>> {
        let versions = |group: &Group| group.healthy.iter().map(|(version, count)| (*version, *count)).collect();
        let groups = self.serving_groups(role).map(|group| Serves { template: group.template.as_ref(), versions: versions(group), needed: group.needed });
        let mut groups: Vec<Serves<'_>> = groups.collect();
        if groups.is_empty() {
            groups.push(Serves { template: None, versions: vec![(0, 1)], needed: 1 });
        }
        groups
    }

    /// What is gotten from a database by those who are told by a template's version.
    fn gets(&self, role: RegionRole, database: usize, template: Option<&LaunchTemplateId>, version: u64) -> Gets {
        let pair = &self.pairs[database];
        if !self.instances.contains_key(&pair.primary) {
            // Not Muster's to recover: taken to work.
            return Gets { read: true, written: Some(Side::Primary) };
        }
        let Some(target) = self.points_at(role, database, template, version) else { return Gets::default() };
        let (read, written) = self.is_served_by(role, target);
        let side = if *target == pair.primary { Side::Primary } else { Side::Standby };
        Gets { read, written: written.then_some(side) }
    }

    /// Everything anew.
    fn look_at_all(&self, role: RegionRole) -> Serving {
        let mut told: Vec<Told> = Vec::new();
        let databases = self.pairs.len();
        for serves in self.those_who_serve(role) {
            for (version, _) in serves.versions {
                if told.iter().any(|known| known.version == version && known.template.as_ref() == serves.template) {
                    continue;
                }
                let mut one =
                    Told { template: serves.template.cloned(), version, gets: vec![Gets::default(); databases], unread: databases, unwritten: databases };
                (0..databases).for_each(|database| one.set(database, self.gets(role, database, serves.template, version)));
                told.push(one);
            }
        }
        Serving { told }
    }

    /// Whether clients reach the region, and its application runs.
    fn serves_anybody(&self, role: RegionRole) -> bool {
        self.network.reaches(From::Clients, role) && !(self.application_down && role == RegionRole::Primary)
    }

    /// What clients get from a region: no group serves more than its healthy instances can, and the smallest decides.
    fn service(&self, role: RegionRole, serving: &Serving) -> u64 {
        if !self.serves_anybody(role) {
            return 0;
        }
        let writes = self.clients.write_share();
        let of = |serves: &Serves<'_>| {
            let parts = parts(serves).map(|(version, share)| {
                let Some(told) = told(serving, serves.template, version) else { return 0 };
                let reads_all = told.unread == 0;
                let rate = if reads_all { ALL - writes } else { 0 } + if reads_all && told.unwritten == 0 { writes } else { 0 };
                share * rate / ALL
            });
            parts.sum::<u64>()
        };
        self.those_who_serve(role).iter().map(of).min().unwrap_or(ALL).min(ALL)
    }

    /// The parts of a region's writes that a database's instances in the primary and in the standby region confirm.
    fn confirmed(&self, role: RegionRole, serving: &Serving, groups: &[Serves<'_>], database: usize) -> (u64, u64) {
        if !self.serves_anybody(role) {
            return (0, 0);
        }
        if !self.instances.contains_key(&self.pairs[database].primary) {
            return (0, 0);
        }
        let mut least = (ALL, ALL);
        for serves in groups {
            let mut sum = (0, 0);
            for (version, share) in parts(serves) {
                match told(serving, serves.template, version).map(|told| told.gets[database].written) {
                    Some(Some(Side::Primary)) => sum.0 += share,
                    Some(Some(Side::Standby)) => sum.1 += share,
                    _ => {}
                }
            }
            least = (least.0.min(sum.0), least.1.min(sum.1));
        }
        least
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

    /// Recomputes what clients get from either region, after a change: of the databases that it touched, where it has said so, and of all otherwise.
    pub(crate) fn refresh(&mut self) {
        let touched = self.touched.take();
        let mut serving = std::mem::take(&mut self.serving);
        for (index, role) in [RegionRole::Primary, RegionRole::Standby].into_iter().enumerate() {
            match &touched {
                None => serving[index] = self.look_at_all(role),
                Some(databases) => {
                    for told in &mut serving[index].told {
                        let template = told.template.clone();
                        databases.iter().for_each(|database| told.set(*database, self.gets(role, *database, template.as_ref(), told.version)));
                    }
                }
            }
            self.service[index].success = self.service(role, &serving[index]);
        }
        #[cfg(test)]
        self.compare(&serving);
        let all: Vec<usize>;
        let databases = match &touched {
            Some(databases) => databases,
            None => {
                all = (0..self.pairs.len()).collect();
                &all
            }
        };
        self.confirm(&serving, databases);
        self.serving = serving;
        self.measure();
        self.note_truth(databases);
    }

    /// Whoever looks at what was touched alone sees what whoever looks at everything sees.
    #[cfg(test)]
    fn compare(&self, serving: &[Serving; 2]) {
        if self.pairs.len() > 10 {
            return;
        }
        for (index, role) in [RegionRole::Primary, RegionRole::Standby].into_iter().enumerate() {
            let anew = self.look_at_all(role);
            assert_eq!(anew.told.len(), serving[index].told.len(), "a change has touched more than it said");
            for (one, other) in anew.told.iter().zip(&serving[index].told) {
                assert_eq!((&one.gets, one.unread, one.unwritten), (&other.gets, other.unread, other.unwritten), "a change has touched more than it said");
            }
        }
    }

    /// From now on the databases' instances confirm what they can.
    fn confirm(&mut self, serving: &[Serving; 2], databases: &[usize]) {
        let rates: Vec<(Rates, Rates)> = {
            let (at_primary, at_standby) = (self.those_who_serve(RegionRole::Primary), self.those_who_serve(RegionRole::Standby));
            let of = |database: usize| {
                let from_primary = self.confirmed(RegionRole::Primary, &serving[0], &at_primary, database);
                let from_standby = self.confirmed(RegionRole::Standby, &serving[1], &at_standby, database);
                (Rates { primary: from_primary.0, standby: from_standby.0 }, Rates { primary: from_primary.1, standby: from_standby.1 })
            };
            databases.iter().map(|database| of(*database)).collect()
        };
        for (database, (by_primary, by_standby)) in databases.iter().zip(rates) {
            self.clients.confirm(*database, by_primary, by_standby);
        }
    }

    /// What really happened to each component.
    fn note_truth(&mut self, databases: &[usize]) {
        let now = self.now;
        let mut truth = std::mem::take(&mut self.truth);
        for index in databases {
            let pair = &self.pairs[*index];
            let serves = |id: &DatabaseId| {
                let reached = self.role_of(&id.region).is_some_and(|role| self.network.reaches(From::Clients, role));
                reached && self.instances.get(id).is_some_and(|instance| instance.is_writable() && instance.lets_clients_in())
            };
            if self.instances.contains_key(&pair.primary) {
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

/// The parts of the load that each version's instances take, of those that are needed.
fn parts(serves: &Serves<'_>) -> impl Iterator<Item = (u64, u64)> {
    let mut left = serves.needed;
    serves.versions.iter().map(move |(version, count)| {
        let count = (*count).min(left);
        left -= count;
        (*version, u64::from(count) * ALL / u64::from(serves.needed.max(1)))
    })
}

fn told<'s>(serving: &'s Serving, template: Option<&LaunchTemplateId>, version: u64) -> Option<&'s Told> {
    serving.told.iter().find(|told| told.version == version && told.template.as_ref() == template)
}
