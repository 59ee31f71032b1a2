//! `PING` to a Redis or Valkey server: a connection for one question.
//!
//! TLS is spoken where ElastiCache says that the group does. Its certificate must be of an authority that this machine trusts, since a
//! token is sent over the connection.

use std::sync::Arc;
use std::time::Duration;

use muster_core::CallFault;
use muster_core::ports::CacheEndpoint;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo, RedisError};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Failed;
use crate::clients::CONNECT;

/// Everything of one question: connection, TLS, sign-in, answer.
const BUDGET: Duration = Duration::from_secs(3);

/// What a cache wants to be told. Nothing prints it.
#[derive(Deserialize)]
pub(super) struct Token {
    username: Option<String>,
    password: String,
}

impl Token {
    /// From a secret's text: the token itself, or JSON with a `password` and, for a user of an access control list, a `username`.
    pub(super) fn read(secret: &str) -> Result<Token, &'static str> {
        match secret.trim_start().starts_with('{') {
            true => serde_json::from_str(secret).map_err(|_| "it is neither a token nor a JSON text with the key `password`"),
            false if secret.is_empty() => Err("it is empty"),
            false => Ok(Token { username: None, password: secret.to_owned() }),
        }
    }
}

/// Whether the server answers.
pub(super) async fn ping(endpoint: &CacheEndpoint, token: Option<Token>) -> Result<(), Failed> {
    let address = format!("{}:{}", endpoint.host, endpoint.port);
    let unreachable = |why: &dyn std::fmt::Display| Failed::new(CallFault::Unreachable, format!("no connection to {address}: {why}"));
    let asked = tokio::time::timeout(BUDGET, async {
        let connecting = tokio::time::timeout(CONNECT, TcpStream::connect((&*endpoint.host, endpoint.port))).await;
        let stream = connecting.map_err(|_| unreachable(&"nobody answers"))?.map_err(|error| unreachable(&error))?;
        if endpoint.encrypted {
            let name = ServerName::try_from(endpoint.host.to_string()).map_err(|error| unreachable(&error))?;
            let stream = TlsConnector::from(trusted()?).connect(name, stream).await.map_err(|error| unreachable(&error))?;
            ask(stream, token).await
        } else {
            ask(stream, token).await
        }
    });
    asked.await.unwrap_or_else(|_| Err(Failed::new(CallFault::TimedOut, format!("no answer from {address} within {} s", BUDGET.as_secs()))))
}

async fn ask(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, token: Option<Token>) -> Result<(), Failed> {
    let mut info = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(token) = token {
        info = info.set_password(token.password);
        info = token.username.into_iter().fold(info, RedisConnectionInfo::set_username);
    }
    // How long an answer may take is the budget's business.
    let config = AsyncConnectionConfig::new().set_response_timeout(None);
    let (mut connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await.map_err(|error| failed(&error))?;
    // Ends when the connection is dropped.
    tokio::spawn(driver);
    redis::cmd("PING").query_async::<()>(&mut connection).await.map_err(|error| failed(&error))
}

/// Who may vouch for a cache: the authorities that this machine trusts.
fn trusted() -> Result<Arc<ClientConfig>, Failed> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failed::new(CallFault::Rejected, format!("TLS cannot be set up: {error}")))?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// What an error of the server, or of the way to it, means. Its own words may quote the user: only its code is passed on.
/// Source of the codes: the Redis documentation of AUTH, and of errors in the protocol.
fn failed(error: &RedisError) -> Failed {
    let code = error.code().unwrap_or_default();
    let (fault, words) = match code {
        "NOAUTH" => (CallFault::Denied, "the server wants a token, and the plan names no credentials for it"),
        "WRONGPASS" | "NOPERM" => (CallFault::Denied, "the server does not accept the token"),
        "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" => (CallFault::Unavailable, "the server is not ready yet"),
        _ if error.kind() == redis::ErrorKind::AuthenticationFailed => (CallFault::Denied, "the server does not accept the token"),
        _ if code.is_empty() => (CallFault::TimedOut, "the connection broke before it answered"),
        _ => (CallFault::Rejected, "the server refused to answer"),
    };
    Failed { fault, code: code.to_owned(), message: if code.is_empty() { words.to_owned() } else { format!("{code}: {words}") } }
}

#[cfg(test)]
mod tests;
