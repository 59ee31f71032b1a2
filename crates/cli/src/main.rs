//! The muster command.

mod asl;
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
mod table;
mod words;

fn main() -> std::process::ExitCode {
    cli::run()
}
