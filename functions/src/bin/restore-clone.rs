//! Restores the newest backup into a throw-away clone: [`muster_actions::restore_clone()`].

use muster_actions::{RESTORE_CLONE, restore_clone};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(RESTORE_CLONE, muster_lambda::world().await?, restore_clone).await
}
