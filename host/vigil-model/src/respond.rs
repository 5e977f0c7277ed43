//! Answering one request: who asks, whether they may, what it costs, and what goes wrong.

use crate::app::App;
use crate::fault::Fault;
use crate::limits::Obeys;
use crate::message::{Delivery, Request, Response};
use crate::model::{Lag, Model};
use crate::pot::{HOUR_MS, MINUTE_MS, Pot};
use crate::tally::Asked;
use crate::token::Token;
use crate::world::World;
use crate::{answer, graphql, jwt, limits, rest, time, trouble};

/// Documents that are remembered as fitting; then it begins anew.
const FITTING_DOCUMENTS_MAX: usize = 256;

/// Who asks.
enum Caller {
    Token(Box<Token>),
    App(App),
}

impl Caller {
    /// Whose limits are used up.
    fn pot_key(&self) -> String {
        match self {
            Caller::Token(token) => token.pot_key(),
            Caller::App(app) => format!("app ID {}", app.id),
        }
    }
}

impl Model {
    /// Answers one request at `now_ms`, in milliseconds since the epoch. Total: whatever is asked has an answer.
    pub fn respond(&mut self, request: Request, now_ms: u64) -> Response {
        self.now_ms = now_ms;
        let is_graphql = self.is_graphql(&request.path);
        self.tally.requests += 1;
        if is_graphql {
            self.tally.graphql += 1;
        } else {
            self.tally.rest += 1;
            let knows = |name| request.get_header(name).is_some();
            self.tally.conditional +=
                u64::from(knows("if-none-match") || knows("if-modified-since"));
            self.tally.writes += u64::from(request.method != "GET");
        }
        let faults = self.faults.strike(is_graphql);
        if !faults.is_empty() {
            self.tally.faulted += 1;
        }
        let caller = self.caller(&request);
        let pot_key = caller.as_ref().ok().map(Caller::pot_key);
        if let Some(key) = &pot_key {
            let is_free = request.path.ends_with("/rate_limit");
            let told = self.told.entry(key.clone()).or_default();
            match told.judge(is_graphql, is_free, now_ms) {
                Obeys::Yes => {}
                Obeys::Crossed => self.tally.crossed += 1,
                Obeys::No => self.tally.while_limited += 1,
            }
        }
        let mut note = Note::default();
        let answer = match trouble::instead(&faults, is_graphql, now_ms) {
            Some(response) => response,
            None => match self.addressed(&request) {
                Some(request) => {
                    self.right_answer(&request, caller, is_graphql, &faults, &mut note)
                }
                None => trouble::html(404),
            },
        };
        let mut response = trouble::on_the_way(&faults, answer);
        self.finish(&request, note, &mut response);
        if let Some(told) = pot_key.and_then(|key| self.told.get_mut(&key)) {
            told.note(&response, is_graphql, now_ms);
        }
        if self.latency_ms > 0 {
            response.delivery = match response.delivery {
                Delivery::Whole => Delivery::After {
                    delay_ms: self.latency_ms,
                },
                Delivery::After { delay_ms } => Delivery::After {
                    delay_ms: delay_ms.saturating_add(self.latency_ms),
                },
                other => other,
            };
        }
        response
    }

    /// The request as github.com would get it; `None`: an Enterprise Server has no interface there.
    fn addressed(&self, request: &Request) -> Option<Request> {
        let mut request = request.clone();
        if self.enterprise.is_some() {
            let path = match request.path.as_str() {
                "/api/graphql" => "/graphql",
                path => path.strip_prefix("/api/v3").filter(|path| {
                    // GraphQL is not below the path of REST.
                    path.starts_with('/') && *path != "/graphql"
                })?,
            };
            request.path = path.to_owned();
        }
        Some(request)
    }

    /// The answer but for faults that take its place or spoil it on the way.
    fn right_answer(
        &mut self,
        request: &Request,
        caller: Result<Caller, Response>,
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
        let caller = match caller {
            Ok(caller) => caller,
            Err(refused) => return refused,
        };
        let key = caller.pot_key();
        let pots = self.pots.entry(key.clone()).or_default();
        pots.rest.turn(self.now_ms);
        pots.graphql.turn(self.now_ms);
        note.secondary = match request.method.as_str() {
            _ if is_graphql => 1,
            "GET" => 1,
            _ => 5,
        };
        if let Some(refused) = self.too_fast(request, &key, is_graphql, note.secondary) {
            note.secondary = 0;
            return refused;
        }
        match caller {
            Caller::Token(token) => {
                let answer = if is_graphql {
                    self.graphql(request, &token, &key, faults, note)
                } else {
                    self.rest(request, &token, &key, faults)
                };
                answer::with_token(request, answer, &token, is_graphql)
            }
            Caller::App(_) if is_graphql => answer::unauthenticated("Bad credentials"),
            Caller::App(app) => {
                let response = rest::app(self, &app, request);
                self.charge(response, &key)
            }
        }
    }

    /// Who asks, or the refusal.
    fn caller(&self, request: &Request) -> Result<Caller, Response> {
        let Some(authorization) = request.get_header("authorization") else {
            return Err(answer::unauthenticated("Requires authentication"));
        };
        let refused = || answer::unauthenticated("Bad credentials");
        let secret = authorization.split_once(' ').and_then(|(scheme, secret)| {
            let known =
                scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("token");
            known.then_some(secret.trim())
        });
        let secret = secret.ok_or_else(refused)?;
        let path = match self.enterprise {
            Some(_) => request.path.strip_prefix("/api/v3").unwrap_or_default(),
            None => &request.path,
        };
        if rest::is_of_apps(path) {
            let app = jwt::issuer(self.apps.values(), secret, self.now_ms)?;
            return Ok(Caller::App(app.clone()));
        }
        let token = self
            .tokens
            .get(secret)
            .filter(|token| token.is_good(self.now_ms))
            .ok_or_else(refused)?;
        if let Some((id, _)) = &token.installation {
            match self.installations.get(id) {
                Some(installation) if installation.suspended => return Err(rest::suspended()),
                Some(_) => {}
                None => return Err(refused()),
            }
        }
        Ok(Caller::Token(Box::new(token.clone())))
    }

    /// The refusal by a secondary limit, if one is exceeded.
    fn too_fast(
        &mut self,
        request: &Request,
        key: &str,
        is_graphql: bool,
        points: u64,
    ) -> Option<Response> {
        if !self.is_limited() {
            return None;
        }
        let limits = self.secondary.clone()?;
        let now_ms = self.now_ms;
        let concurrent = self.flights.count(request);
        let pots = self.pots.entry(key.to_owned()).or_default();
        let barred_ms = if concurrent > limits.concurrent_max {
            Some(MINUTE_MS)
        } else if is_graphql {
            let windows = [(MINUTE_MS, limits.graphql_points_max)];
            pots.graphql_pace.spend(points, &windows, now_ms)
        } else {
            let windows = [(MINUTE_MS, limits.rest_points_max)];
            let barred_ms = pots.rest_pace.spend(points, &windows, now_ms);
            let windows = [
                (MINUTE_MS, limits.writes_per_minute_max),
                (HOUR_MS, limits.writes_per_hour_max),
            ];
            // An app's request for a token creates nothing that anybody reads.
            let is_write = request.method != "GET" && !rest::is_of_apps(&request.path);
            match (barred_ms, is_write) {
                (None, true) => pots.writes.spend(1, &windows, now_ms),
                (barred_ms, _) => barred_ms,
            }
        }?;
        let retry_after_s = limits.retry_after.then(|| barred_ms.div_ceil(1000));
        let refused = if is_graphql && limits.graphql_as_200 {
            trouble::secondary_as_200(retry_after_s)
        } else {
            trouble::secondary(403, retry_after_s)
        };
        let pot = if is_graphql {
            &pots.graphql
        } else {
            &pots.rest
        };
        let resource = if is_graphql { "graphql" } else { "core" };
        Some(answer::with_rate(refused, pot, resource))
    }

    fn graphql(
        &mut self,
        request: &Request,
        token: &Token,
        key: &str,
        faults: &[Fault],
        note: &mut Note,
    ) -> Response {
        if request.method != "POST" {
            return Response::refusal(404, "Not Found");
        }
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
        let price = plan.price;
        note.points = price.points;
        note.lookups = price.lookups;
        let is_limited = self.is_limited();
        let pot = &mut self.pots.entry(key.to_owned()).or_default().graphql;
        if is_limited {
            if !pot.take(price.points) {
                let refused = answer::graphql_rate_limited(key, "RATE_LIMIT");
                return answer::with_rate(refused, pot, "graphql");
            }
            self.tally.points += price.points;
        }
        let bounds = self.documents;
        self.tally.over_long += u64::from(price.lookups > bounds.answered_max);
        let over_long = (price.lookups > bounds.lookups_max).then_some(502);
        if let Some(status) = trouble::times_out(faults, price.lookups).or(over_long) {
            // What is given up on costs more than its price; how much GitHub does not say, here as much again.
            pot.drain(price.points);
            self.tally.points += price.points;
            return trouble::html(status);
        }
        let rate = is_limited.then(|| graphql::execute::Rate {
            cost: price.points,
            limit: pot.limit,
            nodes: price.nodes,
            remaining: pot.remaining(),
            used: pot.used,
            resets_ms: pot.resets_ms.unwrap_or(self.now_ms),
        });
        let pot = pot.clone();
        let lag = self.lag.take();
        let body = graphql::execute::execute(
            &plan,
            &graphql::execute::Asker {
                world: seen(&lag, &self.world),
                token,
                rate,
                hidden: trouble::hidden(faults),
                failing: trouble::failing(faults),
                nth: trouble::nth(faults),
                answered_max: trouble::answered_max(faults)
                    .map_or(bounds.answered_max, |max| max.min(bounds.answered_max)),
            },
        );
        self.lag = after_read(lag);
        self.world.after_read();
        self.with_rate(Response::json(200, &body), &pot, "graphql")
    }

    fn rest(&mut self, request: &Request, token: &Token, key: &str, faults: &[Fault]) -> Response {
        let is_limited = self.is_limited();
        let pots = self.pots.entry(key.to_owned()).or_default();
        if request.path == "/rate_limit" {
            return if is_limited {
                // Asking for the limits is free of the primary one, as GitHub says.
                answer::with_rate(rest::rate_limit(pots), &pots.rest, "core")
            } else {
                Response::refusal(404, "Rate limiting is not enabled.")
            };
        }
        if is_limited && pots.rest.remaining() == 0 {
            return answer::with_rate(answer::rest_rate_limited(403, key), &pots.rest, "core");
        }
        let hidden = trouble::hidden(faults);
        let response = if request.method == "GET" {
            let base_url = self.api_url();
            let lag = self.lag.take();
            let asker = rest::Asker {
                world: seen(&lag, &self.world),
                token,
                hidden: &hidden,
                base_url: &base_url,
            };
            let right = asker.read(request);
            self.lag = after_read(lag);
            self.world.after_read();
            answer::conditional(request, right, self.tags)
        } else {
            rest::write(self, request, token, &hidden)
        };
        self.charge(response, key)
    }

    /// Takes a REST request from its primary limit; a 304 is free.
    fn charge(&mut self, response: Response, key: &str) -> Response {
        let is_limited = self.is_limited();
        let pots = self.pots.entry(key.to_owned()).or_default();
        if is_limited && response.status != 304 {
            pots.rest.take(1);
            self.tally.rest_charged += 1;
        }
        let pot = pots.rest.clone();
        self.with_rate(response, &pot, "core")
    }

    /// Where nobody is limited no answer tells of limits.
    fn with_rate(&self, response: Response, pot: &Pot, resource: &str) -> Response {
        if self.is_limited() {
            answer::with_rate(response, pot, resource)
        } else {
            response
        }
    }

    /// Adds the headers that every answer has, counts, and keeps the log.
    fn finish(&mut self, request: &Request, note: Note, response: &mut Response) {
        let serial = self.tally.requests;
        response.set("date", time::http_date(self.now_ms));
        response.set("server", "github.com");
        if let Some(enterprise) = &self.enterprise {
            response.set("x-github-enterprise-version", enterprise.version.as_str());
        }
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
        let is_secondary = trouble::is_secondary(response);
        self.tally.refused_secondary += u64::from(is_secondary);
        let is_refused = matches!(response.status, 401 | 403 | 429)
            || is_secondary
            || limits::is_used_up(response);
        self.tally.refused += u64::from(is_refused);
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
