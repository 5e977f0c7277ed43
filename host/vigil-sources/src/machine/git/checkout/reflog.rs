//! Git's log of a `HEAD`: one line for each move, which begins with the commit that was left and the one that was gone to.
//!
//! Not by gix-ref (0.69), as `refs` says.

use std::collections::HashSet;

use super::super::oid::{Oid, Sum};

/// The commits in it, each once. A line that is none says nothing.
pub(super) fn commits(log: &[u8], sum: Sum) -> Vec<Oid> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for line in log.split(|byte| *byte == b'\n') {
        for word in line.splitn(3, |byte| *byte == b' ').take(2) {
            if let Ok(oid) = Oid::from_hex(word)
                && oid.kind() == sum
                && !oid.is_null()
                && seen.insert(oid)
            {
                all.push(oid);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_each_move_count_once_and_nonsense_not_at_all() {
        let (zero, one, two) = ("0".repeat(40), "1".repeat(40), "2".repeat(40));
        let log = format!(
            "{zero} {one} Ann <ann@example.com> 1 +0000\tworktree add\n{one} {two} Ann <> 2 +0000\t{}\n\nnonsense\n\
             {two} {} short\n{}",
            "3".repeat(40),
            "4".repeat(39),
            "5".repeat(64)
        );
        let all = commits(log.as_bytes(), Sum::Sha1);
        let all: Vec<String> = all.iter().map(Oid::to_string).collect();
        assert_eq!(all, [one, two]);
        assert!(commits(b"\xff\xfe \0 ", Sum::Sha1).is_empty());
    }
}
