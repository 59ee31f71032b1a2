//! Undoes what can be undone, when a run does not go through: [`muster_actions::stand_down()`].

use muster_actions::{STAND_DOWN, stand_down};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run(STAND_DOWN, muster_lambda::world().await?.with(muster_aws_ec2::Ec2::default()), stand_down).await
}
