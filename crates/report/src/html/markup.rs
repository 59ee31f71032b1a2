//! Writing HTML so that nothing from a plan or a ledger can become markup: literals go in as they are, everything else is escaped.

use std::fmt::{Display, Write};

/// Cells up to so many bytes are not broken: times, spans, counts.
const SHORT: usize = 14;

/// An HTML text under construction.
pub(crate) struct Markup(String);

/// Escapes what is written through it.
struct Escaping<'a>(&'a mut String);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                _ => self.0.push(letter),
            }
        }
        Ok(())
    }
}

impl Markup {
    pub(crate) fn new() -> Self {
        Markup(String::with_capacity(65_536))
    }

    /// A literal of this crate: only those live for ever.
    pub(crate) fn raw(&mut self, literal: &'static str) -> &mut Self {
        self.0.push_str(literal);
        self
    }

    /// A value, escaped for text and for quoted attributes.
    pub(crate) fn text(&mut self, value: impl Display) -> &mut Self {
        // Writing to a String cannot fail.
        let _ = write!(Escaping(&mut self.0), "{value}");
        self
    }

    /// Begins a table that scrolls in its own box.
    pub(crate) fn table(&mut self, caption: &'static str, names: &[&'static str]) {
        self.raw("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"").text(caption).raw("\">\n<table>\n<caption><span>").raw(caption);
        self.raw("</span></caption>\n<thead><tr>");
        for name in names {
            self.raw("<th scope=\"col\">").raw(name).raw("</th>");
        }
        self.raw("</tr></thead>\n<tbody>\n");
    }

    /// Ends a table.
    pub(crate) fn end_table(&mut self) {
        self.raw("</tbody>\n</table>\n</div>\n");
    }

    /// A cell.
    pub(crate) fn cell(&mut self, value: impl Display) -> &mut Self {
        self.raw("<td>").text(value).raw("</td>")
    }

    /// A whole table, or a sentence where it would be empty.
    pub(crate) fn rows(&mut self, caption: &'static str, names: &[&'static str], rows: impl Iterator<Item = Vec<String>>, none: &'static str) {
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            self.raw("<p>").raw(none).raw("</p>\n");
            return;
        }
        self.table(caption, names);
        for row in rows {
            self.raw("<tr>");
            for (index, value) in row.iter().enumerate() {
                if index == 0 {
                    self.raw("<th scope=\"row\">").text(value).raw("</th>");
                } else if value.len() <= SHORT {
                    self.raw("<td class=\"line\">").text(value).raw("</td>");
                } else {
                    self.cell(value);
                }
            }
            self.raw("</tr>\n");
        }
        self.end_table();
    }

    /// A heading that begins a section.
    pub(crate) fn section(&mut self, id: &'static str, title: &'static str) {
        self.raw("<section>\n<h2 id=\"").raw(id).raw("\">").raw(title).raw("</h2>\n");
    }

    /// Ends a section.
    pub(crate) fn end_section(&mut self) {
        self.raw("</section>\n");
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}
