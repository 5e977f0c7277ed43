//! Names of git objects, and the two kinds of sum that they are.

use std::fmt;
use std::str::FromStr;

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

/// 32: SHA-256, the longer of the two.
const BYTES_MAX: usize = 32;

/// How a repository names its objects (`extensions.objectFormat`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sum {
    #[default]
    Sha1,
    Sha256,
}

impl Sum {
    /// Bytes of a name.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Sum::Sha1 => 20,
            Sum::Sha256 => 32,
        }
    }

    /// The name of a blob of `size` bytes, which are to be fed to what this gives.
    pub(crate) fn blob(self, size: u64) -> Naming {
        let head = format!("blob {size}\0");
        match self {
            Sum::Sha1 => Naming::Sha1(Sha1::new_with_prefix(head)),
            Sum::Sha256 => Naming::Sha256(Sha256::new_with_prefix(head)),
        }
    }
}

/// A name in the making.
pub(crate) enum Naming {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl Naming {
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        match self {
            Naming::Sha1(sum) => sum.update(bytes),
            Naming::Sha256(sum) => sum.update(bytes),
        }
    }

    pub(crate) fn name(self) -> Oid {
        match self {
            Naming::Sha1(sum) => Oid::of(&sum.finalize()),
            Naming::Sha256(sum) => Oid::of(&sum.finalize()),
        }
    }
}

/// The name of an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Oid {
    bytes: [u8; BYTES_MAX],
    len: u8,
}

impl Oid {
    /// `bytes` must be as long as a name is; a longer one is cut.
    pub(crate) fn of(bytes: &[u8]) -> Oid {
        let mut oid = Oid {
            bytes: [0; BYTES_MAX],
            len: 0,
        };
        for (to, from) in oid.bytes.iter_mut().zip(bytes) {
            *to = *from;
            oid.len += 1;
        }
        oid
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// A name of nothing but zeros stands for "none".
    pub(crate) fn is_null(&self) -> bool {
        self.bytes().iter().all(|byte| *byte == 0)
    }
}

impl FromStr for Oid {
    type Err = NoName;

    /// A whole name, in lower or upper case; no abbreviation.
    fn from_str(text: &str) -> Result<Oid, NoName> {
        match hex::decode(text) {
            Ok(bytes) if matches!(bytes.len(), 20 | 32) => Ok(Oid::of(&bytes)),
            _ => Err(NoName),
        }
    }
}

/// The text is no object's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoName;

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.bytes()))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
