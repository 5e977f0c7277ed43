//! The model GitHub of a simulation: what is there, what changes, what goes wrong, and the asking in process: vigil's
//! own rounds, without a socket.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use vigil_core::{Gap, GapKind, Timestamp};
use vigil_github::Fingerprint;
use vigil_github::round::{Body, Landed, Outcome, Raw, Round};
use vigil_model::{Delivery, ErrorType, Fault, FieldFault, Forbidden, Model, Request, Scope};

use crate::cast::{Member, REPOS};
use crate::plant::Bug;
use crate::rng::Rng;

const TOKEN: &str = "sim-token";

/// How long a request that hangs is waited for.
const HANG: Duration = Duration::from_secs(10);

/// Longer than GitHub tells anybody to wait: a limit is over within the hour.
const WAIT_MAX: Duration = Duration::from_secs(3_660);

/// GitHub.
#[derive(Debug)]
pub struct Hub {
    /// What is there.
    pub model: Model,
    /// Repositories that nobody can see at present.
    hidden: HashSet<String>,
    /// Something is wrong until [`Hub::heal`].
    pub is_ill: bool,
    /// Requests that came although their sender had been told to wait, as far as they were looked at.
    in_spite: u64,
    /// Until then vigil cannot know all that it was told.
    excused_until: Timestamp,
    /// How often something happened that a session is about, by its name.
    happened: BTreeMap<String, u64>,
}

impl Hub {
    /// A GitHub in which each of `members` has its issue, or had it, and some have a pull request.
    pub fn new(members: &[Member], now: Timestamp, rng: &mut Rng) -> Self {
        let mut model = Model::new(now.0);
        model.token(TOKEN);
        let mut hub = Hub {
            model,
            hidden: HashSet::new(),
            is_ill: false,
            in_spite: 0,
            excused_until: Timestamp(0),
            happened: BTreeMap::new(),
        };
        for repo in REPOS {
            hub.model.repo(repo).issue(1);
        }
        for member in members {
            hub.found(member, now, rng);
        }
        hub
    }

    fn found(&mut self, member: &Member, now: Timestamp, rng: &mut Rng) {
        let ago = |rng: &mut Rng| now.0 - rng.below(700) * 60_000;
        if rng.chance(8) {
            // One that never was is unknown for good: it may have gone where nobody sees it.
            self.issue(member).deleted();
        } else {
            let at = ago(rng);
            let issue = self
                .model
                .repo(&member.repo)
                .issue(member.issue)
                .created_at(at);
            let issue = match rng.below(6) {
                0 => issue.closed_at("completed", ago(rng)),
                1 => issue.closed_at("not_planned", ago(rng)),
                _ => issue,
            };
            if rng.chance(15) {
                issue.label("vigilante:done");
            }
        }
        if rng.chance(55) {
            self.open_pull(member, ago(rng));
            let at = ago(rng);
            self.end_pull(member, member.pull, at, rng);
        }
        if member.body.renamed.is_some() && rng.chance(60) {
            self.open_other(member, ago(rng), rng);
            let at = ago(rng);
            self.end_pull(member, member.other_pull, at, rng);
        }
    }

    fn open_pull(&mut self, member: &Member, at: u64) {
        self.model
            .repo(&member.repo)
            .pull(member.pull)
            .head(&member.branch)
            .head_owner(&member.head_owner)
            .created_at(at)
            .closes(member.issue);
    }

    /// Opens the pull request of the renamed branch. Only some say which issue they close.
    fn open_other(&mut self, member: &Member, at: u64, rng: &mut Rng) {
        let pull = self
            .model
            .repo(&member.repo)
            .pull(member.other_pull)
            .head(&member.other_branch)
            .head_owner(&member.head_owner)
            .created_at(at);
        if rng.chance(30) {
            pull.closes(member.issue);
        }
    }

    fn end_pull(&mut self, member: &Member, number: u64, at: u64, rng: &mut Rng) {
        let is_open = self
            .model
            .look(&member.repo, number)
            .is_some_and(|pull| pull.closed_ms.is_none());
        if !is_open {
            return;
        }
        let pull = self.model.repo(&member.repo).pull(number);
        match rng.below(5) {
            0 | 1 => drop(pull.merged_at(at)),
            2 => drop(pull.closed_at(at)),
            _ => {}
        }
    }

    /// Something happens at GitHub.
    pub fn live_on(&mut self, members: &[Member], now: Timestamp, rng: &mut Rng) {
        self.model.set_now(now.0);
        let Some(member) = members.get(rng.place(members.len())) else {
            return;
        };
        self.note_that_it_happened(member, members);
        let has_issue = self.model.look(&member.repo, member.issue).is_some();
        let has_pull = self.model.look(&member.repo, member.pull).is_some();
        let has_other = self.model.look(&member.repo, member.other_pull).is_some();
        match rng.below(13) {
            0 if has_issue => drop(self.issue(member).closed("completed")),
            1 if has_issue => drop(self.issue(member).closed("not_planned")),
            2 if has_issue => drop(self.issue(member).reopened()),
            3 if has_issue => drop(self.issue(member).label("vigilante:done")),
            4 if has_issue => drop(self.issue(member).unlabel("vigilante:done")),
            5 if has_issue => drop(self.issue(member).deleted()),
            6 if !has_pull => self.open_pull(member, now.0),
            7 | 8 => self.end_pull(member, member.pull, now.0, rng),
            9 if has_pull => drop(self.model.repo(&member.repo).pull(member.pull).reopened()),
            10 if !has_other && member.body.renamed.is_some() => {
                self.open_other(member, now.0, rng);
            }
            10 | 11 => self.end_pull(member, member.other_pull, now.0, rng),
            12 if has_other => {
                let other = self.model.repo(&member.repo).pull(member.other_pull);
                other.reopened();
            }
            _ => {}
        }
    }

    /// The pull request of `member` ends at `now`, and was opened just before if there was none.
    pub fn end_with(
        &mut self,
        member: &Member,
        members: &[Member],
        now: Timestamp,
        is_merged: bool,
    ) {
        self.model.set_now(now.0);
        self.note_that_it_happened(member, members);
        match self.model.look(&member.repo, member.pull) {
            None => self.open_pull(member, now.0),
            Some(pull) if pull.closed_ms.is_some() => return,
            Some(_) => {}
        }
        let pull = self.model.repo(&member.repo).pull(member.pull);
        match is_merged {
            true => pull.merged_at(now.0),
            false => pull.closed_at(now.0),
        };
    }

    /// A branch that several work on has the pull requests of all of them.
    fn note_that_it_happened(&mut self, member: &Member, members: &[Member]) {
        for one in members {
            if one.repo == member.repo && (one.issue == member.issue || one.branch == member.branch)
            {
                *self.happened.entry(one.id()).or_default() += 1;
            }
        }
    }

    /// How often something happened that the session `id` is about.
    pub fn happened(&self, id: &str) -> u64 {
        let id = id.split('@').next().unwrap_or(id);
        self.happened.get(id).copied().unwrap_or_default()
    }

    fn issue(&mut self, member: &Member) -> vigil_model::IssueEdit<'_> {
        self.model.repo(&member.repo).issue(member.issue)
    }

    /// Something goes wrong with GitHub.
    pub fn fall_ill(&mut self, members: &[Member], rng: &mut Rng) {
        self.is_ill = true;
        let number = members.get(rng.place(members.len())).map(|member| {
            if rng.chance(50) {
                member.issue
            } else {
                member.pull
            }
        });
        let error = *rng.pick(&[
            ErrorType::Forbidden,
            ErrorType::ResourceLimitsExceeded,
            ErrorType::ServiceUnavailable,
            ErrorType::Internal,
        ]);
        let field = *rng.pick(&[
            "repository",
            "issueOrPullRequest",
            "pullRequest",
            "pullRequests",
        ]);
        let fault = match rng.below(14) {
            0 => Fault::Hang,
            1 => Fault::Reset,
            2 => Fault::CutBody,
            3 => Fault::CutJson,
            4 => Fault::Html(*rng.pick(&[500, 502, 503, 504])),
            5 => Fault::BadCredentials,
            6 => Fault::BadCredentialsExhausted,
            7 => Fault::Forbidden(*rng.pick(&[
                Forbidden::Permission,
                Forbidden::Saml,
                Forbidden::Secondary(Some(90)),
                Forbidden::Exhausted,
            ])),
            8 => Fault::TooManyRequests(*rng.pick(&[Some(120), None])),
            9 => Fault::RateLimited {
                headers: rng.chance(50),
                older_name: rng.chance(50),
            },
            10 => Fault::ResourceLimits {
                answered: rng.place(4),
            },
            11 | 12 => {
                let repo = *rng.pick(&REPOS);
                self.hidden.insert(repo.to_owned());
                Fault::RepoHidden(repo.to_owned())
            }
            _ => Fault::Field(FieldFault {
                field: field.to_owned(),
                repo: None,
                number: number.filter(|_| rng.chance(60)),
                error,
            }),
        };
        let scope = match &fault {
            // Who has no access has none by either way.
            Fault::RepoHidden(_) => Scope::Any,
            _ => *rng.pick(&[Scope::Any, Scope::GraphQl, Scope::GraphQl, Scope::Rest]),
        };
        if rng.chance(50) || matches!(fault, Fault::RepoHidden(_)) {
            self.model.fail(scope, fault);
        } else {
            self.model
                .fail_next_in(scope, 1 + rng.below(2) as u32, fault);
        }
    }

    /// All is well again.
    pub fn heal(&mut self) {
        self.model.heal();
        self.hidden.clear();
        self.is_ill = false;
    }

    /// Whether somebody with the token sees the repository now.
    pub fn shows(&self, repo: &str) -> bool {
        !self
            .hidden
            .iter()
            .any(|hidden| hidden.eq_ignore_ascii_case(repo))
            && self.model.look_repo(repo).is_some()
    }

    /// Refusals so far, of any kind.
    pub fn refusals(&self) -> u64 {
        self.model.tally().refused
    }

    /// What vigil was told up to `now` about waiting may be lost with it, or belong to another clock.
    pub fn excuse(&mut self, now: Timestamp) {
        self.excused_until = self.excused_until.max(now.after(WAIT_MAX));
    }

    /// vigil knows all that it was ever told, by one clock.
    pub fn was_never_excused(&self) -> bool {
        self.excused_until == Timestamp(0)
    }

    /// Nothing may have come from somebody who was told to wait. Here one request ends before the next begins, so that
    /// none can have been on its way when another was refused.
    ///
    /// # Errors
    /// How many did.
    pub fn was_heeded(&mut self, now: Timestamp) -> Result<(), String> {
        let tally = self.model.tally();
        let total = tally.while_limited + tally.crossed;
        let new = total - std::mem::replace(&mut self.in_spite, total);
        match new > 0 && now >= self.excused_until {
            true => Err(format!(
                "vigil sent {new} requests while it was told to wait"
            )),
            false => Ok(()),
        }
    }

    /// Sends what `round` hands out from `now` on, until there is nothing more; gives how long that took. `bug`: a
    /// mistake of whoever reads the answers.
    pub fn work(&mut self, round: &mut Round, now: Timestamp, bug: Option<Bug>) -> Duration {
        let lies = bug == Some(Bug::UnknownIsAbsent);
        let mut took = Duration::ZERO;
        while let Some(outgoing) = round.next(now.after(took)) {
            let refused = self.refusals();
            let mut outcome = self.one(&outgoing.body, now.after(took), &mut took);
            if bug == Some(Bug::IgnoresLimits) && self.refusals() > refused {
                outcome = Outcome::Broken(Gap::new(GapKind::Unreachable, "the connection broke"));
            }
            let is_answered = matches!(&outcome, Outcome::Answer(raw) if raw.status.is_success());
            if let (
                true,
                false,
                Body::GraphQl {
                    document,
                    variables,
                },
            ) = (lies, is_answered, &outgoing.body)
            {
                outcome = answer(200, HeaderMap::new(), self.lie(document, variables));
            }
            let landed = Landed {
                id: outgoing.id,
                outcome,
                sent: 1,
            };
            round.take(landed, now.after(took));
        }
        took
    }

    /// Sends one request.
    fn one(&mut self, body: &Body, now: Timestamp, took: &mut Duration) -> Outcome {
        let request = match body {
            Body::GraphQl {
                document,
                variables,
            } => Request::graphql(document, Value::Object(variables.clone()), TOKEN),
            Body::Rest { path, etag } => {
                let request = Request::get(path, TOKEN);
                match etag {
                    Some((etag, _)) => request.header("if-none-match", etag),
                    None => request,
                }
            }
        };
        let response = self.model.respond(request, now.0);
        match response.delivery {
            Delivery::Whole | Delivery::After { .. } => {}
            Delivery::Never => {
                *took += HANG;
                return Outcome::TimedOut(Gap::new(GapKind::TimedOut, "no answer came"));
            }
            Delivery::Reset | Delivery::Cut { .. } => {
                return Outcome::Broken(Gap::new(GapKind::Unreachable, "the connection broke"));
            }
        }
        let mut headers = HeaderMap::new();
        for (name, value) in &response.headers {
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), value.parse::<HeaderValue>())
            {
                headers.insert(name, value);
            }
        }
        answer(response.status, headers, response.body)
    }

    /// What a client that takes every failure for an absence would have made of its answer.
    fn lie(&self, document: &str, variables: &Map<String, Value>) -> Vec<u8> {
        let mut data = Map::new();
        let mut errors = Vec::new();
        let mut repository = None;
        for line in document.lines() {
            let Some((alias, rest)) = line.trim().split_once(": ") else {
                continue;
            };
            if let Some(number) = alias.strip_prefix("repository") {
                let name = |part: &str| variables.get(&format!("{part}{number}"));
                let text = |part| name(part).and_then(Value::as_str).unwrap_or_default();
                let name = format!("{}/{}", text("owner"), text("name"));
                let facts = json!({
                    "id": self.model.look_repo(&name).map(|repo| format!("R_{}", repo.id)),
                    "nameWithOwner": name,
                    "hasIssuesEnabled": true,
                });
                data.insert(alias.to_owned(), facts);
                repository = Some(alias.to_owned());
            } else if let (true, Some(home)) = (alias.starts_with("item"), &repository) {
                let nothing = match rest.starts_with("pullRequests") {
                    true => json!({
                        "pageInfo": { "hasNextPage": false, "endCursor": null },
                        "nodes": [],
                    }),
                    false => {
                        let message = "Could not resolve to an Issue.";
                        errors.push(json!({
                            "type": "NOT_FOUND", "path": [home, alias], "message": message,
                        }));
                        Value::Null
                    }
                };
                data[home][alias] = nothing;
            }
        }
        json!({ "data": data, "errors": errors })
            .to_string()
            .into_bytes()
    }
}

fn answer(status: u16, headers: HeaderMap, body: Vec<u8>) -> Outcome {
    Outcome::Answer(Raw {
        status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY),
        headers,
        body,
        fingerprint: Fingerprint("simulated".to_owned()),
        origin: "the simulation".to_owned(),
        took: Duration::from_millis(200),
    })
}
