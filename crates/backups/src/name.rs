//! The name of a snapshot: the same for the same plan, backup and slot, so that a second delivery of an event finds the first one's snapshot.

use jiff::tz::TimeZone;
use muster_core::Timestamp;
use muster_plan::{Name, PartReference};
use sha2::{Digest, Sha256};

/// What the strictest of the services takes, less the number of an attempt (`-99`): 60 letters, digits and hyphens for an export task of RDS. No
/// reference says so; StartExportTask refuses more. An Aurora cluster's snapshot takes 63 (`CreateDBClusterSnapshot`), an RDS instance's 255;
/// ElastiCache publishes no limit.
const LONGEST: usize = 57;

/// The name of the snapshot of a slot, such as `kaireon-rds-daily-20261126-020000-c0be236f`.
///
/// Letters, digits and single hyphens; begins with a letter, ends with a digit or a letter; at most 57 characters: what RDS, Aurora and
/// ElastiCache all take. A long name is cut before its time, never in it. The last eight digits tell apart what joining and cutting could make
/// equal, and are of the service, the part and the backup.
pub fn snapshot_name(service: &Name, of: &PartReference, backup: &Name, slot: Timestamp) -> String {
    let digest = Sha256::digest(format!("{service}\n{}\n{backup}", of.0).as_bytes());
    let digest: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{}{}-{digest}", snapshot_stem(service, backup), time(slot))
}

/// The identifier of an attempt at exporting a snapshot, the first of which has the snapshot's own name. RDS takes an identifier once, whatever became
/// of it. Source: the RDS user guide, "Considerations for DB snapshot exports" (`ExportTaskAlreadyExistsFault`).
pub fn export_name(snapshot: &str, attempt: usize) -> String {
    if attempt <= 1 { snapshot.to_owned() } else { format!("{snapshot}-{attempt}") }
}

/// How the names of all snapshots of a backup begin, up to their time; so do the keys of their exports. Such as `kaireon-rds-daily-`.
pub fn snapshot_stem(service: &Name, backup: &Name) -> String {
    const TIME_AND_DIGEST: usize = "20261126-020000-c0be236f".len();
    let stem = format!("{service}-{backup}");
    let first = if stem.starts_with(|letter: char| letter.is_ascii_alphabetic()) { "" } else { "m-" };
    let mut stem: String = format!("{first}{stem}").split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-");
    stem.truncate(LONGEST - TIME_AND_DIGEST - 1);
    format!("{}-", stem.trim_end_matches('-'))
}

/// `20261126-020000`.
fn time(slot: Timestamp) -> String {
    // What the calendar does not have, beyond the year 9999, has its milliseconds for a name.
    match jiff::Timestamp::from_millisecond(slot.as_millis()).map(|instant| TimeZone::UTC.to_datetime(instant)) {
        Ok(time) if (0..=9_999).contains(&time.year()) => {
            format!("{:04}{:02}{:02}-{:02}{:02}{:02}", time.year(), time.month(), time.day(), time.hour(), time.minute(), time.second())
        }
        _ => slot.as_millis().unsigned_abs().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(service: &str, of: &str, backup: &str, slot: &str) -> String {
        snapshot_name(&service.parse().unwrap(), &PartReference(of.to_owned()), &backup.parse().unwrap(), slot.parse().unwrap())
    }

    #[test]
    fn a_name_says_what_it_is_of_and_when() {
        assert_eq!(named("kaireon", "databases.main", "rds-daily", "2026-11-26T02:00:00Z"), "kaireon-rds-daily-20261126-020000-c0be236f");
    }

    #[test]
    fn what_joining_makes_equal_is_told_apart() {
        let slot = "2026-11-26T02:00:00Z";
        assert_ne!(named("a-b", "databases.x", "c", slot), named("a", "databases.x", "b-c", slot));
        assert_ne!(named("a", "databases.x", "b", slot), named("a", "databases.y", "b", slot));
        assert_ne!(named("a--b", "databases.x", "c", slot), named("a-b", "databases.x", "c", slot));
        let long = "b".repeat(63);
        assert_ne!(named("a", "databases.x", &long, slot), named("a", "databases.x", &long[1..], slot));
    }

    proptest! {
        /// RDS: "First character must be a letter. Can't end with a hyphen or contain two consecutive hyphens."
        #[test]
        fn every_service_takes_every_name(service in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", backup in "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", slot in 0_i64..253_402_300_800) {
            let slot = Timestamp::from_millis(slot * 1_000);
            let of = PartReference("databases.main".to_owned());
            let name = snapshot_name(&service.parse().unwrap(), &of, &backup.parse().unwrap(), slot);
            prop_assert!(name.len() <= 57, "{name}");
            prop_assert!(name.starts_with(|letter: char| letter.is_ascii_lowercase()), "{name}");
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'), "{name}");
            prop_assert!(!name.ends_with('-') && !name.contains("--"), "{name}");
            let later = snapshot_name(&service.parse().unwrap(), &of, &backup.parse().unwrap(), Timestamp::from_millis(slot.as_millis() + 1_000));
            prop_assert_ne!(name, later);
        }
    }
}
