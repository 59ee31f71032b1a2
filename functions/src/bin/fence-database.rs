//! Fences the old primary databases: [`muster_actions::fence_database()`].

use muster_actions::{FENCE_DATABASE, fence_database};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(FENCE_DATABASE, muster_lambda::world().await?, fence_database).await
}
