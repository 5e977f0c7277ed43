//! Everything that can stand where a file is expected.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;

use rustix::fs::{FileType, mknodat};

use super::*;

/// 1 KiB.
const BYTES_MAX: u64 = 1 << 10;

/// A folder with one of everything, by name.
fn zoo() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    mknodat(CWD, at("pipe"), FileType::Fifo, Mode::from(0o600), 0).expect("a pipe");
    UnixListener::bind(at("socket")).expect("a socket");
    fs::create_dir(at("folder")).expect("a folder");
    for (name, target) in [
        ("zero", "/dev/zero"),
        ("to-pipe", "pipe"),
        ("nowhere", "missing"),
        ("round", "round"),
        ("to-plain", "plain"),
    ] {
        symlink(target, at(name)).expect("a link");
    }
    fs::write(at("plain"), "text").expect("a file");
    fs::write(at("bytes"), b"\xff\xfe").expect("a file");
    fs::write(at("full"), vec![b'x'; 1 << 10]).expect("a file");
    fs::write(at("over"), vec![b'x'; (1 << 10) + 1]).expect("a file");
    let sparse = File::create(at("sparse")).expect("a file");
    sparse.set_len(1 << 40).expect("1 TiB of nothing");
    folder
}

#[test]
fn whatever_stands_there_is_read_within_its_bound_or_named() {
    let folder = zoo();
    let at = |name: &str| folder.path().join(name);
    for (name, kind, said) in [
        (
            "pipe",
            GapKind::Malformed,
            "is a named pipe and no regular file",
        ),
        (
            "to-pipe",
            GapKind::Malformed,
            "is a named pipe and no regular file",
        ),
        (
            "socket",
            GapKind::Malformed,
            "is a socket and no regular file",
        ),
        (
            "folder",
            GapKind::Malformed,
            "is a folder and no regular file",
        ),
        (
            "zero",
            GapKind::Malformed,
            "is a device and no regular file",
        ),
        ("missing", GapKind::NotFound, "is not there"),
        ("nowhere", GapKind::NotFound, "is not there"),
        ("plain/below", GapKind::NotFound, "is not there"),
        (
            "round",
            GapKind::Denied,
            "cannot be read: Too many levels of symbolic links",
        ),
        (
            "over",
            GapKind::TooLarge,
            "holds more than the 1024 bytes that vigil reads",
        ),
        (
            "sparse",
            GapKind::TooLarge,
            "holds more than the 1024 bytes that vigil reads",
        ),
        ("bytes", GapKind::Malformed, "is no UTF-8 text"),
    ] {
        let trouble = text(&at(name), BYTES_MAX).expect_err(name);
        let gap = Gap::from(trouble);
        assert_eq!(gap.kind, kind, "{gap:?}");
        let expected = format!("{} {said}", at(name).display());
        assert!(gap.detail.starts_with(&expected), "{gap:?}");
    }
    assert_eq!(text(&at("plain"), BYTES_MAX).expect("a text"), "text");
    assert_eq!(text(&at("to-plain"), BYTES_MAX).expect("a text"), "text");
    assert_eq!(read(&at("full"), BYTES_MAX).expect("bytes").len(), 1 << 10);
}

#[test]
fn a_file_that_never_ends_though_it_seems_empty_is_read_to_the_bound() {
    // Files of the kernel have no length.
    let trouble = read(Path::new("/proc/self/maps"), 16).expect_err("more than that");
    assert!(matches!(trouble.why, Why::TooLarge { bytes_max: 16 }));
}

#[test]
fn what_takes_the_place_of_an_opened_file_is_not_read() {
    let folder = zoo();
    let path = folder.path().join("plain");
    let opened = open(&path).expect("a file");
    fs::remove_file(&path).expect("it goes");
    fs::write(&path, "another").expect("a file");
    assert_eq!(opened.text(BYTES_MAX).expect("the first one"), "text");
}

#[test]
fn in_a_folder_no_link_is_followed() {
    let folder = zoo();
    let dir = File::open(folder.path()).expect("a folder");
    let opened = |name: &str| open_in(&dir, Path::new(name), &folder.path().join(name));
    let link = opened("to-plain").expect_err("a link");
    assert!(matches!(link.why, Why::Special("a link")), "{link}");
    let plain = opened("plain").expect("a file");
    assert_eq!(plain.text(BYTES_MAX).expect("a text"), "text");
    assert!(opened("missing").expect_err("nothing").is_gone());
}

#[test]
fn of_a_long_file_only_the_end_is_read() {
    let folder = zoo();
    let path = folder.path().join("plain");
    let tail = |bytes_max| {
        open(&path)
            .expect("a file")
            .tail(bytes_max)
            .expect("its end")
    };
    assert_eq!(tail(2), (b"xt".to_vec(), true));
    assert_eq!(tail(4), (b"text".to_vec(), false));
    let sparse = open(&folder.path().join("sparse")).expect("a file");
    assert_eq!(sparse.tail(3).expect("its end"), (vec![0; 3], true));
}

#[test]
fn an_error_of_the_system_keeps_its_kind_and_names_the_file() {
    let folder = zoo();
    let missing = folder.path().join("missing");
    let error = io::Error::from(open(&missing).expect_err("nothing"));
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert!(error.to_string().contains("missing"), "{error}");
}
