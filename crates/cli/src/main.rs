//! The muster command.

mod asl;
mod backups;
mod card;
#[cfg(feature = "account")]
mod changes;
mod check;
mod cli;
mod completions;
mod ending;
mod faults;
mod flows;
mod histogram;
mod live;
mod output;
mod pace;
mod plan_file;
#[cfg(feature = "account")]
mod push;
mod rehearse;
mod rehearse_many;
mod schema;
mod simulate;
mod table;
mod words;

/// A rehearsal is thousands of short invocations, each of which takes small pieces of memory and gives them back: with this
/// allocator it costs a seventh less than with the system's. The Lambdas live for one invocation and keep the system's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
