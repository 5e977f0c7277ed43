//! The lines to GitHub, shared by all rounds of a process: how much may be out with one token at a time, and what it was
//! told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use vigil_core::Timestamp;

use crate::budget::{Pool, Silence};
use crate::round::REST_IN_FLIGHT;
use crate::tokens::{Account, Fingerprint};

/// All lines of a process. As many as there are accounts, and tokens that they had.
#[derive(Default)]
pub(crate) struct Lines {
    lines: Mutex<HashMap<Key, Arc<Line>>>,
}

/// Whose a line is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// An account's.
    Account(Account),
    /// That of all accounts that turned out to have this token: to GitHub they are one.
    Token(Fingerprint),
}

impl Key {
    /// Whose places and turns `account` takes while it has this token.
    fn of(account: &Account, fingerprint: &Fingerprint) -> Self {
        // No other account has an installation's tokens, and the next one must not find the line empty.
        match account.is_renewed() {
            true => Key::Account(account.clone()),
            false => Key::Token(fingerprint.clone()),
        }
    }

    /// Tells it from all others.
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Key::Account(account) => account.as_str(),
            Key::Token(fingerprint) => &fingerprint.0,
        }
    }
}

/// What a request of an account goes through.
pub(crate) struct Way {
    /// Whose places and turns it takes.
    pub(crate) key: Key,
    /// What the account was told, whatever its token: limits are a user's.
    own: Arc<Line>,
    shared: Arc<Line>,
}

/// How much of one token may be out at a time, however many rounds and accounts there are: GitHub takes more for abuse.
struct Line {
    graphql: Arc<Semaphore>,
    rest: Arc<Semaphore>,
    /// The longest silence that each pool was told.
    told: Mutex<[Option<Silence>; 2]>,
}

/// The right to have one request out, until it is dropped. Whoever got an answer keeps it until what the answer says
/// is noted, so that the next one knows.
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
}

impl Lines {
    /// The way of `account` while it has the token of this fingerprint.
    pub(crate) fn way(&self, account: &Account, fingerprint: &Fingerprint) -> Way {
        let key = Key::of(account, fingerprint);
        Way {
            own: self.line(Key::Account(account.clone())),
            shared: self.line(key.clone()),
            key,
        }
    }

    fn line(&self, key: Key) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lines.entry(key).or_default())
    }
}

impl Way {
    /// Waits until a request to `pool` may go out. `None`: never, since the line is closed, which nobody does.
    pub(crate) async fn place(&self, pool: Pool) -> Option<Place> {
        let places = match pool {
            Pool::GraphQl => &self.shared.graphql,
            Pool::Rest => &self.shared.rest,
        };
        let permit = Arc::clone(places).acquire_owned().await.ok()?;
        Some(Place { _permit: permit })
    }

    /// GitHub said to be silent. What was told to last longer stands. Gives whether that is news.
    pub(crate) fn tell(&self, pool: Pool, silence: &Silence) -> bool {
        let own = self.own.tell(pool, silence);
        self.shared.tell(pool, silence) || own
    }

    /// Why nothing may be sent to `pool` at `now`. `None`: it may be.
    pub(crate) fn silent(&self, pool: Pool, now: Timestamp) -> Option<Silence> {
        let own = self.own.silent(pool, now);
        own.or_else(|| self.shared.silent(pool, now))
    }
}

impl Default for Line {
    fn default() -> Self {
        Line {
            graphql: Arc::new(Semaphore::new(1)),
            rest: Arc::new(Semaphore::new(REST_IN_FLIGHT)),
            told: Mutex::default(),
        }
    }
}

fn at(pool: Pool) -> usize {
    match pool {
        Pool::GraphQl => 0,
        Pool::Rest => 1,
    }
}

impl Line {
    fn tell(&self, pool: Pool, silence: &Silence) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let known = &mut told[at(pool)];
        let lasts = |known: &Silence| known.holds_at(silence.told) && known.until >= silence.until;
        let is_news = !known.as_ref().is_some_and(lasts);
        if is_news {
            *known = Some(silence.clone());
        }
        is_news
    }

    fn silent(&self, pool: Pool, now: Timestamp) -> Option<Silence> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told[at(pool)].as_ref();
        told.filter(|silence| silence.holds_at(now)).cloned()
    }
}
