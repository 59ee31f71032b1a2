mod archives;
mod caches;
mod databases;
mod recoverability;

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::ports::{SnapshotCopy, SnapshotPlace, SnapshotSource, SourceKind};
use muster_core::{Region, Timestamp};

fn east() -> Region {
    "us-east-1".parse().unwrap()
}

fn west() -> Region {
    "us-west-2".parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn place(region: &Region) -> SnapshotPlace {
    SnapshotPlace { region: region.clone(), account: None, bucket: None }
}

fn bucket(region: &Region) -> SnapshotPlace {
    SnapshotPlace { bucket: Some("portal-exports".into()), ..place(region) }
}

fn vault() -> SnapshotPlace {
    SnapshotPlace { account: Some("210987654321".into()), ..place(&west()) }
}

fn source(kind: SourceKind) -> SnapshotSource {
    SnapshotSource { kind, name: "portal".into() }
}

fn tags() -> BTreeMap<Arc<str>, Arc<str>> {
    [("muster:backup", "nightly"), ("muster:service", "portal")].map(|(name, value)| (Arc::from(name), Arc::from(value))).into()
}

fn copy<'a>(source: &'a SnapshotSource, from: &'a SnapshotPlace, to: &'a SnapshotPlace) -> SnapshotCopy<'a> {
    SnapshotCopy { source, name: NAME, from, to, kms_key: Some("alias/portal-dr"), export: None }
}

const NAME: &str = "portal-nightly-20261126-020000-c0be236f";
