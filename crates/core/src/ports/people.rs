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

/// How a message gets into a channel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// An SNS topic, by its ARN.
    Topic(Arc<str>),
    /// A webhook, by the name or ARN of the secret that holds its address. The address never appears anywhere else.
    Webhook(Arc<str>),
}

/// A channel of the plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Recipient {
    /// The channel's name in the plan.
    pub channel: Arc<str>,
    /// How a message gets into it.
    pub address: Address,
}

/// Channels that reach people: topics, webhooks, pagers.
pub trait Channels {
    /// Hands a message to a channel. `Ok` means that the channel accepted it.
    async fn publish(&self, to: &Recipient, message: &Message) -> Result<(), CallError>;
}
