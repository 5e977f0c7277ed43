//! Finding out what changed: a conditional list for a quiet repository, the newest entries of fifty busy ones at once.

use std::collections::BTreeMap;

use vigil_core::{Gap, GapKind, Timestamp};

use super::lane::{Job, silenced};
use super::{Outcome, Round, Scan, out_of_time};
use crate::ask::Parts;
use crate::budget::Pool;
use crate::heads::REPOSITORIES_MAX;
use crate::learn::Learned;
use crate::memory::{Etag, Needed, News, Watch, Why, repo_key, whole_seconds};
use crate::probe::{Changed, Probe, Probed, learn_probe};
use crate::question::{Question, Repo, Target};
use crate::reply::Trouble;
use crate::tokens::Account;

/// So many busy repositories of one account are asked one by one: a list that changed costs one request of the 5,000
/// an hour, and brings the facts of its issues along. More of them would eat that up, while fifty cost one point.
const ONE_BY_ONE_MAX: usize = 8;

/// Pages of changes of one repository that are read. What changed beyond them is more than reading everything that is
/// tracked costs.
const PAGES_MAX: u32 = 10;

/// A list that is longer moves its beginning: it is sent again in whole with every change.
const LIST_MAX: usize = 50;

/// Lists in a row that did not come, after which REST is left alone in a round: twice as many as are out at once.
const UNLISTED_MAX: usize = 2 * super::REST_IN_FLIGHT;

/// What the pages of one list have shown so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    news: bool,
    newest: Option<(Timestamp, u32)>,
    count: usize,
    etag: Option<Etag>,
    has_anchor: bool,
}

impl Round {
    /// Lines up what has to be looked at.
    pub(super) fn plan_scan(
        &mut self,
        repos: &[Repo],
        which: Scan,
        account: impl Fn(&str) -> Account,
    ) {
        let now = self.how.now;
        let mut by_account: BTreeMap<Account, (Vec<Repo>, Vec<Repo>)> = BTreeMap::new();
        let mut known = std::collections::HashSet::new();
        let former = self.memory.former_names(repos);
        for repo in repos.iter().chain(&former) {
            self.read_unread(repo, &account);
            let Some(watch) = self.memory.watch(repo) else {
                continue;
            };
            let due = match which {
                Scan::Due => watch.is_due(now),
                Scan::OlderThan(age) => {
                    watch.since.is_some()
                        && watch
                            .verified
                            .is_none_or(|verified| verified > now || verified.age(now) >= age)
                }
            };
            if !due || !known.insert(repo_key(repo)) {
                continue;
            }
            let by_graphql = watch.is_busy(now) || !watch.has_list();
            let account = self.know_account(repo, &account);
            let (quiet, busy) = by_account.entry(account).or_default();
            match by_graphql {
                true => busy.push(repo.clone()),
                false => quiet.push(repo.clone()),
            }
        }
        for (account, (mut quiet, mut busy)) in by_account {
            if busy.len() <= ONE_BY_ONE_MAX {
                let (lists, others): (Vec<Repo>, Vec<Repo>) = busy
                    .into_iter()
                    .partition(|repo| self.memory.watch(repo).is_none_or(Watch::has_list));
                quiet.extend(lists);
                busy = others;
            }
            let memory = self.memory.account(&account, now);
            if memory.silent(Pool::Rest, now).is_some() {
                busy.append(&mut quiet);
            } else if memory.silent(Pool::GraphQl, now).is_some() {
                quiet.append(&mut busy);
            }
            self.total += (quiet.len() + busy.len()) as u64;
            for repo in quiet {
                self.probe(&account, repo);
            }
            for chunk in busy.chunks(REPOSITORIES_MAX) {
                self.lane(&account)
                    .jobs
                    .push_back(Job::Heads(chunk.to_vec()));
            }
        }
        self.estimate();
    }

    /// Lines up what an earlier round announced and could not read.
    fn read_unread(&mut self, repo: &Repo, account: &impl Fn(&str) -> Account) {
        let unread: Vec<u32> = match self.memory.watch(repo) {
            Some(watch) => watch.unread.keys().copied().collect(),
            None => return,
        };
        for number in unread {
            let account = self.know_account(repo, account);
            self.discover(&account, repo, number);
        }
    }

    pub(super) fn probe(&mut self, account: &Account, repo: Repo) {
        let since = self.memory.watch(&repo).and_then(|watch| watch.since);
        let Some(since) = since else { return };
        self.lane(account).probes.push_back(Job::Probe {
            probe: Probe { repo, since },
            path: None,
            page: 1,
            seen: Seen::default(),
        });
    }

    /// GraphQL does not find a repository, for whatever reason. REST says where it went, if it went anywhere.
    pub(super) fn look_for(&mut self, account: &Account, repo: Repo) {
        let known = self.memory.watch(&repo).and_then(|watch| watch.since);
        if known.is_some() || !self.looked_for.insert(repo_key(&repo)) {
            // A repository that is watched is looked at by its list in any case.
            return;
        }
        let since = whole_seconds(self.how.now);
        self.total += 1;
        self.lane(account).probes.push_back(Job::Probe {
            probe: Probe { repo, since },
            path: None,
            page: 1,
            seen: Seen::default(),
        });
    }

    /// The list cannot be had by REST: GraphQL tells the newest entries.
    pub(super) fn probe_elsewhere(&mut self, account: &Account, repo: Repo) {
        let lane = self.lane(account);
        for job in &mut lane.jobs {
            if let Job::Heads(repos) = job
                && repos.len() < REPOSITORIES_MAX
            {
                repos.push(repo);
                return;
            }
        }
        lane.jobs.push_back(Job::Heads(vec![repo]));
    }

    /// No list came, and another one may not come either: after some in a row no more are asked for.
    fn unlisted(&mut self, account: &Account, repo: Repo, gap: &Gap) {
        self.lost_probe(account, repo, gap);
        let lane = self.lane(account);
        lane.unlisted += 1;
        lane.last_gap = Some(gap.clone());
        if lane.unlisted >= UNLISTED_MAX {
            self.divert(account, gap);
        }
    }

    /// No answer came by REST.
    pub(super) fn lost_probe(&mut self, account: &Account, repo: Repo, gap: &Gap) {
        if self.looked_for.contains(&repo_key(&repo)) {
            return self.missed_heads(&[repo], gap);
        }
        self.unlisted.insert(repo_key(&repo));
        let now = self.how.now;
        let is_silent = self.memory.silent(account, Pool::GraphQl, now).is_some();
        if is_silent || self.lane(account).is_stopped(Pool::GraphQl) {
            self.missed_heads(&[repo], gap);
        } else {
            self.probe_elsewhere(account, repo);
        }
    }

    /// What changed in these repositories could not be learned.
    pub(super) fn missed_heads(&mut self, repos: &[Repo], gap: &Gap) {
        let (now, interval) = (self.how.now, self.how.interval);
        self.done += repos.len() as u64;
        for repo in repos {
            let watch = self.memory.watch_mut(repo);
            match gap.kind {
                GapKind::RateLimited => watch.withheld(gap.clone(), now, interval),
                _ => watch.missed(gap.clone(), now, interval),
            }
        }
    }

    /// What changed in these repositories was not asked, or not waited for: that is nobody's failure, and the next pass
    /// asks as if this one had never wanted to know.
    pub(super) fn left_lists(&mut self, repos: &[Repo], gap: &Gap) {
        self.done += repos.len() as u64;
        for repo in repos {
            self.memory.leave_list(repo, gap, self.how.now);
        }
    }

    /// There are no points left for looking: nobody can say any more whether what is known still holds.
    pub(super) fn postpone_heads(&mut self, account: &Account, repos: Vec<Repo>) {
        self.lane(account).postponed += u32::try_from(repos.len()).unwrap_or(u32::MAX);
        let gap = Gap::new(
            GapKind::RateLimited,
            "vigil's share of GitHub's points is used up",
        );
        self.missed_heads(&repos, &gap);
    }

    pub(super) fn take_probe(
        &mut self,
        account: &Account,
        probe: Probe,
        page: u32,
        seen: Seen,
        outcome: Outcome,
        now: Timestamp,
    ) {
        let raw = match outcome {
            Outcome::Answer(raw) => raw,
            Outcome::TimedOut(gap) | Outcome::TooLarge(gap) | Outcome::Broken(gap) => {
                return self.unlisted(account, probe.repo, &gap);
            }
            Outcome::NoConnection(gap) => {
                self.missed_heads(&[probe.repo], &gap);
                let trouble = Trouble::Unanswered { gap: gap.clone() };
                return self.stop(account, Pool::Rest, &gap, trouble);
            }
            Outcome::NoToken(trouble) => {
                let gap = trouble.gap();
                self.missed_heads(&[probe.repo], &gap);
                self.stop(account, Pool::GraphQl, &gap, trouble.clone());
                return self.stop(account, Pool::Rest, &gap, trouble);
            }
            Outcome::Silent(silence) => {
                self.silenced(account, Pool::Rest, &silence);
                return self.lost_probe(account, probe.repo, &silenced(&Trouble::of(&silence)));
            }
            Outcome::OutOfTime => return self.left_lists(&[probe.repo], &out_of_time()),
        };
        let received = raw.received(now);
        let learned =
            learn_probe(&probe, &received, self.how.now).heeding(&received, Pool::Rest.resource());
        let (probed, meter) = match learned {
            Learned::Answered(answered) => answered,
            Learned::Overloaded(gap) | Learned::Lost(gap) => {
                return self.unlisted(account, probe.repo, &gap);
            }
            other => {
                let Some((gap, trouble)) = self.trouble_of(account, Pool::Rest, other, &raw, now)
                else {
                    return;
                };
                let rejected = matches!(trouble, Trouble::TokenRejected { .. });
                if rejected {
                    self.stop(account, Pool::GraphQl, &gap, trouble.clone());
                }
                self.stop(account, Pool::Rest, &gap, trouble);
                return self.lost_probe(account, probe.repo, &gap);
            }
        };
        let free = matches!(probed, Probed::Unchanged { .. });
        let cost = u64::from(!free);
        self.usage.unchanged += u32::from(free);
        let lane = self.lane(account);
        lane.answered = true;
        lane.unlisted = 0;
        self.memory
            .account_mut(account)
            .answered(Pool::Rest, cost, meter, now);
        self.probed(account, probe, page, seen, probed, &raw.fingerprint);
    }

    fn probed(
        &mut self,
        account: &Account,
        probe: Probe,
        page: u32,
        mut seen: Seen,
        probed: Probed,
        fingerprint: &crate::tokens::Fingerprint,
    ) {
        let (now, interval, resync) = (self.how.now, self.how.interval, self.how.resync);
        let etag_of = |value: Option<String>| {
            value.map(|value| Etag {
                value,
                fingerprint: fingerprint.clone(),
                since: probe.since,
            })
        };
        match probed {
            Probed::Unchanged { etag } => {
                self.done += 1;
                let watch = self.memory.watch_mut(&probe.repo);
                // GitHub may name the same list anew.
                watch.etag = etag_of(etag).or(watch.etag.take());
                watch.looked(false, now, interval, resync);
            }
            Probed::Changed { items, etag, next } => {
                if page == 1 {
                    seen.etag = etag_of(etag);
                }
                let horizon = self
                    .memory
                    .watch(&probe.repo)
                    .map_or(Timestamp::default(), |watch| watch.horizon());
                let reaches_back = items.iter().any(|item| item.updated < horizon);
                self.take_items(account, &probe.repo, &items, &mut seen);
                match next {
                    Some(path) if !reaches_back && page < PAGES_MAX => {
                        self.lane(account).probes.push_front(Job::Probe {
                            probe,
                            path: Some(path),
                            page: page + 1,
                            seen,
                        });
                    }
                    next => {
                        if next.is_some() && !reaches_back {
                            // What is tracked is read, whatever the rest of the list says.
                            self.memory.doubt_all(&probe.repo);
                            seen.news = true;
                        }
                        self.list_ended(&probe, seen, next.is_none() && page == 1);
                    }
                }
            }
            Probed::IssuesOff => {
                let watch = self.memory.watch_mut(&probe.repo);
                let is_news = !std::mem::replace(&mut watch.no_list, true);
                if is_news {
                    // Its issues are not to be had any more, and no list will ever say so.
                    self.memory.doubt_all(&probe.repo);
                }
                self.probe_elsewhere(account, probe.repo);
            }
            Probed::Moved { to } => self.moved(account, probe.repo, &to),
            // What may be seen of it is seen by the other way, such as its pull requests alone.
            Probed::Gap(gap) if matches!(gap.kind, GapKind::Denied | GapKind::Malformed) => {
                self.lost_probe(account, probe.repo, &gap);
            }
            Probed::Gap(gap) => self.missed_heads(&[probe.repo], &gap),
        }
    }

    fn take_items(&mut self, account: &Account, repo: &Repo, items: &[Changed], seen: &mut Seen) {
        let now = self.how.now;
        let anchor = self.memory.watch(repo).and_then(|watch| watch.anchor);
        for item in items {
            seen.count += 1;
            seen.has_anchor |= anchor == Some(item.number);
            if seen.newest.is_none_or(|(newest, _)| item.updated > newest) {
                seen.newest = Some((item.updated, item.number));
            }
            match self.memory.announce(repo, item, now) {
                News::Nothing => {}
                News::OfKnown => seen.news = true,
                News::OfStranger => {
                    seen.news = true;
                    self.discover(account, repo, item.number);
                }
            }
        }
    }

    /// A pull request that nobody has seen is read, to find out whose branch it has.
    pub(super) fn discover(&mut self, account: &Account, repo: &Repo, number: u32) {
        let question = Question {
            target: Target::PullRequest {
                repo: repo.clone(),
                number,
            },
            parts: Parts::empty(),
            after: None,
            checks_so_far: None,
        };
        let fresh = self.asked.insert((question.target.clone(), question.parts));
        if fresh {
            self.total += 1;
            self.lane(account).waiting.push_back(Needed {
                question,
                why: Why::Stranger,
                owners: Vec::new(),
                learned: Timestamp::default(),
            });
        }
    }

    /// A list was read to its end, or as far back as anything can be new.
    fn list_ended(&mut self, probe: &Probe, seen: Seen, in_one_page: bool) {
        let (now, interval, resync) = (self.how.now, self.how.interval, self.how.resync);
        self.done += 1;
        let lost = {
            let watch = self.memory.watch_mut(&probe.repo);
            // The newest entry of the list before cannot leave it but by being deleted or moved elsewhere.
            let lost = in_one_page && watch.anchor.is_some() && !seen.has_anchor;
            watch.no_list = false;
            if let Some((newest, _)) = seen.newest {
                watch.seen_up_to(newest);
            }
            if seen.count > LIST_MAX || !in_one_page {
                watch.advance();
            }
            if watch.since == Some(probe.since) {
                watch.etag = seen.etag;
                watch.anchor = seen.newest.map(|(_, number)| number);
            }
            lost
        };
        if lost {
            self.memory.doubt_all(&probe.repo);
        }
        self.memory
            .watch_mut(&probe.repo)
            .looked(seen.news || lost, now, interval, resync);
    }
}
