//! `muster schema`: the JSON Schemas of plans and of reports.

use muster_report::Report;
use serde_json::Value;

use crate::cli::Document;
use crate::ending::{Ending, Stop};
use crate::output;

/// Prints the schema.
pub(crate) fn run(document: Document) -> Result<Ending, Stop> {
    let schema = match document {
        Document::Plan => muster_plan::schema(),
        Document::Report => sorted(schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Report>().to_value()),
    };
    output::result(&format!("{schema:#}\n"))?;
    Ok(Ending::Good)
}

/// Keys in order, whatever `serde_json` was built with: the same schema is always the same bytes.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = map.into_iter().collect();
            entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(entries.into_iter().map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        scalar => scalar,
    }
}
