//! Looks whether the backups are there that the plan promises: [`muster_actions::verify_backups()`].

use muster_actions::{VERIFY_BACKUPS, verify_backups};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(VERIFY_BACKUPS, muster_lambda::world().await?, verify_backups).await
}
