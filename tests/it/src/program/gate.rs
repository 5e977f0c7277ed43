//! A gate before GitHub: whoever asks waits there until the test lets them through. So a test acts at a moment that it
//! knows, after the records were read and before anything is decided, and needs no luck with time.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use super::stage::PATIENCE;

/// A gate on loopback, closed at first.
pub(super) struct Gate {
    address: SocketAddr,
    arrivals: Receiver<()>,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// A gate before `behind`. Its threads end with the test's process.
    pub(super) fn before(behind: SocketAddr) -> Gate {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let (arrived, arrivals) = channel();
        let open = Arc::new((Mutex::new(false), Condvar::new()));
        let shared = Arc::clone(&open);
        std::thread::spawn(move || {
            for guest in listener.incoming().flatten() {
                let (arrived, open) = (arrived.clone(), Arc::clone(&shared));
                std::thread::spawn(move || pass_on(guest, behind, &arrived, &open));
            }
        });
        Gate {
            address,
            arrivals,
            open,
        }
    }

    /// Where to ask.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits until one more asks.
    #[track_caller]
    pub(super) fn wait_for_arrival(&self) {
        let arrived: Result<(), _> = self.arrivals.recv_timeout(PATIENCE);
        arrived.expect("somebody asks GitHub");
    }

    /// Lets everybody through, from now on.
    pub(super) fn open(&self) {
        let (open, changed) = &*self.open;
        *open.lock().expect("no panic") = true;
        changed.notify_all();
    }
}

fn pass_on(
    guest: TcpStream,
    behind: SocketAddr,
    arrived: &Sender<()>,
    open: &(Mutex<bool>, Condvar),
) {
    // The test may be over.
    let _ = arrived.send(());
    let (is_open, changed) = open;
    let closed = is_open.lock().expect("no panic");
    let waited =
        changed.wait_timeout_while(closed, PATIENCE + Duration::from_secs(1), |open| !*open);
    drop(waited);
    let Ok(host) = TcpStream::connect(behind) else {
        return;
    };
    let (Ok(mut from_guest), Ok(mut to_host)) = (guest.try_clone(), host.try_clone()) else {
        return;
    };
    std::thread::spawn(move || {
        let _ = io::copy(&mut from_guest, &mut to_host);
        let _ = to_host.shutdown(Shutdown::Write);
    });
    let (mut from_host, mut to_guest) = (host, guest);
    let _ = io::copy(&mut from_host, &mut to_guest);
    let _ = to_guest.shutdown(Shutdown::Both);
}
