//! `muster schema`: the JSON Schemas of plans and of reports.

use muster_core::sorted;
use muster_report::Report;

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
