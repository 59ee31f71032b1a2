//! Keeps people informed while a run is open: [`muster_actions::notify()`].

use muster_actions::{NOTIFY, notify};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(NOTIFY, muster_lambda::world().await?, notify).await
}
