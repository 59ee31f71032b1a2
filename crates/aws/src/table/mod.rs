//! Muster's table: what its items look like, and how they are read and written.
//!
//! | items | `pk` | `sk` | attributes |
//! |---|---|---|---|
//! | kill switch | `control` | `kill-switch` | `by`, `reason` |
//! | lanes | `lanes` | `<service>/<lane>` | `epoch`, `run` and `open` while a run holds the lock, `lastClosed` |
//! | questions | `run/<run>` | `question/<name>` | `value`; `token`, `deadline` and `answer` once there is one |
//! | notes | `notes/<scope>` | `<name>` | `value` |
//! | samples; the replicas' lags apart | `samples/<service>`, `samples/<service>/lag` | `<13-digit milliseconds>/<vantage>/<source>` | `value`, `expiresAt` |
//! | ledger | `ledger/<run>` | `<invocation>/<6-digit sequence>` | `value` |
//!
//! What is more than a text or a number is JSON in a text, so that nothing is lost on the way; an attribute of its own has what a condition
//! or a person in the console looks at. Every read is strongly consistent.
//!
//! An item that DynamoDB would not take because of its size is refused here, before it is sent: one of them would make the whole
//! batch fail.

mod control;
mod decisions;
mod ledger;
mod notes;
mod registry;
mod samples;
#[cfg(test)]
mod tests;

use std::time::Duration;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, ReturnValue, ReturnValuesOnConditionCheckFailure, WriteRequest};
use futures::{StreamExt, stream};
use muster_core::{CallError, CallFault};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Aws, Failed, Target, classify};

/// The SDK's form of an item.
#[expect(clippy::disallowed_types, reason = "the SDK hands items out in this type; nobody iterates over one")]
type Item = std::collections::HashMap<String, AttributeValue>;

/// DynamoDB stores items of up to 400 KB, names of attributes included. Source: "Service, account, and table quotas in Amazon DynamoDB".
const LARGEST_ITEM: usize = 400 * 1_024;
/// BatchWriteItem takes so many items. Source: API reference of DynamoDB, BatchWriteItem.
const BATCH: usize = 25;
const BATCHES_SIDE_BY_SIDE: usize = 4;
/// Before the items that a batch left unprocessed are sent again: less than two seconds in all.
const PAUSES: [Duration; 4] = [Duration::from_millis(100), Duration::from_millis(200), Duration::from_millis(400), Duration::from_millis(800)];

/// An item's place in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    partition: String,
    sort: String,
}

impl Key {
    fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Key { partition: partition.into(), sort: sort.into() }
    }

    /// An item with this key and nothing else.
    fn item(&self) -> Item {
        [("pk".to_owned(), text(&self.partition)), ("sk".to_owned(), text(&self.sort))].into()
    }

    fn name(&self) -> String {
        format!("{} {}", self.partition, self.sort)
    }
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A value as JSON in a text.
fn json(value: &impl Serialize) -> Result<AttributeValue, Failed> {
    serde_json::to_string(value).map(AttributeValue::S).map_err(|error| Failed::new(CallFault::Rejected, format!("cannot be written as JSON: {error}")))
}

fn read_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

/// The request of a batch that writes an item.
fn put(item: Item) -> Result<WriteRequest, Failed> {
    let put = PutRequest::builder().set_item(Some(item)).build();
    Ok(WriteRequest::builder().put_request(put.map_err(|error| Failed::new(CallFault::Rejected, error.to_string()))?).build())
}

/// The value in an attribute; `None` where the item has no such attribute.
fn read_json<T: DeserializeOwned>(item: &Item, name: &str) -> Result<Option<T>, Failed> {
    match item.get(name) {
        None => Ok(None),
        Some(AttributeValue::S(value)) => serde_json::from_str(value).map(Some).map_err(|error| unreadable(name, &error.to_string())),
        Some(_) => Err(unreadable(name, "it is no text")),
    }
}

/// The number in an attribute; `None` where the item has no such attribute.
fn read_number(item: &Item, name: &str) -> Result<Option<u64>, Failed> {
    match item.get(name) {
        None => Ok(None),
        Some(AttributeValue::N(value)) => value.parse().map(Some).map_err(|_| unreadable(name, &format!("`{value}` is no count"))),
        Some(_) => Err(unreadable(name, "it is no number")),
    }
}

/// The value in an attribute that the item cannot be without.
fn read_value<T: DeserializeOwned>(item: &Item, name: &str) -> Result<T, Failed> {
    read_json(item, name)?.ok_or_else(|| unreadable(name, "it is missing"))
}

fn unreadable(name: &str, why: &str) -> Failed {
    Failed::new(CallFault::Rejected, format!("the attribute `{name}` cannot be read: {why}. It was written by another version of Muster, or by hand"))
}

/// Refuses an item that DynamoDB would not take.
fn fits(item: &Item) -> Result<(), Failed> {
    let size: usize = item.iter().map(|(name, value)| name.len() + value.as_s().or_else(|_| value.as_n()).map_or(0, String::len)).sum();
    if size <= LARGEST_ITEM {
        return Ok(());
    }
    Err(Failed::new(CallFault::Rejected, format!("the item has {} KB, and DynamoDB takes {}: it was not sent", size / 1_024, LARGEST_ITEM / 1_024)))
}

/// Which items of a partition.
enum Wanted<'a> {
    All,
    /// Those whose sort key is this or later.
    From(&'a str),
    /// Those whose sort key begins so.
    Beginning(&'a str),
}

/// What became of a write that had a condition.
enum Conditional {
    /// It was made: the item as it is now, where DynamoDB was asked for it.
    Made(Item),
    /// The condition did not hold: the item as it stands; `None` where there is none.
    Stands(Option<Item>),
}

/// An update under a condition. Names are written `#name`, values `:name`.
struct Update<'a> {
    change: &'a str,
    condition: &'a str,
    names: &'a [&'a str],
    values: Vec<(&'a str, AttributeValue)>,
}

impl<X> Aws<X> {
    fn at(&self, operation: &'static str, key: &Key) -> Target {
        Target::data(operation, self.home(), key.name())
    }

    async fn get(&self, key: &Key) -> Result<Option<Item>, CallError> {
        let get = self.dynamodb(self.home()).get_item().table_name(&self.settings().table).set_key(Some(key.item())).consistent_read(true);
        let answer = self.books(self.at("dynamodb:GetItem", key), async { get.send().await.map_err(classify) }).await?;
        Ok(answer.item)
    }

    /// The items of a partition, by their sort key.
    async fn query(&self, partition: &str, wanted: Wanted<'_>) -> Result<Vec<Item>, CallError> {
        let query = self.dynamodb(self.home()).query().table_name(&self.settings().table).consistent_read(true);
        let query = query.expression_attribute_values(":pk", text(partition));
        let query = match wanted {
            Wanted::All => query.key_condition_expression("pk = :pk"),
            Wanted::From(sort) => query.key_condition_expression("pk = :pk AND sk >= :sk").expression_attribute_values(":sk", text(sort)),
            Wanted::Beginning(with) => query.key_condition_expression("pk = :pk AND begins_with(sk, :sk)").expression_attribute_values(":sk", text(with)),
        };
        let pages = query.into_paginator().items().send();
        let all = async { pages.collect::<Result<Vec<Item>, _>>().await.map_err(classify) };
        self.books(Target::data("dynamodb:Query", self.home(), partition), all).await
    }

    /// Writes an item, whatever was there.
    async fn put(&self, key: &Key, item: Item) -> Result<(), CallError> {
        let put = self.dynamodb(self.home()).put_item().table_name(&self.settings().table).set_item(Some(item.clone()));
        let send = async {
            fits(&item)?;
            put.send().await.map_err(classify)
        };
        self.books(self.at("dynamodb:PutItem", key), send).await.map(drop)
    }

    /// Writes an item if there is none with its key. Otherwise returns the one that stands.
    async fn put_new(&self, key: &Key, item: Item) -> Result<Option<Item>, CallError> {
        let put = self.dynamodb(self.home()).put_item().table_name(&self.settings().table).set_item(Some(item.clone()));
        let put = put.condition_expression("attribute_not_exists(pk)").return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let send = async {
            fits(&item)?;
            match put.send().await {
                Ok(_) => Ok(None),
                Err(error) => match error.as_service_error() {
                    Some(PutItemError::ConditionalCheckFailedException(failed)) => match failed.item() {
                        Some(stands) => Ok(Some(stands.clone())),
                        // It was asked for with ALL_OLD: DynamoDB hands it out. Source: API reference of DynamoDB, PutItem.
                        None => Err(Failed::new(CallFault::Unavailable, "an item stands, and it was not handed out")),
                    },
                    _ => Err(classify(error)),
                },
            }
        };
        self.books(self.at("dynamodb:PutItem", key), send).await
    }

    /// Changes an item under a condition.
    async fn update(&self, key: &Key, update: Update<'_>) -> Result<Conditional, CallError> {
        let mut send = self.dynamodb(self.home()).update_item().table_name(&self.settings().table).set_key(Some(key.item()));
        send = send.update_expression(update.change).condition_expression(update.condition);
        for name in update.names {
            send = send.expression_attribute_names(format!("#{name}"), *name);
        }
        for (name, value) in update.values {
            send = send.expression_attribute_values(format!(":{name}"), value);
        }
        let send = send.return_values(ReturnValue::AllNew).return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let sent = async {
            match send.send().await {
                Ok(answer) => Ok(Conditional::Made(answer.attributes.unwrap_or_default())),
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(failed)) => Ok(Conditional::Stands(failed.item().cloned())),
                    _ => Err(classify(error)),
                },
            }
        };
        self.books(self.at("dynamodb:UpdateItem", key), sent).await
    }

    /// Writes items, whatever was there, in batches. No two may have the same key. All batches are tried, whatever becomes of one.
    async fn put_all(&self, resource: &str, items: Vec<Item>) -> Result<(), CallError> {
        let puts: Result<Vec<WriteRequest>, Failed> = items.into_iter().map(put).collect();
        let puts = puts.map_err(|failed| Target::data("dynamodb:BatchWriteItem", self.home(), resource).failed(failed))?;
        self.write_all(resource, puts).await
    }

    /// Makes the requests of a batch write, in batches. No two may be about the same key. All batches are tried, whatever becomes of one.
    async fn write_all(&self, resource: &str, requests: Vec<WriteRequest>) -> Result<(), CallError> {
        let target = || Target::data("dynamodb:BatchWriteItem", self.home(), resource);
        let batches: Vec<Vec<WriteRequest>> = requests.chunks(BATCH).map(<[_]>::to_vec).collect();
        let written = stream::iter(batches).map(|batch| self.books(target(), self.write_batch(batch))).buffered(BATCHES_SIDE_BY_SIDE).collect::<Vec<_>>().await;
        written.into_iter().collect()
    }

    /// Writes one batch; what DynamoDB leaves unprocessed is sent again, after longer and longer pauses. A partition takes a thousand items a
    /// second, and a thousand databases have more to say than that.
    async fn write_batch(&self, batch: Vec<WriteRequest>) -> Result<(), Failed> {
        let mut left = self.send_batch(batch).await?;
        for pause in PAUSES {
            if left.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            left = self.send_batch(left).await?;
        }
        if left.is_empty() { Ok(()) } else { Err(Failed::new(CallFault::Throttled, format!("{} items of a batch were not processed", left.len()))) }
    }

    async fn send_batch(&self, batch: Vec<WriteRequest>) -> Result<Vec<WriteRequest>, Failed> {
        let table = &self.settings().table;
        let answer = self.dynamodb(self.home()).batch_write_item().request_items(table, batch).send().await.map_err(classify)?;
        Ok(answer.unprocessed_items.and_then(|mut left| left.remove(table)).unwrap_or_default())
    }
}
