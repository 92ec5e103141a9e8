//! The description that the faces of every language are generated from is the committed one.

use std::path::Path;

/// `NAKIVO_UPDATE=1` writes it anew.
#[test]
fn the_description_is_the_committed_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../api.json");
    let mut described = serde_json::to_string_pretty(&nakivo_bindings::api::describe()).unwrap();
    described.push('\n');
    if std::env::var_os("NAKIVO_UPDATE").is_some() {
        std::fs::write(&path, &described).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap();
    assert!(
        committed == described,
        "bindings/api.json is stale: NAKIVO_UPDATE=1 cargo test -p nakivo-bindings --test api"
    );
}
