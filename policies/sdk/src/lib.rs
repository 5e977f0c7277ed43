//! Write a vigil policy in Rust: bindings, evidence builders, export macro.
