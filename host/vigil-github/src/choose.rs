//! Which pull request speaks for a session: the one pure function that ranks all that might.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use vigil_core::evidence::PassedOver;
use vigil_core::fact::Sighting;
use vigil_core::forge::{PullRequest, PullRequestState};
use vigil_core::landing::{Landing, Place};
use vigil_core::{Fact, Gap, GapKind, Timestamp};

use crate::ask::Ask;
use crate::convert::Candidate;
use crate::question::Sought;
use crate::words;

/// The detail of an absence: there are pull requests of that branch name, and all are earlier runs'.
pub const EARLIER_RUN: &str = "earlier-run";

/// How many that were passed over are named: more are a list for GitHub, and no reason.
const NAMED_MAX: usize = 4;

/// What is known of the pull requests that may be a session's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidates {
    /// Those that were read, of a list pages in their order. One may be there twice.
    pub known: Vec<Candidate>,
    /// Whether these are all.
    pub more: More,
}

/// What is behind the last known pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum More {
    /// Nothing: the list is complete.
    Complete,
    /// More of them, after this cursor; empty: a list that nobody has looked at.
    After(String),
    /// Nobody knows, for this reason.
    Lost(Gap),
}

/// Whose pull request is looked for.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// The owner of the repository that the pull request goes into.
    pub base_owner: &'a str,
    /// The pull request that the record names: a candidate, and no more.
    pub number: Option<u64>,
    /// The names that the session's branch may have.
    pub branches: Vec<&'a str>,
    /// The one of them that is only checked out, and that no record names.
    pub checked_out: Option<&'a str>,
    /// The owner of the repository that holds the branch; `None`: nobody knows.
    pub head_owner: Option<&'a str>,
    /// When the session began; `None`: its record does not say.
    pub started: Option<Timestamp>,
    /// Where the work counts as landed.
    pub landing: Landing,
    /// By the newest commit of a head: whether the checkout and it share work of their own. Absent: there is no
    /// checkout. What is not here nobody has looked at.
    pub shares: &'a BTreeMap<String, Fact<bool>>,
    /// The moment that an absence bears.
    pub observed: Timestamp,
}

impl<'a> Wanted<'a> {
    /// Whose pull request `ask` looks for, which leads to `sought`. `default`: the repository's default branch.
    pub(crate) fn of(
        ask: &'a Ask,
        sought: &'a Sought<'_>,
        default: Option<&str>,
        observed: Timestamp,
    ) -> Self {
        Wanted {
            base_owner: sought.repo.owner(),
            number: sought.number.map(u64::from),
            branches: sought.branches.clone(),
            checked_out: sought.checked_out,
            head_owner: sought.head_owner,
            started: ask.started,
            landing: landing(ask, default),
            shares: &ask.local.shares,
            observed,
        }
    }
}

/// Where the work of `ask` counts as landed in a repository with that default branch.
pub(crate) fn landing(ask: &Ask, default: Option<&str>) -> Landing {
    Landing {
        default: default.map(str::to_owned),
        ..ask.landing.clone()
    }
}

/// What was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The pull request that speaks for the session.
    pub fact: Fact<PullRequest>,
    /// The others that might have, the nearest first; at most a few.
    pub passed_over: Vec<PassedOver>,
}

/// How surely a pull request is the session's.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Ours {
    /// Its head is the session's branch.
    Branch,
    /// The record names it, and nothing speaks against it.
    Record,
    /// Nobody can say, for this reason.
    Maybe(String),
    No,
}

/// Whether a pull request belongs to an earlier run of the same branch name, or to whoever else has a branch of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Earlier {
    No,
    Yes,
    /// Its branch is checked out, and it shares no work with the checkout.
    Apart,
    Maybe(Gap),
}

/// A candidate that may be the session's, as it is judged.
struct Judged<'a> {
    pr: &'a PullRequest,
    ours: Ours,
    earlier: Earlier,
    place: Place,
}

/// What is compared, in this order; the least speaks.
type Rank = (u8, u8, u8, Reverse<Timestamp>, Reverse<u64>);

impl Judged<'_> {
    /// First how surely it is the session's, then where it lands, then where it stands, then which is the newest. One
    /// that was closed unmerged lands nowhere, whatever it was meant for.
    fn rank(&self) -> Rank {
        let surely = match self.ours {
            Ours::Branch => 0,
            Ours::Record => 1,
            Ours::Maybe(_) | Ours::No => 2,
        };
        let (lands, stands) = match self.pr.state {
            PullRequestState::Closed => (5, 2),
            state => (
                match self.place {
                    Place::Base => 0,
                    Place::Default => 1,
                    Place::Listed => 2,
                    Place::Unknown => 3,
                    Place::Elsewhere => 4,
                },
                u8::from(state == PullRequestState::Merged),
            ),
        };
        (
            surely,
            lands,
            stands,
            Reverse(self.pr.created),
            Reverse(self.pr.number),
        )
    }

    fn is_attributed(&self) -> bool {
        matches!(self.ours, Ours::Branch | Ours::Record)
            && !matches!(self.earlier, Earlier::Yes | Earlier::Apart)
    }

    /// Whatever else there is, this one speaks, or another one would change no decision. That holds of an open one alone:
    /// beside one that has ended, recorded or not, another one may be open.
    fn settles(&self) -> bool {
        self.pr.state == PullRequestState::Open
            && self.ours == Ours::Branch
            && self.earlier == Earlier::No
            && self.place.lands()
    }
}

/// Picks the pull request that speaks for a session.
///
/// It is attributed when its head is one of the session's branches in the repository of the owner that is looked for,
/// or when the record names it and nothing speaks against that. Of those that are, the one speaks that goes where the
/// work is meant for (the record's base, the default branch, a listed one), then an open one before a merged one, then
/// the newest; one that was closed unmerged speaks only where there is no other. What cannot be attributed never
/// displaces what can: where there is nothing else, the answer is unknown, and names it.
///
/// One that nothing but the checked-out branch leads to is the session's where the checkout shares its work.
///
/// An earlier run's is passed over: it was opened before the session began, and shares no work with the checkout. One
/// that was found by its branch alone, and ended before the session began, is an earlier run's as well where there is
/// no checkout to compare it with. Where all are, there is none, with detail [`EARLIER_RUN`].
///
/// `None`: it depends on what nobody has looked at yet. So the list of the branch is asked for once the recorded one has
/// ended, and not while it is open; who rests on the answer makes no difference.
pub fn choose(candidates: &Candidates, wanted: &Wanted<'_>) -> Option<Choice> {
    let mut judged: Vec<Judged<'_>> = Vec::with_capacity(candidates.known.len());
    for candidate in &candidates.known {
        let pr = &candidate.pull_request;
        let ours = ours(pr, wanted);
        // A page that came later may overlap, and the recorded one may be in the list of a branch.
        if ours == Ours::No || judged.iter().any(|known| known.pr.number == pr.number) {
            continue;
        }
        judged.push(Judged {
            earlier: earlier(pr, wanted),
            place: wanted.landing.place(&pr.base_ref),
            pr,
            ours,
        });
    }
    judged.sort_by_key(Judged::rank);
    let best = judged.iter().position(Judged::is_attributed);
    let settles = best.is_some_and(|at| judged[at].settles());
    match &candidates.more {
        More::Complete => {}
        _ if settles => {}
        More::After(_) => return None,
        More::Lost(gap) => {
            return Some(Choice {
                fact: Fact::from(gap.clone()),
                passed_over: Vec::new(),
            });
        }
    }
    Some(Choice {
        fact: said(&judged, best, wanted),
        passed_over: passed_over(&judged, best),
    })
}

fn said(judged: &[Judged<'_>], best: Option<usize>, wanted: &Wanted<'_>) -> Fact<PullRequest> {
    if let Some(best) = best.map(|at| &judged[at]) {
        return match &best.earlier {
            Earlier::Maybe(gap) => Fact::from(gap.clone()),
            _ => Fact::Found(best.pr.clone()),
        };
    }
    let maybe = judged
        .iter()
        .find_map(|one| match (&one.ours, &one.earlier) {
            (Ours::Maybe(why), Earlier::No | Earlier::Maybe(_)) => Some((one.pr.number, why)),
            _ => None,
        });
    if let Some((number, why)) = maybe {
        return Fact::unknown(
            GapKind::NoControl,
            format!(
                "pull request #{number} may be this session's, but {why}, so nobody can say whose it is"
            ),
        );
    }
    let detail = match judged.iter().any(|one| one.earlier == Earlier::Yes) {
        true => EARLIER_RUN,
        false => "",
    };
    Fact::from(Sighting {
        first: wanted.observed,
        last: wanted.observed,
        detail: detail.to_owned(),
    })
}

fn ours(pr: &PullRequest, wanted: &Wanted<'_>) -> Ours {
    let is_recorded = wanted.number == Some(pr.number);
    let is_branch = wanted.branches.contains(&pr.head_ref.as_str());
    if !is_recorded && !is_branch {
        return Ours::No;
    }
    let gone = || Ours::Maybe("the fork that held its branch is gone".to_owned());
    match (pr.head_owner.as_deref(), wanted.head_owner) {
        (Some(owner), Some(ours)) if owner.eq_ignore_ascii_case(ours) => match is_branch {
            true => Ours::Branch,
            false => Ours::Record,
        },
        (Some(owner), Some(ours)) => match is_recorded {
            true => Ours::Maybe(format!(
                "its branch is in the repository of {}, and not of {}",
                words::short(owner),
                words::short(ours)
            )),
            false => Ours::No,
        },
        // Our branch lives in the base repository, which is there: whatever lost its home is not ours.
        (None, Some(ours)) if ours.eq_ignore_ascii_case(wanted.base_owner) => match is_recorded {
            true => gone(),
            false => Ours::No,
        },
        (None, Some(_)) => match is_recorded {
            true => Ours::Record,
            false => gone(),
        },
        (_, None) => match is_recorded {
            true => Ours::Record,
            false => Ours::No,
        },
    }
}

fn earlier(pr: &PullRequest, wanted: &Wanted<'_>) -> Earlier {
    let is_recorded = wanted.number == Some(pr.number);
    let is_open = pr.state == PullRequestState::Open;
    let shares = wanted.shares.get(&pr.head_sha);
    if is_only_checked_out(pr, wanted) {
        return match shares {
            Some(Fact::Found(true)) => Earlier::No,
            Some(Fact::Found(false)) => Earlier::Apart,
            Some(Fact::Unknown(gap)) => unshared(pr, &gap.kind, &gap.detail),
            Some(Fact::Absent(_) | Fact::NotAsked) | None => {
                unshared(pr, &GapKind::NoControl, "nobody has compared them")
            }
        };
    }
    let Some(started) = wanted.started else {
        return match shares {
            _ if is_open || is_recorded => Earlier::No,
            Some(Fact::Found(true)) => Earlier::No,
            _ => Earlier::Maybe(Gap::new(
                GapKind::Unrecorded,
                format!(
                    "pull request #{} of this branch has ended, and the record does not say when the session began",
                    pr.number
                ),
            )),
        };
    };
    if pr.created >= started {
        return Earlier::No;
    }
    match shares {
        Some(Fact::Found(true)) => Earlier::No,
        Some(Fact::Found(false)) => Earlier::Yes,
        // An open one of this very branch is being worked on, whoever opened it; the recorded one is the owner's word.
        Some(Fact::Unknown(gap)) if !is_open && !is_recorded => Earlier::Maybe(Gap::new(
            gap.kind.clone(),
            format!(
                "pull request #{} was opened before this session began, and whether its work is in the checkout is \
                 unknown: {}",
                pr.number, gap.detail
            ),
        )),
        Some(Fact::Unknown(_)) => Earlier::No,
        Some(Fact::Absent(_) | Fact::NotAsked) | None => {
            let over = pr.ended().is_some_and(|ended| ended < started);
            match over && !is_recorded {
                true => Earlier::Yes,
                false => Earlier::No,
            }
        }
    }
}

/// Whether nothing but the branch that is checked out leads to it.
fn is_only_checked_out(pr: &PullRequest, wanted: &Wanted<'_>) -> bool {
    wanted.number != Some(pr.number) && wanted.checked_out == Some(pr.head_ref.as_str())
}

fn unshared(pr: &PullRequest, kind: &GapKind, why: &str) -> Earlier {
    Earlier::Maybe(Gap::new(
        kind.clone(),
        format!(
            "pull request #{} is of the branch that is checked out, and not of the recorded one; whether its work is in \
             the checkout is unknown: {why}",
            pr.number
        ),
    ))
}

/// Why each of the others does not speak.
fn passed_over(judged: &[Judged<'_>], best: Option<usize>) -> Vec<PassedOver> {
    let others = judged.iter().enumerate();
    let others = others.filter(|(at, _)| Some(*at) != best);
    let best = best.map(|at| &judged[at]);
    others
        .take(NAMED_MAX)
        .map(|(_, one)| PassedOver {
            number: one.pr.number,
            why: why(one, best),
        })
        .collect()
}

fn why(one: &Judged<'_>, best: Option<&Judged<'_>>) -> String {
    if one.earlier == Earlier::Yes {
        return "an earlier run's".to_owned();
    }
    if one.earlier == Earlier::Apart {
        return "of the branch that is checked out, with none of the checkout's work".to_owned();
    }
    if let Ours::Maybe(why) = &one.ours {
        return why.clone();
    }
    let base = words::short(&one.pr.base_ref);
    let is_nearer = |best: &Judged<'_>| best.place < one.place;
    match one.pr.state {
        PullRequestState::Closed => "closed without a merge".to_owned(),
        PullRequestState::Open if best.is_some_and(is_nearer) => format!("goes into {base}"),
        PullRequestState::Merged if best.is_some_and(is_nearer) => format!("merged into {base}"),
        PullRequestState::Open => "another open one".to_owned(),
        PullRequestState::Merged => "merged before".to_owned(),
    }
}

/// Those for which it matters whether the checkout shares their work, and nobody knows yet.
pub fn to_compare<'c>(candidates: &'c Candidates, wanted: &Wanted<'_>) -> Vec<&'c PullRequest> {
    let candidates = candidates.known.iter().map(|one| &one.pull_request);
    candidates
        .filter(|pr| ours(pr, wanted) != Ours::No)
        .filter(|pr| {
            let is_older = wanted.started.is_none_or(|started| pr.created < started);
            is_older || is_only_checked_out(pr, wanted)
        })
        .filter(|pr| {
            let shares = wanted.shares.get(&pr.head_sha);
            shares.is_none_or(Fact::is_unknown)
        })
        .collect()
}
