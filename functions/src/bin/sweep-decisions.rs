//! Settles questions whose time is over, and wakes who waits for an answer: [`muster_actions::sweep_decisions()`].

use muster_actions::{SWEEP_DECISIONS, sweep_decisions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run_alone(SWEEP_DECISIONS, muster_lambda::world().await?, sweep_decisions).await
}
