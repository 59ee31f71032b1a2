#![doc = include_str!("../README.md")]

mod account;
mod clock;
mod context;
mod draw;
mod event;
mod execution;
mod expression;
mod failure;
mod functions;
mod lambda;
pub mod limits;
mod load;
mod machine;
mod names;
mod reader;
pub mod recorded;
mod redrive;
mod retry;
mod run;
mod scope;
mod template;
mod timestamp;
mod tokens;
mod value;

pub use account::{Config, EntryObserver, ExecutionDoesNotExist, HistoryMode, Observer, StartError, StepFunctions, TaskError};
pub use clock::{Clock, LocalBoxFuture, TokioClock};
pub use event::{Details, Event, IterationStep};
pub use execution::{Description, ExecutionStatus};
pub use lambda::{FunctionError, Invocation, Lambda};
pub use load::{LoadErrors, Problem};
pub use machine::{Machine, StateType};
pub use reader::Reader;
pub use redrive::RedriveError;
pub use value::{Value, object, to_json};
