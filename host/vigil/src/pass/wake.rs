//! What a wake does: what is remembered of the forge there is in doubt, so that the next pass reads it again and looks
//! at the sessions that rest on it. A wake brings no facts.

use vigil_core::Timestamp;
use vigil_github::{Repo, memory};

use super::Reconciler;
use crate::failure::Failure;
use crate::webhooks::{About, Wake};

impl Reconciler {
    /// Puts in doubt what `wakes` are about, and gives whether any of it is known: otherwise no session rests on it, and
    /// no pass is needed. The doubt is stored, and survives a crash.
    ///
    /// # Errors
    /// Those of vigil's memory.
    pub fn wake(&mut self, wakes: &[Wake]) -> Result<bool, Failure> {
        let now = self.world.now();
        self.recall_forge(now)?;
        let known = self.asking.memory.get_or_insert_default();
        let woken = wakes
            .iter()
            .fold(false, |woken, wake| doubt(known, wake, now) | woken);
        let changes = known.take_changes();
        self.store_changes(&changes, now)?;
        Ok(woken)
    }
}

/// Whether something that is known was put in doubt.
fn doubt(known: &mut memory::Memory, wake: &Wake, now: Timestamp) -> bool {
    let about = match &wake.about {
        About::Owner => return known.wake_owner(&wake.repo, now),
        About::Number(number) => memory::About::Number {
            number: *number,
            updated: wake.updated,
        },
        About::Branch(branch) => memory::About::Branch(branch.clone()),
        About::Commit(sha) => memory::About::Commit(sha.clone()),
        About::Base(branch) => memory::About::Base(branch.clone()),
        About::Repository => memory::About::Repository,
    };
    // A name that is none is nobody's repository.
    Repo::parse(&wake.repo).is_ok_and(|repo| known.wake(&repo, &about, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(repo: &str, about: About, expected: &[&str]) {
        let rows = ["acme/app", "acme/lib", "acmes/app"]
            .map(|repo| (repo, "watch", format!("{{\"name\": \"{repo}\"}}")));
        let rows = rows
            .iter()
            .map(|(repo, name, value)| (*repo, *name, value.as_str()));
        let (mut known, unreadable) = memory::Memory::read(rows);
        assert_eq!(unreadable, 0);
        let wake = Wake {
            repo: repo.to_owned(),
            about,
            updated: None,
        };
        let woken = doubt(&mut known, &wake, Timestamp(1));
        let changes = known.take_changes();
        let changed: Vec<&str> = changes.iter().map(|change| change.repo.as_str()).collect();
        assert_eq!(changed, expected, "{wake:?}");
        assert_eq!(woken, !expected.is_empty(), "{wake:?}");
    }

    #[test]
    fn only_what_is_known_is_put_in_doubt_without_regard_to_case() {
        check("ACME/App", About::Repository, &["acme/app"]);
        check("Acme", About::Owner, &["acme/app", "acme/lib"]);
        for (repo, about) in [
            ("other/app", About::Repository),
            ("other", About::Owner),
            ("acme/app", About::Owner),
            ("acme", About::Repository),
            ("acme/app", About::Number(u64::MAX)),
            ("", About::Owner),
        ] {
            check(repo, about, &[]);
        }
    }
}
