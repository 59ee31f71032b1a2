//! YAML to JSON, remembering where everything stood. One pass over the parser's events, with a stack of its own: input decides neither
//! the depth of a recursion nor the size of what is built.

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, SpannedEventReceiver};
use serde_json::{Map, Number, Value};

use super::diagnostic::Diagnostic;
use super::load::MAX_DIAGNOSTICS;

/// The deepest nesting that is read. The deepest plan has ten levels.
const MAX_DEPTH: usize = 32;

/// A document, and where each of its parts stands.
pub(crate) struct Document {
    /// The document as JSON. A duplicate key's second value is left out.
    pub(crate) value: Value,
    /// By JSON pointer.
    pub(crate) places: BTreeMap<String, Place>,
}

/// Where something stands, in bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Place {
    /// Its key, where it has one.
    pub(crate) key: Option<Range<usize>>,
    /// Its value; of a list or a mapping, its beginning.
    pub(crate) value: Range<usize>,
}

impl Document {
    /// The best place to point at for a path: its value, or its key, or what it is in.
    pub(crate) fn span_of(&self, pointer: &str) -> Range<usize> {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.places.get(pointer) {
                let scalar = !place.value.is_empty() && !matches!(self.value.pointer(pointer), Some(Value::Object(_) | Value::Array(_)));
                return if scalar { place.value.clone() } else { place.key.clone().unwrap_or(place.value.clone()) };
            }
            match pointer.rfind('/') {
                Some(at) => pointer = &pointer[..at],
                None => return 0..0,
            }
        }
    }

    /// The place of the key itself.
    pub(crate) fn span_of_key(&self, pointer: &str) -> Range<usize> {
        self.places.get(pointer).and_then(|place| place.key.clone()).unwrap_or_else(|| self.span_of(pointer))
    }
}

/// A key as one segment of a JSON pointer.
pub(crate) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Reads one document. Problems are collected; a document comes back wherever there is one.
pub(crate) fn read(source: &str) -> (Option<Document>, Vec<Diagnostic>) {
    let mut builder = Builder {
        offsets: source.char_indices().map(|(at, _)| at).chain([source.len()]).collect(),
        source,
        open: Vec::new(),
        root: None,
        documents: 0,
        places: BTreeMap::new(),
        problems: Vec::new(),
        stopped: false,
    };
    let mut parser = Parser::new_from_str(source);
    loop {
        match parser.next_event() {
            Some(Ok((Event::StreamEnd, _))) | None => break,
            Some(Ok((event, span))) => builder.on_event(event, span),
            Some(Err(error)) => {
                let at = builder.byte(error.marker().index());
                let span = at..builder.line_end(at);
                builder.problems.push(if error.info().contains("unknown anchor") { alias(span) } else { not_yaml(error.info(), span) });
                builder.stopped = true;
            }
        }
        if builder.stopped || builder.problems.len() > MAX_DIAGNOSTICS {
            return (None, builder.problems);
        }
    }
    let document = builder.root.map(|value| Document { value, places: builder.places });
    (document, builder.problems)
}

fn not_yaml(info: &str, span: Range<usize>) -> Diagnostic {
    let help = if info.contains("tab") {
        "indent with spaces: YAML allows no tabs"
    } else {
        "check the indentation, and quote texts that hold `: `, `#`, `{`, `[`, `*` or `&`"
    };
    Diagnostic::error("not-yaml", format!("this is not YAML: {info}")).at(span).label("the reader stopped here").help(help)
}

fn alias(span: Range<usize>) -> Diagnostic {
    Diagnostic::error("alias", "a plan uses no YAML aliases")
        .at(span)
        .label("this stands for something written elsewhere")
        .help("write it out; where the `*` is meant as text, quote it")
}

struct Builder<'a> {
    source: &'a str,
    /// The byte offset of each character: the parser counts characters.
    offsets: Vec<usize>,
    open: Vec<Container>,
    root: Option<Value>,
    documents: usize,
    places: BTreeMap<String, Place>,
    problems: Vec<Diagnostic>,
    stopped: bool,
}

struct Container {
    pointer: String,
    kind: Kind,
}

enum Kind {
    List(Vec<Value>),
    Mapping {
        entries: Map<String, Value>,
        key: Option<Key>,
        skip: bool,
    },
    /// Something that stands where only a key can.
    Ignored,
}

struct Key {
    text: String,
    span: Range<usize>,
}

impl Builder<'_> {
    fn byte(&self, index: usize) -> usize {
        self.offsets.get(index).copied().unwrap_or(self.source.len())
    }

    fn bytes(&self, span: Span) -> Range<usize> {
        let start = self.byte(span.start.index());
        let end = self.byte(span.end.index()).max(start);
        let text = &self.source[start..end];
        // A block text's span runs over the following white space, and a long one is pointed at by its first line.
        let first_line = text.lines().next().unwrap_or("").trim_end();
        start..start + first_line.len()
    }

    fn line_end(&self, at: usize) -> usize {
        self.source[at..].find('\n').map_or(self.source.len(), |length| at + length)
    }

    fn refuse_anchor(&mut self, anchor: usize, span: &Range<usize>) {
        if anchor > 0 {
            self.problems.push(
                Diagnostic::error("anchor", "a plan uses no YAML anchors")
                    .at(span.clone())
                    .label("this has an anchor (`&name`)")
                    .help("delete the anchor, and write out what it stands for where it is used: a plan says everything in its place"),
            );
        }
    }

    fn refuse_tag(&mut self, tagged: bool, span: &Range<usize>) {
        if tagged {
            self.problems.push(Diagnostic::error("tag", "a plan uses no YAML tags").at(span.clone()).label("this has a tag (`!name`)").help("delete the tag"));
        }
    }

    /// Where the next value goes.
    fn next_pointer(&self) -> String {
        match self.open.last() {
            None => String::new(),
            Some(Container { pointer, kind: Kind::List(items) }) => format!("{pointer}/{}", items.len()),
            Some(Container { pointer, kind: Kind::Mapping { key: Some(key), .. } }) => format!("{pointer}/{}", escape(&key.text)),
            Some(Container { pointer, .. }) => pointer.clone(),
        }
    }

    /// True where the next event is a mapping's key, and not a value.
    fn expects_key(&self) -> bool {
        matches!(self.open.last(), Some(Container { kind: Kind::Mapping { key: None, .. }, .. }))
    }

    fn take_key(&mut self, text: String, span: Range<usize>) {
        let Some(Container { pointer, kind: Kind::Mapping { entries, key, skip } }) = self.open.last_mut() else { return };
        if entries.contains_key(&text) {
            let first = self.places.get(&format!("{pointer}/{}", escape(&text))).and_then(|place| place.key.clone());
            let mut problem = Diagnostic::error("duplicate-key", format!("`{text}` is written twice"))
                .at(span.clone())
                .label("the second one")
                .help("keep one of the two: which would win is not for a parser to decide");
            if let Some(first) = first {
                problem = problem.also(first, "the first one");
            }
            self.problems.push(problem);
            *skip = true;
        }
        *key = Some(Key { text, span });
    }

    fn take_value(&mut self, pointer: &str, value: Value, span: Range<usize>) {
        match self.open.last_mut().map(|container| &mut container.kind) {
            None => {
                self.places.insert(pointer.to_owned(), Place { key: None, value: span });
                self.root.get_or_insert(value);
            }
            Some(Kind::List(items)) => {
                items.push(value);
                self.places.insert(pointer.to_owned(), Place { key: None, value: span });
            }
            Some(Kind::Mapping { entries, key, skip }) => {
                let (key, skipped) = (key.take(), std::mem::take(skip));
                if let (Some(key), false) = (key, skipped) {
                    entries.insert(key.text, value);
                    self.places.insert(pointer.to_owned(), Place { key: Some(key.span), value: span });
                }
            }
            Some(Kind::Ignored) => {}
        }
    }

    fn open(&mut self, kind: Kind, anchor: usize, tagged: bool, span: &Range<usize>) {
        self.refuse_anchor(anchor, span);
        self.refuse_tag(tagged, span);
        if self.open.len() >= MAX_DEPTH {
            self.problems.push(
                Diagnostic::error("too-deep", format!("this is nested more than {MAX_DEPTH} levels deep"))
                    .at(span.clone())
                    .help("no plan needs that: look for brackets that are never closed"),
            );
            self.stopped = true;
            return;
        }
        let kind = if self.expects_key() {
            self.problems.push(
                Diagnostic::error("not-a-key", "a key must be a word, not a list or a mapping")
                    .at(span.clone())
                    .help("quote it where braces or brackets are meant as text: \"{databases.portal-db.endpoint}\""),
            );
            Kind::Ignored
        } else {
            kind
        };
        let pointer = self.next_pointer();
        self.open.push(Container { pointer, kind });
    }

    fn close(&mut self, span: &Range<usize>) {
        let Some(Container { pointer, kind }) = self.open.pop() else { return };
        // The place of a list or a mapping is where it began: its first entry, or where it is written if it has none.
        let begin = |first: Option<&Place>| first.map_or(span.start..span.start, |place| place.key.clone().unwrap_or(place.value.clone()));
        match kind {
            Kind::List(items) => {
                let span = begin(self.places.get(&format!("{pointer}/0")));
                self.take_value(&pointer, Value::Array(items), span);
            }
            Kind::Mapping { entries, .. } => {
                let prefix = format!("{pointer}/");
                let inside = self.places.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
                let first = inside.map(|(_, place)| place).filter(|place| place.key.is_some()).min_by_key(|place| place.key.clone().map(|key| key.start));
                let span = begin(first);
                self.take_value(&pointer, Value::Object(entries), span);
            }
            Kind::Ignored => self.take_key(String::new(), span.clone()),
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Range<usize>) {
        if self.expects_key() {
            return self.take_key(text.to_owned(), span);
        }
        let value = if style == ScalarStyle::Plain { plain(text) } else { Value::from(text) };
        let pointer = self.next_pointer();
        self.take_value(&pointer, value, span);
    }
}

impl<'input> SpannedEventReceiver<'input> for Builder<'_> {
    fn on_event(&mut self, event: Event<'input>, span: Span) {
        let span = self.bytes(span);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents == 2 {
                    self.problems.push(
                        Diagnostic::error("several-documents", "the file holds more than one document")
                            .at(span)
                            .label("the second one begins here")
                            .help("one file, one service, one plan: move the second document into a file of its own"),
                    );
                    self.stopped = true;
                }
            }
            Event::Alias(_) => {
                self.problems.push(alias(span.clone()));
                self.scalar("", ScalarStyle::Plain, span);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_anchor(anchor, &span);
                self.refuse_tag(tag.is_some(), &span);
                self.scalar(&text, style, span);
            }
            Event::SequenceStart(anchor, tag) => self.open(Kind::List(Vec::new()), anchor, tag.is_some(), &span),
            Event::MappingStart(anchor, tag) => {
                self.open(Kind::Mapping { entries: Map::new(), key: None, skip: false }, anchor, tag.is_some(), &span);
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(&span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
    }
}

/// A text without quotes, as YAML 1.2's core schema reads it. `yes`, `no`, `on` and `off` are texts, as is `0x10`.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    // A leading zero is part of an identifier, such as a shard's 0001, and not of a number.
    if is_number
        && (digits.len() == 1 || !digits.starts_with('0'))
        && let Ok(number) = text.parse::<i64>()
    {
        return Value::Number(Number::from(number));
    }
    Value::from(text)
}
