//! The quotas of a STANDARD state machine that the interpreter enforces.
//!
//! Source: the Step Functions developer guide, "Quotas" and "Passing data between states with
//! variables". The nesting limits are this crate's own: they bound recursion.

/// Bytes of JSON that one state's input, output, result or arguments may have (256 KiB).
pub const MAX_DATA_BYTES: usize = 256 * 1024;

/// Bytes that the variables of one `Assign` may have together (256 KiB).
pub const MAX_ASSIGN_BYTES: usize = 256 * 1024;

/// Bytes that all variables of one execution may have together (10 MiB).
pub const MAX_VARIABLE_BYTES: usize = 10 * 1024 * 1024;

/// Events in one execution's history; the last one says how the execution ended.
pub const MAX_HISTORY_EVENTS: u64 = 25_000;

/// Iterations of an inline Map that run at the same time.
pub const MAX_MAP_CONCURRENCY: usize = 40;

/// The longest time, in seconds, of a Wait, a `TimeoutSeconds` or a `HeartbeatSeconds`.
pub const MAX_SECONDS: u64 = 99_999_999;

/// Bytes that a machine's definition may have (1 MiB).
pub const MAX_DEFINITION_BYTES: usize = 1024 * 1024;

/// How deep Parallel and Map states may be nested.
pub(crate) const MAX_WORKFLOW_DEPTH: usize = 12;

/// How deep a JSON value may be nested. `serde_json` itself stops at 128.
pub(crate) const MAX_VALUE_DEPTH: usize = 120;

/// How deep an expression's syntax tree may be nested.
pub(crate) const MAX_EXPRESSION_DEPTH: usize = 200;

/// How deep function calls may be nested inside one evaluation.
pub(crate) const MAX_EVALUATION_DEPTH: usize = 1_000;

/// How many items a sequence may have inside one evaluation.
pub(crate) const MAX_SEQUENCE_LENGTH: usize = 100_000;
