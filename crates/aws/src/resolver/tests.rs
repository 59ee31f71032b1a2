use std::cell::RefCell;
use std::net::Ipv4Addr;
use std::rc::Rc;

use simple_dns::Name;
use simple_dns::rdata::{A, AAAA, CNAME, NS, RData};

use super::*;
use crate::testing::settings;
use crate::testing::sockets::{Told, beside, closed, dns_server, refused, settings_with_dns, told, world_at};

fn a(address: [u8; 4]) -> RData<'static> {
    RData::A(A { address: Ipv4Addr::from(address).into() })
}

fn ns(name: &'static str) -> RData<'static> {
    RData::NS(NS(Name::new_unchecked(name)))
}

fn cname(name: &'static str) -> RData<'static> {
    RData::CNAME(CNAME(Name::new_unchecked(name)))
}

fn addresses_of(texts: &[&str]) -> BTreeSet<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// What is known about the zones' servers, which all stand at one address.
fn about_servers(name: &str, kind: TYPE) -> Option<Told> {
    Some(match (name, kind) {
        ("example.test", TYPE::NS) => told(vec![("example.test", ns("ns1.example.test"))]),
        ("balancers.test", TYPE::NS) => told(vec![("balancers.test", ns("ns1.example.test"))]),
        ("ns1.example.test", TYPE::A) => told(vec![("ns1.example.test", a([127, 0, 0, 1]))]),
        (_, TYPE::NS) => told(Vec::new()),
        _ => return None,
    })
}

async fn asked(name: &str, answering: impl Fn(&str, TYPE, bool) -> Option<Told> + 'static) -> Result<BTreeSet<IpAddr>, Failed> {
    beside(async {
        let server = dns_server(answering).await;
        Asked { resolvers: vec![server], authority: Some(server.port()) }.addresses(name).await
    })
    .await
}

#[tokio::test]
async fn the_zones_own_servers_are_believed_and_not_a_resolver_that_remembers() {
    let found = asked("Portal.example.test.", |name, kind, of_a_resolver| {
        about_servers(name, kind).or_else(|| {
            Some(match (kind, of_a_resolver) {
                (TYPE::A, true) => told(vec![("portal.example.test", a([10, 0, 0, 1]))]),
                (TYPE::A, false) => told(vec![("portal.example.test", a([10, 0, 0, 2])), ("portal.example.test", a([10, 0, 0, 3]))]),
                (TYPE::AAAA, false) => told(vec![("portal.example.test", RData::AAAA(AAAA { address: 1 }))]),
                _ => refused(RCODE::NameError),
            })
        })
    });
    assert_eq!(found.await.unwrap(), addresses_of(&["10.0.0.2", "10.0.0.3", "::1"]));
}

#[tokio::test]
async fn an_alias_into_another_zone_is_asked_of_that_zones_servers() {
    let found = asked("portal.example.test", |name, kind, of_a_resolver| {
        about_servers(name, kind).or_else(|| {
            Some(match (name, kind) {
                ("portal.example.test", _) => told(vec![("portal.example.test", cname("alb-2.balancers.test"))]),
                ("alb-2.balancers.test", TYPE::A) if !of_a_resolver => told(vec![("alb-2.balancers.test", a([10, 0, 0, 2]))]),
                _ => told(Vec::new()),
            })
        })
    });
    assert_eq!(found.await.unwrap(), addresses_of(&["10.0.0.2"]));
}

#[tokio::test]
async fn a_name_that_the_zone_does_not_know_has_no_address() {
    let found = asked("portal.example.test", |name, kind, _| about_servers(name, kind).or_else(|| Some(refused(RCODE::NameError))));
    assert_eq!(found.await.unwrap(), BTreeSet::new());
}

#[tokio::test]
async fn a_server_that_does_not_own_the_zone_or_fails_is_no_answer() {
    let lame = Told { is_authoritative: false, ..refused(RCODE::NameError) };
    for odd in [lame, refused(RCODE::ServerFailure), refused(RCODE::Refused)] {
        let found = asked("portal.example.test", move |name, kind, _| about_servers(name, kind).or_else(|| Some(odd.clone())));
        let failed = found.await.unwrap_err();
        assert_eq!(failed.fault, CallFault::Unavailable, "{failed:?}");
    }
    let nobody = asked("portal.example.test", |_, _, _| Some(told(Vec::new()))).await.unwrap_err();
    assert!(nobody.fault == CallFault::Unavailable && nobody.message.contains("nobody knows the servers"), "{nobody:?}");
}

#[tokio::test]
async fn where_one_server_is_dead_the_next_is_asked() {
    let found = asked("portal.example.test", |name, kind, of_a_resolver| {
        Some(match (name, kind) {
            ("example.test", TYPE::NS) => told(vec![("example.test", ns("dead.example.test")), ("example.test", ns("ns1.example.test"))]),
            ("dead.example.test", TYPE::A) => told(vec![("dead.example.test", a([127, 0, 0, 2]))]),
            ("portal.example.test", TYPE::A) if !of_a_resolver => told(vec![("portal.example.test", a([10, 0, 0, 2]))]),
            _ => return about_servers(name, kind).or_else(|| Some(told(Vec::new()))),
        })
    });
    assert_eq!(found.await.unwrap(), addresses_of(&["10.0.0.2"]));
}

#[tokio::test]
async fn who_says_nothing_is_told_from_who_is_not_there() {
    beside(async {
        let silent = dns_server(|_, _, _| None).await;
        let failed = Asked { resolvers: vec![silent], authority: None }.addresses("portal.example.test").await.unwrap_err();
        assert_eq!(failed.fault, CallFault::TimedOut, "{failed:?}");
        let failed = Asked { resolvers: vec![closed().await], authority: None }.addresses("portal.example.test").await.unwrap_err();
        assert_eq!(failed.fault, CallFault::Unreachable, "{failed:?}");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_too_long_for_a_datagram_is_fetched_over_tcp() {
    beside(async {
        let server = dns_server(|_, kind, _| {
            let records = (0..60).map(|last| ("portal.example.test", a([10, 0, 0, last]))).collect();
            Some(if kind == TYPE::A { Told { is_truncated: true, ..told(records) } } else { told(Vec::new()) })
        })
        .await;
        let found = Asked { resolvers: vec![server], authority: None }.addresses("portal.example.test").await.unwrap();
        assert_eq!(found.len(), 60);
    })
    .await;
}

#[tokio::test]
async fn aliases_in_a_circle_come_to_an_end() {
    beside(async {
        let server = dns_server(|name, _, _| {
            let records = match name {
                "a.test" => vec![("a.test", cname("b.test"))],
                _ => vec![("b.test", cname("a.test"))],
            };
            Some(told(records))
        })
        .await;
        let failed = Asked { resolvers: vec![server], authority: None }.addresses("a.test").await.unwrap_err();
        assert_eq!(failed.fault, CallFault::Rejected, "{failed:?}");
        let circle = dns_server(|_, _, _| Some(told(vec![("a.test", cname("b.test")), ("b.test", cname("a.test"))]))).await;
        let ended = Asked { resolvers: vec![circle], authority: None }.addresses("a.test").await;
        assert_eq!(ended.map_err(|failed| failed.fault), Ok(BTreeSet::new()), "both in one answer lead back to the name itself");
    })
    .await;
}

#[tokio::test]
async fn a_dns_server_of_the_settings_is_believed_and_an_address_is_itself() {
    beside(async {
        let questions = Rc::<RefCell<Vec<String>>>::default();
        let noted = questions.clone();
        let dns = dns_server(move |name, kind, of_a_resolver| {
            assert!(of_a_resolver);
            noted.borrow_mut().push(format!("{name} {kind:?}"));
            Some(if kind == TYPE::A { told(vec![("portal.test", a([10, 0, 0, 2]))]) } else { told(Vec::new()) })
        })
        .await;
        let world = world_at("http://127.0.0.1:1", settings_with_dns(dns));
        for name in ["portal.test", "portal.test:8443"] {
            assert_eq!(world.resolve(name).await.unwrap(), BTreeSet::from(["10.0.0.2".to_owned()]), "{name}");
        }
        questions.borrow_mut().sort();
        questions.borrow_mut().dedup();
        assert_eq!(*questions.borrow(), ["portal.test A", "portal.test AAAA"], "nobody is asked who the zone's servers are");
        let world = world_at("http://127.0.0.1:1", settings());
        for (name, address) in [("127.0.0.1", "127.0.0.1"), ("127.0.0.1:8080", "127.0.0.1"), ("::1", "::1"), ("[::1]:80", "::1")] {
            assert_eq!(world.resolve(name).await.unwrap(), BTreeSet::from([address.to_owned()]), "{name}");
        }
    })
    .await;
}

#[test]
fn the_systems_resolvers_are_read_from_its_configuration() {
    let text = "# a comment\nsearch example.com\nnameserver 169.254.169.253\n nameserver\t::1\noptions timeout:1\nnameserver nonsense\n";
    assert_eq!(named_resolvers(text), ["169.254.169.253:53".parse().unwrap(), "[::1]:53".parse().unwrap()]);
    assert_eq!(named_resolvers(""), []);
}
