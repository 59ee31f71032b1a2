//! Moves traffic to the standby: [`muster_actions::flip_dns()`].

use muster_actions::{FLIP_DNS, flip_dns};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(FLIP_DNS, muster_lambda::world().await?, flip_dns).await
}
