//! What would make a compiler or a validator work for ever is refused by its shape, before anything works on it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fmt::Write as _;

use common::{Made, engine};
use serde_json::{Value, json};
use vigil_policy::LoadFault;

/// A component that exports what a policy does, with `inside` before it: what is refused is refused by its shape.
fn component(inside: &str) -> Vec<u8> {
    let text = format!(
        r#"(component {inside} (instance $decider)
             (export "vigil:policy/decider@0.1.0" (instance $decider)))"#
    );
    wat::parse_str(text).unwrap()
}

/// `levels` components, each of which instantiates the one before it twice.
fn doubling(levels: usize) -> String {
    let mut text = "(component $c0 (core module $m) (core instance (instantiate $m)))".to_owned();
    for level in 1..=levels {
        let before = level - 1;
        write!(
            text,
            "(component $c{level} (alias outer 1 $c{before} (component $b)) (instance (instantiate $b)) (instance (instantiate $b)))"
        )
        .unwrap();
    }
    write!(text, "(instance (instantiate $c{levels}))").unwrap();
    text
}

/// The same, each component within the next one.
fn nested_doubling(levels: usize) -> String {
    let mut text = "(core module $m) (core instance (instantiate $m))".to_owned();
    for _ in 0..levels {
        text = format!(
            "(component $c {text}) (instance (instantiate $c)) (instance (instantiate $c))"
        );
    }
    text
}

fn times(count: usize, what: &str) -> String {
    what.repeat(count)
}

#[test]
fn what_a_compiler_would_never_end_with_is_refused_by_its_shape() {
    let engine = engine();
    for (name, inside, what, found) in [
        ("siblings that double", doubling(30), "instances", None),
        (
            "just beyond the limit",
            doubling(9),
            "instances",
            // 2^9 of the innermost module, and 2^10 - 2 of the components around it.
            Some((1 << 9) + (1 << 10) - 2),
        ),
        (
            "components within each other that double",
            nested_doubling(14),
            "instances",
            None,
        ),
        (
            "components within each other",
            (0..16).fold(String::new(), |text, _| format!("(component {text})")),
            "components inside one another",
            Some(17),
        ),
        (
            "many modules",
            times(257, "(core module)"),
            "core modules",
            Some(257),
        ),
        (
            "many instances",
            format!(
                "(core module $m) {}",
                times(1_001, "(core instance (instantiate $m))")
            ),
            "instances",
            // And the decider that every one of these has.
            Some(1_002),
        ),
        (
            "many functions",
            format!("(core module {})", times(100_001, "(func)")),
            "functions",
            Some(100_001),
        ),
        (
            "many functions in several modules",
            times(2, &format!("(core module {})", times(60_000, "(func)"))),
            "functions",
            Some(120_000),
        ),
        (
            "many types",
            format!("(core module {})", times(50_001, "(type (func))")),
            "types",
            Some(50_001),
        ),
        (
            "a long function",
            format!(
                "(core module (func {}))",
                times((512 << 10) / 3 + 1, "(drop (i32.const 0))")
            ),
            "bytes in one function",
            None,
        ),
    ] {
        let refused = engine
            .load("mine", &component(&inside), &Value::Null)
            .expect_err(name);
        match &refused.fault {
            LoadFault::TooMuch {
                what: counted,
                found: count,
                max,
            } => {
                assert_eq!(*counted, what, "{name}");
                assert!(count > max, "{name}");
                assert!(found.is_none_or(|found| found == *count), "{name}: {count}");
            }
            other => panic!("{name}: {other}"),
        }
        assert!(refused.to_string().contains(what), "{refused}");
    }
}

#[test]
fn what_nobody_can_count_is_refused() {
    let engine = engine();
    for inside in [
        // A component as an argument of another one.
        "(component $a) (component $b (import \"x\" (component))) (instance (instantiate $b (with \"x\" (component $a))))",
        // One that is taken out of an instance.
        "(component $a (component $x) (export \"x\" (component $x))) (instance $i (instantiate $a)) (alias export $i \"x\" (component $y)) (instance (instantiate $y))",
    ] {
        let refused = engine
            .load("mine", &component(inside), &Value::Null)
            .unwrap_err();
        assert_eq!(refused.fault, LoadFault::ComponentAsArgument, "{refused}");
    }
}

#[test]
fn no_name_makes_an_error_that_nobody_can_read() {
    let long = "a".repeat(50_000);
    let mut exports = String::from("(component (instance $i)");
    for nth in 0..20 {
        write!(exports, "(export \"{long}{nth}\" (instance $i))").unwrap();
    }
    let import = format!(
        "(component (import \"{long}\" (instance)) (instance $i) (export \"vigil:policy/decider@0.1.0\" (instance $i)))"
    );
    for text in [format!("{exports})"), import] {
        let bytes = wat::parse_str(text).unwrap();
        let refused = engine().load("mine", &bytes, &Value::Null).unwrap_err();
        assert!(refused.to_string().len() < 4_000);
    }
}

#[test]
fn what_tools_build_is_within_the_bounds() {
    // Composed and exported components are counted as what they are, not refused.
    let engine = engine();
    for inside in [
        doubling(7),
        nested_doubling(5),
        times(200, "(core module)"),
        "(component (component $a) (export $b \"b\" (component $a)) (instance (instantiate $b)))"
            .to_owned(),
    ] {
        let refused = engine
            .load("mine", &component(&inside), &Value::Null)
            .unwrap_err();
        // It has no functions: what is refused is that alone.
        assert!(
            refused.to_string().contains("exports no function describe")
                || refused.to_string().contains("pooling allocator"),
            "{refused}"
        );
    }
}

#[test]
fn a_schema_that_would_never_end_is_refused_by_its_shape() {
    let mut definitions = json!({ "a0": { "type": "integer" } });
    for level in 1..=60 {
        let before = json!({ "$ref": format!("#/$defs/a{}", level - 1) });
        definitions[format!("a{level}")] = json!({ "allOf": [before, before] });
    }
    let doubling = json!({ "$defs": definitions, "$ref": "#/$defs/a60" });
    let pattern = json!({ "pattern": "(\\w{60}){60}" });
    for (schema, words) in [
        (doubling, "nests deeper than 64"),
        (
            json!({ "allOf": [{ "$ref": "#" }] }),
            "leads back to itself",
        ),
        (pattern, "settings-schema"),
    ] {
        let made = Made {
            schema: schema.to_string(),
            ..Made::default()
        };
        let refused = engine()
            .load("mine", &made.build(), &json!({}))
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("its description is not usable"),
            "{refused}"
        );
        assert!(refused.contains(words), "{refused}");
    }
}
