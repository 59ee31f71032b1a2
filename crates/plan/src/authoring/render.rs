//! Problems as a terminal shows them.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::diagnostic::{Diagnostic, Severity};

/// Every problem with its line, a caret, the reason and the way out; then a count. Empty where there is no problem.
///
/// `name` is the file's, as the operator wrote it; `source` is its content. Colours are ANSI escapes.
pub fn render(diagnostics: &[Diagnostic], name: &str, source: &str, color: bool) -> String {
    if diagnostics.is_empty() {
        return String::new();
    }
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut text = String::new();
    for diagnostic in diagnostics {
        text.push_str(&renderer.render(&[group(diagnostic, name, source)]));
        text.push_str("\n\n");
    }
    let count = |severity: Severity, word: &str| match diagnostics.iter().filter(|diagnostic| diagnostic.severity == severity).count() {
        0 => None,
        1 => Some(format!("1 {word}")),
        many => Some(format!("{many} {word}s")),
    };
    let counts: Vec<String> = [count(Severity::Error, "error"), count(Severity::Warning, "warning")].into_iter().flatten().collect();
    text.push_str(&format!("{name}: {}\n", counts.join(", ")));
    text
}

fn group<'a>(diagnostic: &'a Diagnostic, name: &'a str, source: &'a str) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let title = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code);
    let usable = |span: &std::ops::Range<usize>| source.get(span.clone()).is_some();
    let mut group = match diagnostic.span.clone().filter(usable) {
        Some(span) => {
            let primary = AnnotationKind::Primary.span(span).label(diagnostic.label.as_deref());
            let mut snippet = Snippet::source(source).path(name).annotation(primary);
            if let Some((second, label)) = diagnostic.second.as_ref().filter(|(second, _)| usable(second)) {
                snippet = snippet.annotation(AnnotationKind::Context.span(second.clone()).label(label.as_str()));
            }
            title.element(snippet)
        }
        None => Group::with_title(title).element(annotate_snippets::Origin::path(name)),
    };
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}
