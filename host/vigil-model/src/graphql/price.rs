//! What a document costs, by its declared shape alone: an empty list costs as much as a full one.
//!
//! GitHub publishes the formula (docs: rate limits and query limits for the GraphQL API): every connection is fetched
//! once for each node above it; the sum over a hundred, rounded, is the price in points, and at least one. The nodes
//! that could come back are counted in the same way and are limited.

use graphql_parser::query::{Field, Selection, SelectionSet};
use serde_json::{Map, Value};

use super::schema::SCHEMA;
use super::{Fragments, value};

/// The most nodes that one document may ask for.
pub(crate) const NODES_MAX: u64 = 500_000;

/// The fields that look something up; GitHub's resource limits bind on them long before points do.
pub(crate) const LOOKUPS: [&str; 6] = [
    "issue",
    "issueOrPullRequest",
    "issues",
    "node",
    "pullRequest",
    "pullRequests",
];

/// What a document costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Price {
    /// Points of the primary limit.
    pub(crate) points: u64,
    /// The most nodes that can come back.
    pub(crate) nodes: u64,
    /// Look-ups of single things and lists.
    pub(crate) lookups: usize,
}

/// The price of an operation.
pub(crate) fn of<'d, 'a>(
    selection: &'d SelectionSet<'a, &'a str>,
    fragments: &Fragments<'d, 'a>,
    variables: &Map<String, Value>,
) -> Price {
    let mut walk = Walk {
        fragments,
        variables,
        fetches: 0,
        nodes: 0,
        lookups: 0,
    };
    walk.level(&[(selection, "Query")], 1);
    Price {
        points: (walk.fetches.saturating_add(50) / 100).max(1),
        nodes: walk.nodes,
        lookups: walk.lookups,
    }
}

struct Walk<'f, 'd, 'a> {
    fragments: &'f Fragments<'d, 'a>,
    variables: &'f Map<String, Value>,
    fetches: u64,
    nodes: u64,
    lookups: usize,
}

/// A key of the answer, and all fields that meet under it.
type Meeting<'d, 'a> = (&'a str, Vec<(&'d Field<'a, &'a str>, &'d str)>);

impl<'d, 'a> Walk<'_, 'd, 'a> {
    /// One level of the answer, below `times` parents.
    fn level(&mut self, sets: &[(&'d SelectionSet<'a, &'a str>, &'d str)], times: u64) {
        let mut met: Vec<Meeting<'d, 'a>> = Vec::new();
        for (set, parent) in sets {
            self.gather(set, parent, &mut met);
        }
        for (_, fields) in met {
            let Some((field, parent)) = fields.first().copied() else {
                continue;
            };
            let Some(definition) = SCHEMA.field(parent, field.name) else {
                continue;
            };
            if LOOKUPS.contains(&field.name) {
                self.lookups += 1;
            }
            let below = if definition.ty.base().ends_with("Connection") {
                self.fetches = self.fetches.saturating_add(times);
                let asked = self
                    .number(field, "first")
                    .or_else(|| self.number(field, "last"));
                let below = times.saturating_mul(asked.unwrap_or(1));
                self.nodes = self.nodes.saturating_add(below);
                below
            } else if field.name == "nodes" && parent == "Query" {
                times.saturating_mul(self.count(field, "ids"))
            } else {
                times
            };
            let sets: Vec<_> = fields
                .iter()
                .filter_map(|(field, parent)| {
                    let definition = SCHEMA.field(parent, field.name)?;
                    Some((&field.selection_set, definition.ty.base()))
                })
                .collect();
            self.level(&sets, below);
        }
    }

    fn gather(
        &self,
        set: &'d SelectionSet<'a, &'a str>,
        parent: &'d str,
        met: &mut Vec<Meeting<'d, 'a>>,
    ) {
        for selection in &set.items {
            match selection {
                Selection::Field(field) => {
                    let key = super::key(field);
                    let position = met.iter().position(|(present, fields)| {
                        *present == key && fields.iter().any(|(_, other)| *other == parent)
                    });
                    match position {
                        Some(at) => met[at].1.push((field, parent)),
                        None => met.push((key, vec![(field, parent)])),
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let on = super::condition(&fragment.type_condition).unwrap_or(parent);
                    self.gather(&fragment.selection_set, on, met);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(fragment) = self.fragments.get(spread.fragment_name) {
                        let graphql_parser::query::TypeCondition::On(on) = &fragment.type_condition;
                        self.gather(&fragment.selection_set, on, met);
                    }
                }
            }
        }
    }

    fn argument(&self, field: &Field<'a, &'a str>, name: &str) -> Option<Value> {
        let (_, literal) = field.arguments.iter().find(|(given, _)| *given == name)?;
        value::of_literal(literal, self.variables)
    }

    fn number(&self, field: &Field<'a, &'a str>, name: &str) -> Option<u64> {
        self.argument(field, name)?.as_u64()
    }

    fn count(&self, field: &Field<'a, &'a str>, name: &str) -> u64 {
        match self.argument(field, name) {
            Some(Value::Array(items)) => items.len() as u64,
            _ => 1,
        }
    }
}
