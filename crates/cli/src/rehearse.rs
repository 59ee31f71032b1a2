//! `muster rehearse`: one run of a plan on the simulated estate, shown as it happens, with its reports.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use muster_actions::unbuilt;
use muster_plan::Plan;
use muster_report::Report;
use muster_twin::{Rehearsal, Scenario, rehearse};

use crate::cli::Rehearse;
use crate::ending::{Complaint, Ending, Stop};
use crate::output::{self, QUIET, STRONG, paint};
use crate::plan_file::PlanFile;
use crate::words::wrap;
use crate::{card, faults, flows, live, rehearse_many};

/// The seed where none is given: what is shown can be repeated.
const SEED: u64 = 1;
/// Where reports go unless told otherwise.
const DIRECTORY: &str = "rehearsal";
/// The name that stands for an outage and whatever else the seed brings.
pub(crate) const RANDOM: &str = "random";

/// What is rehearsed.
pub(crate) struct Order {
    /// The plan's file, as the operator wrote it.
    pub(crate) file: String,
    /// The plan.
    pub(crate) plan: Arc<Plan>,
    /// The names of the faults; `random` alone for what the seed brings.
    pub(crate) faults: Vec<String>,
}

impl Order {
    /// The scenario of a seed.
    pub(crate) fn scenario(&self, seed: u64) -> Scenario {
        if self.faults.iter().any(|name| name == RANDOM) {
            return Scenario::random(seed, &self.plan);
        }
        // The names were looked up before anything ran.
        Scenario::named(&self.faults, seed, &self.plan).unwrap_or_else(|_| Scenario::quiet(seed))
    }

    /// The command that shows the run of a seed again.
    pub(crate) fn replay(&self, seed: u64) -> String {
        let faults: String = self.faults.iter().map(|fault| format!(" --fault {fault}")).collect();
        format!("muster rehearse {}{faults} --seed {seed}", quoted(&self.file))
    }
}

/// Rehearses once, or many times.
pub(crate) fn run(arguments: &Rehearse) -> Result<Ending, Stop> {
    flows::check(&arguments.flow)?;
    check_faults(&arguments.faults)?;
    let file = PlanFile::read(&arguments.plan)?;
    let Some(plan) = file.plan.clone() else {
        file.show_problems()?;
        return Ok(Ending::Wrong);
    };
    check_built(&file.name, &plan)?;
    let order = Order { file: file.name, plan: Arc::new(plan), faults: arguments.faults.clone() };
    let seed = arguments.seed.unwrap_or(SEED);
    match arguments.runs {
        Some(runs) => rehearse_many::run(&order, seed, runs.get(), arguments),
        None => run_once(&order, seed, arguments),
    }
}

fn run_once(order: &Order, seed: u64, arguments: &Rehearse) -> Result<Ending, Stop> {
    // A directory that cannot be had is better known before than after.
    let directory = match (&arguments.out, arguments.json) {
        (Some(directory), _) => Some(directory.clone()),
        (None, false) => Some(PathBuf::from(DIRECTORY)),
        (None, true) => None,
    };
    if let Some(directory) = &directory {
        std::fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))?;
    }
    let scenario = order.scenario(seed);
    let mut events = Vec::new();
    let rehearsal = rehearse(&order.plan, &scenario, &mut |event| events.push(event)).map_err(|problems| broken_machine(&problems))?;
    if !arguments.json {
        output::note(&headline(order, &scenario, arguments.seed.is_none()))?;
        live::show(&rehearsal, &events)?;
    }
    let written = match (&rehearsal.report, directory) {
        (Some(report), Some(directory)) => Some(write(report, &directory)?),
        _ => None,
    };
    if arguments.json {
        match &rehearsal.report {
            Some(report) => output::result(&format!("{}\n", report.to_json()))?,
            None => output::note(
                &Complaint::new("the rehearsal has no report", "a run that was opened and closed", "run it without --json to see what happened").to_string(),
            )?,
        }
    } else {
        output::result(&card::card(&order.plan, &rehearsal, written.as_deref(), &order.replay(seed)))?;
    }
    if let Some(violation) = &rehearsal.violation {
        output::note(&card::violation(violation, &order.replay(violation.seed)))?;
    }
    Ok(if is_good(&rehearsal) { Ending::Good } else { Ending::Bad })
}

/// Whether nothing was broken, every target was met, and the run did not fail.
pub(crate) fn is_good(rehearsal: &Rehearsal) -> bool {
    // A run that was vetoed or aborted is judged by its targets: over a false alarm, that was right.
    let ended_well = !matches!(rehearsal.outcome.as_deref(), Some("failed" | "abandoned"));
    let met = rehearsal.report.as_ref().map_or(rehearsal.runs == 0, Report::met_targets);
    rehearsal.violation.is_none() && ended_well && met && rehearsal.served_at_the_end
}

fn headline(order: &Order, scenario: &Scenario, is_default: bool) -> String {
    let regions = &order.plan.regions;
    let title = format!("Rehearsing region-failover of {}, {} → {}", order.plan.service, regions.primary, regions.standby);
    let seed = format!("seed {}{}", scenario.seed, if is_default { " (the default: --seed N for another)" } else { "" });
    let faults = wrap(&format!("{}; {seed}", scenario.names().join(", ")), output::WIDTH - 2);
    let faults: String = faults.iter().map(|line| format!("  {}\n", paint(QUIET, line))).collect();
    format!("{}\n{faults}\n", paint(STRONG, &title))
}

fn check_faults(names: &[String]) -> Result<(), Complaint> {
    if names.len() > 1 && names.iter().any(|name| name == RANDOM) {
        return Err(Complaint::new(
            format!("`--fault {RANDOM}` stands beside other faults"),
            "either the faults that you name, or whatever the seed brings",
            format!("leave `{RANDOM}` out, or everything else"),
        ));
    }
    names.iter().filter(|name| *name != RANDOM).try_for_each(|name| faults::check(name))
}

fn check_built(file: &str, plan: &Plan) -> Result<(), Complaint> {
    let missing = unbuilt(plan);
    if missing.is_empty() {
        return Ok(());
    }
    let list: String = missing.iter().map(|what| format!("\n– {what}")).collect();
    Err(Complaint::new(
        format!("{file}: the region failover of {} needs what is not built yet:{list}", plan.service),
        "a plan whose every part can be recovered; half a failover is none",
        "take these parts out of a copy of the plan and rehearse the rest, or wait for a version that has them",
    ))
}

pub(crate) fn broken_machine(problems: &impl std::fmt::Display) -> Complaint {
    Complaint::new(problems.to_string(), "state machines that load", "report this as a bug: they come with Muster")
}

/// Writes the report in its three forms, and gives the directory.
fn write(report: &Report, directory: &Path) -> Result<String, Complaint> {
    let forms = [("report.json", report.to_json()), ("report.md", report.to_markdown()), ("report.html", report.to_html())];
    let written = forms.iter().try_for_each(|(form, text)| std::fs::write(directory.join(form), text));
    written.map(|()| directory.display().to_string()).map_err(|error| unwritable(directory, &error))
}

fn unwritable(directory: &Path, error: &std::io::Error) -> Complaint {
    let seen = format!("the report cannot be written into {}: {error}", directory.display());
    Complaint::new(seen, "a directory that can be written to", "name another one with --out DIR")
}

/// A file's name as a shell takes it.
pub(crate) fn quoted(name: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./+@%=:,".contains(letter);
    if !name.is_empty() && name.chars().all(is_plain) { name.to_owned() } else { format!("'{}'", name.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_quoted_only_where_a_shell_would_split_it() {
        assert_eq!(quoted("plans/basecoat.yaml"), "plans/basecoat.yaml");
        assert_eq!(quoted("my plan.yaml"), "'my plan.yaml'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
