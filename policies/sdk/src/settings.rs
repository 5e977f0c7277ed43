//! Settings as a type of the author's own.

use serde::de::DeserializeOwned;

use crate::Context;

/// 200 bytes of the settings are shown in an error: enough to recognise them, short enough for one line.
const SHOWN_BYTES_MAX: usize = 200;

impl Context {
    /// The policy's settings as a `T`; fields that are not set take `T`'s defaults when it has `#[serde(default)]`.
    ///
    /// No settings cost nothing: for `{}` no parser runs. The parser is a small one, which has to be told each type:
    /// what serde calls self-describing (untagged enums, flattened fields, a value of any type) is an error.
    ///
    /// # Errors
    /// When the settings do not fit `T`. The host has checked them against the schema in [`crate::About`], so this
    /// means that the schema and `T` disagree; the text shows the settings and is fit for
    /// [`try_decide`](crate::Policy::try_decide).
    pub fn settings_as<T: DeserializeOwned + Default>(&self) -> Result<T, String> {
        let settings = self.settings.trim();
        if matches!(settings, "" | "{}") {
            return Ok(T::default());
        }
        let fail = |why: &dyn std::fmt::Display| {
            let end = settings.floor_char_boundary(SHOWN_BYTES_MAX);
            format!(
                "the settings {} do not fit the policy: {why}",
                &settings[..end]
            )
        };
        // No text gets longer when its escapes are resolved.
        let mut unescaped = vec![0; settings.len()];
        match serde_json_core::from_str_escaped(settings, &mut unescaped) {
            Ok((read, used)) if used == settings.len() => Ok(read),
            Ok(_) => Err(fail(&"there is more text after the object")),
            Err(error) => Err(fail(&error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use crate::evidence::context;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default, deny_unknown_fields)]
    struct Patience {
        minutes: u32,
        labels: Vec<String>,
        grace: Option<f64>,
    }

    fn read(settings: &str) -> Result<Patience, String> {
        context().settings(settings).settings_as()
    }

    #[test]
    fn settings_are_read_or_default() {
        assert_eq!(read("{}"), Ok(Patience::default()));
        let full = r#" { "labels": ["a\"b", "ü\u00fc"], "minutes": 7, "grace": 0.5 } "#;
        let expected = Patience {
            minutes: 7,
            labels: vec!["a\"b".into(), "üü".into()],
            grace: Some(0.5),
        };
        assert_eq!(read(full), Ok(expected));
    }

    #[test]
    fn settings_that_do_not_fit_are_shown() {
        for wrong in [
            r#"{"hours":7}"#,
            r#"{"minutes":"seven"}"#,
            r#"{"minutes":7} {}"#,
            r#"{"minutes":7"#,
            "[]",
        ] {
            let error = read(wrong).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
