//! Where the paths of a configuration lead: one rule for all of them.
//!
//! A relative path starts from the folder of the file that names it, so that it leads to the same place whoever starts
//! vigil, and from where; one that begins with `~/` starts from the home folder.

use std::path::{Path, PathBuf};

use super::Config;
use crate::policies::Named;

impl Config {
    /// The same configuration with absolute paths. `folder` holds the file that it was read from.
    pub(super) fn located(mut self, folder: &Path, home: &Path) -> Config {
        let start = Start { folder, home };
        let files = [&mut self.github.token_file, &mut self.webhooks.secret_file];
        let of_tokens = self.github.token.iter_mut().map(|token| &mut token.file);
        let of_sources = self.source.values_mut().map(|source| &mut source.home);
        for path in files
            .into_iter()
            .chain(of_tokens)
            .chain(of_sources)
            .flatten()
        {
            *path = start.of(path);
        }
        if let Some(app) = &mut self.github.app {
            app.key_file = start.of(&app.key_file);
        }
        for policy in &mut self.policy {
            start.of_policy(&mut policy.path);
        }
        // A program without a slash is looked for on the PATH.
        if let Some(program) = self.notify.command.first_mut()
            && program.contains('/')
        {
            start.of_text(program);
        }
        self
    }
}

/// Where paths start.
struct Start<'a> {
    folder: &'a Path,
    home: &'a Path,
}

impl Start<'_> {
    fn of(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("~") {
            Ok(below) => self.home.join(below),
            Err(_) => self.folder.join(path),
        }
    }

    /// A built-in's bare name stays one, whatever lies in the folder.
    fn of_policy(&self, path: &mut String) {
        if let Named::File(_) = Named::of(path) {
            self.of_text(path);
        }
    }

    /// A folder whose name is no text leaves it as it is.
    fn of_text(&self, path: &mut String) {
        if let Ok(text) = self.of(Path::new(path)).into_os_string().into_string() {
            *path = text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_starts_from_the_folder_of_its_file() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("default.wasm"), "mine").expect("a file");
        let text = "[source.a]\nkind = \"vigilante\"\nhome = \"a\"\n\
                    [source.b]\nkind = \"vigilante\"\nhome = \"~/b\"\n\
                    [[policy]]\npath = \"rules/team.wasm\"\n\
                    [github]\ntoken_file = \"token\"\n\
                    [[github.token]]\nowners = [\"acme\"]\nfile = \"/run/acme\"\n\
                    [github.app]\nid = 1\nkey_file = \"../app.pem\"\n\
                    [notify]\ncommand = [\"./tell\", \"./as-it-is\"]\n\
                    [webhooks]\nsecret_file = \"~/secret\"\n";
        let read = |text: &str| toml::from_str::<Config>(text).expect("a configuration");
        let config = read(text).located(Path::new("/etc/vigil"), Path::new("/home/me"));
        let shown = toml::to_string(&config).expect("TOML");
        for path in [
            "/etc/vigil/a\"",
            "/home/me/b\"",
            "\"/etc/vigil/rules/team.wasm\"",
            "\"/etc/vigil/token\"",
            "\"/run/acme\"",
            "\"/etc/vigil/../app.pem\"",
            "\"/etc/vigil/./tell\", \"./as-it-is\"",
            "\"/home/me/secret\"",
        ] {
            assert!(shown.contains(path), "{path} is not in {shown}");
        }
        // A built-in's bare name is the built-in, also beside a file of that name; with a separator it is the file.
        for (written, meant) in [
            ("default.wasm", "default.wasm".to_owned()),
            (
                "./default.wasm",
                format!("{}/./default.wasm", folder.path().display()),
            ),
            ("~/default.wasm", "/home/me/default.wasm".to_owned()),
        ] {
            let config = read(&format!("[[policy]]\npath = \"{written}\"\n"));
            let config = config.located(folder.path(), Path::new("/home/me"));
            assert_eq!(config.policy[0].path, meant);
        }
        let program = read("[notify]\ncommand = [\"notify-send\"]\n");
        let program = program.located(Path::new("/etc"), Path::new("/home/me"));
        assert_eq!(program.notify.command, ["notify-send"]);
    }
}
