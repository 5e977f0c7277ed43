//! Who is connected, and who has to go when there is no more room: the slowest, so that whoever only sits there never
//! keeps a delivery out.
//!
//! Which one that is, is a pure function of what was seen of each; see [`who_goes`].

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// 1 s: what GitHub sends is there within a fraction of it. Whoever came later than that ago goes last.
const GRACE: Duration = Duration::from_secs(1);

/// Where connections come from, as far as they are counted together: one address, or one network of 64 bits in IPv6,
/// which is what a single machine commonly has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Origin(IpAddr);

impl Origin {
    /// Of a peer's address.
    pub(super) fn of(address: IpAddr) -> Origin {
        Origin(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from(network))
            }
            v4 => v4,
        })
    }
}

/// What was seen of a connection at one moment.
#[derive(Clone, Copy, Debug)]
struct Seen {
    id: u64,
    origin: Origin,
    age: Duration,
    /// Bytes that came in over it.
    heard: u64,
}

impl Seen {
    /// The first of two is slower: it had its time and sent less in it. Of two that sent nothing the older one.
    fn slowness(&self, other: &Seen) -> std::cmp::Ordering {
        let is_new = |seen: &Seen| seen.age < GRACE;
        // Rates compared without a division: heard / age.
        let mine = u128::from(self.heard) * other.age.as_millis();
        let theirs = u128::from(other.heard) * self.age.as_millis();
        is_new(self)
            .cmp(&is_new(other))
            .then(mine.cmp(&theirs))
            .then(other.age.cmp(&self.age))
            .then(self.id.cmp(&other.id))
    }
}

fn slowest<'a>(seen: impl Iterator<Item = &'a Seen>) -> Option<u64> {
    seen.min_by(|one, other| one.slowness(other))
        .map(|seen| seen.id)
}

/// Which of those that are `there` has to go before another one from `origin` comes in. `None`: there is room.
///
/// Where an address has all that one address may have, its own slowest goes. Where all is taken, the slowest of the
/// address with the most connections does, so that many from one place cost one from another nothing.
fn who_goes(there: &[Seen], origin: Origin, bounds: Bounds) -> Option<u64> {
    let mut of: BTreeMap<Origin, usize> = BTreeMap::new();
    for seen in there {
        *of.entry(seen.origin).or_default() += 1;
    }
    let from = |origin: Origin| there.iter().filter(move |seen| seen.origin == origin);
    if of.get(&origin).copied().unwrap_or_default() >= bounds.per_address {
        return slowest(from(origin));
    }
    if there.len() < bounds.in_all {
        return None;
    }
    let most = of.values().copied().max()?;
    slowest(
        there
            .iter()
            .filter(|seen| of.get(&seen.origin) == Some(&most)),
    )
}

/// How many may be there at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    /// From anywhere; at least 1.
    pub(super) in_all: usize,
    /// From one address; at least 1.
    pub(super) per_address: usize,
}

/// All connections that are there. Clones share one.
#[derive(Clone, Debug)]
pub(super) struct Crowd {
    bounds: Bounds,
    there: Arc<Mutex<There>>,
}

#[derive(Debug, Default)]
struct There {
    next: u64,
    connections: HashMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    origin: Origin,
    since: Instant,
    heard: Arc<AtomicU64>,
    /// It holds bytes of the room that all share.
    holds_room: bool,
    /// Ends it; `None`: it is not served yet.
    end: Option<AbortHandle>,
}

impl Crowd {
    pub(super) fn new(bounds: Bounds) -> Self {
        Crowd {
            bounds,
            there: Arc::default(),
        }
    }

    /// Lets a connection in, and ends another one where there is no room for it. Second: whether one was ended.
    pub(super) fn enter(&self, origin: Origin, now: Instant) -> (Seat, bool) {
        let mut there = self.lock();
        let goes = who_goes(&there.seen(now, |_| true), origin, self.bounds);
        let ended = goes.is_some_and(|id| there.end(id));
        let id = there.next;
        there.next += 1;
        let heard = Arc::new(AtomicU64::new(0));
        there.connections.insert(
            id,
            Connection {
                origin,
                since: now,
                heard: Arc::clone(&heard),
                holds_room: false,
                end: None,
            },
        );
        let seat = Seat {
            id,
            heard,
            crowd: self.clone(),
        };
        (seat, ended)
    }

    /// By what the connection in seat `id` is ended. One that is over already stays over.
    pub(super) fn served_by(&self, id: u64, end: AbortHandle) {
        match self.lock().connections.get_mut(&id) {
            Some(connection) => connection.end = Some(end),
            // It was told to go before anybody could.
            None => end.abort(),
        }
    }

    /// Ends the slowest of all, new ones excepted: the machine itself is short of something. Gives whether there was
    /// one.
    pub(super) fn thin_out(&self, now: Instant) -> bool {
        self.end_slowest(now, |_, _| true)
    }

    /// The same among those that hold room, `but` excepted.
    pub(super) fn free_room(&self, but: u64, now: Instant) -> bool {
        self.end_slowest(now, |id, connection| id != but && connection.holds_room)
    }

    fn end_slowest(&self, now: Instant, which: impl Fn(u64, &Connection) -> bool) -> bool {
        let mut there = self.lock();
        let seen = there.seen(now, |(id, connection)| which(**id, connection));
        let old = seen.iter().filter(|seen| seen.age >= GRACE);
        slowest(old).is_some_and(|id| there.end(id))
    }

    /// A panic elsewhere leaves the table as it is: every change to it is whole.
    fn lock(&self) -> MutexGuard<'_, There> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl There {
    fn seen(&self, now: Instant, which: impl Fn(&(&u64, &Connection)) -> bool) -> Vec<Seen> {
        self.connections
            .iter()
            .filter(|entry| which(entry))
            .map(|(id, connection)| Seen {
                id: *id,
                origin: connection.origin,
                age: now.duration_since(connection.since),
                heard: connection.heard.load(Ordering::Relaxed),
            })
            .collect()
    }

    /// Ends a connection. Its seat is free at once, although its socket is closed a moment later.
    fn end(&mut self, id: u64) -> bool {
        let Some(connection) = self.connections.remove(&id) else {
            return false;
        };
        if let Some(end) = connection.end {
            end.abort();
        }
        true
    }
}

/// A connection's place among the others; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Seat {
    id: u64,
    heard: Arc<AtomicU64>,
    crowd: Crowd,
}

impl Seat {
    /// Its number.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Where the bytes are counted that come in.
    pub(super) fn heard(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.heard)
    }
}

impl Crowd {
    /// The connection in seat `id` holds room from now on, or does no longer.
    pub(super) fn holds_room(&self, id: u64, holds: bool) {
        if let Some(connection) = self.lock().connections.get_mut(&id) {
            connection.holds_room = holds;
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.lock().connections.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(last: u8) -> Origin {
        Origin::of(IpAddr::from([192, 0, 2, last]))
    }

    fn seen(id: u64, from: u8, age_ms: u64, heard: u64) -> Seen {
        Seen {
            id,
            origin: origin(from),
            age: Duration::from_millis(age_ms),
            heard,
        }
    }

    const BOUNDS: Bounds = Bounds {
        in_all: 4,
        per_address: 3,
    };

    #[test]
    fn nobody_goes_while_there_is_room() {
        let there = [
            seen(1, 1, 9_000, 0),
            seen(2, 1, 9_000, 0),
            seen(3, 2, 9_000, 0),
        ];
        assert_eq!(who_goes(&there, origin(1), BOUNDS), None);
        assert_eq!(who_goes(&there, origin(3), BOUNDS), None);
    }

    #[test]
    fn the_slowest_goes_and_a_new_one_last() {
        for (why, there, goes) in [
            (
                "of idle ones the oldest",
                [
                    seen(1, 1, 2_000, 0),
                    seen(2, 1, 9_000, 0),
                    seen(3, 1, 5_000, 0),
                ],
                2,
            ),
            (
                "a trickle is slower than a stream that is as old",
                [
                    seen(1, 1, 9_000, 9),
                    seen(2, 1, 9_000, 90_000),
                    seen(3, 1, 9_000, 10),
                ],
                1,
            ),
            (
                "it is the rate that counts, and not the sum",
                [
                    seen(1, 1, 9_000, 900),
                    seen(2, 1, 2_000, 400),
                    seen(3, 1, 2_000, 500),
                ],
                1,
            ),
            (
                "one that just came has sent nothing yet",
                [
                    seen(1, 1, 10, 0),
                    seen(2, 1, 1_000, 50_000),
                    seen(3, 1, 20, 0),
                ],
                2,
            ),
            (
                "of new ones the oldest that sent nothing",
                [seen(1, 1, 10, 0), seen(2, 1, 30, 0), seen(3, 1, 20, 700)],
                2,
            ),
            (
                "of one moment the first",
                [seen(1, 1, 0, 0), seen(2, 1, 0, 0), seen(3, 1, 0, 0)],
                1,
            ),
        ] {
            assert_eq!(who_goes(&there, origin(1), BOUNDS), Some(goes), "{why}");
        }
    }

    #[test]
    fn an_address_with_many_connections_costs_another_one_nothing() {
        // One from elsewhere is slow, and stays.
        let there = [
            seen(1, 1, 9_000, 500),
            seen(2, 1, 9_000, 400),
            seen(3, 2, 9_000, 0),
            seen(4, 1, 9_000, 600),
        ];
        assert_eq!(who_goes(&there, origin(3), BOUNDS), Some(2));
        assert_eq!(who_goes(&there, origin(1), BOUNDS), Some(2));
        assert_eq!(who_goes(&there, origin(2), BOUNDS), Some(2));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one_address_and_mapped_ipv4_as_what_it_is() {
        let of = |text: &str| Origin::of(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(of("::ffff:192.0.2.7"), of("192.0.2.7"));
        assert_ne!(of("192.0.2.7"), of("192.0.2.8"));
    }

    #[tokio::test]
    async fn a_seat_is_given_back_and_one_that_was_taken_away_is_not_given_back_twice() {
        let now = Instant::now();
        let crowd = Crowd::new(Bounds {
            in_all: 1,
            per_address: 1,
        });
        let count = || crowd.lock().connections.len();
        let (first, ended) = crowd.enter(origin(1), now);
        assert!(!ended);
        let serving = tokio::spawn(std::future::pending::<()>());
        crowd.served_by(first.id(), serving.abort_handle());
        let (second, ended) = crowd.enter(origin(2), now);
        assert!(ended);
        assert!(serving.await.is_err_and(|error| error.is_cancelled()));
        assert_eq!(count(), 1);
        drop(first);
        assert_eq!(count(), 1);
        drop(second);
        assert_eq!(count(), 0);
        // One that has to go before it is served is not served.
        let (third, _) = crowd.enter(origin(1), now);
        let (_fourth, ended) = crowd.enter(origin(1), now);
        assert!(ended);
        let late = tokio::spawn(std::future::pending::<()>());
        crowd.served_by(third.id(), late.abort_handle());
        assert!(late.await.is_err_and(|error| error.is_cancelled()));
    }

    #[test]
    fn room_is_freed_by_the_slowest_that_holds_some_and_never_by_a_new_one() {
        let now = Instant::now();
        let crowd = Crowd::new(Bounds {
            in_all: 9,
            per_address: 9,
        });
        let (idle, _) = crowd.enter(origin(1), now);
        let (holder, _) = crowd.enter(origin(1), now);
        let (mine, _) = crowd.enter(origin(1), now);
        crowd.holds_room(holder.id(), true);
        crowd.holds_room(mine.id(), true);
        assert!(
            !crowd.free_room(mine.id(), now),
            "nobody had the time to be slow"
        );
        let later = now + GRACE;
        assert!(crowd.free_room(mine.id(), later));
        assert!(!crowd.free_room(mine.id(), later), "it alone is left");
        assert!(crowd.lock().connections.contains_key(&idle.id()));
        assert!(crowd.thin_out(later));
    }
}
