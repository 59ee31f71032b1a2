//! Checks that the standby serves: [`muster_actions::verify_health()`].

use muster_actions::{VERIFY_HEALTH, verify_health};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(VERIFY_HEALTH, muster_lambda::world().await?, verify_health).await
}
