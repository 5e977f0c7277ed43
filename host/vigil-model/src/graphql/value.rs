//! Values: literals of a document, variables of a request, and whether they fit a type.

use graphql_parser::query::{Text, Value as Literal};
use serde_json::{Map, Value};

use super::schema::{SCHEMA, TypeDef, TypeRef};

/// A literal as a value, its variables filled in. `None`: it is a variable that was not given.
pub(crate) fn of_literal<'a, T: Text<'a>>(
    literal: &Literal<'a, T>,
    variables: &Map<String, Value>,
) -> Option<Value> {
    Some(match literal {
        Literal::Variable(name) => variables.get(name.as_ref())?.clone(),
        Literal::Int(number) => number.as_i64().map_or(Value::Null, Value::from),
        Literal::Float(number) => Value::from(*number),
        Literal::String(text) => Value::from(text.as_str()),
        Literal::Boolean(flag) => Value::from(*flag),
        Literal::Null => Value::Null,
        Literal::Enum(word) => Value::from(word.as_ref()),
        Literal::List(items) => items
            .iter()
            .map(|item| of_literal(item, variables).unwrap_or(Value::Null))
            .collect(),
        Literal::Object(fields) => Value::Object(
            fields
                .iter()
                .filter_map(|(name, field)| {
                    Some((name.as_ref().to_owned(), of_literal(field, variables)?))
                })
                .collect(),
        ),
    })
}

/// Whether a literal fits a type, its variables left aside: those are compared by their declared type.
pub(crate) fn literal_fits<'a, T: Text<'a>>(literal: &Literal<'a, T>, ty: &TypeRef) -> bool {
    match (ty, literal) {
        (_, Literal::Variable(_)) => true,
        (TypeRef::NonNull(_), Literal::Null) => false,
        (TypeRef::NonNull(inner), _) => literal_fits(literal, inner),
        (_, Literal::Null) => true,
        (TypeRef::List(inner), Literal::List(items)) => {
            items.iter().all(|item| literal_fits(item, inner))
        }
        // One value stands for a list of one.
        (TypeRef::List(inner), _) => literal_fits(literal, inner),
        (TypeRef::Named(name), _) => match (SCHEMA.get(name), literal) {
            (Some(TypeDef::Enum(words)), Literal::Enum(word)) => words.contains(&word.as_ref()),
            (Some(TypeDef::Input(fields)), Literal::Object(given)) => {
                given
                    .keys()
                    .all(|key| fields.iter().any(|field| field.name == key.as_ref()))
                    && fields.iter().all(|field| match given.get(field.name) {
                        Some(value) => literal_fits(value, &field.ty),
                        None => !field.is_required(),
                    })
            }
            (Some(TypeDef::Scalar), Literal::Int(number)) => match name.as_str() {
                "Int" => number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
                "Float" | "ID" => true,
                _ => false,
            },
            (Some(TypeDef::Scalar), Literal::Float(_)) => name == "Float",
            (Some(TypeDef::Scalar), Literal::Boolean(_)) => name == "Boolean",
            (Some(TypeDef::Scalar), Literal::String(_)) => {
                !matches!(name.as_str(), "Int" | "Float" | "Boolean")
            }
            _ => false,
        },
    }
}

/// Whether a variable's value fits its type; `Err` says why not.
pub(crate) fn check(value: &Value, ty: &TypeRef) -> Result<(), String> {
    match (ty, value) {
        (TypeRef::NonNull(_), Value::Null) => Err("Expected value to not be null".to_owned()),
        (TypeRef::NonNull(inner), _) => check(value, inner),
        (_, Value::Null) => Ok(()),
        (TypeRef::List(inner), Value::Array(items)) => {
            items.iter().try_for_each(|item| check(item, inner))
        }
        (TypeRef::List(inner), _) => check(value, inner),
        (TypeRef::Named(name), _) => check_named(value, name),
    }
}

fn check_named(value: &Value, name: &str) -> Result<(), String> {
    let fits = match SCHEMA.get(name) {
        Some(TypeDef::Enum(words)) => value.as_str().is_some_and(|word| words.contains(&word)),
        Some(TypeDef::Input(fields)) => {
            let Value::Object(given) = value else {
                return Err(format!("Expected {name} to be an object"));
            };
            if let Some(unknown) = given
                .keys()
                .find(|key| fields.iter().all(|field| field.name != key.as_str()))
            {
                return Err(format!("Field {unknown} is not defined on {name}"));
            }
            for field in fields {
                match given.get(field.name) {
                    Some(value) => check(value, &field.ty)?,
                    None if field.is_required() => {
                        return Err(format!("Expected {} to not be null", field.name));
                    }
                    None => {}
                }
            }
            true
        }
        Some(TypeDef::Scalar) => match name {
            "Int" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
            "Float" => value.is_number(),
            "Boolean" => value.is_boolean(),
            "ID" => value.is_string() || value.is_i64(),
            _ => value.is_string(),
        },
        _ => false,
    };
    if fits {
        Ok(())
    } else {
        Err(format!("Could not coerce value {value} to {name}"))
    }
}
