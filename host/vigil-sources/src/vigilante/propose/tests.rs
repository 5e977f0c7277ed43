//! Proposals against real files: what is refused, and the way back.

use std::fs;

use tempfile::TempDir;
use vigil_core::forge::PullRequestState;
use vigil_core::{Evidence, Fact, State};

use super::*;
use crate::vigilante::testing::{self, NOW, TestWorld};
use crate::vigilante::{Settings, write};
use crate::{Committed, Target};

fn source(text: &str) -> (TempDir, Vigilante) {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::write(home.join(SESSIONS_FILE), text).unwrap();
    let state = dir.path().join("state");
    let source = Vigilante::new("vigilante", home, state, Settings::default());
    (dir, source)
}

fn evidence(source: &Vigilante, issue: u64) -> Evidence {
    let id = SessionId::new("vigilante", format!("owner/repo#{issue}"));
    let revision = revisions(source, &[id]).unwrap().remove(0).unwrap();
    let mut evidence = testing::evidence(issue, revision);
    evidence.pull_request = Fact::Found(testing::pull_request(PullRequestState::Merged));
    evidence
}

fn change(evidence: &Evidence, state: State) -> Change<'_> {
    Change {
        evidence,
        target: Target::State(state),
        at: NOW,
        rule: "r",
        reason: "why",
    }
}

fn put(source: &Vigilante, text: &str) {
    fs::write(source.home().join(SESSIONS_FILE), text).unwrap();
}

fn get(source: &Vigilante) -> String {
    fs::read_to_string(source.home().join(SESSIONS_FILE)).unwrap()
}

#[test]
fn a_proposal_says_what_the_record_was_and_will_be() {
    let (_dir, source) = source(&testing::file(&[testing::record(1), testing::record(2)]));
    let seen = evidence(&source, 2);
    let before = get(&source);
    let proposal = propose(&source, &[change(&seen, State::Blocked)])
        .remove(0)
        .unwrap();
    assert_eq!(get(&source), before, "a proposal writes nothing");
    assert_eq!(proposal.before, seen.session.revision);
    assert_eq!(proposal.record_before, testing::record(2).trim_start());
    assert_eq!(proposal.native_after, "blocked");
    let written = write::commit(&source, std::slice::from_ref(&proposal), &TestWorld::new());
    assert_eq!(written, [Committed::Written { exclusive: true }]);
    let now = revisions(&source, std::slice::from_ref(&proposal.id)).unwrap();
    assert_eq!(now, [Some(proposal.after)]);
}

#[test]
fn each_change_gets_its_own_answer() {
    let (_dir, source) = source(&testing::file(&[1, 2, 3].map(testing::record)));
    let mut stale = evidence(&source, 1);
    stale.session.revision = Revision("old".to_owned());
    let fine = evidence(&source, 2);
    let refused = evidence(&source, 3);
    let mut gone = evidence(&source, 3);
    gone.session.id = SessionId::new("vigilante", "owner/repo#4");
    let answers = propose(
        &source,
        &[
            change(&stale, State::Succeeded),
            change(&fine, State::Succeeded),
            change(&refused, State::Failed),
            change(&gone, State::Succeeded),
        ],
    );
    assert!(matches!(answers[0], Err(Refusal::Conflict(_))));
    assert!(answers[1].is_ok());
    assert!(matches!(answers[2], Err(Refusal::Unsafe(_))));
    assert!(matches!(answers[3], Err(Refusal::Conflict(_))));
}

#[test]
fn doubtful_records_are_refused_by_name() {
    let twice =
        testing::record(2).replace("\"process_id\"", "\"Status\": \"x\",\n    \"process_id\"");
    let odd = testing::record(3).replace("\"status\"", "\"Status\"");
    let records = [testing::record(1), testing::record(1), twice, odd];
    let (_dir, source) = source(&testing::file(&records));
    for (id, said) in [
        ("owner/repo#1", "several records"),
        ("owner/repo#1@2", "several records"),
        ("owner/repo#2", "`Status` twice"),
        ("owner/repo#3", "lower case"),
    ] {
        let id = SessionId::new("vigilante", id);
        let revision = revisions(&source, std::slice::from_ref(&id))
            .unwrap()
            .remove(0)
            .unwrap();
        let mut seen = testing::evidence(1, revision);
        seen.session.id = id;
        let answer = propose(&source, &[change(&seen, State::Closed)]).remove(0);
        match answer {
            Err(Refusal::Unsafe(why)) => assert!(why.contains(said), "{why}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_was_written_reads_back_as_what_was_decided() {
    let (_dir, source) = source(&testing::file(&[testing::record(1)]));
    let mut seen = evidence(&source, 1);
    for (state, pr) in [
        (State::Blocked, PullRequestState::Closed),
        (State::Maintaining, PullRequestState::Open),
        (State::Succeeded, PullRequestState::Merged),
        (State::Closed, PullRequestState::Closed),
    ] {
        seen.pull_request = Fact::Found(testing::pull_request(pr));
        let proposal = propose(&source, &[change(&seen, state)]).remove(0).unwrap();
        assert_ne!(proposal.before, proposal.after);
    }
}

#[test]
fn what_would_read_back_as_something_else_is_refused() {
    let failed = testing::file(&[testing::record(1).replace("\"running\"", "\"failed\"")]);
    let file = RecordFile::parse(Path::new("t"), &failed).unwrap();
    assert_eq!(reads_back(&file, State::Failed, NOW), Ok(()));
    for state in [State::Closed, State::Running, State::Succeeded] {
        let refused = reads_back(&file, state, NOW);
        assert!(matches!(refused, Err(Refusal::Unsafe(_))), "{state}");
    }
}

#[test]
fn an_undo_takes_a_write_back() {
    for (state, pr) in [
        (State::Blocked, PullRequestState::Closed),
        (State::Maintaining, PullRequestState::Open),
        (State::Succeeded, PullRequestState::Merged),
        (State::Closed, PullRequestState::Closed),
    ] {
        let (_dir, source) = source(&testing::file(&[testing::record(1), testing::record(2)]));
        let mut seen = evidence(&source, 2);
        seen.pull_request = Fact::Found(testing::pull_request(pr));
        let forth = propose(&source, &[change(&seen, state)]).remove(0).unwrap();
        assert!(
            matches!(undo(&source, &forth), Err(Refusal::Conflict(_))),
            "nothing was written that could be taken back"
        );
        write::commit(&source, std::slice::from_ref(&forth), &TestWorld::new());
        let back = undo(&source, &forth).unwrap();
        assert_eq!(back.before, forth.after, "{state}");
        assert_eq!(back.after, forth.before, "{state}");
        assert_eq!(back.native_after, "running");
        let written = write::commit(&source, std::slice::from_ref(&back), &TestWorld::new());
        assert_eq!(written, [Committed::Written { exclusive: true }]);
        assert!(get(&source).contains(&testing::record(1)));
        // An undo can be undone.
        assert_eq!(undo(&source, &back).unwrap().after, forth.after);
    }
}

#[test]
fn an_undo_of_a_record_that_moved_on_is_a_conflict() {
    let (_dir, source) = source(&testing::file(&[testing::record(1)]));
    let seen = evidence(&source, 1);
    let forth = propose(&source, &[change(&seen, State::Succeeded)])
        .remove(0)
        .unwrap();
    write::commit(&source, std::slice::from_ref(&forth), &TestWorld::new());
    put(&source, &get(&source).replace("\"success\"", "\"closed\""));
    assert!(matches!(undo(&source, &forth), Err(Refusal::Conflict(_))));
    put(&source, "[]");
    assert!(matches!(undo(&source, &forth), Err(Refusal::Conflict(_))));
}

#[test]
fn unreadable_files_refuse_everything() {
    let (_dir, source) = source(&testing::file(&[testing::record(1)]));
    let seen = evidence(&source, 1);
    put(&source, "[");
    let refused = propose(&source, &[change(&seen, State::Succeeded)]).remove(0);
    // It was readable a moment ago: somebody is at it, and the next pass looks again.
    assert!(matches!(refused, Err(Refusal::Conflict(_))), "{refused:?}");
    assert!(revisions(&source, &[]).is_err());
    fs::remove_file(source.home().join(SESSIONS_FILE)).unwrap();
    let gone = propose(&source, &[change(&seen, State::Succeeded)]).remove(0);
    assert!(matches!(gone, Err(Refusal::Conflict(_))), "{gone:?}");
    let ids = [seen.session.id.clone()];
    assert_eq!(revisions(&source, &ids).unwrap(), [None]);
    // A quiet pass has nothing to propose, and a fleet's file is not read for that.
    assert!(propose(&source, &[]).is_empty());
}
