//! An account's Step Functions, in process: state machines, executions and task tokens.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::clock::Clock;
use crate::draw;
use crate::event::Event;
use crate::execution::{Description, Execution, ExecutionStatus};
use crate::lambda::Lambda;
use crate::limits::MAX_DATA_BYTES;
use crate::machine::Machine;
use crate::redrive::RedriveError;
use crate::tokens::{Answer, Tokens};
use crate::value::{self, Value};

pub use crate::tokens::TaskError;

/// How much of the history is kept. Events are counted, and shown to the observer, in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryMode {
    /// Everything that `GetExecutionHistory` answers.
    #[default]
    Full,
    /// Without inputs, outputs, parameters and variables.
    Compact,
    /// Nothing.
    Off,
}

/// What an account is made of.
pub struct Config {
    /// The only source of time.
    pub clock: Rc<dyn Clock>,
    /// Runs the functions that Tasks invoke.
    pub lambda: Rc<dyn Lambda>,
    /// Decides every random draw: `$random`, `$uuid`, `$shuffle`, jitter, tokens, names.
    pub seed: u64,
    /// Appears in ARNs and in the history.
    pub region: String,
    /// Appears in ARNs.
    pub account_id: String,
    /// How much of the history is kept.
    pub history: HistoryMode,
}

impl Config {
    /// Seed 0, region `us-west-2`, account `123456789012`, full history.
    pub fn new(clock: Rc<dyn Clock>, lambda: Rc<dyn Lambda>) -> Self {
        Self { clock, lambda, seed: 0, region: "us-west-2".to_owned(), account_id: "123456789012".to_owned(), history: HistoryMode::Full }
    }
}

/// Called at each history event with the execution's ARN.
pub type Observer = dyn Fn(&str, &Event);

/// Called at each state that an execution enters: the execution's ARN, the state's name.
pub type EntryObserver = dyn Fn(&str, &str);

/// What an account and its executions share. Executions do not own the account: it owns them.
pub(crate) struct World {
    pub(crate) clock: Rc<dyn Clock>,
    pub(crate) lambda: Rc<dyn Lambda>,
    pub(crate) seed: u64,
    pub(crate) region: Rc<str>,
    pub(crate) role_arn: Rc<str>,
    pub(crate) history: HistoryMode,
    pub(crate) observer: RefCell<Option<Rc<Observer>>>,
    pub(crate) entered: RefCell<Option<Rc<EntryObserver>>>,
    pub(crate) tokens: Tokens,
}

pub(crate) struct Account {
    world: Rc<World>,
    account_id: String,
    machines: RefCell<BTreeMap<String, (Rc<str>, Machine)>>,
    executions: RefCell<BTreeMap<Rc<str>, Rc<Execution>>>,
    unnamed: Cell<u64>,
}

/// A handle on an account's Step Functions. Cheap to clone; it stays on its thread.
///
/// Executions run as local tasks: call it inside a `tokio::task::LocalSet` on a current-thread runtime.
#[derive(Clone)]
pub struct StepFunctions(pub(crate) Rc<Account>);

/// Why an execution was not started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// No machine has this name or ARN.
    #[error("StateMachineDoesNotExist: no state machine has the name or ARN {0:?}; register it first")]
    StateMachineDoesNotExist(String),
    /// The name was used before, and not by a running execution with the same input.
    #[error("ExecutionAlreadyExists: {0:?} was started before, with another input or it has ended; use another name")]
    ExecutionAlreadyExists(String),
    /// The name has a character or a length that AWS refuses.
    #[error("InvalidName: {0:?} is not a name for an execution: 1 to 80 characters, without blanks, brackets, wildcards and the like")]
    InvalidName(String),
    /// The input is larger than 256 KiB.
    #[error("InvalidExecutionInput: the input has more than {MAX_DATA_BYTES} bytes; pass a reference instead")]
    InvalidExecutionInput,
}

/// No execution has this ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ExecutionDoesNotExist: {0:?} was never started here")]
pub struct ExecutionDoesNotExist(pub String);

impl StepFunctions {
    /// An account without state machines.
    pub fn new(config: Config) -> Self {
        let role = format!("arn:aws:iam::{}:role/state-machine", config.account_id);
        Self(Rc::new(Account {
            world: Rc::new(World {
                clock: config.clock,
                lambda: config.lambda,
                seed: config.seed,
                region: config.region.into(),
                role_arn: role.into(),
                history: config.history,
                observer: RefCell::new(None),
                entered: RefCell::new(None),
                tokens: Tokens::default(),
            }),
            account_id: config.account_id,
            machines: RefCell::new(BTreeMap::new()),
            executions: RefCell::new(BTreeMap::new()),
            unnamed: Cell::new(0),
        }))
    }

    /// Registers `machine` under `name` and returns its ARN. A machine of that name is replaced; its
    /// running executions keep the definition that they were started with, as on AWS.
    pub fn register(&self, name: &str, machine: Machine) -> Rc<str> {
        let arn = self.state_machine_arn(name);
        let entry = (arn.clone(), machine);
        self.0.machines.borrow_mut().insert(name.to_owned(), entry);
        arn
    }

    /// Registers `machine` under an ARN that may belong to another account or region.
    pub(crate) fn register_as(&self, arn: &str, machine: Machine) {
        let mut machines = self.0.machines.borrow_mut();
        machines.insert(arn.to_owned(), (arn.into(), machine));
    }

    /// The ARN that a machine of this name has here, whether it is registered or not.
    pub fn state_machine_arn(&self, name: &str) -> Rc<str> {
        let (region, account) = (&self.0.world.region, &self.0.account_id);
        format!("arn:aws:states:{region}:{account}:stateMachine:{name}").into()
    }

    /// Calls `observer` at each event of each execution, after it was recorded. It replaces an earlier
    /// one. The observer may call this handle.
    pub fn observe(&self, observer: impl Fn(&str, &Event) + 'static) {
        *self.0.world.observer.borrow_mut() = Some(Rc::new(observer));
    }

    /// Calls `observer` at each state that is entered, after the event was recorded. It replaces an earlier one. For whoever needs no more than
    /// that: events are only made for [`StepFunctions::observe`] and the history.
    pub fn observe_entries(&self, observer: impl Fn(&str, &str) + 'static) {
        *self.0.world.entered.borrow_mut() = Some(Rc::new(observer));
    }

    /// Starts an execution and returns its ARN. `machine` is a name or an ARN. Without `name` a UUID is
    /// drawn. The execution takes its first step when the caller next awaits.
    ///
    /// # Errors
    /// See [`StartError`]. The same name with the same input returns the same ARN while that execution
    /// runs, as for STANDARD machines.
    pub fn start_execution(&self, machine: &str, name: Option<&str>, input: serde_json::Value) -> Result<Rc<str>, StartError> {
        self.start(machine, name, Value::from(input))
    }

    pub(crate) fn start(&self, machine: &str, name: Option<&str>, input: Value) -> Result<Rc<str>, StartError> {
        let (input, bytes) = value::plain(&input).map_err(|_| StartError::InvalidExecutionInput)?;
        if value::exceeds(&input, bytes, MAX_DATA_BYTES) {
            return Err(StartError::InvalidExecutionInput);
        }
        let (machine_name, machine_arn, definition) = self.find(machine)?;
        let name: Rc<str> = match name {
            Some(name) => valid_name(name)?.into(),
            None => self.draw_name(&machine_name),
        };
        let (region, account) = (&self.0.world.region, &self.0.account_id);
        let arn: Rc<str> = format!("arn:aws:states:{region}:{account}:execution:{machine_name}:{name}").into();
        if let Some(existing) = self.0.executions.borrow().get(&arn) {
            if existing.is_running() && existing.input == input {
                return Ok(arn);
            }
            return Err(StartError::ExecutionAlreadyExists(name.to_string()));
        }
        let execution = Execution::new(self.0.world.clone(), Rc::downgrade(&self.0), &machine_name, machine_arn, definition, name, arn.clone(), input);
        let mut executions = self.0.executions.borrow_mut();
        executions.insert(arn.clone(), execution.clone());
        drop(executions);
        execution.spawn();
        Ok(arn)
    }

    fn find(&self, machine: &str) -> Result<(String, Rc<str>, Machine), StartError> {
        let machines = self.0.machines.borrow();
        let name = machine.strip_prefix("arn:").and_then(|_| machine.rsplit_once(":stateMachine:")).map_or(machine, |(_, name)| name);
        let found = machines.get(name).filter(|(arn, _)| machine == name || machine == &**arn).or_else(|| machines.get(machine));
        match found {
            Some((arn, definition)) => Ok((name.to_owned(), arn.clone(), definition.clone())),
            None => Err(StartError::StateMachineDoesNotExist(machine.to_owned())),
        }
    }

    fn draw_name(&self, machine: &str) -> Rc<str> {
        let ordinal = self.0.unnamed.get();
        self.0.unnamed.set(ordinal + 1);
        let ordinal = ordinal.to_string();
        let half = |side: &str| draw::hash(self.0.world.seed, &["name", machine, &ordinal, side]);
        draw::uuid(half("high"), half("low")).into()
    }

    pub(crate) fn execution(&self, arn: &str) -> Result<Rc<Execution>, ExecutionDoesNotExist> {
        let executions = self.0.executions.borrow();
        executions.get(arn).cloned().ok_or_else(|| ExecutionDoesNotExist(arn.to_owned()))
    }

    /// How an execution is doing.
    ///
    /// # Errors
    /// No execution has this ARN.
    pub fn describe_execution(&self, arn: &str) -> Result<Description, ExecutionDoesNotExist> {
        Ok(self.execution(arn)?.describe())
    }

    /// How an execution is doing and, where it has ended, when (milliseconds since 1970): its description without the data.
    ///
    /// # Errors
    /// No execution has this ARN.
    pub fn execution_status(&self, arn: &str) -> Result<(ExecutionStatus, Option<u64>), ExecutionDoesNotExist> {
        Ok(self.execution(arn)?.status())
    }

    /// Whether any execution runs.
    pub fn any_running(&self) -> bool {
        self.0.executions.borrow().values().any(|one| one.is_running())
    }

    /// Every execution that was started, in the order of their ARNs.
    pub fn list_executions(&self) -> Vec<Description> {
        let executions: Vec<Rc<Execution>> = self.0.executions.borrow().values().cloned().collect();
        executions.iter().map(|one| one.describe()).collect()
    }

    /// Stops an execution: it is ABORTED at once. Its functions run on; its child executions that were
    /// started with `.sync:2` are stopped too. An execution that has ended is left alone.
    ///
    /// # Errors
    /// No execution has this ARN.
    pub fn stop_execution(&self, arn: &str, error: Option<&str>, cause: Option<&str>) -> Result<(), ExecutionDoesNotExist> {
        let execution = self.execution(arn)?;
        let text = |text: Option<&str>| text.map(Rc::from);
        // As recorded on AWS, the event follows no other.
        execution.finish(ExecutionStatus::Aborted, None, text(error), text(cause), 0);
        Ok(())
    }

    /// Lets an execution that failed, timed out or was stopped go on where it stood: the state that was in progress is entered
    /// anew, with the variables as they were, and what had succeeded is not run again.
    ///
    /// # Errors
    /// See [`RedriveError`].
    pub fn redrive_execution(&self, arn: &str) -> Result<(), RedriveError> {
        self.execution(arn)?.redrive()
    }

    /// Forgets the executions that ended before an instant (milliseconds since 1970), as AWS does after 90 days: nobody can describe or redrive them any
    /// more, and their names are free.
    pub fn forget_ended_before(&self, instant: u64) {
        self.0.executions.borrow_mut().retain(|_, execution| execution.status().1.is_none_or(|ended| ended >= instant));
    }

    /// The recorded events of an execution.
    ///
    /// # Errors
    /// No execution has this ARN.
    pub fn history(&self, arn: &str) -> Result<Vec<Event>, ExecutionDoesNotExist> {
        Ok(self.execution(arn)?.history())
    }

    /// Waits until an execution has ended.
    ///
    /// # Errors
    /// No execution has this ARN.
    pub async fn await_end(&self, arn: &str) -> Result<Description, ExecutionDoesNotExist> {
        let execution = self.execution(arn)?;
        execution.wait_for_end().await;
        Ok(execution.describe())
    }

    /// Whether a task waits for a token: whether an answer would reach it.
    pub fn is_awaited(&self, token: &str) -> bool {
        self.0.world.tokens.slot(token).is_ok()
    }

    /// Answers a task that waits for a token.
    ///
    /// # Errors
    /// See [`TaskError`].
    pub fn send_task_success(&self, token: &str, output: impl Into<Value>) -> Result<(), TaskError> {
        let (output, bytes) = value::plain(&output.into()).map_err(|_| TaskError::InvalidOutput)?;
        if value::exceeds(&output, bytes, MAX_DATA_BYTES) {
            return Err(TaskError::InvalidOutput);
        }
        self.0.world.tokens.answer(token, Answer::Success(output))
    }

    /// Fails a task that waits for a token.
    ///
    /// # Errors
    /// See [`TaskError`].
    pub fn send_task_failure(&self, token: &str, error: Option<&str>, cause: Option<&str>) -> Result<(), TaskError> {
        let text = |text: Option<&str>| text.map(Rc::from);
        self.0.world.tokens.answer(token, Answer::Failure(text(error), text(cause)))
    }

    /// Tells a task that waits for a token, and has `HeartbeatSeconds`, that somebody is at work.
    ///
    /// # Errors
    /// See [`TaskError`].
    pub fn send_task_heartbeat(&self, token: &str) -> Result<(), TaskError> {
        self.0.world.tokens.heartbeat(token, self.0.world.clock.now())
    }
}

fn valid_name(name: &str) -> Result<&str, StartError> {
    let length = name.chars().count();
    let refused = |letter: char| letter.is_whitespace() || letter.is_control() || "<>{}[]?*\"#%\\^|~`$&,;:/".contains(letter);
    if length == 0 || length > 80 || name.chars().any(refused) {
        return Err(StartError::InvalidName(name.to_owned()));
    }
    Ok(name)
}
