//! `muster simulate`: random disasters, every fault of every call, every point of death; the latter two of backups and restore tests too. Does anything
//! break?

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_actions::{built_part, unbuilt};
use muster_plan::{Flow, Plan};
use muster_twin::simulate::{Trial, Verdict, bases, changes_later, every_call, every_death, judge, shrink};
use muster_twin::{Rehearsal, Rehearser, Scenario, rehearse_many, scheduled_flows};
use serde_json::{Value, json};

use crate::card;
use crate::cli::Simulate;
use crate::ending::{Complaint, Ending, Stop};
use crate::output::{self, BAD, GOOD, PLAIN, QUIET, STRONG, paint};
use crate::plan_file::PlanFile;
use crate::rehearse::{broken_machine, quoted};
use crate::rehearse_many::progress;
use crate::table::table;
use crate::words::{count, percent, thousands, wrap};

/// Where nothing else is asked for.
const RUNS: u64 = 1_000;
/// The seed of systematic trials: they differ by their fault alone.
const SEED: u64 = 1;
/// So many seeds are tried for a base whose failover goes through.
const SEEDS: u64 = 20;
/// So many kinds of wrong ends are told; the rest are counted.
const TOLD: usize = 12;

/// A plan's flow to be simulated.
struct Subject {
    file: String,
    plan: Arc<Plan>,
    flow: Flow,
    /// What was left out, since it is not built yet.
    left_out: Vec<String>,
}

/// What became of the trials of one plan.
#[derive(Default)]
struct Tally {
    trials: u64,
    held: u64,
    /// Trials that held, by the name of the last fault.
    held_by: BTreeMap<&'static str, u64>,
    /// How the last run of each trial ended.
    ends: BTreeMap<String, u64>,
    wrong: u64,
    /// The wrong ends, by what was seen: how often, and the first of each.
    told: Vec<Wrong>,
    /// Trials a second.
    rate: f64,
}

struct Wrong {
    times: u64,
    tried: String,
    seen: String,
    scenario: Scenario,
}

/// Simulates.
pub(crate) fn run(arguments: &Simulate) -> Result<Ending, Stop> {
    let is_systematic = arguments.every_call || arguments.every_death;
    let mut subjects = Vec::new();
    for path in &arguments.plans {
        let file = PlanFile::read(path)?;
        let Some(plan) = file.plan.clone() else {
            file.show_problems()?;
            return Ok(Ending::Wrong);
        };
        let part = built_part(&plan).map_err(|why| {
            Complaint::new(format!("{}: {why}", file.name), "a plan of which a part can be simulated", "add sources to `triggers.confirm` that can be asked")
        })?;
        subjects.push(Subject { file: file.name.clone(), left_out: unbuilt(&plan), plan: Arc::new(part), flow: Flow::RegionFailover });
        let flows = if is_systematic { scheduled_flows(&plan) } else { Vec::new() };
        let plan = Arc::new(plan);
        subjects.extend(flows.into_iter().map(|flow| Subject { file: file.name.clone(), left_out: Vec::new(), plan: plan.clone(), flow }));
    }
    subjects.retain(|subject| !is_systematic || arguments.flow.as_deref().is_none_or(|flow| flow == subject.flow.as_str()));
    let threads = arguments.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    if let (Some(seed), None, false) = (arguments.seed, arguments.runs, is_systematic) {
        return one(&subjects, seed, &arguments.keep);
    }
    let mut results = Vec::new();
    let mut good = true;
    for subject in &subjects {
        let tally = if is_systematic {
            systematic(subject, arguments, threads)?
        } else {
            random(subject, arguments.seed.unwrap_or(SEED), arguments.runs.map_or(RUNS, Into::into), threads)?
        };
        good &= tally.wrong == 0;
        if arguments.json {
            results.push(as_json(subject, &tally));
        } else {
            output::result(&summary(subject, &tally, is_systematic))?;
            output::note(&format!("{}\n", paint(QUIET, &format!("      {:.0} a second", tally.rate))))?;
            for wrong in &tally.told {
                output::note(&tell(subject, wrong, is_systematic)?)?;
            }
        }
    }
    if arguments.json {
        output::result(&format!("{:#}\n", Value::Array(results)))?;
    }
    Ok(if good { Ending::Good } else { Ending::Bad })
}

/// Random disasters, judged by the invariants alone: what is right when several things go wrong, nobody can say beforehand.
fn random(subject: &Subject, first: u64, runs: u64, threads: usize) -> Result<Tally, Stop> {
    let seeds = first..first.checked_add(runs).ok_or_else(|| {
        Complaint::new(format!("--seed {first} and --runs {runs} are too many together"), "seeds that are numbers of 64 bits", "begin with a smaller seed")
    })?;
    let mut tally = Tally::default();
    let bar = progress(runs);
    let scenario = |seed| Scenario::random(seed, &subject.plan);
    let fold = |rehearsal: Rehearsal| {
        let verdict = match &rehearsal.violation {
            Some(violation) => Verdict::Wrong(format!("invariant {}: {}", violation.invariant, violation.seen)),
            None if rehearsal.held > 0 => Verdict::Held,
            None => Verdict::Same,
        };
        tally.add(&rehearsal, verdict, || (format!("seed {}", rehearsal.seed), scenario(rehearsal.seed)));
        bar.inc(1);
        bar.set_message(format!(", {}", count(tally.wrong, "violation")));
    };
    rehearse_many(&subject.plan, seeds, threads, scenario, fold).map_err(|problems| broken_machine(&problems))?;
    tally.rate = tally.trials as f64 / bar.elapsed().as_secs_f64().max(0.001);
    bar.finish_and_clear();
    Ok(tally)
}

/// Trials that differ from their base by one fault, judged by their base's end.
fn systematic(subject: &Subject, arguments: &Simulate, threads: usize) -> Result<Tally, Stop> {
    let rehearser = Rehearser::new(&subject.plan).map_err(|problems| broken_machine(&problems))?;
    let (mut ends, mut trials) = (Vec::new(), Vec::new());
    for index in 0..bases(&subject.plan, subject.flow, SEED).len() {
        let scenario = base(&rehearser, subject, index, arguments.seed);
        if arguments.every_death && changes_later(&scenario) {
            continue;
        }
        let (end, recording) = rehearser.record(&scenario);
        let one = if arguments.every_call { every_call } else { every_death };
        trials.extend(one(ends.len(), &scenario, &recording, arguments.at_most));
        ends.push(end);
    }
    let mut tally = Tally::default();
    let bar = progress(trials.len() as u64);
    let mut next = 0;
    let fold = |rehearsal: Rehearsal| {
        let trial: &Trial = &trials[next];
        next += 1;
        tally.add(&rehearsal, judge(trial, &rehearsal, &ends[trial.base]), || {
            let others: Vec<&str> = trial.scenario.faults.split_last().into_iter().flat_map(|(_, others)| others).map(|planned| planned.name).collect();
            let during = if others.is_empty() { String::new() } else { format!(", during {}", others.join(", ")) };
            (format!("{}{during}", trial.what), trial.scenario.clone())
        });
        bar.inc(1);
        bar.set_message(format!(", {} wrong", thousands(tally.wrong)));
    };
    rehearse_many(&subject.plan, 0..trials.len() as u64, threads, |index| trials[index as usize].scenario.clone(), fold)
        .map_err(|problems| broken_machine(&problems))?;
    tally.rate = tally.trials as f64 / bar.elapsed().as_secs_f64().max(0.001);
    bar.finish_and_clear();
    Ok(tally)
}

/// The scenario of a base: where nobody chose a seed, the first of some whose flow goes through, people included.
fn base(rehearser: &Rehearser, subject: &Subject, index: usize, seed: Option<u64>) -> Scenario {
    let of = |seed| bases(&subject.plan, subject.flow, seed).swap_remove(index);
    let goes_through = |seed: &u64| rehearser.run(&of(*seed)).outcome.as_deref() == Some("succeeded");
    of(seed.or_else(|| (SEED..SEED + SEEDS).find(goes_through)).unwrap_or(SEED))
}

impl Subject {
    /// The service, and the flow where it is no failover.
    fn name(&self) -> String {
        match self.flow {
            Flow::RegionFailover => self.plan.service.to_string(),
            flow => format!("{}, {}", self.plan.service, flow.as_str()),
        }
    }
}

impl Tally {
    fn add(&mut self, rehearsal: &Rehearsal, verdict: Verdict, trial: impl FnOnce() -> (String, Scenario)) {
        self.trials += 1;
        *self.ends.entry(rehearsal.outcome.as_deref().unwrap_or("no run").to_owned()).or_insert(0) += 1;
        match verdict {
            Verdict::Same => {}
            Verdict::Held => {
                self.held += 1;
                *self.held_by.entry(rehearsal.faults.last().copied().unwrap_or_default()).or_insert(0) += 1;
            }
            Verdict::Wrong(seen) => {
                self.wrong += 1;
                if let Some(known) = self.told.iter_mut().find(|known| known.seen == seen) {
                    known.times += 1;
                } else if self.told.len() < TOLD {
                    let (tried, scenario) = trial();
                    self.told.push(Wrong { times: 1, tried, seen, scenario });
                }
            }
        }
    }
}

fn summary(subject: &Subject, tally: &Tally, systematic: bool) -> String {
    let head = if tally.wrong == 0 { paint(GOOD.bold(), "PASS") } else { paint(BAD.bold(), "FAIL") };
    let title = format!("{}: {}, {} wrong, {} held for a person", subject.name(), count(tally.trials, "trial"), thousands(tally.wrong), thousands(tally.held));
    let mut text = format!("{head}  {}\n", paint(STRONG, &title));
    let rows: Vec<_> = tally
        .ends
        .iter()
        .map(|(end, number)| vec![(PLAIN, end.clone()), (PLAIN, format!("{:>9}", thousands(*number))), (QUIET, percent(*number, tally.trials))])
        .collect();
    text.push_str(&table(6, &rows));
    if systematic && tally.held > 0 {
        let held: Vec<String> = tally.held_by.iter().map(|(name, number)| format!("{name} {}", thousands(*number))).collect();
        for line in wrap(&format!("held: {}", held.join(", ")), output::WIDTH - 6) {
            text.push_str(&format!("      {}\n", paint(QUIET, &line)));
        }
    }
    if !subject.left_out.is_empty() {
        for line in wrap(&format!("without what is not built yet: {}", subject.left_out.join("; ")), output::WIDTH - 6) {
            text.push_str(&format!("      {}\n", paint(QUIET, &line)));
        }
    }
    text
}

/// A wrong end: the fewest faults that bring it about, its story, and how to see it again.
fn tell(subject: &Subject, wrong: &Wrong, systematic: bool) -> Result<String, Stop> {
    let rehearser = Rehearser::new(&subject.plan).map_err(|problems| broken_machine(&problems))?;
    let tried = if wrong.times > 1 { format!("{}, and {} more", wrong.tried, wrong.times - 1) } else { wrong.tried.clone() };
    let mut text = format!("\n{}  {}\n", paint(BAD.bold(), "WRONG"), paint(STRONG, &tried));
    for line in wrap(&wrong.seen, output::WIDTH - 7) {
        text.push_str(&format!("       {line}\n"));
    }
    if systematic {
        return Ok(text);
    }
    let violated = |scenario: &Scenario| rehearser.run(scenario).violation.map(|violation| violation.invariant);
    let invariant = violated(&wrong.scenario);
    let smallest = shrink(&wrong.scenario, |scenario| violated(scenario) == invariant);
    let kept: Vec<String> = positions(&wrong.scenario, &smallest).iter().map(ToString::to_string).collect();
    text.push_str(&format!("\n{}\n{}", paint(STRONG, "The fewest faults that bring it about"), listed(&wrong.scenario, &smallest)));
    let replay = format!("muster simulate {} --seed {} --keep {}", quoted(&subject.file), wrong.scenario.seed, kept.join(","));
    if let Some(violation) = &rehearser.run(&smallest).violation {
        text.push_str(&card::violation(violation, &replay));
    }
    Ok(text)
}

/// The numbers of the faults that are left.
fn positions(whole: &Scenario, part: &Scenario) -> Vec<usize> {
    let mut left = part.faults.iter().peekable();
    let kept = |(index, planned)| (left.next_if(|next| *next == planned)).map(|_| index + 1);
    whole.faults.iter().enumerate().filter_map(kept).collect()
}

fn listed(whole: &Scenario, part: &Scenario) -> String {
    let rows: Vec<_> =
        positions(whole, part).into_iter().map(|number| vec![(QUIET, format!("{number:>3}")), (PLAIN, whole.faults[number - 1].to_string())]).collect();
    table(2, &rows)
}

/// One seed: its faults, its story, its end.
fn one(subjects: &[Subject], seed: u64, keep: &[usize]) -> Result<Ending, Stop> {
    let mut good = true;
    for subject in subjects {
        let whole = Scenario::random(seed, &subject.plan);
        if let Some(number) = keep.iter().find(|number| !(1..=whole.faults.len()).contains(*number)) {
            return Err(Complaint::new(
                format!("--keep {number}: seed {seed} has no such fault in {}", subject.file),
                format!("numbers from 1 to {}", whole.faults.len()),
                "run it without --keep to see them",
            )
            .into());
        }
        let scenario = if keep.is_empty() { whole.clone() } else { whole.keeping(keep) };
        let rehearser = Rehearser::new(&subject.plan).map_err(|problems| broken_machine(&problems))?;
        let mut story = Vec::new();
        let rehearsal = rehearser.watch(&scenario, &mut |event| story.push(event));
        let mut text = format!("{}\n{}\n", paint(STRONG, &format!("{}, seed {seed}", subject.plan.service)), listed(&whole, &scenario));
        for event in &story {
            text.push_str(&format!("{}\n", event.line(rehearsal.incident_at)));
        }
        let end = rehearsal.outcome.as_deref().unwrap_or("no run");
        let served = if rehearsal.served_at_the_end { "clients are served" } else { "clients are not served" };
        text.push_str(&format!("\n{}  held {}, {served} at the end\n", paint(STRONG, end), count(rehearsal.held, "time")));
        output::result(&text)?;
        if let Some(violation) = &rehearsal.violation {
            good = false;
            output::note(&card::violation(violation, &format!("muster simulate {} --seed {seed}", quoted(&subject.file))))?;
        }
    }
    Ok(if good { Ending::Good } else { Ending::Bad })
}

fn as_json(subject: &Subject, tally: &Tally) -> Value {
    json!({
        "service": subject.plan.service.to_string(),
        "flow": subject.flow.as_str(),
        "trials": tally.trials,
        "wrong": tally.wrong,
        "held": tally.held,
        "heldBy": tally.held_by,
        "ends": tally.ends,
        "leftOut": subject.left_out,
        "first": tally.told.iter().map(|wrong| json!({"tried": wrong.tried, "seen": wrong.seen, "times": wrong.times})).collect::<Vec<_>>(),
    })
}
