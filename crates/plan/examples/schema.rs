//! Prints the JSON Schema of plan files: `cargo run -p muster-plan --features authoring --example schema > schema/plan.schema.json`.
#![allow(clippy::print_stdout)]

fn main() {
    println!("{:#}", muster_plan::schema());
}
