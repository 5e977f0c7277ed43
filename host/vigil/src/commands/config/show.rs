//! The configuration as a file that could be written: every key with the value that counts, and those that have none as
//! comments.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::config::{Config, GitHubConfig};

/// Keys that need not be set: their table, where `*` stands for any name, how one is written, and what holds without it.
const UNSET: [(&str, &str, &str, &str); 10] = [
    ("source.*", "home", "\"FOLDER\"", "not set"),
    (
        "source.*",
        "same_pid_namespace",
        "true",
        "not set: found out",
    ),
    ("policy.*", "settings", "{ KEY = VALUE }", "not set"),
    ("github", "token_file", "\"FILE\"", "not set"),
    ("github.app", "owners", "[\"OWNER\"]", "not set: everybody"),
    (
        "notify",
        "command",
        "[\"PROGRAM\", \"ARGUMENT\"]",
        "not set",
    ),
    (
        "notify",
        "environment",
        "[\"VARIABLE\"]",
        "not set: what every program gets",
    ),
    ("notify", "webhook", "\"https://...\"", "not set"),
    ("webhooks", "secret_env", "\"VARIABLE\"", "not set"),
    ("webhooks", "secret_file", "\"FILE\"", "not set"),
];

/// Tables that need not be there, as a whole.
const UNSET_TABLES: [(&str, &str, &str); 2] = [
    (
        "github",
        "token",
        "# [[github.token]]  # not set: a token for some owners\n\
         # owners = [\"OWNER\"]\n\
         # env = \"VARIABLE\"  # this or file\n\
         # file = \"FILE\"",
    ),
    (
        "github",
        "app",
        "# [github.app]  # not set: a GitHub App that asks\n\
         # id = 123456\n\
         # key_file = \"FILE\"\n\
         # owners = [\"OWNER\"]",
    ),
];

/// The configuration as TOML. What is in comments may be left out; read back, the text says the same as `config`.
///
/// # Errors
/// A value that TOML has no form for.
pub(super) fn toml(config: &Config) -> Result<String, toml::ser::Error> {
    let mut parts = Vec::new();
    let mut table = |key: &str, part: Result<Part, toml::ser::Error>| {
        let mut part = part?;
        let unset = UNSET
            .iter()
            .filter(|(table, unset, ..)| *table == key && !has(&part.value, unset));
        for (_, unset, example, without) in unset {
            let comment = format!("\n# {unset} = {example}  # {without}");
            part.text.push_str(&comment);
        }
        parts.push(part.text);
        Ok::<_, toml::ser::Error>(())
    };
    table("run", Part::of(&["run"], &config.run))?;
    for (name, source) in &config.source {
        table("source.*", Part::of(&["source", name], source))?;
    }
    for policy in &config.policy {
        table("policy.*", Part::listed(&["policy"], policy))?;
    }
    let github = GitHubConfig {
        token: Vec::new(),
        app: None,
        ..config.github.clone()
    };
    table("github", Part::of(&["github"], &github))?;
    for token in &config.github.token {
        table("github.token", Part::listed(&["github", "token"], token))?;
    }
    if let Some(app) = &config.github.app {
        table("github.app", Part::of(&["github", "app"], app))?;
    }
    table("notify", Part::of(&["notify"], &config.notify))?;
    table("grants", Part::of(&["grants"], &config.grants))?;
    table("journal", Part::of(&["journal"], &config.journal))?;
    table("webhooks", Part::of(&["webhooks"], &config.webhooks))?;
    let shown = json!(config);
    let missing = UNSET_TABLES
        .iter()
        .filter(|(table, key, _)| !has(&shown[table], key))
        .map(|(_, _, text)| (*text).to_owned());
    parts.extend(missing);
    Ok(parts.join("\n\n"))
}

/// The same as JSON, where a key that is not set is `null`.
pub(super) fn json(config: &Config) -> Value {
    let mut shown = json!(config);
    let tables = UNSET_TABLES.iter().map(|(table, key, _)| (*table, *key));
    let keys = UNSET.iter().map(|(table, key, ..)| (*table, *key));
    for (table, key) in keys.chain(tables) {
        for_each(&mut shown, table, &mut |table| {
            if let Value::Object(fields) = table {
                fields.entry(key).or_insert(Value::Null);
            }
        });
    }
    shown
}

/// Calls `change` with every table that is there and is called so.
fn for_each(value: &mut Value, table: &str, change: &mut dyn FnMut(&mut Value)) {
    let (name, rest) = table.split_once('.').unwrap_or((table, ""));
    match value {
        _ if table.is_empty() => change(value),
        Value::Object(fields) if name == "*" => {
            fields
                .values_mut()
                .for_each(|one| for_each(one, rest, change));
        }
        Value::Array(all) if name == "*" => {
            all.iter_mut().for_each(|one| for_each(one, rest, change));
        }
        Value::Object(fields) => {
            if let Some(one) = fields.get_mut(name) {
                for_each(one, rest, change);
            }
        }
        _ => {}
    }
}

/// A table, as a part of the file.
struct Part {
    value: Value,
    text: String,
}

impl Part {
    fn of(path: &[&str], value: &impl Serialize) -> Result<Part, toml::ser::Error> {
        Part::new(path, false, value)
    }

    /// One of a list of tables.
    fn listed(path: &[&str], value: &impl Serialize) -> Result<Part, toml::ser::Error> {
        Part::new(path, true, value)
    }

    fn new(path: &[&str], listed: bool, value: &impl Serialize) -> Result<Part, toml::ser::Error> {
        let below = Below {
            path,
            listed,
            value,
        };
        Ok(Part {
            value: json!(value),
            text: toml::to_string_pretty(&below)?.trim_end().to_owned(),
        })
    }
}

/// A value below a path of tables. The order of its keys is that of its type.
struct Below<'a, T> {
    path: &'a [&'a str],
    listed: bool,
    value: &'a T,
}

impl<T: Serialize> Serialize for Below<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.path {
            [name, path @ ..] => serializer.collect_map([(name, Below { path, ..*self })]),
            [] if self.listed => serializer.collect_seq([self.value]),
            [] => self.value.serialize(serializer),
        }
    }
}

fn has(table: &Value, key: &str) -> bool {
    table.get(key).is_some_and(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key that there is, set.
    const ALL: &str = r#"
        [run]
        interval = "2m"
        [source.vigilante]
        kind = "vigilante"
        home = "/v"
        mode = "observe"
        fresh_for = "45m"
        final_labels = ["done"]
        closed_pr_is_final = true
        ignore_processes = ["gopls"]
        landing_branches = ["release/*"]
        same_pid_namespace = false
        [[policy]]
        path = "team.wasm"
        on_failure = "pass"
        on_refused = "pass"
        settings = { label = "[github]", deep = { er = [1, 2] } }
        [[policy]]
        path = "default.wasm"
        [github]
        token_file = "/t"
        host = "git.acme.test"
        api_url = "https://git.acme.test/api/v3"
        graphql_url = "https://git.acme.test/api/graphql"
        request_timeout = "10s"
        reserve = 30
        share = 20
        [[github.token]]
        owners = ["acme"]
        env = "ACME"
        [[github.token]]
        owners = ["beta"]
        file = "/b"
        [github.app]
        id = 7
        key_file = "/k"
        owners = ["gamma"]
        [notify]
        command = ["tell"]
        environment = ["TELL_TOKEN"]
        webhook = "https://example.org"
        [grants]
        kinds = ["notify"]
        [journal]
        max_age = "10days"
        max_size_mb = 10
        [webhooks]
        secret_env = "S"
        secret_file = "/s"
        hosts = ["vigil.example.org"]
        resync = "20m"
    "#;

    fn keys(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    // What a policy's settings are called is its own affair.
                    if key != "settings" {
                        keys(value, found);
                    }
                    found.push(key.clone());
                }
            }
            Value::Array(all) => all.iter().for_each(|value| keys(value, found)),
            _ => {}
        }
    }

    fn read(text: &str) -> Config {
        toml::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    #[test]
    fn what_is_shown_reads_back_as_the_same_with_and_without_its_comments() {
        for config in [
            read(ALL),
            read(""),
            read("[github.app]\nid = 1\nkey_file = \"/k\"\n"),
        ] {
            let shown = super::toml(&config).expect("TOML");
            assert_eq!(read(&shown), config, "{shown}");
        }
    }

    #[test]
    fn every_key_is_shown_whether_it_is_set_or_not() {
        let mut all = Vec::new();
        keys(&json!(read(ALL)), &mut all);
        assert!(all.len() > 35, "{all:?}");
        let bare =
            read("[source.vigilante]\nkind = \"vigilante\"\n[[policy]]\npath = \"default.wasm\"\n");
        let shown = super::toml(&bare).expect("TOML");
        // What has its own place, and is filled in before it is shown.
        let placed = ["host", "api_url", "graphql_url"];
        let document = json(&bare);
        for key in all {
            let words = [
                format!("{key} = "),
                format!("[{key}]"),
                format!("[[{key}]]"),
                format!(".{key}]"),
                format!("[{key}."),
            ];
            assert!(
                placed.contains(&key.as_str()) || words.iter().any(|word| shown.contains(word)),
                "{key} is not in {shown}"
            );
        }
        assert_eq!(document["github"]["app"], Value::Null);
        for (table, key) in [
            ("notify", "command"),
            ("webhooks", "secret_file"),
            ("github", "token"),
        ] {
            assert_eq!(
                document[table].get(key),
                Some(&Value::Null),
                "{table}.{key}"
            );
        }
        assert_eq!(document["policy"][0].get("settings"), Some(&Value::Null));
        // With the comments taken for what they stand for, the text is a configuration still.
        let set: String = shown
            .lines()
            .map(|line| line.strip_prefix("# ").unwrap_or(line))
            .map(|line| format!("{}\n", line.replace("{ KEY = VALUE }", "{}")))
            .collect();
        read(&set);
    }
}
