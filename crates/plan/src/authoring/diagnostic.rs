//! One problem with a plan: where it is, why it is one, and what to write instead.

use std::fmt;
use std::ops::Range;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The plan cannot be used.
    Error,
    /// The plan can be used, but does not do what its author may think.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

/// One problem with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Its stable name, such as `unknown-key`, for documentation and for tools.
    pub code: &'static str,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What is said at the place itself.
    pub label: Option<String>,
    /// Why that matters and what to write instead.
    pub help: Option<String>,
    /// The bytes of the source that it is about; `None` where it is about the file as a whole.
    pub span: Option<Range<usize>>,
    /// A second place that belongs to it, and what is said there.
    pub second: Option<(Range<usize>, String)>,
    /// The line, from 1; 0 where it is about the file as a whole.
    pub line: usize,
    /// The column, in characters, from 1; 0 where it is about the file as a whole.
    pub column: usize,
    /// The path in the plan, such as `databases[0].standby`; empty where there is none.
    pub path: String,
}

impl Diagnostic {
    pub(crate) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            label: None,
            help: None,
            span: None,
            second: None,
            line: 0,
            column: 0,
            path: String::new(),
        }
    }

    pub(crate) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, message) }
    }

    pub(crate) fn at(mut self, span: Range<usize>) -> Self {
        self.span = Some(span);
        self
    }

    pub(crate) fn also(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.second = Some((span, label.into()));
        self
    }

    pub(crate) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Names the path, given as a JSON pointer.
    pub(crate) fn of(mut self, pointer: &str) -> Self {
        self.path = dotted(pointer);
        self
    }

    /// Fills in line and column.
    pub(crate) fn locate(&mut self, source: &str) {
        if let Some(span) = &self.span {
            let before = source.get(..span.start).unwrap_or(source);
            let line_start = before.rfind('\n').map_or(0, |at| at + 1);
            self.line = before.matches('\n').count() + 1;
            self.column = before[line_start..].chars().count() + 1;
        }
    }
}

/// `/databases/0/standby` as people write it: `databases[0].standby`.
pub(crate) fn dotted(pointer: &str) -> String {
    let mut text = String::new();
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        if segment.bytes().all(|b| b.is_ascii_digit()) && !segment.is_empty() {
            text.push_str(&format!("[{segment}]"));
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&segment);
        }
    }
    text
}
