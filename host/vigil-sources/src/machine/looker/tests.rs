use super::*;

/// Answers at once, unless it is asked for something slow: then it works without an end. Each that is started leaves a
/// line behind.
const HELPER: &str = "echo >> \"$0\"; while read -r question; do case \"$question\" in slow) while :; do :; done;; *) \
    echo '\"fine\"';; esac; done";

fn lookers(folder: &Path) -> Lookers {
    let program = Program {
        program: PathBuf::from("sh"),
        arguments: ["-c", HELPER, &folder.join("started").display().to_string()]
            .map(str::to_owned)
            .to_vec(),
    };
    Lookers::new(program, ChildEnvironment::default(), folder)
}

#[test]
fn all_looks_of_a_pass_together_end_in_time_and_what_is_left_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let lookers = lookers(folder.path());
    let ask = |question: &[u8]| match lookers.spent() {
        Some(gap) => Err(gap),
        None => lookers
            .ask(b"brief", Path::new("/topic"), question)
            .map_err(|no_answer| no_answer.gap),
    };
    lookers.begin(Timestamp(0));
    lookers.allow(Duration::from_millis(500));
    assert!(ask(b"fast").is_ok());
    let gap = ask(b"slow").expect_err("it never ends");
    assert_eq!(gap.kind, GapKind::TimedOut);
    assert!(
        gap.detail
            .contains("all looks together took more than 0.5 s"),
        "{gap}"
    );
    // What costs nothing is answered all the same.
    assert!(ask(b"fast").is_ok());
    let gaps: Vec<Gap> = (0..100).filter_map(|_| ask(b"slow").err()).collect();
    assert_eq!(gaps.len(), 100);
    let last = gaps.last().expect("one");
    assert_eq!(last.kind, GapKind::TimedOut);
    assert!(last.detail.contains("this one was left out"), "{last}");
    let started = std::fs::read_to_string(folder.path().join("started"));
    assert!(started.expect("a file").len() < 12, "few were asked");
    assert!(ask(b"fast").is_err(), "nothing more is asked");
    // A command that reads its records twice has that time once.
    lookers.begin(Timestamp(0));
    assert!(ask(b"fast").is_err());
    // Whoever may take longer goes on.
    lookers.allow(Duration::from_secs(300));
    assert!(ask(b"fast").is_ok());
}
