//! The committed face is the one that the generator makes of the committed description.

use std::path::Path;
use std::process::Command;

#[test]
fn the_face_is_what_the_generator_makes() {
    let bindings = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new("python3")
        .args(["-m", "generate", "--check", "node"])
        .current_dir(bindings)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}
