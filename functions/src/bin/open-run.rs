//! Opens a run: plan, lock, epoch: [`muster_actions::open_run()`].

use muster_actions::{OPEN_RUN, open_run};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run_alone(OPEN_RUN, muster_lambda::world().await?, open_run).await
}
