use std::net::TcpListener;
use std::time::Duration;

use muster_core::ports::{Databases, Sql, SqlTarget, WriteAttempt};
use muster_core::{CallFault, DatabaseId, Journaled};
use serde_json::{Value, json};

use super::server::Server;
use crate::Aws;
use crate::estate::{calls, estate, estate_that, json_error, xml};
use crate::testing::{Answer, Wire, answer};

fn secret(value: &Value) -> Option<Answer> {
    Some(answer(200, json!({"Name": "portal-db/muster", "SecretString": value.to_string()})))
}

/// A world whose secret holds this user; its password is `<user>-password`.
fn world_of(user: &'static str) -> (Aws, Wire) {
    estate_that(move |_| secret(&json!({"username": user, "password": format!("{user}-password")})))
}

fn at(port: u16) -> SqlTarget {
    SqlTarget {
        database: DatabaseId::new(&"us-east-1".parse().unwrap(), "portal-db"),
        endpoint: format!("127.0.0.1:{port}").into(),
        dbname: Some("shop".into()),
        credentials: Some("portal-db/muster".into()),
    }
}

/// A server with the database `shop`, which `muster` owns, and a client `app`.
async fn server() -> Option<Server> {
    let server = Server::start().await?;
    let roles = ["create role muster login password 'muster-password'", "create role app login password 'app-password'", "create database shop owner muster"];
    server.admin(&roles).await;
    Some(server)
}

#[tokio::test]
async fn a_primary_takes_a_write_and_nothing_of_it_stays() {
    let Some(server) = server().await else { return };
    let (aws, _) = world_of("muster");
    assert_eq!(aws.attempt_write(&at(server.port)).await.unwrap(), WriteAttempt::Accepted);
    let left = aws.query(&at(server.port), "select count(*) from pg_class where relname = 'muster_attempt'").await.unwrap();
    assert_eq!(left.as_deref(), Some("0"));
    // A transaction that writes gets a number: the attempt was one.
    let number = "select txid_snapshot_xmax(txid_current_snapshot())";
    let before: u64 = aws.query(&at(server.port), number).await.unwrap().unwrap().parse().unwrap();
    aws.attempt_write(&at(server.port)).await.unwrap();
    let after: u64 = aws.query(&at(server.port), number).await.unwrap().unwrap().parse().unwrap();
    assert!(after > before, "{before} {after}");
}

#[tokio::test]
async fn a_user_without_the_right_to_temporary_tables_still_learns_that_the_server_takes_writes() {
    let Some(server) = server().await else { return };
    server.admin(&["revoke temporary on database shop from public", "alter database shop owner to admin"]).await;
    let (aws, _) = world_of("muster");
    assert_eq!(aws.attempt_write(&at(server.port)).await.unwrap(), WriteAttempt::Accepted);
    server.admin(&["alter database shop set default_transaction_read_only = on"]).await;
    assert_eq!(aws.attempt_write(&at(server.port)).await.unwrap(), WriteAttempt::Refused);
}

#[tokio::test]
async fn a_hot_standby_refuses_writes_and_answers_questions() {
    let Some(server) = server().await else { return };
    let standby = server.standby().await;
    let (aws, _) = world_of("muster");
    assert_eq!(aws.attempt_write(&at(standby.port)).await.unwrap(), WriteAttempt::Refused);
    assert_eq!(aws.query(&at(standby.port), "select pg_is_in_recovery()").await.unwrap().as_deref(), Some("t"));
    let error = aws.set_read_only(&at(standby.port), true).await.unwrap_err();
    assert_eq!(error.fault, CallFault::Rejected, "{error}");
}

#[tokio::test]
async fn a_read_only_database_refuses_new_sessions_writes_and_takes_them_again_when_it_is_lifted() {
    let Some(server) = server().await else { return };
    let (aws, _) = world_of("muster");
    let earlier = server.client("muster", "muster-password", "shop").await.unwrap();
    for _ in 0..2 {
        aws.set_read_only(&at(server.port), true).await.unwrap();
        assert_eq!(aws.attempt_write(&at(server.port)).await.unwrap(), WriteAttempt::Refused);
    }
    earlier.batch_execute("create table orders (id int)").await.expect("a session from before still writes: that is why sessions are ended");
    let client = server.client("app", "app-password", "shop").await.unwrap();
    assert_eq!(client.batch_execute("create temporary table t ()").await.unwrap_err().code().unwrap().code(), "25006");
    for _ in 0..2 {
        aws.set_read_only(&at(server.port), false).await.unwrap();
        assert_eq!(aws.attempt_write(&at(server.port)).await.unwrap(), WriteAttempt::Accepted);
    }
}

#[tokio::test]
async fn a_refusal_that_concerns_only_musters_own_user_proves_nothing() {
    let Some(server) = server().await else { return };
    server.admin(&["alter role muster set default_transaction_read_only = on"]).await;
    let (aws, _) = world_of("muster");
    let error = aws.attempt_write(&at(server.port)).await.unwrap_err();
    assert_eq!(error.fault, CallFault::Rejected);
    assert!(error.message.contains("only Muster's own user is read-only"), "{error}");
    server.admin(&["alter role muster reset all", "alter role muster in database shop set default_transaction_read_only = on"]).await;
    aws.attempt_write(&at(server.port)).await.unwrap_err();
}

#[tokio::test]
async fn every_client_session_is_counted_and_ended_even_by_a_user_who_sees_little_of_the_others() {
    let Some(server) = server().await else { return };
    let (aws, _) = world_of("muster");
    assert_eq!(aws.client_sessions(&at(server.port)).await.unwrap(), 0, "neither Muster's own nor the server's");
    let app = server.client("app", "app-password", "shop").await.unwrap();
    let elsewhere = server.client("app", "app-password", "postgres").await.unwrap();
    assert_eq!(aws.client_sessions(&at(server.port)).await.unwrap(), 2);

    let error = aws.end_sessions(&at(server.port)).await.unwrap_err();
    assert_eq!(error.fault, CallFault::Denied, "{error}");
    server.admin(&["grant pg_signal_backend to muster"]).await;
    for _ in 0..2 {
        aws.end_sessions(&at(server.port)).await.unwrap();
    }
    for client in [app, elsewhere] {
        client.batch_execute("select 1").await.unwrap_err();
    }
    assert_eq!(aws.client_sessions(&at(server.port)).await.unwrap(), 0);
}

#[tokio::test]
async fn a_superusers_session_is_counted_and_does_not_keep_the_others_alive() {
    let Some(server) = server().await else { return };
    server.admin(&["grant pg_signal_backend to muster"]).await;
    let _superuser = server.client("admin", "admin-password", "postgres").await.unwrap();
    let app = server.client("app", "app-password", "shop").await.unwrap();
    let (aws, _) = world_of("muster");
    aws.end_sessions(&at(server.port)).await.unwrap();
    app.batch_execute("select 1").await.unwrap_err();
    assert_eq!(aws.client_sessions(&at(server.port)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_client_that_calls_itself_muster_is_still_a_client() {
    let Some(server) = server().await else { return };
    let app = server.client("app", "app-password", "shop").await.unwrap();
    app.batch_execute("set application_name = 'muster'").await.unwrap();
    let (aws, _) = world_of("muster");
    assert_eq!(aws.client_sessions(&at(server.port)).await.unwrap(), 1);
}

#[tokio::test]
async fn a_query_gives_one_value_as_text_and_may_only_read() {
    let Some(server) = server().await else { return };
    let (aws, wire) = world_of("muster");
    let target = at(server.port);
    for (statement, value) in [
        ("select 42", Some("42")),
        ("select true", Some("t")),
        ("select 'a', 'b'", Some("a")),
        ("select current_database()", Some("shop")),
        ("select 1 where false", None),
        ("select null", None),
    ] {
        assert_eq!(aws.query(&target, statement).await.unwrap().as_deref(), value, "{statement}");
    }
    let error = aws.query(&target, "create table t ()").await.unwrap_err();
    assert_eq!((error.fault, error.operation.as_str()), (CallFault::Rejected, "sql:Query"));
    assert!(error.message.starts_with("25006: "), "{error}");
    assert_eq!(aws.query(&target, "select * from missing").await.unwrap_err().fault, CallFault::Rejected);
    let without = SqlTarget { dbname: None, ..target };
    assert_eq!(aws.query(&without, "select current_database()").await.unwrap().as_deref(), Some("postgres"));
    assert_eq!(calls(&wire)[0].json(), json!({"SecretId": "portal-db/muster"}));
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_a_time_out_and_goes_on_nowhere() {
    let Some(server) = server().await else { return };
    let (aws, _) = world_of("muster");
    let error = aws.query(&at(server.port), "select pg_sleep(30)").await.unwrap_err();
    assert_eq!(error.fault, CallFault::TimedOut, "{error}");
    let running = aws.query(&at(server.port), "select count(*) from pg_stat_activity where query like '%pg_sleep(30)' and state = 'active'").await.unwrap();
    assert_eq!(running.as_deref(), Some("0"));
}

#[tokio::test]
async fn tls_is_spoken_where_the_server_offers_it() {
    let Some(server) = Server::start_with_tls_only().await else { return };
    let (aws, _) = world_of("admin");
    let target = SqlTarget { dbname: None, ..at(server.port) };
    let spoken = aws.query(&target, "select version from pg_stat_ssl where pid = pg_backend_pid()").await.unwrap();
    assert_eq!(spoken.as_deref(), Some("TLSv1.3"));
}

#[tokio::test]
async fn a_wrong_password_is_a_denial_that_names_the_secret_and_nothing_in_it() {
    let Some(server) = server().await else { return };
    let (aws, wire) = estate_that(|_| secret(&json!({"username": "muster", "password": "hunter2"})));
    let error = aws.set_read_only(&at(server.port), true).await.unwrap_err();
    assert_eq!(error.fault, CallFault::Denied);
    assert!(error.message.contains("portal-db/muster"), "{error}");
    let (aws, more) = {
        let error = aws.attempt_write(&at(server.port)).await.unwrap_err();
        assert_eq!(error.fault, CallFault::Denied, "it is no refusal of a write: {error}");
        (aws, wire)
    };
    let books: String = more.sent().into_iter().filter(|sent| sent.uri.contains("dynamodb")).map(|sent| sent.body).collect();
    let told = format!("{error} {books} {:?}", aws.journal().unsaved());
    assert!(told.contains("sql:SetReadOnly") && !told.contains("hunter2"), "{told}");
    assert!(!format!("{error}").contains("\"muster\""), "{error}");
}

#[tokio::test]
async fn a_server_that_nobody_answers_for_is_unreachable_and_its_region_is_not() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (aws, wire) = estate_that(|sent| match sent.operation() {
        "GetSecretValue" => secret(&json!({"username": "muster", "password": "hunter2"})),
        _ => xml("DescribeDBInstances", "<DBInstances/>"),
    });
    let target = at(closed);
    assert!(matches!(aws.attempt_write(&target).await.unwrap(), WriteAttempt::Unreachable { why } if why.contains("127.0.0.1")));
    let error = aws.query(&target, "select 1").await.unwrap_err();
    assert_eq!(error.fault, CallFault::Unreachable, "{error}");
    assert_eq!(aws.end_sessions(&target).await.unwrap_err().fault, CallFault::Unreachable);
    // Its security group keeps Muster out; that says nothing about the region's RDS.
    aws.describe_databases(&target.database.region, std::slice::from_ref(&target.database)).await.unwrap();
    assert!(calls(&wire).last().unwrap().uri.contains("rds.us-east-1"));
}

#[tokio::test]
async fn a_server_that_takes_the_connection_and_says_nothing_is_unreachable_within_the_budget() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = at(silent.local_addr().unwrap().port());
    let (aws, _) = world_of("muster");
    let attempt = tokio::time::timeout(Duration::from_secs(5), aws.attempt_write(&target)).await.expect("within its budget");
    assert!(matches!(attempt.unwrap(), WriteAttempt::Unreachable { .. }));
}

#[tokio::test]
async fn a_secret_is_read_in_its_own_region_and_its_trouble_is_told_without_quoting_it() {
    let target = |secret: Option<&str>| SqlTarget { credentials: secret.map(Into::into), ..at(1) };
    let name = "portal-db/muster";
    let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:portal-db/muster-AbCdEf";
    for (id, host) in [(name, "secretsmanager.us-west-2"), (arn, "secretsmanager.eu-west-1")] {
        let (aws, wire) = estate([json_error(400, "ResourceNotFoundException")]);
        let error = aws.query(&target(Some(id)), "select 1").await.unwrap_err();
        assert_eq!((error.fault, error.operation.as_str()), (CallFault::NotFound, "secretsmanager:GetSecretValue"));
        assert!(calls(&wire)[0].uri.contains(host), "{}", calls(&wire)[0].uri);
    }
    for (status, code, fault) in crate::estate::REFUSALS {
        let (aws, _) = estate([json_error(status, code)]);
        assert_eq!(aws.attempt_write(&target(Some(name))).await.unwrap_err().fault, fault, "{code}");
    }
    for text in ["hunter2", "{\"username\": \"muster\", \"password\": 7, \"hunter2\": 1}", "[\"hunter2\"]"] {
        let (aws, _) = estate([Some(answer(200, json!({"SecretString": text})))]);
        let error = aws.query(&target(Some(name)), "select 1").await.unwrap_err();
        assert_eq!(error.fault, CallFault::Rejected);
        assert!(!format!("{error} {:?}", aws.journal().unsaved()).contains("hunter2"), "{error}");
    }
    let (aws, wire) = estate([]);
    let error = aws.query(&target(None), "select 1").await.unwrap_err();
    assert!(error.fault == CallFault::Rejected && error.message.contains("names no credentials"), "{error}");
    assert!(wire.sent().is_empty());
}
