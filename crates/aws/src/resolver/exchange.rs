//! One question to one DNS server (RFC 1035), over UDP, and over TCP where the answer does not fit.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use muster_core::CallFault;
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, Question, RCODE, TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::failure::Failed;

/// An answer takes milliseconds. A datagram that is lost is sent once more.
const PATIENCE: Duration = Duration::from_secs(1);
const TRIES: usize = 2;
/// Without an extension that Muster does not use, no datagram is longer. Source: RFC 1035, section 4.2.1.
const DATAGRAM: usize = 512;

/// What a server answered.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    pub(super) code: RCODE,
    /// The server owns the zone.
    pub(super) is_authoritative: bool,
    addresses: BTreeMap<String, BTreeSet<IpAddr>>,
    aliases: BTreeMap<String, String>,
    servers: BTreeMap<String, Vec<String>>,
}

/// Where a name leads within one reply.
#[derive(Debug)]
pub(super) struct Led {
    pub(super) addresses: BTreeSet<IpAddr>,
    /// The last name on the way, if it is another.
    pub(super) alias: Option<String>,
}

impl Reply {
    /// Follows a name through the reply's aliases.
    pub(super) fn chase(&self, name: &str) -> Led {
        let mut last = name.to_owned();
        // Each alias is followed at most once: a circle ends.
        for _ in 0..self.aliases.len() {
            let Some(next) = self.aliases.get(&last) else { break };
            last.clone_from(next);
        }
        let addresses = self.addresses.get(&last).cloned().unwrap_or_default();
        Led { addresses, alias: (last != name).then_some(last) }
    }

    /// The names of a zone's servers.
    pub(super) fn servers_of(&self, zone: &str) -> Vec<String> {
        self.servers.get(zone).cloned().unwrap_or_default()
    }

    fn read(packet: &Packet<'_>) -> Self {
        let text = |name: &Name<'_>| name.to_string().trim_end_matches('.').to_ascii_lowercase();
        let mut reply = Reply {
            code: packet.rcode(),
            is_authoritative: packet.has_flags(PacketFlag::AUTHORITATIVE_ANSWER),
            addresses: BTreeMap::new(),
            aliases: BTreeMap::new(),
            servers: BTreeMap::new(),
        };
        for record in &packet.answers {
            let owner = text(&record.name);
            match &record.rdata {
                RData::A(found) => drop(reply.addresses.entry(owner).or_default().insert(Ipv4Addr::from(found.address).into())),
                RData::AAAA(found) => drop(reply.addresses.entry(owner).or_default().insert(Ipv6Addr::from(found.address).into())),
                RData::CNAME(found) => drop(reply.aliases.insert(owner, text(&found.0))),
                RData::NS(found) => reply.servers.entry(owner).or_default().push(text(&found.0)),
                _ => {}
            }
        }
        reply
    }
}

/// Asks one server one question. `recursive`: the server is to look it up elsewhere if it does not know.
pub(super) async fn exchange(server: SocketAddr, name: &str, kind: TYPE, recursive: bool) -> Result<Reply, Failed> {
    let id = unforeseen();
    let odd = |error: simple_dns::SimpleDnsError| Failed::new(CallFault::Rejected, format!("`{name}` is no name of DNS: {error}"));
    let mut packet = Packet::new_query(id);
    if recursive {
        packet.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    packet.questions.push(Question::new(Name::new(name).map_err(odd)?, QTYPE::TYPE(kind), QCLASS::CLASS(CLASS::IN), false));
    let query = packet.build_bytes_vec().map_err(odd)?;
    let answer = by_datagram(server, &query).await?;
    match understood(&answer, &query) {
        Some((reply, true)) => Ok(reply),
        Some((_, false)) => {
            let answer = by_stream(server, &query).await?;
            let whole = understood(&answer, &query).map(|(reply, _)| reply);
            whole.ok_or_else(|| Failed::new(CallFault::Unavailable, format!("{} answers what cannot be read", server.ip())))
        }
        None => Err(Failed::new(CallFault::Unavailable, format!("{} answers what cannot be read", server.ip()))),
    }
}

/// The reply, and whether it is whole; `None` where the bytes are no answer to the query.
fn understood(answer: &[u8], query: &[u8]) -> Option<(Reply, bool)> {
    let (answer, query) = (Packet::parse(answer).ok()?, Packet::parse(query).ok()?);
    let same_question = match (answer.questions.first(), query.questions.first()) {
        (Some(answered), Some(asked)) => answered.qname == asked.qname && answered.qtype == asked.qtype,
        // Some servers leave the question out where they refuse.
        (None, _) => answer.rcode() != RCODE::NoError,
        _ => false,
    };
    let is_reply = answer.id() == query.id() && answer.has_flags(PacketFlag::RESPONSE) && same_question;
    is_reply.then(|| (Reply::read(&answer), !answer.has_flags(PacketFlag::TRUNCATION)))
}

async fn by_datagram(server: SocketAddr, query: &[u8]) -> Result<Vec<u8>, Failed> {
    let failed = |error: io::Error| unanswered(server, &error);
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await.map_err(failed)?;
    socket.connect(server).await.map_err(failed)?;
    let mut buffer = [0; DATAGRAM];
    for _ in 0..TRIES {
        socket.send(query).await.map_err(failed)?;
        let one = async {
            loop {
                let length = socket.recv(&mut buffer).await?;
                // The number tells a late answer to another question, or a forged one, from ours.
                if buffer[..length].starts_with(&query[..2]) {
                    return Ok(buffer[..length].to_vec());
                }
            }
        };
        if let Ok(answer) = timeout(PATIENCE, one).await {
            return answer.map_err(failed);
        }
    }
    Err(Failed::new(CallFault::TimedOut, format!("{} does not answer", server.ip())))
}

async fn by_stream(server: SocketAddr, query: &[u8]) -> Result<Vec<u8>, Failed> {
    let length = u16::try_from(query.len()).map_err(|_| Failed::new(CallFault::Rejected, "the question is too long for DNS"))?;
    let whole = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(&[&length.to_be_bytes(), query].concat()).await?;
        let mut answer = vec![0; usize::from(stream.read_u16().await?)];
        stream.read_exact(&mut answer).await?;
        Ok(answer)
    };
    match timeout(PATIENCE, whole).await {
        Ok(answer) => answer.map_err(|error| unanswered(server, &error)),
        Err(_) => Err(Failed::new(CallFault::TimedOut, format!("{} does not answer over TCP", server.ip()))),
    }
}

fn unanswered(server: SocketAddr, error: &io::Error) -> Failed {
    Failed::new(CallFault::Unreachable, format!("no connection to the DNS server {}: {error}", server.ip()))
}

/// A number that nobody can guess, so that nobody can forge an answer to it.
fn unforeseen() -> u16 {
    (RandomState::new().build_hasher().finish() & u64::from(u16::MAX)) as u16
}
