//! Git's configuration files, as far as a look needs them. What they include is read only where the file belongs to the
//! person who runs vigil: a repository's own `include.path` could name anything.
//!
//! Not by gix-config (0.62): it takes lines that git refuses, and brings code along that starts git, locks and writes.

use vigil_core::fact::{Gap, GapKind};

/// 1 MiB: a repository with ten thousand branches that each have a section of their own.
pub(crate) const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Settings, the latest last.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    values: Vec<Setting>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    /// In lower case.
    section: String,
    /// As it is written; empty: none.
    subsection: String,
    /// In lower case.
    name: String,
    /// `None`: the name stands alone, which means "true".
    value: Option<String>,
}

impl Config {
    /// Adds what a file says. Its later settings win.
    pub(crate) fn add(&mut self, text: &[u8], of: &str) -> Result<(), Gap> {
        let text = String::from_utf8_lossy(text);
        let mut reader = Reader {
            rest: text.strip_prefix('\u{feff}').unwrap_or(&text),
            line: 1,
        };
        let read = reader.settings().map_err(|what| {
            Gap::new(
                GapKind::Malformed,
                format!("line {} of {of}: {what}", reader.line),
            )
        })?;
        self.values.extend(read);
        Ok(())
    }

    /// Adds what `other` says; it wins.
    pub(crate) fn extend(&mut self, other: &Config) {
        self.values.extend(other.values.iter().cloned());
    }

    fn all<'a>(
        &'a self,
        section: &str,
        subsection: &str,
        name: &str,
    ) -> impl DoubleEndedIterator<Item = Option<&'a str>> {
        self.values
            .iter()
            .filter(move |one| {
                one.section == section && one.subsection == subsection && one.name == name
            })
            .map(|one| one.value.as_deref())
    }

    /// The latest value of `section.name`; empty where the name stands alone.
    pub(crate) fn text(&self, section: &str, name: &str) -> Option<&str> {
        self.all(section, "", name)
            .next_back()
            .map(Option::unwrap_or_default)
    }

    /// The latest value of `section.name` as git reads a flag. `None`: it is not set, or is no flag.
    pub(crate) fn flag(&self, section: &str, name: &str) -> Option<bool> {
        let Some(value) = self.all(section, "", name).next_back()? else {
            return Some(true);
        };
        match value.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" | "" => Some(false),
            other => other.parse::<i64>().ok().map(|number| number != 0),
        }
    }

    /// Whether any of `names` of the section is set to something.
    pub(crate) fn is_set(&self, section: &str, subsection: &str, names: &[&str]) -> bool {
        names.iter().any(|name| {
            self.all(section, subsection, name)
                .next_back()
                .is_some_and(|value| value.is_some_and(|value| !value.is_empty()))
        })
    }

    /// All values of `section.subsection.name`.
    pub(crate) fn list<'a>(
        &'a self,
        section: &str,
        subsection: &str,
        name: &str,
    ) -> impl Iterator<Item = &'a str> {
        self.all(section, subsection, name).flatten()
    }

    /// The subsections of `section`, each once.
    pub(crate) fn subsections(&self, section: &str) -> Vec<&str> {
        let mut found: Vec<&str> = self
            .values
            .iter()
            .filter(|one| one.section == section && !one.subsection.is_empty())
            .map(|one| one.subsection.as_str())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Names and values of a section without subsection.
    pub(crate) fn section<'a>(
        &'a self,
        section: &str,
    ) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        self.values
            .iter()
            .filter(move |one| one.section == section && one.subsection.is_empty())
            .map(|one| (one.name.as_str(), one.value.as_deref()))
    }

    /// All names and values, in their order.
    #[cfg(test)]
    pub(crate) fn settings(&self) -> Vec<(String, Option<String>)> {
        let name = |one: &Setting| match one.subsection.as_str() {
            "" => format!("{}.{}", one.section, one.name),
            subsection => format!("{}.{subsection}.{}", one.section, one.name),
        };
        let all = self.values.iter();
        all.map(|one| (name(one), one.value.clone())).collect()
    }

    /// Whether a part of the configuration stands in other files, which were not read.
    pub(crate) fn includes(&self) -> bool {
        self.values
            .iter()
            .any(|one| matches!(one.section.as_str(), "include" | "includeif"))
    }
}

struct Reader<'a> {
    rest: &'a str,
    line: u32,
}

impl Reader<'_> {
    fn settings(&mut self) -> Result<Vec<Setting>, &'static str> {
        let mut found = Vec::new();
        let (mut section, mut subsection) = (String::new(), String::new());
        while let Some(next) = self.peek() {
            match next {
                '\n' | ' ' | '\t' | '\r' => {
                    self.take();
                }
                '#' | ';' => self.skip_line(),
                '[' => {
                    self.take();
                    (section, subsection) = self.heading()?;
                }
                letter if letter.is_ascii_alphabetic() => {
                    if section.is_empty() {
                        return Err("a setting stands before any section");
                    }
                    let name = self.word();
                    let value = self.value()?;
                    found.push(Setting {
                        section: section.clone(),
                        subsection: subsection.clone(),
                        name,
                        value,
                    });
                }
                _ => return Err("neither a section nor a setting"),
            }
        }
        Ok(found)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let taken = chars.next();
        self.rest = chars.as_str();
        if taken == Some('\n') {
            self.line += 1;
        }
        taken
    }

    fn skip_line(&mut self) {
        while self.peek().is_some_and(|next| next != '\n') {
            self.take();
        }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t')) || self.rest.starts_with("\r\n") {
            self.take();
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(next) = self.peek() {
            if !next.is_ascii_alphanumeric() && next != '-' {
                break;
            }
            word.push(next.to_ascii_lowercase());
            self.take();
        }
        word
    }

    /// What follows `[`: `section]`, `section "sub"]`, or the old `section.sub]`.
    fn heading(&mut self) -> Result<(String, String), &'static str> {
        let mut section = String::new();
        loop {
            match self.take() {
                Some(']') if !section.is_empty() => {
                    return Ok(match section.split_once('.') {
                        Some((section, subsection)) => (section.to_owned(), subsection.to_owned()),
                        None => (section, String::new()),
                    });
                }
                Some(' ' | '\t') => break,
                Some(letter) if letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.') => {
                    section.push(letter.to_ascii_lowercase());
                }
                _ => return Err("a section's name does not end"),
            }
        }
        self.skip_blanks();
        if self.take() != Some('"') {
            return Err("a section's second name has no quotes");
        }
        let mut subsection = String::new();
        loop {
            match self.take() {
                Some('"') => break,
                Some('\\') => subsection.extend(self.take()),
                None | Some('\n') => return Err("a section's second name does not end"),
                Some(letter) => subsection.push(letter),
            }
        }
        match self.take() {
            Some(']') => Ok((section, subsection)),
            _ => Err("a section's name does not end"),
        }
    }

    /// What follows a name.
    fn value(&mut self) -> Result<Option<String>, &'static str> {
        self.skip_blanks();
        match self.peek() {
            None | Some('\n') => return Ok(None),
            Some('=') => {
                self.take();
            }
            Some(_) => return Err("a setting's name is followed by something else than `=`"),
        }
        let mut value = String::new();
        // Blanks at the end do not count, unless they are quoted.
        let mut kept = 0;
        let mut quoted = false;
        loop {
            match self.take() {
                None if quoted => return Err("a quote does not end"),
                Some('\n') if quoted => return Err("a quote does not end"),
                None | Some('\n') => break,
                Some('"') => {
                    quoted = !quoted;
                    kept = value.len();
                }
                Some('\\') => {
                    match self.take() {
                        Some('\n') | None => {}
                        Some('\r') if self.peek() == Some('\n') => {
                            self.take();
                        }
                        Some('n') => value.push('\n'),
                        Some('t') => value.push('\t'),
                        Some('b') => value.push('\u{8}'),
                        Some(letter @ ('\\' | '"')) => value.push(letter),
                        _ => return Err("a backslash is followed by nothing that it could mean"),
                    }
                    kept = value.len();
                }
                Some('#' | ';') if !quoted => {
                    self.skip_line();
                }
                Some(letter) => {
                    let counts = quoted || !matches!(letter, ' ' | '\t' | '\r');
                    if counts || !value.is_empty() {
                        value.push(letter);
                    }
                    if counts {
                        kept = value.len();
                    }
                }
            }
        }
        value.truncate(kept);
        Ok(Some(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_git_reads_them() {
        let text = br#"
# a comment
[core]
	bare = false ; and another
	FileMode
	excludesFile = "~/a file" # the end
[remote "Origin"] fetch = +refs/heads/*:refs/remotes/origin/*
	fetch = +refs/x:refs/y
[branch.old] remote = a\
b
[filter "lfs"]
	clean = git-lfs clean -- %f
	process =
[x] quoted = "a;b" \"c\"
"#;
        let mut config = Config::default();
        config.add(text, "a file").expect("it reads");
        assert_eq!(config.flag("core", "bare"), Some(false));
        assert_eq!(config.flag("core", "filemode"), Some(true));
        assert_eq!(config.text("core", "excludesfile"), Some("~/a file"));
        assert_eq!(config.list("remote", "Origin", "fetch").count(), 2);
        assert_eq!(config.list("branch", "old", "remote").next(), Some("ab"));
        assert!(config.is_set("filter", "lfs", &["clean"]));
        assert!(!config.is_set("filter", "lfs", &["process"]));
        assert_eq!(config.text("x", "quoted"), Some("a;b \"c\""));
        assert_eq!(config.subsections("remote"), ["Origin"]);
        assert!(!config.includes());
        config
            .add(b"[x] blank = a b \t\r\n", "a file")
            .expect("it reads");
        assert_eq!(config.text("x", "blank"), Some("a b"));
        for (bad, line) in [
            ("a = b", 1),
            ("[core\n", 2),
            ("[core]\n a = \"b", 2),
            ("[core]\n= 1", 2),
        ] {
            let gap = Config::default()
                .add(bad.as_bytes(), "a file")
                .expect_err("it does not");
            assert!(
                gap.detail.starts_with(&format!("line {line} of a file")),
                "{gap}"
            );
        }
    }
}
