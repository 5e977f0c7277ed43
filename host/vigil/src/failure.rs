//! Errors that a person reads: what failed, why, and what to do. Each kind has its exit code.

use std::fmt;

/// Exit code 0: done, holds included.
pub const EXIT_DONE: u8 = 0;
/// Exit code 1: a source, GitHub or a write failed.
pub const EXIT_FAILED: u8 = 1;
/// Exit code 2: the request cannot be carried out as it stands.
pub const EXIT_REQUEST: u8 = 2;
/// Exit code 4: a policy's tests failed.
pub const EXIT_TESTS: u8 = 4;

/// Whose fault it is; decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The world: a source, GitHub, a write, the disk.
    World,
    /// What was asked for: arguments, configuration, a policy file.
    Request,
    /// Tests of a policy failed.
    Tests,
}

impl Kind {
    /// The exit code that stands for it.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::World => EXIT_FAILED,
            Kind::Request => EXIT_REQUEST,
            Kind::Tests => EXIT_TESTS,
        }
    }
}

/// An error with its cause and a hint.
#[derive(Debug)]
pub struct Failure {
    /// Decides the exit code.
    pub kind: Kind,
    what: String,
    cause: Option<anyhow::Error>,
    hints: Vec<String>,
}

impl Failure {
    /// A failure without a cause: `what` names the thing and the place.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Failure {
            kind,
            what: what.into(),
            cause: None,
            hints: Vec::new(),
        }
    }

    /// What was asked for cannot be done.
    pub fn request(what: impl Into<String>) -> Self {
        Failure::new(Kind::Request, what)
    }

    /// The world failed.
    pub fn world(what: impl Into<String>) -> Self {
        Failure::new(Kind::World, what)
    }

    /// The same failure with its cause, which is printed after it.
    pub fn because(mut self, cause: impl Into<anyhow::Error>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same failure with something to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// What to do about it.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

impl fmt::Display for Failure {
    /// The chain of causes in one line; with `#` the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if let Some(cause) = &self.cause {
            write!(f, ": {}", format!("{cause:#}").trim_end())?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// What a command gives.
pub type Outcome = Result<u8, Failure>;
