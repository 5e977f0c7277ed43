//! The body of a delivery on its way in: in memory that goes back to the system as soon as it was read, however large
//! it was.

use std::sync::Arc;
use std::time::Duration;

use memmap2::MmapMut;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::crowd::Crowd;

/// Room is counted in units of 1 KiB.
const ROOM_UNIT: usize = 1024;

/// How long a body waits for the room that another one was told to give back.
const ROOM_DEADLINE: Duration = Duration::from_secs(1);

/// Why a body is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It is longer than any that is taken.
    TooLarge,
    /// Others hold all the room that there is.
    NoRoom,
}

/// Room for the bodies that are being read, together.
#[derive(Clone, Debug)]
pub(super) struct Room {
    permits: Arc<Semaphore>,
    crowd: Crowd,
}

impl Room {
    /// For `bytes` in all.
    pub(super) fn new(bytes: usize, crowd: Crowd) -> Self {
        Room {
            permits: Arc::new(Semaphore::new(bytes / ROOM_UNIT)),
            crowd,
        }
    }

    /// So many units for the connection in seat `id`: at once where they are there, else those of the slowest that
    /// holds some, which is ended for it. `None`: nobody else is slow, so that the delivery has to come again.
    async fn take(&self, id: u64, units: u32, now: Instant) -> Option<OwnedSemaphorePermit> {
        loop {
            if let Ok(permit) = Arc::clone(&self.permits).try_acquire_many_owned(units) {
                return Some(permit);
            }
            if !self.crowd.free_room(id, now) {
                return None;
            }
            // Whoever was ended gives its room back when its task is dropped.
            let given_back = Arc::clone(&self.permits).acquire_many_owned(units);
            if let Ok(Ok(permit)) = tokio::time::timeout(ROOM_DEADLINE, given_back).await {
                return Some(permit);
            }
        }
    }
}

/// What was read of a body.
#[derive(Debug)]
pub(super) struct Reading {
    room: Room,
    /// The seat of its connection.
    id: u64,
    /// The most that it may have.
    bytes_max: usize,
    /// Pages of its own for that many: those that nothing was written to do not exist, and all go back at once.
    pages: Option<MmapMut>,
    length: usize,
    /// For `length` bytes; given back with them.
    held: Option<OwnedSemaphorePermit>,
    refused: Option<Refused>,
}

impl Reading {
    /// Nothing yet, over the connection in seat `id`, of a body that may have `bytes_max` bytes.
    pub(super) fn new(id: u64, bytes_max: usize, room: Room) -> Self {
        Reading {
            room,
            id,
            bytes_max,
            pages: None,
            length: 0,
            held: None,
            refused: None,
        }
    }

    /// What the answer will be, whatever else comes.
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused
    }

    /// All that was read.
    pub(super) fn bytes(&self) -> &[u8] {
        let pages = self.pages.as_deref().unwrap_or_default();
        pages.get(..self.length).unwrap_or_default()
    }

    /// Gives back what was read.
    pub(super) fn refuse(&mut self, refused: Refused) {
        self.refused = Some(refused);
        self.pages = None;
        self.length = 0;
        self.held = None;
        self.room.crowd.holds_room(self.id, false);
    }

    /// Keeps `data`, unless the body is refused by it or was before; gives whether it did.
    pub(super) async fn take(&mut self, data: &[u8], now: Instant) -> bool {
        if self.refused.is_none()
            && let Err(refused) = self.keep(data, now).await
        {
            self.refuse(refused);
        }
        self.refused.is_none()
    }

    async fn keep(&mut self, data: &[u8], now: Instant) -> Result<(), Refused> {
        let end = self.length.saturating_add(data.len());
        if end > self.bytes_max {
            return Err(Refused::TooLarge);
        }
        self.make_room(end, now).await?;
        if self.pages.is_none() && end > 0 {
            // The system has none to give: it is short of room as well.
            self.pages = Some(MmapMut::map_anon(self.bytes_max).map_err(|_| Refused::NoRoom)?);
        }
        let pages = self.pages.as_deref_mut().unwrap_or_default();
        if let Some(place) = pages.get_mut(self.length..end) {
            place.copy_from_slice(data);
            self.length = end;
        }
        Ok(())
    }

    /// Room for `length` bytes in all.
    async fn make_room(&mut self, length: usize, now: Instant) -> Result<(), Refused> {
        let held = self
            .held
            .as_ref()
            .map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = length.div_ceil(ROOM_UNIT).saturating_sub(held);
        let missing = u32::try_from(missing).map_err(|_| Refused::NoRoom)?;
        if missing == 0 {
            return Ok(());
        }
        let more = self.room.take(self.id, missing, now).await;
        let more = more.ok_or(Refused::NoRoom)?;
        match &mut self.held {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        self.room.crowd.holds_room(self.id, true);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::webhooks::crowd::{Bounds, Origin};

    fn crowd() -> Crowd {
        Crowd::new(Bounds {
            in_all: 9,
            per_address: 9,
        })
    }

    fn origin() -> Origin {
        Origin::of(IpAddr::from([192, 0, 2, 1]))
    }

    #[tokio::test]
    async fn a_body_is_kept_whole_and_refused_when_it_grows_too_long() {
        let now = Instant::now();
        let room = Room::new(4096, crowd());
        let mut reading = Reading::new(1, 10, room.clone());
        assert_eq!(reading.bytes(), b"");
        assert!(reading.take(b"", now).await);
        assert!(reading.take(b"hello", now).await);
        assert!(reading.take(b" all.", now).await);
        assert_eq!(reading.bytes(), b"hello all.");
        assert!(!reading.take(b"!", now).await);
        assert_eq!(reading.refused(), Some(Refused::TooLarge));
        assert_eq!(reading.bytes(), b"");
        assert!(!reading.take(b"", now).await, "refused is refused");
        assert_eq!(room.permits.available_permits(), 4, "it gave its room back");
    }

    #[tokio::test]
    async fn room_that_a_slow_one_holds_goes_to_who_needs_it() {
        let now = Instant::now();
        let crowd = crowd();
        let room = Room::new(2 * 1024, crowd.clone());
        let (slow, _) = crowd.enter(origin(), now);
        let (fast, _) = crowd.enter(origin(), now);
        let mut held = Reading::new(slow.id(), 4096, room.clone());
        assert!(held.take(&[b' '; 2000], now).await);
        let mut wanted = Reading::new(fast.id(), 4096, room.clone());
        // Nobody had the time to be slow yet.
        assert!(!wanted.take(&[b' '; 2000], now).await);
        assert_eq!(wanted.refused(), Some(Refused::NoRoom));

        let serving = tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        crowd.served_by(slow.id(), serving.abort_handle());
        let now = now + Duration::from_secs(2);
        let mut wanted = Reading::new(fast.id(), 4096, room.clone());
        assert!(wanted.take(&[b' '; 2000], now).await);
        assert!(serving.await.is_err_and(|error| error.is_cancelled()));
    }
}
