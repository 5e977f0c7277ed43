//! Webhooks, as the daemon hears them.

use std::net::SocketAddr;

use vigil_core::Timestamp;

use crate::failure::Failure;
use crate::heard::Heard;
use crate::pass::Reconciler;
use crate::webhooks::{self, Counts, Inbox, Listening};
use crate::wiring::Setup;

/// Webhooks, where they are listened for; otherwise nobody ever rings.
pub(super) struct Doorbell {
    pub(super) inbox: Inbox,
    listening: Option<Listening>,
    /// When listening began.
    since: Timestamp,
    /// What was told in the log, and kept for `status`.
    told: Counts,
}

impl Doorbell {
    /// Listens on `listen`, if there is one, and starts counting anew.
    ///
    /// # Errors
    /// A configuration without a secret, an address that is in use, and those of vigil's memory.
    pub(super) async fn new(
        listen: Option<SocketAddr>,
        setup: &Setup,
        reconciler: &mut Reconciler,
    ) -> Result<Doorbell, Failure> {
        let inbox = Inbox::default();
        let since = setup.world.now();
        let (store, host) = (&mut reconciler.store, &reconciler.forge_host);
        let listening = match listen {
            Some(address) => {
                let config = &setup.config.webhooks;
                let settings = config.settings(address, &setup.environment)?;
                let listening = webhooks::listen(address, settings, inbox.clone()).await?;
                let nothing = Heard {
                    since,
                    last: since,
                    counts: Counts::default(),
                };
                nothing.keep(store, host)?;
                Some(listening)
            }
            None => {
                Heard::forget(store, host, since)?;
                None
            }
        };
        Ok(Doorbell {
            inbox,
            listening,
            since,
            told: Counts::default(),
        })
    }

    /// Hands on what was queued; gives whether a pass is needed.
    pub(super) fn answer(&self, reconciler: &mut Reconciler) -> bool {
        let wakes = self.inbox.take();
        if wakes.is_empty() {
            return false;
        }
        match reconciler.wake(&wakes) {
            Ok(woken) => woken,
            Err(failure) => {
                tracing::error!(%failure, "wakes could not be handed on; they are tried again");
                self.inbox.put_back(wakes);
                true
            }
        }
    }

    /// Logs what was heard since the last time, if anything was, and keeps it for `status`.
    pub(super) fn tell(&mut self, reconciler: &mut Reconciler) {
        let heard = self.inbox.counts();
        if heard == self.told {
            return;
        }
        tracing::info!(
            received = heard.received,
            wakes = heard.wakes,
            duplicates = heard.duplicates,
            forged = heard.forged,
            unknown = heard.unknown,
            unparsable = heard.unparsable,
            too_large = heard.too_large,
            broken_off = heard.broken_off,
            no_room = heard.no_room,
            shed = heard.shed,
            refused = heard.refused,
            "webhooks heard"
        );
        let kept = Heard {
            since: self.since,
            last: reconciler.world.now(),
            counts: heard,
        };
        match kept.keep(&mut reconciler.store, &reconciler.forge_host) {
            Ok(()) => self.told = heard,
            // It is told once more, and kept then.
            Err(failure) => tracing::warn!(%failure, "what webhooks brought is not kept for now"),
        }
    }

    /// Stops listening. What was heard by then is handed on, for the next daemon to read again: GitHub was told that it
    /// arrived, and does not send it twice.
    pub(super) async fn close(mut self, reconciler: &mut Reconciler) {
        if let Some(listening) = self.listening.take() {
            listening.stop().await;
        }
        self.answer(reconciler);
        self.tell(reconciler);
    }
}
