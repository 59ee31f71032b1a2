//! Telling people: who hears of what, and in which words.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use muster_core::ports::{Address, Channels, Message, Recipient};
use muster_core::{Clock, Context, Evidence};
use muster_plan::{Delivery, Event, Name, People, Plan};

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
        stream::iter(channels).map(async |channel| hand_over(world, &cx.plan.people, channel, message).await).buffered(SIDE_BY_SIDE).collect().await;
    let mut heard_by = Vec::new();
    for (channel, accepted) in channels.iter().zip(told) {
        cx.saw(world.now(), Evidence::Told { channel: channel.to_string(), subject: message.subject.clone(), accepted });
        if accepted {
            heard_by.push(channel.to_string());
        }
    }
    heard_by
}

/// Whether the channel accepted the message. One that works by hand has accepted it when somebody who can pass it on was asked to.
async fn hand_over<W: Channels>(world: &W, people: &People, channel: &Name, message: &Message) -> bool {
    match people.channel(channel).map(|known| &known.via) {
        Some(Delivery::Person { role }) => {
            let asked = Message { subject: format!("Please tell {channel}: {}", message.subject), ..message.clone() };
            let of_role = people.roles.iter().filter(|known| known.role == *role).flat_map(|known| &known.channels);
            for recipient in of_role.filter_map(|name| recipient(people, name)) {
                if world.publish(&recipient, &asked).await.is_ok() {
                    return true;
                }
            }
            false
        }
        Some(_) => match recipient(people, channel) {
            Some(recipient) => world.publish(&recipient, message).await.is_ok(),
            None => false,
        },
        None => false,
    }
}

/// A channel that takes messages by itself.
fn recipient(people: &People, channel: &Name) -> Option<Recipient> {
    let address = match &people.channel(channel)?.via {
        Delivery::Sns { topic } => Address::Topic(topic.as_str().into()),
        Delivery::Webhook { address } => Address::Webhook(address.secret.as_str().into()),
        Delivery::Person { .. } => return None,
    };
    Some(Recipient { channel: channel.as_str().into(), address })
}
