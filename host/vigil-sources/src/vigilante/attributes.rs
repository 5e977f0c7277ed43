//! Extended attributes of a file, access lists among them, for the file that takes its place.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
use rustix::io::Errno;

use crate::vigilante::replace;

/// The longest list of names that Linux gives, and its longest value.
const BYTES_MAX: usize = 64 << 10;

/// What a user gave a file, and who may use it: a write without these would change what its owner set.
const KEPT: [&[u8]; 2] = [b"user.", b"system.posix_acl_"];

/// Gives `to` the extended attributes of the file at `from`. Those that only the system sets (labels of a security
/// module) are given where that is allowed; without one the file has the label of any new file in its folder.
///
/// # Errors
/// When one that a user gave cannot be given on.
pub(crate) fn copy(from: &Path, to: &File) -> io::Result<()> {
    let from = replace::regular(from)?;
    let mut names = vec![0; BYTES_MAX];
    let length = match flistxattr(&from, &mut names) {
        Ok(length) => length,
        // A file system without any.
        Err(Errno::OPNOTSUPP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut value = vec![0; BYTES_MAX];
    for name in names[..length].split(|byte| *byte == 0) {
        let Ok(name) = CString::new(name) else {
            continue;
        };
        if name.is_empty() {
            continue;
        }
        let kept = KEPT.iter().any(|kind| name.as_bytes().starts_with(kind));
        let given = fgetxattr(&from, name.as_c_str(), &mut value).and_then(|length| {
            fsetxattr(to, name.as_c_str(), &value[..length], XattrFlags::empty())
        });
        match given {
            // Taken away in between.
            Ok(()) | Err(Errno::NODATA) => {}
            Err(error) if kept => return Err(error.into()),
            Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{getxattr, setxattr};

    use super::*;

    #[test]
    fn what_a_user_gave_goes_along() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::write(&from, "").unwrap();
        let to_file = File::create(&to).unwrap();
        copy(&from, &to_file).unwrap();
        if let Err(error) = setxattr(&from, c"user.note", b"mine", XattrFlags::empty()) {
            // A file system of this machine's without attributes has none to lose.
            assert_eq!(error, Errno::OPNOTSUPP);
            return;
        }
        setxattr(&from, c"user.empty", b"", XattrFlags::empty()).unwrap();
        copy(&from, &to_file).unwrap();
        let mut value = [0; 16];
        assert_eq!(getxattr(&to, c"user.note", &mut value), Ok(4));
        assert_eq!(&value[..4], b"mine");
        assert_eq!(getxattr(&to, c"user.empty", &mut value), Ok(0));
    }
}
