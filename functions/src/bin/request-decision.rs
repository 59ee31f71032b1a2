//! Asks people whether to fail over: [`muster_actions::request_decision()`].

use muster_actions::{REQUEST_DECISION, request_decision};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(REQUEST_DECISION, muster_lambda::world().await?, request_decision).await
}
