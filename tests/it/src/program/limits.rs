//! What happens where the system gives vigil next to nothing: one clear error, never a panic.

use std::process::{Command, Stdio};

use super::stage::{Ran, Stage, ran};

/// Runs vigil in a shell that has set a limit.
fn limited(stage: &Stage, limit: &str, arguments: &[&str]) -> Ran {
    let vigil = stage.vigil(arguments);
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("{limit}; exec \"$@\""), "sh"])
        .arg(vigil.get_program())
        .args(vigil.get_args())
        .current_dir(stage.user())
        .env_clear()
        .envs(
            vigil
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        )
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::null());
    ran(&mut shell)
}

#[test]
fn with_too_few_files_it_says_so_and_how_to_get_more() {
    let stage = Stage::with_merged(1);
    let before = stage.sessions();
    for files in 4..=40 {
        let run = limited(
            &stage,
            &format!("ulimit -n {files}"),
            &["run", "--once", "--policy", "default.wasm"],
        );
        assert!(!run.err.contains("panicked"), "{files} files: {run:#?}");
        match run.code {
            Some(0) => return,
            Some(1) if files >= 8 => {
                assert!(run.err.contains("files open at once"), "{run:#?}");
                assert!(run.err.contains("ulimit -n"), "{run:#?}");
                assert_eq!(run.err.matches("error:").count(), 1, "{run:#?}");
            }
            // The system cannot even load the program's libraries.
            Some(1 | 127) => {}
            _ => panic!("{files} files: {run:#?}"),
        }
        assert_eq!(stage.sessions(), before);
    }
    panic!("40 files are enough");
}

#[test]
fn a_low_limit_that_may_be_raised_is_raised() {
    let stage = Stage::with_merged(1);
    let run = limited(
        &stage,
        "ulimit -S -n 10",
        &["run", "--once", "--policy", "default.wasm"],
    );
    run.ended(0);
    assert_eq!(stage.record(1)["status"], "success");
}
