//! Removes clones whose lease is over: [`muster_actions::sweep_clones()`].

use muster_actions::{SWEEP_CLONES, sweep_clones};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run_alone(SWEEP_CLONES, muster_lambda::world().await?, sweep_clones).await
}
