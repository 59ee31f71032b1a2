//! The ports, one file per group as in `core`: each method names its call and its effect, and nothing else.

mod builds;
mod clones;
mod compute;
mod databases;
mod memory;
mod objects;
mod snapshots;
mod sql;
mod traffic;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use futures::{StreamExt, TryStreamExt, stream};
use muster_core::{CallError, CallFault, Plane, Region};

use crate::durations::{CONTROL_CALL, DATA_CALL, Table};
use crate::world::{Calling, Refusal};

fn control<'a>(operation: &'static str, region: &Region, resource: impl Into<Cow<'a, str>>) -> Calling<'a> {
    Calling { operation, region: region.clone(), plane: Plane::Control, mutates: false, resource: resource.into(), table: &CONTROL_CALL, estate: true }
}

fn data<'a>(operation: &'static str, region: &Region, resource: impl Into<Cow<'a, str>>, table: &'static Table) -> Calling<'a> {
    Calling { operation, region: region.clone(), plane: Plane::Data, mutates: false, resource: resource.into(), table, estate: true }
}

/// Muster's own tables, topics and buckets.
fn books<'a>(operation: &'static str, region: &Region, resource: impl Into<Cow<'a, str>>) -> Calling<'a> {
    Calling { operation, region: region.clone(), plane: Plane::Data, mutates: false, resource: resource.into(), table: &DATA_CALL, estate: false }
}

impl Calling<'_> {
    fn changing(mut self) -> Self {
        self.mutates = true;
        self
    }
}

/// So many are named one by one.
const NAMED: usize = 5;

fn joined<T: Display>(ids: &[T]) -> String {
    let mut text = String::new();
    for id in ids.iter().take(NAMED) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        // A text takes whatever is written.
        let _ = write!(text, "{id}");
    }
    if ids.len() > NAMED {
        let _ = write!(text, " and {} more", ids.len() - NAMED);
    }
    text
}

/// Pages of DescribeDBInstances and DescribeAutoScalingGroups. Source: their API references, `MaxRecords`.
const PAGE: usize = 100;
/// GetParameters takes so many names. Source: its API reference.
const PARAMETERS: usize = 10;
/// As many as the adapters read at any time.
const PAGES_SIDE_BY_SIDE: usize = 5;

/// Reads pages side by side, as the adapters do; ends at the first that fails.
async fn in_pages<'i, K: Ord, V, F>(ids: &'i [K], page: usize, read: impl Fn(&'i [K]) -> F) -> Result<BTreeMap<K, V>, CallError>
where
    F: Future<Output = Result<BTreeMap<K, V>, CallError>>,
{
    if ids.len() <= page {
        return read(ids).await;
    }
    let pages = stream::iter(ids.chunks(page)).map(read).buffered(PAGES_SIDE_BY_SIDE);
    pages
        .try_fold(BTreeMap::new(), async |mut all, mut page| {
            all.append(&mut page);
            Ok(all)
        })
        .await
}

fn missing(what: impl Display) -> Refusal {
    (CallFault::NotFound, format!("{what} does not exist"))
}

fn rejected(why: impl Into<String>) -> Refusal {
    (CallFault::Rejected, why.into())
}
