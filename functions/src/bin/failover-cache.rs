//! Makes the standby's caches primary: [`muster_actions::failover_cache()`].

use muster_actions::{FAILOVER_CACHE, failover_cache};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(FAILOVER_CACHE, muster_lambda::world().await?, failover_cache).await
}
