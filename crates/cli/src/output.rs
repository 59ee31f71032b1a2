//! The only place that writes to a terminal or a pipe: results to stdout, progress and errors to stderr.
//!
//! Text comes with its colours; they are taken out where nobody would see them: not a terminal, or `NO_COLOR` is set.

use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};

/// The widest line that is written: it fits every terminal.
pub(crate) const WIDTH: usize = 80;

/// A promise kept.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// A promise broken.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// Something that people should look at.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// A person, or silence in their place.
pub(crate) const PEOPLE: Style = AnsiColor::Cyan.on_default();
/// A name or a heading.
pub(crate) const STRONG: Style = Style::new().bold();
/// What is there for completeness.
pub(crate) const QUIET: Style = Style::new().dimmed();
/// Neither.
pub(crate) const PLAIN: Style = Style::new();

/// The text in that style.
pub(crate) fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes a result.
pub(crate) fn result(text: &str) -> io::Result<()> {
    let mut stream = anstream::stdout().lock();
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// Writes progress or an error.
pub(crate) fn note(text: &str) -> io::Result<()> {
    let mut stream = anstream::stderr().lock();
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// Whether somebody watches the progress.
pub(crate) fn is_watched() -> bool {
    io::stderr().is_terminal()
}

/// Whether errors are shown in colour.
pub(crate) fn notes_have_color() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}
