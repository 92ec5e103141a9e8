//! What `--help` says is a promise: a change of it is a change of these files. `NAKIVO_UPDATE=1` rewrites them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::support::Place;

/// What the help of a command says that there is below it.
fn subcommands(help: &str) -> Vec<String> {
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    listed
        .take_while(|line| !line.is_empty())
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The help of every command, by the command's words.
fn help_of_all() -> BTreeMap<String, String> {
    let place = Place::new();
    let mut open = vec![String::new()];
    let mut found = BTreeMap::new();
    while let Some(command) = open.pop() {
        let mut arguments: Vec<&str> = command.split_whitespace().collect();
        arguments.push("--help");
        let ran = place.run(&arguments).ok();
        assert_eq!(ran.stderr, "", "{command}");
        let below = subcommands(&ran.stdout);
        open.extend(
            below
                .iter()
                .map(|name| format!("{command} {name}").trim().to_owned()),
        );
        found.insert(command, ran.stdout);
    }
    assert!(found.len() > 20, "{:?}", found.keys());
    found
}

#[test]
fn help_of_every_command_is_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/help");
    let update = std::env::var_os("NAKIVO_UPDATE").is_some();
    let mut names = BTreeSet::new();
    for (command, help) in help_of_all() {
        if subcommands(&help).is_empty() {
            assert!(help.contains("Example"), "{command} shows no example");
        }
        let name = match command.as_str() {
            "" => "nakivo.txt".to_owned(),
            command => format!("{}.txt", command.replace(' ', "-")),
        };
        let file = folder.join(&name);
        names.insert(name);
        if update {
            std::fs::write(&file, &help).unwrap();
        }
        let recorded = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(
            help, recorded,
            "help of '{command}' changed; NAKIVO_UPDATE=1 records it"
        );
    }
    for entry in std::fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "{name} is the help of no command");
    }
}

#[test]
fn no_option_takes_a_secret() {
    for (command, help) in help_of_all() {
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
