//! PostgreSQL servers, from inside their VPC.
//!
//! A connection lives for one statement: between two of them the server may have become another one. TLS is spoken where the
//! server offers it. Its certificate is not held against a list of authorities, since Lambda has none of RDS's; with SCRAM, which
//! RDS uses, both sides prove to each other over this very connection that they know the password (channel binding).
//!
//! No credential and no row of the service's data is ever in an error or in the journal.

mod tls;

use std::cell::Cell;
use std::time::Duration;

use muster_core::ports::{Control, Ledger, Sql, SqlTarget, WriteAttempt};
use muster_core::{CallError, CallFault};
use serde::Deserialize;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use crate::clients::CONNECT;
use crate::{Aws, Failed, Target};

/// Everything of one call: name, connection, TLS, sign-in, statement.
const BUDGET: Duration = Duration::from_secs(3);
/// The server gives a statement up before we do, so that none goes on that nobody waits for. Milliseconds.
const STATEMENT: &str = "-c statement_timeout=2000";
/// What is asked of a server may read and nothing else, whatever the plan's query says.
const READ_ONLY: &str = "-c default_transaction_read_only=on -c statement_timeout=2000";
/// How Muster's own sessions are known to each other.
const NAME: &str = "muster";

/// Tried on PostgreSQL 15: a standby refuses this with 25006, and so does a primary whose database or role is read-only. (It
/// would let `pg_current_xact_id()` pass, which writes.)
const WRITE: &str = "begin; create temporary table muster_attempt (); rollback";
/// Whether a refusal concerns more than Muster's own user: the server is a standby, or the default is not the user's own.
const IS_REFUSED_TO_ALL: &str = "select pg_is_in_recovery() or source not in ('user', 'database user', 'client', 'session') \
     from pg_settings where name = 'default_transaction_read_only'";

/// Which sessions are clients'. A user without `pg_read_all_stats` is not told the kind of other users' sessions, so whatever has a
/// user and a database and is not known to be something else counts. `rdsadmin` is RDS itself.
const IS_CLIENT: &str = "pid <> pg_backend_pid() and datname is not null and usename is not null \
     and coalesce(backend_type, 'client backend') = 'client backend' and usename <> 'rdsadmin' \
     and not (usename = session_user and application_name = 'muster')";

impl<X> Sql for Aws<X>
where
    Self: Control + Ledger,
{
    async fn query(&self, target: &SqlTarget, statement: &str) -> Result<Option<String>, CallError> {
        let calling = about("sql:Query", target);
        let credentials = self.credentials(&calling, target).await?;
        self.read(calling, on_server(target, &credentials, READ_ONLY, async |server| first_value(server, statement).await)).await
    }

    async fn attempt_write(&self, target: &SqlTarget) -> Result<WriteAttempt, CallError> {
        let calling = about("sql:AttemptWrite", target);
        let credentials = self.credentials(&calling, target).await?;
        self.read(calling, async {
            let attempt = on_server(target, &credentials, STATEMENT, async |server| match server.simple_query(WRITE).await {
                Ok(_) => Ok(Some(WriteAttempt::Accepted)),
                Err(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
                    server.simple_query("rollback").await?;
                    Ok((first_value(server, IS_REFUSED_TO_ALL).await?.as_deref() == Some("t")).then_some(WriteAttempt::Refused))
                }
                // Whether a user may make a temporary table is looked at after whether anybody may: the server takes writes.
                Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => Ok(Some(WriteAttempt::Accepted)),
                Err(error) => Err(error),
            });
            match attempt.await {
                Ok(Some(attempt)) => Ok(attempt),
                Ok(None) => Err(Failed::new(
                    CallFault::Rejected,
                    "only Muster's own user is read-only there, which proves nothing about others: reset its default_transaction_read_only",
                )),
                Err(Failed { fault: CallFault::Unreachable | CallFault::TimedOut, message, .. }) => Ok(WriteAttempt::Unreachable { why: message }),
                Err(failed) => Err(failed),
            }
        })
        .await
    }

    async fn client_sessions(&self, target: &SqlTarget) -> Result<u64, CallError> {
        let calling = about("sql:ClientSessions", target);
        let credentials = self.credentials(&calling, target).await?;
        let statement = format!("select count(*) from pg_stat_activity where {IS_CLIENT}");
        self.read(calling, async {
            let count = on_server(target, &credentials, READ_ONLY, async |server| first_value(server, &statement).await).await?;
            count.and_then(|count| count.parse().ok()).ok_or_else(|| Failed::new(CallFault::Rejected, "the server gave no number of sessions"))
        })
        .await
    }

    async fn set_read_only(&self, target: &SqlTarget, read_only: bool) -> Result<(), CallError> {
        let calling = about("sql:SetReadOnly", target);
        let credentials = self.credentials(&calling, target).await?;
        let change = if read_only { "set default_transaction_read_only = on" } else { "reset default_transaction_read_only" };
        // Where it is set already, a transaction can only change it that says that it writes.
        let statement = format!("begin read write; do $$ begin execute format('alter database %I {change}', current_database()); end $$; commit");
        self.mutate(calling, on_server(target, &credentials, STATEMENT, async |server| server.batch_execute(&statement).await)).await
    }

    async fn end_sessions(&self, target: &SqlTarget) -> Result<(), CallError> {
        let calling = about("sql:EndSessions", target);
        let credentials = self.credentials(&calling, target).await?;
        // One session that may not be ended would keep the others alive: only a superuser ends a superuser's.
        let statement = format!(
            "select pg_terminate_backend(pid) from pg_stat_activity join pg_roles on pg_roles.oid = usesysid where {IS_CLIENT} \
             and (not rolsuper or (select rolsuper from pg_roles where rolname = session_user))"
        );
        self.mutate(calling, on_server(target, &credentials, STATEMENT, async |server| server.batch_execute(&statement).await)).await
    }
}

fn about(operation: &'static str, target: &SqlTarget) -> Target {
    Target::data(operation, &target.database.region, &*target.database.name)
}

/// A user and its password. Nothing prints it.
#[derive(Deserialize)]
struct Credentials {
    username: String,
    password: String,
}

impl<X> Aws<X> {
    /// The target's credentials.
    async fn credentials(&self, calling: &Target, target: &SqlTarget) -> Result<Credentials, CallError> {
        let Some(secret) = target.credentials.as_deref() else {
            return Err(calling.failed(Failed::new(CallFault::Rejected, "the plan names no credentials for it")));
        };
        // The parser's own error would quote what it read.
        self.secret(secret, |text| serde_json::from_str(text).map_err(|_| "it is no JSON text with the keys `username` and `password`")).await
    }
}

/// Connects, lets `work` speak with the server, and says how it failed.
async fn on_server<T>(
    target: &SqlTarget,
    credentials: &Credentials,
    options: &str,
    work: impl AsyncFnOnce(&Client) -> Result<T, tokio_postgres::Error>,
) -> Result<T, Failed> {
    let (host, port) = target.endpoint.rsplit_once(':').unwrap_or((&target.endpoint, "5432"));
    let port = port.parse().map_err(|_| Failed::new(CallFault::Rejected, format!("{} is not `host:port`", target.endpoint)))?;
    let mut config = Config::new();
    config
        .host(host)
        .port(port)
        .user(&credentials.username)
        .password(&credentials.password)
        .dbname(target.dbname.as_deref().unwrap_or("postgres"))
        .application_name(NAME)
        .options(options)
        .connect_timeout(CONNECT);
    let tls = tls::connector().map_err(|error| Failed::new(CallFault::Rejected, format!("TLS cannot be set up: {error}")))?;
    let is_connected = Cell::new(false);
    let spoken = tokio::time::timeout(BUDGET, async {
        let (client, connection) = config.connect(tls).await?;
        // Ends when the client is dropped.
        let connection = tokio::spawn(connection);
        is_connected.set(true);
        let worked = work(&client).await;
        drop(client);
        // Until the server has seen the end, this session may be counted by the next one.
        let _ = connection.await;
        worked
    });
    match (spoken.await, is_connected.get()) {
        (Ok(Ok(value)), _) => Ok(value),
        (Ok(Err(error)), is_connected) => Err(failed(&error, target, is_connected)),
        (Err(_), true) => Err(Failed::new(CallFault::TimedOut, format!("no answer from {} within {} s", target.endpoint, BUDGET.as_secs()))),
        (Err(_), false) => Err(Failed::new(CallFault::Unreachable, format!("no connection to {} within {} s", target.endpoint, BUDGET.as_secs()))),
    }
}

async fn first_value(server: &Client, statement: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let messages = server.simple_query(statement).await?;
    Ok(messages
        .iter()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) if !row.is_empty() => Some(row.get(0).map(str::to_owned)),
            _ => None,
        })
        .flatten())
}

/// What an error of the server, or of the way to it, means. Source of the codes: the PostgreSQL manual, appendix A.
fn failed(error: &tokio_postgres::Error, target: &SqlTarget, is_connected: bool) -> Failed {
    let Some(answer) = error.as_db_error() else {
        // The driver's own errors speak of the connection, never of what was sent over it.
        return if is_connected {
            Failed::new(CallFault::TimedOut, format!("the connection to {} broke: {}", target.endpoint, chain(error)))
        } else {
            Failed::new(CallFault::Unreachable, format!("no connection to {}: {}", target.endpoint, chain(error)))
        };
    };
    let code = answer.code().code();
    let fault = match code {
        "42501" => CallFault::Denied,
        // Cancelled, by its statement_timeout.
        "57014" => CallFault::TimedOut,
        "53300" => CallFault::Throttled,
        // It shuts down, has crashed, or starts: it is there, and will be back.
        "57P01" | "57P02" | "57P03" => CallFault::Unavailable,
        _ if code.starts_with("28") => CallFault::Denied,
        _ => CallFault::Rejected,
    };
    // The server's own words may quote the user, the statement, or data: only those that cannot are passed on.
    let words = match code {
        _ if code.starts_with("28") => format!("the server does not accept the user and password in {}", target.credentials.as_deref().unwrap_or("the secret")),
        "25006" | "42501" | "53300" | "57014" | "57P01" | "57P02" | "57P03" | "3D000" | "0A000" | "42P01" | "42703" | "42601" => answer.message().to_owned(),
        _ => "the server refused the statement".to_owned(),
    };
    Failed { fault, code: code.to_owned(), message: format!("{code}: {words}") }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod server;
#[cfg(test)]
mod tests;
