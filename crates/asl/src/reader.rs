//! Reads Rust types straight from the interpreter's data, without writing it as `serde_json` values first.

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::Error;

use crate::value::Value;

/// A value as serde's source. It reads as `serde_json` reads the same JSON: a whole number is an integer.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a Value);

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => {
                if *number < 0.0 {
                    visitor.visit_i64(*number as i64)
                } else {
                    visitor.visit_u64(*number as u64)
                }
            }
            Value::Number(number) => visitor.visit_f64(*number),
            Value::String(text) => visitor.visit_borrowed_str(text),
            Value::Array(items) => {
                let mut items = SeqDeserializer::new(items.iter().map(Reader));
                let read = visitor.visit_seq(&mut items)?;
                items.end()?;
                Ok(read)
            }
            Value::Object(fields) => {
                let mut fields = fields_of(fields);
                let read = visitor.visit_map(&mut fields)?;
                fields.end()?;
                Ok(read)
            }
            _ => visitor.visit_unit(),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null | Value::Undefined => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(self, _: &'static str, _: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) => visitor.visit_enum(BorrowedStrDeserializer::<Error>::new(text)),
            Value::Object(fields) if fields.len() == 1 => visitor.visit_enum(MapAccessDeserializer::new(fields_of(fields))),
            _ => Err(Error::custom("a variant's name was expected, or an object with it as its only field")),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

type Fields<'de, I> = MapDeserializer<'de, I, Error>;

fn fields_of<'de>(fields: &'de jsonata_core::value::JMap) -> Fields<'de, impl Iterator<Item = (BorrowedStrDeserializer<'de, Error>, Reader<'de>)>> {
    MapDeserializer::new(fields.iter().map(|(name, field)| (BorrowedStrDeserializer::new(name), Reader(field))))
}

impl<'de> IntoDeserializer<'de, Error> for Reader<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::value;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Sample {
        whole: u64,
        negative: i32,
        fraction: f64,
        text: String,
        maybe: Option<bool>,
        #[serde(default)]
        absent: Option<Vec<String>>,
        plain: Plain,
        tagged: Vec<Tagged>,
        outer: Outer,
        wrapped: Wrapped,
        any: serde_json::Value,
        named: BTreeMap<String, u8>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Plain {
        First,
        SecondOne,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "kind", rename_all = "camelCase")]
    enum Tagged {
        Some { number: u8 },
        Other,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    enum Outer {
        Held { by: String },
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Wrapped(u16);

    const SAMPLE: &str = r#"{"whole":7,"negative":-7,"fraction":2.5,"text":"é\n","maybe":null,"plain":"secondOne",
        "tagged":[{"kind":"some","number":255},{"kind":"other"}],"outer":{"held":{"by":"x"}},"wrapped":9,
        "any":{"b":[1,-1,1.5,true,null,"x"],"a":{}},"named":{"x":1}}"#;

    #[test]
    fn what_is_read_is_what_serde_json_reads_from_the_same_text() {
        let value = Value::from_json_str(SAMPLE).unwrap();
        let read = Sample::deserialize(Reader(&value)).unwrap();
        assert_eq!(read, serde_json::from_str(SAMPLE).unwrap());
        assert_eq!(read.any.to_string(), value::to_json(&value)["any"].to_string());
    }

    #[test]
    fn what_serde_json_refuses_is_refused() {
        for wrong in [
            SAMPLE.replace("\"whole\":7", "\"whole\":-7"),
            SAMPLE.replace("\"whole\":7", "\"whole\":7.5"),
            SAMPLE.replace("\"whole\":7", "\"unknown\":7"),
            SAMPLE.replace("255", "256"),
            SAMPLE.replace("secondOne", "third"),
            SAMPLE.replace("{\"held\":{\"by\":\"x\"}}", "7"),
            SAMPLE.replace("{\"x\":1}", "[]"),
        ] {
            let value = Value::from_json_str(&wrong).unwrap();
            assert!(serde_json::from_str::<Sample>(&wrong).is_err(), "{wrong}");
            assert!(Sample::deserialize(Reader(&value)).is_err(), "{wrong}");
        }
    }
}
