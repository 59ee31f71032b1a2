//! The vocabulary of Muster: ids, time, progress, errors, runs, the ledger, and one small trait per capability of the world.

mod canonical;
mod chain;
mod duration;
mod error;
mod id;
mod invoke;
mod journal;
mod ledger;
pub mod ports;
mod progress;
mod region;
mod run;
mod text;
mod time;
mod verified;

pub use canonical::{canonical_json, sorted};
pub use chain::Chain;
pub use duration::{Duration, InvalidDuration};
pub use error::{ActionError, CallError, CallFault, Finding};
pub use id::{DatabaseId, Id, LaunchTemplateId, ParameterId, ScalingGroupId, kind};
pub use invoke::{ABORT_NOTE, Action, Conduct, Context, DEADLINE_NOTE, Failure, LATEST_NOTE, invoke, invoke_alone, run_action, run_alone};
pub use journal::{Journal, Journaled, PERMIT, admit};
pub use ledger::{Body, Call, Entry, Evidence, Hash, InvalidHash, LagBasis, Outcome, Plane};
pub use progress::{Progress, Status, poll_interval};
pub use region::{InvalidRegion, Region};
pub use run::{Lane, Override, PlanPin, Run, RunId, Waits};
pub use time::{Clock, InvalidTimestamp, Timestamp};
pub use verified::{BackupExposure, BackupProblem};
