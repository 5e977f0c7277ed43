//! Comparisons of commits: what has to be asked, and what is remembered.

use vigil_core::{Fact, Gap, GapKind, Timestamp};

use super::due::POLL_CALM;
use super::known::Timeless;
use super::speaks::Outcome;
use super::{Doubt, Entry, Known, Memory, repo_key};
use crate::ask::{Ask, Between, Parts};
use crate::compare::{Compared, Comparison};
use crate::learn::Seen;
use crate::question::{Repo, sought};

impl Timeless for Compared {
    fn says_as(&mut self, other: &Self) -> bool {
        self == other
    }
}

/// How a comparison is remembered.
pub(super) fn compare_key(between: &Between) -> String {
    format!("{}...{}", between.base, between.head)
}

impl Memory {
    /// What has to be compared so that all of `asks` can be answered at `now`, each once.
    pub(crate) fn comparisons(
        &self,
        asks: &[Ask],
        doubt: Doubt,
        now: Timestamp,
    ) -> Vec<Comparison> {
        let mut all: Vec<Comparison> = Vec::new();
        for ask in asks {
            for comparison in self.compared_for(ask, now) {
                if self.is_to_be_compared(&comparison, doubt, now) && !all.contains(&comparison) {
                    all.push(comparison);
                }
            }
        }
        all
    }

    fn compared_for(&self, ask: &Ask, now: Timestamp) -> Vec<Comparison> {
        let Some(Ok(sought)) = sought(ask) else {
            return Vec::new();
        };
        let local = ask.local.compare.iter().map(|between| Comparison {
            repo: sought.repo.clone(),
            between: between.clone(),
        });
        let mut all: Vec<Comparison> = local.collect();
        if let Outcome::Chosen(choice) = self.walk(ask, &sought, now).outcome
            && let Fact::Found(pr) = choice.fact
        {
            all.extend(self.landing_compares(&sought.repo, ask, &pr));
        }
        all
    }

    fn is_to_be_compared(&self, comparison: &Comparison, doubt: Doubt, now: Timestamp) -> bool {
        let Comparison { repo, between } = comparison;
        let known = self
            .repo(repo)
            .and_then(|of| of.compares.get(&compare_key(between)));
        let Some(known) = known else {
            return true;
        };
        if known.gap.is_none() && is_for_good(&known.fact, between) {
            return false;
        }
        let why = known.why(Parts::empty(), now);
        why.is_some() || doubt == Doubt::Move && known.tried != now
    }

    /// How `between` lies in `repo`, as far as is known.
    pub fn compared(&self, repo: &Repo, between: &Between) -> Fact<Compared> {
        let known = self
            .repo(repo)
            .and_then(|of| of.compares.get(&compare_key(between)));
        match known {
            Some(known) => match (&known.gap, &known.fact) {
                (Some(gap), _) => Fact::Unknown(gap.clone()),
                (None, fact @ (Fact::Found(_) | Fact::Absent(_))) => fact.clone(),
                _ => not_compared(between),
            },
            None => not_compared(between),
        }
    }

    pub(crate) fn take_comparison(
        &mut self,
        comparison: &Comparison,
        fact: Fact<Compared>,
        now: Timestamp,
    ) {
        let Comparison { repo, between } = comparison;
        let key = compare_key(between);
        let known = self.repo_mut(repo).compares.entry(key.clone()).or_default();
        known.take(Seen::from(fact), Parts::empty(), now);
        known.due = now.after(POLL_CALM);
        self.changes.insert(Entry::Compare(repo_key(repo), key));
    }

    pub(crate) fn miss_comparison(&mut self, comparison: &Comparison, gap: &Gap, now: Timestamp) {
        let Comparison { repo, between } = comparison;
        let key = compare_key(between);
        let known: &mut Known<Compared> =
            self.repo_mut(repo).compares.entry(key.clone()).or_default();
        known.miss(gap.clone(), now);
        self.changes.insert(Entry::Compare(repo_key(repo), key));
    }
}

/// What was found between two commits stays so, and what has reached a branch stays on it.
fn is_for_good(fact: &Fact<Compared>, between: &Between) -> bool {
    let is_commit = matches!(between.base.len(), 40 | 64)
        && between.base.bytes().all(|byte| byte.is_ascii_hexdigit());
    fact.found()
        .is_some_and(|compared| is_commit || compared.ahead == 0)
}

fn not_compared(between: &Between) -> Fact<Compared> {
    Fact::unknown(
        GapKind::NotReady,
        format!(
            "GitHub was not asked yet how {} lies to {}",
            between.head, between.base
        ),
    )
}
