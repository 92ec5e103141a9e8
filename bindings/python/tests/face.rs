//! The face of the package is what the description says: `python3 -m generate` writes it.

use std::path::Path;
use std::process::Command;

#[test]
fn the_face_is_generated_from_the_committed_description() {
    let bindings = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let output = Command::new(python)
        .args(["-B", "-m", "generate", "--check", "python"])
        .current_dir(bindings)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
