//! What a process is, by its name and its arguments: an agent, a shell, or something that does work of its own.

/// Programs that run another one named in their arguments.
const INTERPRETERS: &[&str] = &["node", "nodejs", "bun", "deno", "npx", "bunx", "tsx"];

/// Arguments of an interpreter that are looked at: options come first, then the script.
const ARGUMENTS_MAX: usize = 4;

/// The kernel keeps this many bytes of a process's name.
const NAME_BYTES_MAX: usize = 15;

/// Shells. One that waits for a person does no work, and what it starts has a process of its own.
const SHELLS: &[&str] = &[
    "ash", "bash", "busybox", "csh", "dash", "elvish", "fish", "ksh", "ksh93", "mksh", "nu", "osh",
    "pwsh", "rbash", "sh", "tcsh", "xonsh", "yash", "zsh",
];

/// Programs that hold others, and work for nobody themselves: terminals, logins, the system's own helpers. Some of them
/// may not be looked at even by who started them.
const HOLDERS: &[&str] = &[
    "(sd-pam)",
    "SCREEN",
    "abduco",
    "dbus-broker",
    "dbus-broker-lau",
    "dbus-daemon",
    "doas",
    "dtach",
    "fusermount",
    "fusermount3",
    "gpg-agent",
    "init",
    "login",
    "mosh-server",
    "screen",
    "script",
    "ssh-agent",
    "sshd",
    "sshd-auth",
    "sshd-session",
    "su",
    "sudo",
    "systemd",
    "tmux",
    "tmux: client",
    "tmux: server",
    "ttyd",
    "zellij",
];

/// vigil's own name and that of the sessions' owner: what they do in a worktree is no work on it.
const KEEPERS: &[&str] = &["vigil", "vigilante"];

/// Processes that take in those whose parent has ended.
const REAPERS: &[&str] = &[
    "catatonit",
    "conmon",
    "containerd-shim",
    "docker-init",
    "dumb-init",
    "init",
    "runsvdir",
    "s6-svscan",
    "systemd",
    "tini",
];

/// What a process calls itself.
#[derive(Debug, Default)]
pub(crate) struct Program {
    /// The kernel's name for it.
    pub(crate) name: String,
    /// With which it was started, its own name first. A program may have written over them.
    pub(crate) arguments: Vec<String>,
    /// The file that it runs, where its name alone says nothing.
    pub(crate) file: Option<String>,
}

impl Program {
    /// Whether the process is called `name`, or is an interpreter at work on a program of that name.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        let program = self.called();
        if program_is(&self.name, name) || program_is(program, name) || is_cut(&self.name, name) {
            return true;
        }
        // `~/.local/share/claude/versions/2.1.332`: an agent that keeps its versions side by side.
        if let Some(file) = &self.file
            && file
                .rsplit('/')
                .skip(1)
                .take(2)
                .any(|part| program_is(part, name))
        {
            return true;
        }
        // A shell's `claude` is a script that node runs: /usr/lib/node_modules/@anthropic-ai/claude-code/cli.js.
        (INTERPRETERS.contains(&program) || INTERPRETERS.contains(&self.name.as_str()))
            && self
                .arguments
                .iter()
                .skip(1)
                .take(ARGUMENTS_MAX)
                .any(|argument| argument.split('/').any(|part| program_is(part, name)))
    }

    /// Whether nothing that the process does is work on a worktree: a shell at its prompt, a terminal, vigil itself.
    pub(crate) fn is_idle(&self) -> bool {
        let is = |names: &[&str]| names.contains(&self.name.as_str());
        is(HOLDERS) || is(KEEPERS) || (is(SHELLS) && self.script().is_none())
    }

    /// Whether it takes in processes whose parent has ended.
    pub(crate) fn is_reaper(&self) -> bool {
        REAPERS.contains(&self.name.as_str())
    }

    /// How people are told of it: on one line, and never empty. A shell at work on a script goes by the script's name.
    pub(crate) fn shown(&self) -> String {
        let script = SHELLS
            .contains(&self.name.as_str())
            .then(|| self.script())
            .flatten();
        let name = match script {
            Some(script) => script.rsplit('/').next().unwrap_or(script),
            None => &self.name,
        };
        let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
        match name.trim() {
            "" => "a process without a name".to_owned(),
            name => name.to_owned(),
        }
    }

    /// The last part of the name that it was started under.
    fn called(&self) -> &str {
        let program = self.arguments.first().map_or("", String::as_str);
        program.rsplit('/').next().unwrap_or(program)
    }

    /// The script that a shell runs. `None`: it takes commands from its caller or from a person.
    fn script(&self) -> Option<&str> {
        // Options of the usual shells that take the next argument with them.
        const TAKE: &[&str] = &[
            "--init-command",
            "--init-file",
            "--rcfile",
            "+O",
            "+o",
            "-C",
            "-O",
            "-o",
        ];
        let mut arguments = self.arguments.iter().skip(1);
        while let Some(argument) = arguments.next() {
            if TAKE.contains(&argument.as_str()) {
                arguments.next();
                continue;
            }
            let Some(options) = argument.strip_prefix(['-', '+']) else {
                return Some(argument);
            };
            let long = options.starts_with('-');
            if options.is_empty() || argument == "--command" {
                return None;
            }
            // `-c` is a command, `-s` the standard input; both may stand among others, as in `-lc`.
            if !long && options.contains(['c', 's']) {
                return None;
            }
        }
        None
    }
}

/// `claude`, `claude.js`, `claude-code`, `.claude-wrapped`, and not `claudette`.
fn program_is(part: &str, name: &str) -> bool {
    part.strip_prefix('.')
        .unwrap_or(part)
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.', '@']))
}

/// Whether `kept` is what the kernel kept of `name`.
fn is_cut(kept: &str, name: &str) -> bool {
    kept.len() == NAME_BYTES_MAX && name.starts_with(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(name: &str, arguments: &[&str]) -> Program {
        Program {
            name: name.to_owned(),
            arguments: arguments.iter().map(|&text| text.to_owned()).collect(),
            file: None,
        }
    }

    #[test]
    fn names_are_compared_by_whole_words() {
        for (name, arguments, expected) in [
            ("claude", &[][..], true),
            ("node", &["claude"], true),
            ("x", &["/usr/bin/claude", "-p"], true),
            ("claude-native", &["/opt/claude-native"], true),
            (".claude-wrapped", &[], true),
            ("node", &["node", "/x/claude-code/cli.js"], true),
            ("node", &["node", "--no-warnings", "/x/.bin/claude"], true),
            ("bun", &["bun", "run", "claude.ts"], true),
            ("claudette", &["claudette"], false),
            (".claudette", &[], false),
            ("node", &["node", "/x/server.js", "claudette"], false),
            ("node", &["node", "cli.js"], false),
            ("2.1.332", &["2.1.332"], false),
            ("vim", &["vim", "claude.md"], false),
            ("grep", &["grep", "claude"], false),
            ("node", &["node", "a", "b", "c", "d", "claude"], false),
        ] {
            assert_eq!(
                program(name, arguments).is_named("claude"),
                expected,
                "{name} {arguments:?}"
            );
        }
        // The kernel keeps the first 15 bytes.
        assert!(program("typescript-lang", &[]).is_named("typescript-language-server"));
        assert!(!program("typescript", &[]).is_named("typescript-language-server"));
    }

    #[test]
    fn a_version_is_named_by_where_its_file_lies() {
        for (file, expected) in [
            ("/home/u/.local/share/claude/versions/2.1.332", true),
            ("/home/u/.claude/2.1.332", true),
            ("/home/claude/work/bin/2.1.332", false),
            ("/opt/claudette/versions/2.1.332", false),
        ] {
            let program = Program {
                file: Some(file.to_owned()),
                ..program("2.1.332", &["2.1.332"])
            };
            assert_eq!(program.is_named("claude"), expected, "{file}");
        }
    }

    #[test]
    fn shells_and_terminals_do_no_work_of_their_own() {
        for (name, arguments, idle, shown) in [
            ("bash", &["-bash"][..], true, "bash"),
            ("zsh", &["zsh", "-i"], true, "zsh"),
            ("sh", &["sh", "-c", "sleep 600"], true, "sh"),
            ("bash", &["bash", "-lc", "x"], true, "bash"),
            (
                "bash",
                &["bash", "--init-file", "/x/shell.sh"],
                true,
                "bash",
            ),
            ("fish", &["fish", "-C", "source x"], true, "fish"),
            ("bash", &["bash", "-s"], true, "bash"),
            ("bash", &["bash", "-e", "/w/ralph.sh"], false, "ralph.sh"),
            ("sh", &["/bin/sh", "./run"], false, "run"),
            // The kernel calls a script that is started by its own name just so.
            ("ralph.sh", &["/bin/bash", "./ralph.sh"], false, "ralph.sh"),
            ("tmux: server", &["tmux"], true, "tmux: server"),
            ("(sd-pam)", &["(sd-pam)"], true, "(sd-pam)"),
            ("vigil", &["vigil", "run"], true, "vigil"),
            ("vigilante", &["vigilante", "daemon"], true, "vigilante"),
            ("node", &["node", "cli.js"], false, "node"),
            ("2.1.332", &["claude"], false, "2.1.332"),
            ("nvim", &["nvim"], false, "nvim"),
            ("sleep", &["sleep", "600"], false, "sleep"),
            ("a\u{1b}[31m", &[], false, "a[31m"),
            ("", &[], false, "a process without a name"),
        ] {
            let program = program(name, arguments);
            assert_eq!(program.is_idle(), idle, "{name} {arguments:?}");
            assert_eq!(program.shown(), shown, "{name} {arguments:?}");
        }
    }
}
