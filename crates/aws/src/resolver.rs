//! What DNS says about a name at this moment, asked of those who know it: the zone's own servers.
//!
//! A resolver in between keeps answers for as long as their time to live. So it is asked only who the zone's servers are, unless the
//! settings name one that is to be believed: for private zones, which have no servers of their own, and where the internet is not reached.

mod exchange;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use muster_core::ports::Resolver;
use muster_core::{CallError, CallFault};
use simple_dns::{RCODE, TYPE};

use crate::call::Target;
use crate::clients::OPERATION;
use crate::failure::Failed;
use crate::{Aws, resolver::exchange::Reply};

/// So often a name may lead to another name.
const ALIASES: usize = 8;
/// So many servers of a zone are asked before it is said that none answers.
const SERVERS: usize = 4;
const PORT: u16 = 53;
/// Where the system says which resolver it asks.
const SYSTEM: &str = "/etc/resolv.conf";

impl<X> Resolver for Aws<X> {
    async fn resolve(&self, name: &str) -> Result<BTreeSet<String>, CallError> {
        let target = Target::data("dns:Resolve", &self.settings().here, name);
        let dns = self.settings().dns;
        self.read(target, async {
            let host = host_of(name);
            let looked = async {
                match (host.parse::<IpAddr>(), dns) {
                    (Ok(address), _) => Ok(BTreeSet::from([address])),
                    (_, Some(server)) => Asked { resolvers: vec![server], authority: None }.addresses(host).await,
                    (_, None) => Asked { resolvers: system_resolvers()?, authority: Some(PORT) }.addresses(host).await,
                }
            };
            let in_time = tokio::time::timeout(OPERATION, looked).await;
            let found = in_time.unwrap_or_else(|_| Err(Failed::new(CallFault::TimedOut, format!("no answer within {} s", OPERATION.as_secs()))))?;
            Ok(found.into_iter().map(|address| address.to_string()).collect())
        })
        .await
    }
}

/// The addresses of a host for a connection: from `dns`, or as the system resolves names. None where the name is unknown.
pub(crate) async fn addresses(dns: Option<SocketAddr>, host: &str) -> Result<Vec<IpAddr>, Failed> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let Some(server) = dns else {
        let found = tokio::net::lookup_host((host, 0)).await.map_err(|error| Failed::new(CallFault::NotFound, error.to_string()))?;
        return Ok(found.map(|found| found.ip()).collect());
    };
    let found = Asked { resolvers: vec![server], authority: None }.addresses(host).await?;
    Ok(found.into_iter().collect())
}

/// A name without a port; an address in brackets without them.
fn host_of(name: &str) -> &str {
    if let Some((host, _)) = name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return host;
    }
    match name.split_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => name,
    }
}

fn system_resolvers() -> Result<Vec<SocketAddr>, Failed> {
    let text =
        std::fs::read_to_string(SYSTEM).map_err(|error| Failed::new(CallFault::Rejected, format!("{SYSTEM} cannot be read: {error}; set MUSTER_DNS")))?;
    let found = named_resolvers(&text);
    if found.is_empty() { Err(Failed::new(CallFault::Rejected, format!("{SYSTEM} names no resolver; set MUSTER_DNS"))) } else { Ok(found) }
}

fn named_resolvers(text: &str) -> Vec<SocketAddr> {
    let addresses = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok());
    addresses.map(|address| SocketAddr::new(address, PORT)).collect()
}

/// Who is asked.
struct Asked {
    /// Resolvers that look names up for others.
    resolvers: Vec<SocketAddr>,
    /// The port of the zones' own servers, which have the last word; without it the resolvers have.
    authority: Option<u16>,
}

impl Asked {
    /// The addresses of a name: none where it is unknown or has none.
    async fn addresses(&self, name: &str) -> Result<BTreeSet<IpAddr>, Failed> {
        let mut name = name.trim_end_matches('.').to_ascii_lowercase();
        for _ in 0..ALIASES {
            let (ipv4, ipv6) = match self.authority {
                None => futures::join!(ask(&self.resolvers, &name, TYPE::A, true), ask(&self.resolvers, &name, TYPE::AAAA, true)),
                Some(port) => {
                    let servers = self.servers_of_zone(&name, port).await?;
                    futures::join!(ask(&servers, &name, TYPE::A, false), ask(&servers, &name, TYPE::AAAA, false))
                }
            };
            let (ipv4, ipv6) = (ipv4?.chase(&name), ipv6?.chase(&name));
            let found: BTreeSet<IpAddr> = ipv4.addresses.union(&ipv6.addresses).copied().collect();
            match ipv4.alias.or(ipv6.alias) {
                // The name is in another zone, whose servers know better.
                Some(alias) if found.is_empty() => name = alias,
                _ => return Ok(found),
            }
        }
        Err(Failed::new(CallFault::Rejected, format!("{name} is the end of more than {ALIASES} aliases")))
    }

    /// The servers of the zone that a name is in: the nearest of its parents that has any.
    async fn servers_of_zone(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Failed> {
        let mut zone = name;
        let names = loop {
            let names = ask(&self.resolvers, zone, TYPE::NS, true).await?.servers_of(zone);
            if !names.is_empty() {
                break names;
            }
            zone = zone
                .split_once('.')
                .map(|(_, parent)| parent)
                .ok_or_else(|| Failed::new(CallFault::Unavailable, format!("nobody knows the servers of {name}")))?;
        };
        let mut servers = Vec::new();
        let mut stuck = None;
        for server in names.iter().take(SERVERS) {
            match ask(&self.resolvers, server, TYPE::A, true).await {
                Ok(reply) => servers.extend(reply.chase(server).addresses.iter().map(|address| SocketAddr::new(*address, port))),
                Err(failed) => stuck = Some(failed),
            }
            // Two are enough to go on if one of them is dead.
            if servers.len() >= 2 {
                break;
            }
        }
        match stuck {
            _ if !servers.is_empty() => Ok(servers),
            Some(failed) => Err(failed),
            None => Err(Failed::new(CallFault::Unavailable, format!("the servers of {zone} have no address"))),
        }
    }
}

/// Asks one server after the other, until one answers that the name exists or that it does not.
async fn ask(servers: &[SocketAddr], name: &str, kind: TYPE, of_a_resolver: bool) -> Result<Reply, Failed> {
    let mut stuck = Failed::new(CallFault::Unavailable, format!("nobody to ask about {name}"));
    for server in servers {
        match exchange::exchange(*server, name, kind, of_a_resolver).await {
            Ok(reply) => match reply.code {
                // A server that does not own the zone knows nothing about it, whatever it says.
                RCODE::NoError | RCODE::NameError if !of_a_resolver && !reply.is_authoritative => {
                    stuck = Failed::new(CallFault::Unavailable, format!("{} does not own the zone of {name}", server.ip()));
                }
                RCODE::NoError | RCODE::NameError => return Ok(reply),
                code => stuck = Failed::new(CallFault::Unavailable, format!("{} answers {code:?} about {name}", server.ip())),
            },
            Err(failed) => stuck = failed,
        }
    }
    Err(stuck)
}

#[cfg(test)]
mod tests;
