//! The types that the model answers, read once from `schema.graphql`.

use std::collections::HashMap;
use std::sync::LazyLock;

use graphql_parser::schema::{
    Definition, Field, InputValue, Type, TypeDefinition, Value, parse_schema,
};

use super::value;

const SDL: &str = include_str!("schema.graphql");

/// The schema. Parsing cannot fail: a test reads every type out of it.
pub(crate) static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::read(SDL));

/// All types by name.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    types: HashMap<&'static str, TypeDef>,
}

#[derive(Debug)]
pub(crate) enum TypeDef {
    Scalar,
    Enum(Vec<&'static str>),
    Input(Vec<ArgDef>),
    Object {
        fields: HashMap<&'static str, FieldDef>,
        interfaces: Vec<&'static str>,
    },
    Interface {
        fields: HashMap<&'static str, FieldDef>,
    },
    Union(Vec<&'static str>),
}

#[derive(Debug)]
pub(crate) struct FieldDef {
    pub(crate) ty: TypeRef,
    pub(crate) args: Vec<ArgDef>,
}

#[derive(Debug)]
pub(crate) struct ArgDef {
    pub(crate) name: &'static str,
    pub(crate) ty: TypeRef,
    pub(crate) default: Option<serde_json::Value>,
}

/// A type as it is referred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TypeRef {
    Named(String),
    List(Box<TypeRef>),
    NonNull(Box<TypeRef>),
}

impl TypeRef {
    /// The name within lists and non-nulls.
    pub(crate) fn base(&self) -> &str {
        match self {
            TypeRef::Named(name) => name,
            TypeRef::List(inner) | TypeRef::NonNull(inner) => inner.base(),
        }
    }

    pub(crate) fn is_non_null(&self) -> bool {
        matches!(self, TypeRef::NonNull(_))
    }

    pub(crate) fn nullable(&self) -> &TypeRef {
        match self {
            TypeRef::NonNull(inner) => inner,
            other => other,
        }
    }

    pub(crate) fn of<'a, T: graphql_parser::schema::Text<'a>>(ty: &Type<'a, T>) -> TypeRef {
        match ty {
            Type::NamedType(name) => TypeRef::Named(name.as_ref().to_owned()),
            Type::ListType(inner) => TypeRef::List(Box::new(TypeRef::of(inner))),
            Type::NonNullType(inner) => TypeRef::NonNull(Box::new(TypeRef::of(inner))),
        }
    }
}

impl std::fmt::Display for TypeRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TypeRef::Named(name) => f.write_str(name),
            TypeRef::List(inner) => write!(f, "[{inner}]"),
            TypeRef::NonNull(inner) => write!(f, "{inner}!"),
        }
    }
}

impl ArgDef {
    /// It has to be given.
    pub(crate) fn is_required(&self) -> bool {
        self.ty.is_non_null() && self.default.is_none()
    }
}

impl Schema {
    fn read(sdl: &'static str) -> Schema {
        let mut types: HashMap<&'static str, TypeDef> = ["Int", "Float", "String", "Boolean", "ID"]
            .into_iter()
            .map(|name| (name, TypeDef::Scalar))
            .collect();
        let Ok(document) = parse_schema::<&'static str>(sdl) else {
            return Schema::default();
        };
        for definition in document.definitions {
            let Definition::TypeDefinition(definition) = definition else {
                continue;
            };
            let (name, definition) = match definition {
                TypeDefinition::Scalar(scalar) => (scalar.name, TypeDef::Scalar),
                TypeDefinition::Enum(words) => (
                    words.name,
                    TypeDef::Enum(words.values.iter().map(|value| value.name).collect()),
                ),
                TypeDefinition::InputObject(input) => {
                    (input.name, TypeDef::Input(args(&input.fields)))
                }
                TypeDefinition::Object(object) => (
                    object.name,
                    TypeDef::Object {
                        fields: fields(&object.fields),
                        interfaces: object.implements_interfaces,
                    },
                ),
                TypeDefinition::Interface(interface) => (
                    interface.name,
                    TypeDef::Interface {
                        fields: fields(&interface.fields),
                    },
                ),
                TypeDefinition::Union(union) => (union.name, TypeDef::Union(union.types)),
            };
            types.insert(name, definition);
        }
        Schema { types }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&TypeDef> {
        self.types.get(name)
    }

    pub(crate) fn field(&self, type_name: &str, field: &str) -> Option<&FieldDef> {
        match self.get(type_name)? {
            TypeDef::Object { fields, .. } | TypeDef::Interface { fields } => fields.get(field),
            _ => None,
        }
    }

    /// Objects, interfaces and unions: what has to have a selection.
    pub(crate) fn is_composite(&self, name: &str) -> bool {
        matches!(
            self.get(name),
            Some(TypeDef::Object { .. } | TypeDef::Interface { .. } | TypeDef::Union(_))
        )
    }

    /// Scalars, enums and input objects: what may be given.
    pub(crate) fn is_input(&self, name: &str) -> bool {
        matches!(
            self.get(name),
            Some(TypeDef::Scalar | TypeDef::Enum(_) | TypeDef::Input(_))
        )
    }

    /// A concrete object type is the type, or one of those behind the interface or union.
    pub(crate) fn is_kind_of(&self, object: &str, name: &str) -> bool {
        object == name
            || match (self.get(object), self.get(name)) {
                (_, Some(TypeDef::Union(members))) => members.contains(&object),
                (Some(TypeDef::Object { interfaces, .. }), _) => interfaces.contains(&name),
                _ => false,
            }
    }

    /// Some object can be both.
    pub(crate) fn overlap(&self, one: &str, other: &str) -> bool {
        let is_object = |name| matches!(self.get(name), Some(TypeDef::Object { .. }));
        if one == other || (is_object(one) && is_object(other)) {
            return one == other;
        }
        self.types.iter().any(|(name, definition)| {
            matches!(definition, TypeDef::Object { .. })
                && self.is_kind_of(name, one)
                && self.is_kind_of(name, other)
        })
    }

    #[cfg(test)]
    pub(crate) fn types(&self) -> impl Iterator<Item = (&&'static str, &TypeDef)> {
        self.types.iter()
    }
}

fn fields(fields: &[Field<'static, &'static str>]) -> HashMap<&'static str, FieldDef> {
    fields
        .iter()
        .map(|field| {
            let definition = FieldDef {
                ty: TypeRef::of(&field.field_type),
                args: args(&field.arguments),
            };
            (field.name, definition)
        })
        .collect()
}

fn args(args: &[InputValue<'static, &'static str>]) -> Vec<ArgDef> {
    args.iter()
        .map(|arg| ArgDef {
            name: arg.name,
            ty: TypeRef::of(&arg.value_type),
            default: arg.default_value.as_ref().map(default),
        })
        .collect()
}

/// A default as a value. Defaults in a schema hold no variables.
fn default(literal: &Value<'static, &'static str>) -> serde_json::Value {
    value::of_literal(literal, &serde_json::Map::new()).unwrap_or(serde_json::Value::Null)
}
