//! An adapter for each port: the AWS SDK, its time-outs, and what its errors mean.
//!
//! [`Aws`] is the world of one function. Every call goes the same way ([`Aws::read`], [`Aws::mutate`], [`Aws::books`]): may it
//! begin, is the region known to be dark, one attempt with a time-out, one classification of its error, then the journal.
//! So an adapter's file reads as a list of requests and of what their answers mean.
//!
//! What an action does not use is not linked: a client is made when it is first asked for, and nobody asks for the others.

mod alarms;
mod buckets;
mod builds;
mod caches;
mod call;
mod channels;
mod clients;
mod clones;
mod databases;
mod dns;
#[cfg(test)]
mod estate;
mod executions;
mod failure;
mod http;
mod https;
mod keys;
mod metrics;
mod observer;
mod parameters;
mod plans;
mod plug_in;
mod reports;
mod resolver;
mod scaling;
mod secrets;
mod settings;
mod snapshots;
mod sql;
mod table;
#[cfg(test)]
mod testing;
mod web;

use muster_core::{Clock, Journal, Journaled, Region, Timestamp};

pub use call::Target;
pub use failure::{Failed, classify};
pub use https::https;
pub use plug_in::Ec2PlugIn;
pub use settings::{Missing, Settings};

use call::Breaker;
use clients::Clients;

/// The world of a function: implements every port but those that need EC2, which a plug-in brings (`muster-aws-ec2`).
///
/// One per process: clients and parsed plans are kept from one invocation to the next, the journal begins anew with each.
pub struct Aws<X = ()> {
    settings: Settings,
    clients: Clients,
    journal: Journal,
    breaker: Breaker,
    plans: plans::Shelf,
    webhooks: channels::Webhooks,
    plug_in: X,
}

impl Aws {
    /// The world, from its settings and the SDK's own configuration (credentials, endpoints).
    pub fn new(settings: Settings, sdk: &aws_types::SdkConfig) -> Self {
        Aws {
            clients: Clients::new(sdk),
            settings,
            journal: Journal::default(),
            breaker: Breaker::default(),
            plans: Default::default(),
            webhooks: Default::default(),
            plug_in: (),
        }
    }

    /// The same world with more ports.
    pub fn with<X>(self, plug_in: X) -> Aws<X> {
        Aws {
            settings: self.settings,
            clients: self.clients,
            journal: self.journal,
            breaker: self.breaker,
            plans: self.plans,
            webhooks: self.webhooks,
            plug_in,
        }
    }
}

impl<X> Aws<X> {
    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The SDK's configuration for a region, with Muster's time-outs: for clients of plug-ins.
    pub fn sdk(&self, region: &Region) -> aws_types::SdkConfig {
        self.clients.sdk(region)
    }

    /// What watches over the calls of a client: for clients of plug-ins.
    pub fn observer(&self) -> aws_smithy_runtime_api::client::interceptors::SharedInterceptor {
        observer::shared()
    }

    /// Makes the clients that every function needs, before the first event.
    pub fn prepare(&self) {
        let _ = (self.dynamodb(self.home()), self.s3(self.home()));
    }

    /// The region of table, bucket and state machines.
    pub fn home(&self) -> &Region {
        &self.settings.home
    }
}

impl<X> Clock for Aws<X> {
    #[expect(clippy::disallowed_methods, reason = "the one place where the real time comes in")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl<X> Journaled for Aws<X> {
    fn journal(&self) -> &Journal {
        &self.journal
    }
}
