//! Which sessions are due. A wake carries only a key; many wakes for one session fold into one look.

use std::collections::HashMap;

use crate::session::SessionId;
use crate::time::Timestamp;

/// Sessions with the moment of their next look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    due: HashMap<SessionId, Timestamp>,
}

impl Queue {
    /// Asks for a look at `id` no later than `at`. An earlier wish stands.
    pub fn wake(&mut self, id: SessionId, at: Timestamp) {
        self.due
            .entry(id)
            .and_modify(|due| *due = (*due).min(at))
            .or_insert(at);
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
        assert_eq!(queue.due_at(&id(1)), Some(Timestamp(10)));
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
    fn a_session_never_heard_of_has_no_time() {
        assert_eq!(Queue::default().due_at(&id(7)), None);
    }
}
