//! Repositories that are large on purpose: what a look at them costs is bounded.

use super::*;

/// 8 GiB: more than is read.
const HUGE: u64 = 8 << 30;

#[test]
fn a_file_that_is_not_as_long_as_it_was_is_changed_without_being_read() {
    let pointer = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 3\n",
        "0".repeat(64)
    );
    const CHANGED: Result<bool, GapKind> = Ok(true);
    const UNKNOWN: Result<bool, GapKind> = Err(GapKind::TooLarge);
    for (attributes, setting, content, size, expected) in [
        ("", "x.y", "x\n", HUGE, CHANGED),
        ("* -text\n", "core.autocrlf", "x\n", HUGE, CHANGED),
        ("* filter=loud\n", "x.y", "x\n", HUGE, CHANGED),
        ("* filter=lfs\n", "x.y", &pointer, HUGE, CHANGED),
        (
            "* filter=lfs\n",
            "filter.lfs.clean",
            &pointer,
            HUGE,
            CHANGED,
        ),
        // The same as far as the index can tell.
        ("", "x.y", "x\n", (4 << 30) + 2, UNKNOWN),
        // Where something stands in between another length can be the same content.
        ("", "core.autocrlf", "x\n", HUGE, UNKNOWN),
        ("* text\n", "x.y", "x\n", HUGE, UNKNOWN),
        ("* ident\n", "x.y", "x\n", HUGE, UNKNOWN),
        ("* filter=loud\n", "filter.loud.clean", "x\n", HUGE, UNKNOWN),
        ("* filter=lfs\n", "filter.lfs.clean", "x\n", HUGE, UNKNOWN),
        ("* working-tree-encoding=UTF-16\n", "x.y", "", HUGE, UNKNOWN),
    ] {
        let sample = Sample::new();
        sample.write("big", content);
        sample.write(".git/info/attributes", "");
        sample.commit("big");
        sample.touch("big");
        sample.git(&["update-index", "--refresh"]);
        sample.write(".git/info/attributes", attributes);
        sample.git(&["config", setting, "true"]);
        let file = fs::File::options()
            .write(true)
            .open(sample.path("big"))
            .expect("a file");
        file.set_len(size).expect("a hole");
        let said = sample.dirty().map_err(|gap| gap.kind);
        assert_eq!(said, expected, "{attributes:?} {setting} {size}");
    }
    // Nobody knows how long it was.
    let sample = Sample::new();
    let oid = sample.git(&["rev-parse", "HEAD:a"]);
    sample.git(&["update-index", "--cacheinfo", &format!("100644,{oid},a")]);
    let file = fs::File::options()
        .write(true)
        .open(sample.path("a"))
        .expect("a file");
    file.set_len(HUGE).expect("a hole");
    let gap = sample.dirty().expect_err("a gap");
    assert_eq!(gap.kind, GapKind::TooLarge);
}

/// The object `content` with the name that it should have.
fn made(sample: &Sample, kind: &str, content: &[u8]) -> String {
    let file = sample.root().join("object");
    write(&file, content);
    let file = file.to_str().expect("a path");
    sample.git(&["hash-object", "-w", "-t", kind, "--literally", file])
}

fn commit(sample: &Sample, tree: &str, parent: &str, time: usize) -> String {
    let who = format!("a <a> {} +0000", 1_700_000_000 + time);
    let text = format!("tree {tree}\nparent {parent}\nauthor {who}\ncommitter {who}\n\nx\n");
    made(sample, "commit", text.as_bytes())
}

#[test]
fn folders_within_one_another_without_end_are_a_gap() {
    let sample = Sample::new();
    let head = sample.git(&["rev-parse", "HEAD"]);
    let blob = sample.git(&["rev-parse", "HEAD:a"]);
    // A tree that holds itself.
    let tree = "a".repeat(40);
    put(
        &sample,
        &tree,
        "tree",
        &[b"40000 d\0".as_slice(), &[0xaa; 20]].concat(),
    );
    let own = commit(&sample, &tree, &head, 0);
    sample.write(".git/refs/heads/main", &format!("{own}\n"));
    fs::remove_file(sample.path(".git/index")).expect("it goes");
    let path = "d/".repeat(50_000) + "t";
    sample.git(&[
        "update-index",
        "--add",
        "--cacheinfo",
        &format!("100644,{blob},{path}"),
    ]);
    // The files beside it are an answer all the same.
    assert_eq!(sample.dirty(), Ok(true));
    sample.git(&["update-index", "--skip-worktree", &path]);
    sample.write(".git/info/exclude", "/a\n/sub\n");
    let gap = sample.dirty().expect_err("a gap");
    assert_eq!(gap.kind, GapKind::TooLarge, "{gap}");
    assert!(gap.detail.contains("folders"), "{gap}");
}

#[test]
fn patches_are_compared_up_to_a_number_of_changed_files_and_the_rest_is_unknown() {
    let sample = Sample::new();
    let base = sample.git(&["rev-parse", "HEAD"]);
    sample.write("a", "mine\n");
    sample.commit("mine");
    let mine = sample.git(&["rev-parse", "HEAD"]);
    // Commits that change all of 40,000 files, and take no room.
    let trees = ["x", "y"].map(|text| {
        let blob = made(&sample, "blob", text.as_bytes());
        let name = hex::decode(blob).expect("a name");
        let mut tree = Vec::new();
        for file in 0..40_000 {
            tree.extend(format!("100644 f{file:05}\0").into_bytes());
            tree.extend(&name);
        }
        made(&sample, "tree", &tree)
    });
    let mut theirs = vec![base];
    for time in 0..6 {
        let parent = theirs.last().expect("one").clone();
        theirs.push(commit(&sample, &trees[time % 2], &parent, time));
    }
    for (count, expected) in [(1, Ok(1)), (4, Ok(1)), (6, Err(GapKind::TooLarge))] {
        let repository = Repository::open(&sample.dir).expect("it opens");
        let store = repository.enter().expect("it opens");
        let [mine, head] = [&mine, &theirs[count]].map(|oid| oid.parse().expect("a name"));
        let left = repository.not_contained(&store, &[mine], &[mine], &[head]);
        let left = left.map(|left| left.len()).map_err(|gap| gap.kind);
        assert_eq!(left, expected, "{count} commits");
        // What is kept of them for the next look is bounded, too.
        assert!(repository.kept_changes() <= 100_000);
    }
}
