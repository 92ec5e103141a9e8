//! What `--help` says is a promise: a change of it is a change of these files. `NAKIVO_UPDATE=1` rewrites them.

use std::path::Path;

use crate::support::Place;

const COMMANDS: [&str; 18] = [
    "",
    "demo",
    "emulate",
    "repo",
    "repo init",
    "repo info",
    "repo verify",
    "repo copy",
    "backup",
    "backup folder",
    "backup m365",
    "object list",
    "point list",
    "point delete",
    "browse",
    "find",
    "recover",
    "export",
];

#[test]
fn help_of_every_command_is_as_recorded() {
    let place = Place::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/help");
    let update = std::env::var_os("NAKIVO_UPDATE").is_some();
    for command in COMMANDS {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let ran = place.run(&arguments).ok();
        assert_eq!(ran.stderr, "", "{command}");
        if command.contains(' ')
            || ["demo", "emulate", "browse", "find", "recover", "export"].contains(&command)
        {
            assert!(ran.stdout.contains("Example"), "{command} shows no example");
        }
        let name = if command.is_empty() {
            "nakivo".to_owned()
        } else {
            command.replace(' ', "-")
        };
        let file = folder.join(format!("{name}.txt"));
        if update {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&file, &ran.stdout).unwrap();
        }
        let recorded = std::fs::read_to_string(&file).unwrap();
        assert_eq!(
            ran.stdout, recorded,
            "help of '{command}' changed; NAKIVO_UPDATE=1 records it"
        );
    }
}

#[test]
fn no_option_takes_a_secret() {
    let place = Place::new();
    for command in COMMANDS {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let help = place.run(&arguments).stdout;
        for option in [
            "--passphrase ",
            "--password",
            "--secret",
            "--client-secret",
            "--key ",
        ] {
            assert!(!help.contains(option), "{command} has {option}");
        }
    }
}

#[test]
fn version_is_an_answer() {
    let ran = Place::new().run(&["--version"]).ok();
    assert!(ran.stdout.starts_with("nakivo "), "{ran:?}");
}
