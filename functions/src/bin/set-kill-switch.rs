//! Sets or clears the kill switch: [`muster_actions::set_kill_switch()`].

use muster_actions::{SET_KILL_SWITCH, set_kill_switch};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), muster_lambda::Error> {
    muster_lambda::run_alone(SET_KILL_SWITCH, muster_lambda::world().await?, set_kill_switch).await
}
