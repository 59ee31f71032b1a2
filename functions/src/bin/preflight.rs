//! Looks at everything that the failover will need: [`muster_actions::preflight()`].

use muster_actions::{PREFLIGHT, preflight};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(PREFLIGHT, muster_lambda::world().await?.with(muster_aws_ec2::Ec2::default()), preflight).await
}
