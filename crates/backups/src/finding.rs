//! What is wrong with a backup, in words: what was seen, what was wanted, what to do now.

use std::fmt;

use muster_core::{Duration, Timestamp};
use muster_plan::{Bytes, StorageClass};
use serde::Serialize;

use crate::point::Place;

/// What is wrong with a backup in a place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Finding {
    /// There is none at all.
    Nothing,
    /// The newest is too old, and there is no newer one to copy.
    Late {
        /// The newest good one.
        newest: Timestamp,
        /// How old it is.
        age: Duration,
        /// How old it may be.
        at_most: Duration,
    },
    /// The newest is too old here, and newer ones wait in the place that it is copied from.
    NotArrived {
        /// The newest good one here; `None` where there is none.
        newest: Option<Timestamp>,
        /// The newest good one there.
        original: Timestamp,
        /// Where that is.
        from: Place,
        /// How old the newest may be.
        at_most: Duration,
    },
    /// Some originals older than `maxAge` have no copy here although newer ones do.
    Holes {
        /// How many.
        count: usize,
        /// The newest of them.
        newest: String,
        /// Where the originals are.
        from: Place,
    },
    /// The newest is suspiciously small.
    Shrunken {
        /// Its name.
        name: String,
        /// Its size.
        size: Bytes,
        /// What was usual before.
        usual: Option<Bytes>,
    },
    /// A copy differs from its original.
    Differs {
        /// Its name.
        name: String,
        /// Where the original is.
        from: Place,
        /// What differs, with both values.
        what: String,
    },
    /// Nothing encrypts it, and the plan says that it is encrypted.
    Unencrypted {
        /// Its name.
        name: String,
    },
    /// It is encrypted with another key.
    WrongKey {
        /// Its name.
        name: String,
        /// The ARN of the key that encrypts it.
        key: String,
        /// The plan's key, and its ARN.
        wanted: String,
    },
    /// The plan's key is disabled, or waits for its deletion.
    KeyDisabled {
        /// The key.
        key: String,
    },
    /// The plan's key does not exist.
    KeyMissing {
        /// The key.
        key: String,
    },
    /// The last attempt failed.
    Failed {
        /// Its name.
        name: String,
    },
    /// The last attempt at an export failed.
    ExportFailed {
        /// The snapshot's name.
        name: String,
        /// How many attempts have failed.
        attempts: usize,
        /// Why, in RDS's words.
        why: String,
    },
    /// The bucket's lifecycle does not move an archive to its storage class.
    NotMoved {
        /// How the archive's keys begin.
        prefix: String,
        /// Where it belongs.
        class: StorageClass,
    },
    /// The bucket's lifecycle deletes an archive too early.
    DeletedEarly {
        /// The rule's name.
        rule: String,
        /// When it deletes, in words.
        after: String,
        /// How long the archive has to stay; `None` for ever.
        wanted: Option<Duration>,
    },
    /// It is dated in the future.
    FromTheFuture {
        /// Its name.
        name: String,
        /// Its date.
        taken_at: Timestamp,
    },
    /// Its database or cache is gone.
    SourceGone,
    /// No further snapshot can be made in this region.
    QuotaReached {
        /// How many there are.
        used: u64,
        /// How many there may be.
        limit: u64,
    },
    /// Soon no further snapshot can be made in this region.
    QuotaNear {
        /// How many there are.
        used: u64,
        /// How many there may be.
        limit: u64,
    },
    /// The listing was refused.
    Denied {
        /// What was refused.
        call: String,
    },
    /// The bucket does not exist.
    NoSuchBucket,
    /// The listing ended early.
    Incomplete {
        /// What happened.
        why: String,
    },
    /// A key, a quota or a source could not be looked at.
    Unread {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// Nobody looked.
    NotLooked,
}

impl Finding {
    /// Whether somebody has to be called: all but what leaves time until the morning.
    pub fn is_alarm(&self) -> bool {
        !matches!(self, Finding::QuotaNear { .. } | Finding::Holes { .. })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Nothing => f.write_str(
                "there is no backup at all, and an empty list is not taken for a clean one: look whether its source, its tags or its bucket were changed",
            ),
            Finding::Late { newest, age, at_most } => {
                write!(f, "the newest is of {newest}, {} ago, and may be {at_most} old: look why none was taken since", age.in_words())
            }
            Finding::NotArrived { newest, original, from, at_most } => {
                let here = newest.map_or_else(|| "none is here".to_owned(), |newest| format!("the newest here is of {newest}"));
                write!(f, "{from} has one of {original}, {here}, and it may be {at_most} old: look at the copies, the destination's key and the replication")
            }
            Finding::Holes { count, newest, from } => {
                write!(
                    f,
                    "{count} of {from} have no copy here, the newest of them {newest}: what was replicated later did arrive, so copy these by hand or let them go"
                )
            }
            Finding::Shrunken { name, size, usual: Some(usual) } => {
                let (size, usual) = (spoken(*size), spoken(*usual));
                write!(f, "{name} has {size}, and {usual} were usual: restore it, or take another, before older ones are deleted")
            }
            Finding::Shrunken { name, size, usual: None } => write!(f, "{name} has {}: there is nothing in it to restore", spoken(*size)),
            Finding::Differs { name, from, what } => write!(f, "{name} is not what it is in {from}: {what}; copy it again"),
            Finding::Unencrypted { name } => write!(f, "{name} is not encrypted, and the plan says that it is: encrypt its source, and delete it"),
            Finding::WrongKey { name, key, wanted } => {
                write!(f, "{name} is encrypted with {key} and not with {wanted}: whoever restores it needs the other key")
            }
            Finding::KeyDisabled { key } => write!(f, "the key {key} is disabled: what it encrypts can neither be made nor restored; enable it"),
            Finding::KeyMissing { key } => write!(f, "there is no key {key} here: copies fail until it is made, or the plan names another"),
            Finding::Failed { name } => write!(f, "{name} failed: it is removed and taken again; if that fails too, AWS's events of it say why"),
            Finding::ExportFailed { name, attempts, why } => write!(
                f,
                "the export of {name} failed, {}: {why}; another attempt is made a day later, from the same snapshot: mend the role, the key or the bucket until then",
                if *attempts == 1 { "once".to_owned() } else { format!("{attempts} times, the last time") }
            ),
            Finding::NotMoved { prefix, class } => write!(
                f,
                "no rule of the bucket's lifecycle moves `{prefix}…` to {}: it stays where it is dear; add such a rule, for this prefix and without tags or sizes",
                class.in_s3()
            ),
            Finding::DeletedEarly { rule, after, wanted } => {
                let wanted = wanted.map_or_else(|| "for ever".to_owned(), |keep| format!("for {keep}"));
                write!(f, "the rule `{rule}` deletes of it {after}, and it has to stay {wanted}: change the bucket's lifecycle, before it does")
            }
            Finding::FromTheFuture { name, taken_at } => write!(f, "{name} claims to be of {taken_at}, which has not come yet: a clock is wrong"),
            Finding::SourceGone => f.write_str("its source does not exist any more: keep what there is, and change the plan"),
            Finding::QuotaReached { used, limit } => {
                write!(f, "{used} manual snapshots of {limit} that may be: the next one fails; ask AWS for more, or keep fewer")
            }
            Finding::QuotaNear { used, limit } => write!(f, "{used} manual snapshots of {limit} that may be: ask AWS for more before they are used up"),
            Finding::Denied { call } => write!(f, "it could not be looked at: {call} was denied; nothing is known of it"),
            Finding::NoSuchBucket => f.write_str("its bucket does not exist"),
            Finding::Incomplete { why } => write!(f, "the listing ended early: {why}; nothing is known of the rest"),
            Finding::Unread { what, why } => write!(f, "{what} could not be looked at: {why}; nothing is known of it"),
            Finding::NotLooked => f.write_str("nobody looked: nothing is known of it"),
        }
    }
}

/// For reading, cut to a whole number: `12 GiB`, `976 KiB`, `0 B`.
fn spoken(size: Bytes) -> String {
    let bytes = size.as_u64();
    let (unit, of) = [("TiB", 1_u64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)].into_iter().find(|(_, of)| bytes >= *of).unwrap_or(("B", 1));
    format!("{} {unit}", bytes / of)
}
