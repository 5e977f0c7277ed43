//! What `wit-bindgen` makes of `wit/policy.wit`. Everything worth naming is exported again by the crate itself, under
//! a shorter path.

// The generated code moves values across the boundary by pointer; no line of it is written here.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "generated"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "policy",
    additional_derives: [PartialEq],
    pub_export_macro: true,
    default_bindings_module: "vigil_sdk::bindings",
});
