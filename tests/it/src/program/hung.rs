//! A mount whose server does not answer, which is what a network share becomes when its machine is gone: a real file
//! system of the kernel's (FUSE), whose server is this test.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// The size of a request's header, and where its fields are: length, kind, and its own number.
const HEADER: usize = 40;

/// The kind of the first request.
const INIT: u32 = 26;

/// How long the server takes for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// It never even begins. Who waits for it can be ended.
    FromTheStart,
    /// It takes requests and answers none. Who waits for it cannot be ended, not even by SIGKILL.
    WithRequests,
}

/// The mount; it goes away with this value, and sets free whoever waits for it.
pub(super) struct Hung {
    place: PathBuf,
    device: Option<File>,
    server: Option<JoinHandle<()>>,
    /// Closed to stop the server.
    running: Option<File>,
}

impl Hung {
    /// Mounts it on the folder `place`. `None`: this machine does not let the test, which says so.
    pub(super) fn mount(place: &Path, silence: Silence) -> Option<Hung> {
        fs::create_dir_all(place).expect("a folder");
        let not_tried = |what: &str, error: std::io::Error| {
            eprintln!("not tried: {what}: {error}");
            None::<Hung>
        };
        let device = match OpenOptions::new().read(true).write(true).open("/dev/fuse") {
            Ok(device) => device,
            Err(error) => return not_tried("/dev/fuse cannot be opened", error),
        };
        let options = format!(
            "fd={},rootmode=40000,user_id=0,group_id=0,allow_other",
            device.as_raw_fd()
        );
        let options = std::ffi::CString::new(options).expect("no zero byte");
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        if let Err(error) = mount("hung", place, "fuse", flags, options.as_c_str()) {
            return not_tried("nothing can be mounted", error.into());
        }
        let mut hung = Hung {
            place: place.to_owned(),
            device: Some(device),
            server: None,
            running: None,
        };
        if silence == Silence::WithRequests {
            hung.serve();
        }
        Some(hung)
    }

    /// Answers the first request, and takes the others.
    fn serve(&mut self) {
        let (stop, running) =
            rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).expect("a pipe");
        let mut device = self
            .device
            .as_ref()
            .and_then(|device| device.try_clone().ok())
            .expect("the device");
        self.running = Some(File::from(running));
        self.server = Some(std::thread::spawn(move || {
            let mut request = vec![0; 1 << 17];
            loop {
                let mut fds = [
                    PollFd::new(&device, PollFlags::IN),
                    PollFd::new(&stop, PollFlags::IN),
                ];
                if poll(&mut fds, None).is_err() || !fds[1].revents().is_empty() {
                    return;
                }
                let Ok(read) = device.read(&mut request) else {
                    return;
                };
                if read < HEADER || number(&request, 4) != INIT {
                    continue;
                }
                // Version 7.31, with the least that it may offer; see fuse_init_out in linux/fuse.h.
                let body: Vec<u8> = [7, 31, 0, 0, 0, 4096_u32, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
                    .iter()
                    .flat_map(|word| word.to_ne_bytes())
                    .collect();
                let length = u32::try_from(16 + body.len()).expect("short");
                let mut answer = Vec::new();
                answer.extend(length.to_ne_bytes());
                answer.extend(0_u32.to_ne_bytes());
                answer.extend(&request[8..16]);
                answer.extend(body);
                device.write_all(&answer).expect("the kernel takes it");
            }
        }));
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

impl Drop for Hung {
    fn drop(&mut self) {
        // The last descriptor of the device ends the connection: every call that waits for it returns with an error.
        self.running = None;
        if let Some(server) = self.server.take() {
            let _ = server.join();
        }
        self.device = None;
        let _ = unmount(&self.place, UnmountFlags::DETACH);
    }
}
