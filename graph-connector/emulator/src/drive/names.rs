//! Which names OneDrive takes.

/// Longest path below the root, in characters.
const MAX_PATH: usize = 400;

/// Why a name is refused; none if it is good.
pub(crate) fn refused(name: &str) -> Option<&'static str> {
    const RESERVED: [&str; 7] = [".lock", "con", "prn", "aux", "nul", "_vti_", "desktop.ini"];
    let lower = name.to_lowercase();
    let stem = lower.split('.').next().unwrap_or("");
    let numbered = |prefix: &str| {
        stem.strip_prefix(prefix)
            .is_some_and(|rest| rest.len() == 1 && rest.chars().all(|c| c.is_ascii_digit()))
    };
    if name.is_empty() {
        Some("The name is empty.")
    } else if name.chars().any(|c| "\"*:<>?/\\|".contains(c) || c.is_control()) {
        Some("The name contains characters that are not allowed.")
    } else if name.starts_with([' ', '~']) || name.ends_with([' ', '.']) {
        Some("The name begins or ends with a character that is not allowed there.")
    } else if RESERVED.contains(&lower.as_str())
        || RESERVED.contains(&stem)
        || numbered("com")
        || numbered("lpt")
    {
        Some("The name is reserved.")
    } else {
        None
    }
}

/// Whether a path is too long.
pub(crate) fn too_long(path: &str) -> bool {
    path.chars().count() >= MAX_PATH
}

/// `name`, `name 1`, `name 2` ...: the `n`-th name that OneDrive tries when it renames.
pub(crate) fn numbered(name: &str, n: u32) -> String {
    match name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((stem, extension)) => format!("{stem} {n}.{extension}"),
        None => format!("{name} {n}"),
    }
}
