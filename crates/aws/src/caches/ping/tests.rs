use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that gives these answers, one to each thing that it is told; returns what it was told.
async fn asked(answers: &'static [&'static str], token: Option<&str>) -> (Result<(), Failed>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = CacheEndpoint { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port(), encrypted: false };
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut told, mut buffer) = (Vec::new(), [0; 512]);
        for answer in answers {
            let count = stream.read(&mut buffer).await.unwrap();
            told.extend_from_slice(&buffer[..count]);
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
        String::from_utf8(told).unwrap()
    });
    let token = token.map(|text| Token::read(text).unwrap_or_else(|wanted| panic!("{wanted}")));
    let answer = ping(&endpoint, token).await;
    (answer, server.await.unwrap())
}

#[tokio::test]
async fn a_server_that_says_pong_answers() {
    let (answer, told) = asked(&["+PONG\r\n"], None).await;
    assert_eq!(answer, Ok(()));
    assert_eq!(told, "*1\r\n$4\r\nPING\r\n");
}

#[tokio::test]
async fn a_token_is_sent_before_the_question_and_a_user_with_it_where_there_is_one() {
    let (answer, told) = asked(&["+OK\r\n", "+PONG\r\n"], Some("a-token")).await;
    assert_eq!(answer, Ok(()));
    assert_eq!(told, "*2\r\n$4\r\nAUTH\r\n$7\r\na-token\r\n*1\r\n$4\r\nPING\r\n");
    let (answer, told) = asked(&["+OK\r\n", "+PONG\r\n"], Some(r#"{"username": "muster", "password": "secret"}"#)).await;
    assert_eq!(answer, Ok(()));
    assert!(told.starts_with("*3\r\n$4\r\nAUTH\r\n$6\r\nmuster\r\n$6\r\nsecret\r\n"), "{told}");
}

#[tokio::test]
async fn what_a_server_objects_to_is_told_apart_and_never_quotes_a_secret() {
    for (answers, token, fault) in [
        (&["-NOAUTH Authentication required.\r\n"] as &[_], None, CallFault::Denied),
        (&["-WRONGPASS invalid username-password pair or user is disabled.\r\n"], Some("a-token"), CallFault::Denied),
        (&["-LOADING Redis is loading the dataset in memory\r\n"], None, CallFault::Unavailable),
        (&["-ERR unknown command\r\n"], None, CallFault::Rejected),
        (&[""], None, CallFault::TimedOut),
    ] {
        let (answer, _) = asked(answers, token).await;
        let failed = answer.unwrap_err();
        assert_eq!(failed.fault, fault, "{answers:?}: {failed:?}");
        assert!(!failed.message.contains("a-token") && !failed.message.is_empty(), "{failed:?}");
    }
}

#[tokio::test]
async fn where_nobody_listens_a_cache_is_unreachable() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for encrypted in [false, true] {
        let failed = ping(&CacheEndpoint { host: "127.0.0.1".into(), port, encrypted }, None).await.unwrap_err();
        assert_eq!(failed.fault, CallFault::Unreachable, "{failed:?}");
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_tls_where_it_should_is_sent_no_token() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = CacheEndpoint { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port(), encrypted: true };
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = [0; 4_096];
        let count = stream.read(&mut buffer).await.unwrap();
        stream.write_all(b"-ERR no TLS here\r\n").await.unwrap();
        buffer[..count].to_vec()
    });
    let failed = ping(&endpoint, Some(Token::read("a-token").unwrap())).await.unwrap_err();
    assert_eq!(failed.fault, CallFault::Unreachable, "{failed:?}");
    assert!(!server.await.unwrap().windows(7).any(|bytes| bytes == b"a-token"));
}

#[test]
fn a_secret_is_a_token_or_json_and_what_it_is_not_is_said_without_quoting_it() {
    assert_eq!(Token::read("token").unwrap().password, "token");
    assert_eq!(Token::read(" {\"password\": \"p\"}").unwrap().password, "p");
    for secret in ["", "{\"pass\": \"p4ss\"}", "{not json"] {
        let wanted = Token::read(secret).map(drop).unwrap_err();
        assert!(!wanted.contains("p4ss"), "{wanted}");
    }
}
