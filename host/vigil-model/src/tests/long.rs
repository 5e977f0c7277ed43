//! Documents that ask for more than GitHub answers at once.

use serde_json::{Value, json};

use super::{NOW, TOKEN, get, seed};
use crate::{DocumentLimits, Fault, Model, Request, Response, Scope};

/// So many look-ups of one issue in one document.
fn asked(model: &mut Model, count: usize) -> Response {
    let aliases = (0..count).map(|n| format!("a{n}: issue(number: 299) {{ number }} "));
    let document = format!(
        "{{ repository(owner: \"owner\", name: \"repo\") {{ {} }} }}",
        aliases.collect::<String>()
    );
    model.respond(Request::graphql(&document, Value::Null, TOKEN), NOW)
}

#[test]
fn a_hundred_look_ups_are_answered_and_no_more() {
    let mut model = seed();
    let whole = asked(&mut model, 100).value();
    assert_eq!(whole["errors"], Value::Null);
    assert_eq!(whole["data"]["repository"]["a99"], json!({ "number": 299 }));
    assert_eq!(model.tally().over_long, 0);

    let part = asked(&mut model, 102).value();
    let there = &part["data"]["repository"];
    assert_eq!(there["a99"], json!({ "number": 299 }));
    assert_eq!(
        (&there["a100"], &there["a101"]),
        (&Value::Null, &Value::Null)
    );
    let errors = part["errors"].as_array().cloned().unwrap_or_default();
    assert_eq!(errors.len(), 2);
    assert_eq!(
        (&errors[0]["type"], &errors[0]["path"]),
        (
            &json!("RESOURCE_LIMITS_EXCEEDED"),
            &json!(["repository", "a100"])
        )
    );
    assert_eq!(model.tally().over_long, 1);
}

#[test]
fn five_hundred_are_not_answered_at_all_and_cost_more_than_their_price() {
    let mut model = seed();
    let page = asked(&mut model, 500);
    assert_eq!((page.status, page.value()), (502, Value::Null));
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(model.tally().points, 2);
    let left = get(&mut model, "/rate_limit").value();
    assert_eq!(left["resources"]["graphql"]["used"], 2);
    assert_eq!(model.tally().over_long, 1);
}

#[test]
fn the_bounds_can_be_set_and_the_tighter_of_bound_and_fault_holds() {
    let mut model = seed();
    model.document_limits(DocumentLimits {
        answered_max: 3,
        lookups_max: 5,
    });
    let answered = |response: Response| {
        let there = response.value()["data"]["repository"].clone();
        there
            .as_object()
            .map(|all| all.values().filter(|value| !value.is_null()).count())
    };
    assert_eq!(answered(asked(&mut model, 5)), Some(3));
    assert_eq!(asked(&mut model, 6).status, 502);
    model.fail(Scope::GraphQl, Fault::ResourceLimits { answered: 2 });
    assert_eq!(answered(asked(&mut model, 5)), Some(2));
    model.heal();
    model.fail(Scope::GraphQl, Fault::ResourceLimits { answered: 4 });
    assert_eq!(answered(asked(&mut model, 5)), Some(3));
}
