//! Which records are of the same issue, and what their sessions are called.

use std::borrow::Cow;
use std::collections::HashMap;

/// What a record is called among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The session's name within the source: `owner/repo#299`, a second record of the same issue `owner/repo#299@2`,
    /// and `record-7` for one that names no repository or no issue.
    pub(crate) id: String,
    /// How many records name the same issue, itself included; 1 where it names none.
    pub(crate) copies: u32,
}

/// Repository and issue as a record has them, when its session can be named after them: nothing in the name garbles a
/// terminal.
pub(crate) fn nameable(issue: Option<(&str, u64)>) -> Option<(&str, u64)> {
    issue.filter(|(repo, _)| !repo.chars().any(char::is_control))
}

/// The names of all records of a file: `issues` are repository and issue of each, in the file's order, as far as it
/// has both. GitHub takes `Acme/App` and `acme/app` for the same repository.
pub(crate) fn names<'a>(
    issues: impl Iterator<Item = Option<(&'a str, u64)>> + Clone,
) -> Vec<Named> {
    let key = |(repo, issue): (&'a str, u64)| (lower(repo), issue);
    let mut copies: HashMap<(Cow<'a, str>, u64), (u32, u32)> = HashMap::new();
    for issue in issues.clone().filter_map(nameable) {
        copies.entry(key(issue)).or_default().0 += 1;
    }
    issues
        .enumerate()
        .map(|(index, issue)| {
            let Some((repo, number)) = nameable(issue) else {
                return Named {
                    id: format!("record-{}", index + 1),
                    copies: 1,
                };
            };
            let (copies, seen) = copies.entry(key((repo, number))).or_default();
            *seen += 1;
            Named {
                id: match *seen {
                    1 => format!("{repo}#{number}"),
                    n => format!("{repo}#{number}@{n}"),
                },
                copies: *copies,
            }
        })
        .collect()
}

fn lower(repo: &str) -> Cow<'_, str> {
    match repo.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => Cow::Owned(repo.to_ascii_lowercase()),
        false => Cow::Borrowed(repo),
    }
}
