//! Settings as a type of the author's own.

use serde::de::DeserializeOwned;

use crate::Context;

impl Context {
    /// The policy's settings as a `T`; fields that are not set take `T`'s defaults when it has `#[serde(default)]`.
    ///
    /// No settings cost nothing: for `{}` no parser runs.
    ///
    /// # Errors
    /// When the settings do not fit `T`. The host has checked them against the schema in [`crate::About`], so this
    /// means that the schema and `T` disagree; the text names the field and is fit for
    /// [`try_decide`](crate::Policy::try_decide).
    pub fn settings_as<T: DeserializeOwned + Default>(&self) -> Result<T, String> {
        match self.settings.trim() {
            "" | "{}" => Ok(T::default()),
            settings => serde_json::from_str(settings)
                .map_err(|error| format!("the settings do not fit the policy: {error}")),
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
    }

    #[test]
    fn settings_are_read_or_default_or_say_what_is_wrong() {
        let read = |settings: &str| context().settings(settings).settings_as::<Patience>();
        assert_eq!(read("{}"), Ok(Patience { minutes: 0 }));
        assert_eq!(read(r#"{"minutes":7}"#), Ok(Patience { minutes: 7 }));
        let wrong = read(r#"{"hours":7}"#);
        assert!(
            matches!(&wrong, Err(text) if text.contains("hours")),
            "{wrong:?}"
        );
    }
}
