//! Builds of the customer's project that loads dumps.
//!
//! Modelled: tokens and for how long they count, how long a load takes, its time-out, its end with its clone, into which database what is loaded, and what
//! goes wrong. The content of a dump is the source's at its slot, counted as in `clones.rs`. Not modelled: machines, images, logs, queues, but for the
//! fault of a full one.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_actions::{DATABASE_VARIABLE, DUMP_VARIABLE};
use muster_core::ports::{BuildOrder, BuildState, BuildStatus, CloneStatus};
use muster_core::{CallFault, DatabaseId, Duration, Region, Timestamp};

use crate::clones::Restored;
use crate::databases::host;
use crate::durations::LOAD;
use crate::estate::Estate;
use crate::world::Refusal;

/// Something that goes wrong with builds for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildFault {
    /// Dumps that are loaded now are cut off: pg_restore ends with an error.
    Truncated,
    /// Loads hang.
    Hang,
    /// No further build may be made, nor wait for its turn.
    QueueFull,
    /// Dumps that are loaded now were made of a replica that is a day behind.
    Stale,
    /// Dumps that are loaded now lack a row.
    RowLost,
}

/// A build.
#[derive(Clone, Debug)]
pub struct Build {
    project: String,
    token: String,
    variables: BTreeMap<String, String>,
    time_out: Duration,
    asked_at: Timestamp,
    began_at: Timestamp,
    ends_at: Timestamp,
    /// How it fails then, if it does.
    fails: Option<String>,
    /// The clone that it loads into.
    clone: (Region, Arc<str>),
    /// The slot of the dump.
    slot: Timestamp,
    /// The instant that its data is of, which is the slot unless something went wrong.
    taken_at: Timestamp,
    lost: i64,
}

/// All builds, and what goes wrong when.
#[derive(Clone, Debug, Default)]
pub struct AllBuilds {
    /// By id.
    pub there: BTreeMap<Arc<str>, Build>,
    /// Faults, each from an instant until another.
    pub faults: Vec<(BuildFault, Timestamp, Timestamp)>,
}

/// A token counts for so long. Source: the API reference of CodeBuild, StartBuild, `idempotencyToken`.
const TOKEN: Duration = Duration::from_mins(5);

impl AllBuilds {
    fn strikes(&self, now: Timestamp, is: BuildFault) -> bool {
        self.faults.iter().any(|(fault, from, until)| *fault == is && *from <= now && now < *until)
    }

    /// The slots of all dumps that were loaded or were to be.
    pub(crate) fn slots(&self, of: impl Fn(&(Region, Arc<str>)) -> bool) -> Vec<Timestamp> {
        self.there.values().filter(|build| of(&build.clone)).map(|build| build.slot).collect()
    }
}

impl Estate {
    pub(crate) fn start_build(&mut self, order: &BuildOrder<'_>) -> Result<Arc<str>, Refusal> {
        let now = self.now();
        let is_known =
            |project: &str| self.plan.databases.iter().filter_map(|database| database.restore_test.as_ref()?.dump.as_ref()).any(|dump| dump.project == project);
        if order.region != &self.plan.regions.standby || !is_known(order.project) {
            return Err((CallFault::NotFound, format!("ResourceNotFoundException: Project cannot be found: {}", order.project)));
        }
        let variables: BTreeMap<String, String> = order.variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let earlier = self.builds.there.iter().find(|(_, build)| build.token == order.token && now.since(build.asked_at) < TOKEN);
        if let Some((id, build)) = earlier {
            let is_same = build.project == order.project && build.variables == variables && build.time_out == order.time_out;
            return if is_same { Ok(id.clone()) } else { Err((CallFault::Rejected, "InvalidInputException: the token was used with other parameters".into())) };
        }
        if self.builds.strikes(now, BuildFault::QueueFull) {
            return Err((CallFault::Rejected, "AccountLimitExceededException: Cannot have more than 0 builds in queue for the account".to_owned()));
        }
        let clone = self.clone_behind(order.region, variables.get("PGHOST").map_or("", String::as_str));
        let Some(clone) = clone else {
            self.violate(15, format!("a dump is loaded into {:?}, which is no clone that serves", variables.get("PGHOST")));
            return Err((CallFault::Rejected, "nothing serves there".to_owned()));
        };
        // CodeBuild takes no less than five minutes, and calls take their time.
        let lease = self.clones.there.get(&clone).and_then(Restored::lease).unwrap_or(now);
        if now.after(order.time_out) > lease.max(now).after(TOKEN) {
            self.violate(15, format!("a build may go on for {} after the lease of {}", now.after(order.time_out).since(lease), clone.1));
        }
        let is_beside =
            |build: &Build| build.clone == clone && now.since(build.asked_at) < TOKEN && matches!(self.status_of(build), BuildStatus::Running { .. });
        if self.builds.there.values().any(is_beside) {
            self.violate(16, format!("a dump is loaded into {} twice at once", clone.1));
        }
        let is_taken = |build: &Build| build.clone == clone && build.variables.get(DATABASE_VARIABLE) == variables.get(DATABASE_VARIABLE);
        let is_taken = self.builds.there.values().any(is_taken);
        let (slot, missing) = self.dump_behind(order.region, variables.get(DUMP_VARIABLE).map_or("", String::as_str));
        let number = self.builds.there.len() as u64 + 1;
        let id: Arc<str> = format!("{}:{number:08}", order.project).into();
        let takes = self.durations.of(&LOAD, &id, "load", number);
        let takes = if self.builds.strikes(now, BuildFault::Hang) { Duration::from_hours(10_000) } else { takes };
        let truncated = "FAILED: BUILD: COMMAND_EXECUTION_ERROR: Error while executing command: pg_restore. Reason: exit status 1";
        let fails = match () {
            () if takes > order.time_out => Some("TIMED_OUT".to_owned()),
            () if is_taken => Some("FAILED: BUILD: COMMAND_EXECUTION_ERROR: createdb: error: database already exists".to_owned()),
            () if missing => Some("FAILED: BUILD: COMMAND_EXECUTION_ERROR: Error while executing command: aws s3 cp. Reason: exit status 1".to_owned()),
            () => self.builds.strikes(now, BuildFault::Truncated).then(|| truncated.to_owned()),
        };
        let behind = if self.builds.strikes(now, BuildFault::Stale) { Duration::from_hours(24) } else { Duration::ZERO };
        let build = Build {
            project: order.project.to_owned(),
            token: order.token.to_owned(),
            variables,
            time_out: order.time_out,
            asked_at: now,
            began_at: now,
            ends_at: now.after(takes.min(order.time_out)),
            fails,
            clone,
            slot,
            taken_at: slot.before(behind),
            lost: i64::from(self.builds.strikes(now, BuildFault::RowLost)),
        };
        self.builds.there.insert(id.clone(), build);
        self.tell(format!("{id} is started"));
        Ok(id)
    }

    pub(crate) fn describe_build(&self, id: &str) -> Option<BuildState> {
        let build = self.builds.there.get(id)?;
        let status = self.status_of(build);
        let ended_at = (!matches!(status, BuildStatus::Running { .. })).then_some(build.ends_at.min(self.now()));
        Some(BuildState { status, began_at: Some(build.began_at), ended_at, log: Some(format!("https://logs.example.com/{id}").into()) })
    }

    fn status_of(&self, build: &Build) -> BuildStatus {
        let now = self.now();
        // Its server went away under it.
        let cut = self.clones.there.get(&build.clone).is_none_or(|clone| clone.gone_at.is_some_and(|gone| gone < build.ends_at && gone <= now));
        match &build.fails {
            _ if cut => BuildStatus::Failed { why: "FAILED: BUILD: COMMAND_EXECUTION_ERROR: pg_restore: server closed the connection unexpectedly".into() },
            _ if now < build.ends_at => BuildStatus::Running { phase: "BUILD".into() },
            Some(why) => BuildStatus::Failed { why: why.as_str().into() },
            None => BuildStatus::Succeeded,
        }
    }

    /// How many builds are at work.
    pub(crate) fn builds_at_work(&self) -> usize {
        self.builds.there.values().filter(|build| matches!(self.status_of(build), BuildStatus::Running { .. })).count()
    }

    /// What a clone says to a question about a database that a dump was loaded into; `None` where the database is none of a dump's.
    pub(crate) fn dump_answers(&self, region: &Region, name: &str, dbname: &str, statement: &str) -> Option<Result<Option<String>, Refusal>> {
        if !dbname.starts_with("muster_dump_") {
            return None;
        }
        let is_it = |build: &&Build| {
            build.clone.0 == *region && *build.clone.1 == *name && build.variables.get(DATABASE_VARIABLE).is_some_and(|database| database == dbname)
        };
        let loaded = self.builds.there.values().find(is_it).filter(|build| self.status_of(build) == BuildStatus::Succeeded);
        let Some(build) = loaded else { return Some(Err((CallFault::Rejected, format!("database \"{dbname}\" does not exist")))) };
        let database = self.clones.there.get(&build.clone)?.database;
        Some(Ok(match self.rows(database, statement, Some(build.taken_at)) {
            Some(rows) => Some((rows - build.lost).to_string()),
            None => self.answer_as_planned(database, statement),
        }))
    }

    /// The clone that serves at a host.
    fn clone_behind(&self, region: &Region, at: &str) -> Option<(Region, Arc<str>)> {
        let serves = |(key, clone): (&(Region, Arc<str>), &Restored)| (clone.status(self.now()) == CloneStatus::Serves).then(|| key.clone());
        self.clones.at(self.now()).filter_map(serves).find(|(of, name)| of == region && *host(&DatabaseId::new(of, name)) == *at)
    }

    /// The slot of a dump's object, and whether there is none of that name.
    fn dump_behind(&self, region: &Region, uri: &str) -> (Timestamp, bool) {
        let Some((bucket, key)) = uri.strip_prefix("s3://").and_then(|rest| rest.split_once('/')) else { return (Timestamp::default(), true) };
        let slot = key.rsplit('-').next().and_then(|instant| instant.parse().ok()).map(Timestamp::from_millis);
        (slot.unwrap_or_default(), slot.is_none() || self.object_key(region, bucket, key).is_err())
    }
}
