//! Copies snapshots to where the plan wants them: [`muster_actions::copy_backup()`].

use muster_actions::{COPY_BACKUP, copy_backup};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(COPY_BACKUP, muster_lambda::world().await?, copy_backup).await
}
