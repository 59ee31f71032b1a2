//! Looks at the primary, every minute: [`muster_actions::probe()`].

use muster_actions::{PROBE, probe};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run_alone(PROBE, muster_lambda::world().await?, probe).await
}
