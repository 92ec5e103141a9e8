//! Writes one file back: upload, read back, compare; then who may see it.

use std::sync::Arc;

use bytes::BytesMut;
use futures::StreamExt;
use nakivo_core::connector::{ContentSource, Existing, RecoverAction, RecoverItem, Recovered};
use nakivo_core::format::record::{ItemKind, ItemRecord};
use nakivo_core::{Error, ErrorKind};
use reqwest::header::IF_MATCH;
use serde_json::{Value, json};

use super::download::Download;
use super::hash::QuickXorHash;
use super::map::{self, Element, Facts};
use super::office;
use super::sharing;
use super::upload::{Goal, Upload, Written, by_id, child, id_of};
use crate::executor::Backoff;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::request::Operation;

/// Code of a file that is not what was written.
const DIFFERS: &str = "read_back_differs";
/// Largest record of an item that is read.
const MAX_JSON_BYTES: usize = 16 << 20;
/// Names tried beside one that is taken.
const MAX_NAMES: u32 = 50;
/// Looks at a new file whose hash the service has not computed yet.
const MAX_LOOKS: u32 = 3;

/// One drive being written to.
pub(crate) struct Writing<'a> {
    pub(crate) graph: &'a Arc<Graph>,
    pub(crate) drive: &'a str,
    /// It is a document library: the service rewrites Office files there.
    pub(crate) library: bool,
}

/// The JSON that was stored with an item.
pub(crate) async fn stored_json(content: &dyn ContentSource) -> Result<String, Fault> {
    let mut stream = match content.open("json").await {
        Ok(stream) => stream,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok("{}".to_owned()),
        Err(error) => return Err(Fault::Ready(error)),
    };
    let mut out = BytesMut::new();
    while let Some(piece) = stream.next().await {
        out.extend_from_slice(&piece.map_err(Fault::Ready)?);
        if out.len() > MAX_JSON_BYTES {
            return Err(Fault::TooLarge {
                limit: MAX_JSON_BYTES as u64,
            });
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// `fileSystemInfo` of the stored record, as it was.
fn times_of(raw: &str, record: &ItemRecord) -> Value {
    let stored = Fields::parse(raw).and_then(|fields| {
        let info = fields.object("fileSystemInfo")?;
        let mut times = serde_json::Map::new();
        for key in ["createdDateTime", "lastModifiedDateTime"] {
            if let Some(text) = info.text(key) {
                times.insert(key.to_owned(), json!(text));
            }
        }
        Some(Value::Object(times))
    });
    stored.unwrap_or_else(|| {
        let text = |ms: Option<i64>| {
            ms.and_then(chrono::DateTime::from_timestamp_millis)
                .map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
        };
        let mut times = serde_json::Map::new();
        for (key, ms) in [
            ("createdDateTime", record.created_ms),
            ("lastModifiedDateTime", record.modified_ms),
        ] {
            if let Some(text) = text(ms) {
                times.insert(key.to_owned(), json!(text));
            }
        }
        Value::Object(times)
    })
}

/// Items that are no files cannot be made through Graph.
pub(crate) fn only_files(record: &ItemRecord) -> Result<(), Fault> {
    if record.kind == ItemKind::File {
        return Ok(());
    }
    let what = record.item_type.as_deref().unwrap_or("unknown");
    Err(Fault::Ready(
        Error::new(
            ErrorKind::InvalidInput,
            format!("an item of the kind '{what}' cannot be made through Graph"),
        )
        .with_hint("Its record can be exported."),
    ))
}

/// The name that says that an item was recovered beside another.
fn renamed(name: &str, date: &str, number: u32) -> String {
    let mark = match number {
        1 => format!(" (recovered {date})"),
        n => format!(" (recovered {date} {n})"),
    };
    match name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) {
        Some((stem, extension)) => format!("{stem}{mark}.{extension}"),
        None => format!("{name}{mark}"),
    }
}

impl Writing<'_> {
    fn upload<'u>(&'u self, item: &RecoverItem, raw: &str, content: &'u dyn ContentSource) -> Upload<'u> {
        let length = item
            .record
            .part("content")
            .map_or(item.record.size, |part| part.size);
        Upload {
            graph: self.graph,
            drive: self.drive,
            content,
            length,
            times: times_of(raw, &item.record),
            rewritten: self.library && office::is_rewritten(&item.record.name),
        }
    }

    /// What is in the place of a file.
    pub(crate) async fn existing(
        &self,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
    ) -> Result<Existing, Fault> {
        only_files(&item.record)?;
        let Some(there) = child(self.graph, self.drive, container, &item.record.name).await? else {
            return Ok(Existing::Absent);
        };
        let id = id_of(&there)?;
        let differs = |difference: &str| Existing::Differs {
            id: id.clone(),
            difference: difference.to_owned(),
        };
        match map::element(&there) {
            Element::Item(head) if head.kind == ItemKind::File => {}
            Element::Item(_) => return Ok(differs("it is no file there")),
            _ => return Ok(differs("it is a folder there")),
        }
        let raw = stored_json(content).await?;
        let upload = self.upload(item, &raw, content);
        let facts = Facts::of(&there);
        if upload.is_rewriting_of(&there) {
            return Ok(Existing::Identical { id });
        }
        if facts.as_ref().and_then(|facts| facts.size) != Some(upload.length) {
            return Ok(differs("size"));
        }
        let hash = upload.hash().await?;
        Ok(match facts.and_then(|facts| facts.agree(upload.length, &hash)) {
            Some(true) => Existing::Identical { id },
            Some(false) => differs("content"),
            None if self.hash_of(&id).await? == hash => Existing::Identical { id },
            None => differs("content"),
        })
    }

    /// The hash of what is there, by reading it.
    async fn hash_of(&self, id: &str) -> Result<String, Fault> {
        let mut download = Download::new(self.graph, self.drive, id);
        let opened = download.open(0).await?;
        let mut body = download.read(opened);
        let mut hash = QuickXorHash::new();
        while let Some(piece) = body.next().await {
            hash.update(&piece?);
        }
        Ok(hash.finish())
    }

    /// Writes one file into `container`.
    pub(crate) async fn recover(
        &self,
        container: &str,
        item: &RecoverItem,
        content: &dyn ContentSource,
        action: &RecoverAction,
    ) -> Result<Recovered, Fault> {
        only_files(&item.record)?;
        let raw = stored_json(content).await?;
        let upload = self.upload(item, &raw, content);
        let name = item.record.name.as_str();
        let (written, name) = match action {
            RecoverAction::Create => {
                let goal = Goal::New {
                    parent: container,
                    name,
                };
                (self.create(&upload, &goal).await?, name.to_owned())
            }
            RecoverAction::CreateRenamed => self.create_beside(&upload, container, name).await?,
            RecoverAction::Replace { existing } => (self.replace(&upload, existing).await?, name.to_owned()),
        };
        let id = id_of(&written.raw)?;
        let mut not_carried = missing_times(&written.raw, &upload.times);
        not_carried.extend(office::difference(&written.raw, upload.length, &written.hash));
        match action {
            RecoverAction::Create => {
                not_carried.extend(sharing::grant(self.graph, self.drive, &id, &raw).await);
            }
            // Who may see the original need not see a copy beside what is there.
            RecoverAction::CreateRenamed if sharing::has_permissions(&raw) => {
                not_carried.push("sharing: the copy is its owner's alone".to_owned());
            }
            // What is replaced stays shared as it is now.
            _ => {}
        }
        let mut names: Vec<&str> = item.path.iter().map(|folder| folder.name.as_str()).collect();
        names.push(&name);
        Ok(Recovered {
            id,
            location: names.join("/"),
            not_carried,
        })
    }

    /// Makes a new file and reads it back; what is not equal is removed again.
    async fn create(&self, upload: &Upload<'_>, goal: &Goal<'_>) -> Result<Written, Fault> {
        let written = upload.write(goal).await?;
        match self.read_back(upload, &written).await {
            Ok(raw) => Ok(Written { raw, ..written }),
            Err(fault) => {
                if written.made && is_different(&fault) {
                    self.remove_quietly(&written.raw).await;
                }
                Err(fault)
            }
        }
    }

    /// Makes a new file under the first name that says that it was recovered and is free, or has this content already.
    async fn create_beside(
        &self,
        upload: &Upload<'_>,
        container: &str,
        name: &str,
    ) -> Result<(Written, String), Fault> {
        let date = self.graph.executor.now().format("%Y-%m-%d").to_string();
        let mut number = 1;
        loop {
            let name = renamed(name, &date, number);
            let goal = Goal::New {
                parent: container,
                name: &name,
            };
            match self.create(upload, &goal).await {
                Ok(written) => return Ok((written, name)),
                Err(fault) if fault.refused_as(|refusal| refusal.status == 409) && number < MAX_NAMES => {
                    number += 1;
                }
                Err(fault) => return Err(fault),
            }
        }
    }

    /// Gives a file a new version and reads it back. If that is not equal, the version before becomes the current one again.
    async fn replace(&self, upload: &Upload<'_>, existing: &str) -> Result<Written, Fault> {
        let before = self.current_version(existing).await?;
        let written = upload.write(&Goal::Version { id: existing }).await?;
        match self.read_back(upload, &written).await {
            Ok(raw) => Ok(Written { raw, ..written }),
            Err(fault) => {
                if let Some(before) = before.filter(|_| written.made && is_different(&fault)) {
                    self.restore(existing, &before).await?;
                }
                Err(fault)
            }
        }
    }

    /// Id of the version that is current now.
    async fn current_version(&self, id: &str) -> Result<Option<String>, Fault> {
        let call = self
            .graph
            .call(&Scope::Files, Operation::DriveVersions, &[self.drive, id], &[])?;
        let text = self.graph.executor.json(&call).await?;
        let list = Fields::parse(&text).and_then(|fields| fields.list("value"));
        Ok(list
            .unwrap_or_default()
            .first()
            .and_then(|first| Fields::parse(first.get())?.text("id")))
    }

    async fn restore(&self, id: &str, version: &str) -> Result<(), Fault> {
        let ids = [self.drive, id, version];
        let call = self
            .graph
            .call(&Scope::Files, Operation::RestoreDriveVersion, &ids, &[])?
            .json_body(&json!({}));
        self.graph.executor.json(&call).await.map(|_| ())
    }

    /// Reads a written file back and compares length and hash; returns its record.
    async fn read_back(&self, upload: &Upload<'_>, written: &Written) -> Result<String, Fault> {
        let id = &id_of(&written.raw)?;
        let mut backoff = Backoff::new();
        loop {
            let raw = by_id(self.graph, self.drive, id).await?.ok_or(Fault::Protocol {
                code: "not_there",
                message: "the new file cannot be read back".into(),
            })?;
            let agreed = Facts::of(&raw).and_then(|facts| facts.agree(upload.length, &written.hash));
            let agreed = match agreed {
                // The hash may take the service a while.
                None if backoff.tries() < MAX_LOOKS => {
                    self.graph.executor.pause(&mut backoff, None).await?;
                    continue;
                }
                None => self.hash_of(id).await? == written.hash,
                Some(agreed) => agreed,
            };
            if !agreed && !upload.is_rewriting_of(&raw) {
                return Err(Fault::Protocol {
                    code: DIFFERS,
                    message: "the new file differs from the stored one".into(),
                });
            }
            return Ok(raw);
        }
    }

    /// Removes a file of our own that is not what it should be, unless somebody changed it meanwhile.
    async fn remove_quietly(&self, raw: &str) {
        let Ok(id) = id_of(raw) else { return };
        let call = self
            .graph
            .call(&Scope::Files, Operation::DeleteDriveItem, &[self.drive, &id], &[]);
        let (Ok(mut call), Some(etag)) = (call, Facts::of(raw).and_then(|facts| facts.etag)) else {
            return;
        };
        call = call.header(IF_MATCH, &etag);
        if let Err(fault) = self.graph.executor.json(&call).await {
            tracing::warn!(error = %fault, "an incomplete file could not be removed");
        }
    }
}

fn is_different(fault: &Fault) -> bool {
    matches!(fault, Fault::Protocol { code: DIFFERS, .. })
}

/// Times that the service did not take, for people.
pub(crate) fn missing_times(raw: &str, wanted: &Value) -> Vec<String> {
    let found = Fields::parse(raw).and_then(|fields| fields.object("fileSystemInfo"));
    [
        ("createdDateTime", "creation time"),
        ("lastModifiedDateTime", "modification time"),
    ]
    .into_iter()
    .filter_map(|(key, name)| {
        let wanted = crate::json::parse_time(wanted.get(key)?.as_str()?)?;
        let found = found.as_ref().and_then(|found| found.time(key));
        (found.map(|time| time.timestamp()) != Some(wanted.timestamp())).then(|| name.to_owned())
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_what_they_are() {
        assert_eq!(
            renamed("a.b.docx", "2026-01-02", 1),
            "a.b (recovered 2026-01-02).docx"
        );
        assert_eq!(
            renamed(".profile", "2026-01-02", 2),
            ".profile (recovered 2026-01-02 2)"
        );
    }
}
