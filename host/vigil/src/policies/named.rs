//! Which component a text means: one that is built in, or a file.

use std::borrow::Cow;
use std::path::Path;

use crate::failure::Failure;
use crate::plain_file::{self, Refusal};

/// The policies that the binary carries, by the name under which they are asked for.
pub const BUILT_IN: [(&str, &[u8]); 1] = [(
    "default.wasm",
    include_bytes!("../../../../policies/dist/default.wasm"),
)];

/// What runs when nobody names a policy.
pub const DEFAULT: &str = BUILT_IN[0].0;

/// A component as it was named.
///
/// The bare name of a built-in is the built-in, wherever vigil is started and whatever lies there: a file takes its
/// place for nobody who did not write a path. Every other text is a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// The binary carries it.
    BuiltIn(&'static str, &'static [u8]),
    /// A file.
    File(&'a Path),
}

impl<'a> Named<'a> {
    /// What `text` means.
    pub(crate) fn of(text: &'a str) -> Named<'a> {
        match BUILT_IN.iter().find(|(name, _)| *name == text) {
            Some((name, bytes)) => Named::BuiltIn(name, bytes),
            None => Named::File(Path::new(text)),
        }
    }

    /// Its name in reports and in the journal: a file's own name, unless that is a built-in's, which nobody else is
    /// called; then the path as it was written.
    pub(crate) fn called(self) -> Cow<'a, str> {
        match self {
            Named::BuiltIn(name, _) => Cow::Borrowed(name),
            Named::File(path) => match path.file_name().map(|name| name.to_string_lossy()) {
                Some(name) if !is_built_in(&name) => name,
                _ => path.to_string_lossy(),
            },
        }
    }

    /// Where it comes from, for people.
    pub(crate) fn origin(self) -> String {
        match self {
            Named::BuiltIn(..) => "built in".to_owned(),
            Named::File(path) => path.display().to_string(),
        }
    }

    /// Whether two texts name one component: the configuration's, which starts from its file's folder, and a command
    /// line's, which starts from where vigil is started.
    pub(crate) fn is_same(self, other: Named<'_>) -> bool {
        match (self, other) {
            (Named::BuiltIn(one, _), Named::BuiltIn(other, _)) => one == other,
            (Named::File(one), Named::File(other)) => {
                let whole = |path: &Path| path.canonicalize().ok();
                one == other || whole(one).is_some_and(|one| whole(other) == Some(one))
            }
            _ => false,
        }
    }

    /// Its bytes, at most `bytes_max`.
    ///
    /// # Errors
    /// A file that is not there, cannot be read, is none (a pipe would block, a device never ends), or is larger.
    pub(crate) fn bytes(self, bytes_max: usize) -> Result<Cow<'static, [u8]>, Failure> {
        let path = match self {
            Named::BuiltIn(_, bytes) => return Ok(Cow::Borrowed(bytes)),
            Named::File(path) => path,
        };
        let shown = path.display();
        plain_file::read(path, bytes_max)
            .map(Cow::Owned)
            .map_err(|refusal| match refusal {
                Refusal::Io(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    let names: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
                    Failure::request(format!(
                        "there is no policy {shown}: no such file, and no built-in of that name"
                    ))
                    .hint(format!("built in: {}", names.join(", ")))
                }
                Refusal::TooLarge { .. } => Failure::request(format!(
                    "failed to read policy {shown}"
                ))
                .because(refusal)
                .hint(
                    "build the component smaller, without debug information, or name another file",
                ),
                Refusal::NoFile(_) => Failure::request(format!("failed to read policy {shown}"))
                    .because(refusal)
                    .hint("name a component, a .wasm file"),
                Refusal::Io(_) => {
                    Failure::request(format!("failed to read policy {shown}")).because(refusal)
                }
            })
    }
}

fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(built_in, _)| *built_in == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_bare_name_is_the_built_in() {
        assert!(matches!(Named::of("default.wasm"), Named::BuiltIn(..)));
        for file in [
            "./default.wasm",
            "rules/default.wasm",
            "/default.wasm",
            "default.wasm/",
            "default",
            "Default.wasm",
            "team.wasm",
            "",
        ] {
            assert_eq!(Named::of(file), Named::File(Path::new(file)), "{file:?}");
        }
    }

    #[test]
    fn no_file_is_called_what_a_built_in_is_called() {
        for (text, called) in [
            ("default.wasm", "default.wasm"),
            ("./default.wasm", "./default.wasm"),
            ("/etc/vigil/default.wasm", "/etc/vigil/default.wasm"),
            ("/etc/vigil/team.wasm", "team.wasm"),
            ("team.wasm", "team.wasm"),
            ("/", "/"),
        ] {
            assert_eq!(Named::of(text).called(), called);
        }
    }

    #[test]
    fn a_file_is_the_same_however_it_is_written_and_never_a_built_in() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let (one, other) = (path("default.wasm"), path("./sub/../default.wasm"));
        std::fs::create_dir(folder.path().join("sub")).expect("a folder");
        std::fs::write(&one, "x").expect("a file");
        assert!(Named::of(&one).is_same(Named::of(&other)));
        assert!(!Named::of(&one).is_same(Named::of("default.wasm")));
        assert!(!Named::of("default.wasm").is_same(Named::of(&one)));
        assert!(Named::of("default.wasm").is_same(Named::of("default.wasm")));
        assert!(!Named::of("/nowhere/a").is_same(Named::of("/nowhere/b")));
    }
}
