//! The form of plans: each kind of bad input has an error of its own, at its line, with what to write instead.
#![cfg(feature = "authoring")]

use muster_plan::{MAX_FILE_BYTES, Severity, load, render, schema};

const SHOP: &str = include_str!("plans/shop.yaml");

fn changed(from: &str, to: &str) -> String {
    assert_eq!(SHOP.matches(from).count(), 1, "`{from}` has to be in the plan once");
    SHOP.replacen(from, to, 1)
}

/// A case: what it is, the source, and the codes that it has to bring about.
type Case = (&'static str, String, &'static [&'static str]);

fn cases() -> Vec<Case> {
    vec![
        ("an empty file", String::new(), &["empty"]),
        ("nothing but comments", "# to be written\n".to_owned(), &["empty"]),
        ("not YAML", changed("  - name: orders\n", "  - name: orders\n   kind: {\n"), &["not-yaml"]),
        ("a tab", changed("    engine: postgres", "\tengine: postgres"), &["not-yaml"]),
        ("a list instead of a plan", "- service: shop\n".to_owned(), &["wrong-type"]),
        ("prose instead of a plan", "the shop is important\n".to_owned(), &["wrong-type"]),
        ("an unknown key", changed("    backupRetention: 7d", "    colour: red"), &["unknown-key"]),
        ("a misspelt key", changed("    backupRetention: 7d", "    backupRetenton: 7d"), &["unknown-key"]),
        ("a misspelt key that is needed", changed("    standby: {kind: replica", "    stanby: {kind: replica"), &["unknown-key"]),
        ("a key in the wrong case", changed("backupRetention: 7d", "backup_retention: 7d"), &["unknown-key"]),
        ("a key of another kind", changed("id: shop-orders-replica}", "id: shop-orders-replica, maxAge: 1h}"), &["unknown-key"]),
        ("a missing key", changed("    kind: rdsInstance\n", ""), &["missing-key"]),
        ("a missing kind", changed("{kind: replica, id:", "{id:"), &["missing-key"]),
        ("an unknown kind", changed("kind: replica,", "kind: replicas,"), &["unknown-word"]),
        ("an unknown word", changed("engine: postgres", "engine: oracle"), &["unknown-word"]),
        ("a key without a value", changed("    engine: postgres", "    engine:"), &["no-value"]),
        ("a duplicate key", changed("    engine: postgres", "    engine: postgres\n    engine: mysql"), &["duplicate-key"]),
        ("an alias", changed("objectives: {rto: 10m, rpo: 5m}", "objectives: *same"), &["alias"]),
        (
            "an anchor and its alias",
            changed("objectives: {rto: 30m, rpo: 5m}", "objectives: &same {rto: 30m, rpo: 5m}").replace("objectives: {rto: 10m, rpo: 5m}", "objectives: *same"),
            &["anchor", "alias"],
        ),
        ("a tag", changed("engine: postgres", "engine: !secret postgres"), &["tag"]),
        ("two documents", format!("{SHOP}---\nservice: other\n"), &["several-documents"]),
        ("nested too deep", format!("service: {}", "[".repeat(40)), &["too-deep"]),
        ("a list as a key", changed("value: \"{databases.orders.endpoint}\"", "value: {{databases.orders.endpoint}: x}"), &["wrong-type", "not-a-key"]),
        ("a reference without quotes", changed("\"{databases.orders.endpoint}\"", "{databases.orders.endpoint}"), &["wrong-type"]),
        ("a zero duration", changed("rto: 30m", "rto: 0s"), &["not-positive"]),
        ("a negative duration", changed("for: 3m", "for: -3m"), &["not-positive"]),
        ("a duration without a unit", changed("window: 15m", "window: 15"), &["malformed"]),
        ("a duration with a wrong unit", changed("window: 15m", "window: 15min"), &["malformed"]),
        ("a zone instead of a region", changed("standby: us-west-2,", "standby: us-west-2a,"), &["malformed"]),
        ("a name with capitals", changed("  - name: orders", "  - name: Orders"), &["malformed"]),
        ("an empty text", changed("primary: shop-orders\n", "primary: \"\"\n"), &["malformed"]),
        ("an address without its scheme", changed("\"https://shop.example.com/health\"", "shop.example.com/health"), &["malformed"]),
        ("a schedule in local time", changed("first Monday 02:00 UTC", "first Monday 02:00 CET"), &["malformed"]),
        ("a schedule on a day that some months lack", changed("first Monday 02:00 UTC", "day 31 02:00 UTC"), &["malformed"]),
        ("a fraction", changed("desired: 4", "desired: 4.5"), &["wrong-type"]),
        ("a count below zero", changed("desired: 4", "desired: -4"), &["out-of-range"]),
        ("a count that does not fit", changed("desired: 4", "desired: 4294967296"), &["out-of-range"]),
        ("a mapping instead of a list", changed("caches:\n  - name: sessions", "caches:\n    name: sessions"), &["wrong-type"]),
        (
            "several at once",
            changed("engine: postgres", "engine: oracle")
                .replace("rto: 30m", "rto: soon")
                .replace("decide:", "decides:")
                .replace("otherwise: abort", "otherwise: ignore"),
            &["unknown-word", "malformed", "unknown-key", "unknown-word"],
        ),
    ]
}

#[test]
fn every_kind_of_bad_input_has_an_error_of_its_own() {
    let mut shown = String::new();
    let mut wrong = String::new();
    for (case, source, codes) in cases() {
        let loaded = load("plans/shop.yaml", source.as_bytes());
        let found: Vec<&str> = loaded.diagnostics.iter().map(|diagnostic| diagnostic.code).collect();
        let rendered = render(&loaded.diagnostics, "plans/shop.yaml", &source, false);
        if found != codes {
            wrong.push_str(&format!("=== {case}: {found:?} instead of {codes:?}\n{rendered}\n"));
        }
        assert!(loaded.plan.is_none(), "{case}");
        shown.push_str(&format!("=== {case}\n\n{rendered}\n"));
    }
    assert!(wrong.is_empty(), "{wrong}");
    insta::assert_snapshot!("form", shown);
}

#[test]
fn the_plan_that_the_cases_are_made_of_is_itself_sound() {
    let loaded = load("plans/shop.yaml", SHOP.as_bytes());
    assert_eq!(render(&loaded.diagnostics, "plans/shop.yaml", SHOP, false), "");
    assert!(loaded.plan.is_some());
}

#[test]
fn a_file_that_is_too_large_is_refused_before_it_is_read() {
    let mut source = SHOP.to_owned();
    source.push_str(&"#".repeat(MAX_FILE_BYTES + 1 - source.len()));
    let loaded = load("huge.yaml", source.as_bytes());
    assert_eq!(loaded.diagnostics.len(), 1);
    insta::assert_snapshot!(render(&loaded.diagnostics, "huge.yaml", &source, false), @r"
    error[too-large]: huge.yaml has 4194305 bytes, and a plan at most 4194304
    --> huge.yaml
     = help: one plan describes one service: split it, or look whether this is a plan at all

    huge.yaml: 1 error
    ");
    source.pop();
    assert!(load("large.yaml", source.as_bytes()).plan.is_some());
}

#[test]
fn bytes_that_are_no_text_are_named_by_their_line() {
    let loaded = load("shop.yaml", b"service: shop\nregions: \xff\xfe\n");
    insta::assert_snapshot!(render(&loaded.diagnostics, "shop.yaml", "", false), @r"
    error[not-utf8]: shop.yaml is not UTF-8: line 2 holds bytes that are no text
    --> shop.yaml
     = help: save the file as UTF-8, without a byte-order mark

    shop.yaml: 1 error
    ");
}

#[test]
fn line_and_column_count_characters_also_behind_wide_ones() {
    let source = changed("strategy: Replica", "strategy: Réplique ☂, recoverdBy: []");
    let loaded = load("shop.yaml", source.as_bytes());
    let diagnostic = loaded.diagnostics.iter().find(|diagnostic| diagnostic.message.contains("recoverdBy")).unwrap();
    let line = source.lines().nth(diagnostic.line - 1).unwrap();
    assert!(line.chars().skip(diagnostic.column - 1).collect::<String>().starts_with("recoverdBy"));
    assert_eq!(&source[diagnostic.span.clone().unwrap()], "recoverdBy");
    assert_eq!(diagnostic.path, "components[0].recoverdBy");
    assert_eq!(diagnostic.severity, Severity::Error);
}

#[test]
fn windows_line_ends_change_nothing() {
    let loaded = load("shop.yaml", SHOP.replace('\n', "\r\n").as_bytes());
    assert_eq!(loaded.diagnostics, []);
    assert_eq!(loaded.plan.map(|plan| plan.digest()), load("shop.yaml", SHOP.as_bytes()).plan.map(|plan| plan.digest()));
}

#[test]
fn the_schema_that_editors_use_is_the_one_of_the_types() {
    let committed = include_str!("../../../schema/plan.schema.json");
    let generated = format!("{:#}\n", schema());
    assert!(committed == generated, "the types changed: cargo run -p muster-plan --features authoring --example schema > schema/plan.schema.json");
}

#[test]
fn every_key_of_the_schema_has_a_description() {
    fn look(path: &str, schema: &serde_json::Value, missing: &mut Vec<String>) {
        if let Some(properties) = schema.get("properties").and_then(serde_json::Value::as_object) {
            for (key, property) in properties {
                let constant = property.get("const").is_some();
                if property.get("description").is_none() && !constant {
                    missing.push(format!("{path}/{key}"));
                }
            }
        }
        let inside = schema.as_object().into_iter().flatten().filter(|(key, _)| *key != "if");
        inside.for_each(|(key, value)| look(&format!("{path}/{key}"), value, missing));
        schema.as_array().into_iter().flatten().enumerate().for_each(|(index, value)| look(&format!("{path}/{index}"), value, missing));
    }
    let mut missing = Vec::new();
    look("", &schema(), &mut missing);
    assert_eq!(missing, Vec::<String>::new());
}
