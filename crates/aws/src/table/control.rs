//! Kill switch and epoch, in one read.

use aws_sdk_dynamodb::types::KeysAndAttributes;
use muster_core::ports::{Control, ControlState, KillSwitch};
use muster_core::{CallError, CallFault, Lane};

use super::{Item, Key, read_number, read_text, registry, text};
use crate::{Aws, Failed, Target, classify};

fn kill_switch() -> Key {
    Key::new("control", "kill-switch")
}

/// The item is the switch: with whatever it says, or without a word, it is set.
fn read_switch(item: &Item) -> KillSwitch {
    let by = read_text(item, "by").unwrap_or("somebody who gave no name");
    let reason = read_text(item, "reason").unwrap_or("no reason is given");
    KillSwitch { by: by.to_owned(), reason: reason.to_owned() }
}

impl<X> Control for Aws<X> {
    async fn read_control(&self, service: &str, lane: Lane) -> Result<ControlState, CallError> {
        let table = &self.settings().table;
        let (switch, lane) = (kill_switch(), registry::key(service, lane));
        let target = Target::data("dynamodb:BatchGetItem", self.home(), format!("{} and {}", switch.name(), lane.name()));
        let send = async {
            let wanted = KeysAndAttributes::builder().keys(switch.item()).keys(lane.item()).consistent_read(true).build();
            let wanted = wanted.map_err(|error| Failed::new(CallFault::Rejected, error.to_string()))?;
            let answer = self.dynamodb(self.home()).batch_get_item().request_items(table, wanted).send().await.map_err(classify)?;
            // An item that was not read is not an item that is not there.
            if answer.unprocessed_keys.is_some_and(|left| !left.is_empty()) {
                return Err(Failed::new(CallFault::Throttled, "not all keys were processed"));
            }
            let Some(items) = answer.responses.and_then(|mut tables| tables.remove(table)) else {
                return Err(Failed::new(CallFault::Unavailable, "the answer has nothing about the table"));
            };
            let found = |key: &Key| items.iter().find(|item| read_text(item, "pk") == Some(&key.partition) && read_text(item, "sk") == Some(&key.sort));
            let epoch = found(&lane).map(|item| read_number(item, "epoch")).transpose()?.flatten().unwrap_or(0);
            Ok(ControlState { kill_switch: found(&switch).map(read_switch), epoch })
        };
        self.books(target, send).await
    }

    async fn write_kill_switch(&self, switch: Option<&KillSwitch>) -> Result<(), CallError> {
        let (key, table) = (kill_switch(), &self.settings().table);
        let client = self.dynamodb(self.home());
        match switch {
            Some(switch) => {
                let put = client.put_item().table_name(table).set_item(Some(key.item()));
                let put = put.item("by", text(&switch.by)).item("reason", text(&switch.reason));
                self.books(self.at("dynamodb:PutItem", &key), async { put.send().await.map(drop).map_err(classify) }).await
            }
            None => {
                let delete = client.delete_item().table_name(table).set_key(Some(key.item()));
                self.books(self.at("dynamodb:DeleteItem", &key), async { delete.send().await.map(drop).map_err(classify) }).await
            }
        }
    }
}
