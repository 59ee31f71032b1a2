//! Small notes: one item each.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::types::{DeleteRequest, WriteRequest};
use muster_core::ports::{Note, Notes};
use muster_core::{CallError, CallFault};
use serde_json::Value;

use super::{Item, Key, Wanted, fits, json, read_text, read_value};
use crate::{Aws, Failed, Target};

fn key(scope: &str, name: &str) -> Key {
    Key::new(format!("notes/{scope}"), name)
}

fn write(key: &Key, value: &Value) -> Result<Item, Failed> {
    let mut item = key.item();
    item.insert("value".to_owned(), json(value)?);
    Ok(item)
}

/// The request of a batch that writes a note, or removes it.
fn request(note: &Note) -> Result<WriteRequest, Failed> {
    let key = key(&note.scope, &note.name);
    if !note.value.is_null() {
        let item = write(&key, &note.value)?;
        fits(&item)?;
        return super::put(item);
    }
    let delete = DeleteRequest::builder().set_key(Some(key.item())).build();
    let delete = delete.map_err(|error| Failed::new(CallFault::Rejected, error.to_string()))?;
    Ok(WriteRequest::builder().delete_request(delete).build())
}

impl<X> Notes for Aws<X> {
    async fn note_once(&self, scope: &str, name: &str, value: &Value) -> Result<Arc<Value>, CallError> {
        let key = key(scope, name);
        let failed = |failed| self.at("dynamodb:PutItem", &key).failed(failed);
        match self.put_new(&key, write(&key, value).map_err(failed)?).await? {
            None => Ok(Arc::new(value.clone())),
            Some(stands) => read_value(&stands, "value").map(Arc::new).map_err(failed),
        }
    }

    async fn note(&self, scope: &str, name: &str, value: &Value) -> Result<(), CallError> {
        if value.is_null() {
            // As in a batch: so a role needs one permission to remove notes, and not two.
            return self.note_all(&[Note { scope: scope.into(), name: name.into(), value: Value::Null }]).await;
        }
        let key = key(scope, name);
        let item = write(&key, value).map_err(|failed| self.at("dynamodb:PutItem", &key).failed(failed))?;
        self.put(&key, item).await
    }

    async fn read_note(&self, scope: &str, name: &str) -> Result<Option<Arc<Value>>, CallError> {
        let key = key(scope, name);
        let item = self.get(&key).await?;
        item.map(|item| read_value(&item, "value").map(Arc::new)).transpose().map_err(|failed| self.at("dynamodb:GetItem", &key).failed(failed))
    }

    async fn read_notes(&self, scope: &str, beginning: &str) -> Result<BTreeMap<String, Arc<Value>>, CallError> {
        let partition = format!("notes/{scope}");
        // DynamoDB takes no empty text for the beginning of a key.
        let wanted = if beginning.is_empty() { Wanted::All } else { Wanted::Beginning(beginning) };
        let items = self.query(&partition, wanted).await?;
        let named = |item: &Item| Ok((read_text(item, "sk").unwrap_or_default().to_owned(), Arc::new(read_value(item, "value")?)));
        let notes: Result<BTreeMap<String, Arc<Value>>, Failed> = items.iter().map(named).collect();
        notes.map_err(|failed| Target::data("dynamodb:Query", self.home(), partition).failed(failed))
    }

    async fn note_all(&self, notes: &[Note]) -> Result<(), CallError> {
        let Some(first) = notes.first() else { return Ok(()) };
        let resource = key(&first.scope, &first.name).name();
        let requests: Result<Vec<WriteRequest>, Failed> = notes.iter().map(request).collect();
        let requests = requests.map_err(|failed| Target::data("dynamodb:BatchWriteItem", self.home(), resource.as_str()).failed(failed))?;
        self.write_all(&resource, requests).await
    }
}
