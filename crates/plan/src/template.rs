//! Values with references, such as `postgresql://{databases.portal-db.endpoint}:5432/app`.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A text in which `{section.name.attribute}` stands for something that is known only once it has been recovered.
///
/// A group in braces is a reference when it consists of letters, digits, hyphens and at least one dot, and no `$` stands before it;
/// everything else, such as JSON or a shell's `${HOME}`, is left as it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Template(pub String);

/// What a template refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The section of the plan, such as `databases`.
    pub section: String,
    /// The name in that section, such as `portal-db`.
    pub name: String,
    /// What is wanted of it, such as `endpoint`; `None` only in `{regions.standby}` and its like.
    pub attribute: Option<String>,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.attribute {
            Some(attribute) => write!(f, "{{{}.{}.{attribute}}}", self.section, self.name),
            None => write!(f, "{{{}.{}}}", self.section, self.name),
        }
    }
}

/// A reference that nothing resolves, or that has a wrong number of parts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` cannot be resolved: write {{section.name.attribute}}, such as {{databases.portal-db.endpoint}}")]
pub struct Unresolved {
    /// The reference, with its braces.
    pub text: String,
}

enum Piece<'a> {
    Literal(&'a str),
    Reference(&'a str),
}

impl Template {
    /// Every reference, in the order of its appearance. Those with a wrong number of parts are errors.
    pub fn references(&self) -> Vec<Result<Reference, Unresolved>> {
        self.pieces()
            .into_iter()
            .filter_map(|piece| match piece {
                Piece::Literal(_) => None,
                Piece::Reference(inside) => Some(parse(inside)),
            })
            .collect()
    }

    /// The text with every reference replaced by what `resolve` answers; an error names the first that it does not know.
    pub fn substitute(&self, mut resolve: impl FnMut(&Reference) -> Option<String>) -> Result<String, Unresolved> {
        let mut text = String::with_capacity(self.0.len());
        for piece in self.pieces() {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Reference(inside) => {
                    let reference = parse(inside)?;
                    text.push_str(&resolve(&reference).ok_or_else(|| Unresolved { text: reference.to_string() })?);
                }
            }
        }
        Ok(text)
    }

    fn pieces(&self) -> Vec<Piece<'_>> {
        let mut pieces = Vec::new();
        let mut rest = self.0.as_str();
        let mut from = 0;
        while let Some(open) = rest[from..].find('{').map(|at| from + at) {
            let inside = rest[open + 1..].find(['{', '}']).map(|length| &rest[open + 1..open + 1 + length]);
            let closed = inside.is_some_and(|inside| rest[open + 1 + inside.len()..].starts_with('}'));
            match inside.filter(|inside| closed && is_reference(inside) && !rest[..open].ends_with('$')) {
                Some(inside) => {
                    pieces.push(Piece::Literal(&rest[..open]));
                    pieces.push(Piece::Reference(inside));
                    rest = &rest[open + inside.len() + 2..];
                    from = 0;
                }
                None => from = open + 1,
            }
        }
        pieces.push(Piece::Literal(rest));
        pieces
    }
}

fn is_reference(inside: &str) -> bool {
    inside.contains('.')
        && inside.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'))
        && inside.starts_with(|c: char| c.is_ascii_alphabetic())
}

fn parse(inside: &str) -> Result<Reference, Unresolved> {
    let parts: Vec<&str> = inside.split('.').collect();
    let unresolved = Unresolved { text: format!("{{{inside}}}") };
    match parts.as_slice() {
        parts if parts.iter().any(|part| part.is_empty()) => Err(unresolved),
        [section, name] if *section == "regions" => Ok(Reference { section: (*section).to_owned(), name: (*name).to_owned(), attribute: None }),
        [section, name, attribute] => Ok(Reference { section: (*section).to_owned(), name: (*name).to_owned(), attribute: Some((*attribute).to_owned()) }),
        _ => Err(unresolved),
    }
}

impl JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "template"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        Template(text.to_owned()).references().into_iter().map(|found| found.map_or_else(|bad| format!("bad {}", bad.text), |good| good.to_string())).collect()
    }

    #[test]
    fn references_are_told_from_json_and_from_a_shells_variables() {
        assert_eq!(found("{databases.portal-db.endpoint}:{databases.portal-db.port}"), ["{databases.portal-db.endpoint}", "{databases.portal-db.port}"]);
        assert_eq!(found("in {regions.standby}"), ["{regions.standby}"]);
        assert_eq!(found("{databases.portal-db}"), ["bad {databases.portal-db}"]);
        assert_eq!(found("{a..b}"), ["bad {a..b}"]);
        for literal in ["", "{}", "{\"a\": 1.5}", "${db.host}", "{unclosed.a.b", "{{", "}{", "é{é.é.é}", "{1.5}", "${HOME}/{x}"] {
            assert_eq!(found(literal), Vec::<String>::new(), "{literal}");
            assert_eq!(Template(literal.to_owned()).substitute(|_| None), Ok(literal.to_owned()));
        }
    }

    #[test]
    fn substitution_replaces_every_reference_or_names_the_one_it_cannot() {
        let template = Template("postgresql://$(USER)@{databases.main.endpoint}:{databases.main.port}/{{x}".to_owned());
        let resolve = |reference: &Reference| match reference.attribute.as_deref() {
            Some("endpoint") => Some("db.example".to_owned()),
            Some("port") => Some("5432".to_owned()),
            _ => None,
        };
        assert_eq!(template.substitute(resolve).unwrap(), "postgresql://$(USER)@db.example:5432/{{x}");
        let error = Template("{caches.c.endpoin}".to_owned()).substitute(resolve).unwrap_err();
        assert_eq!(error.text, "{caches.c.endpoin}");
    }
}
