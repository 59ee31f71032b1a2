//! Looks at a plan's backups wherever they have to be: page by page, and invocation by invocation.
//!
//! What was read is kept in notes of the run, one for each listing, when an invocation has spent its time; the next one goes on from there. What an
//! invocation that died had read since its last notes is read again.

use std::collections::{BTreeMap, BTreeSet};

use muster_backups::{Expectation, Key, KeyState, Lifecycle, Listing, Place, Quota, Survey, Unread, snapshot_stem};
use muster_core::ports::{Buckets, EncryptionKey, Keys, LifecycleRule, Note, Notes, Recoverability, SnapshotSource, Snapshots, SourceKind};
use muster_core::{ActionError, CallError, CallFault, Clock, Context, Region, Timestamp};
use muster_plan::{Backup, BackupMethod, PartReference, Plan};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::archives::read_archive;
use crate::backups::{parts, source_of, there};
use crate::listed::{End, Listed, read_pages};
use crate::notes::{self, Book};
use crate::round::is_over;

/// A question that fails for a moment is asked so often.
const TRIES: u32 = 4;

/// How the names of a survey's notes begin.
const SURVEY: &str = "survey/";
/// The note of what is asked besides listings.
const ASKED: &str = "survey/asked";

fn listing_note(wanted: &Expectation) -> String {
    format!("{SURVEY}of/{}/{}", wanted.backup, wanted.place)
}

/// What is asked besides listings, and what was answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Asked {
    since: Timestamp,
    answers: BTreeMap<String, Answer>,
    failures: BTreeMap<String, u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
enum Answer {
    Key {
        state: KeyState,
    },
    Quota {
        used: u64,
        limit: u64,
    },
    Lifecycle {
        rules: Vec<LifecycleRule>,
    },
    /// A source that does not exist.
    Gone,
    /// Nothing to say: no quota, a source that exists.
    Nothing,
    Unread {
        why: String,
    },
}

/// Something to ask besides listings.
enum Question {
    Key { name: String, place: Place },
    Quota { place: Place, kind: SourceKind },
    Lifecycle { bucket: String, place: Place },
    Source { of: PartReference, source: SnapshotSource, place: Place },
}

/// How a backup is looked at in a place.
enum Reading<'a> {
    Objects {
        bucket: &'a str,
    },
    /// What RDS has exported, by its own account, and what lies there of it.
    Archive {
        bucket: &'a str,
        source: SnapshotSource,
    },
    Automated {
        source: SnapshotSource,
    },
    /// By part, since one listing of a place has those of all its backups.
    Snapshots,
}

impl<'a> Reading<'a> {
    /// `None` where there is no way: of what AWS does not run, and of automated backups in another account.
    fn of(plan: &Plan, wanted: &'a Expectation) -> Option<Self> {
        let source = wanted.of.as_ref().and_then(|of| source_of(plan, of));
        match (&wanted.place.bucket, &wanted.archive) {
            (Some(bucket), Some(_)) => return Some(Reading::Archive { bucket, source: source? }),
            (Some(bucket), None) => return Some(Reading::Objects { bucket }),
            (None, _) => {}
        }
        let source = source?;
        match plan.backup(wanted.backup.as_str())?.method {
            BackupMethod::AutomatedBackups => wanted.place.account.is_none().then_some(Reading::Automated { source }),
            BackupMethod::DatabaseSnapshot | BackupMethod::CacheSnapshot { .. } | BackupMethod::SnapshotExport { .. } => Some(Reading::Snapshots),
            BackupMethod::S3Objects { .. } | BackupMethod::External { .. } => None,
        }
    }
}

/// A survey under way.
pub(crate) struct Surveying<'a> {
    cx: &'a Context<'a, Plan>,
    wanted: Vec<Expectation>,
    questions: Vec<Question>,
    listed: BTreeMap<String, Listed>,
    asked: Asked,
    /// The notes that have to be written if this invocation does not finish.
    changed: BTreeSet<String>,
    /// The notes that earlier invocations have written.
    stored: BTreeSet<String>,
}

impl<'a> Surveying<'a> {
    /// Begins a survey, or goes on with the one that earlier invocations of this phase have begun.
    pub(crate) async fn resume(world: &impl Notes, cx: &'a Context<'a, Plan>, wanted: Vec<Expectation>) -> Result<Self, ActionError> {
        let book = if cx.elapsed().is_zero() { Book::default() } else { Book::of_run(world, cx.run, SURVEY).await? };
        let (mut listed, mut stored) = (BTreeMap::new(), BTreeSet::<String>::new());
        // Those of an attempt that was given up are removed with one's own, and count for nothing.
        stored.extend(wanted.iter().map(listing_note).chain([ASKED.to_owned()]).filter(|note| book.has(note)));
        for note in wanted.iter().map(listing_note) {
            if let Some(known) = book.get::<Listed>(&note)?.filter(|known| known.since == cx.since) {
                listed.insert(note, known);
            }
        }
        let known = book.get::<Asked>(ASKED)?.filter(|known| known.since == cx.since);
        let asked = known.unwrap_or(Asked { since: cx.since, answers: BTreeMap::new(), failures: BTreeMap::new() });
        Ok(Surveying { questions: questions(cx.plan, &wanted), cx, wanted, listed, asked, changed: BTreeSet::new(), stored })
    }

    /// Reads on until everything is read or the invocation's time is spent. Whether some of it is left: then what is unread has failed, and may not in
    /// a moment.
    pub(crate) async fn go_on<W>(&mut self, world: &W) -> bool
    where
        W: Clock + Snapshots + Recoverability + Buckets + Keys,
    {
        self.ask(world).await;
        self.read_snapshots(world).await;
        for index in 0..self.wanted.len() {
            let (wanted, note) = (&self.wanted[index], listing_note(&self.wanted[index]));
            if self.is_settled(&note) || self.is_over(world) {
                continue;
            }
            let mut listed = self.listed.get(&note).cloned().unwrap_or_else(|| Listed::new(self.cx.since));
            match Reading::of(self.cx.plan, wanted) {
                Some(Reading::Objects { bucket }) => self.read_objects(world, wanted, bucket, &mut listed).await,
                Some(Reading::Archive { bucket, source }) => read_archive(world, self.cx, wanted, bucket, &source, &mut listed).await,
                Some(Reading::Automated { source }) => restorable(world, &wanted.place.region, &source, &mut listed).await,
                Some(Reading::Snapshots) | None => continue,
            }
            self.put(note, listed);
        }
        !self.is_over(world)
    }

    /// How much is still to be read.
    pub(crate) fn left(&self) -> usize {
        let unanswered = self.questions.iter().filter(|question| !self.asked.answers.contains_key(&question.name())).count();
        let can_be_read = |wanted: &&Expectation| Reading::of(self.cx.plan, wanted).is_some();
        unanswered + self.wanted.iter().filter(can_be_read).filter(|wanted| !self.is_settled(&listing_note(wanted))).count()
    }

    /// How many objects and snapshots were read so far.
    pub(crate) fn read(&self) -> u64 {
        self.listed.values().map(|listed| listed.read).sum()
    }

    /// Keeps what was read for the next invocation.
    pub(crate) async fn keep(&self, world: &impl Notes) -> Result<(), CallError> {
        let value = |note: &String| if note == ASKED { json!(self.asked) } else { self.listed.get(note).map_or(Value::Null, |listed| json!(listed)) };
        let changed: Vec<Note> = self.changed.iter().map(|note| notes::of_run(self.cx.run, note.clone(), value(note))).collect();
        world.note_all(&changed).await
    }

    /// The notes that remove what earlier invocations kept: for when the verdict is written down.
    pub(crate) fn stored(&self) -> Vec<Note> {
        self.stored.iter().map(|note| notes::of_run(self.cx.run, note.clone(), Value::Null)).collect()
    }

    /// What was found, for `verify`.
    pub(crate) fn into_survey(self) -> Survey {
        let mut survey = Survey::default();
        for wanted in &self.wanted {
            let of = wanted.of.clone().unwrap_or(PartReference(String::new()));
            let found = self.listed.get(&listing_note(wanted)).and_then(|listed| listed.found(&wanted.place, &of));
            survey.listings.extend(found.map(|found| Listing { backup: wanted.backup.clone(), place: wanted.place.clone(), found }));
        }
        for question in self.questions {
            let (answer, what) = (self.asked.answers.get(&question.name()).cloned(), question.in_words());
            match (question, answer) {
                (Question::Key { name, place }, Some(Answer::Key { state })) => survey.keys.push(Key { name, place, state }),
                (Question::Lifecycle { place, .. }, Some(Answer::Lifecycle { rules })) => survey.lifecycles.push(Lifecycle { place, rules }),
                (Question::Quota { place, .. }, Some(Answer::Quota { used, limit })) => survey.quotas.push(Quota { place, used, limit }),
                (Question::Source { of, .. }, Some(Answer::Gone)) => survey.gone.push(of),
                (_, Some(Answer::Nothing)) => {}
                (Question::Key { place, .. } | Question::Quota { place, .. } | Question::Lifecycle { place, .. } | Question::Source { place, .. }, answer) => {
                    let why = if let Some(Answer::Unread { why }) = answer { why } else { "nobody asked".to_owned() };
                    survey.unread.push(Unread { place, what, why });
                }
            }
        }
        survey
    }

    fn is_over(&self, world: &impl Clock) -> bool {
        is_over(world, self.cx)
    }

    fn is_settled(&self, note: &str) -> bool {
        self.listed.get(note).is_some_and(|listed| listed.end.is_some())
    }

    fn put(&mut self, note: String, listed: Listed) {
        self.changed.insert(note.clone());
        self.listed.insert(note, listed);
    }

    async fn ask<W>(&mut self, world: &W)
    where
        W: Clock + Recoverability + Buckets + Keys,
    {
        for question in &self.questions {
            let name = question.name();
            if self.asked.answers.contains_key(&name) || self.is_over(world) {
                continue;
            }
            self.changed.insert(ASKED.to_owned());
            let answer = match question.ask(world).await {
                Ok(answer) => answer,
                Err(error) => {
                    let failures = self.asked.failures.entry(name.clone()).or_insert(0);
                    *failures += 1;
                    if error.fault.is_transient() && *failures < TRIES {
                        continue;
                    }
                    Answer::Unread { why: error.to_string() }
                }
            };
            self.asked.failures.remove(&name);
            self.asked.answers.insert(name, answer);
        }
    }

    /// Snapshots, part by part: one listing of a place has those of all the part's backups.
    async fn read_snapshots<W>(&mut self, world: &W)
    where
        W: Clock + Snapshots,
    {
        for (of, source, mut rules) in parts(self.cx.plan) {
            // Exports are read as what they are: objects.
            rules.lines.iter_mut().for_each(|line| line.destinations.retain(|destination| destination.place.bucket.is_none()));
            let of_part = |wanted: &&Expectation| {
                wanted.of.as_ref() == Some(&of) && wanted.place.bucket.is_none() && rules.lines.iter().any(|line| line.name == wanted.backup)
            };
            let open: Vec<Expectation> = self.wanted.iter().filter(of_part).filter(|wanted| !self.is_settled(&listing_note(wanted))).cloned().collect();
            if open.is_empty() || self.is_over(world) {
                continue;
            }
            let (situation, unread) = there(world, &of, &source, &rules).await;
            for wanted in open {
                let note = listing_note(&wanted);
                let mut listed = self.listed.remove(&note).unwrap_or_else(|| Listed::new(self.cx.since));
                match unread.iter().find(|(place, _)| *place == wanted.place) {
                    Some((_, error)) => listed.fail(error, false),
                    None => {
                        let of_backup = |point: &&muster_backups::RecoveryPoint| {
                            point.place == wanted.place && rules.line_of(point).is_some_and(|line| line.name == wanted.backup)
                        };
                        listed.add(situation.points.iter().filter(of_backup).map(Into::into), world.now());
                        listed.end = Some(End::Read);
                    }
                }
                self.put(note, listed);
            }
        }
    }

    /// Objects of a bucket: pages, then the key of the newest.
    async fn read_objects<W>(&self, world: &W, wanted: &Expectation, bucket: &str, listed: &mut Listed)
    where
        W: Clock + Buckets,
    {
        let region = &wanted.place.region;
        let prefix = prefix(self.cx.plan, wanted);
        if !read_pages(world, region, bucket, &prefix, listed, || self.is_over(world)).await {
            return;
        }
        while let Some(newest) = listed.newest().filter(|_| wanted.is_encrypted || wanted.kms_key.is_some()).map(str::to_owned) {
            if self.is_over(world) {
                return;
            }
            match world.object_key(region, bucket, &newest).await {
                Ok(key) => {
                    listed.newest_has_key(key.as_deref());
                    break;
                }
                Err(error) if error.fault == CallFault::NotFound => listed.newest_is_gone(),
                Err(error) => return listed.fail(&error, true),
            }
        }
        listed.end = Some(End::Read);
    }
}

/// The beginning of the keys of a backup's objects. Exports share their bucket with others, and are called after their snapshots.
fn prefix(plan: &Plan, wanted: &Expectation) -> String {
    let given = wanted.prefix.as_deref().unwrap_or("");
    let is_export = plan.backup(wanted.backup.as_str()).is_some_and(|backup| matches!(backup.method, BackupMethod::CacheSnapshot { .. }));
    if is_export { format!("{given}{}", snapshot_stem(&plan.service, &wanted.backup)) } else { given.to_owned() }
}

async fn restorable<W>(world: &W, region: &Region, source: &SnapshotSource, listed: &mut Listed)
where
    W: Clock + Recoverability,
{
    match world.restorable_until(region, source).await {
        Ok(until) => listed.restorable(until, world.now()),
        Err(error) => listed.fail(&error, false),
    }
}

/// Keys of the plan, each where it is needed; quotas of the regions in which Muster makes snapshots; sources of what has backups.
fn questions(plan: &Plan, wanted: &[Expectation]) -> Vec<Question> {
    let (mut known, mut questions) = (BTreeSet::new(), Vec::new());
    let mut add = |question: Question| {
        if known.insert(question.name()) {
            questions.push(question);
        }
    };
    for wanted in wanted {
        if let Some(name) = &wanted.kms_key {
            add(Question::Key { name: name.clone(), place: wanted.place.clone() });
        }
        if let (Some(bucket), Some(_)) = (&wanted.place.bucket, &wanted.archive) {
            add(Question::Lifecycle { bucket: bucket.clone(), place: wanted.place.clone() });
        }
        let Some(source) = wanted.of.as_ref().and_then(|of| source_of(plan, of)) else { continue };
        let is_made = |backup: &Backup| matches!(backup.method, BackupMethod::DatabaseSnapshot | BackupMethod::SnapshotExport { .. });
        if plan.backup(wanted.backup.as_str()).is_some_and(is_made) && wanted.place.account.is_none() && wanted.place.bucket.is_none() {
            add(Question::Quota { place: wanted.place.clone(), kind: source.kind });
        }
        if let Some(of) = &wanted.of {
            add(Question::Source { of: of.clone(), source, place: Place::in_region(&plan.regions.primary) });
        }
    }
    questions
}

impl Question {
    /// Unique in the survey.
    fn name(&self) -> String {
        match self {
            Question::Key { name, place } => format!("key/{place}/{name}"),
            Question::Quota { place, kind } => format!("quota/{place}/{kind:?}"),
            Question::Lifecycle { place, .. } => format!("lifecycle/{place}"),
            Question::Source { of, .. } => format!("source/{}", of.0),
        }
    }

    fn in_words(&self) -> String {
        match self {
            Question::Key { name, .. } => format!("the key {name}"),
            Question::Quota { kind: SourceKind::Cluster, .. } => "the quota of clusters' manual snapshots".to_owned(),
            Question::Quota { .. } => "the quota of manual snapshots".to_owned(),
            Question::Lifecycle { bucket, .. } => format!("the lifecycle of {bucket}"),
            Question::Source { of, source, .. } => format!("whether {} of {} exists", source.name, of.0),
        }
    }

    async fn ask<W>(&self, world: &W) -> Result<Answer, CallError>
    where
        W: Recoverability + Buckets + Keys,
    {
        let region = |place: &Place| -> Region { place.region.clone() };
        Ok(match self {
            Question::Key { name, place } => Answer::Key {
                state: match world.describe_key(&region(place), name).await? {
                    Some(EncryptionKey::Enabled { arn }) => KeyState::Enabled { arn: arn.to_string() },
                    Some(EncryptionKey::Disabled) => KeyState::Disabled,
                    None => KeyState::Missing,
                },
            },
            Question::Quota { place, kind } => match world.snapshot_quota(&region(place), *kind).await? {
                Some(quota) => Answer::Quota { used: quota.used, limit: quota.limit },
                None => Answer::Nothing,
            },
            Question::Lifecycle { bucket, place } => Answer::Lifecycle { rules: world.lifecycle(&region(place), bucket).await? },
            Question::Source { source, place, .. } => match world.source_exists(&region(place), source).await? {
                true => Answer::Nothing,
                false => Answer::Gone,
            },
        })
    }
}
