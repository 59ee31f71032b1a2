//! What the probes saw, for two weeks.

use std::collections::BTreeMap;

use muster_core::ports::{Sample, Samples};
use muster_core::{CallError, Duration, Timestamp};

use super::{Item, Key, Wanted, fits, json, number, read_value};
use crate::{Aws, Failed, Target};

/// A sample is removed so long after its instant, by the table's time to live.
const KEPT: Duration = Duration::from_hours(14 * 24);

fn partition(service: &str) -> String {
    format!("samples/{service}")
}

/// Thirteen digits sort by time until the year 2286.
fn instant(at: Timestamp) -> String {
    format!("{:013}", at.as_millis().max(0))
}

fn write(service: &str, sample: &Sample) -> Result<(String, Item), Failed> {
    let key = Key::new(partition(service), format!("{}/{}/{}", instant(sample.at), sample.vantage, sample.source));
    let mut item = key.item();
    item.insert("value".to_owned(), json(sample)?);
    item.insert("expiresAt".to_owned(), number(sample.at.after(KEPT).as_millis() / 1_000));
    fits(&item)?;
    Ok((key.sort, item))
}

impl<X> Samples for Aws<X> {
    async fn put_samples(&self, service: &str, samples: &[Sample]) -> Result<(), CallError> {
        // By key: a batch may not have two items of the same one.
        let items: Result<BTreeMap<String, Item>, Failed> = samples.iter().map(|sample| write(service, sample)).collect();
        let items = items.map_err(|failed| Target::data("dynamodb:BatchWriteItem", self.home(), partition(service)).failed(failed))?;
        self.put_all(&partition(service), items.into_values().collect()).await
    }

    async fn read_samples(&self, service: &str, since: Timestamp) -> Result<Vec<Sample>, CallError> {
        let items = self.query(&partition(service), Wanted::From(&instant(since))).await?;
        let samples: Result<Vec<Sample>, Failed> = items.iter().map(|item| read_value(item, "value")).collect();
        samples.map_err(|failed| Target::data("dynamodb:Query", self.home(), partition(service)).failed(failed))
    }
}
