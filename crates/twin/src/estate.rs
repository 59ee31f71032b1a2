//! The estate of one plan, in both regions and the witness: plain data, built from the plan alone.
//!
//! Everything that will change by itself (a promotion that ends, an instance that becomes healthy) waits in one queue,
//! ordered by time and sequence, and is applied in that order when somebody looks: exact, and without a timer each.
//! Before every change clients are integrated up to it; after every change invariants are checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_core::ports::{Datapoint, GroupSize};
use muster_core::{DatabaseId, Duration, LaunchTemplateId, ParameterId, Region, ScalingGroupId, Timestamp};
use muster_plan::{BackgroundWorkload, CacheStandby, Compute, ComputeRole, Configuration, Database, DatabaseKind, DatabaseStandby, Fence, Plan, RegionRole};
use muster_report::Busy;

use crate::balancer::Balancer;
use crate::builds::AllBuilds;
use crate::caches::GlobalCache;
use crate::calls_made::CallsMade;
use crate::changes::Change;
use crate::clients::{Clients, Service};
use crate::clones::AllClones;
use crate::compute::{Group, LaunchTemplate};
use crate::databases::{DarkLag, Instance, Pair, Phase, Replication, host};
use crate::draw::{Draw, Draws};
use crate::durations::{Durations, LAG, Table};
use crate::invariants::Guard;
use crate::limits::Limits;
use crate::memory::Memory;
use crate::network::Network;
use crate::objects::Objects;
use crate::outcome::Effort;
use crate::scenario::Scenario;
use crate::serving::{Serving, Wiring};
use crate::shares::Rates;
use crate::snapshots::Snapshots;
use crate::story::{Event, Story};
use crate::strikes::Strikes;
use crate::traffic::Record;
use crate::truth::Truth;

/// The estate.
#[derive(Debug)]
pub struct Estate {
    /// The plan that it was built from.
    pub plan: Arc<Plan>,
    /// How long things take.
    pub durations: Durations,
    /// When the rehearsal began.
    pub started_at: Timestamp,
    /// When the incident begins.
    pub incident_at: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) queue: BTreeMap<(Timestamp, u64), Change>,
    pub(crate) sequence: u64,
    /// Who reaches whom.
    pub network: Network,
    /// The plan's databases, in its order.
    pub pairs: Vec<Pair>,
    /// Where applications read which instance they use, by database.
    pub(crate) wiring: Vec<Wiring>,
    /// The databases whose wiring a parameter is part of, by position.
    pub(crate) readers: BTreeMap<ParameterId, Vec<usize>>,
    /// Database instances.
    pub instances: BTreeMap<DatabaseId, Instance>,
    /// Auto Scaling groups.
    pub groups: BTreeMap<ScalingGroupId, Group>,
    /// Launch templates.
    pub templates: BTreeMap<LaunchTemplateId, LaunchTemplate>,
    /// Parameters.
    pub parameters: BTreeMap<ParameterId, Arc<str>>,
    /// Instances that the standby region's quota still lets start; absent where it is no limit.
    pub quota_left: Option<u32>,
    /// Global caches.
    pub caches: BTreeMap<Arc<str>, GlobalCache>,
    /// Snapshots, in every region.
    pub snapshots: Snapshots,
    /// Clones of databases, in every region.
    pub clones: AllClones,
    /// Builds that load dumps into them.
    pub builds: AllBuilds,
    /// What is set about buckets.
    pub objects: Objects,
    /// Public names, in the plan's order.
    pub records: Vec<Record>,
    /// Their positions, by name.
    pub(crate) record_of: BTreeMap<Arc<str>, usize>,
    /// The positions of the first records that a host of an endpoint belongs to.
    pub(crate) host_of: BTreeMap<Arc<str>, usize>,
    /// Metrics that Muster published, by region, namespace and name.
    pub published: BTreeMap<(Region, Arc<str>, Arc<str>), Vec<Datapoint>>,
    /// Clients.
    pub clients: Clients,
    /// What either region does for clients: primary, standby.
    pub service: [Service; 2],
    /// How it comes about.
    pub(crate) serving: [Serving; 2],
    /// The databases that the present change touches, and nothing else that clients notice; `None` where it may touch anything.
    pub(crate) touched: Option<Vec<usize>>,
    /// What either region's load balancer measured: primary, standby.
    pub(crate) balancers: [Balancer; 2],
    /// Metrics that somebody asked for and that are not modelled.
    pub(crate) unknown_metrics: BTreeSet<(Arc<str>, Arc<str>)>,
    /// Muster's own tables.
    pub memory: Memory,
    /// Since when the alarm on the probe's metric stands.
    pub alarm_since: Option<Timestamp>,
    /// Channels that accept nothing; `None` inside is all of them.
    pub channels_down: Vec<Option<String>>,
    /// What was done so far.
    pub(crate) effort: Effort,
    /// What is left of the budgets for calls.
    pub limits: Limits,
    /// How often each call was made, by the draws for it.
    calls: BTreeMap<Draws, u64>,
    /// Faults that are still to come.
    pub strikes: Strikes,
    /// Which calls were made since the incident, where somebody wants to know.
    pub(crate) made: Option<CallsMade>,
    /// Since when the primary region is back.
    pub(crate) primary_back_since: Option<Timestamp>,
    /// Whether the application in the primary region answers nobody.
    pub(crate) application_down: bool,
    /// AWS's own work.
    pub busy: Vec<Busy>,
    /// What happened to each component.
    pub truth: Truth,
    /// What must never happen, and what did.
    pub guard: Guard,
    /// What happened.
    pub story: Story,
}

/// How long normal life is rehearsed before the incident.
pub const NORMAL_LIFE: Duration = Duration::from_mins(5);

impl Estate {
    /// The estate of a plan on a good day at `started_at`, with a scenario's faults ahead of it.
    pub fn new(plan: &Arc<Plan>, sha256: Arc<str>, scenario: &Scenario, started_at: Timestamp) -> Self {
        let durations = Durations::new(Draw::new(scenario.seed), scenario.profile);
        let records: Vec<Record> = plan.traffic.iter().map(Record::new).collect();
        let answers: Vec<_> = records.iter().map(|record| record.answers.clone()).collect();
        let (rate, writes) = plan.load.as_ref().map_or((100, 200_000), |load| (load.requests_per_second, load.writes.as_ppm()));
        // Outages do not begin on the full minute.
        let into_the_minute = durations.within_a_minute("incident");
        let incident_at = started_at.after(NORMAL_LIFE).after(into_the_minute);
        let wiring = Wiring::of(plan);
        let mut estate = Estate {
            plan: plan.clone(),
            durations,
            started_at,
            incident_at,
            now: started_at,
            queue: BTreeMap::new(),
            sequence: 0,
            network: Network::default(),
            pairs: Vec::new(),
            readers: Wiring::readers(&wiring),
            wiring,
            instances: BTreeMap::new(),
            groups: BTreeMap::new(),
            templates: BTreeMap::new(),
            parameters: BTreeMap::new(),
            quota_left: None,
            caches: BTreeMap::new(),
            snapshots: Snapshots::default(),
            clones: AllClones::default(),
            builds: AllBuilds::default(),
            objects: Objects::default(),
            clients: Clients::new(started_at, rate, writes, &answers, plan.databases.len()),
            record_of: first_positions(records.iter().map(|record| std::slice::from_ref(&record.name).iter())),
            host_of: first_positions(records.iter().map(Record::hosts)),
            records,
            published: BTreeMap::new(),
            service: [Service::default(), Service::default()],
            serving: Default::default(),
            touched: None,
            balancers: [Balancer::default(), Balancer::default()],
            unknown_metrics: BTreeSet::new(),
            memory: Memory::new(plan, sha256),
            alarm_since: None,
            channels_down: Vec::new(),
            effort: Effort::default(),
            limits: Limits::default(),
            calls: BTreeMap::new(),
            strikes: Strikes::default(),
            made: None,
            primary_back_since: None,
            application_down: false,
            busy: Vec::new(),
            truth: Truth::default(),
            guard: Guard::new(scenario.seed),
            story: Story::default(),
        };
        estate.build_databases();
        estate.build_compute();
        estate.build_configuration();
        estate.build_caches();
        estate.strikes = Strikes::new(&scenario.faults);
        for (index, offset) in estate.strikes.timed() {
            let at = Timestamp::from_millis(incident_at.as_millis().saturating_add(offset)).max(started_at);
            estate.schedule(at, Change::Fault(index));
        }
        estate.refresh();
        estate
    }

    /// When the estate was last looked at.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The plan's region in that role.
    pub fn region(&self, role: RegionRole) -> &Region {
        self.plan.regions.get(role)
    }

    /// The role of a region in the plan; `None` for any other region.
    pub fn role_of(&self, region: &Region) -> Option<RegionRole> {
        [RegionRole::Primary, RegionRole::Standby, RegionRole::Witness].into_iter().find(|role| self.region(*role) == region)
    }

    /// Something will change at `at`.
    pub(crate) fn schedule(&mut self, at: Timestamp, change: Change) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), change);
    }

    /// AWS works on a component until the returned instant, as drawn.
    pub(crate) fn work(&mut self, component: &Arc<str>, what: &str, table: &Table, ordinal: u64, longer: Duration) -> Timestamp {
        let until = self.now.after(self.durations.of(table, component, what, ordinal)).after(longer);
        self.busy.push(Busy { component: component.to_string(), what: what.to_owned(), from: self.now, until });
        until
    }

    pub(crate) fn tell(&mut self, what: impl Into<String>) {
        let at = self.now;
        self.story.tell(|| Event::Estate { at, what: what.into() });
    }

    /// How long one more call takes; each has draws of its own.
    pub(crate) fn time_of_call(&mut self, table: &Table, operation: &str, resource: &str) -> Duration {
        let draws = self.durations.draw().of(resource, operation);
        let ordinal = self.calls.entry(draws).or_insert(0);
        *ordinal += 1;
        self.durations.drawn(table, draws.bits(*ordinal))
    }

    /// Applies whatever is due by `now`, in order. `now` never runs backwards.
    pub fn advance(&mut self, now: Timestamp) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= now) {
            let (at, _) = *entry.key();
            let change = entry.remove();
            self.change(at.max(self.now), |estate| estate.apply(change));
        }
        self.now = self.now.max(now);
    }

    /// Changes the estate at `now`: clients are integrated before, invariants checked after.
    pub fn change<T>(&mut self, now: Timestamp, effect: impl FnOnce(&mut Estate) -> T) -> T {
        self.now = self.now.max(now);
        self.integrate();
        self.touched = None;
        let value = effect(self);
        let touched = self.touched.clone();
        self.refresh();
        self.check(touched.as_deref());
        value
    }

    /// The change that is being made touches these databases, and nothing else that clients notice. A change that never says so may touch anything.
    pub(crate) fn touches(&mut self, databases: &[usize]) {
        self.touched.get_or_insert_default().extend_from_slice(databases);
    }

    /// Integrates clients up to now.
    pub fn integrate(&mut self) {
        self.clients.integrate(self.now, Rates { primary: self.service[0].success, standby: self.service[1].success });
    }

    /// The next instant at which something changes by itself.
    pub fn next_change(&self) -> Option<Timestamp> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    fn build_databases(&mut self) {
        let plan = self.plan.clone();
        for (index, database) in plan.databases.iter().enumerate() {
            let primary = DatabaseId::new(&plan.regions.primary, &database.primary);
            let standby = database.replica_id().map(|id| DatabaseId::new(&plan.regions.standby, id));
            if database.kind != DatabaseKind::External {
                self.instances.insert(primary.clone(), instance(database, index, &primary, None));
            }
            if let Some(id) = &standby {
                self.instances.insert(id.clone(), instance(database, index, id, Some(primary.clone())));
            }
            let name: Arc<str> = database.name.as_str().into();
            let base = self.durations.of(&LAG, &name, "lag", 0);
            let dark_lag = match self.durations.draw().below(&name, "dark lag", 0, 4) {
                0 => DarkLag::Broken,
                1 => DarkLag::Absent,
                _ => DarkLag::Frozen,
            };
            let replication = Replication::new(base);
            self.pairs.push(Pair { name, primary, standby, replication, dark_lag, promotions: 0, promotion: None, promotion_hangs: None });
        }
        for instance in self.instances.values_mut() {
            instance.remember(self.started_at);
        }
    }

    fn build_compute(&mut self) {
        let plan = self.plan.clone();
        for compute in &plan.compute {
            let serving = compute.role() == ComputeRole::Serving;
            let (primary, standby, desired, max, instance_type, template) = match compute {
                Compute::AutoScalingGroup(group) => {
                    let standby = &group.standby;
                    let instance_type = standby.instance_type.as_deref().unwrap_or("as in the launch template");
                    let max = standby.max.unwrap_or(standby.desired).max(standby.desired);
                    (group.primary.group.as_str(), standby.group.as_str(), standby.desired, max, instance_type, standby.launch_template.as_deref())
                }
                Compute::Background(background) => match &background.workload {
                    BackgroundWorkload::AutoScalingGroup { primary, standby, desired } => {
                        (primary.as_str(), standby.as_str(), *desired, *desired, "as in the launch template", None)
                    }
                    _ => continue,
                },
                Compute::EksNodeGroup(_) | Compute::KubernetesDeployment(_) => continue,
            };
            for (role, name, count) in [(RegionRole::Primary, primary, desired), (RegionRole::Standby, standby, 0)] {
                let region = plan.regions.get(role);
                let id = ScalingGroupId::new(region, name);
                let template = template.filter(|_| role == RegionRole::Standby).map(|name| LaunchTemplateId::new(region, name));
                if let Some(template) = &template {
                    self.templates.entry(template.clone()).or_insert_with(first_version);
                }
                let group = Group {
                    id: id.clone(),
                    component: compute.name().as_str().into(),
                    serving,
                    size: GroupSize { min: count, desired: count, max },
                    needed: desired.max(1),
                    instance_type: instance_type.into(),
                    template,
                    healthy: if count > 0 { [(1, count)].into() } else { BTreeMap::new() },
                    launching: 0,
                    started: 0,
                    targets_fail: false,
                    last_failure: None,
                };
                self.groups.insert(id, group);
            }
        }
    }

    /// On a good day everything that is configured points to the primary's parts.
    fn build_configuration(&mut self) {
        let plan = self.plan.clone();
        let positions = plan.databases.iter().enumerate().map(|(index, database)| (database.name.as_str(), index)).collect();
        for item in &plan.configuration {
            match item {
                Configuration::SsmParameter { parameter, value, region, .. } => {
                    let id = ParameterId::new(plan.regions.get(*region), parameter);
                    self.parameters.insert(id, self.resolved_to_primary(&positions, value).into());
                }
                Configuration::LaunchTemplate { template, user_data, .. } => {
                    let id = LaunchTemplateId::new(&plan.regions.standby, template);
                    let text = self.resolved_to_primary(&positions, user_data).into();
                    self.templates.insert(id, LaunchTemplate { versions: vec![text], tokens: BTreeMap::new() });
                }
                Configuration::Secret { .. } | Configuration::KubernetesEnv { .. } | Configuration::KubernetesRestart { .. } => {}
            }
        }
    }

    fn resolved_to_primary(&self, positions: &BTreeMap<&str, usize>, value: &muster_plan::Template) -> String {
        let resolved = value.substitute(|reference| {
            let index = positions.get(reference.name.as_str()).copied().filter(|_| reference.section == "databases");
            let text = match (index, reference.attribute.as_deref()) {
                (Some(index), Some("endpoint")) => host(&self.pairs[index].primary).to_string(),
                (Some(index), Some("port")) => self.plan.databases[index].port().to_string(),
                _ => reference.to_string(),
            };
            Some(text)
        });
        resolved.unwrap_or_else(|_| value.0.clone())
    }

    fn build_caches(&mut self) {
        for cache in &self.plan.caches {
            if let CacheStandby::GlobalDatastore { global_id, id } = &cache.standby {
                let global = GlobalCache::new(cache.name.as_str(), global_id, &self.plan.regions, &cache.primary, id);
                self.caches.insert(global.id.clone(), global);
            }
        }
    }
}

/// The position of the first that has each name.
fn first_positions<'n>(named: impl Iterator<Item = impl Iterator<Item = &'n Arc<str>>>) -> BTreeMap<Arc<str>, usize> {
    let mut positions = BTreeMap::new();
    for (index, names) in named.enumerate() {
        for name in names {
            positions.entry(name.clone()).or_insert(index);
        }
    }
    positions
}

fn first_version() -> LaunchTemplate {
    LaunchTemplate { versions: vec!["".into()], tokens: BTreeMap::new() }
}

fn instance(database: &Database, index: usize, id: &DatabaseId, source: Option<DatabaseId>) -> Instance {
    let host = host(id);
    let retention = match &database.standby {
        DatabaseStandby::Replica { backup_retention, .. } if source.is_some() => backup_retention.map_or(0, days),
        _ => database.backup_retention.map_or(7, days),
    };
    Instance {
        id: id.clone(),
        database: index,
        phase: Phase::Available,
        source,
        endpoint: format!("{host}:{}", database.port()).into(),
        host,
        groups: vec![format!("sg-{}", database.name).into()],
        quarantined: false,
        held_sessions: 0,
        read_only: false,
        retention,
        changes: 0,
        history: Vec::new(),
    }
}

fn days(span: Duration) -> u32 {
    u32::try_from(span.as_millis() / 86_400_000).unwrap_or(35)
}

/// The security group that a plan quarantines a database with.
pub(crate) fn quarantine_group(database: &Database) -> Option<&str> {
    database.fence.as_ref().map(|Fence::Quarantine { security_group, .. }| security_group.as_str())
}
