//! The only way into an action. The Lambda runtime and the rehearsal both come through here, so that what is
//! rehearsed is what runs.

use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Value, json};

use crate::journal::{Denial, Journaled, permit};
use crate::ledger::{Body, Evidence, Hash};
use crate::ports::{Control, Ledger, Notes, Plans};
use crate::progress::{Progress, poll_interval};
use crate::{ActionError, Clock, Duration, Finding, Run, Timestamp};

/// What kind of thing an action does, which decides what is checked before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conduct {
    /// Changes the estate: needs a clear kill switch, the present epoch, and time left.
    Mutates,
    /// Looks at the estate and waits for it: needs time left.
    Observes,
    /// Changes the estate back: needs a clear kill switch and the present epoch, at any time.
    Undoes,
    /// Muster's own bookkeeping: always allowed.
    KeepsBooks,
}

/// An action's name and conduct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Action {
    /// The name, as in `promote-replica`.
    pub name: &'static str,
    /// What is checked before it runs.
    pub conduct: Conduct,
}

/// What a Task sends to a function.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Event<Q> {
    run: Arc<Run>,
    /// The state's name.
    phase: Arc<str>,
    #[serde(default = "Option::default")]
    request: Option<Q>,
    /// The last progress of this phase, or of the one before.
    #[serde(default)]
    last: Option<Progress>,
}

/// What an action knows about the invocation that it runs in.
#[derive(Debug)]
pub struct Context<'a, P> {
    /// The run.
    pub run: &'a Run,
    /// The run's plan.
    pub plan: &'a P,
    /// The phase: the state's name.
    pub phase: &'a str,
    /// When this phase was first called: now, if this is the first call.
    pub since: Timestamp,
    /// When this invocation began.
    pub now: Timestamp,
    journal: &'a crate::Journal,
}

impl<P> Context<'_, P> {
    /// Writes a fact into the ledger.
    pub fn saw(&self, now: Timestamp, evidence: Evidence) {
        self.journal.saw(now, evidence);
    }

    /// Not yet: ask again after one per cent of the time already waited (or two per mille of the run's age, if that is
    /// more), and not before `soonest`.
    pub fn wait(&self, detail: impl Into<String>, soonest: Duration) -> Progress {
        // A run that has been open for hours is polled less often too: each retry of a phase would start afresh.
        let age = poll_interval(Duration::from_millis(self.now.since(self.run.opened_at).as_millis() / 5));
        Progress::pending(detail, poll_interval(self.elapsed()).max(age).max(soonest))
    }

    /// How long this phase has been at it.
    pub fn elapsed(&self) -> Duration {
        self.now.since(self.since)
    }
}

/// How an invocation fails, in the words of the Lambda API: `errorType` is the error's name in the state machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// `Muster.Transient`, `Muster.Refused`, `Muster.Permanent` or `Muster.Invalid`.
    pub error_type: &'static str,
    /// For people.
    pub error_message: String,
}

impl From<ActionError> for Failure {
    fn from(error: ActionError) -> Self {
        Failure { error_type: error.name(), error_message: error.in_short() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.error_type, self.error_message)
    }
}

/// Runs an action that belongs to a run: parses the event, reads kill switch and epoch, loads the pinned plan, runs
/// the action, writes the ledger, names the error. Calling twice with the same event is what actions are built for.
///
/// # Errors
/// [`Failure`], with one of the four names.
pub async fn invoke<P, Q, W>(
    action: Action,
    invocation: impl Into<Arc<str>>,
    event: Value,
    world: &W,
    body: impl AsyncFnOnce(Q, &W, &Context<'_, P>) -> Result<Progress, ActionError>,
) -> Result<Value, Failure>
where
    Q: DeserializeOwned + Default,
    W: Clock + Control + Ledger + Notes + Plans<P> + Journaled,
{
    in_json(run_action(action, invocation, event, world, body).await?)
}

/// What [`invoke`] does, for whoever has its event in another form than JSON and takes the progress as it is.
///
/// # Errors
/// [`Failure`], with one of the four names.
pub async fn run_action<'e, P, Q, W>(
    action: Action,
    invocation: impl Into<Arc<str>>,
    event: impl Deserializer<'e, Error = serde_json::Error>,
    world: &W,
    body: impl AsyncFnOnce(Q, &W, &Context<'_, P>) -> Result<Progress, ActionError>,
) -> Result<Progress, Failure>
where
    Q: DeserializeOwned + Default,
    W: Clock + Control + Ledger + Notes + Plans<P> + Journaled,
{
    let event: Event<Q> = Event::deserialize(event).map_err(|error| not_understood(action.name, &error))?;
    let journal = world.journal();
    journal.begin(invocation, action.name, event.phase.clone());
    journal.is_of(world.now(), event.run.clone());
    let since = event.last.as_ref().filter(|last| *last.phase == *event.phase).map_or(world.now(), |last| last.since);
    let result = run_body(action, &event.run, &event.phase, event.request.unwrap_or_default(), since, world, body).await;
    let asks_again = action.conduct == Conduct::KeepsBooks && result.as_ref().is_ok_and(|progress| !progress.is_done());
    end(world, asks_again, &result).await;
    if let Ok(progress) = &result
        && progress.is_done()
        && action.conduct != Conduct::KeepsBooks
    {
        // For whoever keeps people informed. Its loss costs a line in a message.
        let _ = world.note(&event.run.id.0, LATEST_NOTE, &json!(format!("{}: {}", event.phase, progress.detail))).await;
    }
    Ok(Progress { phase: event.phase.to_string(), since, ..result? })
}

async fn run_body<P, Q, W>(
    action: Action,
    run: &Run,
    phase: &str,
    request: Q,
    since: Timestamp,
    world: &W,
    body: impl AsyncFnOnce(Q, &W, &Context<'_, P>) -> Result<Progress, ActionError>,
) -> Result<Progress, ActionError>
where
    W: Clock + Control + Ledger + Notes + Plans<P> + Journaled,
{
    if matches!(action.conduct, Conduct::Mutates | Conduct::Undoes) {
        permit(world, run).await.map_err(|denial| match denial {
            Denial::Unreadable(error) => ActionError::Transient(format!("kill switch and epoch cannot be read, so nothing is changed: {error}")),
            Denial::Halted(seen) => ActionError::refused(Finding::new(
                &run.service,
                seen,
                "a clear kill switch and this run's epoch",
                "find out who stopped it or which run is open; clear the switch and answer `retry`, or answer `abort`",
            )),
        })?;
    }
    let now = world.now();
    if matches!(action.conduct, Conduct::Mutates | Conduct::Observes) && now > run.deadline && now > extended_deadline(world, run).await? {
        return Err(ActionError::refused(Finding::new(
            phase,
            format!("the run's deadline passed at {}", run.deadline),
            "an end of the run by then",
            "answer `retry` to give it another hour, or `abort`",
        )));
    }
    if action.conduct == Conduct::Mutates
        && let Some(by) = world.read_note(&run.id.0, ABORT_NOTE).await?
    {
        return Err(ActionError::refused(Finding::new(
            phase,
            format!("the run was aborted by {}", by.as_str().unwrap_or("somebody")),
            "a run that goes on",
            "nothing: every branch of the run ends",
        )));
    }
    let plan = world.load_plan(&run.plan).await?;
    body(request, world, &Context { run, plan: &plan, phase, since, now, journal: world.journal() }).await
}

/// The note in the run's scope by which a person who answers `retry` gives a late run more time.
pub const DEADLINE_NOTE: &str = "deadline";
/// The note in the run's scope that somebody, whose name it holds, has aborted the run: from then on nothing is changed
/// except to undo, in whichever branch.
pub const ABORT_NOTE: &str = "abortedBy";
/// The note in the run's scope that says which phase was done last, in words.
pub const LATEST_NOTE: &str = "latest";

async fn extended_deadline<W: Notes>(world: &W, run: &Run) -> Result<Timestamp, ActionError> {
    let note = world.read_note(&run.id.0, DEADLINE_NOTE).await?;
    Ok(note.and_then(|value| Timestamp::deserialize(&*value).ok()).unwrap_or(run.deadline))
}

/// Runs an action that belongs to no run (yet): opening one, probing, sweeping, tidying up.
///
/// # Errors
/// [`Failure`], with one of the four names.
pub async fn invoke_alone<Q, W>(
    action: Action,
    invocation: impl Into<Arc<str>>,
    event: Value,
    world: &W,
    body: impl AsyncFnOnce(Q, &W) -> Result<Progress, ActionError>,
) -> Result<Value, Failure>
where
    Q: DeserializeOwned,
    W: Clock + Ledger + Journaled,
{
    in_json(run_alone(action, invocation, event, world, body).await?)
}

/// What [`invoke_alone`] does, for whoever has its event in another form than JSON and takes the progress as it is.
///
/// # Errors
/// [`Failure`], with one of the four names.
pub async fn run_alone<'e, Q, W>(
    action: Action,
    invocation: impl Into<Arc<str>>,
    event: impl Deserializer<'e, Error = serde_json::Error>,
    world: &W,
    body: impl AsyncFnOnce(Q, &W) -> Result<Progress, ActionError>,
) -> Result<Progress, Failure>
where
    Q: DeserializeOwned,
    W: Clock + Ledger + Journaled,
{
    let request = Q::deserialize(event).map_err(|error| not_understood(action.name, &error))?;
    let name: Arc<str> = action.name.into();
    world.journal().begin(invocation, name.clone(), name);
    let since = world.now();
    let result = body(request, world).await;
    end(world, true, &result).await;
    Ok(Progress { phase: action.name.to_owned(), since, ..result? })
}

fn in_json(progress: Progress) -> Result<Value, Failure> {
    serde_json::to_value(progress).map_err(|error| ActionError::Invalid(error.to_string()).into())
}

/// Writes down how an invocation ended. A ledger that cannot be written never blocks recovery; the shell logs what is left unsaved.
async fn end<W: Clock + Ledger + Journaled>(world: &W, may_forget: bool, result: &Result<Progress, ActionError>) {
    if may_forget && result.is_ok() && world.journal().forget_a_mere_look() {
        return;
    }
    let (status, detail) = match result {
        Ok(progress) if progress.is_done() => ("done", progress.detail.clone()),
        Ok(progress) => ("pending", progress.detail.clone()),
        Err(error) => (error.name(), error.in_full()),
    };
    let chain = world.journal().head().unwrap_or(Hash::ZERO);
    world.journal().write(world.now(), Body::Ended { status: status.to_owned(), detail, chain });
    let _ = world.journal().save(world).await;
}

fn not_understood(action: &str, error: &serde_json::Error) -> Failure {
    ActionError::Invalid(format!("{action} does not understand its input: {error}. Send what docs/actions.md shows for {action}")).into()
}
