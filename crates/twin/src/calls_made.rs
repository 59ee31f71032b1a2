//! Which calls the actions made: what a systematic simulation goes through, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::world::Calling;

/// One operation of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallMade {
    /// Such as `promote-replica`.
    pub action: Arc<str>,
    /// Such as `rds:PromoteReadReplica`.
    pub operation: &'static str,
    /// Whether it changes the service's estate.
    pub mutates: bool,
    /// Whether it is about the service's estate, and not Muster's own tables.
    pub estate: bool,
    /// How often it was made, at least once.
    pub times: u64,
}

/// Every call since the incident, by action and operation.
#[derive(Clone, Debug, Default)]
pub struct CallsMade(BTreeMap<(Arc<str>, &'static str), CallMade>);

impl CallsMade {
    pub(crate) fn add(&mut self, action: &Arc<str>, calling: &Calling<'_>) {
        let made = self.0.entry((action.clone(), calling.operation)).or_insert_with(|| CallMade {
            action: action.clone(),
            operation: calling.operation,
            mutates: calling.mutates,
            estate: calling.estate,
            times: 0,
        });
        made.times += 1;
    }

    /// Each of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &CallMade> {
        self.0.values()
    }
}
