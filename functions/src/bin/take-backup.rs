//! Takes the snapshots that are due: [`muster_actions::take_backup()`].

use muster_actions::{TAKE_BACKUP, take_backup};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(TAKE_BACKUP, muster_lambda::world().await?, take_backup).await
}
