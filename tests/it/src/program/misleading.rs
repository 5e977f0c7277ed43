//! Characters that turn a text around or cannot be seen: wherever they come from, they reach no reader.

use serde_json::json;
use vigil::demo::Made;
use vigil::demo::home::REPO;

use super::stage::Stage;

#[test]
fn the_name_of_a_policy_turns_no_text_around() {
    let stage = Stage::new();
    let built_in = xtask::command::root().join("policies/dist/default.wasm");
    let mut component = std::fs::read(built_in).expect("a component");
    let (name, turned) = (b"default", "de\u{202e}lt".as_bytes());
    assert_eq!(name.len(), turned.len());
    let mut places = component.windows(name.len());
    let at = places.position(|place| place == name).expect("its name");
    assert!(
        !places.any(|place| place == name),
        "nothing else is called so"
    );
    component[at..at + name.len()].copy_from_slice(turned);
    let path = stage.path("turned.wasm");
    std::fs::write(&path, component).expect("a file");
    let path = path.to_str().expect("text");
    for arguments in [
        &["policy", "inspect", path][..],
        &["policy", "inspect", path, "--json"],
        &["run", "--once", "--policy", path],
    ] {
        let ran = stage.run(arguments);
        let said = format!("{}{}", ran.out, ran.err);
        assert_eq!(ran.code, Some(0), "{arguments:?}: {said:?}");
        assert!(!said.contains('\u{202e}'), "{arguments:?}: {said:?}");
    }
}

#[test]
fn what_turns_a_text_around_or_cannot_be_seen_reaches_no_reader() {
    const MISLEADING: [char; 8] = [
        '\u{202e}', '\u{2066}', '\u{200b}', '\u{2028}', '\u{200f}', '\u{feff}', '\u{9b}', '\u{1b}',
    ];
    let odd: String = MISLEADING.iter().map(|c| format!("a{c}b")).collect();
    for key in ["repo", "branch", "status", "provider"] {
        let mut stage = Stage::new();
        let value = match key {
            "repo" => format!("acme/{odd}"),
            _ => odd.clone(),
        };
        let made = Made {
            issue: 1,
            extra: serde_json::Map::from_iter([(key.to_owned(), json!(value))]),
            ..Made::default()
        };
        stage.home.add(&made).expect("a session");
        stage.write();
        let id = match key {
            "repo" => format!("{value}#1"),
            _ => format!("{REPO}#1"),
        };
        stage.pass();
        for arguments in [
            &["status"][..],
            &["status", "--offline", "--all", "--json"],
            &["explain", &id],
            &["explain", &id, "--json"],
            &["history"],
            &["doctor"],
        ] {
            let ran = stage.run(arguments);
            let said = format!("{}{}", ran.out, ran.err);
            assert!(!said.is_empty(), "{key} {arguments:?}");
            let misled = MISLEADING.iter().find(|c| said.contains(**c));
            assert_eq!(misled, None, "{key} {arguments:?}: {said:?}");
        }
    }
}
