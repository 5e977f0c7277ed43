//! Whatever happens on GitHub: after every edit and a pass each answer is what a fresh full read gives, and the rows
//! that are stored give the same.

use proptest::prelude::*;
use vigil_github::Ask;
use vigil_github::memory::IDLE_MAX;
use vigil_model::{ErrorType, Fault, Forbidden, Model, Scope};

use super::fleet::*;
use crate::support::*;

/// Something that GitHub announces.
#[derive(Clone, Copy, Debug)]
enum Edit {
    Label(bool),
    Assign(bool),
    Close(&'static str),
    Reopen,
    Comment,
    Draft(bool),
    Push(u8),
    Review(Option<&'static str>),
    Merge,
    ClosePull,
    ReopenPull,
    /// A pull request on the session's branch.
    Another,
    /// One with the same branch name in a fork.
    Fork,
    /// One on a branch that is nobody's.
    Stranger,
    Base(bool),
}

fn edits() -> impl Strategy<Value = Edit> {
    prop_oneof![
        any::<bool>().prop_map(Edit::Label),
        any::<bool>().prop_map(Edit::Assign),
        prop_oneof![Just("completed"), Just("not_planned"), Just("duplicate")]
            .prop_map(Edit::Close),
        Just(Edit::Reopen),
        Just(Edit::Comment),
        any::<bool>().prop_map(Edit::Draft),
        any::<u8>().prop_map(Edit::Push),
        prop_oneof![
            Just(None),
            Just(Some("APPROVED")),
            Just(Some("CHANGES_REQUESTED"))
        ]
        .prop_map(Edit::Review),
        Just(Edit::Merge),
        Just(Edit::ClosePull),
        Just(Edit::ReopenPull),
        Just(Edit::Another),
        Just(Edit::Fork),
        Just(Edit::Stranger),
        any::<bool>().prop_map(Edit::Base),
    ]
}

const REPOS: u64 = 11;

/// Makes `edit` in repository `at`; `fresh` is a number that nothing bears.
fn make(model: &mut Model, edit: Edit, at: u64, fresh: u64) {
    let repo = model.repo(&format!("acme/app-{at}"));
    match edit {
        Edit::Label(true) => drop(repo.issue(1).label("a")),
        Edit::Label(false) => drop(repo.issue(1).unlabel("a")),
        Edit::Assign(true) => drop(repo.issue(1).assignee("ada")),
        Edit::Assign(false) => drop(repo.issue(1).unassign("ada")),
        Edit::Close(reason) => drop(repo.issue(1).closed(reason)),
        Edit::Reopen => drop(repo.issue(1).reopened()),
        Edit::Comment => drop(repo.pull(2).comment("ada", "hello")),
        Edit::Draft(draft) => drop(repo.pull(2).draft(draft)),
        Edit::Push(sha) => drop(
            repo.pull(2)
                .push(&format!("{sha:040x}"))
                .mergeability_pending(0),
        ),
        Edit::Review(decision) => drop(repo.pull(2).review(decision)),
        Edit::Merge => drop(repo.pull(2).merged()),
        Edit::ClosePull => drop(repo.pull(2).closed()),
        Edit::ReopenPull => drop(repo.pull(2).reopened()),
        Edit::Another => drop(repo.pull(fresh).head("fix")),
        Edit::Fork => drop(repo.pull(fresh).head("fix").head_owner("mallory")),
        Edit::Stranger => drop(repo.pull(fresh).head("elsewhere")),
        Edit::Base(main) => drop(repo.pull(2).base(if main { "main" } else { "next" })),
    }
}

fn watched() -> Fleet {
    let mut model = Model::new(NOW.0 - 3_600_000);
    model.token(TOKEN);
    let mut asks: Vec<Ask> = Vec::new();
    for at in 0..REPOS {
        let repo = format!("acme/app-{at}");
        model.repo(&repo).issue(1).pull(2).head("fix").closes(1);
        asks.push(by_branch(&repo, 1, "fix", EVERYTHING));
        asks.push(by_number(&repo, 1, 2, ALL));
        asks.push(by_branch(&repo, 1, "none", LEAN));
    }
    Fleet::new(model, asks)
}

/// Edits with the pause that follows each; `everywhere` makes so many repositories busy that they are looked at
/// together.
async fn checked(edits: Vec<(Edit, u64, bool)>, everywhere: bool) {
    let mut fleet = watched();
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    let mut fresh = 100;
    for (edit, at, long) in edits {
        fleet.wait(MINUTE / 2);
        let touched = if everywhere { 0..REPOS } else { at..at + 1 };
        for at in touched {
            fresh += 1;
            fleet.change(|model| make(model, edit, at, fresh));
        }
        // Long enough for whatever has become quiet.
        let rest = if long || !everywhere {
            IDLE_MAX
        } else {
            MINUTE / 2
        };
        let pass = fleet.after(rest).await;
        if let Some(difference) = fleet.difference(&pass) {
            panic!("after {edit:?}: {difference}");
        }
    }
}

/// Something that goes wrong and does not look like an answer.
fn faults() -> impl Strategy<Value = Option<(Scope, Fault)>> {
    let forbidden = prop_oneof![
        Just(Forbidden::Permission),
        Just(Forbidden::Saml),
        Just(Forbidden::Secondary(Some(70))),
        Just(Forbidden::Secondary(None)),
    ];
    let error = prop_oneof![
        Just(ErrorType::Forbidden),
        Just(ErrorType::ServiceUnavailable),
        Just(ErrorType::Internal),
        Just(ErrorType::ResourceLimitsExceeded),
        Just(ErrorType::Other("NEVER_SEEN_BEFORE")),
    ];
    let fault = prop_oneof![
        Just(Fault::Reset),
        Just(Fault::CutBody),
        Just(Fault::CutJson),
        prop_oneof![Just(500), Just(502), Just(503), Just(504)].prop_map(Fault::Html),
        Just(Fault::BadCredentials),
        Just(Fault::BadCredentialsExhausted),
        forbidden.prop_map(Fault::Forbidden),
        Just(Fault::TooManyRequests(Some(100))),
        Just(Fault::SecondaryAs200(None)),
        (any::<bool>(), any::<bool>()).prop_map(|(headers, older_name)| Fault::RateLimited {
            headers,
            older_name,
        }),
        (2..5_usize, error).prop_map(|(nth, error)| Fault::EveryNth { nth, error }),
        (1..5_usize).prop_map(|answered| Fault::ResourceLimits { answered }),
        (1..5_usize).prop_map(|lookups_max| Fault::TimesOut {
            lookups_max,
            status: 502,
        }),
    ];
    let scope = prop_oneof![Just(Scope::Any), Just(Scope::Rest), Just(Scope::GraphQl)];
    prop_oneof![1 => Just(None), 2 => (scope, fault).prop_map(Some)]
}

/// An edit, the repository that it is made in, what goes wrong meanwhile, and whether the process begins anew.
type Step = (Edit, u64, Option<(Scope, Fault)>, bool);

/// An edit and a fault before each pass. For so short a time that every pass looks everywhere.
async fn survived(steps: Vec<Step>) {
    let mut fleet = watched();
    let pass = fleet.pass().await;
    fleet.all_true(&pass);
    for (fresh, (edit, at, fault, restarts)) in (101..).zip(steps) {
        fleet.wait(MINUTE / 2);
        fleet.change(|model| {
            make(model, edit, at, fresh);
            model.heal();
            if let Some((scope, fault)) = fault {
                model.fail(scope, fault);
            }
        });
        if restarts {
            fleet.restart();
        }
        let pass = fleet.after(MINUTE / 2).await;
        fleet.nothing_false(&pass);
    }
    fleet.change(Model::heal);
    // The longest that GitHub may have said to wait, and the back-off.
    fleet.learned_within(MINUTE * 60 + IDLE_MAX).await;
}

fn run(check: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(check);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn after_every_edit_and_a_pass_each_answer_is_what_a_full_read_gives(
        edits in prop::collection::vec((edits(), 0..REPOS, any::<bool>()), 1..14),
        everywhere in any::<bool>(),
    ) {
        run(checked(edits, everywhere));
    }

    #[test]
    fn whatever_goes_wrong_nothing_false_is_claimed_and_all_is_learned_in_the_end(
        steps in prop::collection::vec((edits(), 0..REPOS, faults(), prop::bool::weighted(0.2)), 1..8),
    ) {
        run(survived(steps));
    }
}
