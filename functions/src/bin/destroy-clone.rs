//! Removes the clones of a run: [`muster_actions::destroy_clone()`].

use muster_actions::{DESTROY_CLONE, destroy_clone};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(DESTROY_CLONE, muster_lambda::world().await?, destroy_clone).await
}
