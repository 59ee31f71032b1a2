//! From the ledger of a run to RTO, RPO, pass or fail: JSON, Markdown, HTML.
//!
//! [`assemble`] makes a [`Report`] from the plan, the run's ledger and the probe's samples: what Muster measured. In a rehearsal,
//! [`Report::with_clients`] adds what the simulated clients really saw, and that decides. Everything here is a pure function: no clock, no
//! network, no files. The definitions head the modules that compute them: `measure` for RTO and RPO, `breakdown` for where the time went.

mod assemble;
mod backups;
mod breakdown;
mod calls;
mod canonical;
mod clients;
mod detail;
mod findings;
mod gantt;
mod html;
mod markdown;
mod measure;
mod proof;
mod record;
mod restores;
mod results;
mod scan;
mod schema;
mod subjects;
mod text;
mod timeline;

pub use assemble::{COMPARED, Closing, assemble};
pub use backups::{BackupExposure, BackupProblem, Backups};
pub use clients::{ALL, Busy, Clients, ComponentTruth, CurveSegment, RESTORED_PPM};
pub use record::{
    AcceptedRisk, ActionItem, Bound, Breakdown, CallGroup, Calls, CheckMade, Comparison, Decision, Dependence, Fencing, Figure, InFlight, Integrity, Issue,
    LagFigure, LedgerProof, Line, MutatingCall, Objective, Occasion, Phase, ProbeTrack, Report, Severity, Stretch, Summary, Tone, Verdict, Wait,
};
pub use restores::Restore;
