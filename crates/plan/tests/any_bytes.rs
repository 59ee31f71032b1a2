//! Whatever the loader is given, it answers: no panic, no endless loop, and a plan only where there is no error.
#![cfg(feature = "authoring")]

use muster_plan::{Plan, Severity, load, render};
use proptest::prelude::*;

const SHOP: &str = include_str!("plans/shop.yaml");

fn answers(bytes: &[u8]) {
    let loaded = load("any.yaml", bytes);
    let refused = loaded.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    assert_eq!(loaded.plan.is_none(), refused);
    if let Ok(source) = std::str::from_utf8(bytes) {
        for diagnostic in &loaded.diagnostics {
            assert!(diagnostic.span.as_ref().is_none_or(|span| source.get(span.clone()).is_some()), "{diagnostic:?} is not in the source");
        }
        render(&loaded.diagnostics, "any.yaml", source, true);
    }
    if let Some(plan) = loaded.plan {
        assert_eq!(Plan::from_canonical_json(plan.canonical_json().as_bytes()).ok(), Some(plan));
    }
}

/// The plan with some of its lines removed, repeated, moved, cut or replaced.
fn mutated() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        Just("- ".to_owned()),
        Just("{".to_owned()),
        Just("]".to_owned()),
        Just(": ".to_owned()),
        Just("&a ".to_owned()),
        Just("*a".to_owned()),
        Just("|\n".to_owned()),
        Just("? ".to_owned()),
        Just("\"".to_owned()),
        Just("---\n".to_owned()),
        Just("null".to_owned()),
        Just("{databases.orders}".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        "\\PC{0,8}",
    ];
    let change = (0..SHOP.len(), 0..40usize, pieces);
    proptest::collection::vec(change, 1..5).prop_map(|changes| {
        changes.into_iter().fold(SHOP.to_owned(), |mut source, (at, length, piece)| {
            let boundary = |source: &str, at: usize| (0..=at.min(source.len())).rev().find(|at| source.is_char_boundary(*at)).unwrap_or(0);
            let (start, end) = (boundary(&source, at), boundary(&source, at + length));
            source.replace_range(start..end.max(start), &piece);
            source
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        answers(&bytes);
    }

    #[test]
    fn arbitrary_text_is_answered(text in "[-?:,\\[\\]{}#&*!|>'\"%@` \na-c0-2.~]{0,120}") {
        answers(text.as_bytes());
    }

    #[test]
    fn a_plan_with_random_damage_is_answered(source in mutated()) {
        answers(source.as_bytes());
    }
}

#[test]
fn as_many_mistakes_as_fit_into_a_file_are_answered_soon() {
    let keys: String = (0..15_000).map(|index| format!("key{index}: 1\n")).collect();
    let items = format!("databases:\n{}", "- 1\n".repeat(50_000));
    let strange = format!("databases:\n{}", "- &a !b 1\n".repeat(25_000));
    let drills = format!("drills:\n{}", "- {name: a}\n".repeat(15_000));
    let nested = format!("service: {}{}", "{a: ".repeat(25), "b".repeat(500_000));
    let duplicates = "a: 1\n".repeat(25_000);
    for source in [keys, items, strange, drills, nested, duplicates] {
        let loaded = load("any.yaml", source.as_bytes());
        assert!(!loaded.diagnostics.is_empty() && loaded.diagnostics.len() <= 101);
        answers(source.as_bytes());
    }
}

#[test]
fn brackets_without_end_are_answered_soon() {
    for piece in ["[", "{", "- ", "? ", "{a: ", "!", "&a ", "'", "a: ", "\n", "\t", "|", "%", "*"] {
        answers(piece.repeat(200_000 / piece.len()).as_bytes());
    }
}
