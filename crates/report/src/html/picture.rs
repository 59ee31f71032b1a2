//! The picture of the run as inline SVG: phases on a common axis, and under them what clients or probes saw.
//!
//! Everything lies at percentages of the width while text keeps its size, so that the same picture is read on a phone and on a desk.

use muster_core::{Duration, Timestamp};

use super::markup::Markup;
use crate::clients::ALL;
use crate::gantt::{Axis, Kind, Row, rows};
use crate::record::{ProbeTrack, Report, Stretch};
use crate::text::span;

const TOP: u32 = 34;
const ROW: u32 = 22;
/// What a row needs more when its label has no room beside the bar.
const LABEL: u32 = 14;
const CHART: u32 = 88;
const TRACK: u32 = 26;

/// A place on the axis, as a percentage.
struct Percent(u32);

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:02}%", self.0 / 100, self.0 % 100)
    }
}

pub(crate) fn draw(report: &Report, page: &mut Markup) {
    let axis = Axis::of(report);
    let rows = rows(report);
    let phases_end = TOP + rows.iter().map(|row| row_height(&axis, row)).sum::<u32>();
    let clients = report.clients.is_some();
    let visible = |stretch: &&Stretch| stretch.until >= axis.from && stretch.from <= axis.until;
    let probes: Vec<&ProbeTrack> = report.probes.iter().filter(|track| !clients && track.stretches.iter().any(|stretch| visible(&stretch))).collect();
    let tracks = probes.len() as u32;
    let under = if clients {
        CHART + 30
    } else if tracks > 0 {
        TRACK * tracks + 12
    } else {
        0
    };
    let height = phases_end + under + 8;
    page.section("picture", "The run at a glance");
    page.raw("<figure>\n<svg class=\"picture\" width=\"100%\" height=\"").text(height).raw("\" role=\"img\" aria-labelledby=\"picture-title picture-desc\">\n");
    page.raw("<title id=\"picture-title\">Phases of the run over time</title>\n<desc id=\"picture-desc\">").text(describe(report)).raw("</desc>\n");
    // The outage, as a band behind everything.
    let (from, until) = (axis.place(report.breakdown.from), axis.place(report.breakdown.until));
    band(page, "outage", (from, until), (TOP - 8, height - TOP));
    for (at, label) in axis.ticks(report.breakdown.from) {
        let place = axis.place(at);
        page.raw("<line class=\"grid\" x1=\"").text(Percent(place)).raw("\" x2=\"").text(Percent(place)).raw("\" y1=\"26\" y2=\"").text(height).raw("\"/>");
        let (anchor, dx) = if place > 9_300 {
            ("end", "0")
        } else if place < 300 {
            ("start", "0")
        } else {
            ("middle", "0")
        };
        label_at(page, "tick", place, 12, (anchor, dx), &label);
    }
    let mut y = TOP;
    for row in &rows {
        draw_row(page, &axis, row, y);
        y += row_height(&axis, row);
    }
    if let Some(clients) = &report.clients {
        let top = phases_end + 26;
        label_at(page, "label", 0, top - 8, ("start", "2"), "Clients: share of requests that succeed");
        page.raw("\n<svg class=\"curve\" x=\"0\" y=\"")
            .text(top)
            .raw("\" width=\"100%\" height=\"")
            .text(CHART)
            .raw("\" viewBox=\"0 0 10000 1000\" preserveAspectRatio=\"none\"><path d=\"");
        page.text(area(&axis, clients)).raw("\"/></svg>\n");
        for (ppm, label) in [(ALL, "100%"), (0, "0%")] {
            let y = top + CHART - CHART * (ppm / 10_000) / 100;
            page.raw("<line class=\"rule\" x1=\"0\" x2=\"100%\" y1=\"").text(y).raw("\" y2=\"").text(y).raw("\"/>");
            label_at(page, "tick", 10_000, if ppm == 0 { y - 4 } else { y + 12 }, ("end", "-3"), label);
        }
    } else {
        for (index, track) in probes.into_iter().enumerate() {
            let top = phases_end + 16 + TRACK * index as u32;
            for stretch in track.stretches.iter().filter(visible) {
                let class = match stretch.reading.as_str() {
                    "healthy" => "healthy",
                    "failing" => "failing",
                    "lag" => "lagging",
                    _ => "blind",
                };
                band(page, class, (axis.place(stretch.from), axis.place(stretch.until)), (top, 5));
            }
            label_at(page, "label", 0, top + 17, ("start", "2"), &format!("probe {} from {}", track.source, track.vantage));
        }
    }
    page.raw("</svg>\n<figcaption><ul class=\"legend\"><li><i class=\"k-critical\"></i>critical path</li><li><i class=\"k-beside\"></i>beside it</li><li><i class=\"k-aws\"></i>AWS at work</li><li><i class=\"k-people\"></i>waiting for people</li><li><i class=\"k-outage\"></i>");
    page.raw(if report.breakdown.restored { "outage" } else { "outage, not over at the close" }).raw("</li></ul></figcaption>\n</figure>\n");
    page.end_section();
}

/// The picture in words, for those who do not see it.
fn describe(report: &Report) -> String {
    let longest = report.phases.iter().max_by_key(|phase| phase.until.since(phase.from));
    let longest = longest.map_or_else(String::new, |phase| format!(" The longest was {}, {}.", phase.name, span(phase.until.since(phase.from))));
    let end = if report.breakdown.restored { "was restored" } else { "was not restored" };
    format!(
        "{} phases over {}; the service {end} {} after the incident.{longest} The same is in the table of phases.",
        report.phases.len(),
        span(report.summary.closed_at.since(report.summary.opened_at)),
        span(report.breakdown.total())
    )
}

fn draw_row(page: &mut Markup, axis: &Axis, row: &Row, y: u32) {
    let (from, until) = (axis.place(row.from), axis.place(row.until));
    let class = match (row.kind, row.held) {
        (Kind::People, _) => "people",
        (_, true) => "held",
        (Kind::Critical, _) => "critical",
        (Kind::Beside, _) => "beside",
    };
    page.raw("\n<g><title>").text(format!("{}: {}, from {}", row.label, span(row.until.since(row.from)), row.from.clock_time())).raw("</title>");
    let place = label_place(from, until);
    let y = if place == LabelPlace::Above { y + LABEL } else { y };
    band(page, class, (from, until), (y + 4, 12));
    for (from, until) in &row.aws {
        band(page, "aws", (axis.place(*from), axis.place(*until)), (y + 7, 6));
    }
    let label = if row.held { format!("{} (held)", row.label) } else { row.label.clone() };
    match place {
        LabelPlace::After => label_at(page, "label", until, y + 14, ("start", "7"), &label),
        LabelPlace::Before => label_at(page, "label", from, y + 14, ("end", "-5"), &label),
        LabelPlace::Above => label_at(page, "label", from, y, ("start", "0"), &label),
    }
    page.raw("</g>");
}

/// Where a row's label has room.
#[derive(PartialEq, Eq)]
enum LabelPlace {
    After,
    Before,
    Above,
}

fn label_place(from: u32, until: u32) -> LabelPlace {
    match (from, until) {
        (_, ..=5_500) => LabelPlace::After,
        (4_500.., _) => LabelPlace::Before,
        _ => LabelPlace::Above,
    }
}

fn row_height(axis: &Axis, row: &Row) -> u32 {
    let above = label_place(axis.place(row.from), axis.place(row.until)) == LabelPlace::Above;
    if above { ROW + LABEL } else { ROW }
}

fn band(page: &mut Markup, class: &'static str, (from, until): (u32, u32), (y, height): (u32, u32)) {
    let width = until.saturating_sub(from).max(25);
    let from = from.min(10_000 - 25);
    page.raw("<rect class=\"").raw(class).raw("\" x=\"").text(Percent(from)).raw("\" y=\"").text(y).raw("\" width=\"").text(Percent(width));
    page.raw("\" height=\"").text(height).raw("\" rx=\"2\"/>");
}

fn label_at(page: &mut Markup, class: &'static str, x: u32, y: u32, (anchor, dx): (&'static str, &'static str), label: &str) {
    page.raw("<text class=\"")
        .raw(class)
        .raw("\" x=\"")
        .text(Percent(x))
        .raw("\" dx=\"")
        .raw(dx)
        .raw("\" y=\"")
        .text(y)
        .raw("\" text-anchor=\"")
        .raw(anchor)
        .raw("\">");
    page.text(label).raw("</text>");
}

/// The success rate as an area: x in ten-thousandths of the axis, y in thousandths of the height.
fn area(axis: &Axis, clients: &crate::clients::Clients) -> String {
    let visible = clients.curve.iter().filter(|segment| segment.until > axis.from && segment.from < axis.until);
    let height = |ppm: u32| 1_000 - ppm.min(ALL) / 1_000;
    let mut path = String::new();
    let mut last: Option<Timestamp> = None;
    for segment in visible {
        let (from, until) = (axis.place(segment.from), axis.place(segment.until));
        if last.is_none_or(|last| segment.from.since(last) > Duration::ZERO) {
            path.push_str(&format!("M{from} 1000"));
        }
        path.push_str(&format!("L{from} {}L{until} {}", height(segment.success_ppm_start), height(segment.success_ppm_end)));
        last = Some(segment.until);
    }
    if let Some(last) = last {
        path.push_str(&format!("L{} 1000Z", axis.place(last)));
    }
    path
}
