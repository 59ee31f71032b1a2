//! `muster rehearse --runs N`: the distribution of RTO and RPO over many seeds.

use std::collections::BTreeMap;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use muster_core::Duration;
use muster_report::{Breakdown, Report, Verdict};
use muster_twin::{Rehearsal, Violation, rehearse_many};
use serde_json::{Value, json};

use crate::card;
use crate::cli::Rehearse;
use crate::ending::{Complaint, Ending, Stop};
use crate::histogram::Distribution;
use crate::output::{self, BAD, GOOD, PLAIN, QUIET, STRONG, paint};
use crate::rehearse::{Order, RANDOM, broken_machine, is_good};
use crate::table::table;
use crate::words::{count, percent, span, thousands, wrap};

/// What is kept of all runs: its size does not depend on how many there are.
#[derive(Debug, Default)]
struct Tally {
    runs: u64,
    good: u64,
    /// How long clients were not served.
    rto: Distribution,
    rto_met: u64,
    /// Runs in which clients were not served at the end.
    not_restored: u64,
    /// Runs in which clients never noticed anything.
    unaffected: u64,
    rpo: Distribution,
    rpo_met: u64,
    /// Muster's own part of the time until clients were served again.
    overhead: Distribution,
    overhead_met: u64,
    outcomes: BTreeMap<String, u64>,
    /// Targets that were missed, or of which nobody knows, in the plan's words.
    missed: BTreeMap<String, u64>,
    worst_rto: Option<(Worst, u64)>,
    worst_rpo: Option<(Duration, u64)>,
    violations: u64,
    first_violation: Option<Violation>,
}

/// How bad a run was for its clients; the greater, the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Worst {
    After(Duration),
    NotRestored,
}

impl Tally {
    fn add(&mut self, rehearsal: Rehearsal, rto: Duration, rpo: Duration) {
        self.runs += 1;
        self.good += u64::from(is_good(&rehearsal));
        let seed = rehearsal.seed;
        let worst = match (rehearsal.rto, rehearsal.served_at_the_end) {
            (Some(span), _) => {
                self.rto.add(span);
                self.rto_met += u64::from(span <= rto);
                Some(Worst::After(span))
            }
            (None, true) => {
                self.unaffected += 1;
                self.rto_met += 1;
                None
            }
            (None, false) => {
                self.not_restored += 1;
                Some(Worst::NotRestored)
            }
        };
        // The first of equals stays: folding goes by the seeds' order.
        if let Some(worst) = worst.filter(|worst| self.worst_rto.is_none_or(|(known, _)| *worst > known)) {
            self.worst_rto = Some((worst, seed));
        }
        self.rpo.add(rehearsal.rpo);
        self.rpo_met += u64::from(rehearsal.rpo <= rpo);
        if self.worst_rpo.is_none_or(|(known, _)| rehearsal.rpo > known) {
            self.worst_rpo = Some((rehearsal.rpo, seed));
        }
        if let Some(breakdown) = rehearsal.report.as_ref().map(|report| &report.breakdown).filter(|breakdown| breakdown.restored) {
            self.overhead.add(breakdown.overhead);
            self.overhead_met += u64::from(breakdown.overhead <= allowance(breakdown));
        }
        for name in rehearsal.report.as_ref().map(missed).unwrap_or_default() {
            *self.missed.entry(name).or_insert(0) += 1;
        }
        let outcome = match rehearsal.outcome.as_deref() {
            Some(outcome) => in_words(outcome),
            None if rehearsal.runs > 0 => "not closed",
            None => "no run was needed",
        };
        *self.outcomes.entry(outcome.to_owned()).or_insert(0) += 1;
        if let Some(violation) = rehearsal.violation {
            self.violations += 1;
            self.first_violation.get_or_insert(violation);
        }
    }
}

/// What Muster may add by itself: 5 seconds, or 2 % of what AWS takes, if that is more.
fn allowance(breakdown: &Breakdown) -> Duration {
    Duration::from_millis(breakdown.aws.as_millis() / 50).max(Duration::from_secs(5))
}

/// The targets of a report that were not met for certain: the name of the part, what it is, and which of the two.
fn missed(report: &Report) -> Vec<String> {
    let mut names = Vec::new();
    for objective in &report.objectives {
        for (name, comparison) in [("RTO", &objective.rto), ("RPO", &objective.rpo)] {
            if matches!(comparison.deciding().verdict, Verdict::Fail | Verdict::Unknown) {
                let kind = objective.what.split(':').next().unwrap_or_default();
                let target = comparison.target.map_or(String::new(), |target| format!(" of {target}"));
                names.push(if objective.parts.is_empty() && objective.subject == "service" {
                    format!("{} {name}{target}", objective.subject)
                } else {
                    format!("{} ({kind}) {name}{target}", objective.subject)
                });
            }
        }
    }
    names
}

/// Rehearses so many times, beginning with that seed.
pub(crate) fn run(order: &Order, seed: u64, runs: u64, arguments: &Rehearse) -> Result<Ending, Stop> {
    if arguments.out.is_some() {
        return Err(Complaint::new(
            "--out stands beside --runs",
            "--out for the report of one run; many runs have a summary and no report",
            "leave --out out, then replay the seed that interests you with --seed N --out DIR",
        )
        .into());
    }
    let seeds = seed..seed.checked_add(runs).ok_or_else(|| {
        Complaint::new(format!("--seed {seed} and --runs {runs} are too many together"), "seeds that are numbers of 64 bits", "begin with a smaller seed")
    })?;
    let targets = order.plan.objectives;
    let bar = progress(runs);
    let mut tally = Tally::default();
    let threads = arguments.threads.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    rehearse_many(
        &order.plan,
        seeds,
        threads,
        |seed| order.scenario(seed),
        |rehearsal| {
            tally.add(rehearsal, targets.rto, targets.rpo);
            bar.inc(1);
            if tally.violations > 0 {
                bar.set_message(format!(", {}", count(tally.violations, "violation")));
            }
        },
    )
    .map_err(|problems| broken_machine(&problems))?;
    bar.finish_and_clear();
    if arguments.json {
        output::result(&format!("{:#}\n", as_json(order, seed, &tally)))?;
    } else {
        output::result(&summary(order, seed, &tally))?;
    }
    if let Some(violation) = &tally.first_violation {
        output::note(&card::violation(violation, &order.replay(violation.seed)))?;
    }
    Ok(if tally.good == tally.runs { Ending::Good } else { Ending::Bad })
}

pub(crate) fn progress(runs: u64) -> ProgressBar {
    if !output::is_watched() {
        return ProgressBar::hidden();
    }
    let bar = if output::notes_have_color() { "{bar:28.cyan/dim}" } else { "{bar:28}" };
    let style = ProgressStyle::with_template(&format!(" {bar} {{human_pos}}/{{human_len}}  {{rate}}  ETA {{eta}}{{msg}}"));
    // The template is a constant: where it were wrong, the default style would do.
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("━━─");
    let style = style.with_key("rate", |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // Nobody is helped by an error in the middle of a progress bar.
        let _ = write!(text, "{:.1}/s", state.per_sec());
    });
    ProgressBar::new(runs).with_style(style)
}

fn summary(order: &Order, seed: u64, tally: &Tally) -> String {
    let targets = order.plan.objectives;
    let good = tally.good == tally.runs;
    let head = if good { paint(GOOD.bold(), "PASS") } else { paint(BAD.bold(), "FAIL") };
    let last = seed + tally.runs - 1;
    let title = format!("{} of {}: {} met every target and broke nothing", count(tally.runs, "rehearsal"), order.plan.service, percent(tally.good, tally.runs));
    let title: Vec<String> = wrap(&title, output::WIDTH - 6).iter().map(|line| paint(STRONG, line)).collect();
    let mut text = format!("{head}  {}\n", title.join("\n      "));
    let faults = if order.faults.is_empty() { "primary-region-down".to_owned() } else { order.faults.join(", ") };
    for line in wrap(&format!("{faults}; seeds {seed} to {last}"), output::WIDTH - 6) {
        text.push_str(&format!("      {}\n", paint(QUIET, &line)));
    }
    let met = |met: u64, target: Duration| format!("target {target}, met by {}", percent(met, tally.runs));
    text.push_str(&section("RTO", &met(tally.rto_met, targets.rto), &tally.rto, tally.runs, targets.rto));
    for (number, what) in [(tally.not_restored, "not restored"), (tally.unaffected, "never noticed by clients")] {
        if number > 0 {
            text.push_str(&format!("  {}\n", paint(if what == "not restored" { BAD } else { QUIET }, &format!("{}: {what}", count(number, "run")))));
        }
    }
    text.push_str(&section("RPO", &met(tally.rpo_met, targets.rpo), &tally.rpo, tally.runs, targets.rpo));
    text.push_str(&own_time(tally));
    text.push_str(&counted("Targets that were missed", &tally.missed, tally.runs));
    text.push_str(&counted("How they ended", &tally.outcomes, tally.runs));
    let violations = format!("{} of invariants", count(tally.violations, "violation"));
    text.push_str(&format!("  {}\n", paint(if tally.violations == 0 { GOOD } else { BAD }, &violations)));
    text.push_str(&worst(order, tally));
    if order.faults.is_empty() {
        text.push_str(&format!("\n{}\n", paint(QUIET, &format!("With `--fault {RANDOM}`, each seed brings faults of its own."))));
    }
    text
}

fn section(name: &str, met: &str, distribution: &Distribution, runs: u64, target: Duration) -> String {
    let mut text = format!("\n{}  {}\n", paint(STRONG, name), met);
    let Some(max) = distribution.max() else { return text };
    let at = |percent| distribution.percentile(percent).map_or_else(|| "–".to_owned(), span);
    let left_out = if distribution.total() < runs { format!("   of the {} with a figure", thousands(distribution.total())) } else { String::new() };
    text.push_str(&format!("     {}\n", paint(QUIET, &format!("p50 {}   p95 {}   p99 {}   max {}{left_out}", at(50), at(95), at(99), span(max)))));
    text.push_str(&distribution.draw(target));
    text
}

/// How much of the RTO is Muster's own: transitions, checks, polls that came late.
fn own_time(tally: &Tally) -> String {
    let Some(max) = tally.overhead.max() else { return String::new() };
    let at = |percent| tally.overhead.percentile(percent).map_or_else(|| "–".to_owned(), span);
    let met = percent(tally.overhead_met, tally.overhead.total());
    format!(
        "\n{}  at most 5s, or 2 % of AWS's: met by {met}\n     {}\n",
        paint(STRONG, "Muster's own part"),
        paint(QUIET, &format!("p50 {}   p95 {}   p99 {}   max {}", at(50), at(95), at(99), span(max)))
    )
}

/// What occurred how often, most often first.
fn counted(title: &str, counts: &BTreeMap<String, u64>, runs: u64) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, number)| std::cmp::Reverse(**number));
    let width = counts.iter().map(|(_, number)| thousands(**number).len()).max().unwrap_or(0);
    let row =
        |(name, number): (&String, &u64)| vec![(PLAIN, name.clone()), (PLAIN, format!("{:>width$}", thousands(*number))), (QUIET, percent(*number, runs))];
    let rows: Vec<_> = counts.into_iter().map(row).collect();
    format!("\n{}\n{}", paint(STRONG, title), table(2, &rows))
}

fn worst(order: &Order, tally: &Tally) -> String {
    let rto = tally.worst_rto.map(|(worst, seed)| {
        let what = match worst {
            Worst::After(after) => format!("longest RTO, {}", span(after)),
            Worst::NotRestored => "clients were not served again".to_owned(),
        };
        (what, seed)
    });
    let rpo = tally.worst_rpo.filter(|(loss, _)| !loss.is_zero()).map(|(loss, seed)| (format!("largest RPO, {}", span(loss)), seed));
    let mut text = String::new();
    for (what, seed) in rto.into_iter().chain(rpo) {
        text.push_str(&format!("  {what}: seed {seed}\n    {}\n", order.replay(seed)));
    }
    if text.is_empty() { text } else { format!("\n{}\n{text}", paint(STRONG, "The worst, to be seen again")) }
}

fn as_json(order: &Order, seed: u64, tally: &Tally) -> Value {
    let targets = order.plan.objectives;
    let text = |span: Option<Duration>| span.map(|span| span.to_string());
    let figures = |distribution: &Distribution, met: u64, target: Duration, worst: Option<u64>| {
        json!({
            "counted": distribution.total(),
            "max": text(distribution.max()),
            "met": met,
            "p50": text(distribution.percentile(50)),
            "p95": text(distribution.percentile(95)),
            "p99": text(distribution.percentile(99)),
            "target": target.to_string(),
            "worstSeed": worst,
        })
    };
    json!({
        "faults": order.faults,
        "firstSeed": seed,
        "missedTargets": tally.missed,
        "metEveryTarget": tally.good,
        "notRestored": tally.not_restored,
        "outcomes": tally.outcomes,
        "overhead": {
            "met": tally.overhead_met, "counted": tally.overhead.total(),
            "p50": text(tally.overhead.percentile(50)), "p99": text(tally.overhead.percentile(99)), "max": text(tally.overhead.max()),
        },
        "rpo": figures(&tally.rpo, tally.rpo_met, targets.rpo, tally.worst_rpo.map(|(_, seed)| seed)),
        "rto": figures(&tally.rto, tally.rto_met, targets.rto, tally.worst_rto.map(|(_, seed)| seed)),
        "runs": tally.runs,
        "service": order.plan.service.to_string(),
        "unaffected": tally.unaffected,
        "violatingSeed": tally.first_violation.as_ref().map(|violation| violation.seed),
        "violations": tally.violations,
    })
}

fn in_words(outcome: &str) -> &str {
    match outcome {
        "stoodDown" => "stood down",
        other => other,
    }
}
