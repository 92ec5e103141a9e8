//! What the emulator served, kept apart from the repository, so that everything that comes back can be compared with it.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use nakivo_core::{Error, ErrorKind, Result};
use nakivo_graph_emulator::Emulator;
use serde_json::Value;

use super::organisation::defect;
use super::place::io;

/// The messages of one moment: by mailbox address and id, the file with the original bytes.
pub(super) type Moment = BTreeMap<String, BTreeMap<String, PathBuf>>;

/// The original bytes of every version of every message, on disk.
#[derive(Debug)]
pub(super) struct Originals {
    dir: PathBuf,
    /// By mailbox, id and change key: a version that was taken once need not be taken again.
    taken: HashMap<(String, String, String), PathBuf>,
}

impl Originals {
    /// Keeps them in `dir`.
    pub(super) fn new(dir: PathBuf) -> Result<Self> {
        std::fs::create_dir_all(&dir).map_err(|error| io(&dir, &error))?;
        Ok(Self {
            dir,
            taken: HashMap::new(),
        })
    }

    /// Takes the bytes of every message as they are now.
    pub(super) fn take(&mut self, emulator: &Emulator) -> Result<Moment> {
        let mut moment = Moment::new();
        for mailbox in emulator.mailboxes() {
            let messages = moment.entry(mailbox.address().to_owned()).or_default();
            for message in mailbox.messages().map_err(defect)? {
                let version = (
                    mailbox.address().to_owned(),
                    message.id.clone(),
                    message.change_key,
                );
                let file = match self.taken.get(&version) {
                    Some(file) => file.clone(),
                    None => {
                        let file = self.dir.join(format!("{:06}.eml", self.taken.len()));
                        let bytes = mailbox.mime(&message.id).map_err(defect)?;
                        std::fs::write(&file, &bytes).map_err(|error| io(&file, &error))?;
                        self.taken.insert(version, file.clone());
                        file
                    }
                };
                messages.insert(message.id, file);
            }
        }
        Ok(moment)
    }
}

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Compared {
    pub(super) equal: u64,
    pub(super) bytes: u64,
    /// One line for each message that differs, is missing or should not be there.
    pub(super) mismatches: Vec<String>,
}

impl Compared {
    pub(super) fn add(&mut self, other: Self) {
        self.equal += other.equal;
        self.bytes += other.bytes;
        self.mismatches.extend(other.mismatches);
    }
}

/// Compares an exported mailbox, message by message and byte by byte, with the originals.
///
/// # Errors
/// `Protocol` if the export's list of files is not as documented; those of the file system.
pub(super) fn compare_export(
    export: &Path,
    mailbox: &str,
    originals: &BTreeMap<String, PathBuf>,
) -> Result<Compared> {
    let mut result = Compared::default();
    let mut missing: BTreeMap<&str, &Path> = originals
        .iter()
        .map(|(id, file)| (id.as_str(), file.as_path()))
        .collect();
    let list = export.join("manifest.jsonl");
    let reader = BufReader::new(File::open(&list).map_err(|error| io(&list, &error))?);
    for line in reader.lines() {
        let line = line.map_err(|error| io(&list, &error))?;
        let entry: Value =
            serde_json::from_str(&line).map_err(|error| not_as_documented(&list, &error.to_string()))?;
        if entry["kind"] != "message" {
            continue;
        }
        let (Some(id), Some(file)) = (entry["id"].as_str(), entry["file"].as_str()) else {
            return Err(not_as_documented(&list, "a message without id or file"));
        };
        let Some(original) = missing.remove(id) else {
            result.mismatches.push(format!(
                "{mailbox}: {file} is no message of that moment, or came twice"
            ));
            continue;
        };
        let exported = export.join(file);
        match same_bytes(&exported, original)? {
            Some(length) => {
                result.equal += 1;
                result.bytes += length;
            }
            None => result
                .mismatches
                .push(format!("{mailbox}: {file} differs from its original")),
        }
    }
    result.mismatches.extend(
        missing
            .keys()
            .map(|id| format!("{mailbox}: message {id} did not come back")),
    );
    Ok(result)
}

/// The length of both files if they are equal.
fn same_bytes(one: &Path, other: &Path) -> Result<Option<u64>> {
    let open = |path: &Path| File::open(path).map_err(|error| io(path, &error));
    let (mut left, mut right) = (
        BufReader::with_capacity(1 << 16, open(one)?),
        BufReader::with_capacity(1 << 16, open(other)?),
    );
    let mut length = 0;
    loop {
        let (a, b) = (
            left.fill_buf().map_err(|e| io(one, &e))?,
            right.fill_buf().map_err(|e| io(other, &e))?,
        );
        let common = a.len().min(b.len());
        if common == 0 {
            return Ok((a.is_empty() && b.is_empty()).then_some(length));
        }
        if a[..common] != b[..common] {
            return Ok(None);
        }
        left.consume(common);
        right.consume(common);
        length += common as u64;
    }
}

fn not_as_documented(list: &Path, why: &str) -> Error {
    Error::new(ErrorKind::Protocol, format!("'{}': {why}", list.display()))
}

/// A whole file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(|error| io(path, &error))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_a_missing_and_a_foreign_message_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let originals = BTreeMap::from([
            ("same".to_owned(), write("o1", "hello")),
            ("flipped".to_owned(), write("o2", "hello")),
            ("longer".to_owned(), write("o3", "hello")),
            ("missing".to_owned(), write("o4", "hello")),
        ]);
        write("1.eml", "hello");
        write("2.eml", "hellp");
        write("3.eml", "hello!");
        write(
            "manifest.jsonl",
            r#"{"kind":"container","id":"x"}
{"kind":"message","id":"same","file":"1.eml"}
{"kind":"message","id":"flipped","file":"2.eml"}
{"kind":"message","id":"longer","file":"3.eml"}
{"kind":"message","id":"same","file":"1.eml"}
"#,
        );
        let compared = compare_export(dir.path(), "a@b", &originals).unwrap();
        assert_eq!((compared.equal, compared.bytes), (1, 5));
        assert_eq!(compared.mismatches.len(), 4, "{:?}", compared.mismatches);
    }
}
