//! A source that forgets where it was lists a container from the beginning: what it named before, and not again, has vanished.

#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use nakivo_core::Result;
use nakivo_core::backup::{self, BackupOptions};
use nakivo_core::bytes::Bytes;
use nakivo_core::connector::{
    Change, ChangesRequest, Connector, Cursor, Fetched, ItemHead, ItemRef, PartContent, Presence,
};
use nakivo_core::format::ObjectRecord;
use nakivo_core::format::record::ItemKind;
use nakivo_core::progress::Reporter;
use nakivo_core::repository::{PointSelector, Repository, ScanRange};

use crate::repository::{memory, new_repository, object};

/// What the source says in a run, and what is there at its end.
#[derive(Debug)]
struct Source {
    said: Vec<Change>,
    there: BTreeSet<&'static str>,
}

const FOLDER: &str = "inbox";

fn head(id: &str) -> ItemHead {
    let item = ItemRef {
        container: FOLDER.to_owned(),
        id: id.to_owned(),
    };
    ItemHead::new(ItemKind::Message, item, id.to_owned())
}

fn begins(full: bool) -> Change {
    Change::RoundStarted {
        container: FOLDER.to_owned(),
        full,
    }
}

fn ends() -> Change {
    Change::RoundEnded {
        container: FOLDER.to_owned(),
    }
}

fn items(ids: &[&str]) -> impl Iterator<Item = Change> {
    ids.iter()
        .map(|id| Change::Item(head(id)))
        .collect::<Vec<_>>()
        .into_iter()
}

#[async_trait]
impl Connector for Source {
    fn name(&self) -> &str {
        "test"
    }

    fn discover(&self) -> BoxStream<'_, Result<ObjectRecord>> {
        stream::iter([Ok(object("alice"))]).boxed()
    }

    async fn find_object(&self, _: &str) -> Result<ObjectRecord> {
        Ok(object("alice"))
    }

    fn changes<'a>(
        &'a self,
        _: &'a ObjectRecord,
        _: ChangesRequest,
        _: &'a Reporter,
    ) -> BoxStream<'a, Result<Change>> {
        let folder = ItemRef {
            container: String::new(),
            id: FOLDER.to_owned(),
        };
        let folder = ItemHead::new(ItemKind::Container, folder, FOLDER.to_owned());
        let before = [Change::Container(folder), Change::ContainersComplete];
        let after = [Change::Cursor(Cursor(Bytes::from_static(b"1")))];
        let all = before.into_iter().chain(self.said.iter().cloned()).chain(after);
        stream::iter(all.collect::<Vec<_>>()).map(Ok).boxed()
    }

    async fn fetch(&self, _: &ObjectRecord, head: &ItemHead) -> Result<Fetched> {
        let mime = Bytes::from(format!("Subject: {}\r\n\r\n", head.name));
        let part = PartContent {
            name: "mime".to_owned(),
            media_type: None,
            length: Some(mime.len() as u64),
            body: stream::iter([Ok(mime)]).boxed(),
        };
        Ok(Fetched::Content {
            head: Box::new(head.clone()),
            parts: vec![part],
        })
    }

    async fn look_up(&self, _: &ObjectRecord, asked: &[ItemRef]) -> Result<Vec<Presence>> {
        let answer = |item: &ItemRef| match self.there.contains(item.id.as_str()) {
            true => Presence::Present(Box::new(head(&item.id))),
            false => Presence::Gone,
        };
        Ok(asked.iter().map(answer).collect())
    }
}

/// The messages in the point that a run over `said` makes.
async fn point_of(repository: &Repository, said: Vec<Change>, there: &[&'static str]) -> BTreeSet<String> {
    let source = Source {
        said,
        there: there.iter().copied().collect(),
    };
    let run = backup::start(
        repository,
        Arc::new(source),
        object("alice"),
        BackupOptions::default(),
    );
    run.wait().await.unwrap();
    let point = repository
        .point(&object("alice").id, &PointSelector::Latest)
        .unwrap();
    let listed: Vec<_> = repository
        .scan(point.root, &ScanRange::container(FOLDER))
        .try_collect()
        .await
        .unwrap();
    listed.into_iter().map(|(_, record)| record.name).collect()
}

fn named(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

#[tokio::test]
async fn what_was_named_before_and_not_again_has_vanished() {
    let repository = new_repository(&memory()).await;
    // In a first run, and in one over a base; "kept" is still there and was only not named again.
    for _ in 0..2 {
        let said: Vec<Change> = std::iter::once(begins(true))
            .chain(items(&["deleted", "kept", "both"]))
            .chain([begins(true)])
            .chain(items(&["both", "late"]))
            .chain([ends()])
            .collect();
        let there = ["kept", "both", "late"];
        assert_eq!(point_of(&repository, said, &there).await, named(&there));
    }
    // From changes to everything.
    let said: Vec<Change> = std::iter::once(begins(false))
        .chain(items(&["fleeting"]))
        .chain([begins(true)])
        .chain(items(&["both", "late", "kept"]))
        .chain([ends()])
        .collect();
    let there = ["kept", "both", "late"];
    assert_eq!(point_of(&repository, said, &there).await, named(&there));
}

/// Without its end a round that began again says nothing about what it did not name.
#[tokio::test]
async fn a_round_that_does_not_end_removes_nothing() {
    let repository = new_repository(&memory()).await;
    let said: Vec<Change> = std::iter::once(begins(true))
        .chain(items(&["one", "two"]))
        .chain([begins(true)])
        .chain(items(&["two"]))
        .collect();
    assert_eq!(
        point_of(&repository, said, &["two"]).await,
        named(&["one", "two"])
    );
}
