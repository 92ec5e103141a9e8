//! Reads one item from the source and stores its parts.

use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::StreamExt;
use nakivo_repo_format::record::ContentPart;

use crate::connector::{Connector, Fetched, ItemHead, PartContent};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::{PartMode, Writer};

use nakivo_repo_format::manifest::ObjectRecord;

/// What one fetch came to. A failure of the repository is no outcome of an item: it ends the run.
pub(crate) enum FetchOutcome {
    Stored {
        head: Box<ItemHead>,
        parts: Vec<ContentPart>,
    },
    Gone,
    Skipped {
        code: String,
        message: String,
    },
    Failed(Error),
}

/// Fetches `head` and stores its content, trying once more if the source failed in passing.
pub(crate) async fn fetch(
    connector: Arc<dyn Connector>,
    object: Arc<ObjectRecord>,
    writer: Writer,
    head: ItemHead,
) -> Result<(ItemHead, FetchOutcome)> {
    let fetched = connector.fetch(&object, &head).await;
    let outcome = settle(&*connector, &object, &writer, &head, fetched).await?;
    Ok((head, outcome))
}

/// Does for several items what [`fetch`] does for one.
pub(crate) async fn fetch_group(
    connector: Arc<dyn Connector>,
    object: Arc<ObjectRecord>,
    writer: Writer,
    heads: Vec<ItemHead>,
) -> Result<Vec<(ItemHead, FetchOutcome)>> {
    let fetched = connector.fetch_many(&object, &heads).await;
    if fetched.len() != heads.len() {
        return Err(Error::new(
            ErrorKind::Protocol,
            format!(
                "the connector answered {} of {} items",
                fetched.len(),
                heads.len()
            ),
        ));
    }
    let mut outcomes = Vec::with_capacity(heads.len());
    for (head, fetched) in heads.into_iter().zip(fetched) {
        let outcome = settle(&*connector, &object, &writer, &head, fetched).await?;
        outcomes.push((head, outcome));
    }
    Ok(outcomes)
}

/// Stores what was fetched; fetches it once more if the source failed in passing.
async fn settle(
    connector: &dyn Connector,
    object: &ObjectRecord,
    writer: &Writer,
    head: &ItemHead,
    fetched: Result<Fetched>,
) -> Result<FetchOutcome> {
    let outcome = store(writer, fetched).await?;
    if matches!(&outcome, FetchOutcome::Failed(error) if error.kind().is_retryable()) {
        return store(writer, connector.fetch(object, head).await).await;
    }
    Ok(outcome)
}

async fn store(writer: &Writer, fetched: Result<Fetched>) -> Result<FetchOutcome> {
    let (now, parts) = match fetched {
        Ok(Fetched::Content { head, parts }) => (head, parts),
        Ok(Fetched::Gone) => return Ok(FetchOutcome::Gone),
        Ok(Fetched::Skipped { code, message }) => return Ok(FetchOutcome::Skipped { code, message }),
        Err(error) => return Ok(FetchOutcome::Failed(error)),
    };
    let mut stored = Vec::with_capacity(parts.len() + 1);
    for part in parts {
        match store_part(writer, part).await? {
            Ok(part) => stored.push(part),
            Err(error) => return Ok(FetchOutcome::Failed(error)),
        }
    }
    if let Some(raw) = &now.raw
        && !stored.iter().any(|part| part.name == "json")
    {
        stored.push(
            writer
                .put_small(
                    "json".to_owned(),
                    Some("application/json".to_owned()),
                    raw.clone(),
                )
                .await?,
        );
    }
    Ok(FetchOutcome::Stored {
        head: now,
        parts: stored,
    })
}

/// The outer error is the repository's, the inner one the source's.
async fn store_part(writer: &Writer, part: PartContent) -> Result<Result<ContentPart>> {
    let mode = PartMode::of(&part.name, part.media_type.as_deref());
    // Both sides fail through the same call; the slot remembers which side it was.
    let source_error: Arc<Mutex<Option<Error>>> = Arc::default();
    let slot = Arc::clone(&source_error);
    let body = part
        .body
        .inspect(move |piece| {
            if let Err(error) = piece {
                *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
            }
        })
        .boxed();
    let expected = part.length;
    match writer.put_part(part.name, part.media_type, mode, body).await {
        Ok(part) => match expected.filter(|expected| *expected != part.size) {
            None => Ok(Ok(part)),
            Some(expected) => Ok(Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "part '{}' ended after {} of {expected} bytes",
                    part.name, part.size
                ),
            ))),
        },
        Err(error) => match source_error.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(source) => Ok(Err(source)),
            None => Err(error),
        },
    }
}
