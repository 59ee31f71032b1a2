//! Telling people.

use std::sync::Arc;

use crate::CallError;

/// A message to a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// One line.
    pub subject: String,
    /// The rest, plain text.
    pub body: String,
    /// Deduplicates: a channel that sees the same key twice delivers once, where it can.
    pub key: Arc<str>,
}

/// Channels that reach people: topics, webhooks, pagers.
pub trait Channels {
    /// Hands a message to a channel by its name in the plan. `Ok` means that the channel accepted it.
    async fn publish(&self, channel: &str, message: &Message) -> Result<(), CallError>;
}
