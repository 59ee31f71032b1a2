//! Closes a run: report, message, lock: [`muster_actions::close_run()`].

use muster_actions::{CLOSE_RUN, close_run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(CLOSE_RUN, muster_lambda::world().await?, close_run).await
}
