//! Every operation of the library that is meant for callers is there in every language.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nakivo_bindings::api::{Api, describe};
use serde::Deserialize;

/// Where what callers use is, in core.
const SOURCES: [&str; 8] = [
    "repository",
    "director",
    "recovery",
    "registry",
    "copy",
    "backup",
    "retention",
    "repository.rs",
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Parity {
    operations: BTreeMap<String, Spelled>,
    not_for_callers: BTreeMap<String, String>,
    from_elsewhere: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spelled {
    python: String,
    node: String,
    kotlin: String,
}

fn bindings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn parity() -> Parity {
    let text = std::fs::read_to_string(bindings().join("parity.toml")).unwrap();
    toml::from_str(&text).unwrap()
}

/// Files of Rust below a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// `Repository::verify`, `copy::plan`: every public function of core where callers look, but for the `with_` of options.
fn functions_of_core() -> BTreeSet<String> {
    let core = bindings().join("../core/src");
    let mut found = Vec::new();
    files(&core, &mut found);
    let mut functions = BTreeSet::new();
    for file in found {
        let path = file.strip_prefix(&core).unwrap().with_extension("");
        let module: Vec<_> = path.iter().map(|part| part.to_str().unwrap()).collect();
        if !SOURCES.contains(&module[0]) {
            continue;
        }
        let mut owner = None;
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            if let Some(rest) = line.strip_prefix("impl") {
                let name = rest
                    .rsplit(" for ")
                    .next()
                    .unwrap()
                    .trim_start_matches(|c: char| c != ' ')
                    .trim();
                let name = rest.split_once(" for ").map_or(name, |(_, name)| name);
                owner = Some(
                    name.trim_end_matches('{')
                        .split('<')
                        .next()
                        .unwrap()
                        .trim()
                        .to_owned(),
                );
            } else if line.starts_with('}') {
                owner = None;
            }
            let declared = line.trim_start().strip_prefix("pub ").map(|rest| {
                let rest = rest.trim_start_matches("async ").trim_start_matches("const ");
                rest.strip_prefix("fn ")
                    .map(|rest| rest.split(['(', '<']).next().unwrap().to_owned())
            });
            if let Some(Some(name)) = declared
                && !name.starts_with("with_")
            {
                let owner = owner.clone().unwrap_or_else(|| module.join("::"));
                functions.insert(format!("{owner}::{name}"));
            }
        }
    }
    functions
}

fn in_table<T>(table: &BTreeMap<String, T>, name: &str, separator: &str) -> bool {
    let all = name
        .rsplit_once(separator)
        .map(|(owner, _)| format!("{owner}{separator}*"));
    table.contains_key(name) || all.is_some_and(|all| table.contains_key(&all))
}

#[test]
fn everything_of_the_library_is_either_for_callers_or_said_not_to_be() {
    let (parity, functions) = (parity(), functions_of_core());
    assert!(functions.len() > 120, "{functions:?}");
    let in_one_table = |function: &&String| {
        let listed = parity.operations.contains_key(*function);
        listed != in_table(&parity.not_for_callers, function, "::")
    };
    let astray: Vec<_> = functions
        .iter()
        .filter(|function| !in_one_table(function))
        .collect();
    assert!(
        astray.is_empty(),
        "each belongs into one table of bindings/parity.toml: {astray:?}"
    );
    let all = |name: &str| name.strip_suffix('*').map(str::to_owned);
    for name in parity.operations.keys().chain(parity.not_for_callers.keys()) {
        let there = all(name).map_or_else(
            || functions.contains(name),
            |prefix| functions.iter().any(|f| f.starts_with(&prefix)),
        );
        assert!(there, "{name} of bindings/parity.toml is not in the library");
    }
}

/// `Class.method` of everything that is described but runs and listings, which have a form of their own.
fn described(api: &Api) -> BTreeSet<String> {
    let own: BTreeSet<_> = api
        .runs
        .iter()
        .chain(&api.streams)
        .map(|(name, _)| *name)
        .collect();
    let classes = api.classes.iter().filter(|class| !own.contains(class.name));
    let methods = classes.flat_map(|class| {
        let methods = class.constructors.iter().chain(&class.methods);
        methods.map(|method| format!("{}.{}", class.name, method.name))
    });
    methods.collect()
}

#[test]
fn every_method_of_the_bindings_is_said_to_come_from_somewhere() {
    let parity = parity();
    let described = described(&describe());
    for name in &described {
        let from_core = parity.operations.values().any(|spelled| spelled.python == *name);
        let from_elsewhere = in_table(&parity.from_elsewhere, name, ".");
        assert!(
            from_core || from_elsewhere,
            "{name} is not in bindings/parity.toml"
        );
    }
    for spelled in parity.operations.values() {
        assert!(
            described.contains(&spelled.python),
            "{} is not described",
            spelled.python
        );
    }
}

/// What a class of a generated face holds: from its head to the next.
fn class_of<'a>(text: &'a str, head: &str) -> &'a str {
    let start = text.find(head).unwrap_or_else(|| panic!("no {head:?}"));
    let rest = &text[start + head.len()..];
    &rest[..rest
        .find("\nclass ")
        .or_else(|| rest.find("\nexport class "))
        .unwrap_or(rest.len())]
}

#[test]
fn every_language_has_every_operation() {
    let read = |path: &str| std::fs::read_to_string(bindings().join(path)).unwrap();
    let python = [
        read("python/package/nakivo/_classes.py"),
        read("python/package/nakivo/aio/_classes.py"),
    ];
    let node = read("node/face/generated/classes.ts");
    for (core, spelled) in &parity().operations {
        let (class, method) = spelled.python.split_once('.').unwrap();
        for text in &python {
            let body = class_of(text, &format!("\nclass {class}"));
            assert!(
                body.contains(&format!("def {method}(")),
                "{core}: {} in Python",
                spelled.python
            );
        }
        let (class, method) = spelled.node.split_once('.').unwrap();
        let body = class_of(&node, &format!("\nexport class {class} "));
        let there = body.contains(&format!("  {method}(")) || body.contains(&format!("  static {method}("));
        assert!(there, "{core}: {} in Node", spelled.node);
        // What is generated for Kotlin is held against the description by bindings/uniffi/names.py.
        assert_eq!(spelled.kotlin, spelled.node, "{core}");
    }
}
