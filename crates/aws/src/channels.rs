//! Telling people: SNS topics, and webhooks whose address is a secret.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::ports::{Address, Channels, Message, Recipient};
use muster_core::{CallError, CallFault, Clock, Duration, Hash, Region, Timestamp};
use serde_json::{Value, json};

use crate::web::{self, Unanswered};
use crate::{Aws, Failed, Target, classify};

/// A subject has fewer than 100 characters. Source: API reference of SNS, Publish.
const LONGEST_SUBJECT: usize = 99;
/// A message has at most 256 KB. Source: the same.
const LONGEST_MESSAGE: usize = 256 * 1_024;
/// A webhook's address is read again after this.
const ADDRESS_KEPT: Duration = Duration::from_mins(5);
/// For one request to a webhook, connection included.
const WEBHOOK: std::time::Duration = std::time::Duration::from_secs(5);

/// Addresses of webhooks, by the secret that holds each. Neither printed nor logged: whoever knows one can write into the channel.
#[derive(Default)]
pub(crate) struct Webhooks(RefCell<BTreeMap<Arc<str>, Known>>);

/// When an address was read, and the address.
type Known = (Timestamp, Arc<str>);

/// A subject that SNS takes: ASCII without control characters, not too long, begun with a letter, a digit or a mark. Source: API
/// reference of SNS, Publish.
fn subject(text: &str) -> String {
    let ascii: String = text
        .chars()
        .map(|letter| {
            if letter.is_ascii_graphic() {
                letter
            } else if letter.is_whitespace() {
                ' '
            } else {
                '?'
            }
        })
        .collect();
    let ascii = ascii.trim();
    match ascii.len() {
        0 => "Muster".to_owned(),
        1..=LONGEST_SUBJECT => ascii.to_owned(),
        _ => format!("{}...", &ascii[..LONGEST_SUBJECT - 3]),
    }
}

/// The message below its subject, or below the whole of it where the subject had to be changed.
fn body(message: &Message, subject: &str) -> String {
    let mut text = if subject == message.subject { message.body.clone() } else { format!("{}\n\n{}", message.subject, message.body) };
    if text.is_empty() {
        text.push_str(subject);
    }
    if text.len() > LONGEST_MESSAGE {
        let cut = (0..=LONGEST_MESSAGE - 3).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(cut);
        text.push_str("...");
    }
    text
}

/// The region in an ARN.
fn region_of(arn: &str) -> Option<Region> {
    arn.strip_prefix("arn:")?.split(':').nth(2)?.parse().ok()
}

/// The address in a secret: the bare address, or JSON with `url`.
fn address_in(secret: &str) -> Option<Arc<str>> {
    let secret = secret.trim();
    let address = match serde_json::from_str::<Value>(secret) {
        Ok(value) => value.get("url")?.as_str()?.to_owned(),
        Err(_) => secret.to_owned(),
    };
    (address.starts_with("https://") || address.starts_with("http://")).then(|| address.into())
}

impl<X> Aws<X> {
    async fn publish_to_topic(&self, channel: &str, topic: &str, message: &Message) -> Result<(), CallError> {
        let Some(region) = region_of(topic) else {
            let target = Target::data("sns:Publish", self.home(), channel);
            return Err(target.failed(Failed::new(CallFault::Rejected, format!("`{topic}` is no ARN of a topic: correct the channel in the plan"))));
        };
        let subject = subject(&message.subject);
        let mut publish = self.sns(&region).publish().topic_arn(topic).message(body(message, &subject)).subject(subject);
        if topic.ends_with(".fifo") {
            // One group: people read in the order in which Muster wrote. A key may be longer than an id may.
            publish = publish.message_group_id("muster").message_deduplication_id(Hash::of(message.key.as_bytes()).to_string());
        }
        self.books(Target::data("sns:Publish", &region, channel), async { publish.send().await.map_err(classify) }).await.map(drop)
    }

    async fn publish_to_webhook(&self, channel: &str, secret: &Arc<str>, message: &Message) -> Result<(), CallError> {
        let address = self.webhook_address(channel, secret).await?;
        let text = json!({ "text": format!("{}\n{}", message.subject, message.body) }).to_string();
        let send = async {
            // The words of what went wrong can quote the address.
            match web::request(self.settings().dns, "POST", &address, &[("content-type", "application/json")], text, WEBHOOK).await {
                Ok(200..=299) => Ok(()),
                Ok(429) => Err(Failed::new(CallFault::Throttled, "the webhook answered 429")),
                Ok(status @ 500..) => Err(Failed::new(CallFault::Unavailable, format!("the webhook answered {status}"))),
                Ok(status @ (401 | 403)) => Err(Failed::new(CallFault::Denied, format!("the webhook answered {status}"))),
                Ok(status @ (404 | 410)) => Err(Failed::new(CallFault::NotFound, format!("the webhook answered {status}"))),
                Ok(status) => Err(Failed::new(CallFault::Rejected, format!("the webhook answered {status}"))),
                Err(Unanswered::Malformed(_)) => Err(Failed::new(CallFault::Rejected, format!("the secret {secret} holds no address that can be asked"))),
                Err(Unanswered::NoDns(_) | Unanswered::NoName(_)) => Err(Failed::new(CallFault::Unreachable, "the webhook's host has no address")),
                Err(Unanswered::NoConnection(_)) => Err(Failed::new(CallFault::Unreachable, "no connection to the webhook's host")),
                Err(Unanswered::NoAnswer(_)) => Err(Failed::new(CallFault::TimedOut, format!("no answer of the webhook within {} s", WEBHOOK.as_secs()))),
            }
        };
        let sent = self.books(Target::data("http:Post", self.home(), channel), send).await;
        if sent.is_err() {
            // The address may have been changed.
            self.webhooks.0.borrow_mut().remove(secret);
        }
        sent
    }

    async fn webhook_address(&self, channel: &str, secret: &Arc<str>) -> Result<Arc<str>, CallError> {
        if let Some((read_at, address)) = self.webhooks.0.borrow().get(secret)
            && self.now().since(*read_at) < ADDRESS_KEPT
        {
            return Ok(address.clone());
        }
        let region = region_of(secret).unwrap_or_else(|| self.home().clone());
        let get = self.secretsmanager(&region).get_secret_value().secret_id(&**secret);
        let send = async {
            let answer = get.send().await.map_err(classify)?;
            let address = answer.secret_string().and_then(address_in);
            address.ok_or_else(|| Failed::new(CallFault::Rejected, format!("the secret {secret} holds neither an address nor JSON with `url`")))
        };
        let address = self.books(Target::data("secretsmanager:GetSecretValue", &region, channel), send).await?;
        self.webhooks.0.borrow_mut().insert(secret.clone(), (self.now(), address.clone()));
        Ok(address)
    }
}

impl<X> Channels for Aws<X> {
    async fn publish(&self, to: &Recipient, message: &Message) -> Result<(), CallError> {
        match &to.address {
            Address::Topic(topic) => self.publish_to_topic(&to.channel, topic, message).await,
            Address::Webhook(secret) => self.publish_to_webhook(&to.channel, secret, message).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::testing::{answer, world};

    const PUBLISHED: &str = "<PublishResponse><PublishResult><MessageId>m</MessageId></PublishResult></PublishResponse>";

    fn message(subject: &str) -> Message {
        Message { subject: subject.into(), body: "the body".into(), key: "portal.region-failover.8/failover".into() }
    }

    fn topic(arn: &str) -> Recipient {
        Recipient { channel: "on-call".into(), address: Address::Topic(arn.into()) }
    }

    fn webhook(secret: &str) -> Recipient {
        Recipient { channel: "chat".into(), address: Address::Webhook(secret.into()) }
    }

    #[tokio::test]
    async fn a_topic_gets_the_message_in_its_own_region() {
        let (world, wire) = world(|_| Some(answer(200, PUBLISHED)));
        world.publish(&topic("arn:aws:sns:eu-west-1:123456789012:on-call"), &message("It begins")).await.unwrap();
        let sent = wire.only();
        assert!(sent.uri.starts_with("https://sns.eu-west-1.amazonaws.com"), "{}", sent.uri);
        assert!(sent.body.contains("Subject=It%20begins") && sent.body.contains("Message=the%20body"), "{}", sent.body);
        assert!(!sent.body.contains("MessageGroupId"), "{}", sent.body);
        assert_eq!(world.publish(&topic("on-call"), &message("x")).await.unwrap_err().fault, CallFault::Rejected);
    }

    #[tokio::test]
    async fn a_fifo_topic_delivers_a_key_once() {
        let (world, wire) = world(|_| Some(answer(200, PUBLISHED)));
        world.publish(&topic("arn:aws:sns:us-west-2:123456789012:on-call.fifo"), &message("It begins")).await.unwrap();
        let id = Hash::of(b"portal.region-failover.8/failover");
        assert!(wire.only().body.contains(&format!("MessageDeduplicationId={id}")), "{}", wire.only().body);
        assert!(wire.only().body.contains("MessageGroupId=muster"));
    }

    #[test]
    fn a_subject_is_made_one_that_sns_takes_and_nothing_of_it_is_lost() {
        for (given, taken) in [("It begins", "It begins"), ("  two\nlines", "two lines"), ("Größe", "Gr??e"), ("", "Muster"), ("\n", "Muster")] {
            assert_eq!(subject(given), taken);
        }
        let long = "x".repeat(120);
        assert!(subject(&long).len() == 99 && subject(&long).ends_with("..."));
        assert_eq!(body(&message(&long), &subject(&long)), format!("{long}\n\nthe body"));
        assert_eq!(body(&message("It begins"), "It begins"), "the body");
        let endless = Message { body: "é".repeat(200_000), ..message("It begins") };
        assert!(body(&endless, "It begins").len() <= LONGEST_MESSAGE);
    }

    #[test]
    fn a_secret_holds_an_address_or_json_with_one() {
        for good in ["https://chat.example.com/x", " https://chat.example.com/x\n", "{\"url\": \"https://chat.example.com/x\"}"] {
            assert_eq!(address_in(good).as_deref(), Some("https://chat.example.com/x"), "{good}");
        }
        for bad in ["", "chat.example.com/x", "{\"uri\": \"https://chat.example.com/x\"}", "{\"url\": 1}"] {
            assert_eq!(address_in(bad), None, "{bad}");
        }
    }

    /// A webhook that answers each request with a status; its address, and the requests.
    fn listening(statuses: &'static [u16]) -> (String, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/services/secret-path", listener.local_addr().unwrap());
        let (heard, hears) = channel();
        std::thread::spawn(move || {
            for status in statuses {
                let (mut stream, _) = listener.accept().unwrap();
                let (mut text, mut part) = (String::new(), [0; 4_096]);
                while !text.ends_with('}') {
                    let read = stream.read(&mut part).unwrap();
                    text.push_str(&String::from_utf8_lossy(&part[..read]));
                }
                heard.send(text).unwrap();
                stream.write_all(format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
            }
        });
        (address, hears)
    }

    #[tokio::test]
    async fn a_webhook_gets_the_message_and_its_address_is_read_again_only_after_a_failure() {
        let (address, heard) = listening(&[200, 200, 404]);
        let secret = address.clone();
        let (world, wire) = world(move |_| Some(answer(200, json!({ "SecretString": secret }))));
        for _ in 0..2 {
            world.publish(&webhook("muster/chat"), &message("It begins")).await.unwrap();
            let text = heard.recv().unwrap();
            assert!(text.starts_with("POST /services/secret-path ") && text.ends_with("{\"text\":\"It begins\\nthe body\"}"), "{text}");
        }
        assert_eq!((wire.only().operation(), &wire.only().json()["SecretId"]), ("GetSecretValue", &json!("muster/chat")));
        let error = world.publish(&webhook("muster/chat"), &message("It begins")).await.unwrap_err();
        assert_eq!(error.fault, CallFault::NotFound);
        let _ = world.publish(&webhook("muster/chat"), &message("It begins")).await;
        assert_eq!(wire.sent().len(), 2);
    }

    #[tokio::test]
    async fn no_error_of_a_webhook_says_its_address() {
        for address in
            ["http://127.0.0.1:1/services/secret-path", "http://no-such-host.invalid/secret-path", "http://[bad/secret-path", "ftp://host/secret-path"]
        {
            let (world, _) = world(move |_| Some(answer(200, json!({ "SecretString": address }))));
            let error = world.publish(&webhook("muster/chat"), &message("It begins")).await.unwrap_err();
            assert!(!format!("{error:?}").contains("secret-path"), "{error:?}");
        }
        let (address, _heard) = listening(&[500]);
        let secret = address.clone();
        let (world, _) = world(move |_| Some(answer(200, json!({ "SecretString": secret }))));
        let error = world.publish(&webhook("muster/chat"), &message("It begins")).await.unwrap_err();
        assert!(error.fault == CallFault::Unavailable && !format!("{error:?}").contains(&address), "{error:?}");
    }
}
