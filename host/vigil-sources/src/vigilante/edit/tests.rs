//! Edits on texts of every layout, by hand and at random.

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> RecordFile<'_> {
    RecordFile::parse(Path::new("sessions.json"), text).unwrap()
}

fn set(key: &str, value: &str) -> Edit {
    Edit::Set {
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn remove(key: &str) -> Edit {
    Edit::Remove {
        key: key.to_owned(),
    }
}

#[track_caller]
fn check(before: &str, edits: &[Edit], after: &str) {
    let file = parse(before);
    let edited = apply(&file, &[(0, edits.to_vec())]);
    assert_eq!(edited, after);
    let record = &file.records()[0];
    assert_eq!(
        apply_to_record(before, record, edits),
        parse(after).records()[0].raw,
        "alone and in the file a record must come out the same"
    );
}

#[test]
fn a_value_changes_in_its_place_and_nothing_else_does() {
    check(
        "[\n  {\n    \"a\": 1.50,\n    \"b\": \"\\u0041\",\n    \"c\": {}\n  }\n]\n",
        &[set("b", "\"x\"")],
        "[\n  {\n    \"a\": 1.50,\n    \"b\": \"x\",\n    \"c\": {}\n  }\n]\n",
    );
}

#[test]
fn a_new_key_goes_after_the_last_in_the_records_own_style() {
    check(
        "[\n  {\n    \"a\": 1,\n    \"b\": 2\n  }\n]\n",
        &[set("c", "3"), set("d", "4")],
        "[\n  {\n    \"a\": 1,\n    \"b\": 2,\n    \"c\": 3,\n    \"d\": 4\n  }\n]\n",
    );
    check(
        "[{\"a\":1,\"b\":2}]",
        &[set("c", "3")],
        "[{\"a\":1,\"b\":2,\"c\":3}]",
    );
    check(
        "[\r\n\t{\r\n\t\t\"a\" : 1\r\n\t}\r\n]",
        &[set("c", "3")],
        "[\r\n\t{\r\n\t\t\"a\" : 1,\r\n\t\t\"c\" : 3\r\n\t}\r\n]",
    );
    check(
        "[{ \"a\": 1 , \"b\": 2 }]",
        &[set("c", "3")],
        "[{ \"a\": 1 , \"b\": 2, \"c\": 3 }]",
    );
    check(
        "[{}]",
        &[set("a", "1"), set("b", "2")],
        "[{\"a\":1,\"b\":2}]",
    );
    check("[{ \n }]", &[set("a", "1")], "[{\"a\":1 \n }]");
}

#[test]
fn a_removed_key_takes_exactly_its_comma() {
    let three = "[{ \"a\": 1 , \"b\": 2,\n \"c\": 3 }]";
    check(three, &[remove("a")], "[{ \"b\": 2,\n \"c\": 3 }]");
    check(three, &[remove("b")], "[{ \"a\": 1,\n \"c\": 3 }]");
    check(three, &[remove("c")], "[{ \"a\": 1 , \"b\": 2 }]");
    check(three, &[remove("a"), remove("b")], "[{ \"c\": 3 }]");
    check(three, &[remove("b"), remove("c")], "[{ \"a\": 1 }]");
    check(three, &[remove("c"), remove("a")], "[{ \"b\": 2 }]");
    check(three, &[remove("a"), remove("b"), remove("c")], "[{  }]");
    check(three, &[remove("nobody")], three);
}

#[test]
fn removing_and_adding_in_one_go() {
    check(
        "[{\"a\":1,\"b\":2}]",
        &[remove("b"), set("c", "3")],
        "[{\"a\":1,\"c\":3}]",
    );
    check(
        "[{\"a\":1,\"b\":2}]",
        &[remove("a"), remove("b"), set("c", "3"), set("d", "4")],
        "[{\"c\":3,\"d\":4}]",
    );
    // Of two edits of a field the last counts.
    check("[{\"a\":1}]", &[set("c", "3"), remove("c")], "[{\"a\":1}]");
    check(
        "[{\"a\":1}]",
        &[set("c", "3"), set("c", "4")],
        "[{\"a\":1,\"c\":4}]",
    );
}

#[test]
fn a_key_is_found_whatever_its_spelling() {
    check(
        "[{\"st\\u0061tus\":\"running\",\"b\":2}]",
        &[set("status", "\"closed\"")],
        "[{\"st\\u0061tus\":\"closed\",\"b\":2}]",
    );
}

#[test]
fn an_object_is_laid_out_as_its_record_is() {
    let members = [("kind", "\"k\"".to_owned()), ("detail", "1".to_owned())];
    let lay = |text: &str| object(text, &parse(text).records()[0], &members);
    assert_eq!(
        lay("[\n  {\n    \"a\": 1,\n    \"b\": 2\n  }\n]\n"),
        "{\n      \"kind\": \"k\",\n      \"detail\": 1\n    }"
    );
    assert_eq!(lay("[{\"a\":1,\"b\":2}]"), "{\"kind\":\"k\",\"detail\":1}");
    assert_eq!(lay("[{}]"), "{\"kind\":\"k\",\"detail\":1}");
    assert_eq!(
        lay("[\r\n{\r\n\t\"a\":1\r\n}]"),
        "{\r\n\t\t\"kind\":\"k\",\r\n\t\t\"detail\":1\r\n\t}"
    );
}

#[test]
fn edits_survive_the_journal() {
    let edits = [
        set("status", "\"a\\u0062\""),
        remove("process_id"),
        set("blocked_reason", "{\n  \"kind\": 1.0\n}"),
        set("odd \"key\"\n", "[1, 2]"),
    ];
    assert_eq!(from_json(&to_json(&edits)).unwrap(), edits);
    assert_eq!(from_json("{}").unwrap(), []);
    for bad in ["", "[]", "{", "1", "{\"a\":1,\"a\":2}", "{},{}", "null"] {
        assert!(from_json(bad).is_err(), "{bad} must be an error");
    }
}

/// A record as a test knows it: keys and raw values, in order.
type Model = Vec<(String, String)>;

fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("1e3".to_owned()),
        Just("-0.50".to_owned()),
        Just("12345678901234567890123".to_owned()),
        Just("true".to_owned()),
        Just("{}".to_owned()),
        Just("[ 1,\n 2 ]".to_owned()),
        Just("{\"x\": {\"status\": \"}],{\\\"\"} , \"y\":null}".to_owned()),
        Just("\"\\u00e9\\/\\ud83d\\ude00\"".to_owned()),
        "[a-z ,:{}\\[\\]é\u{2028}]{0,12}".prop_map(|text| quote(&text)),
    ]
}

fn record() -> impl Strategy<Value = Model> {
    proptest::collection::btree_map("[a-h]", value(), 0..8)
        .prop_map(|fields| fields.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

/// Opening, between a comma and a key, before a comma, around a colon, closing.
fn layouts() -> impl Strategy<Value = [&'static str; 5]> {
    prop_oneof![
        Just(["\n    ", "\n    ", "", ": ", "\n  "]),
        Just(["", "", "", ":", ""]),
        Just(["\r\n\t", "\r\n\t", "", ": ", "\r\n"]),
        Just([" ", "  ", " \n", " :\t", "   "]),
    ]
}

fn spell(records: &[Model], layout: [&str; 5]) -> String {
    let [open, lead, before_comma, colon, close] = layout;
    let records: Vec<String> = records
        .iter()
        .map(|fields| {
            let fields: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{}{colon}{value}", quote(key)))
                .collect();
            format!(
                "{{{open}{}{close}}}",
                fields.join(&format!("{before_comma},{lead}"))
            )
        })
        .collect();
    format!("[{open}{}{close}]\n", records.join(&format!(",{lead}")))
}

fn edit() -> impl Strategy<Value = Edit> {
    // Some of the keys are there, some are not.
    ("[a-l]", proptest::option::of(value())).prop_map(|(key, value)| match value {
        Some(value) => Edit::Set { key, value },
        None => Edit::Remove { key },
    })
}

fn case() -> impl Strategy<Value = (Vec<Model>, [&'static str; 5], Vec<Vec<Edit>>)> {
    (1..5usize).prop_flat_map(|records| {
        (
            proptest::collection::vec(record(), records),
            layouts(),
            proptest::collection::vec(proptest::collection::vec(edit(), 0..6), records),
        )
    })
}

/// What the edits make of a record, worked out without any text.
fn expected(model: &Model, edits: &[Edit]) -> Model {
    let mut model = model.clone();
    for edit in edits {
        let last = edits
            .iter()
            .rfind(|other| other.key() == edit.key())
            .unwrap();
        let at = model.iter().position(|(key, _)| key == edit.key());
        match (last, at) {
            (Edit::Set { value, .. }, Some(at)) => model[at].1.clone_from(value),
            (Edit::Set { key, value }, None) => model.push((key.clone(), value.clone())),
            (Edit::Remove { .. }, Some(at)) => {
                model.remove(at);
            }
            (Edit::Remove { .. }, None) => {}
        }
    }
    model
}

fn models(text: &str) -> Vec<Model> {
    let fields = |record: &Record<'_>| {
        let pair = |field: &crate::vigilante::record::Field<'_>| {
            (field.key.clone().into_owned(), field.value.to_owned())
        };
        record.fields.iter().map(pair).collect()
    };
    parse(text).records().iter().map(fields).collect()
}

/// What stands between the records.
fn outside<'a>(file: &RecordFile<'a>) -> Vec<&'a str> {
    let mut at = 0;
    let mut out = Vec::new();
    for record in file.records() {
        out.push(&file.text[at..record.span.start]);
        at = record.span.end;
    }
    out.push(&file.text[at..]);
    out
}

proptest! {
    #[test]
    fn any_edits_give_the_edited_values_and_keep_all_else((records, layout, edits) in case()) {
        let text = spell(&records, layout);
        let file = parse(&text);
        // In any order of records.
        let mut wanted: Vec<_> = edits.iter().cloned().enumerate().collect();
        wanted.reverse();
        let edited = apply(&file, &wanted);

        let goal: Vec<Model> =
            records.iter().zip(&edits).map(|(model, edits)| expected(model, edits)).collect();
        prop_assert_eq!(models(&edited), goal);
        let edited = parse(&edited);
        prop_assert_eq!(outside(&edited), outside(&file));
        for ((before, after), edits) in file.records().iter().zip(&edited.records()).zip(&edits) {
            if edits.is_empty() {
                prop_assert_eq!(before.raw, after.raw);
            }
            prop_assert_eq!(apply_to_record(&text, before, edits), after.raw);
            prop_assert!(after.duplicate_key.is_none());
        }
    }

    #[test]
    fn removing_what_was_added_restores_every_byte((records, layout, edits) in case()) {
        let text = spell(&records, layout);
        let added: Vec<(usize, Vec<Edit>)> = edits
            .iter()
            .zip(&records)
            .map(|(edits, model)| {
                let new = |edit: &&Edit| model.iter().all(|(key, _)| key != edit.key());
                edits.iter().filter(new).cloned().collect::<Vec<_>>()
            })
            .enumerate()
            .collect();
        let with = apply(&parse(&text), &added);
        let back: Vec<(usize, Vec<Edit>)> = added
            .iter()
            .map(|(at, edits)| (*at, edits.iter().map(|edit| remove(edit.key())).collect()))
            .collect();
        prop_assert_eq!(apply(&parse(&with), &back), text);
    }

    #[test]
    fn setting_values_back_restores_every_byte((records, layout, edits) in case()) {
        let text = spell(&records, layout);
        let present: Vec<(usize, Vec<Edit>)> = edits
            .iter()
            .zip(&records)
            .map(|(edits, model)| {
                let set_there = |edit: &&Edit| {
                    matches!(edit, Edit::Set { .. })
                        && model.iter().any(|(key, _)| key == edit.key())
                };
                edits.iter().filter(set_there).cloned().collect::<Vec<_>>()
            })
            .enumerate()
            .collect();
        let changed = apply(&parse(&text), &present);
        let back: Vec<(usize, Vec<Edit>)> = records
            .iter()
            .map(|model| model.iter().map(|(key, value)| set(key, value)).collect())
            .enumerate()
            .collect();
        prop_assert_eq!(apply(&parse(&changed), &back), text);
    }
}
