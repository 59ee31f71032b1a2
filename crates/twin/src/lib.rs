//! The simulated estate of one plan: both regions and the witness, at the level of `core`'s ports, in virtual time.
//!
//! A [`Twin`] is made from a plan and a [`Scenario`] alone. Actions run on it through [`World`], which implements every
//! port; what clients saw is integrated exactly; invariants are checked after every change. One seed decides every
//! duration and every fault, and the same seed gives the same bytes.
//!
//! Modelled: roles, statuses, lag, endpoints, sessions, capacity, names and their TTLs, Muster's own tables. Not
//! modelled: AWS's wire format, the content of databases, load, money. Each module says more.

mod balancer;
mod builds;
mod caches;
mod calls_made;
mod changes;
mod clients;
mod clock;
mod clones;
mod compute;
mod console;
mod databases;
mod draw;
mod durations;
mod estate;
mod exports;
mod facts;
mod faults;
mod functions;
mod invariants;
mod lately;
mod limits;
mod machines;
mod memory;
mod metrics;
mod network;
mod objects;
mod outcome;
mod people;
mod ports;
mod protection;
mod proving;
mod rehearse;
#[cfg(test)]
mod safety_tests;
mod scenario;
mod scheduled;
mod schedules;
mod serving;
mod shares;
pub mod simulate;
mod snapshots;
mod story;
mod strikes;
#[cfg(test)]
mod testing;
mod traffic;
mod truth;
mod world;

pub use builds::{AllBuilds, BuildFault};
pub use caches::GlobalCache;
pub use calls_made::{CallMade, CallsMade};
pub use changes::Change;
pub use clients::{Answers, Clients, Lineages, Service, Side, Writes};
pub use clones::{AllClones, CloneFault, Restored};
pub use compute::{Group, LaunchTemplate};
pub use databases::{DarkLag, Instance, Pair, Phase, Promotion, Replication};
pub use draw::Draw;
pub use durations::{Durations, Profile, Table};
pub use estate::{Estate, NORMAL_LIFE};
pub use facts::Facts;
pub use faults::{Accepting, Afterwards, FAULTS, Fault, FaultName};
pub use invariants::{Guard, Violation};
pub use limits::Limits;
pub use memory::{Delivered, Memory};
pub use network::{From, Network};
pub use objects::{ObjectFault, Objects};
pub use outcome::{Effort, Rehearsal};
pub use protection::Protection;
pub use proving::{Proving, Trouble};
pub use rehearse::{Recording, Rehearser, rehearse, rehearse_many};
pub use scenario::{Matching, Planned, Scenario, UnknownFault, When};
pub use scheduled::scheduled_flows;
pub use snapshots::{SnapshotFault, Snapshots, Stored};
pub use story::{Event, Story};
pub use strikes::Strikes;
pub use traffic::Record;
pub use truth::{Track, Truth};
pub use world::{ATTEMPT, CONNECT, Engine, Twin, World};
