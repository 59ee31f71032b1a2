//! Schemas of `core`'s text forms: `core` itself knows no schemas.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

macro_rules! text_form {
    ($name:ident, $title:literal, $schema:tt) => {
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $title.into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

text_form!(DurationText, "Duration", {"type": "string", "minLength": 2, "pattern": "^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$"});
text_form!(TimestampText, "Timestamp", {"type": "string", "format": "date-time"});
text_form!(RegionText, "Region", {"type": "string", "pattern": "^[a-z]{2,}(-[a-z]{2,})+-[0-9]{1,2}$"});
text_form!(PlaneText, "Plane", {"enum": ["control", "data"]});
text_form!(DigestText, "Digest", {"type": "string", "pattern": "^[0-9a-f]{64}$"});
