//! Builds: work of the customer's own that needs a machine with its tools for an hour, such as loading a dump into a clone.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{CallError, Duration, Region, Timestamp};

/// A build that is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildOrder<'a> {
    /// The region of the project.
    pub region: &'a Region,
    /// The project.
    pub project: &'a str,
    /// The same token within five minutes starts the same build once, and answers with it. With another order than before it is rejected.
    /// Source: the API reference of CodeBuild, StartBuild, `idempotencyToken`.
    pub token: &'a str,
    /// What the build finds in its environment; never a secret: whoever may look at builds reads them.
    pub variables: &'a BTreeMap<&'a str, String>,
    /// The build is stopped after so long. CodeBuild takes whole minutes, from 5 to 2,160: it is rounded to them.
    pub time_out: Duration,
}

/// What a build is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildStatus {
    /// It is queued or at work, in that phase, such as `BUILD`.
    Running {
        /// The phase, in CodeBuild's word.
        phase: Arc<str>,
    },
    /// Every command of it came to a good end.
    Succeeded,
    /// It came to no good end.
    Failed {
        /// How: `FAILED`, `FAULT`, `TIMED_OUT` or `STOPPED`, with what each phase that failed says of it.
        why: Arc<str>,
    },
}

/// A build as CodeBuild describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildState {
    /// What it is doing.
    pub status: BuildStatus,
    /// When it began: from here on its machine is made ready.
    pub began_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Where its log can be read, as a link; absent where it has none (yet).
    pub log: Option<Arc<str>>,
}

/// Projects' builds.
pub trait Builds {
    /// Starts a build, and answers with its id. `NotFound` where there is no such project; `Rejected` where the account may have no further build, or the
    /// token was used for another order.
    async fn start_build(&self, order: &BuildOrder<'_>) -> Result<Arc<str>, CallError>;

    /// A build; `None` where there is none of that id.
    async fn describe_build(&self, region: &Region, id: &str) -> Result<Option<BuildState>, CallError>;
}
