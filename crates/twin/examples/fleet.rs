//! What a region failover of a fleet costs, by the number of its databases: counted and measured in rehearsals. With `--svg FILE` it draws it too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout)]

#[path = "../tests/support/fleet.rs"]
mod fleet;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use muster_core::{Evidence, Timestamp};
use muster_twin::{Event, Rehearser, Scenario};

const SIZES: [usize; 5] = [1, 10, 100, 300, 1_000];

/// One size.
struct Row {
    databases: usize,
    /// From the decision until the last promotion was asked for, and from the last verification until the last name was asked to move: seconds.
    promotions: f64,
    names: f64,
    calls: u64,
    /// Calls about the estate: not to Muster's own tables, bucket and topics.
    estate: u64,
    invocations: u64,
    events: u64,
    payload: usize,
    throttled: u64,
    /// Of this process, in milliseconds.
    cpu: f64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let picture = arguments.iter().position(|argument| argument == "--svg").and_then(|at| arguments.get(at + 1));
    let wanted: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if wanted.is_empty() { SIZES.to_vec() } else { wanted };
    println!(
        "| databases | promotions asked for within | names asked to move within | calls, of them about the estate | invocations | events | largest payload | refused for rate | CPU |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let rows: Vec<Row> = sizes.into_iter().map(rehearse).collect();
    if let Some(file) = picture {
        std::fs::write(file, draw(&rows)).unwrap();
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of an hour")]
fn rehearse(databases: usize) -> Row {
    let plan = fleet::fleet(databases, |_| {});
    let scenario = Scenario::named(&["primary-region-down"], 1, &plan).unwrap();
    let rehearser = Rehearser::new(&plan).unwrap();
    let seconds = |from: Option<Timestamp>, until: Option<Timestamp>| until.unwrap().since(from.unwrap()).as_millis() as f64 / 1_000.0;
    let (mut decided, mut verified, mut promoted, mut moved) = (None, None, None, None);
    let mut names = BTreeSet::new();
    let before = cpu();
    let rehearsal = rehearser.watch(&scenario, &mut |event| match event {
        Event::Evidence { at, evidence: Evidence::Decided { question, .. }, .. } if question == "failover" => decided = Some(at),
        Event::Phase { at, state, .. } if &*state == "FlipDns" => verified = verified.or(Some(at)),
        Event::Call { at, operation: "rds:PromoteReadReplica", fault: None, .. } => promoted = Some(at),
        Event::Evidence { at, evidence: Evidence::TrafficMoved { record, .. }, .. } if names.insert(record.clone()) => moved = Some(at),
        _ => {}
    });
    let cpu = cpu() - before;
    assert_eq!(rehearsal.outcome.as_deref(), Some("succeeded"), "{:?}", rehearsal.violation);
    let effort = &rehearsal.effort;
    let books = |operation: &str| ["dynamodb:", "s3:", "sns:", "states:"].iter().any(|service| operation.starts_with(service));
    let row = Row {
        databases,
        promotions: seconds(decided, promoted),
        names: seconds(verified, moved),
        calls: effort.calls.values().sum(),
        estate: effort.calls.iter().filter(|(operation, _)| !books(operation)).map(|(_, count)| count).sum(),
        invocations: effort.invocations,
        events: effort.longest_history,
        payload: effort.largest_payload,
        throttled: effort.throttled.values().sum(),
        cpu,
    };
    println!(
        "| {} | {:.1} s | {:.1} s | {}, {} | {} | {} | {} B | {} | {:.0} ms |",
        row.databases, row.promotions, row.names, row.calls, row.estate, row.invocations, row.events, row.payload, row.throttled, row.cpu
    );
    row
}

/// The CPU time of this process so far, in milliseconds: the system's clock would measure what else the machine does.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").expect("Linux tells it there");
    stat.split(' ').next().and_then(|nanoseconds| nanoseconds.parse::<f64>().ok()).unwrap() / 1e6
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 48.0;
const BOTTOM: f64 = 52.0;

/// A curve: what it is, its colour, and its values by size.
type Curve<'c> = (&'c str, &'c str, Vec<f64>);

/// Both axes are logarithmic: what grows linearly has the slope of the grey lines, and what grows with the square has twice that.
#[expect(clippy::cast_precision_loss, reason = "counts of some ten thousand")]
fn draw(rows: &[Row]) -> String {
    let curves: [Curve<'_>; 4] = [
        ("calls", "#1f5fa8", rows.iter().map(|row| row.calls as f64).collect()),
        ("CPU, ms", "#b3541e", rows.iter().map(|row| row.cpu).collect()),
        ("events", "#2e7d4f", rows.iter().map(|row| row.events as f64).collect()),
        ("largest payload, B", "#6b4fa0", rows.iter().map(|row| row.payload as f64).collect()),
    ];
    let (first, last) = (rows[0].databases as f64, rows[rows.len() - 1].databases as f64);
    let values = || curves.iter().flat_map(|(_, _, values)| values.iter().copied());
    let (low, high) = (values().fold(f64::MAX, f64::min).log10().floor(), values().fold(f64::MIN, f64::max).log10().ceil());
    let x = |databases: f64| LEFT + (databases / first).log10() / (last / first).log10() * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - (value.log10() - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <title>What a failover costs, by the number of databases</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"26\" font-size=\"15\" fill=\"#222222\">What a region failover costs, by the number of databases</text>\n"
    );
    let clip =
        format!("<clipPath id=\"plot\"><rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{}\" height=\"{}\"/></clipPath>\n", WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
    svg.push_str(&clip);
    // What is proportional, as guides.
    let mut decade = low - (last / first).log10().ceil();
    while decade < high {
        let (from, until) = (10_f64.powf(decade), 10_f64.powf(decade) * last / first);
        let _ = writeln!(
            svg,
            "<line clip-path=\"url(#plot)\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#dddddd\" stroke-dasharray=\"3 4\"/>",
            x(first),
            y(from),
            x(last),
            y(until)
        );
        decade += 1.0;
    }
    let mut decade = low;
    while decade <= high {
        let at = y(10_f64.powf(decade));
        let _ = writeln!(svg, "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{:.1}\" y2=\"{at:.1}\" stroke=\"#eeeeee\"/>", WIDTH - RIGHT);
        let _ =
            writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555555\">{}</text>", LEFT - 8.0, at + 4.0, grouped(10_f64.powf(decade)));
        decade += 1.0;
    }
    for row in rows {
        let at = x(row.databases as f64);
        let label = grouped(row.databases as f64);
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555555\">{label}</text>", HEIGHT - BOTTOM + 20.0);
    }
    let middle = LEFT + (WIDTH - LEFT - RIGHT) / 2.0;
    let _ = writeln!(
        svg,
        "<text x=\"{middle:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555555\">databases (grey: proportional to them)</text>",
        HEIGHT - 12.0
    );
    for (name, colour, values) in &curves {
        let points: Vec<(f64, f64)> = rows.iter().zip(values).map(|(row, value)| (x(row.databases as f64), y(*value))).collect();
        let path: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = writeln!(svg, "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", path.join(" "));
        for (x, y) in &points {
            let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
        }
        let (x, y) = points[points.len() - 1];
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{name}</text>", x + 10.0, y + 4.0);
    }
    svg.push_str("</svg>\n");
    svg
}

/// A round number, with thousands apart.
fn grouped(number: f64) -> String {
    let text = format!("{number:.0}");
    let groups: Vec<&str> = text.as_bytes().rchunks(3).rev().map(|digits| std::str::from_utf8(digits).unwrap_or_default()).collect();
    groups.join(",")
}
