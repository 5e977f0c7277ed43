//! The default policy as one would build it at first: a stack of 1 MiB and the standard allocator. Benches compare the
//! SDK's choices with it.

use vigil_policy_default::DefaultPolicy;

vigil_sdk::export!(DefaultPolicy, allocator: std);
