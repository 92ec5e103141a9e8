//! The plan of the house, checked: who may depend on whom, what is named in one place only, what lies at the top level.
//!
//! The rules are explained in `docs/architecture.md`. To add a crate, add it there and to [`CRATES`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A crate of ours, the crates of ours it may depend on, and those that its tests may use besides.
struct Room {
    name: &'static str,
    depends: &'static [&'static str],
    tests: &'static [&'static str],
}

const CRATES: [Room; 11] = [
    Room {
        name: "nakivo-repo-format",
        depends: &[],
        tests: &[],
    },
    Room {
        name: "nakivo-scheduler",
        depends: &[],
        tests: &[],
    },
    Room {
        name: "nakivo-core",
        depends: &["nakivo-repo-format", "nakivo-scheduler"],
        // The testkit stands on core; cargo allows the circle for tests alone.
        tests: &["nakivo-testkit"],
    },
    Room {
        name: "nakivo-graph-connector",
        depends: &["nakivo-core"],
        tests: &["nakivo-graph-emulator", "nakivo-testkit"],
    },
    Room {
        name: "nakivo-graph-emulator",
        depends: &[],
        tests: &[],
    },
    Room {
        name: "nakivo-testkit",
        depends: &["nakivo-core", "nakivo-repo-format"],
        tests: &["nakivo-graph-connector", "nakivo-graph-emulator"],
    },
    Room {
        name: "nakivo-cli",
        depends: &["nakivo-core", "nakivo-graph-connector", "nakivo-graph-emulator"],
        tests: &["nakivo-testkit"],
    },
    Room {
        name: "nakivo-bindings",
        depends: &["nakivo-core", "nakivo-graph-connector", "nakivo-graph-emulator"],
        tests: &[],
    },
    Room {
        name: "nakivo-python",
        depends: &["nakivo-bindings"],
        tests: &[],
    },
    Room {
        name: "nakivo-node",
        depends: &["nakivo-bindings"],
        tests: &[],
    },
    Room {
        name: "nakivo-uniffi",
        depends: &["nakivo-bindings"],
        tests: &[],
    },
];

/// Crates that do I/O, wait, or ask for randomness: the two leaves have none of them.
const IO_CRATES: [&str; 15] = [
    "async-trait",
    "axum",
    "futures",
    "getrandom",
    "graph-rs-sdk",
    "hyper",
    "object_store",
    "rand",
    "reqwest",
    "rustix",
    "sled",
    "tempfile",
    "tokio",
    "tokio-util",
    "tracing",
];

/// What lies at the top of the tree besides names that begin with a dot.
const TOP_LEVEL: [&str; 11] = [
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "bindings",
    "core",
    "docs",
    "frontends",
    "fuzz",
    "graph-connector",
    "repo-format",
    "scheduler",
];
const TOP_LEVEL_OPTIONAL: [&str; 3] = ["LICENSE", "rust-toolchain.toml", "target"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The workspace's packages. Declared dependencies are all that is asked for, so nothing is resolved or downloaded.
fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn name(package: &Value) -> &str {
    package["name"].as_str().unwrap()
}

/// Names of the declared dependencies of one kind: `null` (normal), `dev` or `build`.
fn dependencies<'a>(package: &'a Value, kind: Option<&str>) -> BTreeSet<&'a str> {
    let all = package["dependencies"].as_array().unwrap().iter();
    all.filter(|d| d["kind"].as_str() == kind)
        .map(|d| d["name"].as_str().unwrap())
        .collect()
}

/// Every file below `folder` whose name ends with `suffix`, build output and hidden folders left out.
fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let file_name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !file_name.starts_with('.') && file_name != "target" && file_name != "node_modules" {
                    folders.push(path);
                }
            } else if file_name.ends_with(suffix) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Files of Rust code below `folder` with a line, comments left out, that contains `word`.
fn naming(folder: &Path, word: &str) -> Vec<PathBuf> {
    let code = |line: &&str| !line.trim_start().starts_with("//");
    let mut found = files(folder, ".rs");
    found.retain(|path| {
        !path.ends_with("architecture.rs") && read(path).lines().filter(code).any(|line| line.contains(word))
    });
    found
}

/// As [`naming`], without unit tests, which stand at the end of a file or in a file of their own.
fn shipped_code_naming(folder: &Path, word: &str) -> Vec<PathBuf> {
    let mut found = naming(folder, word);
    found.retain(|path| {
        let text = read(path);
        let shipped = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        path.file_name().unwrap() != "tests.rs" && shipped.contains(word)
    });
    found
}

#[test]
fn every_arrow_points_down() {
    let rooms: BTreeMap<&str, &Room> = CRATES.iter().map(|room| (room.name, room)).collect();
    let packages = packages();
    let ours: BTreeSet<&str> = packages.iter().map(name).collect();
    assert_eq!(
        ours,
        rooms.keys().copied().collect(),
        "a crate came or went: say in CRATES what it may depend on"
    );
    for package in &packages {
        let room = rooms[name(package)];
        for (kind, allowed) in [
            (None, room.depends.to_vec()),
            (Some("build"), Vec::new()),
            (Some("dev"), [room.depends, room.tests].concat()),
        ] {
            for dependency in dependencies(package, kind) {
                assert!(
                    !ours.contains(dependency) || allowed.contains(&dependency),
                    "{} may not depend on {dependency} ({})",
                    room.name,
                    kind.unwrap_or("normal")
                );
            }
        }
    }
}

#[test]
fn leaves_do_no_io() {
    for package in packages() {
        if ["nakivo-repo-format", "nakivo-scheduler"].contains(&name(&package)) {
            for dependency in dependencies(&package, None) {
                assert!(
                    !IO_CRATES.contains(&dependency),
                    "{} depends on {dependency}",
                    name(&package)
                );
            }
        }
    }
    for folder in ["repo-format/src", "scheduler/src"] {
        for word in ["std::fs", "std::net", "std::env", "std::process", "std::thread"] {
            assert_eq!(
                shipped_code_naming(&root().join(folder), word),
                Vec::<PathBuf>::new(),
                "{folder} names {word}"
            );
        }
    }
}

#[test]
fn one_file_names_the_graph_sdk_and_one_module_names_sled() {
    for package in packages() {
        for kind in [None, Some("dev"), Some("build")] {
            let graph = dependencies(&package, kind).contains("graph-rs-sdk");
            assert!(
                !graph || name(&package) == "nakivo-graph-connector",
                "{} depends on graph-rs-sdk",
                name(&package)
            );
            let sled = dependencies(&package, kind).contains("sled");
            assert!(
                !sled || name(&package) == "nakivo-core",
                "{} depends on sled",
                name(&package)
            );
        }
    }
    let sdk = naming(&root(), "graph_rs_sdk");
    assert_eq!(sdk.len(), 1, "graph_rs_sdk is named in {sdk:?}");
    assert!(sdk[0].starts_with(root().join("graph-connector/src")), "{sdk:?}");
    let sled = naming(&root(), "sled::");
    assert!(sled.len() <= 1, "sled is named in {sled:?}");
}

#[test]
fn a_server_may_host_the_library() {
    for folder in [
        "core/src",
        "graph-connector/src",
        "repo-format/src",
        "scheduler/src",
    ] {
        for word in [
            "std::env::",
            "env::var",
            "home_dir",
            "std::process::exit",
            "stdin()",
        ] {
            assert_eq!(
                shipped_code_naming(&root().join(folder), word),
                Vec::<PathBuf>::new(),
                "{folder} names {word}"
            );
        }
    }
}

/// Lints cannot be inherited but one: what other languages ask for is unsafe by nature.
fn obeys_all_lints_but_of_unsafe_code(crate_name: &str, manifest: &str) {
    let workspace = read(&root().join("Cargo.toml"));
    let lints = workspace
        .lines()
        .skip_while(|line| !line.starts_with("[workspace.lints"));
    let lints = lints.take_while(|line| !line.starts_with("[profile"));
    for line in lints.filter(|line| !line.starts_with("unsafe_code")) {
        let line = line.replace("[workspace.", "[");
        assert!(manifest.contains(&line), "{crate_name}: {line} is missing");
    }
}

#[test]
fn every_crate_obeys_the_workspace() {
    for package in packages() {
        let manifest = read(Path::new(package["manifest_path"].as_str().unwrap()));
        if manifest.contains("pyo3") || manifest.contains("napi") || manifest.contains("uniffi") {
            obeys_all_lints_but_of_unsafe_code(name(&package), &manifest);
        } else {
            assert!(
                manifest.contains("[lints]\nworkspace = true"),
                "{}: lints.workspace is missing",
                name(&package)
            );
        }
        for inherited in ["version", "edition", "rust-version", "license", "publish"] {
            let line = format!("{inherited}.workspace = true");
            assert!(manifest.contains(&line), "{}: {line} is missing", name(&package));
        }
        let description = package["description"].as_str().unwrap_or_default();
        assert!(description.len() > 20, "{}: describe it", name(&package));
        let tests = package["targets"].as_array().unwrap().iter();
        let tests = tests.filter(|target| target["kind"][0] == "test").count();
        assert!(
            tests <= 1,
            "{}: one integration-test binary, for the time it takes to link",
            name(&package)
        );
    }
}

#[test]
fn the_top_level_is_the_agreed_list() {
    let entries = std::fs::read_dir(root())
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    let visible: BTreeSet<String> = entries.filter(|name| !name.starts_with('.')).collect();
    for wanted in TOP_LEVEL {
        assert!(visible.contains(wanted), "{wanted} is missing");
    }
    for name in &visible {
        let known = TOP_LEVEL.contains(&name.as_str()) || TOP_LEVEL_OPTIONAL.contains(&name.as_str());
        assert!(known, "{name} does not belong at the top level");
    }
    for folder in ["bindings", "fuzz", "frontends/server", "frontends/web"] {
        let something = std::fs::read_dir(root().join(folder)).unwrap().count();
        assert!(
            something > 0,
            "{folder} has neither content nor a README that says what will live there"
        );
    }
}

#[test]
fn the_map_shows_every_crate_and_its_folder() {
    let map = read(&root().join("docs/architecture.md"));
    for package in packages() {
        let folder = Path::new(package["manifest_path"].as_str().unwrap())
            .parent()
            .unwrap()
            .to_path_buf();
        let folder = folder
            .strip_prefix(root())
            .unwrap()
            .to_string_lossy()
            .replace('\\', "/");
        let row = format!("| `{}` | `{folder}` |", name(&package));
        assert!(
            map.contains(&row),
            "docs/architecture.md has no row that begins with {row}"
        );
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in files(&root(), ".md") {
        let text = read(&document);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap();
            if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let there = document.parent().unwrap().join(file);
            assert!(
                there.exists(),
                "{} links to {target}, which is not there",
                document.display()
            );
        }
    }
}
