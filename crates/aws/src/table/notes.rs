//! Small notes: one item each.

use std::sync::Arc;

use muster_core::CallError;
use muster_core::ports::Notes;
use serde_json::Value;

use super::{Item, Key, json, read_value};
use crate::{Aws, Failed, classify};

fn key(scope: &str, name: &str) -> Key {
    Key::new(format!("notes/{scope}"), name)
}

fn write(key: &Key, value: &Value) -> Result<Item, Failed> {
    let mut item = key.item();
    item.insert("value".to_owned(), json(value)?);
    Ok(item)
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
        let key = key(scope, name);
        if value.is_null() {
            let delete = self.dynamodb(self.home()).delete_item().table_name(&self.settings().table).set_key(Some(key.item()));
            return self.books(self.at("dynamodb:DeleteItem", &key), async { delete.send().await.map_err(classify) }).await.map(drop);
        }
        let item = write(&key, value).map_err(|failed| self.at("dynamodb:PutItem", &key).failed(failed))?;
        self.put(&key, item).await
    }

    async fn read_note(&self, scope: &str, name: &str) -> Result<Option<Arc<Value>>, CallError> {
        let key = key(scope, name);
        let item = self.get(&key).await?;
        item.map(|item| read_value(&item, "value").map(Arc::new)).transpose().map_err(|failed| self.at("dynamodb:GetItem", &key).failed(failed))
    }
}
