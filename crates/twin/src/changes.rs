//! What changes in the estate by itself, and how.

use muster_core::ports::{Answer, GroupSize};
use muster_core::{DatabaseId, Duration, Override, RunId, ScalingGroupId};
use muster_plan::{Compute, RegionRole};
use std::sync::Arc;

use crate::caches::GlobalCache;
use crate::clients::Side;
use crate::databases::{Phase, Promotion};
use crate::durations::{CATCH_UP, FIRST_BACKUP, PROMOTION, PROMOTION_NOTICED, REBOOT};
use crate::estate::Estate;
use crate::faults::{Accepting, Fault};

/// Something that is going to happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A promotion ends.
    Promoted(DatabaseId),
    /// A reboot ends.
    Rebooted(DatabaseId),
    /// A backup ends.
    BackedUp(DatabaseId),
    /// A change of security groups takes effect.
    Grouped {
        /// The instance.
        id: DatabaseId,
        /// Whether clients are kept out.
        quarantined: bool,
    },
    /// An instance becomes healthy.
    Healthy {
        /// Its group.
        group: ScalingGroupId,
        /// The launch template's version that it was started with.
        version: u64,
    },
    /// A global datastore has a new primary.
    CacheMoved {
        /// The datastore.
        id: Arc<str>,
        /// The region of the new primary.
        region: RegionRole,
    },
    /// The servers answer with another side.
    Answers {
        /// The record, by position.
        record: usize,
        /// The side.
        side: Side,
        /// The change that this was; a later one overtakes it.
        change: u64,
    },
    /// A fault of the scenario, by position.
    Fault(usize),
    /// A person answers a question.
    Answered {
        /// The fault, by position.
        fault: usize,
        /// The run.
        run: RunId,
        /// The question.
        name: Arc<str>,
    },
}

impl Estate {
    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Promoted(id) => self.finish_promotion(&id),
            Change::Rebooted(id) | Change::BackedUp(id) => self.becomes_available(&id),
            Change::Grouped { id, quarantined } => self.groups_take_effect(&id, quarantined),
            Change::Healthy { group, version } => self.instance_becomes_healthy(&group, version),
            Change::CacheMoved { id, region } => {
                let region = self.region(region).clone();
                if let Some(cache) = self.caches.get_mut(&id) {
                    cache.make_primary(&region, self.now);
                    self.tell(format!("{id}: the cluster in {region} is the primary"));
                }
            }
            Change::Answers { record, side, change } => self.answers_change(record, side, change),
            Change::Fault(index) => {
                if let Some(fault) = self.strikes.take(index) {
                    self.strike(&fault);
                }
            }
            Change::Answered { fault, run, name } => self.person_answers(fault, &run, &name),
        }
    }

    /// Starts the promotion of a replica. The caller has seen that it can be promoted.
    pub(crate) fn begin_promotion(&mut self, id: &DatabaseId, retention: u32, by_hand: bool) {
        let now = self.now;
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.changes += 1;
        let (index, ordinal) = (instance.database, instance.changes);
        let reboots = instance.retention == 0;
        if !reboots {
            instance.retention = retention.max(instance.retention);
        }
        self.touches(&[index]);
        let pair = &mut self.pairs[index];
        let (name, hangs) = (pair.name.clone(), pair.promotion_hangs.unwrap_or(Duration::ZERO));
        let cut_at = pair.replication.cut_at;
        pair.promotions += 1;
        pair.promotion = Some(Promotion { at: now, position: pair.replication.position(now), cut_at, finished_at: None, by_hand });
        let noticed = now.after(self.durations.of(&PROMOTION_NOTICED, &name, "promotion noticed", ordinal));
        if let Some(instance) = self.instances.get_mut(id) {
            instance.phase = Phase::Promoting { noticed };
            instance.remember(noticed);
        }
        let until = self.work(&name, "promotion", &PROMOTION, ordinal, hangs).max(noticed);
        self.schedule(until, Change::Promoted(id.clone()));
        self.tell(format!("{id} is being promoted{}", if by_hand { ", by hand" } else { "" }));
    }

    fn finish_promotion(&mut self, id: &DatabaseId) {
        let now = self.now;
        let Some(instance) = self.instances.get_mut(id) else { return };
        instance.source = None;
        let (index, ordinal) = (instance.database, instance.changes);
        let reboots = instance.retention == 0;
        instance.retention = instance.retention.max(1);
        instance.phase = if reboots { Phase::Rebooting } else { Phase::Available };
        let backs_up = !reboots && self.durations.draw().chance(&id.name, "first backup", ordinal, 4);
        if backs_up {
            instance.phase = Phase::BackingUp;
        }
        instance.remember(now);
        self.touches(&[index]);
        let name = self.pairs[index].name.clone();
        if let Some(promotion) = &mut self.pairs[index].promotion {
            promotion.finished_at = Some(now);
        }
        self.tell(format!("{id} is a primary of its own"));
        if reboots {
            let until = self.work(&name, "reboot after promotion", &REBOOT, ordinal, Duration::ZERO);
            self.schedule(until, Change::Rebooted(id.clone()));
        } else if backs_up {
            let until = now.after(self.durations.of(&FIRST_BACKUP, &name, "first backup", ordinal));
            self.schedule(until, Change::BackedUp(id.clone()));
        }
    }

    fn becomes_available(&mut self, id: &DatabaseId) {
        let now = self.now;
        let Some(instance) = self.instances.get_mut(id).filter(|instance| matches!(instance.phase, Phase::Rebooting | Phase::BackingUp)) else { return };
        instance.phase = Phase::Available;
        instance.remember(now);
        let index = instance.database;
        self.touches(&[index]);
        self.tell(format!("{id} is available"));
    }

    fn groups_take_effect(&mut self, id: &DatabaseId, quarantined: bool) {
        let sessions = self.sessions(id);
        let Some(instance) = self.instances.get_mut(id) else { return };
        if quarantined && !instance.quarantined {
            instance.held_sessions = sessions;
        }
        instance.quarantined = quarantined;
        let index = instance.database;
        self.touches(&[index]);
        self.tell(format!("{id} {}", if quarantined { "lets no new client in" } else { "lets clients in" }));
    }

    fn instance_becomes_healthy(&mut self, id: &ScalingGroupId, version: u64) {
        let Some(group) = self.groups.get_mut(id).filter(|group| group.launching > 0 && !group.targets_fail) else { return };
        group.launching -= 1;
        *group.healthy.entry(version).or_insert(0) += 1;
        let (healthy, desired) = (group.healthy(), group.size.desired);
        if healthy == desired {
            self.tell(format!("{id}: {healthy} of {desired} instances are healthy"));
        }
    }

    fn answers_change(&mut self, index: usize, side: Side, change: u64) {
        // Clients follow; what either region does for those who come is as it was.
        self.touches(&[]);
        let now = self.now;
        if self.records[index].apply(now, side, change) {
            self.clients.turn(self.records[index].answers.ttl(), side);
            let text = format!("{} is answered with {}", self.records[index].name, self.records[index].target(side));
            self.tell(text);
        }
    }

    /// A fault happens that is no fault of a single call.
    pub(crate) fn strike(&mut self, fault: &Fault) {
        use RegionRole::{Primary, Standby, Witness};
        match fault {
            Fault::RegionDown => {
                self.network.darken(Primary);
                self.tell("the primary region is down");
                self.link_changed();
            }
            Fault::RegionPartitioned => {
                self.network.cut(Standby, Primary);
                self.tell("the standby region does not see the primary region any more");
                self.link_changed();
            }
            Fault::RegionIsolated => {
                self.network.cut(Standby, Primary);
                self.network.cut(Witness, Primary);
                self.tell("nobody but its clients sees the primary region any more");
                self.link_changed();
            }
            Fault::RegionReturns => {
                self.network.restore(Primary);
                self.primary_back_since = Some(self.now);
                self.tell("the primary region is back");
                self.link_changed();
            }
            Fault::ControlPlaneDown { service } => {
                self.network.stop_control_plane(Standby, service);
                self.tell(format!("the control plane of {service} in the standby region is down"));
            }
            Fault::ReplicaLag { already, permille } => {
                for pair in &mut self.pairs {
                    pair.replication.base = pair.replication.base.saturating_add(*already);
                    pair.replication.falling_behind = Some((self.now, *permille));
                }
                self.tell("replicas fall behind");
            }
            Fault::PromotionHangs { by } => {
                for pair in &mut self.pairs {
                    pair.promotion_hangs = Some(*by);
                }
            }
            Fault::ReplicaBackingUp { span } => self.replicas_back_up(*span),
            Fault::QuotaReached { left } => {
                self.quota_left = Some(*left);
                self.tell(format!("the quota in the standby region leaves room for {left} instances"));
            }
            Fault::TargetUnhealthy => {
                let standby = self.region(Standby).clone();
                for group in self.groups.values_mut().filter(|group| group.id.region == standby) {
                    group.targets_fail = true;
                }
                self.tell("new instances in the standby region do not become healthy");
            }
            Fault::ChannelDown { channel } => {
                self.channels_down.push(channel.clone());
                self.tell(format!("{} accepts no message", channel.as_deref().unwrap_or("no channel")));
            }
            Fault::KillSwitchSet => self.set_kill_switch(),
            Fault::KillSwitchCleared => {
                self.memory.kill_switch = None;
                self.tell("somebody clears the kill switch");
            }
            Fault::OperatorPromotes => {
                let ids: Vec<_> = self.pairs.iter().filter(|pair| pair.promotion.is_none()).filter_map(|pair| pair.standby.clone()).collect();
                for id in ids {
                    if self.instances.get(&id).is_some_and(|instance| instance.phase == Phase::Available) {
                        self.begin_promotion(&id, 1, true);
                    }
                }
            }
            Fault::ApplicationDown => {
                self.application_down = true;
                self.tell("the application in the primary region answers nobody");
            }
            Fault::GlobalPlanesDown => {
                self.network.stop_global_planes();
                self.tell("the control planes in us-east-1 do not answer");
            }
            Fault::OperatorScales => self.operator_scales(),
            Fault::OperatorFailsCachesOver => self.operator_fails_caches_over(),
            Fault::Snapshots { fault, span } => self.snapshots.faults.push((fault.clone(), self.now, self.now.after(*span))),
            Fault::Clones { fault, span } => self.clones.faults.push((*fault, self.now, self.now.after(*span))),
            Fault::Answer { .. }
            | Fault::AlarmAgain
            | Fault::OperatorStarts
            | Fault::ExecutionStopped { .. }
            | Fault::Call { .. }
            | Fault::StaleRead { .. }
            | Fault::DuplicateDelivery
            | Fault::CrashBefore
            | Fault::CrashAfter => {}
        }
    }

    /// Sets the kill switch, as an operator would.
    pub fn set_kill_switch(&mut self) {
        let switch = muster_core::ports::KillSwitch { by: "operator".into(), reason: "rehearsed".into() };
        self.memory.kill_switch = Some((switch, self.now));
        self.tell("somebody sets the kill switch");
    }

    fn operator_scales(&mut self) {
        let plan = self.plan.clone();
        for compute in &plan.compute {
            let Compute::AutoScalingGroup(group) = compute else { continue };
            let id = ScalingGroupId::new(&plan.regions.standby, &group.standby.group);
            let Some(now) = self.groups.get(&id).map(|group| group.size).filter(|size| size.desired < group.standby.desired) else { continue };
            self.tell("an operator sizes a group in the console");
            let desired = group.standby.desired;
            // A console refuses what it refuses: then nothing changes.
            let _ = self.resize(&id, GroupSize { min: now.min, desired, max: now.max.max(desired) });
        }
    }

    fn operator_fails_caches_over(&mut self) {
        let standby = self.region(RegionRole::Standby).clone();
        let members = |cache: &GlobalCache| {
            let member = cache.members.iter().find(|member| member.region == standby && !member.primary)?;
            Some((cache.id.clone(), member.group.clone()))
        };
        let caches: Vec<_> = self.caches.values().filter_map(members).collect();
        for (id, group) in caches {
            self.tell(format!("an operator fails {id} over in the console"));
            // As above.
            let _ = self.failover_cache(&standby, &id, &group);
        }
    }

    fn replicas_back_up(&mut self, span: Duration) {
        let ids: Vec<_> = self.pairs.iter().filter_map(|pair| pair.standby.clone()).collect();
        for id in ids {
            let (now, until) = (self.now, self.now.after(span));
            let Some(instance) = self.instances.get_mut(&id).filter(|instance| instance.phase == Phase::Available) else { continue };
            instance.phase = Phase::BackingUp;
            instance.remember(now);
            let index = instance.database;
            self.touches(&[index]);
            self.schedule(until, Change::BackedUp(id.clone()));
            self.tell(format!("{id} is being backed up"));
        }
    }

    /// Replication follows the link between the regions; names that move by themselves follow the primary's health.
    fn link_changed(&mut self) {
        let linked = self.network.reaches(crate::network::From::Region(RegionRole::Standby), RegionRole::Primary);
        let now = self.now;
        for index in 0..self.pairs.len() {
            if linked {
                let catch_up = self.durations.of(&CATCH_UP, &self.pairs[index].name, "catch up", 0);
                self.pairs[index].replication.mend(now, catch_up);
            } else {
                self.pairs[index].replication.cut(now);
            }
        }
        let up = self.network.reaches(crate::network::From::Clients, RegionRole::Primary);
        for index in 0..self.records.len() {
            if self.records[index].automatic {
                self.move_record(index, if up { Side::Primary } else { Side::Standby }, &crate::durations::TAKEOVER);
            }
        }
    }

    /// The servers will answer with `side` once that has gone through.
    pub(crate) fn move_record(&mut self, index: usize, side: Side, table: &crate::durations::Table) {
        if self.records[index].wanted == side {
            return;
        }
        self.records[index].wanted = side;
        self.records[index].changes += 1;
        let (name, change) = (self.records[index].name.clone(), self.records[index].changes);
        let until = self.work(&name, "DNS", table, change, Duration::ZERO);
        self.schedule(until, Change::Answers { record: index, side, change });
    }

    fn person_answers(&mut self, fault: usize, run: &RunId, name: &str) {
        let Some(Fault::Answer { choice, by, accepting, .. }) = self.strikes.get(fault).cloned() else { return };
        let overrides = self.risks(accepting, by, name);
        let answer = Answer { choice: choice.into(), by: by.into(), reason: "rehearsed".into(), at: self.now, overrides };
        let question = self.memory.answer(run, name, &answer);
        let counted = question.is_some_and(|question| question.answer.as_ref() == Some(&answer));
        if counted {
            answer.overrides.iter().for_each(|risk| self.guard.accepts(risk));
        }
        self.tell(format!("{by} answers {name} with {choice}{}", if counted { "" } else { ", too late" }));
    }

    fn risks(&self, accepting: Accepting, by: &str, question: &str) -> Vec<Override> {
        let (by, reason) = (by.to_owned(), "rehearsed".to_owned());
        let phase = question.split('@').next().unwrap_or(question).to_owned();
        let mut risks = Vec::new();
        if accepting == Accepting::Everything {
            risks.push(Override::Check { phase, by: by.clone(), reason: reason.clone() });
        }
        for pair in &self.pairs {
            let database = pair.name.to_string();
            if matches!(accepting, Accepting::Loss | Accepting::Everything) {
                risks.push(Override::Lag { database: database.clone(), up_to: None, by: by.clone(), reason: reason.clone() });
            }
            if matches!(accepting, Accepting::Unfenced | Accepting::Everything) {
                risks.push(Override::Unfenced { database, by: by.clone(), reason: reason.clone() });
            }
        }
        risks
    }
}
