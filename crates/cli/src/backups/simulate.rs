//! `muster backups simulate`: months of a plan's backups in seconds, while things go wrong.

use std::sync::Arc;

use muster_twin::{Protection, Rehearser};
use serde_json::{Value, json};

use crate::card;
use crate::cli::BackupsSimulate;
use crate::ending::{Ending, Stop};
use crate::output::{self, BAD, GOOD, PLAIN, QUIET, STRONG, paint};
use crate::plan_file::PlanFile;
use crate::rehearse::{broken_machine, quoted};
use crate::table::table;
use crate::words::{count, span, thousands, wrap};

/// So many things that did not hold are told of one simulation; the rest are counted.
const TOLD: usize = 5;

/// Simulates.
pub(crate) fn run(arguments: &BackupsSimulate) -> Result<Ending, Stop> {
    let mut plans = Vec::new();
    for path in &arguments.plans {
        let file = PlanFile::read(path)?;
        let Some(plan) = file.plan.clone() else {
            file.show_problems()?;
            return Ok(Ending::Wrong);
        };
        plans.push((file.name, Arc::new(plan)));
    }
    let (mut good, mut results) = (true, Vec::new());
    for (file, plan) in &plans {
        let rehearser = Rehearser::new(plan).map_err(|problems| broken_machine(&problems))?;
        for seed in arguments.seed..arguments.seed.saturating_add(arguments.runs.into()) {
            let protection = rehearser.protect(seed, arguments.days.into());
            good &= protection.is_sound();
            if arguments.json {
                results.push(as_json(plan.service.as_str(), &protection));
                continue;
            }
            output::result(&summary(plan.service.as_str(), arguments.days, &protection))?;
            if let Some(violation) = &protection.violation {
                let replay = format!("muster backups simulate {} --days {} --seed {seed}", quoted(file), arguments.days);
                output::note(&card::violation(violation, &replay))?;
            }
        }
    }
    if arguments.json {
        output::result(&format!("{:#}\n", Value::Array(results)))?;
    }
    Ok(if good { Ending::Good } else { Ending::Bad })
}

fn summary(service: &str, days: u16, protection: &Protection) -> String {
    let head = if protection.is_sound() { paint(GOOD.bold(), "PASS") } else { paint(BAD.bold(), "FAIL") };
    let title =
        format!("{service}: {} of backups, seed {}, {} on the way", count(days.into(), "day"), protection.seed, count(protection.faults.len() as u64, "fault"));
    let mut text = format!("{head}  {}\n", paint(STRONG, &title));
    let mut rows: Vec<_> = protection
        .runs
        .iter()
        .map(|(outcome, number)| vec![(PLAIN, outcome.to_string()), (PLAIN, format!("{:>9}", thousands(*number))), (QUIET, "runs".to_owned())])
        .collect();
    let mut row =
        |what: &str, number: u64, of: &str| rows.push(vec![(PLAIN, what.to_owned()), (PLAIN, format!("{:>9}", thousands(number))), (QUIET, of.to_owned())]);
    row("made", protection.made, "snapshots and copies");
    row("deleted", protection.deleted, "of them");
    row("held", protection.held, "times for a person, who came or did not");
    text.push_str(&table(6, &rows));
    let late = format!("      late, and said so: {}\n", span(protection.late));
    text.push_str(&paint(QUIET, &late).to_string());
    for (what, found) in [("late, and not said", &protection.unsaid), ("after the quiet weeks", &protection.left)] {
        for line in found.iter().take(TOLD).flat_map(|line| wrap(&format!("{what}: {line}"), output::WIDTH - 6)) {
            text.push_str(&format!("      {}\n", paint(BAD, &line)));
        }
        if let Some(more) = found.len().checked_sub(TOLD).filter(|more| *more > 0) {
            text.push_str(&format!("      {}\n", paint(BAD, &format!("{what}: and {} more", thousands(more as u64)))));
        }
    }
    text
}

fn as_json(service: &str, protection: &Protection) -> Value {
    json!({
        "service": service,
        "seed": protection.seed,
        "sound": protection.is_sound(),
        "runs": protection.runs,
        "made": protection.made,
        "deleted": protection.deleted,
        "held": protection.held,
        "late": protection.late,
        "notSaid": protection.unsaid,
        "left": protection.left,
        "violation": protection.violation.as_ref().map(|violation| format!("invariant {}: {}", violation.invariant, violation.seen)),
        "faults": protection.faults,
    })
}
