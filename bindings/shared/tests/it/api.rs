//! The description that the faces of every language are generated from is the committed one, and so is the catalogue of errors.

use std::fmt::Write as _;
use std::path::Path;

/// Whether a committed file is what it should be. `NAKIVO_UPDATE=1` writes it anew.
fn committed(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    if std::env::var_os("NAKIVO_UPDATE").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap();
    assert!(
        found == text,
        "{path} is stale: NAKIVO_UPDATE=1 cargo test -p nakivo-bindings --test it api::"
    );
}

#[test]
fn the_description_is_the_committed_one() {
    let mut described = serde_json::to_string_pretty(&nakivo_bindings::api::describe()).unwrap();
    described.push('\n');
    committed("bindings/api.json", &described);
}

#[test]
fn the_catalogue_of_errors_is_the_committed_one() {
    let mut page = "# Errors

Every error of the library has a code that does not change between releases, a line that says what happened, and where something can be
done about it a hint. Python and Node have an exception for each (`NotFoundError`; Node's `code` is `NAKIVO_NOT_FOUND`), Kotlin and Swift a case
of `NakivoException` and `NakivoError`; the command line writes the code with `--json`.

What is marked may succeed when it is called again without any change. A run that went only partly well is no error: its report says
`partial` and lists what is missing.

| code | what happened | what to do | again |
| --- | --- | --- | --- |
"
    .to_owned();
    for entry in nakivo_bindings::error::catalogue() {
        let again = if entry.retryable { "yes" } else { "" };
        writeln!(
            page,
            "| `{}` | {} | {} | {again} |",
            entry.code, entry.what, entry.todo
        )
        .unwrap();
    }
    committed("docs/errors.md", &page);
}
