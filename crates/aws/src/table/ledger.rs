//! The ledger: one item per entry, by invocation and sequence.

use muster_core::ports::Ledger;
use muster_core::{CallError, Entry, RunId};

use super::{Item, Key, Wanted, fits, json, read_value};
use crate::{Aws, Failed, Target};

fn partition(run: &RunId) -> String {
    format!("ledger/{run}")
}

fn write(entry: &Entry) -> Result<Item, Failed> {
    let mut item = Key::new(partition(&entry.run), format!("{}/{:06}", entry.invocation, entry.sequence)).item();
    item.insert("value".to_owned(), json(entry)?);
    fits(&item)?;
    Ok(item)
}

impl<X> Ledger for Aws<X> {
    /// An entry that is too large for DynamoDB does not keep the others out: they are stored, and the error names it. It is
    /// then in the log, like everything that could not be saved.
    async fn append(&self, entries: &[Entry]) -> Result<(), CallError> {
        let Some(first) = entries.first() else { return Ok(()) };
        let (mut items, mut refused) = (Vec::with_capacity(entries.len()), None);
        for entry in entries {
            match write(entry) {
                Ok(item) => items.push(item),
                Err(failed) => refused = Some(Failed { message: format!("entry {}/{}: {}", entry.invocation, entry.sequence, failed.message), ..failed }),
            }
        }
        let resource = partition(&first.run);
        self.put_all(&resource, items).await?;
        refused.map_or(Ok(()), |failed| Err(Target::data("dynamodb:BatchWriteItem", self.home(), resource).failed(failed)))
    }

    async fn read_ledger(&self, run: &RunId) -> Result<Vec<Entry>, CallError> {
        let items = self.query(&partition(run), Wanted::All).await?;
        let entries: Result<Vec<Entry>, Failed> = items.iter().map(|item| read_value(item, "value")).collect();
        entries.map_err(|failed| Target::data("dynamodb:Query", self.home(), partition(run)).failed(failed))
    }
}
