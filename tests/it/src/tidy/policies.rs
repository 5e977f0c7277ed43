//! The committed components were built from the sources beside them.

use super::expect_none;

#[test]
fn every_component_was_built_from_the_sources_beside_it() {
    let drifts = xtask::policies::drifts().expect("sources and components can be read");
    expect_none(
        "run `cargo xtask policies` and commit what it writes",
        drifts.iter().map(ToString::to_string).collect(),
    );
}
