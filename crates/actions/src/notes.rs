//! What a run, or a service, remembers between invocations: every note's name and shape, in one place.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use muster_core::ports::{GroupSize, Note, Notes};
use muster_core::{ActionError, CallError, Clock, Context, Duration, Override, Run, ScalingGroupId, Timestamp};
use muster_plan::{Name, PartReference, Plan};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Notes of a scope, read by one query.
#[derive(Debug, Default)]
pub(crate) struct Book {
    scope: Arc<str>,
    notes: BTreeMap<String, Arc<Value>>,
}

impl Book {
    /// Everything that a run has noted whose name begins so.
    pub(crate) async fn of_run(world: &impl Notes, run: &Run, beginning: &str) -> Result<Self, ActionError> {
        Ok(Book { scope: run.id.0.clone(), notes: world.read_notes(&run.id.0, beginning).await? })
    }

    /// Everything that is noted of a service, beyond its runs, whose name begins so.
    pub(crate) async fn of_service(world: &impl Notes, service: &str, beginning: &str) -> Result<Self, ActionError> {
        let scope: Arc<str> = service_scope(service).into();
        Ok(Book { notes: world.read_notes(&scope, beginning).await?, scope })
    }

    /// A note, if there is one.
    pub(crate) fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, ActionError> {
        parse(&self.scope, name, self.notes.get(name).map(|value| &**value))
    }

    /// Whether there is a note of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.notes.get(name).is_some_and(|value| !value.is_null())
    }

    /// When a promotion was last asked for.
    pub(crate) fn promotion_asked_at(&self, database: &Name) -> Result<Option<Timestamp>, ActionError> {
        self.get(&promotion(database))
    }

    /// When traffic was last asked to move.
    pub(crate) fn traffic_asked_at(&self, record: &str) -> Result<Option<Timestamp>, ActionError> {
        self.get(&traffic(record))
    }

    /// A standby that this service's own failover has made a primary: its data is the service's, and not a copy of long ago. In the service's book.
    pub(crate) fn promoted_by_us(&self, database: &Name) -> bool {
        self.has(&promoted(database))
    }

    /// A standby that this run has seen detached, and told people so.
    pub(crate) fn was_seen_detached(&self, database: &Name) -> bool {
        self.has(&detached(database))
    }

    /// A standby that this run has seen replicate: should it be a primary later, somebody promoted it by hand meanwhile.
    pub(crate) fn was_seen_replicating(&self, database: &Name) -> bool {
        self.has(&replicating(database))
    }

    /// When the outage was first seen.
    pub(crate) fn outage_since(&self) -> Result<Option<Timestamp>, ActionError> {
        self.get(OUTAGE_SINCE)
    }

    /// The size of a group before the run changed it.
    pub(crate) fn remembered_size(&self, id: &ScalingGroupId) -> Result<Option<GroupSize>, ActionError> {
        self.get(&size_note(id))
    }

    /// The value of a configuration item before the run changed it: `Some(None)` where there was none.
    pub(crate) fn remembered_value(&self, item: &Name) -> Result<Option<Option<String>>, ActionError> {
        #[derive(Deserialize)]
        struct Remembered {
            value: Option<String>,
        }
        Ok(self.get::<Remembered>(&format!("value/{item}"))?.map(|note| note.value))
    }

    /// When a cache was last asked to fail over, and what was primary before.
    pub(crate) fn cache_asked(&self, cache: &Name) -> Result<Option<CacheAsked>, ActionError> {
        self.get(&format!("cache/{cache}"))
    }

    /// Every override of a run: those it was started with, then those that people gave in answers.
    pub(crate) fn overrides(&self, run: &Run) -> Result<Vec<Override>, ActionError> {
        let mut overrides = run.overrides.clone();
        overrides.extend(self.get::<Vec<Override>>(OVERRIDES)?.unwrap_or_default());
        Ok(overrides)
    }
}

/// A note in a run's scope.
pub(crate) fn of_run(run: &Run, name: String, value: Value) -> Note {
    Note { scope: run.id.0.clone(), name, value }
}

/// A note in the scope of what outlives a run.
pub(crate) fn of_service(run: &Run, name: String, value: Value) -> Note {
    Note { scope: service_scope(&run.service).into(), name, value }
}

pub(crate) fn promotion(database: &Name) -> String {
    format!("{PROMOTION}{database}")
}

pub(crate) const PROMOTION: &str = "promotion/";

/// In the service's scope.
pub(crate) fn promoted(database: &Name) -> String {
    format!("{PROMOTED}{database}")
}

pub(crate) const PROMOTED: &str = "promoted/";

pub(crate) fn detached(database: &Name) -> String {
    format!("detached/{database}")
}

pub(crate) fn replicating(database: &Name) -> String {
    format!("replicating/{database}")
}

pub(crate) fn traffic(record: &str) -> String {
    format!("{TRAFFIC}{record}")
}

pub(crate) const TRAFFIC: &str = "traffic/";

pub(crate) const OVERRIDES: &str = "overrides";
const OUTAGE_SINCE: &str = "outageSince";

/// The point of no return, in words, if the run has passed it: a promotion or a move of traffic that it asked for.
pub(crate) async fn point_of_no_return(world: &impl Notes, cx: &Context<'_, Plan>) -> Result<Option<String>, ActionError> {
    let promotions = Book::of_run(world, cx.run, PROMOTION).await?;
    if let Some((database, _)) = cx.plan.replica_databases().find(|(database, _)| promotions.has(&promotion(&database.name))) {
        return Ok(Some(format!("the promotion of {} was asked for", database.name)));
    }
    let moves = Book::of_run(world, cx.run, TRAFFIC).await?;
    let moved = cx.plan.traffic.iter().find(|record| moves.has(&traffic(&record.record)));
    Ok(moved.map(|record| format!("{} was asked to move", record.record)))
}

/// The notes that a promotion is asked for now: of the run, and for those that come after it.
pub(crate) fn promotion_asked(run: &Run, database: &Name, now: Timestamp) -> [Note; 2] {
    [of_run(run, promotion(database), json!(now)), of_service(run, promoted(database), json!(run.id))]
}

/// The same, taken back: the call was certainly not applied.
pub(crate) fn promotion_not_asked(run: &Run, database: &Name) -> [Note; 2] {
    [of_run(run, promotion(database), Value::Null), of_service(run, promoted(database), Value::Null)]
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
    parse(scope, name, world.read_note(scope, name).await?.as_deref())
}

fn parse<T: DeserializeOwned>(scope: &str, name: &str, value: Option<&Value>) -> Result<Option<T>, ActionError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => T::deserialize(value).map(Some).map_err(|error| {
            ActionError::Invalid(format!(
                "the note `{name}` of {scope} cannot be read: {error}. It was written by another version of Muster: close this run and start again"
            ))
        }),
    }
}

pub(crate) async fn outage_began(world: &impl Notes, run: &Run, since: Timestamp) -> Result<(), CallError> {
    world.note_once(&run.id.0, OUTAGE_SINCE, &json!(since)).await.map(drop)
}

/// What a group's size was before the run changed it; the first note counts.
pub(crate) async fn remember_size(world: &impl Notes, run: &Run, id: &ScalingGroupId, size: GroupSize) -> Result<(), CallError> {
    world.note_once(&run.id.0, &size_note(id), &json!(size)).await.map(drop)
}

fn size_note(id: &ScalingGroupId) -> String {
    format!("size/{}/{}", id.region, id.name)
}

/// What a configuration item was before the run changed it; the first note counts.
pub(crate) async fn remember_value(world: &impl Notes, run: &Run, item: &Name, value: Option<&str>) -> Result<(), CallError> {
    world.note_once(&run.id.0, &format!("value/{item}"), &json!({ "value": value })).await.map(drop)
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
    format!("{FENCE_DEBT}{database}")
}

pub(crate) const FENCE_DEBT: &str = "fenceDebt/";

/// Whether a record's traffic has been taken over: what the probe publishes each minute.
pub(crate) fn takeover(record: &str) -> String {
    format!("{TAKEOVER}{record}")
}

pub(crate) const TAKEOVER: &str = "takeover/";

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

    /// The same, from what was read already.
    pub(crate) fn in_book(book: &Book, phase: &str) -> Result<Self, ActionError> {
        let name = format!("finished/{phase}");
        Ok(Finished { seen: book.get(&name)?.unwrap_or_default(), name, changed: false })
    }

    /// Whether an earlier call has seen the component finished.
    pub(crate) fn has(&self, component: &str) -> bool {
        self.seen.contains_key(component)
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

/// The load of a dump: which one, into which database, by which build.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Loading {
    /// Which load of the run's it is of that part, from 1 on.
    pub(crate) attempt: u32,
    /// The object's key.
    pub(crate) object: String,
    /// The instant that its data is of.
    pub(crate) taken_at: Timestamp,
    /// When the build was asked for.
    pub(crate) asked_at: Timestamp,
    /// The token that it was asked for with.
    pub(crate) token: String,
    /// After so long the build is stopped.
    pub(crate) time_out: Duration,
    /// The build, once its id is known.
    pub(crate) build: Option<String>,
    /// The newer dump that was passed over: too small to be one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) passed_over: Option<String>,
}

/// The load of a part's dump, if it was asked for.
pub(crate) async fn loading(world: &impl Notes, run: &Run, of: &PartReference) -> Result<Option<Loading>, ActionError> {
    read(world, &run.id.0, &load_note(of)).await
}

/// An order that is to be placed. Of two of one attempt that are written down at once, the first counts: whoever wrote the other places that one.
pub(crate) async fn note_order(world: &impl Notes, run: &Run, of: &PartReference, order: Loading) -> Result<Loading, ActionError> {
    let name = format!("{}/{}", load_note(of), order.attempt);
    let stands = world.note_once(&run.id.0, &name, &json!(order)).await?;
    let order = parse(&run.id.0, &name, Some(&stands))?.unwrap_or(order);
    note_loading(world, run, of, &order).await?;
    Ok(order)
}

pub(crate) async fn note_loading(world: &impl Notes, run: &Run, of: &PartReference, loading: &Loading) -> Result<(), CallError> {
    world.note(&run.id.0, &load_note(of), &json!(loading)).await
}

fn load_note(of: &PartReference) -> String {
    format!("load/{}", of.0)
}

/// What a phase has settled for good, so that its next call goes on with the rest: one note for the whole batch. An attempt of the phase that begins
/// anew settles everything anew.
pub(crate) struct Settled {
    name: String,
    kept: Kept,
    changed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Kept {
    since: Timestamp,
    names: BTreeSet<String>,
}

impl Settled {
    /// What earlier calls of this attempt have settled.
    pub(crate) async fn read(world: &impl Notes, cx: &Context<'_, Plan>, what: &str) -> Result<Self, ActionError> {
        let name = format!("settled/{}/{what}", cx.phase);
        let known: Option<Kept> = if cx.elapsed().is_zero() { None } else { read(world, &cx.run.id.0, &name).await? };
        let kept = known.filter(|known| known.since == cx.since).unwrap_or(Kept { since: cx.since, names: BTreeSet::new() });
        Ok(Settled { name, kept, changed: false })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.kept.names.contains(name)
    }

    /// Those whose name begins so, without that beginning.
    pub(crate) fn beginning<'a>(&'a self, beginning: &'a str) -> impl Iterator<Item = &'a str> {
        self.kept.names.iter().filter_map(move |name| name.strip_prefix(beginning))
    }

    pub(crate) fn add(&mut self, name: impl Into<String>) {
        self.changed |= self.kept.names.insert(name.into());
    }

    /// Whether this call has settled anything.
    pub(crate) fn has_grown(&self) -> bool {
        self.changed
    }

    /// Keeps what was settled for the next call.
    pub(crate) async fn keep(&self, world: &impl Notes, run: &Run) -> Result<(), CallError> {
        if self.changed { world.note(&run.id.0, &self.name, &json!(self.kept)).await } else { Ok(()) }
    }
}
