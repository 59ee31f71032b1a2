//! What a survey has read of one listing, as it is kept between invocations: bounded, however long the listing is.

use muster_backups::{Found, Place, PointStatus, RecoveryPoint};
use muster_core::ports::{Buckets, FailedAttempt, StoredObject};
use muster_core::{CallError, CallFault, Clock, Duration, Region, Timestamp};
use muster_plan::{Bytes, PartReference};
use serde::{Deserialize, Serialize};

/// So many of each listing are kept: the newest. They are what is compared with the other region.
pub(crate) const KEPT: usize = 500;
/// So many bytes of them at most, as JSON: an item of the table takes 400 KB, and a key in S3 up to 1,024 bytes.
/// Sources: the DynamoDB developer guide, "Quotas"; the S3 user guide, "Naming Amazon S3 objects".
const LARGEST: usize = 300_000;
/// What a point needs besides its texts: names of fields, an instant, a size, a status.
const BESIDES: usize = 120;
/// A call that fails for a moment is made so often, a few seconds apart; then its listing counts as one that ended early.
const TRIES: u32 = 4;
/// A longer listing is not read to its end: twenty million objects, for which one needs most of an hour.
const MOST_PAGES: u64 = 20_000;
/// How far ahead of Muster's clock another service's may be. What it dates later than that is of the future.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);
/// 2023-01-06T00:00:00Z: since the day before, S3 encrypts every new object, with its own key where nobody names another. Source: the S3 user guide,
/// "Default encryption FAQ".
const S3_ENCRYPTS_SINCE: Timestamp = Timestamp::from_millis(1_672_963_200_000);
/// How S3's own key is called in findings.
const S3_KEY: &str = "S3's own key";

/// A listing, as far as it was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Listed {
    /// When the survey began. A note of another survey of the run is none of this one.
    pub(crate) since: Timestamp,
    /// The newest so far, newest first.
    points: Vec<Kept>,
    /// Where the next page begins; `None` before the first and after the last.
    pub(crate) after: Option<String>,
    /// How many pages were read.
    pub(crate) pages: u64,
    /// How many objects or snapshots were on them.
    pub(crate) read: u64,
    /// How often the next call has failed in a row.
    failures: u32,
    /// What came of it, once it is settled.
    pub(crate) end: Option<End>,
}

/// What came of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum End {
    Read,
    Restorable { until: Option<Timestamp> },
    Denied { call: String },
    NoSuchBucket,
    Incomplete { why: String },
}

/// An object or a snapshot, with what is judged of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Kept {
    name: String,
    at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default)]
    status: PointStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failures: Vec<FailedAttempt>,
}

impl From<StoredObject> for Kept {
    fn from(object: StoredObject) -> Self {
        Kept {
            name: object.key.to_string(),
            at: object.written_at,
            size: Some(object.size),
            status: PointStatus::Available,
            key: None,
            tag: object.entity_tag.as_deref().filter(|tag| is_digest(tag)).map(str::to_owned),
            failures: Vec::new(),
        }
    }
}

impl From<&RecoveryPoint> for Kept {
    fn from(point: &RecoveryPoint) -> Self {
        Kept {
            name: point.name.clone(),
            at: point.taken_at,
            size: point.size.map(Bytes::as_u64),
            status: point.status,
            key: point.kms_key.clone(),
            tag: None,
            failures: point.failures.clone(),
        }
    }
}

impl Listed {
    pub(crate) fn new(since: Timestamp) -> Self {
        Listed { since, points: Vec::new(), after: None, pages: 0, read: 0, failures: 0, end: None }
    }

    /// Adds a page's. What came into being while the survey goes on counts as of its beginning, so that all of it is of one instant.
    pub(crate) fn add(&mut self, page: impl IntoIterator<Item = Kept>, now: Timestamp) {
        let since = self.since;
        let mut read = 0;
        self.points.extend(page.into_iter().inspect(|_| read += 1).map(|kept| Kept { at: as_of(kept.at, since, now), ..kept }));
        (self.read, self.pages, self.failures) = (self.read + read, self.pages + 1, 0);
        self.points.sort_by(|a, b| (b.at, &b.name).cmp(&(a.at, &a.name)));
        self.points.truncate(KEPT);
        let mut bytes = 0;
        let fitting = self.points.iter().take_while(|kept| {
            bytes += kept.bytes();
            bytes <= LARGEST
        });
        let fitting = fitting.count();
        self.points.truncate(fitting);
    }

    /// Automated backups, from which any instant until then can be restored.
    pub(crate) fn restorable(&mut self, until: Option<Timestamp>, now: Timestamp) {
        self.end = Some(End::Restorable { until: until.map(|until| as_of(until, self.since, now)) });
    }

    /// The name of the newest that can be restored from.
    pub(crate) fn newest(&self) -> Option<&str> {
        self.points.iter().find(|kept| kept.status == PointStatus::Available && kept.at <= self.since).map(|kept| kept.name.as_str())
    }

    /// The newest object's key is known: `None` is S3's own, or none.
    pub(crate) fn newest_has_key(&mut self, key: Option<&str>) {
        let since = self.since;
        if let Some(newest) = self.points.iter_mut().find(|kept| kept.at <= since) {
            newest.key = key.or((newest.at >= S3_ENCRYPTS_SINCE).then_some(S3_KEY)).map(str::to_owned);
        }
    }

    /// The newest was gone when it was asked about: the next one is the newest.
    pub(crate) fn newest_is_gone(&mut self) {
        if let Some(name) = self.newest().map(str::to_owned) {
            self.points.retain(|kept| kept.name != name);
        }
        self.failures = 0;
    }

    /// A call failed. What may succeed in a moment is made again by the next invocation, a few times; everything else settles the listing.
    pub(crate) fn fail(&mut self, error: &CallError, of_bucket: bool) {
        self.failures += 1;
        if error.fault.is_transient() && self.failures < TRIES {
            return;
        }
        self.end = Some(match error.fault {
            CallFault::Denied => End::Denied { call: format!("{} on {}", error.operation, error.resource) },
            CallFault::NotFound if of_bucket => End::NoSuchBucket,
            _ => End::Incomplete { why: format!("page {}: {error}", self.pages + 1) },
        });
    }

    /// As `verify` takes it.
    pub(crate) fn found(&self, place: &Place, of: &PartReference) -> Option<Found> {
        Some(match self.end.clone()? {
            End::Restorable { until } => Found::Restorable { until },
            End::Denied { call } => Found::Denied { call },
            End::NoSuchBucket => Found::NoSuchBucket,
            End::Incomplete { why } => Found::Incomplete { why },
            End::Read => Found::Points { points: self.points.iter().map(|kept| kept.point(place, of)).collect() },
        })
    }
}

/// Reads the pages of what lies under a prefix, from where the last invocation stopped, until `is_over` says that this one's time is spent. Whether
/// all of them are read; otherwise the next invocation goes on, or the listing has come to its end without them.
pub(crate) async fn read_pages<W>(world: &W, region: &Region, bucket: &str, prefix: &str, listed: &mut Listed, is_over: impl Fn() -> bool) -> bool
where
    W: Clock + Buckets,
{
    while listed.pages == 0 || listed.after.is_some() {
        if is_over() {
            return false;
        }
        if listed.pages >= MOST_PAGES {
            let why = format!("there are more than {MOST_PAGES} pages under `{prefix}`: let old objects expire, or give the backup a longer prefix");
            listed.end = Some(End::Incomplete { why });
            return false;
        }
        match world.list_objects(region, bucket, prefix, listed.after.as_deref()).await {
            Ok(page) => {
                // What consoles put there to look like a folder is no backup.
                let objects = page.objects.into_iter().filter(|object| !(object.size == 0 && object.key.ends_with('/')));
                listed.add(objects.map(Into::into), world.now());
                listed.after = page.next.as_deref().map(str::to_owned);
            }
            Err(error) => {
                listed.fail(&error, true);
                return false;
            }
        }
    }
    true
}

impl Kept {
    /// At most so many bytes of JSON.
    fn bytes(&self) -> usize {
        let texts = [Some(&self.name), self.key.as_ref(), self.tag.as_ref()].into_iter().flatten();
        let texts = texts.chain(self.failures.iter().map(|failure| &failure.why)).map(|text| in_json(text));
        BESIDES * (1 + self.failures.len()) + texts.sum::<usize>()
    }

    fn point(&self, place: &Place, of: &PartReference) -> RecoveryPoint {
        RecoveryPoint {
            name: self.name.clone(),
            place: place.clone(),
            of: of.clone(),
            backup: None,
            slot: None,
            taken_at: self.at,
            status: self.status,
            size: self.size.map(Bytes::new),
            kms_key: self.key.clone(),
            // Only where the key is known to be S3's own: under a key of KMS the tag is no digest.
            checksum: self.tag.clone().filter(|_| self.key.as_deref() == Some(S3_KEY)),
            used_by: Vec::new(),
            legal_hold: None,
            failures: self.failures.clone(),
        }
    }
}

/// An instant as the survey sees it, which is of one instant.
fn as_of(at: Timestamp, since: Timestamp, now: Timestamp) -> Timestamp {
    if at <= now.after(CLOCKS_DIFFER) { at.min(since) } else { at }
}

/// The MD5 of the content, of an object that was written in one part and that no key of KMS encrypts. Source: the API reference of S3, Object, `ETag`.
fn is_digest(tag: &str) -> bool {
    tag.len() == 32 && tag.bytes().all(|letter| letter.is_ascii_hexdigit())
}

/// How many bytes a text is in JSON.
fn in_json(text: &str) -> usize {
    let long = |byte: u8| match byte {
        0..=0x1f => 6,
        b'"' | b'\\' => 2,
        _ => 1,
    };
    text.bytes().map(long).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(1_793_584_800_000 + seconds * 1_000)
    }

    fn object(key: &str, written: Timestamp) -> Kept {
        StoredObject { key: key.into(), size: 1, written_at: written, entity_tag: Some("d41d8cd98f00b204e9800998ecf8427e".into()) }.into()
    }

    fn place() -> Place {
        Place::in_region(&"us-east-1".parse().unwrap())
    }

    fn points(listed: &Listed) -> Vec<RecoveryPoint> {
        match listed.found(&place(), &PartReference("databases.main".into())) {
            Some(Found::Points { points }) => points,
            other => panic!("{other:?}"),
        }
    }

    fn failed(fault: CallFault) -> CallError {
        CallError { operation: "s3:ListBucket".into(), resource: "dumps".into(), fault, message: "said so".into() }
    }

    #[test]
    fn of_whatever_a_listing_has_the_newest_five_hundred_are_kept() {
        let mut listed = Listed::new(at(0));
        for page in 0..40_i64 {
            // Newest first, and then oldest first: the order of keys says nothing about time.
            let age = |number: i64| if page < 20 { page * 1_000 + number } else { 60_000 - page * 1_000 - number };
            listed.add((0..1_000).map(|number| object(&format!("{page:02}/{number:03}"), at(-age(number)))), at(0));
        }
        listed.end = Some(End::Read);
        let points = points(&listed);
        assert_eq!((points.len(), listed.read, listed.pages), (KEPT, 40_000, 40));
        assert_eq!((points[0].taken_at, points[KEPT - 1].taken_at), (at(0), at(-499)));
    }

    #[test]
    fn a_note_is_smaller_than_an_item_of_the_table_however_long_the_keys_are() {
        for letter in ["k", "\"", "\u{1}", "é"] {
            let mut listed = Listed::new(at(0));
            let stem = letter.repeat(1_000 / letter.len());
            listed.add((0..1_000).map(|number| object(&format!("{stem}{number}"), at(-number))), at(0));
            listed.after = Some(stem);
            let bytes = serde_json::to_string(&listed).unwrap().len();
            assert!(bytes < 400_000 && listed.points.len() >= 40, "{letter:?}: {bytes} bytes, {} kept", listed.points.len());
        }
    }

    #[test]
    fn what_came_while_the_survey_went_on_is_of_its_beginning_and_the_future_stays_the_future() {
        let mut listed = Listed::new(at(0));
        listed.add([object("meanwhile", at(300)), object("before", at(-5)), object("clock", at(340)), object("future", at(900))], at(300));
        listed.end = Some(End::Read);
        let seen: Vec<_> = points(&listed).into_iter().map(|point| (point.name, point.taken_at)).collect();
        let wanted = [("future", at(900)), ("meanwhile", at(0)), ("clock", at(0)), ("before", at(-5))];
        assert_eq!(seen, wanted.map(|(name, at)| (name.to_owned(), at)));
        assert_eq!(listed.newest(), Some("meanwhile"));
        listed.restorable(Some(at(299)), at(300));
        assert_eq!(listed.end, Some(End::Restorable { until: Some(at(0)) }));
    }

    #[test]
    fn a_failure_that_may_pass_is_tried_four_times_and_then_the_listing_ended_early() {
        for fault in [CallFault::Throttled, CallFault::Unavailable, CallFault::TimedOut, CallFault::Unreachable] {
            let mut listed = Listed::new(at(0));
            listed.add([object("a", at(0))], at(0));
            for _ in 1..TRIES {
                listed.fail(&failed(fault), true);
                assert_eq!(listed.end, None);
            }
            listed.fail(&failed(fault), true);
            assert_eq!(listed.end, Some(End::Incomplete { why: "page 2: s3:ListBucket on dumps: said so".into() }), "{fault:?}");
        }
        let mut listed = Listed::new(at(0));
        (1..TRIES).for_each(|_| listed.fail(&failed(CallFault::Throttled), true));
        listed.add([object("a", at(0))], at(0));
        listed.fail(&failed(CallFault::Throttled), true);
        assert_eq!(listed.end, None, "a page that was read makes up for those that failed");
    }

    #[test]
    fn a_failure_that_nobody_waits_out_settles_a_listing_at_once_in_its_own_words() {
        let end = |fault, of_bucket| {
            let mut listed = Listed::new(at(0));
            listed.fail(&failed(fault), of_bucket);
            listed.end.unwrap()
        };
        assert_eq!(end(CallFault::Denied, true), End::Denied { call: "s3:ListBucket on dumps".into() });
        assert_eq!(end(CallFault::NotFound, true), End::NoSuchBucket);
        for (fault, of_bucket) in [(CallFault::NotFound, false), (CallFault::Rejected, true), (CallFault::Halted, true)] {
            assert!(matches!(end(fault, of_bucket), End::Incomplete { .. }), "{fault:?}");
        }
    }

    #[test]
    fn content_is_compared_only_where_the_tag_is_known_to_be_a_digest() {
        let checksums = |key: Option<Option<&str>>| {
            let mut listed = Listed::new(at(0));
            listed.add([object("newest", at(0)), object("older", at(-5))], at(0));
            key.into_iter().for_each(|key| listed.newest_has_key(key));
            listed.end = Some(End::Read);
            points(&listed).into_iter().map(|point| (point.kms_key, point.checksum.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(checksums(Some(None)), [(Some(S3_KEY.to_owned()), true), (None, false)]);
        assert_eq!(checksums(Some(Some("arn"))), [(Some("arn".to_owned()), false), (None, false)]);
        assert_eq!(checksums(None), [(None, false), (None, false)], "nobody asked");
        let in_parts = StoredObject { key: "big".into(), size: 1, written_at: at(0), entity_tag: Some("d41d8cd98f00b204e9800998ecf84-17".into()) };
        assert_eq!(Kept::from(in_parts).tag, None);
    }

    #[test]
    fn an_object_from_before_s3_encrypted_everything_is_encrypted_only_if_a_key_says_so() {
        let mut listed = Listed::new(at(0));
        listed.add([object("old", "2022-06-01T00:00:00Z".parse().unwrap())], at(0));
        listed.newest_has_key(None);
        listed.end = Some(End::Read);
        assert_eq!(points(&listed)[0].kms_key, None);
    }

    #[test]
    fn an_object_that_is_gone_when_it_is_asked_about_makes_room_for_the_next() {
        let mut listed = Listed::new(at(0));
        listed.add([object("newest", at(0)), object("older", at(-5))], at(0));
        listed.newest_is_gone();
        assert_eq!(listed.newest(), Some("older"));
        listed.newest_is_gone();
        assert_eq!(listed.newest(), None);
    }
}
