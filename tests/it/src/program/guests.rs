//! The misbehaving policies of `tests/guests`, built.

use std::path::Path;

/// The folder of the built components.
pub(super) fn folder() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .with_file_name("guests")
        .join("dist");
    folder.to_str().expect("UTF-8").to_owned()
}

/// The file of a guest.
pub(super) fn path(name: &str) -> String {
    format!("{}/{name}.wasm", folder())
}

/// The bytes of a guest.
pub(super) fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(path(name)).expect("a built guest")
}
