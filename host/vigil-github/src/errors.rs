//! The `errors` of a GraphQL answer, sorted by what they are about.

use std::collections::HashSet;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;
use vigil_core::{Gap, GapKind};

use crate::limits;
use crate::query::{item_alias, repository_alias};
use crate::words;

/// 2,000 different errors: some for each of a hundred questions and each of their fields. With more an answer is not to
/// be trusted.
const ERRORS_MAX: usize = 2_000;

/// 64 KiB: an error is a sentence, a path and the place in the document.
const ERROR_BYTES_MAX: usize = 64 * 1024;

/// The errors of one answer.
#[derive(Debug, Default)]
pub(crate) struct Errors {
    all: Vec<Problem>,
}

/// One error.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    /// What it is about.
    pub(crate) place: Place,
    /// What it means.
    pub(crate) class: Class,
    /// GitHub's words.
    pub(crate) message: String,
}

/// What an error is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// Nothing that can be named: it casts doubt on the whole answer.
    Whole,
    /// A side dish: what is left of the budget, and which branch is the default, without which the rest holds.
    Aside,
    /// A repository, or a field of it that everything below rests on. The rest of the path leads into it: empty, it is
    /// about the repository itself.
    Repository(usize, Vec<String>),
    /// A question. The rest of the path leads into its value: empty, it is about the value itself.
    Item(usize, Vec<String>),
}

/// What an error means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Class {
    /// Not there, or not visible.
    NotFound,
    /// No permission.
    Denied,
    /// A limit on requests: stop.
    Limited,
    /// The query was too much work: ask for less at once.
    TooMuch,
    /// GitHub itself is in trouble.
    Failing,
    /// Another type, by its name; empty: it had none.
    Other(String),
}

impl Errors {
    /// From the text of `errors` in the answer to a document with so many repositories and questions. Whatever is not
    /// as it should be there is an error about the whole answer.
    ///
    /// Errors are read one by one, and of those that say the same of the same field the first is kept: a token that may
    /// see no check brings one for each of them.
    pub(crate) fn read(text: Option<&RawValue>, repositories: usize, questions: usize) -> Self {
        let Some(text) = text.filter(|text| text.get() != "null") else {
            return Errors::default();
        };
        let list = List {
            repositories,
            questions,
        };
        let mut reader = serde_json::Deserializer::from_str(text.get());
        match reader.deserialize_seq(list) {
            Ok(errors) => errors,
            Err(_) => Errors {
                all: vec![Problem::whole("its errors are no list")],
            },
        }
    }

    /// The first that means "stop", wherever it points.
    pub(crate) fn limit(&self) -> Option<&Problem> {
        self.all.iter().find(|p| p.class == Class::Limited)
    }

    /// The first about the whole answer.
    pub(crate) fn whole(&self) -> Option<&Problem> {
        self.all.iter().find(|p| p.place == Place::Whole)
    }

    /// The one about the repository at `at` that says most.
    pub(crate) fn repository(&self, at: usize) -> Option<&Problem> {
        weightiest(self.of_repository(at).map(|(problem, _)| problem))
    }

    /// Whether all that fails of the repository at `at` is that its `field` may not be seen.
    pub(crate) fn only_denies(&self, at: usize, field: &str) -> bool {
        let mut problems = self.of_repository(at).peekable();
        problems.peek().is_some()
            && problems.all(|(problem, inner)| {
                problem.class == Class::Denied && inner.first().is_some_and(|name| name == field)
            })
    }

    fn of_repository(&self, at: usize) -> impl Iterator<Item = (&Problem, &[String])> {
        self.all
            .iter()
            .filter_map(move |problem| match &problem.place {
                Place::Repository(place, inner) if *place == at => {
                    Some((problem, inner.as_slice()))
                }
                _ => None,
            })
    }

    /// The one about the question at `at` that says most, among those whose inner path `which` takes.
    pub(crate) fn item(&self, at: usize, which: impl Fn(&[String]) -> bool) -> Option<&Problem> {
        weightiest(
            self.all
                .iter()
                .filter(|p| matches!(&p.place, Place::Item(n, inner) if *n == at && which(inner))),
        )
    }
}

/// Of several errors about one thing, "not found" counts only when there is no other: the other one may be its cause.
fn weightiest<'a>(problems: impl Iterator<Item = &'a Problem>) -> Option<&'a Problem> {
    let mut found = None;
    for problem in problems {
        match problem.class {
            Class::TooMuch => return Some(problem),
            Class::NotFound => found = found.or(Some(problem)),
            _ => match found {
                Some(Problem { class, .. }) if *class != Class::NotFound => {}
                _ => found = Some(problem),
            },
        }
    }
    found
}

impl Problem {
    fn whole(message: &str) -> Self {
        Problem {
            place: Place::Whole,
            class: Class::Other(String::new()),
            message: message.to_owned(),
        }
    }

    /// The gap that this error leaves in the fact about `what`.
    pub(crate) fn gap(&self, what: &str) -> Gap {
        let kind = match &self.class {
            Class::NotFound => GapKind::NotFound,
            Class::Denied => GapKind::Denied,
            Class::Limited => GapKind::RateLimited,
            Class::TooMuch => GapKind::TooLarge,
            Class::Failing => GapKind::Unreachable,
            Class::Other(name) if name.is_empty() => GapKind::Malformed,
            Class::Other(name) => GapKind::Other(name.clone()),
        };
        let message = match self.message.as_str() {
            "" => "an error without a message",
            message => message,
        };
        Gap::new(kind, format!("{what}: GitHub says: {message}"))
    }
}

/// Reads the list, an error at a time.
struct List {
    repositories: usize,
    questions: usize,
}

impl<'de> Visitor<'de> for List {
    type Value = Errors;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of errors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Errors, A::Error> {
        let mut all = Vec::new();
        let mut seen = HashSet::new();
        while let Some(text) = list.next_element::<&RawValue>()? {
            let problem = match text.get() {
                long if long.len() > ERROR_BYTES_MAX => {
                    Problem::whole("one of its errors is longer than 64 KiB")
                }
                text => match serde_json::from_str(text) {
                    Ok(error) => problem(&error, self.repositories, self.questions),
                    Err(_) => Problem::whole("one of its errors cannot be read"),
                },
            };
            if !seen.insert((problem.place.clone(), problem.class.clone())) {
                continue;
            }
            if all.len() == ERRORS_MAX {
                all.push(Problem::whole("it brings more than 2,000 different errors"));
                // What comes after it is passed over, so that the list is read to its end.
                while list.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                break;
            }
            all.push(problem);
        }
        Ok(Errors { all })
    }
}

fn problem(error: &Value, repositories: usize, questions: usize) -> Problem {
    let message = error.get("message").and_then(Value::as_str).unwrap_or("");
    let kind = error.get("type").and_then(Value::as_str).unwrap_or("");
    let place = place(error.get("path"), repositories, questions);
    Problem {
        class: class(kind, message, &place),
        place,
        message: words::short(message),
    }
}

fn class(kind: &str, message: &str, place: &Place) -> Class {
    match kind {
        "NOT_FOUND" => Class::NotFound,
        "RATE_LIMIT" | "RATE_LIMITED" => Class::Limited,
        // Secondary limits have come as a refusal, and without any type. To be silent for nothing costs little.
        "FORBIDDEN" | "" if limits::speaks_of_limits(message) => Class::Limited,
        "FORBIDDEN" | "INSUFFICIENT_SCOPES" => Class::Denied,
        "RESOURCE_LIMITS_EXCEEDED" | "MAX_NODE_LIMIT_EXCEEDED" => Class::TooMuch,
        "SERVICE_UNAVAILABLE" => Class::Failing,
        // Without a type only the words are left. GitHub's own time limit comes in two of them. The second can also
        // be a bug at its end: fewer questions at once help only where it is about the whole query.
        "" if message.starts_with("Timeout on validation of query") => Class::TooMuch,
        "" if message.starts_with("Something went wrong while executing your query") => match place
        {
            Place::Whole => Class::TooMuch,
            _ => Class::Failing,
        },
        other => Class::Other(words::dashed(other)),
    }
}

fn place(path: Option<&Value>, repositories: usize, questions: usize) -> Place {
    let Some(Value::Array(path)) = path else {
        return Place::Whole;
    };
    let mut steps = path.iter().map(|step| match step {
        Value::String(name) => name.clone(),
        other => other.to_string(),
    });
    match steps.next() {
        Some(first) if first == "rateLimit" => Place::Aside,
        Some(first) => {
            let Some(repository) = number(&first, repositories, repository_alias) else {
                return Place::Whole;
            };
            let mut inner: Vec<String> = steps.collect();
            let item = inner
                .first()
                .and_then(|second| number(second, questions, item_alias));
            match item {
                Some(at) => {
                    let mut inner = inner.split_off(1);
                    // Which of a list's entries it is matters for the list of a question, and not for those below.
                    for step in inner.iter_mut().skip(2) {
                        if step.bytes().all(|digit| digit.is_ascii_digit()) {
                            *step = "0".to_owned();
                        }
                    }
                    Place::Item(at, inner)
                }
                None if inner.first().is_some_and(|name| name == "defaultBranchRef") => {
                    Place::Aside
                }
                // The repository's own fields are the control that every answer below rests on.
                None => Place::Repository(repository, inner),
            }
        }
        None => Place::Whole,
    }
}

/// The number in an alias, below `count`. A token that may see no check brings thousands of errors, so no alias is
/// tried that cannot be it.
fn number(name: &str, count: usize, alias: fn(usize) -> String) -> Option<usize> {
    let digits = name.trim_start_matches(|c: char| !c.is_ascii_digit());
    let at = digits.parse().ok().filter(|at| *at < count)?;
    (alias(at) == name).then_some(at)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(errors: &Value) -> Errors {
        let text = serde_json::value::to_raw_value(errors).expect("JSON");
        Errors::read(Some(&text), 3, 9)
    }

    fn denied(path: Value) -> Value {
        json!({ "type": "FORBIDDEN", "message": "Resource not accessible", "path": path })
    }

    #[test]
    fn a_hundred_thousand_errors_about_one_field_are_one() {
        let of_check = |check: u32| {
            let list = "statusCheckRollup";
            let path = json!([
                "repository0",
                "item3",
                "commits",
                "nodes",
                0,
                "commit",
                list,
                "contexts",
                "nodes",
                check
            ]);
            denied(path)
        };
        let errors = read(&(0..100_000).map(of_check).collect());
        assert_eq!(errors.all.len(), 1);
        assert!(
            errors
                .item(3, |inner| inner
                    .first()
                    .is_some_and(|name| name == "commits"))
                .is_some()
        );
        assert!(errors.whole().is_none());
    }

    #[test]
    fn what_differs_in_place_or_meaning_is_kept_apart() {
        let errors = read(&json!([
            denied(json!(["repository0", "item3", "nodes", 0, "mergeable"])),
            denied(json!(["repository0", "item3", "nodes", 1, "mergeable"])),
            denied(json!(["repository0", "item4", "mergeable"])),
            denied(json!(["repository1"])),
            { "type": "NOT_FOUND", "message": "none", "path": ["repository1"] },
            { "type": "NOT_FOUND", "message": "again", "path": ["repository1"] },
        ]));
        assert_eq!(errors.all.len(), 5);
        let of_entry =
            |at: &'static str| move |inner: &[String]| inner.get(1).is_some_and(|one| one == at);
        assert!(errors.item(3, of_entry("1")).is_some());
        assert!(errors.item(3, of_entry("2")).is_none());
    }

    #[test]
    fn what_is_out_of_bounds_casts_doubt_on_the_whole_answer() {
        let different = |at: usize| denied(json!(["repository0", "item3", format!("field{at}")]));
        let many: Value = (0..ERRORS_MAX + 2).map(different).collect();
        let most: Value = (0..ERRORS_MAX).map(different).collect();
        let long = json!([{ "message": "x".repeat(ERROR_BYTES_MAX), "path": ["repository0"] }]);
        assert!(read(&many).whole().is_some());
        assert!(read(&most).whole().is_none());
        assert!(read(&long).whole().is_some());
        for no_list in [json!({}), json!("x"), json!(1), json!([1]), json!([null])] {
            assert!(read(&no_list).whole().is_some(), "{no_list}");
        }
        assert!(read(&json!(null)).all.is_empty());
        assert!(Errors::read(None, 3, 9).all.is_empty());
    }
}
