//! Sets the installation's kill switch, or clears it.
//!
//! Converges: a switch that is set already is set by whoever came last; one that is clear is cleared.
//! Refuses:   to set or clear it without a name and a reason.
//! Leaves behind on failure: the switch as it was, or as it was asked for: call again.
//! AWS: dynamodb:PutItem, dynamodb:DeleteItem (standby region).

use muster_core::ports::{Control, KillSwitch};
use muster_core::{Action, ActionError, Conduct, Progress};
use serde::Deserialize;

/// The action.
pub const SET_KILL_SWITCH: Action = Action { name: "set-kill-switch", conduct: Conduct::KeepsBooks };

/// What a person sends.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {
    /// `true`: no mutating call begins from a second later on, whoever asks for it. `false`: they may again.
    pub stop: bool,
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// Sets or clears the switch. Called twice, it stands as it was asked for last.
///
/// # Errors
/// `Invalid` without a name or a reason; `Transient` when the table cannot be reached.
pub async fn set_kill_switch<W: Control>(request: Request, world: &W) -> Result<Progress, ActionError> {
    if request.by.trim().is_empty() || request.reason.trim().is_empty() {
        return Err(ActionError::Invalid("the kill switch needs a name and a reason: `by`, `reason`. Whoever meets it will read them".into()));
    }
    let switch = KillSwitch { by: request.by, reason: request.reason };
    world.write_kill_switch(request.stop.then_some(&switch)).await?;
    Ok(if request.stop {
        Progress::done(format!("stopped by {}: {}. Runs hold at their next change", switch.by, switch.reason)).with_verdict("stopped")
    } else {
        Progress::done(format!("cleared by {}: {}. Runs that hold go on when they are answered with `retry`", switch.by, switch.reason)).with_verdict("cleared")
    })
}
