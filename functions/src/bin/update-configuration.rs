//! Points configuration at the standby: [`muster_actions::update_configuration()`].

use muster_actions::{UPDATE_CONFIGURATION, update_configuration};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(UPDATE_CONFIGURATION, muster_lambda::world().await?.with(muster_aws_ec2::Ec2::default()), update_configuration).await
}
