//! Answers a planned document: walks its fields over the world, with GitHub's errors per field.

use std::cell::Cell;

use graphql_parser::query::{Directive, Field, Selection, SelectionSet};
use serde_json::{Map, Value, json};

use super::price::LOOKUPS;
use super::resolve::{self, FieldError, Node, Resolved};
use super::schema::{FieldDef, SCHEMA, TypeRef};
use super::{Fragments, Plan, value};
use crate::fault::{ErrorType, FieldFault};
use crate::item::Pull;
use crate::token::Token;
use crate::world::{Repo, World};

/// Everything that an answer depends on besides the document.
pub(crate) struct Asker<'w> {
    pub(crate) world: &'w World,
    pub(crate) token: &'w Token,
    /// `None`: nobody is limited.
    pub(crate) rate: Option<Rate>,
    /// Repositories that are hidden by a fault, lower case.
    pub(crate) hidden: Vec<String>,
    /// Fields that fail.
    pub(crate) failing: Vec<FieldFault>,
    /// Look-ups that are answered before resources run out.
    pub(crate) answered_max: usize,
    /// Every how many look-ups one fails, and how.
    pub(crate) nth: Option<(usize, ErrorType)>,
}

impl<'w> Asker<'w> {
    /// Whether the token sees it, faults considered.
    pub(crate) fn sees(&self, repo: &Repo) -> bool {
        self.token.may_see(repo) && !self.hidden.contains(&repo.name_with_owner().to_lowercase())
    }
}

/// What `rateLimit` answers.
#[derive(Clone, Debug)]
pub(crate) struct Rate {
    pub(crate) cost: u64,
    pub(crate) limit: u64,
    pub(crate) nodes: u64,
    pub(crate) remaining: u64,
    pub(crate) used: u64,
    pub(crate) resets_ms: u64,
}

/// The answer's body.
pub(crate) fn execute<'w>(plan: &Plan<'_, '_>, asker: &Asker<'w>) -> Value {
    let mut run = Run {
        asker,
        fragments: &plan.fragments,
        variables: &plan.variables,
        path: Vec::new(),
        errors: Vec::new(),
        lookups: 0,
        pending: Vec::new(),
    };
    let data = run
        .object(&[plan.operation.selection], &Node::Query)
        .unwrap_or(Value::Null);
    let Run {
        errors, pending, ..
    } = run;
    // Asking starts the work, so that a later look finds the answer; one document is one look.
    for reads in pending {
        reads.set(reads.get().saturating_sub(1));
    }
    if errors.is_empty() {
        json!({ "data": data })
    } else {
        json!({ "data": data, "errors": errors })
    }
}

/// The value is null where null is not allowed: the parent is null in its place.
struct Bubble;

pub(crate) struct Run<'r, 'w, 'd, 'a> {
    pub(crate) asker: &'r Asker<'w>,
    fragments: &'r Fragments<'d, 'a>,
    variables: &'r Map<String, Value>,
    path: Vec<Value>,
    errors: Vec<Value>,
    lookups: usize,
    /// Pull requests whose mergeability was asked for before it was worked out.
    pending: Vec<&'w Cell<u32>>,
}

/// All fields that meet under one key of the answer.
type Meeting<'d, 'a> = (&'a str, Vec<&'d Field<'a, &'a str>>);

impl<'w, 'd, 'a> Run<'_, 'w, 'd, 'a> {
    /// Mergeability is worked out when it is asked for; until then the answer is unknown.
    pub(crate) fn mergeability_is_pending(&mut self, pull: &'w Pull) -> bool {
        let reads = &pull.mergeability_pending_reads;
        if reads.get() == 0 {
            return false;
        }
        if !self.pending.iter().any(|noted| std::ptr::eq(*noted, reads)) {
            self.pending.push(reads);
        }
        true
    }

    fn object(
        &mut self,
        sets: &[&'d SelectionSet<'a, &'a str>],
        node: &Node<'w>,
    ) -> Result<Value, Bubble> {
        let type_name = node.type_name();
        let mut met = Vec::new();
        for set in sets {
            self.gather(set, type_name, &mut met);
        }
        let mut object = Map::with_capacity(met.len());
        for (key, fields) in met {
            self.path.push(Value::from(key));
            let value = self.field(&fields, node, type_name);
            self.path.pop();
            object.insert(key.to_owned(), value?);
        }
        Ok(Value::Object(object))
    }

    fn gather(
        &self,
        set: &'d SelectionSet<'a, &'a str>,
        type_name: &str,
        met: &mut Vec<Meeting<'d, 'a>>,
    ) {
        for selection in &set.items {
            match selection {
                Selection::Field(field) => {
                    if !self.included(&field.directives) {
                        continue;
                    }
                    let key = super::key(field);
                    match met.iter().position(|(present, _)| *present == key) {
                        Some(at) => met[at].1.push(field),
                        None => met.push((key, vec![field])),
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let fits = super::condition(&fragment.type_condition)
                        .is_none_or(|on| SCHEMA.is_kind_of(type_name, on));
                    if fits && self.included(&fragment.directives) {
                        self.gather(&fragment.selection_set, type_name, met);
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.fragments.get(spread.fragment_name)
                        && self.included(&spread.directives)
                    {
                        let graphql_parser::query::TypeCondition::On(on) = &fragment.type_condition;
                        if SCHEMA.is_kind_of(type_name, on) {
                            self.gather(&fragment.selection_set, type_name, met);
                        }
                    }
                }
            }
        }
    }

    fn included(&self, directives: &[Directive<'a, &'a str>]) -> bool {
        directives.iter().all(|directive| {
            let condition = directive
                .arguments
                .iter()
                .find(|(name, _)| *name == "if")
                .and_then(|(_, literal)| value::of_literal(literal, self.variables))
                .and_then(|value| value.as_bool());
            match directive.name {
                "skip" => condition != Some(true),
                _ => condition != Some(false),
            }
        })
    }

    fn field(
        &mut self,
        fields: &[&'d Field<'a, &'a str>],
        node: &Node<'w>,
        type_name: &'static str,
    ) -> Result<Value, Bubble> {
        let field = fields[0];
        if field.name == "__typename" {
            return Ok(Value::from(type_name));
        }
        let Some(definition) = SCHEMA.field(type_name, field.name) else {
            // Validation lets no such field through.
            return Ok(Value::Null);
        };
        let args = self.args(field, definition);
        let resolved = match self.refusal(field.name, node, &args) {
            Some(refused) => Err(refused),
            None => {
                let sets: Vec<_> = fields.iter().map(|field| &field.selection_set).collect();
                let contents = selects_contents(&sets, self.fragments);
                resolve::field(self, node, field.name, &args, contents)
            }
        };
        match resolved {
            Ok(resolved) => self.complete(&definition.ty, resolved, fields),
            Err(error) => {
                self.report(error, field);
                null_for(&definition.ty)
            }
        }
    }

    fn complete(
        &mut self,
        ty: &TypeRef,
        resolved: Resolved<'w>,
        fields: &[&'d Field<'a, &'a str>],
    ) -> Result<Value, Bubble> {
        let sets: Vec<_> = fields.iter().map(|field| &field.selection_set).collect();
        let value = match resolved {
            Resolved::Leaf(value) => value,
            Resolved::Node(node) => self.object(&sets, &node).unwrap_or(Value::Null),
            Resolved::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    self.path.push(Value::from(index));
                    // Every list of the schema has nullable items.
                    list.push(match item {
                        Ok(node) => self.object(&sets, &node).unwrap_or(Value::Null),
                        Err(error) => {
                            self.report(error, fields[0]);
                            Value::Null
                        }
                    });
                    self.path.pop();
                }
                Value::Array(list)
            }
        };
        if value.is_null() {
            null_for(ty)
        } else {
            Ok(value)
        }
    }

    fn args(&self, field: &Field<'a, &'a str>, definition: &FieldDef) -> Map<String, Value> {
        let mut args = Map::new();
        for arg in &definition.args {
            let given = field
                .arguments
                .iter()
                .find(|(name, _)| *name == arg.name)
                .and_then(|(_, literal)| value::of_literal(literal, self.variables));
            if let Some(value) = given.or_else(|| arg.default.clone()) {
                args.insert(arg.name.to_owned(), value);
            }
        }
        args
    }

    /// The fault that meets this field, if one does.
    fn refusal(
        &mut self,
        name: &str,
        node: &Node<'w>,
        args: &Map<String, Value>,
    ) -> Option<FieldError> {
        if LOOKUPS.contains(&name) {
            self.lookups += 1;
            if self.lookups > self.asker.answered_max {
                return Some(FieldError::of(ErrorType::ResourceLimitsExceeded));
            }
            if let Some((nth, error)) = self.asker.nth
                && self.lookups.is_multiple_of(nth)
            {
                return Some(FieldError::of(error));
            }
        }
        if self.asker.failing.is_empty() {
            return None;
        }
        let text = |key: &str| args.get(key).and_then(Value::as_str).unwrap_or_default();
        let repo = match node.place() {
            Some((repo, _)) => repo.name_with_owner(),
            None => format!("{}/{}", text("owner"), text("name")),
        };
        let number = args
            .get("number")
            .and_then(Value::as_u64)
            .or_else(|| node.place().and_then(|(_, number)| number));
        self.asker
            .failing
            .iter()
            .find(|fault| {
                fault.field == name
                    && fault
                        .repo
                        .as_ref()
                        .is_none_or(|wanted| wanted.eq_ignore_ascii_case(&repo))
                    && (fault.number.is_none() || fault.number == number)
            })
            .map(|fault| FieldError::of(fault.error))
    }

    fn report(&mut self, error: FieldError, field: &Field<'a, &'a str>) {
        let mut entry = Map::new();
        if let Some(kind) = error.kind {
            entry.insert("type".to_owned(), Value::from(kind));
        }
        entry.insert("path".to_owned(), Value::Array(self.path.clone()));
        if let Some(extensions) = error.extensions {
            entry.insert("extensions".to_owned(), extensions);
        }
        entry.insert(
            "locations".to_owned(),
            Value::Array(vec![super::location(field.position)]),
        );
        entry.insert("message".to_owned(), Value::from(error.message));
        self.errors.push(Value::Object(entry));
    }
}

fn null_for(ty: &TypeRef) -> Result<Value, Bubble> {
    if ty.is_non_null() {
        Err(Bubble)
    } else {
        Ok(Value::Null)
    }
}

/// Whether `nodes` or `edges` are selected: only then GitHub wants a bound.
fn selects_contents<'d, 'a>(
    sets: &[&'d SelectionSet<'a, &'a str>],
    fragments: &Fragments<'d, 'a>,
) -> bool {
    sets.iter().any(|set| {
        set.items.iter().any(|selection| match selection {
            Selection::Field(field) => matches!(field.name, "nodes" | "edges"),
            Selection::InlineFragment(inline) => {
                selects_contents(&[&inline.selection_set], fragments)
            }
            Selection::FragmentSpread(spread) => fragments
                .get(spread.fragment_name)
                .is_some_and(|fragment| selects_contents(&[&fragment.selection_set], fragments)),
        })
    })
}
