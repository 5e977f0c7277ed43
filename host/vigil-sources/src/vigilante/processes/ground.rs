//! The ground under a folder: on which file system it lies, and where there.
//!
//! The folders above one tell where it is only as far as its mount goes: above the root of a bind mount lies the place
//! that it is mounted on, and not the folder that it is a part of. So a mount's device and root are put together with the
//! way below it. A file system that shows what is in folders of others, such as an overlay, has a device of its own; of
//! it the names of those folders are kept. Nothing of all this touches any of them.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::makedev;

use super::Workplace;
use crate::machine::mounts::{is_remote, unescaped};

/// A mark of the kernel on the root of a mount that was removed.
const REMOVED: &[u8] = b"//deleted";

/// File systems whose files lie on a disk or in memory that is theirs alone: what lies on one is not on another.
const PLAIN: [&str; 24] = [
    "bcachefs",
    "btrfs",
    "cgroup",
    "cgroup2",
    "devpts",
    "devtmpfs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "hugetlbfs",
    "jfs",
    "mqueue",
    "ntfs3",
    "proc",
    "ramfs",
    "reiserfs",
    "rootfs",
    "sysfs",
    "tmpfs",
    "vfat",
    "xfs",
    "zfs",
];

/// Options of file systems that show folders of others, and name these. Those of work in progress are none of them.
const LAYERS: [&[u8]; 4] = [b"lowerdir", b"lowerdir+", b"datadir+", b"upperdir"];

/// The mounts of one namespace.
#[derive(Debug, Default)]
pub(super) struct Mounted {
    /// By the place that they are mounted on; of those at one place the last, which is seen.
    at: HashMap<PathBuf, usize>,
    all: Vec<Mount>,
}

/// One of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Mount {
    pub(super) id: u64,
    pub(super) at: PathBuf,
    /// Touching it may take for ever.
    pub(super) may_hang: bool,
    pub(super) device: Option<u64>,
    /// Which folder of its file system is mounted. `None`: it was removed, or has no name.
    pub(super) root: Option<PathBuf>,
    /// It shows folders of other file systems, or may do so.
    pub(super) is_veil: bool,
    /// Those folders, as whoever mounted it called them.
    pub(super) layers: Arc<[PathBuf]>,
}

/// A folder by the file system that it lies on, and its way from that file system's root.
pub(super) type Spot = (u64, PathBuf);

/// Where a folder lies.
#[derive(Clone, Debug, Default)]
pub(super) struct Ground {
    pub(super) device: Option<u64>,
    /// Its way from the root of its file system. `None`: it cannot be told.
    pub(super) spot: Option<PathBuf>,
    /// What is mounted there is a part of the file system, so that the way up does not lead through all of it.
    pub(super) is_part: bool,
    /// Its file system shows folders of others: those folders, and the way below them.
    pub(super) veil: Option<(Arc<[PathBuf]>, PathBuf)>,
}

impl Mounted {
    /// Those of a `mountinfo`, as proc_pid_mountinfo(5) describes it. `shared`: they are those of vigil itself.
    pub(super) fn parse(text: &[u8], shared: bool) -> Mounted {
        let mut mounted = Mounted::default();
        for line in text.split(|byte| *byte == b'\n') {
            if let Some(mount) = mount(line, shared) {
                mounted.add(mount);
            }
        }
        mounted
    }

    pub(super) fn add(&mut self, mount: Mount) {
        self.at.insert(mount.at.clone(), self.all.len());
        self.all.push(mount);
    }

    /// What is mounted where `path` lies.
    pub(super) fn of(&self, path: &Path) -> Option<&Mount> {
        let at = path.ancestors().find_map(|above| self.at.get(above))?;
        self.all.get(*at)
    }

    /// Where the folder `path` lies, on the mount with the number `id` if that is known.
    pub(super) fn ground(&self, path: &Path, id: Option<u64>) -> Ground {
        let mount = match id {
            Some(id) => self.all.iter().find(|mount| mount.id == id),
            None => self.of(path),
        };
        let Some(mount) = mount else {
            return Ground::default();
        };
        let below = path.strip_prefix(&mount.at).ok();
        let spot = mount.root.as_deref().zip(below);
        let spot = spot.map(|(root, below)| joined(root, below));
        let veil = mount.is_veil.then(|| {
            // What is mounted of it, and where it lies below that, is the way below the folders that it shows.
            let way = spot.as_deref().and_then(|spot| spot.strip_prefix("/").ok());
            (
                Arc::clone(&mount.layers),
                way.unwrap_or(Path::new("")).to_owned(),
            )
        });
        Ground {
            device: mount.device,
            is_part: mount.root.as_deref() != Some(Path::new("/")),
            spot,
            veil,
        }
    }

    /// The folder `path` by its file system. `None`: nobody knows.
    pub(super) fn spot(&self, path: &Path) -> Option<Spot> {
        let ground = self.ground(path, None);
        Some((ground.device?, ground.spot?))
    }
}

fn mount(line: &[u8], shared: bool) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let device = device(fields.nth(1)?);
    let root = fields.next()?;
    let at = unescaped(fields.next()?);
    let mut rest = fields.skip_while(|field| *field != b"-").skip(1);
    let kind = String::from_utf8_lossy(rest.next()?);
    let source = unescaped(rest.next().unwrap_or_default());
    let options = rest.next().unwrap_or_default();
    let is_veil = !PLAIN.contains(&&*kind);
    // Without its own root this machine does nothing at all.
    let is_root = shared && at == Path::new("/");
    let root = (!root.ends_with(REMOVED) && root.starts_with(b"/")).then(|| unescaped(root));
    let layers = if is_veil {
        layers(source, options).into()
    } else {
        Arc::default()
    };
    Some(Mount {
        id,
        may_hang: !is_root && is_remote(&kind),
        at,
        device,
        root,
        is_veil,
        layers,
    })
}

fn device(numbers: &[u8]) -> Option<u64> {
    let (major, minor) = std::str::from_utf8(numbers).ok()?.split_once(':')?;
    Some(makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// The folders that a file system shows, by what it was mounted from and with.
fn layers(source: PathBuf, options: &[u8]) -> Vec<PathBuf> {
    let mut layers = listed(source.into_os_string());
    layers.retain(|layer| layer.is_absolute());
    for option in options.split(|byte| *byte == b',') {
        let Some(at) = memchr::memchr(b'=', option) else {
            continue;
        };
        if LAYERS.contains(&&option[..at]) {
            layers.extend(listed(unescaped(&option[at + 1..]).into_os_string()));
        }
    }
    layers
}

/// The names in a list with colons between them; a colon within a name stands after a backslash.
fn listed(list: OsString) -> Vec<PathBuf> {
    let mut names = vec![Vec::new()];
    let mut bytes = list.into_vec().into_iter();
    while let Some(byte) = bytes.next() {
        match (byte, names.last_mut()) {
            (b':', _) => names.push(Vec::new()),
            (b'\\', Some(name)) => name.extend(bytes.next()),
            (byte, Some(name)) => name.push(byte),
            (_, None) => {}
        }
    }
    names.retain(|name| !name.is_empty());
    let path = |name| PathBuf::from(OsString::from_vec(name));
    names.into_iter().map(path).collect()
}

/// `below` in `root`, without a slash at the end where it is empty.
fn joined(root: &Path, below: &Path) -> PathBuf {
    match below.as_os_str().as_bytes() {
        b"" => root.to_owned(),
        _ => root.join(below),
    }
}

/// Processes by the ground under their folders.
#[derive(Debug, Default)]
pub(super) struct Grounds {
    /// By each folder at or above theirs, of those whose mount shows less than a whole file system.
    by_spot: HashMap<Spot, Vec<u32>>,
    /// Of other mount namespaces, by their device: those whose folder cannot be told from others there.
    lost: HashMap<Option<u64>, Vec<u32>>,
    /// Of other mount namespaces, by their device: all.
    foreign: HashMap<Option<u64>, Vec<u32>>,
    /// By the name of each folder that their file system shows, with the way below it.
    by_layer: BTreeMap<PathBuf, Vec<(u32, PathBuf)>>,
    /// The same for folders whose whole name nobody knows.
    by_part: Vec<(u32, PathBuf)>,
    /// Of other mount namespaces, by the names there of their folders and all above: those whose file system may show any.
    by_name: HashMap<PathBuf, Vec<u32>>,
}

impl Grounds {
    /// Files a process that works in what is called `path` in its mount namespace, and lies on `ground`.
    pub(super) fn file(&mut self, pid: u32, path: &Path, ground: &Ground, shared: bool) {
        if ground.is_part
            && let Some((device, spot)) = ground.device.zip(ground.spot.as_deref())
        {
            for above in spot.ancestors() {
                let named = self.by_spot.entry((device, above.to_owned())).or_default();
                named.push(pid);
            }
        }
        if shared {
            return;
        }
        self.foreign.entry(ground.device).or_default().push(pid);
        if ground.spot.is_none() {
            self.lost.entry(ground.device).or_default().push(pid);
        }
        let Some((layers, way)) = &ground.veil else {
            return;
        };
        for above in path.ancestors() {
            self.by_name.entry(above.to_owned()).or_default().push(pid);
        }
        for layer in layers.iter() {
            if layer.is_absolute() {
                let named = self.by_layer.entry(layer.clone()).or_default();
                named.push((pid, way.clone()));
            } else {
                self.by_part.push((pid, layer.join(way)));
            }
        }
    }

    /// Those that work for certain in the folder at `spot`, or below it.
    pub(super) fn at(&self, spot: Option<&Spot>) -> impl Iterator<Item = u32> {
        spot.and_then(|spot| self.by_spot.get(spot))
            .into_iter()
            .flatten()
            .copied()
    }

    /// Those of other mount namespaces that may work in `place`, which lies at `spot`.
    pub(super) fn may_be_at(&self, place: &Workplace<'_>, spot: Option<&Spot>) -> Vec<u32> {
        let mut found = Vec::new();
        // Where it is not known where the place itself lies, nothing on its device can be told from it.
        let among = match spot {
            Some(_) => &self.lost,
            None => &self.foreign,
        };
        // Some file systems have one number for each of their parts and another one for all.
        let told = place.id.map(|id| id.device);
        for device in [spot.map(|(device, _)| *device), told, None] {
            found.extend(among.get(&device).into_iter().flatten());
        }
        found.extend(self.by_name.get(&place.path).into_iter().flatten());
        // A folder that is shown lies at or above the place, or below it.
        for above in place.path.ancestors() {
            let shown = self.by_layer.get(above).into_iter().flatten();
            let within = shown.filter(|(_, way)| joined(above, way).starts_with(&place.path));
            found.extend(within.map(|(pid, _)| *pid));
        }
        let after = self.by_layer.range(place.path.clone()..);
        for (_, shown) in after.take_while(|(layer, _)| layer.starts_with(&place.path)) {
            found.extend(shown.iter().map(|(pid, _)| *pid));
        }
        let name = place.path.file_name();
        for (pid, part) in &self.by_part {
            // Such as `.`, or a folder within the place.
            let may = match part.components().next() {
                Some(Component::Normal(_)) => part.iter().any(|one| Some(one) == name),
                _ => true,
            };
            if may {
                found.push(*pid);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
