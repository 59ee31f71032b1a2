//! HTTP(S) to anybody but AWS: the pages that are looked at and the webhooks of channels. On the SDK's own stack, so that a
//! binary carries one TLS.
//!
//! Every request has a connection and a look at DNS of its own: a kept connection would go on to show the region from which a name has moved away.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns};
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http::Request;
use muster_core::CallFault;

use crate::{https, resolver};

/// What became of a request that nobody answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The request cannot be made: no address, or a header that HTTP does not allow. Nothing was sent.
    #[error("{0}")]
    Malformed(String),
    /// The DNS server itself does not answer, which says nothing about the host. Nothing was sent.
    #[error("{0}")]
    NoDns(String),
    /// The host's name has no address. Nothing was sent.
    #[error("{0}")]
    NoName(String),
    /// Nobody takes the connection, or TLS does not come about. Nothing was sent.
    #[error("{0}")]
    NoConnection(String),
    /// The request was sent, at least in part, and no answer came that can be read.
    #[error("{0}")]
    NoAnswer(String),
}

/// Sends one request and returns the status of the answer. Redirects are not followed: a 3xx is an answer.
///
/// `dns` is the server that names are asked of; without it the system's resolver. `budget` is for everything, of which the connection
/// may take a second.
///
/// # Errors
/// [`Unanswered`] says how far the request got.
pub(crate) async fn request(
    dns: Option<SocketAddr>,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: impl Into<Vec<u8>>,
    budget: Duration,
) -> Result<u16, Unanswered> {
    let host = host_of(url).ok_or_else(|| Unanswered::Malformed(format!("`{url}` is no address with http:// or https:// and a host")))?;
    let malformed = |error: &dyn std::fmt::Display| Unanswered::Malformed(format!("`{url}` cannot be asked: {error}"));
    let mut message = Request::builder().method(method).uri(url).header("user-agent", "muster");
    for (name, value) in headers {
        message = message.header(*name, *value);
    }
    let message = message.body(SdkBody::from(body.into())).map_err(|error| malformed(&error))?;
    let message = HttpRequest::try_from(message).map_err(|error| malformed(&error))?;
    let asked = async {
        let addresses = Addresses(addresses(dns, host).await?);
        let connector = Connector::builder().connector_settings(https::settings()).tls_provider(https::stack()).build_with_resolver(addresses);
        let answer = connector.call(message).await.map_err(|error| {
            let why = crate::failure::chain(&error);
            if crate::failure::never_connected(&why) {
                Unanswered::NoConnection(format!("no connection to {host}: {why}"))
            } else {
                Unanswered::NoAnswer(format!("no answer from {host}: {why}"))
            }
        })?;
        Ok(answer.status().as_u16())
    };
    let in_time = tokio::time::timeout(budget, asked).await;
    in_time.unwrap_or_else(|_| Err(Unanswered::NoAnswer(format!("no answer from {host} within {} s", budget.as_secs_f32()))))
}

/// The addresses of a host.
async fn addresses(dns: Option<SocketAddr>, host: &str) -> Result<Vec<IpAddr>, Unanswered> {
    let found = resolver::addresses(dns, host).await.map_err(|failed| {
        let why = format!("no address for {host}: {}", failed.message);
        match failed.fault {
            CallFault::TimedOut | CallFault::Unreachable => Unanswered::NoDns(why),
            _ => Unanswered::NoName(why),
        }
    })?;
    if found.is_empty() { Err(Unanswered::NoName(format!("no address for {host}: the name is unknown or has none"))) } else { Ok(found) }
}

/// The host of an address: without the user, the port, and the brackets of IPv6.
fn host_of(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    if !["http", "https"].contains(&scheme) {
        return None;
    }
    let authority = rest.split(['/', '?', '#']).next()?;
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let host = match place.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?.0,
        None => place.split(':').next()?,
    };
    (!host.is_empty()).then_some(host)
}

/// The addresses that were found for the one host of a request.
#[derive(Clone, Debug)]
struct Addresses(Vec<IpAddr>);

impl ResolveDns for Addresses {
    fn resolve_dns<'a>(&'a self, _: &'a str) -> DnsFuture<'a> {
        DnsFuture::ready(Ok(self.0.clone()))
    }
}

#[cfg(test)]
mod tests;
