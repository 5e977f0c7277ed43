//! The schema is read, and is a part of GitHub's published one.

use std::collections::HashMap;

use graphql_parser::schema::{Definition, Document, Field, TypeDefinition, parse_schema};

use crate::graphql::schema::{SCHEMA, TypeDef};

#[test]
fn every_type_that_is_referred_to_is_there() {
    let mut fields = 0;
    for (name, definition) in SCHEMA.types() {
        let (TypeDef::Object { fields: all, .. } | TypeDef::Interface { fields: all }) = definition
        else {
            continue;
        };
        for (field, definition) in all {
            fields += 1;
            assert!(
                SCHEMA.get(definition.ty.base()).is_some(),
                "{name}.{field} is of an unknown type"
            );
            for arg in &definition.args {
                assert!(
                    SCHEMA.is_input(arg.ty.base()),
                    "{name}.{field}({}) is of an unknown type",
                    arg.name
                );
            }
        }
    }
    assert!(fields > 150, "only {fields} fields were read");
}

/// Names, types, arguments and defaults agree with what GitHub publishes, so that a document that the model takes is
/// one that GitHub takes.
#[test]
#[expect(clippy::disallowed_macros, reason = "a skipped test says so")]
fn the_schema_is_a_part_of_the_published_one() {
    let place = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.ancestors().nth(3)?.join("github-schema/schema.graphql")));
    let Some(published) = place.and_then(|place| std::fs::read_to_string(place).ok()) else {
        eprintln!("skipped: GitHub's published schema is not in the target folder");
        return;
    };
    let published = parse_schema::<String>(&published).unwrap();
    let ours = parse_schema::<String>(include_str!("../graphql/schema.graphql")).unwrap();
    let (their_words, our_words) = (words(&published), words(&ours));
    assert!(our_words.len() > 15, "only {} were read", our_words.len());
    for (name, words) in our_words {
        for word in words {
            assert!(
                their_words[&name].contains(&word),
                "GitHub's {name} has no {word}"
            );
        }
    }
    let published = objects(&published);
    let mut compared = 0;
    for (name, fields) in objects(&ours) {
        let theirs = &published[&name];
        for field in fields {
            let twin = theirs
                .iter()
                .find(|twin| twin.name == field.name)
                .unwrap_or_else(|| panic!("GitHub has no {name}.{}", field.name));
            assert_eq!(twin.field_type, field.field_type, "{name}.{}", field.name);
            for arg in &field.arguments {
                let known = twin.arguments.iter().any(|twin| {
                    twin.name == arg.name
                        && twin.value_type == arg.value_type
                        && twin.default_value == arg.default_value
                });
                assert!(known, "{name}.{}({}) differs", field.name, arg.name);
            }
            compared += 1;
        }
    }
    assert!(compared > 150, "only {compared} fields were compared");
}

/// The words of enums, the members of unions, and the interfaces of objects, by the name of the type.
fn words(document: &Document<'_, String>) -> HashMap<String, Vec<String>> {
    document
        .definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::TypeDefinition(TypeDefinition::Enum(words)) => {
                let values = words.values.iter().map(|value| value.name.clone());
                Some((words.name.clone(), values.collect()))
            }
            Definition::TypeDefinition(TypeDefinition::Union(union)) => {
                Some((union.name.clone(), union.types.clone()))
            }
            Definition::TypeDefinition(TypeDefinition::Object(object)) => {
                Some((object.name.clone(), object.implements_interfaces.clone()))
            }
            _ => None,
        })
        .collect()
}

fn objects<'d>(document: &'d Document<'d, String>) -> HashMap<String, Vec<&'d Field<'d, String>>> {
    document
        .definitions
        .iter()
        .filter_map(|definition| match definition {
            Definition::TypeDefinition(TypeDefinition::Object(object)) => {
                Some((object.name.clone(), object.fields.iter().collect()))
            }
            Definition::TypeDefinition(TypeDefinition::Interface(interface)) => {
                Some((interface.name.clone(), interface.fields.iter().collect()))
            }
            _ => None,
        })
        .collect()
}
