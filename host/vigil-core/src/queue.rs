//! Which sessions are due. A wake carries only a key; many wakes for one session fold into one look.

use std::collections::BTreeMap;

use crate::session::SessionId;
use crate::time::Timestamp;

/// Sessions with the moment of their next look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    due: BTreeMap<SessionId, Timestamp>,
}

impl Queue {
    /// Asks for a look at `id` no later than `at`. An earlier wish stands.
    pub fn wake(&mut self, id: SessionId, at: Timestamp) {
        self.due
            .entry(id)
            .and_modify(|due| *due = (*due).min(at))
            .or_insert(at);
    }

    /// Sets the next look, whatever was asked for before: the look that answers those wishes was just made.
    pub fn settle(&mut self, id: SessionId, at: Timestamp) {
        self.due.insert(id, at);
    }

    /// Forgets sessions for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(&SessionId) -> bool) {
        self.due.retain(|id, _| keep(id));
    }

    /// Whether a look at `id` is due; a session that was never heard of is.
    pub fn is_due(&self, id: &SessionId, now: Timestamp) -> bool {
        self.due.get(id).is_none_or(|due| *due <= now)
    }

    /// The moment of the next look at `id`; `None`: it was never heard of.
    pub fn due_at(&self, id: &SessionId) -> Option<Timestamp> {
        self.due.get(id).copied()
    }

    /// The moment up to which at most `count` looks are due at `now`, the most overdue first; `None`: no more than that
    /// are.
    pub fn up_to(&self, count: usize, now: Timestamp) -> Option<Timestamp> {
        let mut overdue: Vec<Timestamp> = self
            .due
            .values()
            .copied()
            .filter(|due| *due <= now)
            .collect();
        if overdue.len() <= count {
            return None;
        }
        let (_, last, _) = overdue.select_nth_unstable(count.saturating_sub(1));
        Some(*last)
    }

    /// The moment of the next look, if any is known.
    pub fn next(&self) -> Option<Timestamp> {
        self.due.values().min().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> SessionId {
        SessionId::new("v", format!("o/r#{n}"))
    }

    #[test]
    fn wakes_fold_into_the_earliest() {
        let mut queue = Queue::default();
        for at in [30, 10, 20] {
            queue.wake(id(1), Timestamp(at));
        }
        assert_eq!(queue.next(), Some(Timestamp(10)));
        assert!(!queue.is_due(&id(1), Timestamp(9)));
        assert!(queue.is_due(&id(1), Timestamp(10)));
    }

    #[test]
    fn a_look_answers_every_wake_before_it() {
        let mut queue = Queue::default();
        queue.wake(id(1), Timestamp(1));
        queue.settle(id(1), Timestamp(50));
        assert!(!queue.is_due(&id(1), Timestamp(49)));
    }

    #[test]
    fn the_most_overdue_come_first() {
        let mut queue = Queue::default();
        for n in 1..=9 {
            queue.wake(id(n), Timestamp(u64::from(n) * 10));
        }
        assert_eq!(queue.up_to(3, Timestamp(60)), Some(Timestamp(30)));
        assert_eq!(queue.up_to(6, Timestamp(60)), None);
        assert_eq!(queue.due_at(&id(2)), Some(Timestamp(20)));
    }

    #[test]
    fn a_session_never_heard_of_is_due() {
        assert!(Queue::default().is_due(&id(7), Timestamp(0)));
    }
}
