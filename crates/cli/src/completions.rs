//! `muster completions`: what a shell needs to complete commands and options.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::ending::{Ending, Stop};
use crate::output;

/// Prints the script.
pub(crate) fn run(shell: Shell) -> Result<Ending, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "muster", &mut script);
    output::result(&String::from_utf8_lossy(&script))?;
    Ok(Ending::Good)
}
