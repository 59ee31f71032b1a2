//! Closes runs whose execution has ended without closing them: [`muster_actions::janitor()`].

use muster_actions::{JANITOR, janitor};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run_alone(JANITOR, muster_lambda::world().await?, janitor).await
}
