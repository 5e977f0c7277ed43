//! Loads and runs policy components in wasmtime.
