//! Auto Scaling groups and what their instances are told.
//!
//! Modelled: instances that take minutes to become healthy, a quota, targets that never become healthy, and that an
//! instance keeps the launch template's version that it was started with, while a parameter of Parameter Store is read
//! afresh on every connection. Not modelled: health-check replacement, spot, zones, warm pools, EKS and its workloads
//! (no port of Muster moves them): where a plan serves from those alone, capacity is always whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::ports::{GroupSize, GroupState};
use muster_core::{LaunchTemplateId, ScalingGroupId};

/// One Auto Scaling group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub id: ScalingGroupId,
    /// The compute of the plan that it belongs to.
    pub component: Arc<str>,
    /// Whether clients wait for it.
    pub serving: bool,
    /// Its size.
    pub size: GroupSize,
    /// Instances that must be healthy to take the whole load.
    pub needed: u32,
    /// The type of its instances.
    pub instance_type: Arc<str>,
    /// Its launch template.
    pub template: Option<LaunchTemplateId>,
    /// Healthy instances, by the version of the launch template that they were started with.
    pub healthy: BTreeMap<u64, u32>,
    /// Instances that were started and are not healthy yet.
    pub launching: u32,
    /// How many were ever started: names the next draw.
    pub started: u64,
    /// Whether its instances never become healthy: a fault.
    pub targets_fail: bool,
    /// Why the newest scaling activity failed.
    pub last_failure: Option<String>,
}

impl Group {
    /// Healthy instances.
    pub fn healthy(&self) -> u32 {
        self.healthy.values().sum()
    }

    /// Instances that run.
    pub fn running(&self) -> u32 {
        self.healthy() + self.launching
    }

    /// Takes away instances until `count` run: those that are launching first, then the oldest version.
    pub fn shrink_to(&mut self, count: u32) {
        while self.running() > count {
            if self.launching > 0 {
                self.launching -= 1;
            } else if let Some(mut oldest) = self.healthy.first_entry() {
                *oldest.get_mut() -= 1;
                if *oldest.get() == 0 {
                    oldest.remove();
                }
            }
        }
    }

    /// What Auto Scaling says about it.
    pub fn describe(&self) -> GroupState {
        GroupState { size: self.size, healthy: self.healthy(), last_failure: self.last_failure.clone() }
    }
}

/// One launch template.
#[derive(Clone, Debug)]
pub struct LaunchTemplate {
    /// The user data of its versions, from version 1 on.
    pub versions: Vec<Arc<str>>,
    /// The versions that client tokens made.
    pub tokens: BTreeMap<Arc<str>, u64>,
}

impl LaunchTemplate {
    /// The newest version's number.
    pub fn latest(&self) -> u64 {
        u64::try_from(self.versions.len()).unwrap_or(1)
    }

    /// The user data of a version.
    pub fn user_data(&self, version: u64) -> &str {
        version.checked_sub(1).and_then(|index| self.versions.get(usize::try_from(index).ok()?)).map_or("", |text| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_shrinks_from_the_newest_effort_to_the_oldest_version() {
        let mut group = Group {
            id: ScalingGroupId::new(&"us-west-2".parse().unwrap(), "asg"),
            component: "web".into(),
            serving: true,
            size: GroupSize { min: 0, desired: 5, max: 5 },
            needed: 5,
            instance_type: "m6i.large".into(),
            template: None,
            healthy: BTreeMap::from([(1, 2), (2, 1)]),
            launching: 2,
            started: 5,
            targets_fail: false,
            last_failure: None,
        };
        group.shrink_to(2);
        assert_eq!((group.launching, group.healthy), (0, BTreeMap::from([(1, 1), (2, 1)])));
    }
}
