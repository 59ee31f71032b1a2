//! Backups as pure functions of what exists, what the plan says, and the time.
//!
//! [`Rules`] are made of a plan; [`RecoveryPoint`]s are what a listing found. [`decide`] says what is taken, copied, kept, deleted or held, and why:
//! the actions do it, `muster backups plan` shows it beforehand. [`verify`] judges whether what was found would restore. Nothing here calls
//! anything.

mod calendar;
mod decide;
mod decision;
mod finding;
mod forecast;
mod keep;
mod lifecycle;
mod name;
mod point;
mod queue;
mod rules;
mod schedule;
mod size;
mod survey;
mod verify;

pub use calendar::{latest_slot, slots};
pub use decide::{by_hand, decide};
pub use decision::{CopyOrder, Decision, Export, Fate, Hold, Reason, Situation, Take};
pub use finding::Finding;
pub use forecast::{Event, Happening, assumed, forecast};
pub use keep::{Keep, Period};
pub use name::{export_name, snapshot_name, snapshot_stem};
pub use point::{Place, PointStatus, RecoveryPoint};
pub use queue::{COPIES_PER_REGION, EXPORTS_PER_ACCOUNT, start_now};
pub use rules::{Destination, Line, Rules, ToArchive};
pub use schedule::{ScheduleEntry, ScheduleInput, restore_test_schedules, schedule_prefix, schedules};
pub use size::newest_believable;
pub use survey::{Found, Key, KeyState, Lifecycle, Listing, Quota, Survey, Unread};
pub use verify::{Archive, Expectation, Exposure, Problem, Verdict, expectations, verify};
