//! What an agent can do to a repository that vigil looks at: name programs, hang, lie, and swap.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

/// A program that leaves a mark when it runs.
fn tripwire(sample: &Sample) -> (PathBuf, String) {
    let mark = sample.root().join("ran");
    let program = sample.root().join("tripwire");
    write(
        &program,
        format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\ncat\n", mark.display()),
    );
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it may run");
    (mark, program.to_str().expect("a path").to_owned())
}

/// All settings that name a program, in `dir`'s own configuration.
fn arm(dir: &Path, program: &str) {
    for name in [
        "filter.trip.clean",
        "filter.trip.smudge",
        "filter.trip.process",
        "core.fsmonitor",
        "core.sshCommand",
        "core.gitProxy",
        "core.editor",
        "core.pager",
        "core.askPass",
        "core.alternateRefsCommand",
        "diff.external",
        "diff.trip.textconv",
        "diff.trip.command",
        "merge.trip.driver",
        "gpg.program",
        "credential.helper",
        "remote.origin.uploadpack",
        "remote.origin.vcs",
        "submodule.mod.update",
        "trailer.x.command",
        "uploadpack.packObjectsHook",
        "sequence.editor",
    ] {
        scene::git(dir, &["config", name, program]);
    }
}

#[test]
fn no_program_that_anything_names_is_started() {
    let sample = Sample::new();
    let (mark, program) = tripwire(&sample);
    let other = Sample::new();
    let from = other.dir.to_str().expect("a path");
    sample.git(&[
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        from,
        "mod",
    ]);
    sample.write("f.x", "x\n");
    sample.write("mod/f.x", "x\n");
    sample.git(&["-C", "mod", "add", "f.x"]);
    sample.git(&["-C", "mod", "commit", "-q", "-m", "x"]);
    sample.commit("all");
    let attributes = "* filter=trip diff=trip merge=trip ident\n";
    sample.write(".gitattributes", attributes);
    sample.write("mod/.gitattributes", attributes);
    for dir in [sample.dir.clone(), sample.path("mod")] {
        arm(&dir, &program);
    }
    // A file elsewhere that names them, too, hooks of every name, and a remote that would be asked for what is missing.
    sample.write(
        "included",
        &format!("[filter \"trip\"]\n\tclean = {program}\n"),
    );
    sample.git(&["config", "include.path", "../included"]);
    let hooks = sample.root().join("hooks");
    for name in [
        "post-index-change",
        "fsmonitor-watchman",
        "reference-transaction",
        "pre-auto-gc",
    ] {
        write(&hooks.join(name), "");
        fs::copy(&program, hooks.join(name)).expect("a hook");
    }
    sample.git(&["config", "core.hooksPath", hooks.to_str().expect("a path")]);
    sample.git(&["config", "remote.origin.url", &format!("ext::{program}")]);
    sample.git(&["config", "remote.origin.promisor", "true"]);
    sample.git(&["config", "extensions.partialClone", "origin"]);
    let nested = Sample::new();
    arm(&nested.dir, &program);
    fs::rename(&nested.dir, sample.path("nested")).expect("it moves");
    for name in ["a", "f.x", "mod/f.x"] {
        scene::set_time(&sample.path(name), vigil_core::Timestamp(1_000_000_000_000));
    }
    let _ = fs::remove_file(&mark);
    // Everything is looked at: once with an answer, and once where only the filters could tell.
    assert_eq!(sample.dirty(), Ok(true));
    fs::remove_dir_all(sample.path("nested")).expect("it goes");
    sample.write(".git/info/exclude", "included\n.gitattributes\n");
    sample.write(".git/modules/mod/info/exclude", ".gitattributes\n");
    sample.write("f.x", "y\n");
    let gap = sample.dirty().expect_err("a gap");
    assert!(gap.detail.contains("the filter trip"), "{gap}");
    let repository = Repository::open(&sample.dir).expect("it opens");
    let store = repository.enter().expect("it opens");
    let missing = "0123456789abcdef0123456789abcdef01234567"
        .parse()
        .expect("a name");
    assert_eq!(repository.has_commit(&store, &missing), Ok(false));
    assert!(
        !mark.exists(),
        "{}",
        fs::read_to_string(&mark).unwrap_or_default()
    );
    // The wire works: git itself trips over it.
    let _ = std::process::Command::new("git")
        .arg("-C")
        .arg(&sample.dir)
        .args(["status", "--porcelain"])
        .output();
    assert!(mark.exists(), "git runs it");
}

#[test]
fn nothing_is_written() {
    let sample = Sample::new();
    sample.touch("a");
    let seen = |name: &str| {
        fs::metadata(sample.path(name))
            .expect("there")
            .modified()
            .expect("a time")
    };
    let before = (
        fs::read(sample.path(".git/index")).expect("an index"),
        seen(".git"),
        seen("."),
    );
    assert_eq!(sample.dirty(), Ok(false));
    let after = (
        fs::read(sample.path(".git/index")).expect("an index"),
        seen(".git"),
        seen("."),
    );
    assert_eq!(before, after);
}

/// Whatever is made a pipe, a link to a device, or a file without an end: the look ends, and says so or knows better.
#[test]
fn no_file_can_make_a_look_hang_or_swell() {
    for name in [
        ".gitignore",
        "sub/.gitignore",
        ".gitattributes",
        ".gitmodules",
        "a",
        "sub/b",
        ".git/HEAD",
        ".git/config",
        ".git/index",
        ".git/packed-refs",
        ".git/shallow",
        ".git/commondir",
        ".git/config.worktree",
        ".git/refs/heads/main",
        ".git/info/exclude",
        ".git/info/attributes",
        ".git/objects/info/alternates",
        ".git/objects/pack/pack-0123456789012345678901234567890123456789.idx",
        "commit",
        "tree",
    ] {
        for kind in ["pipe", "device", "endless"] {
            let sample = Sample::new();
            sample.git(&["config", "extensions.worktreeConfig", "true"]);
            sample.touch("a");
            // The index does not know the tree, so that objects are read.
            sample.git(&["update-index", "--force-remove", "a"]);
            sample.git(&["update-index", "--add", "a"]);
            sample.touch("a");
            let object = |what: &str| {
                let oid = sample.git(&["rev-parse", what]);
                format!(".git/objects/{}/{}", &oid[..2], &oid[2..])
            };
            let place = match name {
                "commit" => object("HEAD"),
                "tree" => object("HEAD^{tree}"),
                name => name.to_owned(),
            };
            let path = sample.path(&place);
            match kind {
                "pipe" => pipe(&path),
                "device" => {
                    let _ = fs::remove_file(&path);
                    let _ = path.parent().map(fs::create_dir_all);
                    std::os::unix::fs::symlink("/dev/zero", &path).expect("a link");
                }
                _ => {
                    let _ = fs::remove_file(&path);
                    write(&path, "");
                    let file = fs::File::options().write(true).open(&path).expect("a file");
                    file.set_len(8 << 30).expect("a hole");
                }
            }
            // Whatever it says, it says it; and never that all is well where it could not look.
            let said = sample.dirty();
            let is_work = matches!(name, "a" | "sub/b");
            if is_work {
                assert!(!matches!(said, Ok(false)), "{place} {kind}: {said:?}");
            }
            if matches!(
                name,
                ".git/HEAD" | ".git/config" | ".git/index" | "commit" | "tree"
            ) {
                let gap = said.expect_err(&format!("{place} {kind}"));
                assert!(gap.detail.contains(".git"), "{place} {kind}: {gap}");
            }
        }
    }
}

#[test]
fn damaged_files_are_gaps_and_nothing_panics() {
    let sample = Sample::new();
    for name in ["x", "y", "z"] {
        sample.write(name, &name.repeat(500));
        sample.commit(name);
    }
    sample.git(&["gc", "-q"]);
    let packs: Vec<PathBuf> = fs::read_dir(sample.path(".git/objects/pack"))
        .expect("packs")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|end| end == "idx" || end == "pack")
        })
        .collect();
    let mut files = packs;
    files.push(sample.path(".git/index"));
    for path in files {
        let good = fs::read(&path).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it may be written");
        // Each byte in turn is another, and the file ends anywhere.
        for place in (0..good.len()).step_by(7) {
            let mut bad = good.clone();
            bad[place] ^= 0xff;
            fs::write(&path, &bad).expect("a file");
            let _ = sample.dirty();
            fs::write(&path, &good[..place]).expect("a file");
            let _ = sample.dirty();
        }
        fs::write(&path, &good).expect("a file");
        assert_eq!(sample.dirty(), Ok(false), "{}", path.display());
    }
}

#[test]
fn an_index_cannot_lead_out_of_the_checkout() {
    let sample = Sample::new();
    write(&sample.root().join("out/b"), "b\n");
    // The last one stays inside, and stands where it does not belong.
    for name in ["../out", "sub/..", "./sub/", ".git/ab", "sub//b", "0000"] {
        sample.git(&["read-tree", "HEAD"]);
        sample.git(&["update-index", "--index-version", "2"]);
        // Names of the same length, so that one can be written over the other.
        let held = format!("{:x<width$}", "x", width = name.len());
        sample.write(&held, "x\n");
        sample.git(&["add", "-A"]);
        assert!(sample.dirty().is_ok(), "{name}");
        let path = sample.path(".git/index");
        let mut bytes = fs::read(&path).expect("an index");
        let at = memchr::memmem::find(&bytes, held.as_bytes()).expect("the name");
        bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
        fs::write(&path, bytes).expect("a file");
        let gap = sample.dirty().expect_err(name);
        assert_eq!(gap.kind, GapKind::Malformed, "{name}: {gap}");
        fs::remove_file(sample.path(&held)).expect("it goes");
        fs::remove_file(&path).expect("it goes");
    }
}

#[test]
fn very_many_patterns_end() {
    // More text than is read.
    let sample = Sample::new();
    let patterns = |count: u32| {
        (0..count)
            .map(|part| format!("*{part}*x\n"))
            .collect::<String>()
    };
    sample.write(".gitignore", &patterns(200_000));
    sample.write("new", "");
    let gap = sample.dirty().expect_err("a gap");
    assert_eq!(gap.kind, GapKind::TooLarge);
    assert!(gap.detail.contains(".gitignore"), "{gap}");
    // More work than is done.
    let sample = Sample::new();
    sample.write(".gitignore", &(String::from("*\n") + &patterns(80_000)));
    for part in 0..200 {
        sample.write(&format!("many{part}{}", "7".repeat(200)), "");
    }
    let gap = sample.dirty().expect_err("a gap");
    assert_eq!(gap.kind, GapKind::TooLarge);
    assert!(gap.detail.contains("take too long"), "{gap}");
}

#[test]
fn a_pattern_with_very_many_letters_to_choose_from_ends() {
    let sample = Sample::new();
    let letters = "a".repeat(100_000);
    sample.write(".gitignore", &format!("[{letters}]/c\n"));
    for part in 0..40 {
        sample.write(&format!("many{part}{}", "b".repeat(200)), "");
    }
    sample.git(&["add", ".gitignore"]);
    sample.git(&["commit", "-q", "-m", "rules"]);
    sample.write(".git/info/exclude", "many*\n");
    let gap = sample.dirty().expect_err("a gap");
    assert_eq!(gap.kind, GapKind::TooLarge);
    assert!(gap.detail.contains("take too long"), "{gap}");
}

#[test]
fn attributes_that_stand_for_one_another_end() {
    // Each for the next one, 200 times: gone through one by one it were 200 to the power of eight.
    let often: String = (0..9)
        .map(|part| format!("[attr]m{part} {}\n", format!("m{} ", part + 1).repeat(200)))
        .collect();
    // Each for the next one, 50,000 deep.
    let deep: String = (0..50_000)
        .map(|part| format!("[attr]m{part} m{}\n", part + 1))
        .collect();
    for rules in [often, deep] {
        let sample = Sample::new();
        sample.write(".gitattributes", &format!("{rules}* m0 eol=crlf\n"));
        sample.commit("rules");
        sample.agree("as committed");
        sample.write("a", "a\r\n");
        assert_eq!(sample.git(&["diff", "--stat"]), "", "the same for git");
        assert_eq!(sample.dirty(), Ok(false));
    }
}

/// Such lines are short for git, too: 2,047 bytes at most.
#[test]
fn patterns_of_attributes_that_take_long_end() {
    let sample = Sample::new();
    let rules = format!("?/{}b text\n", "*a".repeat(1000)).repeat(400);
    sample.write(".gitattributes", &rules);
    for part in 0..10 {
        sample.write(&format!("many{part}{}", "a".repeat(240)), "");
    }
    sample.commit("rules");
    for part in 0..10 {
        sample.touch(&format!("many{part}{}", "a".repeat(240)));
    }
    let gap = sample.dirty().expect_err("a gap");
    assert_eq!(gap.kind, GapKind::TooLarge);
    assert!(gap.detail.contains("take too long"), "{gap}");
}

#[test]
fn a_git_that_is_swapped_during_the_look_is_not_read() {
    let sample = Sample::new();
    let path = sample.root().join("work");
    sample.git(&["worktree", "add", "-q", path.to_str().expect("a path")]);
    let foreign = Sample::new();
    let (mark, program) = tripwire(&sample);
    arm(&foreign.dir, &program);
    foreign.write("only here", "x\n");
    foreign.commit("other");
    let _ = fs::remove_file(&mark);
    let repository = Repository::open(&sample.dir).expect("it opens");
    let own = repository.common.join("worktrees/work");
    let good = fs::read_to_string(path.join(".git")).expect("a link");
    let bad = format!("gitdir: {}\n", foreign.path(".git").display());
    let stop = AtomicBool::new(false);
    let (mut answers, mut refusals) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Each is put there whole, as `rename` does it.
            let next = path.join(".git.next");
            for text in [&bad, &good].into_iter().cycle() {
                fs::write(&next, text).expect("a file");
                fs::rename(&next, path.join(".git")).expect("it moves");
                if stop.load(Ordering::Relaxed) && *text == good {
                    break;
                }
            }
        });
        while answers < 10 || refusals < 10 {
            match Checkout::open(&repository, &path, &own) {
                Ok(checkout) => {
                    answers += 1;
                    // Of its own commit and index, whatever `.git` says meanwhile. The file that swaps is untracked.
                    let said = checkout.dirty(&Person::default());
                    assert!(said.is_ok(), "{said:?}");
                    let head = checkout.head().expect("a commit").expect("one");
                    assert_eq!(head.to_string(), sample.git(&["rev-parse", "main"]));
                }
                Err(gap) => {
                    refusals += 1;
                    assert_eq!(gap.kind, GapKind::IdentityChanged, "{gap}");
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(!mark.exists());
}

#[test]
fn a_worktree_s_folder_that_is_a_link_elsewhere_is_not_taken_for_it() {
    let sample = Sample::new();
    let path = sample.root().join("work");
    sample.git(&["worktree", "add", "-q", path.to_str().expect("a path")]);
    let repository = Repository::open(&sample.dir).expect("it opens");
    let own = repository.common.join("worktrees/work");
    assert!(Checkout::open(&repository, &path, &own).is_ok());
    let aside = sample.root().join("aside");
    fs::rename(&own, &aside).expect("it moves");
    std::os::unix::fs::symlink(&aside, &own).expect("a link");
    assert!(Checkout::open(&repository, &path, &own).is_err());
    // Nor is the link itself, however well what it leads to fits.
    fs::write(
        aside.join("commondir"),
        repository.common.as_os_str().as_encoded_bytes(),
    )
    .expect("a file");
    let gap = Checkout::open(&repository, &path, &own).expect_err("a link");
    assert_eq!(gap.kind, GapKind::IdentityChanged);
}

#[test]
fn a_person_s_files_may_be_missing() {
    let none = GitFiles::of(Path::new("/nonexistent"), None, None, true);
    assert!(Person::read(&none).is_ok());
    assert_eq!(
        GitFiles::of(Path::new(""), None, None, false),
        GitFiles::default()
    );
}

#[test]
fn of_a_packed_and_a_loose_object_of_one_name_the_packed_one_counts() {
    for forged in ["HEAD", "HEAD^{tree}"] {
        let sample = Sample::new();
        sample.git(&["repack", "-adq"]);
        sample.agree("packed");
        sample.write("a", "precious\n");
        sample.git(&["add", "a"]);
        let tree = sample.git(&["write-tree"]);
        sample.agree("staged");
        let oid = sample.git(&["rev-parse", forged]);
        // What would make the staged file the committed one.
        match forged {
            "HEAD" => {
                let text = sample.git(&["cat-file", "commit", "HEAD"]);
                let own = sample.git(&["rev-parse", "HEAD^{tree}"]);
                put(
                    &sample,
                    &oid,
                    "commit",
                    text.replace(&own, &tree).as_bytes(),
                );
            }
            _ => {
                let from = format!(".git/objects/{}/{}", &tree[..2], &tree[2..]);
                let to = format!(".git/objects/{}/{}", &oid[..2], &oid[2..]);
                write(
                    &sample.path(&to),
                    fs::read(sample.path(&from)).expect("an object"),
                );
            }
        }
        sample.agree(forged);
        assert_eq!(sample.dirty(), Ok(true), "{forged}");
    }
}
