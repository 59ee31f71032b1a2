//! Loads the newest dump into its clone: [`muster_actions::load_dump()`].

use muster_actions::{LOAD_DUMP, load_dump};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(LOAD_DUMP, muster_lambda::world().await?, load_dump).await
}
