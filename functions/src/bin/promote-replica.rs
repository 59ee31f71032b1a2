//! Promotes the standby's replicas: [`muster_actions::promote_replica()`].

use muster_actions::{PROMOTE_REPLICA, promote_replica};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(PROMOTE_REPLICA, muster_lambda::world().await?, promote_replica).await
}
