//! Writes a sample report as JSON, Markdown and HTML: `cargo run -p muster-report --example sample -- target/sample`.
#![allow(clippy::unwrap_used)]

#[path = "../tests/sample/mod.rs"]
mod sample;

fn main() {
    let stem = std::env::args().nth(1).unwrap_or_else(|| "sample".to_owned());
    for (name, report) in [("rehearsed", sample::rehearsed()), ("measured", sample::measured()), ("backed-up", sample::backed_up())] {
        std::fs::write(format!("{stem}-{name}.json"), report.to_json()).unwrap();
        std::fs::write(format!("{stem}-{name}.md"), report.to_markdown()).unwrap();
        std::fs::write(format!("{stem}-{name}.html"), report.to_html()).unwrap();
    }
}
