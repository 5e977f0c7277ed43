//! What `vigil doctor` finds out about GitHub: every account that would ask, and every repository that it would ask
//! about.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;
use vigil_core::{Fact, GapKind, Session, Timestamp};
use vigil_github::budget::{Pool, Silence};
use vigil_github::check::{facts_without, permissions_for};
use vigil_github::limits::Limit;
use vigil_github::memory::Renamed;
use vigil_github::tokens::TokenKind;
use vigil_github::{Access, Account, Check, GitHub, Meter, Sample, Trouble};

use super::asked::accounts;
use super::renamed::whereabouts;
use super::silences::Silences;
use super::{Finding, bad, good, note};
use crate::failure::Failure;
use crate::pass::called_otherwise;
use crate::ui;
use crate::wiring::Setup;

/// A person waits for it.
pub(super) const CHECK_DEADLINE: Duration = Duration::from_secs(10);

/// The same, for a fleet's repositories: a second or two for each 25.
const ACCESS_DEADLINE: Duration = Duration::from_secs(60);

/// A clock that is off by more than this makes young facts look old.
const SKEW_MS_MAX: u64 = 60_000;

/// A token that runs out sooner than this is told: a week is time enough to get another one.
const EXPIRES_SOON: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// An account, as the JSON document shows it.
#[derive(Debug, Default, Serialize)]
pub(super) struct AccountReport {
    account: String,
    /// Owners of sessions' repositories that it asks about.
    owners: Vec<String>,
    origin: Option<String>,
    kind: Option<TokenKind>,
    /// Whose token it is; asked where there are several. `None`: not asked, or an App's.
    login: Option<String>,
    scopes: Option<Vec<String>>,
    permissions: Option<BTreeMap<String, String>>,
    expires: Option<String>,
    graphql: PotReport,
    rest: PotReport,
    clock_ahead_s: Option<i64>,
    silent_until: Option<String>,
    error: Option<String>,
}

/// One of the two pots of an account.
#[derive(Debug, Default, Serialize)]
struct PotReport {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<String>,
}

/// A repository, as the JSON document shows it.
#[derive(Debug, Serialize)]
pub(super) struct RepositoryReport {
    repo: String,
    account: String,
    /// `None`: nobody could be asked.
    readable: Option<bool>,
    error: Option<String>,
    /// What it is called by now; `None`: as its sessions' records say, as far as is known.
    called: Option<String>,
    /// Its sessions are judged by what is true there.
    followed: bool,
    missing: Vec<MissingReport>,
}

/// A fact that would stay unknown.
#[derive(Debug, Serialize)]
struct MissingReport {
    fact: String,
    permissions: Vec<&'static str>,
    detail: String,
}

/// All that was found out about GitHub.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    pub(super) accounts: Vec<AccountReport>,
    pub(super) repositories: Vec<RepositoryReport>,
}

/// Asks as every account that would ask about `sessions`. An account that was told to be silent asks nothing.
pub(super) async fn look(setup: &Setup, sessions: &[Session]) -> Result<Looked, Failure> {
    let mut looked = Looked::default();
    let github = match setup.github() {
        Ok(github) => github,
        Err(failure) => {
            let hint = failure.hints().join("; ");
            looked
                .findings
                .push(bad("GitHub", failure.to_string(), hint));
            return Ok(looked);
        }
    };
    let place = setup.place()?;
    looked.findings.push(good(
        "GitHub",
        format!(
            "{} at {} and {}",
            place.host, place.rest_url, place.graphql_url
        ),
    ));
    match github.way() {
        Ok(None) => {}
        Ok(Some((variable, at))) => looked.findings.push(good(
            "GitHub",
            format!("through the proxy {at} of {variable}"),
        )),
        Err(error) => looked.findings.push(bad(
            "GitHub",
            error.to_string(),
            "name a file with certificates in PEM, or unset the variable",
        )),
    }
    for (what, hint) in setup.notes() {
        looked.findings.push(note("GitHub", what, hint));
    }
    let accounts = accounts(&setup.config.github, &github, sessions);
    if accounts.is_empty() {
        looked.findings.push(note(
            "GitHub",
            "no session names an owner at which the App could be tried",
            "list its owners with github.app.owners, or look again when there is a session",
        ));
    }
    let mut silences = Silences::recall(setup, place.host)?;
    let is_users = |account: &&Account| !account.is_renewed();
    let several = accounts.keys().filter(is_users).count() > 1;
    for (account, asked) in accounts {
        let mut visit = Visit {
            github: &github,
            account: &account,
            now: setup.world.now(),
            report: AccountReport {
                account: account.to_string(),
                owners: asked.owners.into_iter().collect(),
                ..AccountReport::default()
            },
            kind: TokenKind::Other,
            asks_who: several && !account.is_renewed(),
            heard: Vec::new(),
            setup,
            looked: &mut looked,
        };
        let told = match silences.of(&account, visit.now) {
            Some(silence) => Some(silence),
            None => {
                let limit = visit.make(&asked.samples).await;
                let (now, heard) = (visit.now, std::mem::take(&mut visit.heard));
                silences.note(setup, &account, |known| {
                    for (pool, cost, meter) in heard {
                        match cost {
                            Some(cost) => known.answered(pool, cost, meter, now),
                            None => known.metered(pool, meter, now),
                        }
                    }
                    limit.map(|(pool, limit)| known.limited(pool, &limit, Meter::default(), now))
                })?
            }
        };
        if let Some(silence) = told {
            visit.silent(&silence, &asked.samples);
        }
        let report = visit.report;
        looked.accounts.push(report);
    }
    let shared = shared(&looked.accounts, setup.config.github.share);
    looked.findings.extend(shared);
    Ok(looked)
}

/// Accounts whose tokens are one user's: GitHub counts what they ask together, and vigil takes its share with each.
fn shared(accounts: &[AccountReport], share: u8) -> Vec<Finding> {
    let mut of: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for account in accounts {
        if let Some(login) = &account.login {
            of.entry(login.to_lowercase())
                .or_default()
                .push(&account.account);
        }
    }
    of.retain(|_, names| names.len() > 1);
    let findings = of.into_iter().map(|(login, names)| {
        note(
            "GitHub",
            format!(
                "the tokens of {} are all {login}'s, whose limits they share; vigil takes up to {share} % of those with each",
                names.join(", ")
            ),
            format!(
                "list the owners with one token, or set github.share to {}",
                (usize::from(share) / names.len()).max(1)
            ),
        )
    });
    findings.collect()
}

/// One account while it is looked at.
struct Visit<'a> {
    github: &'a GitHub,
    account: &'a Account,
    now: Timestamp,
    report: AccountReport,
    kind: TokenKind,
    /// There are other tokens, which may be the same user's.
    asks_who: bool,
    /// What answers told of the pots, and what they cost: it counts like a pass's own. `None`: it was told for free, and
    /// says nothing about whether anything else would be answered.
    heard: Vec<(Pool, Option<u64>, Meter)>,
    setup: &'a Setup,
    looked: &'a mut Looked,
}

impl Visit<'_> {
    /// Asks GitHub about the token and about `samples`. A limit is given back when GitHub names one.
    async fn make(&mut self, samples: &[Sample]) -> Option<(Pool, Limit)> {
        let checked = self
            .github
            .check(self.account, self.now, CHECK_DEADLINE)
            .await;
        let points = match checked {
            Ok(check) => {
                let pots = [(Pool::Rest, check.rest), (Pool::GraphQl, check.graphql)];
                self.heard
                    .extend(pots.map(|(pool, meter)| (pool, None, meter)));
                let points = check.graphql;
                self.token(check);
                points
            }
            Err(trouble) => return self.trouble(Pool::Rest, trouble, samples),
        };
        if self.asks_who {
            let user = self
                .github
                .user(self.account, self.now, CHECK_DEADLINE)
                .await;
            match user {
                Ok(user) => {
                    self.heard.push((Pool::Rest, Some(1), user.rest));
                    self.report.login = user.login;
                }
                Err(trouble @ Trouble::Limited { .. }) => {
                    return self.trouble(Pool::Rest, trouble, samples);
                }
                // Whatever else is wrong is seen at the repositories as well.
                Err(_) => {}
            }
        }
        if samples.is_empty() {
            return None;
        }
        if let Some(until) = points.empty_until(self.now) {
            let silence = Silence {
                told: self.now,
                until,
                why: "the points of this token are used up".to_owned(),
            };
            self.silent(&silence, samples);
            return None;
        }
        let access = self
            .github
            .access(self.account, samples, self.now, ACCESS_DEADLINE);
        match access.await {
            Ok(seen) => {
                self.heard
                    .push((Pool::GraphQl, Some(seen.points), seen.meter));
                let mut readable = 0;
                let mut limit = None;
                for access in seen.repositories {
                    readable += usize::from(access.readable.found().is_some());
                    let called = match (&access.readable, &limit) {
                        (Fact::Unknown(gap), None) if gap.kind == GapKind::NotFound => {
                            whereabouts(
                                self.setup,
                                self.github,
                                self.account,
                                self.now,
                                &access.repo,
                            )
                            .await
                        }
                        _ => Ok(None),
                    };
                    match called {
                        Ok(Some(renamed)) => self.renamed(access, &renamed),
                        Ok(None) => self.repository(access),
                        Err(trouble) => {
                            self.repository(access);
                            limit = self.trouble(Pool::Rest, trouble, &[]);
                        }
                    }
                }
                if readable > 0 {
                    let what = self.what("repositories");
                    self.find(good(
                        &what,
                        format!("{readable} of {} can be read", samples.len()),
                    ));
                }
                limit
            }
            Err(trouble) => self.trouble(Pool::GraphQl, trouble, samples),
        }
    }

    /// What a finding is about, with the account where it is not the usual one.
    fn what(&self, what: &str) -> String {
        match *self.account == Account::usual() {
            true => what.to_owned(),
            false => format!("{what} ({})", self.account),
        }
    }

    fn find(&mut self, finding: Finding) {
        self.looked.findings.push(finding);
    }

    fn token(&mut self, check: Check) {
        self.kind = check.kind;
        let mut says = vec![format!("token from {}, a {}", check.origin, check.kind)];
        if let Some(scopes) = &check.scopes {
            says.push(match scopes.is_empty() {
                true => "no scopes".to_owned(),
                false => format!("scopes {}", scopes.join(", ")),
            });
        }
        let what = self.what("GitHub");
        match check.expires {
            // An App's lasts an hour, and is renewed in time.
            Some(at) if self.account.is_renewed() => {
                says.push(format!("renewed before {}", ui::moment(at)));
                self.find(good(&what, says.join("; ")));
            }
            Some(at) if at <= self.now.after(EXPIRES_SOON) => {
                says.push(format!("runs out at {}", ui::moment(at)));
                let hint = format!("make a new one, and put it into {}", check.origin);
                self.find(note(&what, says.join("; "), hint));
            }
            Some(at) => {
                says.push(format!("runs out at {}", ui::moment(at)));
                self.find(good(&what, says.join("; ")));
            }
            None => self.find(good(&what, says.join("; "))),
        }
        self.find(good(
            &what,
            format!(
                "GraphQL points: {}; REST requests: {}",
                left(&check.graphql),
                left(&check.rest)
            ),
        ));
        if let Some(permissions) = &check.permissions {
            self.permissions(permissions);
        }
        let clock = clock(check.ahead_ms);
        // One machine has one clock.
        if !self.looked.findings.iter().any(|one| one.what == "clock") {
            self.find(clock);
        }
        self.report.origin = Some(check.origin);
        self.report.kind = Some(check.kind);
        self.report.scopes = check.scopes;
        self.report.permissions = check.permissions;
        self.report.expires = check.expires.map(ui::moment);
        self.report.graphql = pot(&check.graphql);
        self.report.rest = pot(&check.rest);
        self.report.clock_ahead_s = check.ahead_ms.map(|ahead| ahead / 1000);
    }

    fn permissions(&mut self, permissions: &BTreeMap<String, String>) {
        let without = facts_without(permissions);
        if without.is_empty() {
            return;
        }
        let facts: Vec<&str> = without.keys().copied().collect();
        let names: BTreeSet<&str> = without.values().copied().collect();
        let names: Vec<&str> = names.into_iter().collect();
        let what = self.what("GitHub");
        self.find(note(
            &what,
            format!("stays unknown everywhere: {}", facts.join(", ")),
            format!("give the App read access to {}", names.join(", ")),
        ));
    }

    /// A repository that its sessions' records call by a former name.
    fn renamed(&mut self, access: Access, renamed: &Renamed) {
        let what = format!("repository {}", renamed.from);
        let follows = self.setup.config.github.follow_renames;
        let text = called_otherwise(renamed, follows);
        let followed = follows && renamed.is_same;
        self.find(Finding {
            ok: followed,
            ..bad(&what, text.clone(), "")
        });
        self.looked.repositories.push(RepositoryReport {
            account: self.account.to_string(),
            readable: Some(followed),
            error: Some(text),
            called: Some(renamed.to.clone()),
            followed,
            missing: Vec::new(),
            repo: access.repo,
        });
    }

    fn repository(&mut self, access: Access) {
        let what = format!("repository {}", access.repo);
        let error = match &access.readable {
            Fact::Unknown(gap) => Some(gap),
            Fact::Found(()) | Fact::Absent(_) | Fact::NotAsked => None,
        };
        if let Some(gap) = error {
            let hint = match gap.kind {
                GapKind::NotFound | GapKind::Denied => self.how_to_see(&access.repo),
                GapKind::IdentityChanged => {
                    "sessions keep the old name until their owner's records have the new one; nothing moves them until \
                     then"
                        .to_owned()
                }
                _ => String::new(),
            };
            self.find(bad(&what, gap.detail.clone(), hint));
        }
        if !access.missing.is_empty() {
            let facts: Vec<&str> = access.missing.keys().copied().collect();
            let names: BTreeSet<&str> = facts.iter().copied().flat_map(permissions_for).collect();
            let names: Vec<&str> = names.into_iter().collect();
            let hint = match self.kind {
                TokenKind::Classic | TokenKind::OAuth => {
                    "give the token the scope repo, or use one of somebody who may".to_owned()
                }
                _ => format!("give the token read access to {}", names.join(", ")),
            };
            self.find(note(
                &what,
                format!(
                    "stays unknown, since GitHub refuses it: {}",
                    facts.join(", ")
                ),
                hint,
            ));
        }
        let missing = access.missing.into_iter().map(|(fact, gap)| MissingReport {
            permissions: permissions_for(fact),
            fact: fact.to_owned(),
            detail: gap.detail,
        });
        self.looked.repositories.push(RepositoryReport {
            account: self.account.to_string(),
            readable: match error.map(|gap| &gap.kind) {
                None => Some(true),
                Some(GapKind::NotFound | GapKind::Denied | GapKind::IdentityChanged) => Some(false),
                Some(_) => None,
            },
            error: error.map(|gap| gap.detail.clone()),
            called: None,
            followed: false,
            missing: missing.collect(),
            repo: access.repo,
        });
    }

    /// What a person can do about a repository that cannot be seen.
    fn how_to_see(&self, repo: &str) -> String {
        match self.kind {
            TokenKind::Classic | TokenKind::OAuth => format!(
                "check its name; for a private one the token needs the scope repo, and its owner access to {repo}"
            ),
            TokenKind::FineGrained => {
                format!("check its name, and whether the token was made for {repo}")
            }
            TokenKind::Installation | TokenKind::AppUser => {
                format!("check its name, and whether the App's installation reaches {repo}")
            }
            TokenKind::Other => format!("check its name, and whether the token may see {repo}"),
        }
    }

    /// What stopped the asking, which was paid from `pool`. A limit is given back, with the pot that it was told of.
    fn trouble(
        &mut self,
        pool: Pool,
        trouble: Trouble,
        samples: &[Sample],
    ) -> Option<(Pool, Limit)> {
        if let Trouble::Limited {
            until,
            detail,
            scope,
        } = trouble
        {
            let limit = Limit {
                until: Some(until),
                detail,
                scope,
            };
            return Some((pool, limit));
        }
        let what = self.what("GitHub");
        let text = trouble.to_string();
        let hint = trouble.hint().unwrap_or_default();
        self.find(bad(&what, text.clone(), hint));
        self.report.error = Some(text.clone());
        self.not_asked(samples, &text);
        None
    }

    fn silent(&mut self, silence: &Silence, samples: &[Sample]) {
        let until = ui::moment(silence.until);
        let what = self.what("GitHub");
        let text = format!("GitHub said to be silent until {until}: {}", silence.why);
        self.find(note(
            &what,
            text.clone(),
            "ask again then; vigil asks nothing until then",
        ));
        self.report.silent_until = Some(until);
        self.not_asked(samples, &text);
    }

    fn not_asked(&mut self, samples: &[Sample], why: &str) {
        for sample in samples {
            self.looked.repositories.push(RepositoryReport {
                repo: sample.repo.clone(),
                account: self.account.to_string(),
                readable: None,
                error: Some(why.to_owned()),
                called: None,
                followed: false,
                missing: Vec::new(),
            });
        }
    }
}

fn left(meter: &Meter) -> String {
    match (meter.remaining, meter.limit) {
        (Some(remaining), Some(limit)) => match meter.reset {
            Some(reset) if remaining < limit => {
                format!("{remaining} of {limit} left until {}", ui::moment(reset))
            }
            _ => format!("{remaining} of {limit} left"),
        },
        _ => "no limit told".to_owned(),
    }
}

fn pot(meter: &Meter) -> PotReport {
    PotReport {
        limit: meter.limit,
        remaining: meter.remaining,
        reset: meter.reset.map(ui::moment),
    }
}

fn clock(ahead_ms: Option<i64>) -> Finding {
    match ahead_ms {
        None => good("clock", "GitHub did not say what time it is"),
        Some(ahead) if ahead.unsigned_abs() <= SKEW_MS_MAX => {
            good("clock", format!("{} s from GitHub's", ahead / 1000))
        }
        Some(ahead) => bad(
            "clock",
            format!("{} s from GitHub's", ahead / 1000),
            "set the clock; check that NTP runs",
        ),
    }
}
