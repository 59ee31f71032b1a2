//! Fences a primary that was dark and has come back: [`muster_actions::fence_returned()`].

use muster_actions::{FENCE_RETURNED, fence_returned};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run_alone(FENCE_RETURNED, muster_lambda::world().await?, fence_returned).await
}
