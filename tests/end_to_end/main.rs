//! The real templates, the real binaries and the real state machines on the local stack: `make end-to-end`.
//!
//! Each test has a stack of its own, in a directory of its own, and ends it. IAM is enforced: every function runs under its own role.
#![allow(clippy::unwrap_used)] // also in the functions that tests share
#![allow(clippy::disallowed_methods, reason = "real processes are waited for in real time")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what took how long, and the emulators' log, belong to a test's output")]

mod alarms;
mod backups;
mod beside_the_rehearsal;
mod ends;
mod failover;
mod install;
mod policies;
mod restores;
mod situations;
mod stack;
mod starts;
