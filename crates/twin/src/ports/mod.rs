//! The ports, one file per group as in `core`: each method names its call and its effect, and nothing else.

mod compute;
mod databases;
mod memory;
mod sql;
mod traffic;

use std::borrow::Cow;
use std::fmt::{Display, Write as _};

use muster_core::{CallFault, Plane, Region};

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

fn joined<T: Display>(ids: impl IntoIterator<Item = T>) -> String {
    let mut text = String::new();
    for id in ids {
        if !text.is_empty() {
            text.push_str(", ");
        }
        // A text takes whatever is written.
        let _ = write!(text, "{id}");
    }
    text
}

fn missing(what: impl Display) -> Refusal {
    (CallFault::NotFound, format!("{what} does not exist"))
}

fn rejected(why: impl Into<String>) -> Refusal {
    (CallFault::Rejected, why.into())
}
