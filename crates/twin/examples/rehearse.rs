//! Rehearses a plan and prints what happens: `cargo run --example rehearse -- PLAN.json SEED [FAULT...]`; with `many=N`
//! as the seed, N rehearsals of random scenarios, and how long they took.
#![allow(clippy::print_stdout)] // an example prints

use std::sync::Arc;

use muster_plan::Plan;
use muster_twin::{Rehearser, Scenario, rehearse_many};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, seed, faults @ ..] = arguments.as_slice() else { return Err("usage: PLAN.json SEED|many=N [FAULT...]".into()) };
    let plan = Arc::new(Plan::from_canonical_json(&std::fs::read(path)?)?);
    let expand = |seed: u64| if faults.is_empty() { Ok(Scenario::random(seed, &plan)) } else { Scenario::named(faults, seed, &plan) };
    if let Some(count) = seed.strip_prefix("many=") {
        let mut outcomes = std::collections::BTreeMap::new();
        let fold = |rehearsal: muster_twin::Rehearsal| {
            let outcome = rehearsal.outcome.as_deref().unwrap_or("no run").to_owned();
            *outcomes.entry(outcome).or_insert(0_u64) += 1;
            if let Some(violation) = &rehearsal.violation {
                println!("seed {}: invariant {}: {} {:?}", rehearsal.seed, violation.invariant, violation.seen, rehearsal.faults);
            }
        };
        rehearse_many(&plan, 0..count.parse()?, 1, |seed| expand(seed).unwrap_or_else(|_| Scenario::quiet(seed)), fold)?;
        println!("{outcomes:?}");
        return Ok(());
    }
    let scenario = expand(seed.parse()?)?;
    println!("{:?}", scenario.names());
    let mut incident_at = None;
    let rehearser = Rehearser::new(&plan)?;
    let rehearsal = rehearser.watch(&scenario, &mut |event| {
        let zero = *incident_at.get_or_insert(event.at());
        println!("{}", event.line(zero));
    });
    println!("{:?} runs {} rto {:?} rpo {:?} lost {}", rehearsal.outcome, rehearsal.runs, rehearsal.rto, rehearsal.rpo, rehearsal.writes_lost);
    if let Some(violation) = &rehearsal.violation {
        println!("VIOLATION {}: {}", violation.invariant, violation.seen);
    }
    Ok(())
}
