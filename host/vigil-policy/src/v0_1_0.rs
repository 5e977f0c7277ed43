//! Bindings for policies built for `vigil:policy@0.1.0`.
//!
//! One module per version of the contract; what a version's types mean in the kernel's terms stands in
//! [`crate::convert`].

// Parameters borrow: an evidence of full size holds some twenty strings, and copying them would cost more than the
// policy's own rules do.
wasmtime::component::bindgen!({
    path: "../../wit",
    world: "policy",
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub(crate) use self::vigil::policy::types as wit;

/// The instance that a policy exports.
pub(crate) const DECIDER: &str = "vigil:policy/decider@0.1.0";

/// The only instance that a policy may import: types, nothing to call.
pub(crate) const TYPES: &str = "vigil:policy/types@0.1.0";
