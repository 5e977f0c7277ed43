//! Names of git objects. They are the library's, which finds out as git does where a content was made to collide with
//! another one (SHA-1 allows it).

use std::path::Path;

use gix_hash::Hasher;
use gix_object::Kind;
use vigil_core::fact::{Gap, GapKind};

/// How a repository names its objects (`extensions.objectFormat`).
pub(crate) use gix_hash::Kind as Sum;
/// The name of an object.
pub(crate) use gix_hash::ObjectId as Oid;

/// The name of a blob in the making, whose `size` bytes are to be fed to it.
pub(crate) fn blob(sum: Sum, size: u64) -> Hasher {
    let mut name = gix_hash::hasher(sum);
    name.update(&gix_object::encode::loose_header(Kind::Blob, size));
    name
}

/// The name of the content of `path` that was fed to `name`.
pub(crate) fn finish(name: Hasher, path: &Path) -> Result<Oid, Gap> {
    name.try_finalize().map_err(|_| {
        Gap::new(
            GapKind::Malformed,
            format!(
                "{} was made to have the same SHA-1 as something else",
                path.display()
            ),
        )
    })
}
