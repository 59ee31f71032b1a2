//! Evidence in words, by time.

use std::collections::BTreeMap;

use muster_core::{Evidence, LagBasis, Override, Timestamp};

use crate::calls::fault_in_words;
use crate::record::{Line, Tone};
use crate::restores::with_load;
use crate::scan::Scan;
use crate::text::{moment, span};

/// What happened, line by line. The same words of the same phase are one line with a count: polls repeat what they see.
pub(crate) fn timeline(scan: &Scan<'_>, zero: Timestamp) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::with_capacity(scan.facts.len());
    let mut known: BTreeMap<(&str, String, String), usize> = BTreeMap::new();
    let facts = scan.facts.iter().map(|fact| (fact.entry, words(fact.evidence)));
    let failed = scan.calls.iter().filter_map(|made| {
        let fault = made.outcome.fault.filter(|_| made.call.mutates)?;
        let action = format!("{} on {}", made.call.operation, made.call.resource);
        Some((made.entry, (action, fault_in_words(fault).to_owned(), Tone::Bad)))
    });
    for (entry, (action, result, tone)) in facts.chain(failed) {
        let key = (&*entry.phase, action, result);
        if let Some(at) = known.get(&key) {
            lines[*at].times += 1;
            continue;
        }
        lines.push(Line {
            at: entry.at,
            offset_millis: entry.at.as_millis().saturating_sub(zero.as_millis()),
            phase: entry.phase.to_string(),
            action: key.1.clone(),
            result: key.2.clone(),
            tone,
            times: 1,
        });
        known.insert(key, lines.len() - 1);
    }
    lines.sort_by_key(|line| line.at);
    lines
}

/// What was done, what came of it, and how it reads.
fn words(evidence: &Evidence) -> (String, String, Tone) {
    let line = |action: String, result: String, tone| (action, result, tone);
    match evidence {
        Evidence::Opened { by, reason } => line(format!("Run opened by {by}"), reason.clone(), Tone::Plain),
        Evidence::OutageConfirmed { sources, since } => {
            line("Outage confirmed".into(), format!("{} agree, failing since {}", sources.join(", "), since.clock_time()), Tone::Bad)
        }
        Evidence::OutageCleared { seen } => line("Outage over, or none".into(), seen.clone(), Tone::Good),
        Evidence::Preflight { subject, seen, ready } => line(
            format!("Preflight: {subject}"),
            format!("{}: {seen}", if *ready { "ready" } else { "NOT ready" }),
            if *ready { Tone::Plain } else { Tone::Bad },
        ),
        Evidence::Asked { question, heard_by, deadline } => {
            let heard =
                if heard_by.is_empty() { "no channel accepted it: silence decides nothing".to_owned() } else { format!("heard by {}", heard_by.join(", ")) };
            line(
                format!("Asked: {question}"),
                format!("{heard}; silence answers at {}", deadline.clock_time()),
                if heard_by.is_empty() { Tone::Bad } else { Tone::People },
            )
        }
        Evidence::Decided { question, choice, by, reason, .. } => {
            let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            line(format!("Decided: {question}"), format!("{choice}, by {by}{why}"), Tone::People)
        }
        Evidence::Accepted { risk, standing } => {
            let (risk, by, reason) = risk_in_words(risk);
            let how = if *standing { "beforehand, in the plan" } else { "in this run" };
            line(format!("Risk accepted {how}"), format!("{risk}; by {by}: {reason}"), Tone::People)
        }
        Evidence::Fenced { database, proof } => line(format!("Old primary of {database} fenced"), proof.clone(), Tone::Good),
        Evidence::Unfenced { database, seen } => line(format!("Old primary of {database} NOT fenced"), seen.clone(), Tone::Bad),
        Evidence::Lag { database, lag, sampled_at, basis } => {
            let sampled = sampled_at.map_or(String::new(), |at| format!(", sampled at {}", at.clock_time()));
            let result = match lag {
                Some(lag) => format!("{} ({}{sampled})", span(*lag), basis_in_words(*basis)),
                None => format!("unknown ({}{sampled})", basis_in_words(*basis)),
            };
            line(format!("Replica lag of {database}"), result, if lag.is_some() { Tone::Plain } else { Tone::Bad })
        }
        Evidence::NotApplied { step, why } => line(format!("NOT {step}"), why.clone(), Tone::Plain),
        Evidence::Irreversible { step } => line("Point of no return".into(), step.clone(), Tone::Plain),
        Evidence::Awaited { component, what, from, until } => {
            line(format!("AWS finished: {component}"), format!("{what}, {} from {}", span(until.since(*from)), from.clock_time()), Tone::Good)
        }
        Evidence::Configured { item, before, after } => line(format!("Configured {item}"), format!("{before} → {after}"), Tone::Plain),
        Evidence::Checked { check, component, seen, wanted, passed } => line(
            format!("Check {check} ({component})"),
            format!("{}: saw {seen}, wanted {wanted}", if *passed { "passed" } else { "FAILED" }),
            if *passed { Tone::Good } else { Tone::Bad },
        ),
        Evidence::TrafficMoved { record, method } => line(format!("Traffic asked to move: {record}"), method.clone(), Tone::Plain),
        Evidence::TrafficSeen { record } => line(format!("DNS answers with the standby: {record}"), "seen at the authoritative servers".into(), Tone::Good),
        Evidence::Undone { what } => line("Undone".into(), what.clone(), Tone::Plain),
        Evidence::Unprotected { what } => line("Left without protection".into(), what.clone(), Tone::Bad),
        Evidence::Held { phase, error, cause } => line(format!("HELD at {phase}"), format!("{error}: {cause}"), Tone::Bad),
        Evidence::BackupsVerified { as_of, problems, exposures } => {
            let alarms = problems.iter().filter(|problem| problem.alarms).count();
            let others = problems.len() - alarms;
            let result = format!("{alarms} wrong, {others} to be looked at by day; what {} components would lose", exposures.len());
            line(format!("Backups verified as of {}", as_of.clock_time()), result, if alarms == 0 { Tone::Good } else { Tone::Bad })
        }
        Evidence::Restored { component, snapshot, taken_at, instance, from, until, loaded_from, .. } => {
            let took = with_load(until.since(*from), loaded_from.map(|began| until.since(began)));
            line(format!("Restored {component}"), format!("{snapshot} of {} into {instance}, in {took}", moment(*taken_at)), Tone::Good)
        }
        Evidence::CloneDestroyed { component, instance } => line(format!("Clone of {component} destroyed"), instance.clone(), Tone::Good),
        Evidence::Told { channel, subject, accepted } => {
            let result = if *accepted { "accepted" } else { "NOT accepted by the channel" };
            line(format!("Told {channel}: {subject}"), result.into(), if *accepted { Tone::Plain } else { Tone::Bad })
        }
    }
}

/// A risk, who accepted it, and why.
pub(crate) fn risk_in_words(risk: &Override) -> (String, &str, &str) {
    match risk {
        Override::Lag { database, up_to: Some(up_to), by, reason } => (format!("{database} is promoted with a lag of up to {up_to}"), by, reason),
        Override::Lag { database, up_to: None, by, reason } => (format!("{database} is promoted with an unknown lag"), by, reason),
        Override::Unfenced { database, by, reason } => (format!("{database} is promoted although its old primary is not proven to refuse writes"), by, reason),
        Override::Check { phase, by, reason } => (format!("a failing check of {phase} is passed over"), by, reason),
    }
}

/// The basis of a lag figure.
pub(crate) const fn basis_in_words(basis: LagBasis) -> &'static str {
    match basis {
        LagBasis::Measured => "measured",
        LagBasis::LastKnown => "last known before the outage",
        LagBasis::Unknown => "unknown, and accepted",
    }
}
