//! `[notify]`: where notices go.

use serde::{Deserialize, Serialize};

use super::{Config, Wrong, is_variable};

/// Variables that hold a token. No child gets one, whatever is configured.
const TOKENS: [&str; 4] = [
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "GH_ENTERPRISE_TOKEN",
    "GITHUB_ENTERPRISE_TOKEN",
];

/// `[notify]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotifyConfig {
    /// A program with its arguments; the notice comes as JSON on standard input.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Names of variables that the program gets beside those that every program gets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub environment: Vec<String>,
    /// An address to which the notice is posted as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
}

impl NotifyConfig {
    /// What is wrong with it, as a part of `config`.
    pub(super) fn check(&self, config: &Config) -> Result<(), Wrong> {
        // The value is not shown: whoever knows it may send there.
        if let Some(address) = &self.webhook
            && !address.parse::<http::Uri>().is_ok_and(|uri| {
                matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some()
            })
        {
            return Err((
                "notify.webhook is no address of a web server".to_owned(),
                "write it as in https://hooks.example.org/vigil",
            ));
        }
        // What is no name may be a value, and that a secret: it is not shown.
        if self.environment.iter().any(|name| !is_variable(name)) {
            return Err((
                "notify.environment has something that is no name of a variable".to_owned(),
                "name variables, without = and their values",
            ));
        }
        let listed = config.github.token.iter();
        let secrets: Vec<&str> = TOKENS
            .into_iter()
            .chain(listed.filter_map(|token| token.env.as_deref()))
            .chain(config.webhooks.secret_env.as_deref())
            .collect();
        if let Some(name) = self
            .environment
            .iter()
            .find(|name| secrets.contains(&name.as_str()))
        {
            return Err((
                format!("notify.environment names {name}, which holds a secret of vigil's"),
                "give the program a secret of its own, in a variable of its own",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_of_vigils_is_given_to_the_program() {
        let check = |name: &str| {
            let text = format!(
                "[notify]\nenvironment = [\"SLACK\", {name:?}]\n\
                 [[github.token]]\nowners = [\"acme\"]\nenv = \"ACME_TOKEN\"\n\
                 [webhooks]\nsecret_env = \"HOOK_SECRET\"\n"
            );
            let config: Config = toml::from_str(&text).expect("TOML");
            config.notify.check(&config)
        };
        for name in [
            "GH_TOKEN",
            "GITHUB_ENTERPRISE_TOKEN",
            "ACME_TOKEN",
            "HOOK_SECRET",
        ] {
            let (what, _) = check(name).expect_err("refused");
            assert!(what.contains(name) && what.contains("secret"), "{what}");
        }
        for name in ["", "A=b", "a b"] {
            let (what, _) = check(name).expect_err("refused");
            assert!(what.contains("no name of a variable"), "{what}");
        }
        check("TEAM_HOOK").expect("it may have its own");
    }
}
