//! What can be typed.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use clap_complete::Shell;
use muster_core::Timestamp;

use crate::ending::conclude;
#[cfg(feature = "account")]
use crate::push;
use crate::{asl, backups, check, completions, faults, flows, rehearse, schema, simulate};

const EXAMPLES: &str = "\
Examples:
  muster check plans/*.yaml              Is everything in them possible?
  muster rehearse plan.yaml              The primary region dies. What happens?
  muster rehearse plan.yaml --runs 1000  And if it happened a thousand times?
  muster faults                          What else can go wrong

Exit codes:
  0  all is well: the plan is sound, every target was met
  1  the run failed, broke an invariant or missed a target
  2  wrong usage, or a wrong plan

Results go to stdout, progress and errors to stderr. Colour and animation need
a terminal; NO_COLOR=1 switches colour off.";

const CHECK_EXAMPLES: &str = "\
Examples:
  muster check plans/basecoat.yaml
  muster check plans/*.yaml && git push

Exit codes:
  0  every plan is sound; there may be warnings
  2  a plan is wrong: every problem is on stderr, with its line and a way out";

const REHEARSE_EXAMPLES: &str = "\
Examples:
  muster rehearse plan.yaml
      The primary region is down; one run, phase by phase.
  muster rehearse plan.yaml --fault primary-returns --fault approval
      Faults come on top of an outage. `muster faults` lists them.
  muster rehearse plan.yaml --fault random --seed 17
      An outage, and whatever else the seed brings.
  muster rehearse plan.yaml --runs 1000
      The distribution of RTO and RPO over seeds 1 to 1000.
  muster rehearse plan.yaml --json | jq .objectives
      The report, for scripts.

The same plan, faults and seed give the same bytes: any run can be replayed.

Exit codes:
  0  every target was met
  1  the run failed, broke an invariant or missed a target; of many runs, one
  2  wrong usage, a wrong plan, or a plan that needs what is not built yet";

const SIMULATE_EXAMPLES: &str = "\
Examples:
  muster simulate plans/*.yaml --runs 100000
      Random disasters, each from a seed: regions, control planes, quotas,
      lag, lost answers, dying functions, people. Does anything break that
      must never break?
  muster simulate plan.yaml --seed 4711
      One of them again, with its faults and its story. It is the same, byte
      for byte.
  muster simulate plan.yaml --seed 4711 --keep 1,4
      The same with only these of its faults.
  muster simulate plans/*.yaml --every-call
      Each call of each action goes wrong in nine ways, one at a time.
  muster simulate plans/*.yaml --every-death
      The execution is cut off at each kind of event of its history, and goes
      on in four ways. Both go through backups and restore tests too, where the
      plan has them.

A part of a plan that is not built yet is left out, and named.

Exit codes:
  0  nothing broke
  1  an invariant was broken, or a run ended wrong and nobody was asked
  2  wrong usage, or a wrong plan";

const BACKUPS_SIMULATE_EXAMPLES: &str = "\
Examples:
  muster backups simulate plan.yaml
      A year, with quotas reached, keys disabled, calls denied, snapshots that
      fail. Is anything deleted that must not be? Is anything late, and Muster
      does not say so?
  muster backups simulate plans/*.yaml --runs 10 --json | jq '.[].sound'

Exit code: 0 where all held, 1 where something did not, 2 for wrong usage or a
wrong plan.";

const BACKUPS_EXAMPLES: &str = "\
Examples:
  muster backups plan plan.yaml
      What is taken, copied and deleted in the next day, and why. What is
      there is assumed: what the schedules would have made.
  muster backups plan plan.yaml --days 7 --at 2028-02-28T00:00:00Z
      A week around a leap day.
  muster backups plan plan.yaml --existing there.json
      The same for what is really there.
  muster backups plan plan.yaml --json | jq '.events[].what'

What is there is a JSON object: `points`, each with at least `name`, `place`
({\"region\": …}), `of` and `takenAt`, and `backup` where Muster made it;
`unread`, the places that could not be listed; `killSwitch`.

Nothing is called, and nothing is changed.

Exit codes:
  0  shown
  1  more would be deleted at once than the plan allows: a person decides
  2  wrong usage, a wrong plan, or a wrong list";

const ASL_EXAMPLES: &str = "\
Examples:
  muster asl statemachines/announce.asl.json --input @event.json --tasks tasks.json
  muster asl machine.asl.json --input '{\"turns\": 3}' | jq .output

Recorded results are a JSON object. Its keys are names of states or functions;
each value is one of
  {\"error\": \"Muster.Transient\", \"cause\": \"…\"}   the call fails
  {\"result\": …}                                  the call returns this
  [ … ]                                          one of these for each call
  anything else                                  every call returns it
\"delaySeconds\": 30 beside error or result lets the call take that long.

Exit codes:
  0  the execution succeeded
  1  it failed, timed out or was aborted
  2  wrong usage, a wrong machine, or a task without a recorded result";

#[cfg(feature = "account")]
const PUSH_EXAMPLES: &str = "\
Examples:
  muster push plan.yaml --stack muster-live --dry-run
      What would change? Are all resources there, and tagged?
  muster push plan.yaml --stack muster-live
      The same, then a question, then the plan is in force.

Credentials are found as the AWS command line finds them. The stack is looked
for in the plan's standby region. Runs that are open keep the plan that they
were opened with.

Exit codes:
  0  the plan is in force, or would be
  2  wrong usage, a wrong plan, no such stack, or resources that Muster may
     not touch";

/// Disaster recovery on AWS, from a plan: checked, rehearsed, proven.
///
/// A plan says what one service consists of and how it is recovered. Muster
/// checks it, and rehearses it: the same state machines and the same actions
/// that run on AWS, against a simulated estate in virtual time, without an AWS
/// account. A failover of four hours takes milliseconds.
#[derive(Debug, Parser)]
#[command(name = "muster", version, max_term_width = 80, after_long_help = EXAMPLES, after_help = "`--help` shows examples and exit codes.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Check plans: every problem, what they protect, what they do when things go wrong
    #[command(after_long_help = CHECK_EXAMPLES)]
    Check {
        /// The plans, in YAML
        #[arg(required = true, value_name = "PLAN", value_hint = ValueHint::FilePath)]
        plans: Vec<PathBuf>,
    },
    /// Rehearse a plan on a simulated estate: once, or a thousand times
    #[command(after_long_help = REHEARSE_EXAMPLES)]
    Rehearse(Rehearse),
    /// Let plans go through random disasters, or through every fault of every call
    #[command(after_long_help = SIMULATE_EXAMPLES)]
    Simulate(Simulate),
    /// Show what will be taken, copied, kept and deleted, when, and why
    Backups {
        #[command(subcommand)]
        command: BackupsCommand,
    },
    /// List what can go wrong in a rehearsal, and what should follow
    Faults,
    /// List the flows: built and planned, and what starts them
    Flows,
    /// Put a plan in force on an installation in your account
    #[cfg(feature = "account")]
    #[command(after_long_help = PUSH_EXAMPLES)]
    Push(Push),
    /// Print the JSON Schema of plans or of reports
    Schema {
        /// Of what
        #[arg(default_value = "plan", value_enum)]
        document: Document,
    },
    /// Run any state machine in virtual time, against recorded results
    #[command(after_long_help = ASL_EXAMPLES)]
    Asl(Asl),
    /// Print completions for a shell
    #[command(after_long_help = "Example:\n  muster completions bash > ~/.local/share/bash-completion/completions/muster")]
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
enum BackupsCommand {
    /// Show what becomes of the backups of a plan, before anything is done
    #[command(after_long_help = BACKUPS_EXAMPLES)]
    Plan(BackupsPlan),
    /// Let months of backups pass in seconds, while things go wrong
    #[command(after_long_help = BACKUPS_SIMULATE_EXAMPLES)]
    Simulate(BackupsSimulate),
}

/// The arguments of `muster backups simulate`.
#[derive(Debug, Args)]
pub(crate) struct BackupsSimulate {
    /// The plans, in YAML
    #[arg(required = true, value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub(crate) plans: Vec<PathBuf>,
    /// So many days; nothing breaks in the last three weeks
    #[arg(long, value_name = "N", default_value = "366", value_parser = clap::value_parser!(u16).range(1..=3_660))]
    pub(crate) days: u16,
    /// So many times for each plan, each with the next seed
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// The first seed: it decides what breaks, and when
    #[arg(long, value_name = "N", default_value = "1")]
    pub(crate) seed: u64,
    /// Print a summary as JSON, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// The arguments of `muster backups plan`.
#[derive(Debug, Args)]
pub(crate) struct BackupsPlan {
    /// The plan, in YAML
    #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,
    /// The instant that it is asked for, such as 2026-11-26T00:00:00Z
    /// [default: now]
    #[arg(long, value_name = "INSTANT")]
    pub(crate) at: Option<Timestamp>,
    /// What is there, as JSON; without it, what the schedules would have made
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) existing: Option<PathBuf>,
    /// So many days ahead
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u16).range(1..=366))]
    pub(crate) days: u16,
    /// List every recovery point with what becomes of it
    #[arg(long)]
    pub(crate) list: bool,
    /// Print all of it as JSON, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

/// The arguments of `muster rehearse`.
#[derive(Debug, Args)]
pub(crate) struct Rehearse {
    /// The plan, in YAML
    #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,
    /// The flow
    #[arg(long, default_value = "region-failover")]
    pub(crate) flow: String,
    /// What goes wrong; may be given more than once, or as a list with commas
    ///
    /// Without an outage among them, the primary region is down. `random` is
    /// an outage and whatever else the seed brings.
    #[arg(long = "fault", value_name = "NAME", value_delimiter = ',')]
    pub(crate) faults: Vec<String>,
    /// Decides every duration and every fault; of many runs, the first seed
    /// [default: 1]
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Rehearse so many times, each with the next seed, on all cores
    #[arg(long, value_name = "N")]
    pub(crate) runs: Option<NonZeroU64>,
    /// On so many threads; the result does not depend on it [default: all cores]
    #[arg(long, value_name = "N", requires = "runs")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Print the report as JSON, and nothing else
    ///
    /// Report files are written only where --out names a directory. Of many
    /// runs, it is their summary.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where report.json, report.md and report.html go [default: rehearsal]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) out: Option<PathBuf>,
}

/// The arguments of `muster simulate`.
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    /// The plans, in YAML
    #[arg(required = true, value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub(crate) plans: Vec<PathBuf>,
    /// So many random disasters for each plan, each with the next seed
    /// [default: 1000]
    #[arg(long, value_name = "N", conflicts_with_all = ["every_call", "every_death"])]
    pub(crate) runs: Option<NonZeroU64>,
    /// The first seed; without --runs, this one alone, with its story
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Keep only these of the seed's faults, by their numbers
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "seed", conflicts_with = "runs")]
    pub(crate) keep: Vec<usize>,
    /// Each call goes wrong in each way, one at a time
    #[arg(long, conflicts_with = "every_death")]
    pub(crate) every_call: bool,
    /// The execution is cut off at each kind of event, and goes on
    #[arg(long)]
    pub(crate) every_death: bool,
    /// Only this flow; without it, the failover and those that the plan's
    /// schedules start
    #[arg(long, value_name = "FLOW", value_parser = ["region-failover", "backup", "restore-test"])]
    pub(crate) flow: Option<String>,
    /// Of the same call, or of the same event, at most so many; `all` of them
    #[arg(long, value_name = "N|all", default_value = "2", value_parser = at_most)]
    pub(crate) at_most: u64,
    /// On so many threads; the result does not depend on it [default: all cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<NonZeroUsize>,
    /// Print a summary as JSON, and nothing else
    #[arg(long)]
    pub(crate) json: bool,
}

fn at_most(text: &str) -> Result<u64, String> {
    match text {
        "all" => Ok(u64::MAX),
        number => number.parse::<NonZeroU64>().map(NonZeroU64::get).map_err(|_| "a number from 1 on, or `all`".to_owned()),
    }
}

/// The arguments of `muster push`.
#[cfg(feature = "account")]
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// The plan, in YAML
    #[arg(value_name = "PLAN", value_hint = ValueHint::FilePath)]
    pub(crate) plan: PathBuf,
    /// The installation's CloudFormation stack
    #[arg(long, value_name = "NAME", default_value = "muster-live")]
    pub(crate) stack: String,
    /// Show what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Do not ask
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
}

/// The arguments of `muster asl`.
#[derive(Debug, Args)]
pub(crate) struct Asl {
    /// The state machine, in Amazon States Language with JSONata
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// The execution's input: JSON text, or @FILE
    #[arg(long, value_name = "JSON")]
    pub(crate) input: String,
    /// Recorded results of its tasks, in JSON
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) tasks: Option<PathBuf>,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Document {
    /// Plan files: point your editor at it
    Plan,
    /// report.json
    Report,
}

/// Does what was typed.
pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    conclude(match &cli.command {
        Command::Check { plans } => check::run(plans),
        Command::Rehearse(arguments) => rehearse::run(arguments),
        Command::Simulate(arguments) => simulate::run(arguments),
        Command::Backups { command: BackupsCommand::Plan(arguments) } => backups::run(arguments),
        Command::Backups { command: BackupsCommand::Simulate(arguments) } => backups::simulate::run(arguments),
        Command::Faults => faults::run(),
        Command::Flows => flows::run(),
        #[cfg(feature = "account")]
        Command::Push(arguments) => push::run(arguments),
        Command::Schema { document } => schema::run(*document),
        Command::Asl(arguments) => asl::run(arguments),
        Command::Completions { shell } => completions::run(*shell),
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn what_can_be_typed_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
