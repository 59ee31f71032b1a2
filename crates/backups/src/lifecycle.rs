//! Whether a bucket's lifecycle moves an archive to where it is cheap, and lets it stay for as long as it has to.

use muster_core::ports::{Expiry, LifecycleRule};
use muster_plan::{Retention, StorageClass};

use crate::finding::Finding;
use crate::verify::Archive;

/// What is wrong with the rules, for objects whose keys begin with `prefix`.
///
/// A rule for certain tags or sizes is believed to delete, and not to move: RDS sets no tags, and which sizes it writes nobody knows. Expiration is
/// held against the retention to the day, as S3 counts: from when an object was written. Source: the S3 user guide, "Lifecycle configuration elements".
pub(crate) fn findings(rules: &[LifecycleRule], archive: &Archive, prefix: &str) -> Vec<Finding> {
    let moves = |class: StorageClass| {
        rules.iter().any(|rule| !rule.is_narrower && prefix.starts_with(&rule.prefix) && rule.moves_to.iter().any(|to| to == class.in_s3()))
    };
    let unmoved = archive.storage_class.filter(|class| !moves(*class)).map(|class| Finding::NotMoved { prefix: prefix.to_owned(), class });
    // A longer prefix than ours is of some of ours.
    let concerned = rules.iter().filter(|rule| prefix.starts_with(&rule.prefix) || rule.prefix.starts_with(prefix));
    let deleted = concerned.filter_map(|rule| {
        let expires = rule.expires.as_ref()?;
        let wanted = archive.retention.as_ref().map(Retention::reach);
        let too_early = match (expires, wanted) {
            (_, None) => false,
            // All of what is there, whenever it was written.
            (Expiry::On { .. }, Some(_)) | (Expiry::Days { .. }, Some(None)) => true,
            (Expiry::Days { days }, Some(Some(keep))) => u64::from(*days) * 24 * 3_600 < keep.as_secs_ceil(),
        };
        let after = match expires {
            Expiry::Days { days } => format!("{days} days after it was written"),
            Expiry::On { at } => format!("on {at}, whenever it was written"),
        };
        too_early.then(|| Finding::DeletedEarly { rule: rule.id.clone(), after, wanted: wanted.flatten() })
    });
    unmoved.into_iter().chain(deleted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_core::Duration;

    const PREFIX: &str = "kredete-postgres-archive-";

    fn rule(prefix: &str) -> LifecycleRule {
        LifecycleRule { id: "archive".to_owned(), prefix: prefix.to_owned(), is_narrower: false, moves_to: vec!["DEEP_ARCHIVE".to_owned()], expires: None }
    }

    fn expiring(prefix: &str, days: u32) -> LifecycleRule {
        LifecycleRule { expires: Some(Expiry::Days { days }), ..rule(prefix) }
    }

    fn said(rules: &[LifecycleRule]) -> Vec<String> {
        let retention = Some(Retention::For { keep: Duration::from_hours(2_557 * 24) });
        findings(rules, &Archive { storage_class: Some(StorageClass::DeepArchive), retention }, PREFIX).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn an_archive_has_to_be_moved_by_a_rule_that_is_for_all_of_it() {
        assert_eq!(said(&[rule("")]), [""; 0]);
        assert_eq!(said(&[rule("kredete-")]), [""; 0]);
        for rules in [
            vec![],
            vec![rule("kredete-postgres-archive-2019")],
            vec![rule("other/")],
            vec![LifecycleRule { is_narrower: true, ..rule("") }],
            vec![LifecycleRule { moves_to: vec!["GLACIER".to_owned()], ..rule("") }],
        ] {
            let said = said(&rules);
            assert!(said.len() == 1 && said[0].contains("moves `kredete-postgres-archive-…` to DEEP_ARCHIVE"), "{rules:?}: {said:?}");
        }
    }

    #[test]
    fn an_archive_must_not_be_deleted_before_its_retention_is_over() {
        assert_eq!(said(&[expiring("", 2_557)]), [""; 0]);
        for rules in [
            vec![expiring("", 2_556)],
            vec![expiring("kredete-postgres-archive-2019", 30), rule("")],
            vec![LifecycleRule { is_narrower: true, ..expiring("", 30) }, rule("")],
            vec![LifecycleRule { expires: Some(Expiry::On { at: "2040-01-01T00:00:00Z".parse().unwrap() }), ..rule("") }],
        ] {
            let said = said(&rules);
            assert!(said.len() == 1 && said[0].contains("the rule `archive` deletes") && said[0].contains("2557d"), "{rules:?}: {said:?}");
        }
        assert_eq!(said(&[expiring("other/", 30), rule("")]), [""; 0], "what is not ours may go");
        let for_ever = Archive { storage_class: None, retention: Some(Retention::Indefinite) };
        let said: Vec<String> = findings(&[expiring("", 100_000)], &for_ever, PREFIX).iter().map(Finding::to_string).collect();
        assert!(said.len() == 1 && said[0].contains("for ever"), "{said:?}");
    }
}
