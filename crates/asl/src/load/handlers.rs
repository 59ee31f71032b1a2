//! Loads Retry and Catch.

use std::rc::Rc;

use super::fields::{Fields, describe};
use super::workflow::Shared;
use crate::failure;
use crate::limits::MAX_SECONDS;
use crate::machine::{Catcher, Handlers};
use crate::names::Available;
use crate::retry::Retrier;
use crate::value::Value;

/// `MaxAttempts` may be at most this (a limit of AWS).
const MAX_ATTEMPTS: u64 = 99_999_999;
/// `MaxDelaySeconds` and `IntervalSeconds` may be at most these (limits of AWS).
const MAX_DELAY_SECONDS: u64 = 31_622_400;

pub(super) fn load(fields: &Fields<'_>, shared: &Shared) -> Option<Handlers> {
    let mut retry = Vec::new();
    let mut catch = Vec::new();
    for (last, entry) in entries(fields, "Retry") {
        retry.push(retrier(&entry, last));
    }
    for (last, entry) in entries(fields, "Catch") {
        catch.push(catcher(&entry, last, shared));
    }
    Some(Handlers { retry: retry.into_iter().collect::<Option<_>>()?, catch: catch.into_iter().collect::<Option<_>>()? })
}

fn entries<'a>(fields: &Fields<'a>, field: &str) -> Vec<(bool, Fields<'a>)> {
    let items = fields.array(field).unwrap_or_default();
    items
        .iter()
        .enumerate()
        .map(|(index, item)| {
            let path = format!("{}[{index}]", fields.at(field));
            let entry = Fields::new(fields.problems, path, item);
            (index + 1 == items.len(), entry)
        })
        .collect()
}

fn retrier(entry: &Fields<'_>, last: bool) -> Option<Retrier> {
    entry.only(&["BackoffRate", "Comment", "ErrorEquals", "IntervalSeconds", "JitterStrategy", "MaxAttempts", "MaxDelaySeconds"]);
    let interval = entry.integer("IntervalSeconds", 1, MAX_SECONDS);
    let longest = entry.integer("MaxDelaySeconds", 1, MAX_DELAY_SECONDS);
    if let (interval, Some(longest)) = (interval.unwrap_or(1), longest)
        && longest <= interval
    {
        entry.problem("MaxDelaySeconds", format!("is {longest}, but must be greater than IntervalSeconds, which is {interval}"));
    }
    let full_jitter = match entry.string("JitterStrategy").as_deref() {
        None | Some("NONE") => false,
        Some("FULL") => true,
        Some(other) => {
            entry.problem("JitterStrategy", format!("wants \"FULL\" or \"NONE\", but is {other:?}"));
            false
        }
    };
    let backoff_rate = match entry.get("BackoffRate") {
        None => 2.0,
        Some(Value::Number(rate)) if *rate >= 1.0 => *rate,
        Some(other) => {
            entry.problem("BackoffRate", format!("wants a number of at least 1.0, but is {}", describe(other)));
            2.0
        }
    };
    Some(Retrier {
        errors: errors(entry, last)?,
        interval_seconds: interval.unwrap_or(1),
        max_attempts: entry.integer("MaxAttempts", 0, MAX_ATTEMPTS).unwrap_or(3),
        backoff_rate,
        max_delay_seconds: longest,
        full_jitter,
    })
}

fn catcher(entry: &Fields<'_>, last: bool, shared: &Shared) -> Option<Catcher> {
    entry.only(&["Assign", "Comment", "ErrorEquals", "Next", "Output"]);
    let available = Available { error_output: true, ..shared.available() };
    entry.required_string("Next");
    let errors = errors(entry, last);
    let assign = shared.assign(entry, available);
    let output = entry.template("Output", &shared.names(available));
    Some(Catcher { errors: errors?, assign: assign?, output, next: shared.target(entry, "Next")? })
}

fn errors(entry: &Fields<'_>, last: bool) -> Option<Vec<Rc<str>>> {
    entry.required("ErrorEquals")?;
    let items = entry.array("ErrorEquals")?;
    if items.is_empty() {
        entry.problem("ErrorEquals", "is empty; name at least one error, or States.ALL");
    }
    let mut errors: Vec<Rc<str>> = Vec::with_capacity(items.len());
    for item in items {
        let Value::String(name) = item else {
            entry.problem("ErrorEquals", format!("wants error names as strings, but holds {}", describe(item)));
            continue;
        };
        if name.starts_with("States.") && !failure::NAMES.contains(&&**name) {
            entry.problem("ErrorEquals", format!("holds {name:?}, which is not an error of Step Functions; those are {}", failure::NAMES.join(", ")));
        }
        if &**name == failure::RUNTIME {
            entry.problem("ErrorEquals", "holds \"States.Runtime\", which no Retry and no Catch ever handles; remove it");
        }
        errors.push(name.clone());
    }
    if errors.iter().any(|name| &**name == failure::ALL) && (errors.len() > 1 || !last) {
        entry.problem("ErrorEquals", "holds States.ALL, which must stand alone and in the last entry");
    }
    Some(errors)
}
