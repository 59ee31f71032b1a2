use super::*;
use crate::testing::settings;
use crate::testing::sockets::{Then, beside, closed, dns_server, server, settings_with_dns, world_at};

fn here() -> Vantage {
    Vantage("us-west-2".parse().unwrap())
}

#[tokio::test]
async fn a_page_that_answers_is_an_answer_whatever_its_status() {
    beside(async {
        let world = world_at("http://127.0.0.1:1", settings());
        for (text, wanted) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
            ("HTTP/1.1 301 Moved\r\nlocation: /\r\ncontent-length: 0\r\n\r\n", 301),
            ("HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n", 503),
        ] {
            let server = server(Then::Write(text)).await;
            let seen = world.get(&here(), &server.url()).await.unwrap();
            assert!(matches!(seen, HttpAnswer::Status { status, .. } if status == wanted), "{seen:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_page_that_does_not_answer_is_what_was_looked_for_and_no_failure_of_the_look() {
    beside(async {
        let world = world_at("http://127.0.0.1:1", settings());
        let url = format!("http://{}/", closed().await);
        for _ in 0..2 {
            let seen = world.get(&here(), &url).await.unwrap();
            assert!(matches!(&seen, HttpAnswer::Nothing { why } if why.starts_with("no connection to 127.0.0.1: ")), "{seen:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn who_cannot_see_says_so_and_never_that_the_page_is_down() {
    beside(async {
        let silent = dns_server(|_, _, _| None).await;
        for dns in [closed().await, silent] {
            let world = world_at("http://127.0.0.1:1", settings_with_dns(dns));
            let error = world.get(&here(), "http://portal.test/").await.unwrap_err();
            assert_eq!(error.fault, CallFault::Unavailable, "{error}");
        }
    })
    .await;
}

#[tokio::test]
async fn nobody_looks_from_a_region_that_he_is_not_in() {
    beside(async {
        let server = server(Then::Wait).await;
        let world = world_at("http://127.0.0.1:1", settings());
        let error = world.get(&Vantage("us-east-2".parse().unwrap()), &server.url()).await.unwrap_err();
        assert_eq!((error.fault, server.connections()), (CallFault::Rejected, 0));
        assert!(error.message.contains("us-west-2") && error.message.contains("us-east-2"), "{error}");
        let odd = world.get(&here(), "portal.test").await.unwrap_err();
        assert_eq!(odd.fault, CallFault::Rejected, "{odd}");
    })
    .await;
}
