//! Prints the JSON Schema of a report: `cargo run -p muster-report --example report_schema > schema/report.schema.json`.
#![allow(clippy::print_stdout)]

fn main() {
    let schema = schemars::schema_for!(muster_report::Report);
    println!("{}", serde_json::to_string_pretty(&schema).unwrap_or_default());
}
