//! Telling people: who hears of what, and in which words.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use muster_core::ports::{Channels, Message};
use muster_core::{Clock, Context, Evidence};
use muster_plan::{Event, Name, People, Plan};

const SIDE_BY_SIDE: usize = 16;

/// The channels on which an event is told, each once, in the plan's order. Decisions and holds go to those who may decide as well.
pub(crate) fn channels_for(people: &People, event: Event) -> Vec<&Name> {
    let audiences = people.told.iter().filter(|audience| audience.what.contains(&event) && !audience.if_required).flat_map(|audience| &audience.channels);
    let deciders =
        people.roles.iter().filter(|role| matches!(event, Event::Decision | Event::Held) && people.decide.contains(&role.role)).flat_map(|role| &role.channels);
    let mut seen = BTreeSet::new();
    deciders.chain(audiences).filter(|name| seen.insert(name.as_str())).collect()
}

/// Hands a message to every channel; returns those that accepted it. A channel that is down stops nothing and is written down.
pub(crate) async fn tell<W: Channels + Clock>(world: &W, cx: &Context<'_, Plan>, channels: &[&Name], message: &Message) -> Vec<String> {
    // Side by side: channels that are down must not use up the time in which the others could be told.
    let told: Vec<bool> =
        stream::iter(channels).map(async |channel| world.publish(channel.as_str(), message).await.is_ok()).buffered(SIDE_BY_SIDE).collect().await;
    let mut heard_by = Vec::new();
    for (channel, accepted) in channels.iter().zip(told) {
        cx.saw(world.now(), Evidence::Told { channel: channel.to_string(), subject: message.subject.clone(), accepted });
        if accepted {
            heard_by.push(channel.to_string());
        }
    }
    heard_by
}
