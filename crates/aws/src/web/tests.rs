use simple_dns::{RCODE, TYPE, rdata};
use tokio::time::Instant;

use super::*;
use crate::testing::sockets::{Then, beside, closed, dns_server, full, refused, server, told};

const BUDGET: Duration = Duration::from_secs(5);
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async fn get(dns: Option<SocketAddr>, url: &str) -> Result<u16, Unanswered> {
    request(dns, "GET", url, &[], "", BUDGET).await
}

/// A DNS server that knows one name.
async fn dns() -> SocketAddr {
    dns_server(|name, kind, _| {
        Some(match (name, kind) {
            ("portal.test", TYPE::A) => told(vec![("portal.test", rdata::RData::A(rdata::A { address: 0x7f00_0001 }))]),
            ("portal.test" | "empty.test", _) => told(Vec::new()),
            ("broken.test", _) => refused(RCODE::ServerFailure),
            _ => refused(RCODE::NameError),
        })
    })
    .await
}

#[tokio::test]
async fn a_request_arrives_as_it_was_given() {
    beside(async {
        let server = server(Then::Write(OK)).await;
        let status = request(None, "POST", &format!("{}/hook?a=b", server.url()), &[("content-type", "application/json")], "{\"text\":1}", BUDGET).await;
        assert_eq!(status, Ok(200));
        let read = server.read.borrow().to_ascii_lowercase();
        for wanted in ["post /hook?a=b http/1.1\r\n", "content-type: application/json\r\n", "content-length: 10\r\n", "user-agent: muster\r\n", "{\"text\":1}"]
        {
            assert!(read.contains(wanted), "{wanted} in {read}");
        }
        assert!(read.contains(&format!("host: {}\r\n", server.at)), "{read}");
    })
    .await;
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    beside(async {
        let server = server(Then::Write("HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")).await;
        assert_eq!(get(None, &server.url()).await, Ok(302));
        assert!(server.read.borrow().starts_with("GET / "), "{}", server.read.borrow());
    })
    .await;
}

#[tokio::test]
async fn no_connection_is_used_twice() {
    beside(async {
        let server = server(Then::Write(OK)).await;
        for _ in 0..3 {
            assert_eq!(get(None, &server.url()).await, Ok(200));
        }
        assert_eq!(server.connections(), 3);
    })
    .await;
}

#[tokio::test]
async fn names_are_asked_of_the_dns_server_of_the_settings() {
    beside(async {
        let (server, dns) = (server(Then::Write(OK)).await, dns().await);
        assert_eq!(get(Some(dns), &format!("http://portal.test:{}/", server.at.port())).await, Ok(200));
        assert!(server.read.borrow().to_ascii_lowercase().contains(&format!("host: portal.test:{}\r\n", server.at.port())));
    })
    .await;
}

#[tokio::test]
async fn how_far_a_request_got_is_told_apart() {
    beside(async {
        let dns = dns().await;
        for (url, sign) in [("http://nobody.test/", "unknown"), ("http://empty.test/", "unknown"), ("http://broken.test/", "ServerFailure")] {
            let why = get(Some(dns), url).await.unwrap_err();
            assert!(matches!(&why, Unanswered::NoName(why) if why.starts_with("no address for ") && why.contains(sign)), "{url}: {why:?}");
        }
        let unknown = get(None, "http://nowhere.invalid/").await.unwrap_err();
        assert!(matches!(&unknown, Unanswered::NoName(_)), "{unknown:?}");
        let why = get(Some(closed().await), "http://portal.test/").await.unwrap_err();
        assert!(matches!(&why, Unanswered::NoDns(_)), "a DNS server that is not there says nothing about the host: {why:?}");
        let why = get(None, &format!("http://{}/", closed().await)).await.unwrap_err();
        assert!(matches!(&why, Unanswered::NoConnection(why) if why.starts_with("no connection to 127.0.0.1")), "{why:?}");
        for (then, sign) in [(Then::Close, "no answer from"), (Then::Write("this is no HTTP\r\n\r\n"), "no answer from")] {
            let server = server(then).await;
            let why = get(None, &server.url()).await.unwrap_err();
            assert!(matches!(&why, Unanswered::NoAnswer(why) if why.contains(sign)), "{then:?}: {why:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_ends_with_the_budget() {
    beside(async {
        let server = server(Then::Wait).await;
        let began = Instant::now();
        let why = request(None, "GET", &server.url(), &[], "", Duration::from_millis(1_500)).await.unwrap_err();
        assert_eq!(why, Unanswered::NoAnswer("no answer from 127.0.0.1 within 1.5 s".into()));
        assert!((1_400..2_500).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_takes_longer_than_a_second_is_none() {
    beside(async {
        let (at, _listener, _waiting) = full().await;
        let began = Instant::now();
        let why = get(None, &format!("http://{at}/")).await.unwrap_err();
        assert!(matches!(why, Unanswered::NoConnection(_)), "{why:?}");
        assert!((900..1_900).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
        let server = server(Then::Wait).await;
        let why = get(None, &format!("https://{}/", server.at)).await.unwrap_err();
        assert!(matches!(why, Unanswered::NoConnection(_)), "a TLS handshake that never ends: {why:?}");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_address_is_malformed() {
    for url in ["portal.test", "ftp://portal.test/", "http://", "http:///path", "http://[::1/"] {
        let why = get(None, url).await.unwrap_err();
        assert!(matches!(why, Unanswered::Malformed(_)), "{url}: {why:?}");
    }
    let odd = request(None, "GET", "http://127.0.0.1:1/", &[("a b", "c")], "", BUDGET).await.unwrap_err();
    assert!(matches!(odd, Unanswered::Malformed(_)), "{odd:?}");
}

#[test]
fn the_host_is_told_from_the_rest_of_an_address() {
    for (url, host) in [
        ("https://portal.example.com:8443/health", "portal.example.com"),
        ("http://portal.example.com?a=b", "portal.example.com"),
        ("http://user:secret@portal.example.com/", "portal.example.com"),
        ("http://[::1]:80/", "::1"),
        ("http://127.0.0.1:80", "127.0.0.1"),
    ] {
        assert_eq!(host_of(url), Some(host), "{url}");
    }
}
