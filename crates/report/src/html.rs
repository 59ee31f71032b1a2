//! The report as one HTML file: the verdict first, everything else behind it; no script, nothing fetched.

mod markup;
mod picture;
mod sections;

use crate::record::{Comparison, Report, Verdict};
use crate::text::{date, exact, moment, share, span};
use markup::Markup;

impl Report {
    /// The report as one self-contained HTML file.
    pub fn to_html(&self) -> String {
        let mut page = Markup::new();
        page.raw("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
        page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
        page.text(self.title()).raw(" · ").text(&self.summary.service).raw("</title>\n<style>\n");
        page.raw(include_str!("html/style.css")).raw("</style>\n</head>\n<body>\n<main>\n");
        self.head(&mut page);
        if self.recovers() {
            self.results(&mut page);
        }
        sections::backups(self, &mut page);
        sections::restored(self, &mut page);
        if self.recovers() {
            self.time(&mut page);
            picture::draw(self, &mut page);
        }
        sections::all(self, &mut page);
        page.raw("</main>\n</body>\n</html>\n");
        page.into_string()
    }

    fn head(&self, page: &mut Markup) {
        let summary = &self.summary;
        page.raw("<header>\n<p class=\"eyebrow\">")
            .text(self.title())
            .raw("</p>\n<h1>")
            .text(&summary.service)
            .raw(" <span>")
            .text(self.test_type())
            .raw("</span></h1>\n");
        let (verdict, words) = self.verdict();
        page.raw("<p class=\"verdict ").raw(class(verdict)).raw("\">").text(words).raw("</p>\n<p class=\"sentence\">").text(&summary.sentence).raw("</p>\n");
        if self.recovers() {
            self.cards(page);
        }
        page.raw("<dl class=\"facts\">\n");
        fact(page, "Date", &date(summary.opened_at));
        fact(page, "Duration", &self.run_time());
        fact(page, "Participants", &if summary.participants.is_empty() { "nobody".to_owned() } else { summary.participants.join(", ") });
        fact(page, "Outcome", &summary.outcome);
        for (name, value) in self.particulars() {
            fact(page, name, &value);
        }
        page.raw("</dl>\n</header>\n");
    }

    fn cards(&self, page: &mut Markup) {
        page.raw("<div class=\"cards\">\n");
        if let Some(service) = self.service() {
            card(page, "Recovery time (RTO)", &service.rto);
            card(page, "Recovery point (RPO)", &service.rpo);
        }
        let integrity = &self.integrity;
        page.raw("<section class=\"card ").raw(class(integrity.verdict)).raw("\">\n<h2>Data integrity</h2>\n<p class=\"figure\">");
        page.text(if integrity.checks_made == 0 { "unknown".to_owned() } else { integrity.checks_in_words() });
        page.raw("</p>\n<p class=\"against\"><b>").text(integrity.verdict.word()).raw("</b> ");
        page.text(format!("{} of {} data checks passed", integrity.checks_passed, integrity.checks_made)).raw("</p>\n");
        if let Some(kept) = integrity.writes_in_words() {
            page.raw("<p class=\"origin\">confirmed writes kept: ").text(kept).raw("</p>\n");
        }
        page.raw("</section>\n</div>\n");
    }

    fn results(&self, page: &mut Markup) {
        page.raw("<section>\n<h2 id=\"results\">Results</h2>\n");
        let names = ["Subject", "Metric", "Verdict", "Actual", "Target", "Exactness", "Source"];
        page.table("Targets against what was reached, and where each figure comes from", &names);
        for objective in &self.objectives {
            let metrics = [("RTO", &objective.rto), ("RPO", &objective.rpo)];
            let lines = metrics.iter().map(|(_, comparison)| 1 + usize::from(comparison.clients.is_some())).sum::<usize>();
            for (name, comparison) in metrics {
                for (index, figure) in comparison.clients.iter().chain([&comparison.measured]).enumerate() {
                    page.raw(if index == 0 { "<tr>" } else { "<tr class=\"second\">" });
                    if name == "RTO" && index == 0 {
                        page.raw("<th scope=\"rowgroup\" rowspan=\"").text(lines).raw("\">").text(&objective.subject).raw("</th>");
                    }
                    page.cell(if index == 0 { name } else { "" });
                    page.raw("<td><b class=\"tag ").raw(class(figure.verdict)).raw("\">").text(figure.verdict.word()).raw("</b></td>");
                    page.raw("<td class=\"num\">").text(figure.words()).raw("</td>");
                    page.cell(if index == 0 { comparison.target.map_or("–".to_owned(), span) } else { String::new() });
                    page.raw("<td class=\"line\">").text(figure.exactness()).raw("</td><td class=\"wide\">").text(&figure.source);
                    if !figure.note.is_empty() {
                        page.raw(" <small>").text(&figure.note).raw("</small>");
                    }
                    page.raw("</td></tr>\n");
                }
            }
        }
        page.end_table();
        page.raw("</section>\n");
    }

    fn time(&self, page: &mut Markup) {
        let breakdown = &self.breakdown;
        let total = breakdown.total();
        page.raw("<section>\n<h2 id=\"time\">Where the time went</h2>\n<p>From the incident at ").text(moment(breakdown.from));
        page.raw(if breakdown.restored { " to the restoration at " } else { " to the close of the run (the service was not restored within it) at " });
        page.text(moment(breakdown.until)).raw(": <b>").text(exact(total)).raw("</b>. ");
        page.raw(if breakdown.exact { "AWS's own work is known exactly." } else { "AWS's part is what Muster saw by asking." }).raw("</p>\n");
        const CLASSES: [&str; 5] = ["p-detection", "p-decision", "p-aws", "p-dns", "p-overhead"];
        page.raw("<div class=\"bar\" aria-hidden=\"true\">");
        for ((_, part), class) in breakdown.parts().iter().zip(CLASSES).filter(|((_, part), _)| !part.is_zero()) {
            page.raw("<i class=\"").raw(class).raw("\" style=\"flex-grow:").text(part.as_millis()).raw("\"></i>");
        }
        page.raw("</div>\n<ul class=\"parts\">\n");
        for ((name, part), class) in breakdown.parts().iter().zip(CLASSES) {
            page.raw("<li><i class=\"")
                .raw(class)
                .raw("\"></i><span>")
                .text(name)
                .raw("</span><b>")
                .text(exact(*part))
                .raw("</b><em>")
                .text(share(*part, total))
                .raw("</em></li>\n");
        }
        page.raw("</ul>\n<p class=\"path\">Critical path: ").text(breakdown.critical_path.join(" → ")).raw("</p>\n</section>\n");
    }
}

fn card(page: &mut Markup, name: &'static str, comparison: &Comparison) {
    let figure = comparison.deciding();
    page.raw("<section class=\"card ").raw(class(figure.verdict)).raw("\">\n<h2>").raw(name).raw("</h2>\n<p class=\"figure\">").text(figure.words());
    page.raw("</p>\n<p class=\"against\"><b>").text(figure.verdict.word()).raw("</b> ");
    if let Some(target) = comparison.target {
        page.raw("target ").text(span(target));
    }
    page.raw("</p>\n");
    if let (Some(actual), Some(target)) = (figure.actual, comparison.target.filter(|target| !target.is_zero())) {
        let used = (u128::from(actual.as_millis()) * 1_000 / u128::from(target.as_millis())).min(1_000);
        page.raw("<p class=\"meter\" aria-hidden=\"true\"><i style=\"width:").text(format!("{}.{}%", used / 10, used % 10)).raw("\"></i></p>\n");
    }
    page.raw("<p class=\"origin\">").text(&figure.source);
    if figure.actual.is_some() {
        page.raw(", ").text(figure.exactness());
    }
    if !figure.note.is_empty() {
        page.raw("; ").text(&figure.note);
    }
    if comparison.clients.is_some() {
        page.raw("<br>as Muster measured it: ").text(comparison.measured.words());
        if comparison.measured.actual.is_some() {
            page.raw(", ").text(comparison.measured.exactness());
        }
    }
    page.raw("</p>\n</section>\n");
}

fn fact(page: &mut Markup, name: &str, value: &str) {
    page.raw("<div><dt>").text(name).raw("</dt><dd>").text(value).raw("</dd></div>\n");
}

/// The class of a verdict.
fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Unknown => "unknown",
        Verdict::NotApplicable => "none",
    }
}
