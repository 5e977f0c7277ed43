//! What the configuration file may say. TOML; every key has a default, so that `vigil run` works without a file.

mod github;
mod notify;
mod paths;
mod policy;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::environment::Environment;
use crate::failure::{Failure, Kind};
use crate::policies;
use crate::webhooks::WebhooksConfig;

pub(crate) use github::Wrong;
pub use github::{AppConfig, AppId, GitHubConfig, TokenConfig};
pub use notify::NotifyConfig;
pub use policy::{OnFailure, OnRefused, PolicyConfig};

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The daemon.
    pub run: Run,
    /// The systems whose sessions are reconciled, by name. None: one Vigilante at its usual place.
    pub source: BTreeMap<String, SourceConfig>,
    /// The chain, in order. None: the built-in default policy. `--policy` replaces it.
    pub policy: Vec<PolicyConfig>,
    /// How GitHub is asked.
    pub github: GitHubConfig,
    /// Where notices go.
    pub notify: NotifyConfig,
    /// Which intents of a policy are carried out.
    pub grants: GrantsConfig,
    /// How long the journal is kept.
    pub journal: JournalConfig,
    /// How GitHub wakes vigil, for `vigil run --listen`.
    pub webhooks: WebhooksConfig,
}

/// `[run]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// From the start of one pass to the start of the next.
    pub interval: Span,
}

impl Default for Run {
    fn default() -> Self {
        // A minute: a merged pull request is noticed while its author still looks, and where nothing changed a pass costs
        // no point of the 5,000 an hour.
        Run {
            interval: Span::minutes(1),
        }
    }
}

/// `[source.NAME]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    /// The kind of system.
    pub kind: SourceKind,
    /// Its folder. None: `$VIGILANTE_HOME`, else `~/.vigilante`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<PathBuf>,
    /// Whether vigil may write to it.
    #[serde(default)]
    pub mode: Mode,
    /// How long a session counts as at work after its last sign of life.
    #[serde(default = "fresh_for")]
    pub fresh_for: Span,
    /// Labels that, on an issue, say that the work is done. Compared to the letter.
    #[serde(default = "final_labels")]
    pub final_labels: Vec<String>,
    /// A pull request that was closed without a merge ends its session even while the issue is open. Off: then a
    /// person decides.
    #[serde(default)]
    pub closed_pr_is_final: bool,
    /// Names of processes that do no work on any session, such as editors and language servers that stay behind in a
    /// worktree.
    #[serde(default)]
    pub ignore_processes: Vec<String>,
    /// Patterns of branches on which merged work counts as landed, besides the record's base and the repository's
    /// default branch.
    #[serde(default, deserialize_with = "patterns")]
    pub landing_branches: Vec<String>,
    /// Whether the system runs in the same pid namespace as vigil, so that recorded pids mean the same to both.
    /// None: find out; inside a container that takes a running system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_pid_namespace: Option<bool>,
}

/// 30 min: agents think for minutes, and a build in a worktree is silent for longer than people expect.
fn fresh_for() -> Span {
    Span::minutes(30)
}

/// A pattern that can name no branch is told with its place.
fn patterns<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let patterns = Vec::<String>::deserialize(deserializer)?;
    for pattern in &patterns {
        vigil_core::landing::check(pattern).map_err(serde::de::Error::custom)?;
    }
    Ok(patterns)
}

fn final_labels() -> Vec<String> {
    vec!["vigilante:done".to_owned()]
}

impl SourceConfig {
    /// A Vigilante with nothing but defaults.
    pub fn vigilante() -> Self {
        SourceConfig {
            kind: SourceKind::Vigilante,
            home: None,
            mode: Mode::default(),
            fresh_for: fresh_for(),
            final_labels: final_labels(),
            closed_pr_is_final: false,
            ignore_processes: Vec::new(),
            landing_branches: Vec::new(),
            same_pid_namespace: None,
        }
    }
}

/// The kinds of system that vigil knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// github.com/aliengiraffe/vigilante
    Vigilante,
}

/// Whether vigil may write to a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// It writes transitions back.
    #[default]
    Reconcile,
    /// It judges and journals, and writes nothing.
    Observe,
}

/// `[grants]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrantsConfig {
    /// Kinds of intents that are carried out.
    pub kinds: BTreeSet<String>,
}

impl Default for GrantsConfig {
    fn default() -> Self {
        GrantsConfig {
            kinds: vigil_core::intents::Grants::default().kinds,
        }
    }
}

/// Intents that this version can carry out when they are granted.
pub const CARRIED_OUT: [&str; 1] = ["notify"];

/// `[journal]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct JournalConfig {
    /// Rows older than this go.
    pub max_age: Span,
    /// The oldest rows go while the journal is larger than this, in megabytes.
    pub max_size_mb: u64,
}

impl Default for JournalConfig {
    fn default() -> Self {
        JournalConfig {
            max_age: Span(Duration::from_secs(30 * 24 * 3600)),
            max_size_mb: 2000,
        }
    }
}

/// A length of time as people write it: `90s`, `30m`, `1h 30m`, `30 days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub struct Span(pub Duration);

impl Span {
    /// Whole minutes.
    pub const fn minutes(n: u64) -> Span {
        Span(Duration::from_secs(n * 60))
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text).map(Span).map_err(|error| {
            format!("\"{text}\" is no length of time ({error}); write 90s, 30m or 2h")
        })
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Span;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a length of time in quotes, such as \"90s\", \"30m\" or \"2h\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A configuration and where it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What it says, defaults filled in.
    pub config: Config,
    /// The file; it need not be there when nobody asked for it by name.
    pub path: PathBuf,
    /// Whether the file was there.
    pub found: bool,
}

/// Reads the file that was named, or the one in the configuration folder when there is one.
pub fn load(named: Option<&Path>, environment: &Environment) -> Result<Loaded, Failure> {
    let usual = environment.config_dir.join("config.toml");
    let path = named.map_or(usual, Path::to_owned);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => {
            return Ok(Loaded {
                config: filled(Config::default()),
                path,
                found: false,
            });
        }
        Err(error) => {
            return Err(
                Failure::new(Kind::Request, format!("failed to read {}", path.display()))
                    .because(error)
                    .hint("name a file that is there and can be read, or leave --config out"),
            );
        }
    };
    let config: Config = toml::from_str(&text).map_err(|error| {
        Failure::new(
            Kind::Request,
            format!("{} is not a configuration", path.display()),
        )
        .because(anyhow::Error::msg(without_secrets(&error.to_string())))
        .hint("`vigil --config /dev/null config show` prints every key with its default")
    })?;
    check(&config, &path)?;
    let absolute = std::path::absolute(&path).unwrap_or_else(|_| path.clone());
    let folder = absolute.parent().unwrap_or(&absolute);
    let config = config.located(folder, &environment.home);
    Ok(Loaded {
        config: filled(config),
        path,
        found: true,
    })
}

/// What the parser says, without the secrets that somebody wrote where none belongs: errors go to journals. It quotes the
/// line that it stumbled over.
fn without_secrets(text: &str) -> String {
    const KEYS: [&str; 3] = ["secret", "token", "password"];
    let quoted = text.lines().find_map(|line| {
        let (_, line) = line.split_once(" | ")?;
        let (key, value) = line.split_once('=')?;
        let value = value.trim().trim_matches(['"', '\'']);
        (KEYS.contains(&key.trim()) && !value.is_empty()).then_some(value)
    });
    match quoted {
        Some(secret) => without_tokens(&text.replace(secret, "[...]")),
        None => without_tokens(text),
    }
}

/// The same text without what looks like GitHub's tokens.
fn without_tokens(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = text;
    while let Some(start) = rest.find(in_word) {
        let word = &rest[start..];
        let end = word.find(|c| !in_word(c)).unwrap_or(word.len());
        kept.push_str(&rest[..start]);
        kept.push_str(match looks_like_token(&word[..end]) {
            true => "[token]",
            false => &word[..end],
        });
        rest = &word[end..];
    }
    kept.push_str(rest);
    kept
}

/// Whether a text begins as GitHub's tokens do.
fn looks_like_token(text: &str) -> bool {
    ["ghp_", "github_pat_", "gho_", "ghu_", "ghs_", "ghr_"]
        .iter()
        .any(|prefix| text.starts_with(prefix))
}

/// Whether a text can be the name of a variable. What is none is shown nowhere: it may be the secret itself.
pub(crate) fn is_variable(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !looks_like_token(text)
}

fn filled(mut config: Config) -> Config {
    if config.source.is_empty() {
        config
            .source
            .insert("vigilante".to_owned(), SourceConfig::vigilante());
    }
    if config.policy.is_empty() {
        config.policy.push(PolicyConfig::of(policies::DEFAULT));
    }
    config
}

/// The shortest interval between two passes: a pass of a small fleet takes a second or two.
pub const INTERVAL_MIN: Span = Span(Duration::from_secs(5));

/// What the types alone cannot say.
fn check(config: &Config, path: &Path) -> Result<(), Failure> {
    let wrong = |what: String, hint: &str| {
        Err(Failure::new(Kind::Request, format!("{}: {what}", path.display())).hint(hint))
    };
    if config.run.interval < INTERVAL_MIN {
        return wrong(
            "run.interval is under 5 s".into(),
            "GitHub asks for no more than it can answer: use 30s or more",
        );
    }
    for name in config.source.keys() {
        if name.is_empty()
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        {
            return wrong(
                format!("\"{name}\" is no name for a source"),
                "use letters, digits, - and _",
            );
        }
    }
    let of_paths = config
        .source
        .iter()
        .filter_map(|(name, source)| Some((format!("source.{name}.home"), source.home.as_ref()?)));
    if let Some((key, _)) = of_paths
        .into_iter()
        .find(|(_, path)| path.as_os_str().is_empty())
    {
        return wrong(format!("{key} is empty"), "name a folder, or leave it out");
    }
    if let Err((what, hint)) = config.github.check() {
        return wrong(what, hint);
    }
    if let Err((what, hint)) = config.webhooks.check() {
        return wrong(what, hint);
    }
    if let Err((what, hint)) = config.notify.check(config) {
        return wrong(what, hint);
    }
    if let Some(kind) = config
        .grants
        .kinds
        .iter()
        .find(|kind| !CARRIED_OUT.contains(&kind.as_str()))
    {
        return wrong(
            format!("grants.kinds names {kind}, which this version cannot carry out"),
            "this version carries out: notify",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Loaded, String> {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).expect("a file");
        load(Some(&path), &Environment::default()).map_err(|failure| format!("{failure:#}"))
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        let loaded = parse("").expect("a configuration");
        assert_eq!(loaded.config.run.interval, Span::minutes(1));
        assert_eq!(loaded.config.source["vigilante"], SourceConfig::vigilante());
        assert_eq!(loaded.config.policy[0].path, "default.wasm");
    }

    #[test]
    fn a_wrong_key_is_named_with_its_place() {
        let error = parse("[run]\ninterval = \"1m\"\nintervall = 3\n").expect_err("refused");
        assert!(
            error.contains("intervall") && error.contains("line 3"),
            "{error}"
        );
    }

    #[test]
    fn a_wrong_span_is_named_with_its_place() {
        let error = parse("[run]\ninterval = \"soon\"\n").expect_err("refused");
        assert!(error.contains("\"soon\" is no length of time"), "{error}");
    }

    #[test]
    fn a_secret_that_stands_where_none_belongs_is_not_repeated() {
        for text in [
            "[webhooks]\nsecret = \"hunter2\"\n",
            "[github]\ntoken = 'hunter2'\n",
            "[github]\ntoken_file = [\"ghp_hunter2\"]\n",
            "[github]\nkey = \"github_pat_hunter2\"\n",
        ] {
            let error = parse(text).expect_err("refused");
            assert!(!error.contains("hunter2"), "{error}");
            assert!(error.contains("line 2") && error.contains('['), "{error}");
        }
    }

    #[test]
    fn a_webhook_for_notices_is_an_address_that_is_not_repeated() {
        for address in ["ftp://hooks.test/hunter2", "hunter2", "https:///hunter2"] {
            let text = format!("[notify]\nwebhook = \"{address}\"\n");
            let error = parse(&text).expect_err("refused");
            assert!(error.contains("notify.webhook"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        parse("[notify]\nwebhook = \"http://127.0.0.1:9/x\"\n").expect("an address");
    }

    #[test]
    fn a_grant_that_nothing_would_carry_out_is_refused() {
        let error = parse("[grants]\nkinds = [\"notify\", \"comment\"]\n").expect_err("refused");
        assert!(error.contains("comment"), "{error}");
    }

    #[test]
    fn a_token_or_an_app_that_cannot_be_meant_is_named_with_its_place() {
        for (text, what) in [
            (
                "[[github.token]]\nowners = [\"acme\"]\n",
                "github.token[0] has neither env nor file",
            ),
            (
                "[[github.token]]\nowners = [\"acme\"]\nenv = \"A\"\nfile = \"/a\"\n",
                "github.token[0] has both env and file",
            ),
            (
                "[[github.token]]\nowners = []\nenv = \"A\"\n",
                "github.token[0].owners is empty",
            ),
            (
                "[[github.token]]\nowners = [\"acme/app\"]\nenv = \"A\"\n",
                "github.token[0].owners names \"acme/app\"",
            ),
            (
                "[[github.token]]\nowners = [\"acme\"]\nenv = \"A\"\n\
                 [[github.token]]\nowners = [\"b\", \"ACME\"]\nenv = \"B\"\n",
                "github.token[1].owners names ACME, whom github.token[0].owners names too",
            ),
            (
                "[[github.token]]\nowners = [\"acme\"]\nenv = \"A\"\n\
                 [github.app]\nid = 1\nkey_file = \"/k\"\nowners = [\"acme\"]\n",
                "github.app.owners names acme, whom github.token[0].owners names too",
            ),
            (
                "[github.app]\nid = 1\nkey_file = \"/k\"\nowners = []\n",
                "github.app.owners is empty",
            ),
            (
                "[github.app]\nid = \" \"\nkey_file = \"/k\"\n",
                "github.app.id is empty",
            ),
            (
                "[github]\nhost = \"https://git.acme.test\"\n",
                "which is no host's name",
            ),
            ("[github.app]\nkey_file = \"/k\"\n", "id"),
        ] {
            let error = parse(text).expect_err(what);
            assert!(error.contains(what), "{error}");
        }
    }

    #[test]
    fn tokens_and_an_app_can_be_read_back() {
        let text = "[[github.token]]\nowners = [\"acme\", \"beta\"]\nenv = \"ACME_TOKEN\"\n\
                    [[github.token]]\nowners = [\"gamma\"]\nfile = \"/run/secrets/gamma\"\n\
                    [github.app]\nid = \"Iv1.0123\"\nkey_file = \"/etc/vigil/app.pem\"\n";
        let config = parse(text).expect("a configuration").config;
        assert_eq!(config.github.token.len(), 2);
        let app = config.github.app.as_ref().expect("an App");
        assert_eq!(app.id.to_string(), "Iv1.0123");
        let shown = toml::to_string_pretty(&config).expect("TOML");
        assert_eq!(parse(&shown).expect("a configuration").config, config);
    }

    #[test]
    fn a_missing_file_matters_only_when_it_was_named() {
        let mut nowhere = Environment::default();
        nowhere.config_dir = "/nowhere".into();
        assert!(!load(None, &nowhere).expect("defaults").found);
        assert!(load(Some(Path::new("/nowhere/x.toml")), &nowhere).is_err());
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        let text = toml::to_string(&filled(Config::default())).expect("TOML");
        assert_eq!(
            parse(&text).expect("a configuration").config,
            filled(Config::default())
        );
    }
}
