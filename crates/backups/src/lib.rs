//! Backups as pure functions of what exists, what the plan says, and the time.
//!
//! [`Rules`] are made of a plan; [`RecoveryPoint`]s are what a listing found. [`decide`] says what is taken, copied, kept, deleted or held, and why:
//! the actions do it, `muster backups plan` shows it beforehand. Nothing here calls anything.

mod calendar;
mod decide;
mod forecast;
mod keep;
mod name;
mod point;
mod queue;
mod rules;

pub use calendar::{latest_slot, slots};
pub use decide::{CopyOrder, Decision, Fate, Hold, Reason, Situation, Take, by_hand, decide};
pub use forecast::{Event, Happening, assumed, forecast};
pub use keep::{Keep, Period};
pub use name::snapshot_name;
pub use point::{Place, PointStatus, RecoveryPoint};
pub use queue::{COPIES_PER_REGION, start_now};
pub use rules::{Destination, Line, Rules};
