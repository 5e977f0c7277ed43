//! What the guards make of a policy's answer, as `vigil policy test` shows it.

use super::{Place, Ran, TWO_CASES, default_policy};

/// A merged pull request whose session the owner could not write to.
fn refused(expect: &str) -> Ran {
    let text = format!(
        "[owner]\nwritable = [\"blocked\"]\n[[case]]\nname = \"merged\"\npull_request = \"merged\"\n\
         [case.expect]\nverdict = \"transition\"\nstate = \"succeeded\"\n{expect}\n"
    );
    Place::with_policy(&default_policy(), &text).policy_test(&["mine"])
}

#[test]
fn a_transition_that_a_guard_refuses_fails_its_case_and_the_guard_is_named() {
    let ran = refused("rule = \"merged-pr\"");
    for line in [
        "- outcome = carried-out",
        "+ outcome = refused",
        "legal-edge: this source has no safe way to write succeeded",
        "hint: refused_by = \"legal-edge\" in expect says that it is meant",
    ] {
        assert!(ran.ended(4).out.contains(line), "no {line}: {}", ran.out);
    }
    // On purpose it is a case like any other, with the guard or without.
    refused("refused_by = \"legal-edge\"").ended(0);
    refused("refused_by = [\"legal-edge\"]").ended(0);
    refused("outcome = \"refused\"").ended(0);
    // But it must be that guard, and it must refuse.
    let other = refused("refused_by = \"live-work\"");
    assert!(
        other.ended(4).out.contains("+ refused_by = legal-edge"),
        "{other:#?}"
    );
    let merged = Place::with_policy(
        &default_policy(),
        &TWO_CASES.replace("rule = \"merged-pr\" }", "refused_by = \"live-work\" }"),
    );
    let ran = merged.policy_test(&["mine", "--filter", "merged"]);
    assert!(
        ran.ended(4).out.contains("+ outcome = carried-out"),
        "{ran:#?}"
    );
}

#[test]
fn unsaved_work_that_turns_a_transition_is_told_and_can_be_expected() {
    let turned = |expect: &str| {
        let text = format!(
            "[[case]]\nname = \"dirty\"\ndirty = true\npull_request = \"merged\"\n\
             [case.expect]\nverdict = \"transition\"\nstate = \"succeeded\"\n{expect}\n"
        );
        Place::with_policy(&default_policy(), &text).policy_test(&["mine"])
    };
    let ran = turned("");
    for line in ["+ outcome = blocked", "unsaved-work: "] {
        assert!(ran.ended(4).out.contains(line), "no {line}: {}", ran.out);
    }
    turned("outcome = \"blocked\"").ended(0);
}

#[test]
fn a_rule_that_can_never_happen_names_the_setting_that_would_allow_it() {
    // What this guest closes is no issue of anybody's: its label is none that the source lists.
    let case = |source: &str, expect: &str| {
        let text = format!(
            "[[case]]\nname = \"naive\"\n{source}\nissue = {{ labels = [\"abandon\"] }}\npull_request = \"closed\"\n\
             [case.expect]\nverdict = \"transition\"\nstate = \"closed\"\n{expect}\n"
        );
        let settings = "settings = { closed_pr_of_open_issue = \"closed\" }\n";
        Place::with_policy(&default_policy(), &format!("{settings}{text}")).policy_test(&["mine"])
    };
    let ran = case("", "");
    for line in [
        "+ outcome = refused",
        "positive-evidence: ",
        "final_labels = [\"vigilante:done\", \"abandon\"]",
        "refused_by = \"positive-evidence\" in expect says that it is meant",
    ] {
        assert!(ran.ended(4).out.contains(line), "no {line}: {}", ran.out);
    }
    case("", "refused_by = \"positive-evidence\"").ended(0);
}
