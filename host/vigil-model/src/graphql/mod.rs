//! GraphQL: a document is parsed, checked against the schema, priced by its shape, and then answered.

use std::collections::HashMap;

use graphql_parser::Pos;
use graphql_parser::query::{
    Definition, Document, Field, FragmentDefinition, OperationDefinition, SelectionSet,
    VariableDefinition,
};
use serde_json::{Map, Value, json};

use crate::message::Request;

mod checks;
pub(crate) mod execute;
mod page;
mod price;
mod pulls;
mod resolve;
pub(crate) mod schema;
mod things;
mod validate;
mod value;

pub(crate) use price::{NODES_MAX, Price};
pub(crate) use things::{database_id, url};

/// A document as it was parsed; it borrows from the request's text.
pub(crate) type Parsed<'a> = Document<'a, &'a str>;

/// The document's fragments by name.
pub(crate) type Fragments<'d, 'a> = HashMap<&'a str, &'d FragmentDefinition<'a, &'a str>>;

/// The operation that is asked for.
pub(crate) struct Operation<'d, 'a> {
    pub(crate) name: Option<&'a str>,
    pub(crate) variables: &'d [VariableDefinition<'a, &'a str>],
    pub(crate) selection: &'d SelectionSet<'a, &'a str>,
}

impl Operation<'_, '_> {
    /// How paths of errors begin.
    fn label(&self) -> String {
        match self.name {
            Some(name) => format!("query {name}"),
            None => "query".to_owned(),
        }
    }
}

/// The body of a request.
#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) query: String,
    pub(crate) variables: Map<String, Value>,
    pub(crate) operation_name: Option<String>,
}

impl Payload {
    /// Reads a request's body; `Err` is the message of a 400.
    pub(crate) fn read(request: &Request) -> Result<Payload, &'static str> {
        let json = request.get_header("content-type").is_some_and(|kind| {
            let essence = kind.split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json")
        });
        if !json {
            return Err("The content type of a request must be application/json");
        }
        let body: Value =
            serde_json::from_slice(&request.body).map_err(|_| "Problems parsing JSON")?;
        let Value::Object(mut body) = body else {
            return Err("Body should be a JSON object");
        };
        let Some(Value::String(query)) = body.remove("query") else {
            return Err("A query attribute must be specified and must be a string.");
        };
        let variables = match body.remove("variables") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(variables)) => variables,
            Some(_) => return Err("Variables must be a JSON object"),
        };
        let operation_name = match body.remove("operationName") {
            Some(Value::String(name)) => Some(name),
            _ => None,
        };
        Ok(Payload {
            query,
            variables,
            operation_name,
        })
    }
}

/// What is to be done for a document that passed every check.
pub(crate) struct Plan<'d, 'a> {
    pub(crate) operation: Operation<'d, 'a>,
    pub(crate) fragments: Fragments<'d, 'a>,
    pub(crate) variables: Map<String, Value>,
    pub(crate) price: Price,
}

/// Parses a document; `Err` is the answer's body.
pub(crate) fn parse(query: &str) -> Result<Parsed<'_>, Value> {
    graphql_parser::parse_query::<&str>(query).map_err(|error| {
        let text = error.to_string();
        let message = text.split_whitespace().collect::<Vec<_>>().join(" ");
        json!({ "errors": [{ "message": message, "locations": [] }] })
    })
}

/// Checks a document and its variables; `Err` is the answer's body. `fits`: this very document was found to fit the
/// schema before, so that only its variables are new.
pub(crate) fn plan<'d, 'a>(
    document: &'d Parsed<'a>,
    payload: &Payload,
    fits: bool,
) -> Result<Plan<'d, 'a>, Value> {
    let mut fragments = Fragments::new();
    let mut operations = Vec::new();
    for definition in &document.definitions {
        match definition {
            Definition::Fragment(fragment) => {
                if fragments.insert(fragment.name, fragment).is_some() {
                    return Err(complaint(format!(
                        "Fragment name \"{}\" must be unique",
                        fragment.name
                    )));
                }
            }
            Definition::Operation(operation) => operations.push(read_operation(operation)?),
        }
    }
    let operation = choose(operations, payload.operation_name.as_deref())?;
    if !fits {
        let errors = validate::errors(&operation, &fragments);
        if !errors.is_empty() {
            return Err(json!({ "errors": errors }));
        }
    }
    let variables = coerce(operation.variables, &payload.variables)?;
    let price = price::of(operation.selection, &fragments, &variables);
    if price.nodes > NODES_MAX {
        return Err(json!({
            "errors": [{
                "type": "MAX_NODE_LIMIT_EXCEEDED",
                "message": format!(
                    "This query requests up to {} possible nodes which exceeds the maximum limit of {NODES_MAX}.",
                    price.nodes
                ),
            }]
        }));
    }
    Ok(Plan {
        operation,
        fragments,
        variables,
        price,
    })
}

fn read_operation<'d, 'a>(
    operation: &'d OperationDefinition<'a, &'a str>,
) -> Result<Operation<'d, 'a>, Value> {
    match operation {
        OperationDefinition::SelectionSet(selection) => Ok(Operation {
            name: None,
            variables: &[],
            selection,
        }),
        OperationDefinition::Query(query) => Ok(Operation {
            name: query.name,
            variables: &query.variable_definitions,
            selection: &query.selection_set,
        }),
        OperationDefinition::Mutation(_) => Err(complaint(
            "Schema is not configured for mutations".to_owned(),
        )),
        OperationDefinition::Subscription(_) => Err(complaint(
            "Schema is not configured for subscriptions".to_owned(),
        )),
    }
}

fn choose<'d, 'a>(
    operations: Vec<Operation<'d, 'a>>,
    name: Option<&str>,
) -> Result<Operation<'d, 'a>, Value> {
    let several = operations.len() > 1;
    let mut wanted = operations
        .into_iter()
        .filter(|operation| name.is_none() || operation.name == name);
    match wanted.next() {
        Some(_) if several && name.is_none() => {
            Err(complaint("An operation name is required".to_owned()))
        }
        Some(operation) => Ok(operation),
        None => Err(complaint(match name {
            Some(name) => format!("No operation named \"{name}\""),
            None => "A query attribute must be specified and must be a string.".to_owned(),
        })),
    }
}

/// The values of all declared variables, defaults filled in. Values that nobody declared are ignored, as GitHub does.
fn coerce<'a>(
    declared: &[VariableDefinition<'a, &'a str>],
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, Value> {
    let mut variables = Map::new();
    let mut errors = Vec::new();
    for variable in declared {
        let ty = schema::TypeRef::of(&variable.var_type);
        let default = || {
            let literal = variable.default_value.as_ref()?;
            value::of_literal(literal, &Map::new())
        };
        let value = given.get(variable.name).cloned().or_else(default);
        let checked = value::check(value.as_ref().unwrap_or(&Value::Null), &ty);
        if let Err(explanation) = checked {
            errors.push(json!({
                "extensions": {
                    "value": value,
                    "problems": [{ "path": [], "explanation": explanation }],
                },
                "locations": [location(variable.position)],
                "message": format!(
                    "Variable ${} of type {ty} was provided invalid value",
                    variable.name
                ),
            }));
        } else if let Some(value) = value {
            variables.insert(variable.name.to_owned(), value);
        }
    }
    if errors.is_empty() {
        Ok(variables)
    } else {
        Err(json!({ "errors": errors }))
    }
}

fn complaint(message: String) -> Value {
    json!({ "errors": [{ "message": message }] })
}

fn location(position: Pos) -> Value {
    json!({ "line": position.line, "column": position.column })
}

/// The name under which a field's value stands in the answer.
fn key<'a>(field: &Field<'a, &'a str>) -> &'a str {
    field.alias.unwrap_or(field.name)
}

/// The type that a fragment is on.
fn condition<'d, 'a>(
    condition: &'d Option<graphql_parser::query::TypeCondition<'a, &'a str>>,
) -> Option<&'d str> {
    match condition {
        Some(graphql_parser::query::TypeCondition::On(name)) => Some(name),
        None => None,
    }
}
