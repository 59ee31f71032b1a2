//! Prints a plan as it is pinned: `cargo run -p muster-plan --features authoring --example canonical plans/basecoat.yaml`.
#![allow(clippy::print_stdout)]

use muster_plan::{load, render};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let name = std::env::args().nth(1).ok_or("which plan?")?;
    let bytes = std::fs::read(&name)?;
    let loaded = load(&name, &bytes);
    let plan = loaded.plan.ok_or_else(|| render(&loaded.diagnostics, &name, &String::from_utf8_lossy(&bytes), false))?;
    print!("{}", plan.canonical_json());
    Ok(())
}
