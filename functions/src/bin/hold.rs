//! Holds a run for a person's answer: [`muster_actions::hold()`].

use muster_actions::{HOLD, hold};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(HOLD, muster_lambda::world().await?, hold).await
}
