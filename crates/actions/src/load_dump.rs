//! Loads the newest dump of each part that is one into the part's clone: into a database of its own, by a build of the project that the plan names.
//!
//! Converges: a dump that is loaded is left alone, a build that is at work is waited for; after one that failed, `retry` loads once more, into another
//!            database.
//! Refuses:   a part of which no dump is there that could be one.
//! Leaves behind on failure: a build, which ends with its clone, whose server it talks to, and no later than the clone's lease; and the clone.
//! AWS: rds:DescribeDBInstances, s3:ListBucket, codebuild:StartBuild, codebuild:BatchGetBuilds (standby region).

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_backups::{Found, Place, RecoveryPoint, latest_slot, newest_believable};
use muster_core::ports::{Buckets, BuildOrder, BuildState, BuildStatus, Builds, CloneStatus, Clones, LEASE_TAG, Notes};
use muster_core::{Action, ActionError, Clock, Conduct, Context, Duration, Evidence, Finding, Hash, Progress, Timestamp};
use muster_plan::{Backup, DumpTest, PartReference, Plan};
use serde::Deserialize;
use serde_json::json;

use crate::batch::{Batch, Pace};
use crate::clones::{Origin, Part, clone_name, clone_of, parts, serving};
use crate::listed::{End, Listed, read_pages};
use crate::notes::{self, Loading, loading, note_loading, note_order};
use crate::round::is_over;

/// The action.
pub const LOAD_DUMP: Action = Action { name: "load-dump", conduct: Conduct::Mutates };

/// Whose dumps are loaded. Parts that are no dumps are let be.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// As `restore-clone` was asked.
    #[serde(default)]
    pub parts: Vec<PartReference>,
}

/// The variable that says which object the build loads, as `s3://bucket/key`.
pub const DUMP_VARIABLE: &str = "MUSTER_DUMP";
/// The variable that says what the database is called that the build makes and loads it into. No other has that name.
pub const DATABASE_VARIABLE: &str = "MUSTER_DATABASE";
/// The variable that says for which run.
pub const RUN_VARIABLE: &str = "MUSTER_RUN";

/// So long the same token starts no second build: less than the five minutes of CodeBuild, since clocks differ and calls take their time.
const SAME_TOKEN: Duration = Duration::from_mins(4);
/// A build that CodeBuild does not show so long after it has told its id does not exist.
const SHOWN: Duration = Duration::from_mins(5);

/// A clone with its server.
struct Server {
    name: String,
    endpoint: Arc<str>,
    origin: Origin,
    /// Until when the clone is needed.
    lease: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step<'a> {
    /// Nothing of this part is loaded or being loaded.
    Choose,
    /// It was asked for, and nobody knows whether the call arrived: the same call again starts nothing twice.
    AskAgain,
    /// The build is at it.
    Await(&'a str),
    /// It is loaded.
    Done,
    /// It came to nothing.
    Failed(&'a str),
}

/// `since`: when this attempt of the phase began. A person who answers `retry` begins another one: what had failed by then is made again.
fn decide<'a>(loading: Option<&Loading>, build: Option<&'a BuildState>, since: Timestamp, now: Timestamp) -> Step<'a> {
    let Some(loading) = loading else { return Step::Choose };
    match build.map(|build| &build.status) {
        Some(BuildStatus::Succeeded) => Step::Done,
        Some(BuildStatus::Running { phase }) => Step::Await(phase),
        Some(BuildStatus::Failed { .. }) if build.and_then(|build| build.ended_at).unwrap_or(loading.asked_at) < since => Step::Choose,
        Some(BuildStatus::Failed { why }) => Step::Failed(why),
        // With another token, and so into another database: should the first call have arrived after all, the two builds know nothing of each other.
        None if loading.build.is_none() => {
            if now.since(loading.asked_at) < SAME_TOKEN {
                Step::AskAgain
            } else {
                Step::Choose
            }
        }
        None if now.since(loading.asked_at) < SHOWN => Step::Await("not shown yet"),
        None if loading.asked_at < since => Step::Choose,
        None => Step::Failed("CodeBuild does not know it any more"),
    }
}

/// The database that a load makes: no other load makes it, whatever became of earlier ones.
pub(crate) fn database_of(loading: &Loading) -> String {
    format!("muster_dump_{}", loading.token.chars().take(8).collect::<String>())
}

/// Loads what is not loaded. Called twice, it loads nothing twice.
///
/// # Errors
/// `Refused` where there is no dump to load; `Permanent` names every dump that cannot be loaded, in the words of the build's phases; the others are
/// loaded all the same.
pub async fn load_dump<W>(request: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + Clones + Buckets + Builds + Notes,
{
    let parts = parts(cx.plan, &request.parts)?;
    let dumps: Vec<(&Part<'_>, &DumpTest)> = parts.iter().filter_map(|part| Some((part, part.dump?))).collect();
    if dumps.is_empty() {
        return Ok(Progress::done("no dump is asked for"));
    }
    let region = &cx.plan.regions.standby;
    let clones = world.list_clones(region).await?;
    let mut batch = Batch::default();
    for (part, dump) in dumps {
        let name = clone_name(&cx.run.id, &part.of);
        let clone = clone_of(&clones, &cx.run.id, &part.of);
        if let Some(CloneStatus::Changing(status)) = clone.map(|clone| &clone.status) {
            // A load takes hours, in which RDS may have something to do to the server.
            batch.pending(&name, &**status);
            continue;
        }
        let server = match serving(clone, &name) {
            Ok((endpoint, origin)) => {
                let lease = clone.and_then(|clone| clone.tags.get(LEASE_TAG)?.parse().ok()).unwrap_or(cx.run.deadline);
                Server { name, endpoint, origin, lease }
            }
            Err(finding) => {
                batch.failed(finding);
                continue;
            }
        };
        let loading = loading(world, cx.run, &part.of).await?;
        let id = loading.as_ref().and_then(|loading| loading.build.as_deref());
        let build = match id {
            None => None,
            Some(id) => match world.describe_build(region, id).await {
                Ok(build) => build,
                Err(error) => {
                    batch.call_failed(&part.of.0, error);
                    continue;
                }
            },
        };
        match (decide(loading.as_ref(), build.as_ref(), cx.since, world.now()), loading) {
            (Step::Await(phase), _) => batch.pending(format!("{} by {}", part.of.0, dump.project), phase),
            (Step::AskAgain, Some(loading)) => ask(world, cx, part, dump, &server, loading, &mut batch).await?,
            (Step::Done, Some(loading)) => done(cx, part, &server, &loading, build.as_ref(), &mut batch),
            (Step::Failed(why), Some(loading)) => {
                let log = build.as_ref().and_then(|build| build.log.as_deref());
                batch.failed(failed(part, dump, &loading, why, log));
            }
            (Step::Choose, earlier) => {
                let attempt = earlier.map_or(0, |loading| loading.attempt) + 1;
                let Some(order) = choose(world, cx, part, dump, &server, &mut batch).await? else { continue };
                let loading = note_order(world, cx.run, &part.of, Loading { attempt, ..order }).await?;
                ask(world, cx, part, dump, &server, loading, &mut batch).await?;
            }
            (_, None) => {}
        }
    }
    batch.into_progress(world.now(), cx, Pace::Unhurried, "loaded")
}

/// Finds the dump to load. `None` where the listing goes on, or there is none: the batch knows which.
async fn choose<W>(
    world: &W,
    cx: &Context<'_, Plan>,
    part: &Part<'_>,
    dump: &DumpTest,
    server: &Server,
    batch: &mut Batch,
) -> Result<Option<Loading>, ActionError>
where
    W: Clock + Buckets + Notes,
{
    let backup = cx.plan.backup(dump.backup.as_str());
    let Some((backup, (bucket, prefix))) = backup.and_then(|backup| Some((backup, backup.objects_in_standby()?))) else {
        return Err(ActionError::Invalid(format!("nothing of {} is in a bucket of {}", dump.backup, cx.plan.regions.standby)));
    };
    let place = Place { bucket: Some(bucket.to_owned()), ..Place::in_region(&cx.plan.regions.standby) };
    let note = format!("dumps/{}", dump.backup);
    let known: Option<Listed> = if cx.elapsed().is_zero() { None } else { notes::read(world, &cx.run.id.0, &note).await? };
    let mut listed = known.filter(|known| known.since == cx.since).unwrap_or_else(|| Listed::new(cx.since));
    if listed.end.is_none() && read_pages(world, &place.region, bucket, prefix, &mut listed, || is_over(world, cx)).await {
        listed.end = Some(End::Read);
    }
    let Some(found) = listed.found(&place, &part.made_of()) else {
        world.note(&cx.run.id.0, &note, &json!(listed)).await?;
        batch.queued(&part.of.0, format!("{} objects read in {place}", listed.read));
        return Ok(None);
    };
    match found {
        Found::Points { points } => match newest_believable(&points, world.now()) {
            (Some(newest), passed_over) => {
                let passed_over = passed_over.first().map(|point| point.name.clone());
                Ok(Some(Loading { passed_over, ..load_of(cx, part, backup, newest, server, world.now())? }))
            }
            (None, passed_over) => {
                batch.refused(nothing(part, backup, &place, &passed_over));
                Ok(None)
            }
        },
        Found::Restorable { .. } => Err(ActionError::Invalid(format!("{} is no backup of objects", dump.backup))),
        Found::Denied { call } => Ok(unread(batch, part, &place, format!("{call} was denied"))),
        Found::NoSuchBucket => Ok(unread(batch, part, &place, "there is no such bucket".to_owned())),
        Found::Incomplete { why } => Ok(unread(batch, part, &place, why)),
    }
}

/// The data of a dump is of the moment at which it began: pg_dump reads everything in one transaction's snapshot. Nothing of an object says when that was
/// but the schedule: it is the slot at or before the instant at which it was written, which is when the dump was finished. A slot that is a little early
/// errs to the safe side: what is compared up to it is in the dump.
fn load_of(cx: &Context<'_, Plan>, part: &Part<'_>, backup: &Backup, newest: &RecoveryPoint, server: &Server, now: Timestamp) -> Result<Loading, ActionError> {
    let slot = backup.every.as_ref().and_then(|every| latest_slot(every, newest.taken_at));
    let taken_at = slot.ok_or_else(|| ActionError::Invalid(format!("no schedule says which instant the data of {} is of", newest.name)))?;
    let token = Hash::of(format!("{}\n{}\n{now}", cx.run.id, part.of.0).as_bytes()).to_string().chars().take(32).collect();
    let time_out = server.lease.since(now);
    Ok(Loading { attempt: 1, object: newest.name.clone(), taken_at, asked_at: now, token, time_out, build: None, passed_over: None })
}

/// Asks for the build that is noted. What the answer says is noted too.
async fn ask<W>(
    world: &W,
    cx: &Context<'_, Plan>,
    part: &Part<'_>,
    dump: &DumpTest,
    server: &Server,
    loading: Loading,
    batch: &mut Batch,
) -> Result<(), ActionError>
where
    W: Builds + Notes,
{
    let (host, port) = server.endpoint.rsplit_once(':').unwrap_or((&server.endpoint, "5432"));
    // The names of libpq, so that the tools find the server by themselves.
    let variables = BTreeMap::from([
        ("PGHOST", host.to_owned()),
        ("PGPORT", port.to_owned()),
        (DUMP_VARIABLE, uri(cx.plan, dump, &loading.object)),
        (DATABASE_VARIABLE, database_of(&loading)),
        (RUN_VARIABLE, cx.run.id.to_string()),
    ]);
    let order =
        BuildOrder { region: &cx.plan.regions.standby, project: &dump.project, token: &loading.token, variables: &variables, time_out: loading.time_out };
    match world.start_build(&order).await {
        Ok(id) => {
            note_loading(world, cx.run, &part.of, &Loading { build: Some(id.to_string()), ..loading.clone() }).await?;
            batch.pending(format!("{} by {}", part.of.0, dump.project), format!("asked for, of {}", loading.object));
        }
        Err(error) if error.fault.is_ambiguous() => batch.pending(&part.of.0, "asked for, and nobody answered"),
        Err(error) => batch.call_failed(&part.of.0, error),
    }
    Ok(())
}

fn done(cx: &Context<'_, Plan>, part: &Part<'_>, server: &Server, loading: &Loading, build: Option<&BuildState>, batch: &mut Batch) {
    let began = build.and_then(|build| build.began_at).unwrap_or(loading.asked_at);
    let until = build.and_then(|build| build.ended_at).unwrap_or(cx.now);
    batch.saw(Evidence::Restored {
        component: part.of.0.clone(),
        snapshot: loading.object.clone(),
        taken_at: loading.taken_at,
        instance: server.name.clone(),
        from: server.origin.asked_at,
        until,
        loaded_from: Some(began),
        rto: part.database.objectives.rto,
    });
    let passed_over = loading.passed_over.as_ref().map_or_else(String::new, |name| format!(", since {name} is suspiciously small"));
    batch.done(format!("{}, {}{passed_over}, in {}", part.of.0, loading.object, until.since(began)));
}

fn uri(plan: &Plan, dump: &DumpTest, key: &str) -> String {
    let bucket = plan.backup(dump.backup.as_str()).and_then(Backup::objects_in_standby).map_or("", |(bucket, _)| bucket);
    format!("s3://{bucket}/{key}")
}

fn failed(part: &Part<'_>, dump: &DumpTest, loading: &Loading, why: &str, log: Option<&str>) -> Finding {
    let log = log.map_or_else(|| "its log".to_owned(), |link| format!("its log, {link}"));
    Finding::new(
        &part.of.0,
        format!("the build of {} that loads {} came to nothing: {why}", dump.project, loading.object),
        "a dump that loads to its end",
        format!("read {log}; answer `retry` to load once more, or `skip` to leave it out: the run ends as failed"),
    )
}

fn nothing(part: &Part<'_>, backup: &Backup, place: &Place, passed_over: &[&RecoveryPoint]) -> Finding {
    let seen = match passed_over.first() {
        Some(point) => format!("no dump of {} in {place} can be one: {} has {} bytes", backup.name, point.name, point.size.map_or(0, |size| size.as_u64())),
        None => format!("no dump of {} is in {place}", backup.name),
    };
    Finding::new(&part.of.0, seen, "a dump to load", "see what the last backup run says of it; answer `retry` once one is there")
}

fn unread(batch: &mut Batch, part: &Part<'_>, place: &Place, seen: String) -> Option<Loading> {
    let next_step = "let the function load-dump list it (docs/permissions.md); answer `retry` then, or `skip`: the run ends as failed";
    batch.failed(Finding::new(&part.of.0, format!("{place} cannot be listed: {seen}"), "the dumps that are there", next_step));
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: Timestamp = Timestamp::from_millis(1_793_584_800_000);

    fn loading(build: Option<&str>) -> Loading {
        Loading {
            attempt: 1,
            object: "daily/pg-dump-1".into(),
            taken_at: ASKED.before(Duration::from_hours(6)),
            asked_at: ASKED,
            token: "c0be236f1c9d8e7fc0be236f1c9d8e7f".into(),
            time_out: Duration::from_hours(4),
            build: build.map(str::to_owned),
            passed_over: None,
        }
    }

    fn build(status: BuildStatus) -> BuildState {
        BuildState { status, began_at: None, ended_at: None, log: None }
    }

    #[test]
    fn a_load_is_asked_for_once_waited_for_and_after_a_failure_made_again_by_a_persons_word_only() {
        let (at_once, later, retried) = (ASKED, ASKED.after(Duration::from_mins(10)), ASKED.after(Duration::from_mins(1)));
        let running = build(BuildStatus::Running { phase: "BUILD".into() });
        let failed = BuildState { ended_at: Some(ASKED.after(Duration::from_secs(30))), ..build(BuildStatus::Failed { why: "FAILED in BUILD".into() }) };
        let (asked, known) = (loading(None), loading(Some("kaireon-pg-restore:1")));
        for (loading, build, since, now, wanted) in [
            (None, None, ASKED, at_once, Step::Choose),
            (Some(&asked), None, ASKED, at_once, Step::AskAgain),
            (Some(&asked), None, retried, retried, Step::AskAgain),
            (Some(&asked), None, ASKED, later, Step::Choose),
            (Some(&known), None, ASKED, at_once, Step::Await("not shown yet")),
            (Some(&known), None, ASKED, later, Step::Failed("CodeBuild does not know it any more")),
            (Some(&known), None, retried, later, Step::Choose),
            (Some(&known), Some(&running), ASKED, later, Step::Await("BUILD")),
            (Some(&known), Some(&running), retried, later, Step::Await("BUILD")),
            (Some(&known), Some(&build(BuildStatus::Succeeded)), ASKED, later, Step::Done),
            (Some(&known), Some(&build(BuildStatus::Succeeded)), retried, later, Step::Done),
            (Some(&known), Some(&failed), ASKED, later, Step::Failed("FAILED in BUILD")),
            (Some(&known), Some(&failed), retried, later, Step::Choose),
        ] {
            assert_eq!(decide(loading, build, since, now), wanted, "{loading:?} {build:?} {since} {now}");
        }
    }

    #[test]
    fn each_load_has_a_database_of_its_own_whose_name_needs_no_quotes() {
        assert_eq!(database_of(&loading(None)), "muster_dump_c0be236f");
        let other = Loading { token: "1c9d8e7f".into(), ..loading(None) };
        assert_ne!(database_of(&other), database_of(&loading(None)));
    }
}
