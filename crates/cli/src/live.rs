//! Shows a run as it happens. It happened in milliseconds already: what is shown is a replay, with its pauses shortened to what an eye needs.

use std::io;

use anstyle::Style;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use muster_core::{Duration, Evidence, LagBasis, Override, Timestamp};
use muster_report::Phase;
use muster_twin::{Event, Rehearsal};

use crate::output::{self, BAD, GOOD, PEOPLE, PLAIN, QUIET, STRONG, WARN, WIDTH, paint};
use crate::pace::pause;
use crate::words::{cut, length, span, virtual_clock, wrap};

/// How long the whole replay takes, in milliseconds.
const REPLAY: u64 = 1_400;
/// How long a picture stands.
const FRAME: u64 = 25;
/// The widest name of a phase.
const NAME: usize = 20;
/// The widest span of a phase.
const TOOK: usize = 8;

/// Something to be shown.
struct Item {
    at: Timestamp,
    what: What,
}

enum What {
    /// A phase begins, or people are asked.
    Begins { name: String },
    /// It has ended. A phase's number is its position in the report.
    Ends { name: String, phase: Option<usize> },
    /// Something happened.
    Note { mark: &'static str, style: Style, text: String, whole: bool },
}

/// Shows what happened: animated where somebody watches, line by line otherwise.
pub(crate) fn show(rehearsal: &Rehearsal, events: &[Event]) -> io::Result<()> {
    let phases = rehearsal.report.as_ref().map_or(&[][..], |report| &report.phases);
    let items = items(phases, events);
    let farthest = items.iter().map(|item| item.at.as_millis() - rehearsal.incident_at.as_millis()).map(i64::abs).max().unwrap_or(0);
    let display = Display { phases, incident_at: rehearsal.incident_at, hours: farthest >= 6_000_000 };
    if output::is_watched() {
        display.animate(&items)?;
    } else {
        output::note(&items.iter().filter_map(|item| display.lines(item)).map(|line| line + "\n").collect::<String>())?;
    }
    output::note("\n")
}

fn items(phases: &[Phase], events: &[Event]) -> Vec<Item> {
    let begins = phases.iter().map(|phase| Item { at: phase.from, what: What::Begins { name: phase.name.clone() } });
    let ends = phases.iter().enumerate().map(|(index, phase)| Item { at: phase.until, what: What::Ends { name: phase.name.clone(), phase: Some(index) } });
    let mut notes: Vec<Item> = Vec::new();
    let mut said: Vec<String> = Vec::new();
    for event in events {
        let Some(what) = note(event) else { continue };
        let What::Note { text, .. } = &what else { continue };
        // Polls repeat what they see, and how they fail.
        if matches!(event, Event::Evidence { .. } | Event::Call { .. }) {
            if said.contains(text) {
                continue;
            }
            said.push(text.clone());
        }
        notes.push(Item { at: event.at(), what });
        notes.extend(waiting(event));
    }
    let mut items: Vec<Item> = begins.chain(notes).chain(ends).collect();
    items.sort_by_key(|item| item.at);
    items
}

/// Waiting for people is shown as long as it lasts.
fn waiting(event: &Event) -> Option<Item> {
    let Event::Evidence { at, evidence, .. } = event else { return None };
    let name = |question: &str| format!("people: {}", subject(question));
    match evidence {
        Evidence::Asked { question, .. } => Some(Item { at: *at, what: What::Begins { name: name(question) } }),
        Evidence::Decided { question, .. } => Some(Item { at: *at, what: What::Ends { name: name(question), phase: None } }),
        _ => None,
    }
}

/// What a question is about: `failover`, or the phase that holds. Its name also says when it was asked.
fn subject(question: &str) -> &str {
    question.split('@').next().unwrap_or(question)
}

/// What is worth a line; phases come from the report.
fn note(event: &Event) -> Option<What> {
    let line = |mark, style, text: String| Some(What::Note { mark, style, text, whole: true });
    match event {
        Event::Estate { what, .. } => Some(What::Note { mark: "·", style: QUIET, text: what.clone(), whole: false }),
        Event::Evidence { evidence, .. } => match evidence {
            Evidence::OutageConfirmed { sources, .. } => line("!", BAD, format!("outage confirmed by {}", sources.join(", "))),
            Evidence::OutageCleared { seen } => line("·", GOOD, format!("outage over, or none: {seen}")),
            Evidence::Asked { question, heard_by, .. } if heard_by.is_empty() => {
                line("?", WARN, format!("asked about {}: no channel accepts it, so silence decides nothing", subject(question)))
            }
            Evidence::Asked { question, heard_by, deadline } => {
                line("?", PEOPLE, format!("asked about {}, heard by {}; silence answers at {}", subject(question), heard_by.join(", "), deadline.clock_time()))
            }
            Evidence::Decided { question, choice, by, reason, .. } => {
                let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
                line("→", PEOPLE, format!("decided {}: {choice}, by {by}{why}", subject(question)))
            }
            Evidence::Accepted { risk, standing } => {
                let (what, by) = accepted(risk);
                line("→", PEOPLE, format!("{by} accepted {}: {what}", if *standing { "beforehand" } else { "now" }))
            }
            Evidence::Fenced { database, proof } => line("·", GOOD, format!("{database}: the old primary is fenced: {proof}")),
            Evidence::Unfenced { database, seen } => line("!", WARN, format!("{database}: the old primary is NOT fenced: {seen}")),
            Evidence::Lag { database, lag, basis, .. } => {
                let basis = match basis {
                    LagBasis::Measured => "measured",
                    LagBasis::LastKnown => "last known before the outage",
                    LagBasis::Unknown => "unknown, and accepted",
                };
                let lag = lag.map_or_else(|| "unknown".to_owned(), span);
                Some(What::Note { mark: "·", style: PLAIN, text: format!("{database}: replica lag {lag} ({basis})"), whole: true })
            }
            Evidence::Irreversible { step } => line("!", STRONG, format!("point of no return: {step}")),
            Evidence::Held { phase, error, cause } => line("!", WARN, format!("HELD at {phase}: {error}: {cause}")),
            Evidence::Undone { what } => line("·", PLAIN, format!("undone: {what}")),
            _ => None,
        },
        Event::Call { operation, resource, fault: Some(fault), .. } => {
            Some(What::Note { mark: "·", style: WARN, text: format!("{operation} on {resource}: {fault:?}"), whole: true })
        }
        Event::Phase { .. } | Event::Call { .. } | Event::Told { .. } => None,
    }
}

fn accepted(risk: &Override) -> (String, &str) {
    match risk {
        Override::Lag { database, up_to: Some(up_to), by, .. } => (format!("{database} is promoted with a lag of up to {up_to}"), by),
        Override::Lag { database, up_to: None, by, .. } => (format!("{database} is promoted with an unknown lag"), by),
        Override::Unfenced { database, by, .. } => (format!("{database} is promoted although its old primary may still take writes"), by),
        Override::Check { phase, by, .. } => (format!("a failing check of {phase} is passed over"), by),
    }
}

struct Display<'a> {
    phases: &'a [Phase],
    incident_at: Timestamp,
    /// Whether the clock shows hours.
    hours: bool,
}

impl Display<'_> {
    fn clock(&self, at: Timestamp) -> String {
        virtual_clock(at.as_millis() - self.incident_at.as_millis(), self.hours)
    }

    /// What stays on the screen of an item.
    fn lines(&self, item: &Item) -> Option<String> {
        let clock = paint(QUIET, &self.clock(item.at));
        let left = length(&self.clock(item.at)) + 5;
        let room = WIDTH - left;
        match &item.what {
            What::Begins { .. } => None,
            What::Ends { phase, .. } => {
                let phase = self.phases.get((*phase)?)?;
                let (mark, style, detail) = match phase.outcome.as_str() {
                    "done" => ("✓", GOOD, phase.detail.clone()),
                    "pending" => ("…", WARN, phase.detail.clone()),
                    "sealed" => ("✓", GOOD, "the report is sealed".to_owned()),
                    "cutShort" => ("✗", BAD, "cut short".to_owned()),
                    error => ("✗", BAD, format!("{error}: {}", phase.detail)),
                };
                let took = span(Duration::from_millis(phase.until.since(phase.from).as_millis().div_ceil(1_000) * 1_000));
                let detail = cut(&detail, room - NAME - TOOK - 4);
                let name = format!("{:NAME$}", cut(&phase.name, NAME));
                Some(format!(" {clock} {} {} {took:>TOOK$}  {}", paint(style, mark), paint(STRONG, &name), paint(QUIET, &detail)).trim_end().to_owned())
            }
            What::Note { mark, style, text, whole } => {
                let lines = if *whole { wrap(text, room) } else { vec![cut(text, room)] };
                let text = lines.iter().map(|line| paint(*style, line)).collect::<Vec<_>>().join(&format!("\n{}", " ".repeat(left - 1)));
                Some(format!(" {clock} {} {text}", paint(*style, mark)))
            }
        }
    }

    /// A spinner per phase that runs, under the lines of what is over. Long waits look longer than short ones, and none is long.
    fn animate(&self, items: &[Item]) -> io::Result<()> {
        let screen = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(50));
        // The template is a constant: where it were wrong, the default style would do.
        screen.set_style(ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let mut running: Vec<(&str, Timestamp)> = Vec::new();
        let weight = |from: Timestamp, to: Timestamp| u64::from((to.since(from).as_millis() / 100 + 1).ilog2());
        let total: u64 = items.windows(2).map(|pair| weight(pair[0].at, pair[1].at)).sum::<u64>().max(1);
        let mut turn = 0;
        for (position, item) in items.iter().enumerate() {
            match &item.what {
                What::Begins { name } => running.push((name, item.at)),
                What::Ends { name, .. } => running.retain(|(known, _)| known != name),
                What::Note { .. } => {}
            }
            if let Some(line) = self.lines(item) {
                screen.println(colored(line));
            }
            let Some(next) = items.get(position + 1) else { break };
            let wait = REPLAY * weight(item.at, next.at) / total;
            let frames = wait.div_ceil(FRAME);
            for frame in 0..frames {
                let passed = next.at.since(item.at).as_millis() * (frame + 1) / frames;
                screen.set_message(colored(self.picture(&running, item.at.after(Duration::from_millis(passed)), turn)));
                turn += 1;
                pause(wait / frames);
            }
        }
        screen.finish_and_clear();
        output::note("\n")
    }

    fn picture(&self, running: &[(&str, Timestamp)], now: Timestamp, turn: usize) -> String {
        const TURNS: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
        let clock = paint(QUIET, &self.clock(now));
        let spinner = paint(PEOPLE, TURNS[turn % TURNS.len()]);
        let line = |(name, from): &(&str, Timestamp)| {
            let took = span(Duration::from_millis(now.since(*from).as_millis() / 1_000 * 1_000));
            format!(" {clock} {spinner} {:NAME$} {took:>TOOK$}", cut(name, NAME))
        };
        running.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

fn colored(line: String) -> String {
    if output::notes_have_color() { line } else { anstream::adapter::strip_str(&line).to_string() }
}
