//! The corners of the index, of attributes, and of repositories in repositories.

use std::os::unix::fs::symlink;

use super::*;

#[test]
fn a_file_that_looks_as_recorded_is_not_read_and_another_is_compared() {
    let sample = Sample::new();
    sample.agree("fresh");
    // As recorded, and certainly older than the index: not even opened, so that its missing rights do not matter.
    sample.touch("a");
    sample.agree("another time");
    sample.git(&["update-index", "--refresh"]);
    sample.agree("refreshed");
    // Written to in the same moment as the index, with the same length.
    for text in ["x\n", "a\n"] {
        sample.git(&["reset", "-q", "--hard"]);
        sample.write("a", text);
        sample.agree(text);
    }
}

#[test]
fn what_git_is_told_to_overlook_is_not_overlooked() {
    let sample = Sample::new();
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        sample.git(&["update-index", flag, "a"]);
        sample.touch("a");
        assert_eq!(sample.dirty(), Ok(false), "{flag}");
        sample.write("a", "changed\n");
        assert_eq!(sample.status(), "", "git overlooks it");
        assert_eq!(sample.dirty(), Ok(true), "{flag}");
        sample.git(&["update-index", &flag.replace("--", "--no-"), "a"]);
        sample.git(&["reset", "-q", "--hard"]);
    }
    // What is left out of the checkout on purpose is no change.
    sample.git(&["update-index", "--skip-worktree", "a"]);
    fs::remove_file(sample.path("a")).expect("it goes");
    sample.agree("left out");
}

#[test]
fn a_merge_that_nobody_ended_is_a_change() {
    let sample = Sample::new();
    sample.git(&["checkout", "-q", "-b", "side"]);
    sample.write("a", "side\n");
    sample.commit("side");
    sample.git(&["checkout", "-q", "main"]);
    sample.write("a", "main\n");
    sample.commit("main");
    let merged = std::process::Command::new("git")
        .arg("-C")
        .arg(&sample.dir)
        .args(["-c", "user.name=t", "-c", "user.email=t@e", "merge", "side"])
        .output()
        .expect("git runs");
    assert!(!merged.status.success(), "it conflicts");
    sample.agree("conflict");
}

#[test]
fn work_that_git_put_aside_for_a_rebase_or_a_merge_is_unsaved() {
    let stopped = |sample: &Sample, arguments: &[&str]| {
        std::process::Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@e", "-C"])
            .arg(&sample.dir)
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_SEQUENCE_EDITOR", "sed -i 1s/pick/edit/")
            .output()
            .expect("git runs")
    };
    for (way, place) in [
        (
            &["rebase", "-q", "--autostash", "-i", "HEAD~2"][..],
            "rebase-merge/autostash",
        ),
        (
            &["rebase", "-q", "--autostash", "--apply", "side"],
            "rebase-apply/autostash",
        ),
        (
            &[
                "merge",
                "-q",
                "--autostash",
                "--no-commit",
                "--no-ff",
                "other",
            ],
            "MERGE_AUTOSTASH",
        ),
    ] {
        let sample = Sample::new();
        for (branch, name) in [("side", "f"), ("other", "g")] {
            sample.git(&["checkout", "-q", "-b", branch, "main"]);
            sample.write(name, branch);
            sample.commit(branch);
        }
        sample.git(&["checkout", "-q", "main"]);
        sample.write("f", "main");
        sample.commit("one");
        sample.write("h", "main");
        sample.commit("two");
        sample.write("a", "precious\n");
        stopped(&sample, way);
        let aside = sample.path(".git").join(place);
        assert!(aside.exists(), "{way:?} stops");
        sample.git(&["reset", "-q", "--hard"]);
        if place == "MERGE_AUTOSTASH" {
            // Git brings it back with the reset.
            write(&aside, sample.git(&["rev-parse", "HEAD"]));
            sample.git(&["checkout", "-q", "--", "."]);
        }
        assert_eq!(sample.status(), "", "{way:?}");
        assert_eq!(sample.dirty(), Ok(true), "{way:?}");
        fs::remove_file(&aside).expect("it goes");
        sample.agree("without it");
    }
}

#[test]
fn every_form_of_the_index_is_read() {
    let sample = Sample::new();
    for part in 0..40 {
        sample.write(&format!("deep/{}/{part}", part % 3), "x\n");
    }
    sample.commit("more");
    for (name, arguments) in [
        ("version 4", &["update-index", "--index-version", "4"][..]),
        ("split", &["update-index", "--split-index"]),
        (
            "untracked cache",
            &["update-index", "--force-untracked-cache"],
        ),
        ("version 2", &["update-index", "--index-version", "2"]),
    ] {
        sample.git(arguments);
        sample.agree(name);
        sample.write("deep/1/1", "changed\n");
        sample.write("deep/new", "x\n");
        sample.git(&["rm", "-q", "--cached", "deep/2/2"]);
        sample.git(&["add", "deep/new", "deep/1/1"]);
        sample.agree(name);
        sample.git(&["commit", "-q", "-m", name]);
        sample.agree(name);
        sample.git(&["add", "-A"]);
        sample.commit(name);
        sample.agree(name);
        assert_eq!(sample.dirty(), Ok(false), "{name}");
    }
}

#[test]
fn a_sparse_index_is_read() {
    let sample = Sample::new();
    for name in ["in/a", "out/b", "out/deep/c"] {
        sample.write(name, "x\n");
    }
    sample.commit("more");
    sample.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "in"]);
    assert!(!sample.path("out").exists());
    sample.agree("sparse");
    sample.write("in/a", "changed\n");
    sample.agree("changed");
    sample.git(&["commit", "-q", "-am", "changed"]);
    sample.agree("committed");
    // What stands there all the same may be what is committed, and may not.
    sample.write("out/b", "x\n");
    let gap = sample.dirty().expect_err("a gap");
    assert!(
        gap.detail.contains("outside of the sparse checkout"),
        "{gap}"
    );
}

#[test]
fn repositories_of_other_formats_are_read_or_named() {
    let sample = Sample::made(&["init", "-q", "-b", "main", "--object-format=sha256"]);
    sample.agree("sha256");
    sample.git(&["gc", "-q"]);
    sample.write("a", "changed\n");
    sample.agree("sha256, changed");
    let sample = Sample::made(&["init", "-q", "-b", "main", "--ref-format=reftable"]);
    let gap = sample.dirty().expect_err("a gap");
    assert_eq!(gap.kind, GapKind::Unsupported);
    assert!(
        gap.detail.contains("refs are stored as \"reftable\""),
        "{gap}"
    );
    let sample = Sample::new();
    sample.git(&["config", "core.repositoryFormatVersion", "1"]);
    sample.git(&["config", "extensions.fromTheFuture", "true"]);
    let gap = sample.dirty().expect_err("a gap");
    assert!(
        gap.detail.contains("the extension \"fromthefuture\""),
        "{gap}"
    );
}

#[test]
fn objects_are_found_loose_packed_and_borrowed() {
    let sample = Sample::new();
    // Trees and texts of which most are stored as differences.
    let mut text = String::new();
    for part in 0..30 {
        text.push_str(&format!("line {part} of a text that grows\n"));
        sample.write("text", &text);
        for file in 0..20 {
            sample.write(&format!("many/{file}"), &format!("{}\n", part / (file + 1)));
        }
        sample.commit("grown");
    }
    for (name, arguments) in [
        ("packed", &["gc", "-q"][..]),
        (
            "whole",
            &["-c", "pack.threads=1", "repack", "-q", "-adF", "--depth=50"],
        ),
    ] {
        sample.git(arguments);
        // Without what the index knows of trees they are read.
        fs::remove_file(sample.path(".git/index")).expect("it goes");
        sample.git(&["-c", "core.untrackedCache=false", "reset", "-q"]);
        sample.git(&["update-index", "--force-remove", "a"]);
        sample.git(&["update-index", "--add", "a"]);
        sample.agree(name);
        assert_eq!(sample.dirty(), Ok(false), "{name}");
        sample.git(&["read-tree", "HEAD~3"]);
        sample.agree(name);
        sample.git(&["reset", "-q", "--hard"]);
    }
    let borrower = sample.root().join("borrower");
    let [from, to] = [&sample.dir, &borrower].map(|path| path.to_str().expect("a path"));
    scene::git(&sample.root(), &["clone", "-q", "--shared", from, to]);
    let repository = Repository::open(&borrower).expect("it opens");
    let checkout = Checkout::open(&repository, &borrower, &repository.common).expect("it opens");
    assert_eq!(checkout.dirty(&Person::default()), Ok(false));
}

#[test]
fn line_ends_are_compared_as_git_compares_them() {
    for (attributes, config) in [
        ("* text=auto\n", "false"),
        ("* text=auto eol=crlf\n", "false"),
        ("*.txt text\n*.bin -text\n", "true"),
        ("[attr]mine text eol=crlf\n*.txt mine\n", "false"),
        ("", "true"),
        ("", "input"),
        ("*.txt crlf=input ident\n", "false"),
    ] {
        let sample = Sample::new();
        sample.git(&["config", "core.autocrlf", config]);
        sample.git(&["config", "core.safecrlf", "false"]);
        sample.write(".gitattributes", attributes);
        sample.write("t.txt", "a\r\nb\n$Id$\n");
        sample.write("b.bin", "a\r\n\0b\n");
        sample.commit("texts");
        // As git itself would check them out.
        for name in ["t.txt", "b.bin"] {
            fs::remove_file(sample.path(name)).expect("it goes");
        }
        sample.git(&["checkout", "-q", "--", "."]);
        sample.git(&["update-index", "--refresh"]);
        for name in ["t.txt", "b.bin"] {
            sample.touch(name);
        }
        sample.agree(&format!("{attributes:?} {config}"));
    }
    // Other line ends of the same text are no work that could get lost, though git calls the file changed.
    let sample = Sample::new();
    sample.write(".gitattributes", "* text=auto\n");
    sample.commit("attributes");
    sample.write("a", "a\r\n");
    assert_eq!(sample.dirty(), Ok(false));
    sample.write("a", "a\r\nb\r\n");
    assert_eq!(sample.dirty(), Ok(true));
}

#[test]
fn a_filtered_file_is_clean_as_recorded_and_otherwise_only_as_far_as_it_can_be_told() {
    let sample = Sample::new();
    let ran = sample.root().join("ran");
    let clean = format!("touch '{}'; tr a-z A-Z", ran.display());
    sample.git(&["config", "filter.loud.clean", &clean]);
    sample.git(&["config", "filter.loud.smudge", "tr A-Z a-z"]);
    sample.write(".gitattributes", "*.x filter=loud\n");
    sample.write("f.x", "work\n");
    sample.commit("filtered");
    sample.touch("f.x");
    sample.git(&["update-index", "--refresh"]);
    fs::remove_file(&ran).expect("git ran it");
    assert_eq!(sample.dirty(), Ok(false), "as recorded");
    sample.touch("a");
    scene::set_time(
        &sample.path("f.x"),
        vigil_core::Timestamp(1_100_000_000_000),
    );
    let gap = sample.dirty().expect_err("a gap");
    assert_eq!(gap.kind, GapKind::RunsCode);
    assert!(
        gap.detail.ends_with(
            "f.x cannot be compared with what is committed without running the filter loud"
        ),
        "{gap}"
    );
    // The same bytes as what is committed are the same, whatever stands in between.
    sample.write("f.x", "WORK\n");
    assert_eq!(sample.dirty(), Ok(false));
    // Another change is an answer all the same.
    sample.write("f.x", "more\n");
    sample.write("a", "changed\n");
    assert_eq!(sample.dirty(), Ok(true));
    assert!(!ran.exists(), "the filter ran");
    // A filter that nobody set up is none.
    sample.git(&["reset", "-q", "--hard"]);
    sample.git(&["config", "--remove-section", "filter.loud"]);
    sample.write("f.x", "WORKED\n");
    sample.agree("no such filter");
}

#[test]
fn files_of_lfs_are_compared_with_their_pointers() {
    use sha2::Digest as _;
    let sample = Sample::new();
    let pointer = |content: &str| {
        format!(
            "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n",
            hex::encode(sha2::Sha256::digest(content)),
            content.len()
        )
    };
    sample.write(
        ".gitattributes",
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    );
    sample.write("f.bin", &pointer("large"));
    sample.commit("a pointer");
    // As git-lfs leaves it behind: the file itself, and its looks in the index.
    sample.git(&["config", "filter.lfs.clean", "false"]);
    sample.git(&["config", "filter.lfs.required", "true"]);
    sample.write("f.bin", "large");
    assert_eq!(sample.dirty(), Ok(false), "the file");
    sample.write("f.bin", "Large");
    assert_eq!(sample.dirty(), Ok(true), "another one of that length");
    sample.write("f.bin", &pointer("large"));
    assert_eq!(sample.dirty(), Ok(false), "not fetched");
}

#[test]
fn without_git_lfs_a_file_is_no_pointer_to_itself() {
    use sha2::Digest as _;
    let content = "precious, and nowhere else\n";
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n",
        hex::encode(sha2::Sha256::digest(content)),
        content.len()
    );
    for (setting, by_person, expected) in [
        (None, false, Ok(true)),
        (Some("filter.lfs.smudge"), false, Ok(true)),
        (Some("filter.other.clean"), false, Ok(true)),
        (Some("filter.lfs.clean"), false, Ok(false)),
        (Some("filter.lfs.process"), false, Ok(false)),
        (Some("filter.lfs.clean"), true, Ok(false)),
        (Some("filter.lfs.smudge"), true, Ok(true)),
        // It may be set up there.
        (Some("include.path"), false, Err(GapKind::RunsCode)),
    ] {
        let sample = Sample::new();
        sample.write(
            ".gitattributes",
            "*.bin filter=lfs diff=lfs merge=lfs -text\n",
        );
        sample.write("f.bin", &pointer);
        sample.commit("a pointer");
        sample.write("f.bin", content);
        if setting.is_none() {
            sample.agree("nothing is set up");
        }
        let home = sample.root().join("home");
        let file = home.join(".gitconfig");
        write(&file, "");
        if let Some(setting) = setting {
            let file = file.to_str().expect("a path");
            let place = if by_person {
                vec!["--file", file]
            } else {
                vec![]
            };
            sample.git(&[&["config"], place.as_slice(), &[setting, "false"]].concat());
        }
        let files = GitFiles::of(&home, None, None, false);
        let said = sample.dirty_for(&Person::read(&files).expect("it reads"));
        let said = said.map_err(|gap| gap.kind);
        assert_eq!(said, expected, "{setting:?} {by_person}");
    }
}

#[test]
fn where_case_does_not_count_other_names_are_those_that_git_finds() {
    for (tracked, other) in [
        ("src/a", "SRC/new.txt"),
        ("src/a", "SRC/A"),
        ("src/a", "SRC/deep/a"),
        ("src/deep/a", "SRC/Deep/A"),
        ("src/deep/a", "SRC/Deep/b"),
        ("src/a", "src/A"),
        ("src/a", "src/B"),
        ("src/a", "SRC"),
        ("file", "FILE"),
        ("file", "FILE/a"),
        ("file", "FILE2"),
    ] {
        for rules in ["", "SRC/\n", "new.txt\n"] {
            let sample = Sample::new();
            sample.write(tracked, "a\n");
            sample.write(".gitignore", rules);
            sample.commit("tracked");
            sample.git(&["config", "core.ignorecase", "true"]);
            sample.agree(&format!("{tracked} alone"));
            sample.write(other, "precious\n");
            sample.agree(&format!("{tracked} and {other} with {rules:?}"));
        }
    }
    // Folders of either case, of which git watches one file each.
    let sample = Sample::new();
    sample.write("src/a", "a\n");
    sample.write("SRC/b", "b\n");
    sample.commit("both");
    sample.git(&["config", "core.ignorecase", "true"]);
    for name in ["src/b", "SRC/a", "Src/a", "SRC/c"] {
        sample.write(name, "x\n");
        sample.agree(name);
        fs::remove_file(sample.path(name)).expect("it goes");
    }
    // A repository of its own.
    let other = Sample::new();
    let from = other.dir.to_str().expect("a path");
    let allow = "protocol.file.allow=always";
    sample.git(&["-c", allow, "submodule", "add", "-q", from, "mod"]);
    sample.commit("a submodule");
    sample.write("MOD/new", "x\n");
    sample.agree("a folder of a submodule's name");
}

#[test]
fn submodules_are_looked_into_without_git() {
    let sample = Sample::new();
    let other = Sample::new();
    let from = other.dir.to_str().expect("a path");
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        from,
        "mod",
    ];
    sample.git(&add);
    sample.commit("a submodule");
    sample.agree("fresh");
    let inside = sample.path("mod");
    write(&inside.join("new"), "x\n");
    sample.agree("untracked inside");
    fs::remove_file(inside.join("new")).expect("it goes");
    write(&inside.join("a"), "changed\n");
    sample.agree("changed inside");
    scene::git(&inside, &["commit", "-q", "-am", "inside"]);
    sample.agree("another commit");
    sample.commit("the other commit");
    sample.agree("committed");
    fs::remove_dir_all(&inside).expect("it goes");
    sample.agree("removed");
    fs::create_dir(&inside).expect("a folder");
    sample.agree("not fetched");
    // Whatever its configuration says, and wherever it lies.
    let nested = Sample::new();
    scene::git(&sample.dir, &["rm", "-q", "--cached", "mod"]);
    fs::remove_dir(&inside).expect("it goes");
    fs::rename(&nested.dir, &inside).expect("it moves");
    sample.agree("a repository that nobody added");
}

#[test]
fn links_modes_and_what_is_neither_file_nor_folder() {
    let sample = Sample::new();
    symlink("a", sample.path("link")).expect("a link");
    sample.commit("a link");
    sample.agree("a link");
    fs::remove_file(sample.path("link")).expect("it goes");
    symlink("b", sample.path("link")).expect("a link");
    sample.agree("another target");
    fs::remove_file(sample.path("link")).expect("it goes");
    sample.write("link", "a");
    sample.agree("a file in its place");
    sample.git(&["config", "core.symlinks", "false"]);
    sample.agree("where there are no links");
    sample.git(&["config", "core.symlinks", "true"]);
    sample.git(&["reset", "-q", "--hard"]);
    pipe(&sample.path("pipe"));
    sample.agree("a pipe is not watched");
    pipe(&sample.path("a"));
    assert_eq!(sample.dirty(), Ok(true), "a pipe in place of a file");
    sample.git(&["reset", "-q", "--hard"]);
    // A folder behind a link is not the folder.
    fs::rename(sample.path("sub"), sample.root().join("aside")).expect("it moves");
    symlink(sample.root().join("aside"), sample.path("sub")).expect("a link");
    sample.agree("a link in place of a folder");
}

#[test]
fn a_commit_that_is_not_there_yet_has_no_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = fs::canonicalize(folder.path()).expect("its real name");
    let sample = Sample { folder, dir };
    sample.git(&["init", "-q", "-b", "main"]);
    sample.agree("empty");
    sample.write("a", "a\n");
    sample.agree("untracked");
    sample.git(&["add", "a"]);
    sample.agree("staged");
}

#[test]
fn what_a_repository_s_own_settings_ignore_is_ignored() {
    let sample = Sample::new();
    let rules = sample.root().join("rules");
    write(&rules, "*.tmp\n");
    sample.write("x.tmp", "x\n");
    sample.agree("nothing is ignored");
    let path = rules.to_str().expect("a path");
    sample.git(&["config", "core.excludesFile", path]);
    sample.agree("a file elsewhere");
    assert_eq!(sample.dirty(), Ok(false));
    pipe(&rules);
    let gap = sample.dirty().expect_err("a gap");
    assert!(gap.detail.contains("is a named pipe"), "{gap}");
}
