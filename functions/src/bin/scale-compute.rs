//! Brings the standby's compute to its size: [`muster_actions::scale_compute()`].

use muster_actions::{SCALE_COMPUTE, scale_compute};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(SCALE_COMPUTE, muster_lambda::world().await?, scale_compute).await
}
