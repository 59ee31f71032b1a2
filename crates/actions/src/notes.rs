//! What a run, or a service, remembers between invocations: every note's name and shape, in one place.

use std::collections::BTreeMap;

use muster_core::ports::{GroupSize, Notes};
use muster_core::{ActionError, CallError, Clock, Context, Run, ScalingGroupId, Timestamp};
use muster_plan::{Name, Plan};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The point of no return, in words, if the run has passed it: a promotion or a move of traffic that it asked for.
pub(crate) async fn point_of_no_return(world: &impl Notes, cx: &Context<'_, Plan>) -> Result<Option<String>, ActionError> {
    for (database, _) in cx.plan.replica_databases() {
        if promotion_asked_at(world, cx.run, &database.name).await?.is_some() {
            return Ok(Some(format!("the promotion of {} was asked for", database.name)));
        }
    }
    for record in &cx.plan.traffic {
        if traffic_asked_at(world, cx.run, &record.record).await?.is_some() {
            return Ok(Some(format!("{} was asked to move", record.record)));
        }
    }
    Ok(None)
}

/// When traffic was last asked to move.
pub(crate) async fn traffic_asked_at(world: &impl Notes, run: &Run, record: &str) -> Result<Option<Timestamp>, ActionError> {
    read(world, &run.id.0, &format!("traffic/{record}")).await
}

pub(crate) async fn traffic_asked<W: Notes + Clock>(world: &W, run: &Run, record: &str) -> Result<(), CallError> {
    world.note(&run.id.0, &format!("traffic/{record}"), &json!(world.now())).await
}

pub(crate) async fn traffic_not_asked(world: &impl Notes, run: &Run, record: &str) -> Result<(), CallError> {
    world.note(&run.id.0, &format!("traffic/{record}"), &Value::Null).await
}

/// A person decided against a failover: for the plan's time, alarms start no other one.
pub(crate) async fn no_automatic_start<W: Notes + Clock>(world: &W, cx: &Context<'_, Plan>) -> Result<(), CallError> {
    let until = world.now().after(cx.plan.triggers.after_failover.no_automatic_failover_for);
    world.note(&service_scope(&cx.run.service), NO_AUTOMATIC_START, &json!(until)).await
}

/// Until when alarms start nothing, because a person said no.
pub(crate) async fn no_automatic_start_until(world: &impl Notes, service: &str) -> Result<Option<Timestamp>, ActionError> {
    read(world, &service_scope(service), NO_AUTOMATIC_START).await
}

const NO_AUTOMATIC_START: &str = "noAutomaticStartUntil";

/// The scope of what outlives a run.
pub(crate) fn service_scope(service: &str) -> String {
    format!("service/{service}")
}

pub(crate) async fn read<T: DeserializeOwned>(world: &impl Notes, scope: &str, name: &str) -> Result<Option<T>, ActionError> {
    match world.read_note(scope, name).await?.as_deref() {
        None | Some(Value::Null) => Ok(None),
        Some(value) => T::deserialize(value).map(Some).map_err(|error| {
            ActionError::Invalid(format!(
                "the note `{name}` of {scope} cannot be read: {error}. It was written by another version of Muster: close this run and start again"
            ))
        }),
    }
}

/// When the outage was first seen.
pub(crate) async fn outage_since(world: &impl Notes, run: &Run) -> Result<Option<Timestamp>, ActionError> {
    read(world, &run.id.0, "outageSince").await
}

pub(crate) async fn outage_began(world: &impl Notes, run: &Run, since: Timestamp) -> Result<(), CallError> {
    world.note_once(&run.id.0, "outageSince", &json!(since)).await.map(drop)
}

/// When a promotion was last asked for.
pub(crate) async fn promotion_asked_at(world: &impl Notes, run: &Run, database: &Name) -> Result<Option<Timestamp>, ActionError> {
    read(world, &run.id.0, &format!("promotion/{database}")).await
}

pub(crate) async fn promotion_asked<W: Notes + Clock>(world: &W, run: &Run, database: &Name) -> Result<(), CallError> {
    world.note(&run.id.0, &format!("promotion/{database}"), &json!(world.now())).await
}

pub(crate) async fn promotion_not_asked(world: &impl Notes, run: &Run, database: &Name) -> Result<(), CallError> {
    not_promoted(world, run, database).await?;
    world.note(&run.id.0, &format!("promotion/{database}"), &Value::Null).await
}

/// What a group's size was before the run changed it; the first note counts.
pub(crate) async fn remember_size(world: &impl Notes, run: &Run, id: &ScalingGroupId, size: GroupSize) -> Result<(), CallError> {
    world.note_once(&run.id.0, &size_note(id), &json!(size)).await.map(drop)
}

pub(crate) async fn remembered_size(world: &impl Notes, run: &Run, id: &ScalingGroupId) -> Result<Option<GroupSize>, ActionError> {
    read(world, &run.id.0, &size_note(id)).await
}

fn size_note(id: &ScalingGroupId) -> String {
    format!("size/{}/{}", id.region, id.name)
}

/// What a configuration item was before the run changed it; the first note counts.
pub(crate) async fn remember_value(world: &impl Notes, run: &Run, item: &Name, value: Option<&str>) -> Result<(), CallError> {
    world.note_once(&run.id.0, &format!("value/{item}"), &json!({ "value": value })).await.map(drop)
}

/// The value before the run changed it: `Some(None)` where there was none.
pub(crate) async fn remembered_value(world: &impl Notes, run: &Run, item: &Name) -> Result<Option<Option<String>>, ActionError> {
    #[derive(Deserialize)]
    struct Remembered {
        value: Option<String>,
    }
    Ok(read::<Remembered>(world, &run.id.0, &format!("value/{item}")).await?.map(|note| note.value))
}

/// A primary that could not be fenced: the service owes that until the primary is seen again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FenceDebt {
    /// The run that promoted another primary.
    pub(crate) run: Run,
    /// When.
    pub(crate) since: Timestamp,
}

pub(crate) fn fence_debt(database: &Name) -> String {
    format!("fenceDebt/{database}")
}

/// Whether a record's traffic has been taken over: what the probe publishes each minute.
pub(crate) fn takeover(record: &str) -> String {
    format!("takeover/{record}")
}

/// What AWS has finished in a phase, and when that was first seen: one note for the whole batch.
pub(crate) struct Finished {
    name: String,
    seen: BTreeMap<String, Timestamp>,
    changed: bool,
}

impl Finished {
    /// What earlier calls of the phase have seen.
    pub(crate) async fn read(world: &impl Notes, run: &Run, phase: &str) -> Result<Self, ActionError> {
        let name = format!("finished/{phase}");
        let seen = read(world, &run.id.0, &name).await?.unwrap_or_default();
        Ok(Finished { name, seen, changed: false })
    }

    /// The component is finished now, unless it was seen finished before: when was it first?
    pub(crate) fn first_seen(&mut self, component: &str, now: Timestamp) -> Timestamp {
        let changed = &mut self.changed;
        *self.seen.entry(component.to_owned()).or_insert_with(|| {
            *changed = true;
            now
        })
    }

    /// Keeps what was seen for the next call.
    pub(crate) async fn keep(&self, world: &impl Notes, run: &Run) -> Result<(), CallError> {
        if self.changed { world.note(&run.id.0, &self.name, &json!(self.seen)).await } else { Ok(()) }
    }
}

/// A standby that this service's own failover has made a primary: its data is the service's, and not a copy of long ago.
pub(crate) async fn promoted_by_us(world: &impl Notes, service: &str, database: &Name) -> Result<bool, ActionError> {
    Ok(read::<String>(world, &service_scope(service), &format!("promoted/{database}")).await?.is_some())
}

pub(crate) async fn note_promoted(world: &impl Notes, run: &Run, database: &Name) -> Result<(), CallError> {
    world.note(&service_scope(&run.service), &format!("promoted/{database}"), &json!(run.id)).await
}

/// A standby that replicates is no primary of ours, whatever an earlier failover made of it.
pub(crate) async fn not_promoted(world: &impl Notes, run: &Run, database: &Name) -> Result<(), CallError> {
    world.note(&service_scope(&run.service), &format!("promoted/{database}"), &Value::Null).await
}

/// A standby that this run has seen detached, and told people so.
pub(crate) async fn was_seen_detached(world: &impl Notes, run: &Run, database: &Name) -> Result<bool, ActionError> {
    Ok(read::<bool>(world, &run.id.0, &format!("detached/{database}")).await?.unwrap_or(false))
}

pub(crate) async fn seen_detached(world: &impl Notes, run: &Run, database: &Name) -> Result<(), CallError> {
    world.note_once(&run.id.0, &format!("detached/{database}"), &json!(true)).await.map(drop)
}

/// A standby that this run has seen replicate: should it be a primary later, somebody promoted it by hand meanwhile.
pub(crate) async fn was_seen_replicating(world: &impl Notes, run: &Run, database: &Name) -> Result<bool, ActionError> {
    Ok(read::<bool>(world, &run.id.0, &format!("replicating/{database}")).await?.unwrap_or(false))
}

pub(crate) async fn seen_replicating(world: &impl Notes, run: &Run, database: &Name) -> Result<(), CallError> {
    world.note_once(&run.id.0, &format!("replicating/{database}"), &json!(true)).await.map(drop)
}

/// When a cache was last asked to fail over, and the group that was primary before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct CacheAsked {
    pub(crate) at: Timestamp,
    pub(crate) former: Option<String>,
}

pub(crate) async fn cache_asked(world: &impl Notes, run: &Run, cache: &Name) -> Result<Option<CacheAsked>, ActionError> {
    read(world, &run.id.0, &format!("cache/{cache}")).await
}

pub(crate) async fn note_cache_asked(world: &impl Notes, run: &Run, cache: &Name, asked: &CacheAsked) -> Result<(), CallError> {
    world.note(&run.id.0, &format!("cache/{cache}"), &json!(asked)).await
}
