//! Confirms an outage, or finds that it is none: [`muster_actions::confirm_outage()`].

use muster_actions::{CONFIRM_OUTAGE, confirm_outage};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(CONFIRM_OUTAGE, muster_lambda::world().await?, confirm_outage).await
}
