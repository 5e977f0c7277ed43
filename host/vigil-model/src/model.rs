//! The model itself: the world, the tokens, the faults, and `respond`.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::json;

use crate::edit::RepoEdit;
use crate::fault::{Fault, Faults, Scope};
use crate::item::Item;
use crate::message::{Request, Response};
use crate::tally::{Asked, Tally};
use crate::token::{Pots, Token, TokenEdit};
use crate::world::{self, Repo, Stale, World};
use crate::{answer, graphql, rest, time, trouble};

/// A strict, mutable GitHub without sockets and without a clock of its own.
///
/// `Clone` gives a second, independent one: a simulation keeps it as a checkpoint.
#[derive(Clone, Debug)]
pub struct Model {
    pub(crate) world: World,
    pub(crate) tokens: HashMap<String, Token>,
    pub(crate) pots: BTreeMap<String, Pots>,
    faults: Faults,
    lag: Option<Lag>,
    now_ms: u64,
    pub(crate) base_url: String,
    tally: Tally,
    /// Documents that fit the schema, so that a client that asks the same way again is not checked again.
    fitting: HashSet<String>,
}

/// Documents that are remembered as fitting; then it begins anew.
const FITTING_DOCUMENTS_MAX: usize = 256;

/// A replica that has not heard of the latest changes.
#[derive(Clone, Debug)]
struct Lag {
    world: World,
    reads_left: u32,
}

impl Model {
    /// An empty GitHub whose clock stands at `now_ms`, in milliseconds since the epoch.
    pub fn new(now_ms: u64) -> Self {
        Model {
            world: World::default(),
            tokens: HashMap::new(),
            pots: BTreeMap::new(),
            faults: Faults::default(),
            lag: None,
            now_ms,
            base_url: "https://api.github.com".to_owned(),
            tally: Tally::default(),
            fitting: HashSet::new(),
        }
    }

    /// The repository of that name, to be built or changed; made if there is none.
    ///
    /// `owner/name` in one. A deleted one is not brought back: a new one takes the name.
    pub fn repo(&mut self, name_with_owner: &str) -> RepoEdit<'_> {
        RepoEdit::take(&mut self.world, name_with_owner, self.now_ms)
    }

    /// A new repository of that name, `owner/name`, even where one bears it or did: that one keeps only its id.
    pub fn new_repo(&mut self, name_with_owner: &str) -> RepoEdit<'_> {
        RepoEdit::make(&mut self.world, name_with_owner, self.now_ms)
    }

    /// The token of that secret, to be made or changed. Sees public repositories and may do everything unless said.
    pub fn token(&mut self, secret: &str) -> TokenEdit<'_> {
        TokenEdit {
            token: self
                .tokens
                .entry(secret.to_owned())
                .or_insert_with(Token::new),
            pots: &mut self.pots,
        }
    }

    /// Moves the clock that edits go by; `respond` moves it, too. Milliseconds since the epoch.
    pub fn set_now(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// The clock, in milliseconds since the epoch.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Where links in answers point to, without a slash at the end. The server sets its own address.
    pub fn set_base_url(&mut self, base_url: &str) {
        self.base_url = base_url.trim_end_matches('/').to_owned();
    }

    /// The repository that bears the name or once did, as it is now.
    pub fn look_repo(&self, name_with_owner: &str) -> Option<&Repo> {
        self.world.present(name_with_owner)
    }

    /// The issue or pull request of that number, as it is now.
    pub fn look(&self, name_with_owner: &str, number: u64) -> Option<&Item> {
        self.look_repo(name_with_owner)?.items.get(&number)
    }

    pub(crate) fn repo_mut(&mut self, name_with_owner: &str) -> Option<&mut Repo> {
        let index = *self.world.names.get(&world::name_key(name_with_owner))?;
        self.world.repos.get_mut(index)
    }

    /// The next `requests` requests meet the fault. Faults that were planned earlier strike first.
    pub fn fail_next(&mut self, requests: u32, fault: Fault) {
        self.faults.plan(fault, Scope::Any, Some(requests));
    }

    /// The next `requests` requests of `scope` meet the fault.
    pub fn fail_next_in(&mut self, scope: Scope, requests: u32, fault: Fault) {
        self.faults.plan(fault, scope, Some(requests));
    }

    /// Every request of `scope` meets the fault until [`Model::heal`].
    pub fn fail(&mut self, scope: Scope, fault: Fault) {
        self.faults.plan(fault, scope, None);
    }

    /// Ends all faults and the lag.
    pub fn heal(&mut self) {
        self.faults.clear();
        self.lag = None;
        self.world.stale.clear();
    }

    /// The next `reads` reads are answered from the world as it is now, whatever changes in the meantime.
    pub fn lag(&mut self, reads: u32) {
        self.lag = (reads > 0).then(|| Lag {
            world: self.world.clone(),
            reads_left: reads,
        });
    }

    /// The next `reads` reads of one repository are answered from it as it is now, whatever changes in the meantime.
    /// Reads of others see the present. A repository that does not exist cannot lag.
    pub fn lag_repo(&mut self, name_with_owner: &str, reads: u32) {
        self.stale(name_with_owner, reads, false);
    }

    /// Reads of one repository go to a replica and to the present in turns, for `turns` times both: an answer that was
    /// new is followed by an old one.
    pub fn lag_flipping(&mut self, name_with_owner: &str, turns: u32) {
        self.stale(name_with_owner, turns.saturating_mul(2), true);
    }

    fn stale(&mut self, name_with_owner: &str, reads_left: u32, flips: bool) {
        let index = self.world.names.get(&world::name_key(name_with_owner));
        let Some((index, repo)) = index.and_then(|at| Some((*at, self.world.repos.get(*at)?)))
        else {
            return;
        };
        let stale = Stale {
            repo: repo.clone(),
            reads_left,
            flips,
            met: Cell::new(false),
        };
        self.world.stale.insert(index, stale);
        self.world.stale.retain(|_, stale| stale.reads_left > 0);
    }

    /// What was asked so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Begins to count anew.
    pub fn reset_tally(&mut self) {
        self.tally = Tally::default();
    }

    /// Answers one request at `now_ms`, in milliseconds since the epoch. Total: whatever is asked has an answer.
    pub fn respond(&mut self, request: Request, now_ms: u64) -> Response {
        self.now_ms = now_ms;
        let is_graphql = request.path == "/graphql";
        self.tally.requests += 1;
        if is_graphql {
            self.tally.graphql += 1;
        } else {
            self.tally.rest += 1;
        }
        let faults = self.faults.strike(is_graphql);
        if !faults.is_empty() {
            self.tally.faulted += 1;
        }
        let mut note = Note::default();
        let answer = match trouble::instead(&faults, is_graphql, now_ms) {
            Some(response) => response,
            None => self.right_answer(&request, is_graphql, &faults, &mut note),
        };
        let mut response = trouble::on_the_way(&faults, answer);
        self.finish(&request, note, &mut response);
        response
    }

    /// The answer but for faults that take its place or spoil it on the way.
    fn right_answer(
        &mut self,
        request: &Request,
        is_graphql: bool,
        faults: &[Fault],
        note: &mut Note,
    ) -> Response {
        if request
            .get_header("user-agent")
            .is_none_or(|agent| agent.trim().is_empty())
        {
            return answer::no_user_agent();
        }
        let token = match self.token_of(request) {
            Ok(token) => token,
            Err(refused) => return refused,
        };
        let pots = self.pots.entry(token.login.clone()).or_default();
        pots.rest.turn(self.now_ms);
        pots.graphql.turn(self.now_ms);
        if is_graphql {
            self.graphql(request, &token, faults, note)
        } else {
            self.rest(request, &token, faults, note)
        }
    }

    fn token_of(&self, request: &Request) -> Result<Token, Response> {
        let Some(authorization) = request.get_header("authorization") else {
            return Err(answer::unauthenticated("Requires authentication"));
        };
        let secret = authorization.split_once(' ').and_then(|(scheme, secret)| {
            let known =
                scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
            known.then_some(secret.trim())
        });
        secret
            .and_then(|secret| self.tokens.get(secret))
            .filter(|token| !token.revoked)
            .cloned()
            .ok_or_else(|| answer::unauthenticated("Bad credentials"))
    }

    fn graphql(
        &mut self,
        request: &Request,
        token: &Token,
        faults: &[Fault],
        note: &mut Note,
    ) -> Response {
        if request.method != "POST" {
            return Response::refusal(404, "Not Found");
        }
        note.secondary = 1;
        let payload = match graphql::Payload::read(request) {
            Ok(payload) => payload,
            Err(message) => return Response::refusal(400, message),
        };
        let document = match graphql::parse(&payload.query) {
            Ok(document) => document,
            Err(body) => return Response::json(200, &body),
        };
        // With an operation's name the same text can be asked in several ways.
        let is_plain = payload.operation_name.is_none();
        let fits = is_plain && self.fitting.contains(&payload.query);
        let plan = match graphql::plan(&document, &payload, fits) {
            Ok(plan) => plan,
            Err(body) => return Response::json(200, &body),
        };
        if is_plain && !fits {
            if self.fitting.len() == FITTING_DOCUMENTS_MAX {
                self.fitting.clear();
            }
            self.fitting.insert(payload.query.clone());
        }
        note.points = plan.price.points;
        note.lookups = plan.price.lookups;
        let pot = &mut self.pots.entry(token.login.clone()).or_default().graphql;
        let taken = pot.take(plan.price.points);
        let rate = graphql::execute::Rate {
            cost: plan.price.points,
            limit: pot.limit,
            nodes: plan.price.nodes,
            remaining: pot.remaining(),
            used: pot.used,
            resets_ms: pot.resets_ms.unwrap_or(self.now_ms),
        };
        let pot = pot.clone();
        if !taken {
            note.refused = true;
            let refused = answer::graphql_rate_limited(&token.login, "RATE_LIMIT");
            return answer::with_rate(refused, &pot, "graphql");
        }
        self.tally.points += plan.price.points;
        let answered_max = faults.iter().find_map(|fault| match fault {
            Fault::ResourceLimits { answered } => Some(*answered),
            _ => None,
        });
        let failing = faults.iter().filter_map(|fault| match fault {
            Fault::Field(fault) => Some(fault.clone()),
            _ => None,
        });
        let failing = failing.collect();
        let lag = self.lag.take();
        let body = graphql::execute::execute(
            &plan,
            &graphql::execute::Asker {
                world: seen(&lag, &self.world),
                token,
                rate,
                hidden: trouble::hidden(faults),
                failing,
                answered_max,
            },
        );
        self.lag = after_read(lag);
        self.world.after_read();
        answer::with_rate(Response::json(200, &body), &pot, "graphql")
    }

    fn rest(
        &mut self,
        request: &Request,
        token: &Token,
        faults: &[Fault],
        note: &mut Note,
    ) -> Response {
        let is_read = request.method == "GET";
        note.secondary = if is_read { 1 } else { 5 };
        // Asking for the limits is free of the primary limit, as GitHub says.
        let is_free = request.path == "/rate_limit";
        let pots = self.pots.entry(token.login.clone()).or_default();
        if !is_free && pots.rest.remaining() == 0 {
            let refused = answer::rest_rate_limited(&token.login);
            return answer::with_rate(refused, &pots.rest, "core");
        }
        let hidden = trouble::hidden(faults);
        let response = if is_free {
            rest::rate_limit(pots)
        } else if is_read {
            let lag = self.lag.take();
            let asker = rest::Asker {
                world: seen(&lag, &self.world),
                token,
                hidden: &hidden,
                base_url: &self.base_url,
            };
            let right = asker.read(request);
            self.lag = after_read(lag);
            self.world.after_read();
            answer::conditional(request, right)
        } else {
            rest::write(self, request, token, &hidden)
        };
        let pots = self.pots.entry(token.login.clone()).or_default();
        if !is_free && response.status != 304 {
            pots.rest.take(1);
            self.tally.rest_charged += 1;
        }
        answer::with_rate(response, &pots.rest, "core")
    }

    /// Adds the headers that every answer has, counts, and keeps the log.
    fn finish(&mut self, request: &Request, note: Note, response: &mut Response) {
        let serial = self.tally.requests;
        response.set("date", time::http_date(self.now_ms));
        response.set("server", "github.com");
        response.set(
            "x-github-request-id",
            format!(
                "{:04X}:{serial:06X}:{:08X}",
                serial % 65_536,
                self.now_ms / 1000
            ),
        );
        self.tally.secondary_points += note.secondary;
        if response.status == 304 {
            self.tally.not_modified += 1;
        }
        if note.refused || matches!(response.status, 401 | 403 | 429) {
            self.tally.refused += 1;
        }
        let target = if request.query.is_empty() {
            request.path.clone()
        } else {
            format!("{}?{}", request.path, request.query)
        };
        self.tally.note(Asked {
            at_ms: self.now_ms,
            method: request.method.clone(),
            target,
            lookups: note.lookups,
            points: note.points,
            status: response.status,
        });
    }
}

/// What is learned on the way to an answer, for the counters.
#[derive(Debug, Default)]
struct Note {
    lookups: usize,
    points: u64,
    secondary: u64,
    refused: bool,
}

/// The world that a read sees: the lagging replica's while there is one.
fn seen<'s>(lag: &'s Option<Lag>, present: &'s World) -> &'s World {
    lag.as_ref().map_or(present, |lag| &lag.world)
}

/// The replica after one more read; `None` once it has caught up.
fn after_read(lag: Option<Lag>) -> Option<Lag> {
    let mut lag = lag?;
    lag.reads_left = lag.reads_left.saturating_sub(1);
    (lag.reads_left > 0).then_some(lag)
}

/// The limits of both kinds as `/rate_limit` shows them.
pub(crate) fn limits(pots: &Pots) -> serde_json::Value {
    let show = |pot: &crate::token::Pot, resource: &str| {
        json!({
            "limit": pot.limit,
            "used": pot.used,
            "remaining": pot.remaining(),
            "reset": pot.resets_s(),
            "resource": resource,
        })
    };
    let core = show(&pots.rest, "core");
    json!({
        "resources": { "core": core, "graphql": show(&pots.graphql, "graphql") },
        "rate": core,
    })
}
