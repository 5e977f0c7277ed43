//! Between the server and the daemon: a bounded queue of wakes that folds duplicates, and what was counted on the way.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use vigil_core::Timestamp;

use super::event::{About, Wake};

/// Different wakes that wait at once. A pass takes minutes at most, and 10,000 sessions with two changes an hour make
/// some hundred of them in that time.
pub const WAKES_MAX: usize = 10_000;

/// Deliveries that are remembered, so that one that comes again is not heard again. GitHub keeps deliveries for three
/// days; what is older than the last 10,000 costs one more look and no more.
pub const DELIVERIES_MAX: usize = 10_000;

/// A delivery's name is a UUID of 36 characters. A longer one is not remembered.
const DELIVERY_BYTES_MAX: usize = 64;

/// What became of a delivery's wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// They are in the queue; the number of those that were not there yet.
    Queued(usize),
    /// The delivery was heard before.
    Duplicate,
    /// There is no room for all of them, and none was queued. The delivery may come again.
    Full,
}

/// Where to look: a repository, and what in it.
type Place = (String, About);

/// The queue itself, without locks and waiting.
#[derive(Debug, Default)]
struct Queue {
    /// By where they say to look, with the latest of the updates that they tell of.
    wakes: BTreeMap<Place, Option<Timestamp>>,
    heard: HashSet<String>,
    heard_in_order: VecDeque<String>,
}

impl Queue {
    fn put(&mut self, delivery: Option<&str>, wakes: Vec<Wake>) -> Put {
        let delivery = delivery.filter(|id| !id.is_empty() && id.len() <= DELIVERY_BYTES_MAX);
        if delivery.is_some_and(|id| self.heard.contains(id)) {
            return Put::Duplicate;
        }
        let wakes: Vec<(Place, Option<Timestamp>)> = wakes
            .into_iter()
            .map(|wake| ((wake.repo, wake.about), wake.updated))
            .collect();
        let new: BTreeSet<&Place> = wakes
            .iter()
            .map(|(place, _)| place)
            .filter(|place| !self.wakes.contains_key(place))
            .collect();
        let count = new.len();
        if self.wakes.len() + count > WAKES_MAX {
            return Put::Full;
        }
        // Only what was queued counts as heard: a delivery that failed may come again under the same name.
        if let Some(id) = delivery {
            self.remember(id);
        }
        for (place, updated) in wakes {
            let latest = self.wakes.entry(place).or_default();
            *latest = updated.max(*latest);
        }
        Put::Queued(count)
    }

    fn remember(&mut self, id: &str) {
        if self.heard_in_order.len() >= DELIVERIES_MAX
            && let Some(oldest) = self.heard_in_order.pop_front()
        {
            self.heard.remove(&oldest);
        }
        self.heard.insert(id.to_owned());
        self.heard_in_order.push_back(id.to_owned());
    }
}

/// Where wakes wait for the next pass. Clones share one queue.
#[derive(Clone, Debug, Default)]
pub struct Inbox(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Notify,
    counters: Counters,
}

impl Inbox {
    /// Completes when something is queued; at once when something is.
    pub async fn woken(&self) {
        loop {
            // Made before the look, so that what arrives between the two is not missed.
            let arrived = self.0.arrived.notified();
            if !self.queue().wakes.is_empty() {
                return;
            }
            arrived.await;
        }
    }

    /// Takes all that is queued, sorted, each once.
    pub fn take(&self) -> Vec<Wake> {
        std::mem::take(&mut self.queue().wakes)
            .into_iter()
            .map(|((repo, about), updated)| Wake {
                repo,
                about,
                updated,
            })
            .collect()
    }

    /// Queues what a delivery says. `delivery`: the header `X-GitHub-Delivery`; `None`: it has none, and cannot be told
    /// from one that comes again.
    pub fn put(&self, delivery: Option<&str>, wakes: Vec<Wake>) -> Put {
        let put = self.queue().put(delivery, wakes);
        if let Put::Queued(1..) = put {
            self.0.arrived.notify_waiters();
        }
        put
    }

    /// Queues again what was taken and could not be used. Beyond the bound the rest is dropped; the resync finds it.
    pub fn put_back(&self, wakes: Vec<Wake>) {
        for wake in wakes {
            self.put(None, vec![wake]);
        }
    }

    /// What was counted since the start.
    pub fn counts(&self) -> Counts {
        self.0.counters.read()
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// A panic elsewhere leaves the queue as it is: every change to it is whole.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.0.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Declares the counters and their readings together, so that none is forgotten.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Counters of one process, at zero when it starts.
        #[derive(Debug, Default)]
        pub(super) struct Counters {
            $(pub(super) $name: Counter,)*
        }

        /// What was counted since the start. Every request is in `received` or `refused`, and each in `received` that
        /// was not queued is in one other besides.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Counts {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            fn read(&self) -> Counts {
                Counts { $($name: self.$name.get(),)* }
            }
        }
    };
}

counters! {
    /// Requests that were taken for deliveries, whatever became of them.
    received,
    /// Requests for another host, from a browser, for another path or with another method.
    refused,
    /// Deliveries without a valid signature.
    forged,
    /// Deliveries that were heard before.
    duplicates,
    /// Genuine events that no session depends on.
    unknown,
    /// Genuine deliveries that could not be read.
    unparsable,
    /// Deliveries over the bound of their size.
    too_large,
    /// Deliveries that took too long or broke off.
    broken_off,
    /// Genuine deliveries for which there was no room; they may come again.
    no_room,
    /// Connections that were ended in favour of others, since they were the slowest. What they sent is not counted.
    shed,
    /// Wakes that were queued and were not in the queue already.
    wakes,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    /// Adds, and gives the new sum.
    pub(super) fn add(&self, count: u64) -> u64 {
        self.0.fetch_add(count, Ordering::Relaxed) + count
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wake(number: u64) -> Wake {
        Wake {
            repo: "acme/app".to_owned(),
            about: About::Number(number),
            updated: None,
        }
    }

    #[test]
    fn wakes_fold_whatever_their_order_and_deliveries_are_heard_once() {
        let inbox = Inbox::default();
        assert_eq!(inbox.put(Some("a"), vec![wake(2), wake(1)]), Put::Queued(2));
        assert_eq!(inbox.put(Some("b"), vec![wake(1), wake(3)]), Put::Queued(1));
        assert_eq!(inbox.put(Some("a"), vec![wake(4)]), Put::Duplicate);
        assert_eq!(inbox.take(), [wake(1), wake(2), wake(3)]);
        assert_eq!(inbox.take(), []);
        // Taken is not forgotten: the same delivery says nothing new.
        assert_eq!(inbox.put(Some("b"), vec![wake(1)]), Put::Duplicate);
        assert_eq!(inbox.put(None, vec![wake(1)]), Put::Queued(1));
    }

    #[test]
    fn of_several_updates_the_latest_is_waited_for() {
        let at = |updated: u64| Wake {
            updated: Some(Timestamp(updated)),
            ..wake(1)
        };
        let inbox = Inbox::default();
        assert_eq!(inbox.put(None, vec![at(20)]), Put::Queued(1));
        // Deliveries come in any order, and some do not say.
        assert_eq!(inbox.put(None, vec![at(10), wake(1)]), Put::Queued(0));
        assert_eq!(inbox.take(), [at(20)]);
    }

    #[test]
    fn what_found_no_room_may_come_again() {
        let inbox = Inbox::default();
        let many = (1..=WAKES_MAX as u64).map(wake).collect();
        assert_eq!(inbox.put(Some("many"), many), Put::Queued(WAKES_MAX));
        assert_eq!(inbox.put(Some("late"), vec![wake(0)]), Put::Full);
        // One that is queued already needs no room.
        assert_eq!(inbox.put(Some("again"), vec![wake(7)]), Put::Queued(0));
        assert_eq!(inbox.take().len(), WAKES_MAX);
        assert_eq!(inbox.put(Some("late"), vec![wake(0)]), Put::Queued(1));
    }

    #[test]
    fn the_memory_of_deliveries_is_bounded() {
        let mut queue = Queue::default();
        for n in 0..=DELIVERIES_MAX {
            assert_eq!(queue.put(Some(&n.to_string()), Vec::new()), Put::Queued(0));
        }
        assert_eq!(queue.heard.len(), DELIVERIES_MAX);
        assert_eq!(queue.heard_in_order.len(), DELIVERIES_MAX);
        assert_eq!(queue.put(Some("1"), Vec::new()), Put::Duplicate);
        assert_eq!(queue.put(Some("0"), Vec::new()), Put::Queued(0));
        let long = "x".repeat(DELIVERY_BYTES_MAX + 1);
        for _ in 0..2 {
            assert_eq!(queue.put(Some(&long), Vec::new()), Put::Queued(0));
        }
    }

    #[tokio::test]
    async fn whoever_waits_is_woken_by_what_comes_and_by_what_is_there() {
        let inbox = Inbox::default();
        let waiting = tokio::spawn({
            let inbox = inbox.clone();
            async move {
                inbox.woken().await;
                inbox.take()
            }
        });
        inbox.put(None, vec![wake(1)]);
        assert_eq!(waiting.await.expect("it ends"), [wake(1)]);
        inbox.put_back(vec![wake(2), wake(1)]);
        inbox.woken().await;
        assert_eq!(inbox.take(), [wake(1), wake(2)]);
    }

    #[tokio::test]
    async fn nobody_is_woken_by_nothing() {
        let inbox = Inbox::default();
        inbox.put(Some("a"), Vec::new());
        let mut woken = std::pin::pin!(inbox.woken());
        let polled = std::future::poll_fn(|context| {
            std::task::Poll::Ready(woken.as_mut().poll(context).is_pending())
        });
        assert!(polled.await);
    }
}
