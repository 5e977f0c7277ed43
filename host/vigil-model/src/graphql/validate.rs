//! Whether a document fits the schema, before anything is looked up. GitHub answers such errors with HTTP 200 and
//! without data; codes and sentences are those of graphql-ruby, which GitHub runs.

use std::collections::{HashMap, HashSet};

use graphql_parser::Pos;
use graphql_parser::query::{
    Directive, Field, FragmentDefinition, Selection, SelectionSet, TypeCondition, Value as Literal,
    VariableDefinition,
};
use serde_json::{Map, Value, json};

use super::schema::{ArgDef, SCHEMA, TypeRef};
use super::{Fragments, Operation, value};

/// Everything that is wrong with the operation, in GitHub's shape.
pub(crate) fn errors<'c, 'a>(
    operation: &Operation<'c, 'a>,
    fragments: &Fragments<'c, 'a>,
) -> Vec<Value> {
    let mut check = Check {
        fragments: fragments.clone(),
        declared: operation
            .variables
            .iter()
            .map(|variable| (variable.name, variable))
            .collect(),
        used: HashSet::new(),
        spread: HashSet::new(),
        walked: HashSet::new(),
        trail: Vec::new(),
        path: vec![operation.label()],
        operation: operation.label(),
        errors: Vec::new(),
    };
    check.variables(operation);
    check.selection(operation.selection, "Query");
    // A document that is wrong already may loop for ever; GitHub, too, stops at the first kind of trouble here.
    if check.errors.is_empty() {
        check.merge(&[(operation.selection, "Query")]);
    }
    check.unused(operation);
    check.errors
}

struct Check<'c, 'a> {
    fragments: Fragments<'c, 'a>,
    declared: HashMap<&'a str, &'c VariableDefinition<'a, &'a str>>,
    used: HashSet<&'a str>,
    spread: HashSet<&'a str>,
    /// Fragments whose inside was looked at: once is enough, wherever they are spread.
    walked: HashSet<&'a str>,
    /// Fragments that the walk is in, against loops.
    trail: Vec<&'a str>,
    path: Vec<String>,
    operation: String,
    errors: Vec<Value>,
}

impl<'c, 'a> Check<'c, 'a> {
    fn error(&mut self, position: Pos, code: &str, message: String, more: Value) {
        let mut extensions = Map::new();
        extensions.insert("code".to_owned(), Value::from(code));
        if let Value::Object(more) = more {
            extensions.extend(more);
        }
        self.errors.push(json!({
            "path": self.path,
            "extensions": extensions,
            "locations": [super::location(position)],
            "message": message,
        }));
    }

    fn variables(&mut self, operation: &Operation<'c, 'a>) {
        let mut seen = HashSet::new();
        for variable in operation.variables {
            let ty = TypeRef::of(&variable.var_type);
            if !seen.insert(variable.name) {
                self.error(
                    variable.position,
                    "variableNotUnique",
                    format!("There can only be one variable named \"{}\"", variable.name),
                    json!({ "variableName": variable.name }),
                );
            }
            if !SCHEMA.is_input(ty.base()) {
                self.error(
                    variable.position,
                    "variableRequiresValidType",
                    format!(
                        "{} isn't a defined input type (on ${})",
                        ty.base(),
                        variable.name
                    ),
                    json!({ "typeName": ty.base(), "variableName": variable.name }),
                );
            }
            if let Some(default) = &variable.default_value
                && !value::literal_fits(default, &ty)
            {
                self.error(
                    variable.position,
                    "defaultValueInvalidType",
                    format!(
                        "Default value for ${} doesn't match type {ty}",
                        variable.name
                    ),
                    json!({ "variableName": variable.name, "typeName": ty.to_string() }),
                );
            }
        }
    }

    fn unused(&mut self, operation: &Operation<'c, 'a>) {
        self.path.truncate(1);
        for variable in operation.variables {
            if !self.used.contains(variable.name) {
                self.error(
                    variable.position,
                    "variableNotUsed",
                    format!(
                        "Variable ${} is declared by {} but not used",
                        variable.name,
                        operation.name.unwrap_or("anonymous query")
                    ),
                    json!({ "variableName": variable.name }),
                );
            }
        }
        let mut unused: Vec<&FragmentDefinition<'a, &'a str>> = self
            .fragments
            .values()
            .copied()
            .filter(|fragment| !self.spread.contains(fragment.name))
            .collect();
        unused.sort_by_key(|fragment| fragment.position);
        for fragment in unused {
            self.path = vec![format!("fragment {}", fragment.name)];
            self.error(
                fragment.position,
                "useAndDefineFragment",
                format!("Fragment {} was defined, but not used", fragment.name),
                json!({ "fragmentName": fragment.name }),
            );
        }
    }

    fn selection(&mut self, set: &'c SelectionSet<'a, &'a str>, parent: &str) {
        for selection in &set.items {
            match selection {
                Selection::Field(field) => self.field(field, parent),
                Selection::InlineFragment(fragment) => {
                    self.directives(&fragment.directives);
                    let name = match &fragment.type_condition {
                        Some(TypeCondition::On(name)) => *name,
                        None => parent,
                    };
                    self.path.push(format!("... on {name}"));
                    if self.condition(name, parent, fragment.position, "inline fragment") {
                        self.selection(&fragment.selection_set, name);
                    }
                    self.path.pop();
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.directives);
                    let name = spread.fragment_name;
                    self.spread.insert(name);
                    let Some(fragment) = self.fragments.get(name).copied() else {
                        self.error(
                            spread.position,
                            "useAndDefineFragment",
                            format!("Fragment {name} was used, but not defined"),
                            json!({ "fragmentName": name }),
                        );
                        continue;
                    };
                    if self.trail.contains(&name) {
                        self.error(
                            spread.position,
                            "infiniteLoop",
                            format!("Fragment {name} contains an infinite loop"),
                            json!({ "fragmentName": name }),
                        );
                        continue;
                    }
                    let TypeCondition::On(on) = fragment.type_condition;
                    let path = std::mem::replace(&mut self.path, vec![format!("fragment {name}")]);
                    self.trail.push(name);
                    if self.condition(on, parent, fragment.position, name)
                        && self.walked.insert(name)
                    {
                        self.selection(&fragment.selection_set, on);
                    }
                    self.trail.pop();
                    self.path = path;
                }
            }
        }
    }

    /// Whether a fragment on `name` can stand inside of `parent`.
    fn condition(&mut self, name: &str, parent: &str, position: Pos, fragment: &str) -> bool {
        if SCHEMA.get(name).is_none() {
            self.error(
                position,
                "undefinedType",
                format!("No such type {name}, so it can't be a fragment condition"),
                json!({ "typeName": name }),
            );
            return false;
        }
        if !SCHEMA.is_composite(name) {
            self.error(
                position,
                "fragmentOnNonCompositeType",
                format!("Invalid fragment on type {name} (must be Union, Interface or Object)"),
                json!({ "typeName": name }),
            );
            return false;
        }
        if !SCHEMA.overlap(name, parent) {
            self.error(
                position,
                "cannotSpreadFragment",
                format!("Fragment {fragment} on {name} can't be spread inside {parent}"),
                json!({ "typeName": name, "fragmentName": fragment, "parentName": parent }),
            );
            return false;
        }
        true
    }

    fn field(&mut self, field: &'c Field<'a, &'a str>, parent: &str) {
        self.path.push(super::key(field).to_owned());
        self.directives(&field.directives);
        if field.name == "__typename" {
            if !field.selection_set.items.is_empty() {
                self.selections_on_leaf(field, "String");
            }
        } else if let Some(definition) = SCHEMA.field(parent, field.name) {
            self.arguments(
                "Field",
                field.name,
                &field.arguments,
                &definition.args,
                field.position,
            );
            let base = definition.ty.base();
            let selected = !field.selection_set.items.is_empty();
            match (SCHEMA.is_composite(base), selected) {
                (true, true) => self.selection(&field.selection_set, base),
                (true, false) => {
                    let name = field.name;
                    self.error(
                        field.position,
                        "selectionMismatch",
                        format!(
                            "Field must have selections (field '{name}' returns {base} but has no selections. \
                             Did you mean '{name} {{ ... }}'?)"
                        ),
                        json!({ "nodeName": format!("field '{name}'"), "typeName": base }),
                    );
                }
                (false, true) => self.selections_on_leaf(field, base),
                (false, false) => {}
            }
        } else {
            self.error(
                field.position,
                "undefinedField",
                format!("Field '{}' doesn't exist on type '{parent}'", field.name),
                json!({ "typeName": parent, "fieldName": field.name }),
            );
        }
        self.path.pop();
    }

    fn selections_on_leaf(&mut self, field: &Field<'a, &'a str>, ty: &str) {
        self.error(
            field.position,
            "selectionMismatch",
            format!(
                "Selections can't be made on scalars (field '{}' returns {ty} but has selections)",
                field.name
            ),
            json!({ "nodeName": format!("field '{}'", field.name), "typeName": ty }),
        );
    }

    fn directives(&mut self, directives: &'c [Directive<'a, &'a str>]) {
        let condition = [ArgDef {
            name: "if",
            ty: TypeRef::NonNull(Box::new(TypeRef::Named("Boolean".to_owned()))),
            default: None,
        }];
        for directive in directives {
            if matches!(directive.name, "include" | "skip") {
                self.arguments(
                    "Directive",
                    directive.name,
                    &directive.arguments,
                    &condition,
                    directive.position,
                );
            } else {
                self.error(
                    directive.position,
                    "undefinedDirective",
                    format!("Directive @{} is not defined", directive.name),
                    json!({ "directiveName": directive.name }),
                );
            }
        }
    }

    fn arguments(
        &mut self,
        owner: &str,
        name: &str,
        given: &'c [(&'a str, Literal<'a, &'a str>)],
        known: &[ArgDef],
        position: Pos,
    ) {
        for (arg, literal) in given {
            self.path.push((*arg).to_owned());
            let Some(definition) = known.iter().find(|definition| definition.name == *arg) else {
                self.error(
                    position,
                    "argumentNotAccepted",
                    format!("{owner} '{name}' doesn't accept argument '{arg}'"),
                    json!({ "name": name, "typeName": owner, "argumentName": arg }),
                );
                self.path.pop();
                continue;
            };
            if value::literal_fits(literal, &definition.ty) {
                let has_default = definition.default.is_some();
                self.variables_in(literal, &definition.ty, has_default, arg, position);
            } else {
                self.error(
                    position,
                    "argumentLiteralsIncompatible",
                    format!(
                        "Argument '{arg}' on {owner} '{name}' has an invalid value ({literal}). \
                         Expected type '{}'.",
                        definition.ty
                    ),
                    json!({ "typeName": owner, "argumentName": arg }),
                );
            }
            self.path.pop();
        }
        let missing: Vec<&str> = known
            .iter()
            .filter(|arg| arg.is_required() && given.iter().all(|(name, _)| *name != arg.name))
            .map(|arg| arg.name)
            .collect();
        if !missing.is_empty() {
            let missing = missing.join(", ");
            self.error(
                position,
                "missingRequiredArguments",
                format!("{owner} '{name}' is missing required arguments: {missing}"),
                json!({ "className": owner, "name": name, "arguments": missing }),
            );
        }
    }

    /// Compares every variable within a literal with the type of the place where it stands.
    fn variables_in(
        &mut self,
        literal: &Literal<'a, &'a str>,
        ty: &TypeRef,
        has_default: bool,
        arg: &str,
        position: Pos,
    ) {
        match literal {
            Literal::Variable(name) => {
                self.used.insert(name);
                let Some(variable) = self.declared.get(name).copied() else {
                    let operation = self.operation.clone();
                    self.error(
                        position,
                        "variableNotDefined",
                        format!("Variable ${name} is used by {operation} but not declared"),
                        json!({ "variableName": name }),
                    );
                    return;
                };
                let declared = TypeRef::of(&variable.var_type);
                let defaulted = has_default || variable.default_value.is_some();
                if !may_stand_for(&declared, ty, defaulted) {
                    self.error(
                        position,
                        "variableMismatch",
                        format!(
                            "Type mismatch on variable ${name} and argument {arg} ({declared} / {ty})"
                        ),
                        json!({
                            "variableName": name,
                            "typeName": declared.to_string(),
                            "argumentName": arg,
                            "errorMessage": "Type mismatch",
                        }),
                    );
                }
            }
            Literal::List(items) => {
                let inner = match ty.nullable() {
                    TypeRef::List(inner) => inner.as_ref(),
                    other => other,
                };
                for item in items {
                    self.variables_in(item, inner, false, arg, position);
                }
            }
            Literal::Object(fields) => {
                let Some(super::schema::TypeDef::Input(known)) = SCHEMA.get(ty.base()) else {
                    return;
                };
                for (name, field) in fields {
                    if let Some(definition) = known.iter().find(|known| known.name == *name) {
                        let has_default = definition.default.is_some();
                        self.variables_in(field, &definition.ty, has_default, name, position);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether fields that share a key in the answer ask for the same thing. Fields of two different objects never
    /// meet, so GitHub lets those share a key even when their types differ.
    fn merge(&mut self, sets: &[(&'c SelectionSet<'a, &'a str>, &'c str)]) {
        let mut by_key: Vec<(&'a str, Vec<Placed<'c, 'a>>)> = Vec::new();
        let mut index = HashMap::new();
        let mut seen = HashSet::new();
        for (set, parent) in sets {
            self.gather(set, parent, &mut by_key, &mut index, &mut seen);
        }
        for (key, group) in by_key {
            for (at, one) in group.iter().enumerate() {
                for other in &group[at + 1..] {
                    if SCHEMA.overlap(one.parent, other.parent) {
                        self.compare(key, one, other);
                    }
                }
            }
            let inner: Vec<_> = group
                .iter()
                .filter_map(|placed| {
                    let definition = SCHEMA.field(placed.parent, placed.field.name)?;
                    let base = definition.ty.base();
                    let selected = !placed.field.selection_set.items.is_empty();
                    selected.then_some((&placed.field.selection_set, base))
                })
                .collect();
            if !inner.is_empty() {
                self.path.push(key.to_owned());
                self.merge(&inner);
                self.path.pop();
            }
        }
    }

    fn gather(
        &self,
        set: &'c SelectionSet<'a, &'a str>,
        parent: &'c str,
        by_key: &mut Vec<(&'a str, Vec<Placed<'c, 'a>>)>,
        index: &mut HashMap<&'a str, usize>,
        seen: &mut HashSet<&'a str>,
    ) {
        for selection in &set.items {
            match selection {
                Selection::Field(field) => {
                    let key = super::key(field);
                    let at = *index.entry(key).or_insert_with(|| {
                        by_key.push((key, Vec::new()));
                        by_key.len() - 1
                    });
                    by_key[at].1.push(Placed { field, parent });
                }
                Selection::InlineFragment(fragment) => {
                    let on = match &fragment.type_condition {
                        Some(TypeCondition::On(name)) => name,
                        None => parent,
                    };
                    self.gather(&fragment.selection_set, on, by_key, index, seen);
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.fragment_name;
                    if seen.insert(name)
                        && let Some(fragment) = self.fragments.get(name)
                    {
                        let TypeCondition::On(on) = fragment.type_condition;
                        self.gather(&fragment.selection_set, on, by_key, index, seen);
                    }
                }
            }
        }
    }

    fn compare(&mut self, key: &str, one: &Placed<'c, 'a>, other: &Placed<'c, 'a>) {
        let (first, second) = (one.field, other.field);
        let found = if first.name != second.name {
            Some(("a field", format!("{} or {}", first.name, second.name)))
        } else if !same_arguments(first, second) {
            Some(("an argument", format!("{key} with other arguments")))
        } else {
            None
        };
        if let Some((kind, conflicts)) = found {
            self.error(
                first.position,
                "fieldConflict",
                format!("Field '{key}' has {kind} conflict: {conflicts}?"),
                json!({ "fieldName": key, "conflicts": conflicts }),
            );
        }
    }
}

struct Placed<'c, 'a> {
    field: &'c Field<'a, &'a str>,
    parent: &'c str,
}

/// Equal arguments in any order.
fn same_arguments<'a>(one: &Field<'a, &'a str>, other: &Field<'a, &'a str>) -> bool {
    one.arguments.len() == other.arguments.len()
        && one
            .arguments
            .iter()
            .all(|argument| other.arguments.contains(argument))
}

/// Whether a variable declared as `declared` may stand where `place` is expected.
fn may_stand_for(declared: &TypeRef, place: &TypeRef, defaulted: bool) -> bool {
    match (declared, place) {
        (TypeRef::NonNull(declared), TypeRef::NonNull(place)) => {
            may_stand_for(declared, place, false)
        }
        (_, TypeRef::NonNull(place)) => defaulted && may_stand_for(declared, place, false),
        (TypeRef::NonNull(declared), _) => may_stand_for(declared, place, false),
        (TypeRef::List(declared), TypeRef::List(place)) => may_stand_for(declared, place, false),
        // One value stands for a list of one.
        (TypeRef::Named(_), TypeRef::List(place)) => {
            may_stand_for(declared, place.nullable(), false)
        }
        (TypeRef::Named(declared), TypeRef::Named(place)) => declared == place,
        (TypeRef::List(_), TypeRef::Named(_)) => false,
    }
}
