//! Deletes the snapshots that no retention wants any more: [`muster_actions::prune_backups()`].

use muster_actions::{PRUNE_BACKUPS, prune_backups};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(PRUNE_BACKUPS, muster_lambda::world().await?, prune_backups).await
}
