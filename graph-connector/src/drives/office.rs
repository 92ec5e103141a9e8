//! Office files in document libraries: SharePoint writes properties of the item into them as they arrive (contract 6.1), so
//! what it stores has another size and hash than what was sent. Such a file counts as the one that was written if it
//! carries its times, which a session sets with the last byte and every change by a person moves.

use super::map::Facts;
use super::recover::missing_times;
use super::upload::Upload;

/// Extensions of the formats that have a place for properties.
const EXTENSIONS: [&str; 18] = [
    "doc", "docm", "docx", "dot", "dotm", "dotx", "pot", "potm", "potx", "pps", "ppsx", "ppt", "pptm",
    "pptx", "xls", "xlsb", "xlsm", "xlsx",
];

/// Whether the service rewrites a file of this name.
pub(crate) fn is_rewritten(name: &str) -> bool {
    let extension = name
        .rsplit_once('.')
        .map(|(_, extension)| extension.to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}

/// What to say of a file that the service changed as it arrived; none if it did not.
pub(crate) fn difference(raw: &str, length: u64, hash: &str) -> Option<String> {
    let facts = Facts::of(raw)?;
    (facts.agree(length, hash) == Some(false)).then(|| {
        let stored = facts.size.unwrap_or_default();
        format!("its exact bytes: SharePoint wrote properties into the file ({length} bytes became {stored})")
    })
}

impl Upload<'_> {
    /// Whether an item is this file as the service rewrote it.
    pub(crate) fn is_rewriting_of(&self, raw: &str) -> bool {
        let timed = self.times.as_object().is_some_and(|times| times.len() == 2);
        let filled = Facts::of(raw).is_some_and(|facts| facts.size.is_some_and(|size| size > 0));
        self.rewritten && self.length > 0 && timed && filled && missing_times(raw, &self.times).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_office_files() {
        for (name, expected) in [
            ("a.DOCX", true),
            ("b.tar.xlsx", true),
            ("docx", false),
            ("c.pdf", false),
        ] {
            assert_eq!(is_rewritten(name), expected, "{name}");
        }
    }
}
