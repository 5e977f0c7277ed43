//! Patterns as `.gitignore` and `.gitattributes` write them.
//!
//! Not by gix-glob (0.29): it goes back and forth, takes twice as long with each `**/`, and says "no" to a pattern with 64
//! stars, whatever the name.
//!
//! A pattern is run as a set of places in it, all at once, so that its cost is its length times the name's: patterns
//! such as `*a*a*a*a*b`, which take a matcher that goes back and forth for ever, are written by anybody.

/// 200,000,000 steps of patterns over names: a second or two. Names that a pattern has nothing to do with cost one.
pub(crate) const STEPS_MAX: u64 = 200_000_000;

/// A pattern. It is taken apart when a name gets as far as its first wildcard, so that a file with very many takes no more
/// memory than its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Glob {
    text: Box<[u8]>,
    /// How many bytes come before the first wildcard: what every match begins with.
    start: usize,
    /// Nothing but one star stands before the rest, which every match ends with.
    is_end: bool,
    /// A name in any folder; else a path from the folder of the file that says it.
    anywhere: bool,
    fold: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    /// This byte.
    Byte(u8),
    /// Any byte but a slash.
    One,
    /// Any bytes but slashes.
    Many,
    /// Any bytes at all.
    All,
    /// Nothing, or folders: any bytes with a slash at the end.
    Folders,
    /// A byte out of these ranges, or none out of them; never a slash.
    Class { not: bool, ranges: Vec<(u8, u8)> },
    /// A class that does not end: nothing matches it.
    Never,
}

impl Glob {
    /// The pattern `pattern`; `fold`: letters count without their case. A pattern with a slash before its end is a path
    /// from the folder that says it, and any other one the name of something at any depth.
    pub(crate) fn new(pattern: &[u8], fold: bool) -> Glob {
        const WILD: &[u8] = b"*?[\\";
        let anywhere = !pattern.contains(&b'/');
        let text = pattern.strip_prefix(b"/").unwrap_or(pattern);
        let literal = |text: &[u8]| text.iter().take_while(|byte| !WILD.contains(byte)).count();
        Glob {
            text: text.into(),
            start: literal(text),
            is_end: anywhere
                && text
                    .strip_prefix(b"*")
                    .is_some_and(|end| literal(end) == end.len()),
            anywhere,
            fold,
        }
    }

    /// Whether `path`, seen from the folder that says the pattern, matches it. `name` is its last part. What the answer
    /// costs is added to `cost`: at most the pattern's length times one more than the path's. Beyond [`STEPS_MAX`] nothing
    /// is compared any more, and the answer says nothing.
    pub(crate) fn matches(&self, path: &[u8], name: &[u8], cost: &mut u64) -> bool {
        *cost += 1;
        let text = if self.anywhere { name } else { path };
        let same = |one: &[u8], other: &[u8]| match self.fold {
            true => one.eq_ignore_ascii_case(other),
            false => one == other,
        };
        if self.is_end {
            let end = &self.text[1..];
            let from = text.len().checked_sub(end.len());
            return from.is_some_and(|from| same(&text[from..], end));
        }
        let begins = text
            .get(..self.start)
            .is_some_and(|begin| same(begin, &self.text[..self.start]));
        if !begins {
            return false;
        }
        if self.start == self.text.len() {
            return text.len() == self.start;
        }
        // What comes before the first wildcard is gone for git, too: in `a**/b` the stars stand at the beginning.
        let (pattern, rest) = (&self.text[self.start..], &text[self.start..]);
        *cost += pattern.len() as u64 * (rest.len() as u64 + 1);
        if *cost > STEPS_MAX {
            return false;
        }
        let steps = steps(pattern);
        run(&steps, rest, self.fold)
    }
}

fn run(steps: &[Step], text: &[u8], fold: bool) -> bool {
    let mut here = vec![false; steps.len() + 1];
    let mut next = here.clone();
    // Within the folders of a step, where only a slash leads on.
    let mut within = vec![false; steps.len()];
    enter(steps, 0, &mut here);
    for byte in text {
        next.fill(false);
        let mut is_alive = false;
        for (place, step) in steps.iter().enumerate() {
            let is_here = here[place];
            if *step == Step::Folders && (is_here || within[place]) {
                within[place] = true;
                is_alive = true;
                if *byte == b'/' {
                    enter(steps, place + 1, &mut next);
                }
            } else if is_here {
                let onward = match step {
                    Step::Many if *byte != b'/' => Some(place),
                    Step::All => Some(place),
                    other => other.takes(*byte, fold).then_some(place + 1),
                };
                if let Some(onward) = onward {
                    is_alive = true;
                    enter(steps, onward, &mut next);
                }
            }
        }
        if !is_alive {
            return false;
        }
        std::mem::swap(&mut here, &mut next);
    }
    here[steps.len()]
}

/// Marks `place`, and what can be reached from there without a byte.
fn enter(steps: &[Step], place: usize, marked: &mut [bool]) {
    let mut place = place;
    loop {
        if marked[place] {
            return;
        }
        marked[place] = true;
        match steps.get(place) {
            Some(Step::Many | Step::All | Step::Folders) => place += 1,
            _ => return,
        }
    }
}

impl Step {
    fn takes(&self, byte: u8, fold: bool) -> bool {
        match self {
            Step::Byte(own) if fold => own.eq_ignore_ascii_case(&byte),
            Step::Byte(own) => *own == byte,
            Step::One => byte != b'/',
            Step::Class { not, ranges } => {
                // Ranges take letters of either case, and a single letter itself alone, in lower case.
                let found = ranges.iter().any(|(low, high)| {
                    let within = |byte: u8| (*low..=*high).contains(&byte);
                    match fold {
                        false => within(byte),
                        true if low == high => byte.to_ascii_lowercase() == *low,
                        true => {
                            within(byte.to_ascii_lowercase()) || within(byte.to_ascii_uppercase())
                        }
                    }
                });
                byte != b'/' && found != *not
            }
            Step::Many | Step::All | Step::Folders | Step::Never => false,
        }
    }
}

fn steps(pattern: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut at = 0;
    while let Some(byte) = pattern.get(at) {
        match byte {
            b'*' => {
                let stars = pattern[at..].iter().take_while(|one| **one == b'*').count();
                let before = at == 0 || pattern[at - 1] == b'/';
                let after = pattern.get(at + stars);
                at += stars;
                match after {
                    Some(b'/') if stars >= 2 && before => {
                        steps.push(Step::Folders);
                        at += 1;
                    }
                    None if stars >= 2 && before => steps.push(Step::All),
                    _ => steps.push(Step::Many),
                }
                continue;
            }
            b'?' => steps.push(Step::One),
            b'[' => {
                let (step, end) = class(pattern, at + 1);
                steps.push(step);
                at = end;
                continue;
            }
            b'\\' => {
                at += 1;
                steps.push(match pattern.get(at) {
                    // As in a class, since git does not look for its other case.
                    Some(letter) if letter.is_ascii_alphabetic() => Step::Class {
                        not: false,
                        ranges: vec![(*letter, *letter)],
                    },
                    Some(byte) => Step::Byte(*byte),
                    None => Step::Never,
                });
            }
            byte => steps.push(Step::Byte(*byte)),
        }
        at += 1;
    }
    steps
}

/// The class whose first byte stands at `at`, and the place behind its end.
fn class(pattern: &[u8], at: usize) -> (Step, usize) {
    let mut at = at;
    let not = matches!(pattern.get(at), Some(b'!' | b'^'));
    if not {
        at += 1;
    }
    let mut ranges: Vec<(u8, u8)> = Vec::new();
    let first = at;
    loop {
        let Some(byte) = pattern.get(at).copied() else {
            return (Step::Never, pattern.len());
        };
        match byte {
            b']' if at > first => return (Step::Class { not, ranges }, at + 1),
            b'[' if pattern.get(at + 1) == Some(&b':') => {
                let name = &pattern[at + 2..];
                let Some(end) = memchr::memchr(b']', name) else {
                    return (Step::Never, pattern.len());
                };
                let Some(name) = name[..end].strip_suffix(b":") else {
                    // Nothing has a name here, and no range begins with the bracket.
                    ranges.push((b'[', b'['));
                    at += 1;
                    continue;
                };
                let Some(named) = named(name) else {
                    return (Step::Never, pattern.len());
                };
                ranges.extend(named);
                at += 2 + end + 1;
                continue;
            }
            _ => {}
        }
        let one = |at: usize| match pattern.get(at)? {
            b'\\' => Some((*pattern.get(at + 1)?, at + 2)),
            byte => Some((*byte, at + 1)),
        };
        let Some((low, after)) = one(at) else {
            return (Step::Never, pattern.len());
        };
        at = after;
        // Where a range begins counts even where its end comes before.
        ranges.push((low, low));
        let is_range =
            pattern.get(at) == Some(&b'-') && !matches!(pattern.get(at + 1), Some(b']') | None);
        if !is_range {
            continue;
        }
        let Some((high, after)) = one(at + 1) else {
            return (Step::Never, pattern.len());
        };
        ranges.push((low, high));
        at = after;
    }
}

fn named(name: &[u8]) -> Option<&'static [(u8, u8)]> {
    Some(match name {
        b"alnum" => &[(b'0', b'9'), (b'A', b'Z'), (b'a', b'z')],
        b"alpha" => &[(b'A', b'Z'), (b'a', b'z')],
        b"blank" => &[(b' ', b' '), (b'\t', b'\t')],
        b"cntrl" => &[(0, 31), (127, 127)],
        b"digit" => &[(b'0', b'9')],
        b"graph" => &[(33, 126)],
        b"lower" => &[(b'a', b'z')],
        b"print" => &[(32, 126)],
        b"punct" => &[(33, 47), (58, 64), (91, 96), (123, 126)],
        b"space" => &[(9, 13), (b' ', b' ')],
        b"upper" => &[(b'A', b'Z')],
        b"xdigit" => &[(b'0', b'9'), (b'A', b'F'), (b'a', b'f')],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        let name = path.rsplit('/').next().expect("a name");
        Glob::new(pattern.as_bytes(), false).matches(path.as_bytes(), name.as_bytes(), &mut 0)
    }

    #[test]
    fn patterns_match_what_they_match_for_git() {
        for (pattern, yes, no) in [
            ("a", "x/a", "ab"),
            ("*.o", "x/y/a.o", "a.o/b"),
            ("/a", "a", "x/a"),
            ("x/*.o", "x/a.o", "x/y/a.o"),
            ("x/**", "x/y/z", "x"),
            ("**/z", "x/y/z", "xz"),
            ("**/z", "z", "z/a"),
            ("a/**/b", "a/b", "ab"),
            ("a/**/b", "a/x/y/b", "a/xb"),
            ("a?c", "abc", "ac"),
            ("[a-c]x", "bx", "dx"),
            ("[!a-c]x", "dx", "ax"),
            ("[]x]", "]", "a"),
            ("[[:digit:]]*", "1a", "a1"),
            ("\\*", "*", "a"),
            ("****/?", "a/b/c", "a/bc"),
            ("a**b", "axxb", "axx"),
            ("x/a**b", "x/aqb", "x/a/b"),
            ("a/*/c", "a/b/c", "a/b/b/c"),
        ] {
            assert!(matches(pattern, yes), "{pattern} {yes}");
            assert!(!matches(pattern, no), "{pattern} {no}");
        }
        // A class without an end is no pattern.
        assert!(!matches("a[", "a["));
        let readme = Glob::new(b"REadme*", true);
        assert!(readme.matches(b"readME.md", b"readME.md", &mut 0));
        assert!(Glob::new(b"*.O", true).matches(b"x/a.o", b"a.o", &mut 0));
    }

    #[test]
    fn no_pattern_takes_for_ever() {
        let pattern = "*a".repeat(200) + "b";
        let name = "a".repeat(4000);
        assert!(!matches(&pattern, &name));
        let pattern = "**/a/".repeat(100) + "b";
        let path = "a/".repeat(2000) + "c";
        assert!(!matches(&pattern, &path));
    }
}
