//! Whether another run has taken over.

use muster_core::ports::Control;
use muster_core::{ActionError, Run};

/// True when the service's epoch has moved on: this run may write nothing any more, and ends.
pub(crate) async fn is_superseded(world: &impl Control, run: &Run) -> Result<bool, ActionError> {
    Ok(world.read_control(&run.service, run.lane).await?.epoch != run.epoch)
}
