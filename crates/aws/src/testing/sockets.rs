//! For tests: real sockets on 127.0.0.1, and servers that behave badly.

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, spawn_local};

use super::settings;
use crate::{Aws, Settings};

const LOCALHOST: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// A world whose AWS is at an address.
pub(crate) fn world_at(endpoint: &str, settings: Settings) -> Aws {
    let sdk = aws_types::SdkConfig::builder()
        .http_client(crate::https())
        .behavior_version(aws_sdk_dynamodb::config::BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("key", "secret", None, None, "test")))
        .build();
    Aws::new(settings, &sdk)
}

/// The settings with a DNS server.
pub(crate) fn settings_with_dns(dns: SocketAddr) -> Settings {
    Settings { dns: Some(dns), ..settings() }
}

/// What a server does once it has read a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Then {
    Wait,
    Close,
    Write(&'static str),
}

/// A server that reads a request of each connection and then does something.
pub(crate) struct Server {
    pub(crate) at: SocketAddr,
    pub(crate) connections: Arc<AtomicUsize>,
    /// What was read of the last request.
    pub(crate) read: Rc<std::cell::RefCell<String>>,
    accepting: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Server {
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub(crate) async fn server(then: Then) -> Server {
    let listener = TcpListener::bind(LOCALHOST).await.unwrap();
    let (at, connections, read) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)), Rc::<std::cell::RefCell<String>>::default());
    let (counted, seen) = (connections.clone(), read.clone());
    let accepting = spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let seen = seen.clone();
            spawn_local(async move {
                let mut buffer = vec![0; 65_536];
                loop {
                    let Ok(length @ 1..) = stream.read(&mut buffer).await else { return };
                    *seen.borrow_mut() = String::from_utf8_lossy(&buffer[..length]).into_owned();
                    match then {
                        Then::Wait => std::future::pending::<()>().await,
                        Then::Close => return,
                        Then::Write(text) => stream.write_all(text.as_bytes()).await.unwrap(),
                    }
                }
            });
        }
    });
    Server { at, connections, read, accepting }
}

/// An address that nobody listens on.
pub(crate) async fn closed() -> SocketAddr {
    TcpListener::bind(LOCALHOST).await.unwrap().local_addr().unwrap()
}

/// An address whose queue of connections is full: the next one is not answered at all. Lasts as long as what is returned with it.
pub(crate) async fn full() -> (SocketAddr, TcpListener, Vec<JoinHandle<std::io::Result<TcpStream>>>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(LOCALHOST.into()).unwrap();
    let listener = socket.listen(1).unwrap();
    let at = listener.local_addr().unwrap();
    let waiting = (0..8).map(|_| spawn_local(TcpStream::connect(at))).collect();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    (at, listener, waiting)
}

/// What a DNS server says.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) code: RCODE,
    pub(crate) is_authoritative: bool,
    /// Over UDP the records are left out.
    pub(crate) is_truncated: bool,
    pub(crate) records: Vec<(&'static str, RData<'static>)>,
}

/// An answer with records.
pub(crate) fn told(records: Vec<(&'static str, RData<'static>)>) -> Told {
    Told { code: RCODE::NoError, is_authoritative: true, is_truncated: false, records }
}

/// An answer without any.
pub(crate) fn refused(code: RCODE) -> Told {
    Told { code, ..told(Vec::new()) }
}

type Answering = dyn Fn(&str, TYPE, bool) -> Option<Told>;

/// A DNS server on UDP and TCP: answers by name, type, and whether it is asked as a resolver; `None` says nothing.
pub(crate) async fn dns_server(answering: impl Fn(&str, TYPE, bool) -> Option<Told> + 'static) -> SocketAddr {
    let answering: Rc<Answering> = Rc::new(answering);
    let listener = TcpListener::bind(LOCALHOST).await.unwrap();
    let at = listener.local_addr().unwrap();
    let socket = UdpSocket::bind(at).await.unwrap();
    let by_stream = answering.clone();
    spawn_local(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            if let Some(answer) = reply(&buffer[..length], &*answering, false) {
                // A late answer to somebody else's question comes first.
                let _ = socket.send_to(&[&[answer[0] ^ 1], &answer[1..]].concat(), from).await;
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    spawn_local(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut query = vec![0; usize::from(stream.read_u16().await.unwrap())];
            stream.read_exact(&mut query).await.unwrap();
            let answer = reply(&query, &*by_stream, true).unwrap();
            stream.write_all(&[&u16::try_from(answer.len()).unwrap().to_be_bytes(), &answer[..]].concat()).await.unwrap();
        }
    });
    at
}

fn reply(query: &[u8], answering: &Answering, by_stream: bool) -> Option<Vec<u8>> {
    let query = Packet::parse(query).unwrap();
    let question = query.questions[0].clone();
    let QTYPE::TYPE(kind) = question.qtype else { panic!("{question:?}") };
    let told = answering(&question.qname.to_string(), kind, query.has_flags(PacketFlag::RECURSION_DESIRED))?;
    let mut packet = Packet::new_reply(query.id());
    *packet.rcode_mut() = told.code;
    packet.questions.push(question);
    if told.is_authoritative {
        packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    }
    if told.is_truncated && !by_stream {
        packet.set_flags(PacketFlag::TRUNCATION);
    } else {
        packet.answers.extend(told.records.into_iter().map(|(name, data)| ResourceRecord::new(Name::new_unchecked(name), CLASS::IN, 60, data)));
    }
    Some(packet.build_bytes_vec().unwrap())
}

/// Runs a test's servers beside it, on the same thread.
pub(crate) async fn beside<T>(test: impl Future<Output = T>) -> T {
    tokio::task::LocalSet::new().run_until(test).await
}
