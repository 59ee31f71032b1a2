//! Looks whether what was restored is sound: [`muster_actions::verify_clone()`].

use muster_actions::{VERIFY_CLONE, verify_clone};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(VERIFY_CLONE, muster_lambda::world().await?, verify_clone).await
}
