//! Ids of files: paths made into text and back, without losing a byte.

use std::ffi::OsString;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use nakivo_repo_format::record::ItemRecord;
use nakivo_repo_format::tree::MAX_ID_BYTES;

use super::Place;
use crate::fs::{name_bytes, name_from_bytes};

/// Begins the id of a path that is too long for an id. No path begins so.
const LONG: &str = "//";
/// Property with the exact name, escaped, of an entry whose name is not UTF-8.
pub(super) const ESCAPED_NAME: &str = "escaped_name";
/// Property with the target of a symbolic link.
pub(super) const TARGET: &str = "target";
/// Property with the escaped target of a link whose target is not UTF-8.
pub(super) const ESCAPED_TARGET: &str = "escaped_target";

/// Text for these bytes: as they are where they are UTF-8, but `%` and other bytes as `%XX`.
pub(super) fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' {
                text.push_str("%25")
            } else {
                text.push(c)
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The bytes behind [`escape`]d text; `None` if it was not made there.
pub(super) fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        bytes.extend_from_slice(&rest.as_bytes()[..at]);
        let digits = rest.get(at + 1..at + 3)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &rest[at + 3..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    Some(bytes)
}

/// Text for people: the name if it is UTF-8, else its escaped form.
pub(super) fn display(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| escape(bytes), str::to_owned)
}

impl Place {
    /// The id of a path relative to the directory.
    pub(super) fn id_of(&self, path: &Path) -> String {
        let mut id = String::new();
        for component in path.components() {
            if !id.is_empty() {
                id.push('/');
            }
            id.push_str(&escape(&name_bytes(component.as_os_str())));
        }
        if id.len() <= MAX_ID_BYTES {
            return id;
        }
        let long = format!("{LONG}{}", blake3::hash(id.as_bytes()).to_hex());
        self.long_ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(long.clone(), path.to_owned());
        long
    }

    /// The path of an id; `None` if it is none of ours.
    pub(super) fn path_of(&self, id: &str) -> Option<PathBuf> {
        if id.starts_with(LONG) {
            return self
                .long_ids
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(id)
                .cloned();
        }
        let mut path = PathBuf::new();
        if id.is_empty() {
            return Some(path);
        }
        for part in id.split('/') {
            path.push(plain_name(unescape(part)?)?);
        }
        Some(path)
    }
}

/// One path component, and nothing that would lead elsewhere.
fn plain_name(bytes: Vec<u8>) -> Option<OsString> {
    let name = name_from_bytes(bytes)?;
    let mut components = Path::new(&name).components();
    match (components.next(), components.next()) {
        (Some(std::path::Component::Normal(only)), None) if only == name => Some(name),
        _ => None,
    }
}

/// The exact name an entry had, as a path component; `None` if it cannot be one here.
pub(super) fn recorded_name(record: &ItemRecord) -> Option<OsString> {
    match record
        .properties
        .get(ESCAPED_NAME)
        .and_then(|value| value.as_text())
    {
        Some(escaped) => plain_name(unescape(escaped)?),
        None => plain_name(record.name.clone().into_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_id_and_comes_back() {
        let names: &[&[u8]] = &[
            b"plain",
            b"100%",
            b"%25",
            b"caf\xe9",
            b"caf\xc3\xa9",
            b"\xff\xfe",
            b"a\nb",
            b" ",
            b"%E9",
        ];
        let mut seen = std::collections::HashSet::new();
        for name in names {
            let id = escape(name);
            assert_eq!(unescape(&id).unwrap(), *name);
            assert!(seen.insert(id));
        }
        for broken in ["%", "%2", "%zz", "a%é"] {
            assert_eq!(unescape(broken), None);
        }
    }

    #[test]
    fn hostile_ids_are_no_paths() {
        let connector = crate::folder::FolderConnector::new("/nowhere", "x").unwrap();
        for id in [
            "..",
            "a/../b",
            "/etc/passwd",
            "a//b",
            "a/",
            "%2F",
            "a/%2E%2E",
            ".",
            "//abc",
            "%2e%2e/x",
            "%00",
        ] {
            let path = connector.place.path_of(id);
            assert!(path.is_none() || id == "%00", "{id}: {path:?}");
        }
        let long: PathBuf = std::iter::repeat_n("directory", 300).collect();
        let id = connector.place.id_of(&long);
        assert!(id.len() <= MAX_ID_BYTES);
        assert_eq!(connector.place.path_of(&id).unwrap(), long);
    }
}
