//! Checks the promoted data: [`muster_actions::verify_data()`].

use muster_actions::{VERIFY_DATA, verify_data};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(VERIFY_DATA, muster_lambda::world().await?, verify_data).await
}
