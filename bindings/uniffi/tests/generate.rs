//! The other sides can be written from the library that is built. What is in them is held against the description by `test.sh`.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The library beside the program, or beside this test.
fn library() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_uniffi-bindgen"));
    let beside = program.parent().unwrap();
    let name = format!(
        "{}nakivo_uniffi{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    );
    let places = [beside.join(&name), beside.join("deps").join(&name)];
    places.into_iter().find(|place| place.exists()).unwrap()
}

#[test]
fn kotlin_swift_and_python_are_written_from_the_library() {
    let out = tempfile::tempdir().unwrap();
    for (language, file) in [
        ("kotlin", "nakivo/nakivo.kt"),
        ("swift", "nakivo.swift"),
        ("python", "nakivo.py"),
    ] {
        let done = Command::new(env!("CARGO_BIN_EXE_uniffi-bindgen"))
            .args([
                "generate",
                "--no-format",
                "--config",
                "uniffi.toml",
                "--language",
                language,
                "--out-dir",
            ])
            .arg(out.path())
            .arg(library())
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{language}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        let written = std::fs::read_to_string(out.path().join(file)).unwrap();
        assert!(written.contains("class Repository"), "{language}");
    }
}
