//! Checks plan files: `cargo run -p muster-plan --features authoring --example check plans/*.yaml`.
#![allow(clippy::print_stdout)]

use muster_plan::{consequences, load, render};

fn main() -> std::io::Result<()> {
    for name in std::env::args().skip(1) {
        let bytes = std::fs::read(&name)?;
        let loaded = load(&name, &bytes);
        print!("{}", render(&loaded.diagnostics, &name, &String::from_utf8_lossy(&bytes), false));
        for consequence in loaded.plan.iter().flat_map(consequences) {
            println!("{:28} {:40} {:8} {}", consequence.fault, consequence.part, consequence.outcome, consequence.why);
        }
    }
    Ok(())
}
