//! Listings and content, piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use nakivo_core::recovery;
use tokio::sync::Mutex;

use crate::NakivoError;
use crate::types::{Entry, To as _};

/// Pieces of content are joined until they have this many bytes.
const PIECE_BYTES: usize = 1 << 20;
/// Most entries of one answer.
const MAX_ENTRIES: u32 = 10_000;

/// Entries, as they are found.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct EntryStream(Mutex<BoxStream<'static, nakivo_core::Result<recovery::Entry>>>);

impl EntryStream {
    pub(crate) fn of(entries: BoxStream<'static, nakivo_core::Result<recovery::Entry>>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(entries)))
    }
}

class! {
    /// Entries, as they are found.
    EntryStream
    constructors {}
    methods {
        /// Up to `most` more, 1 to 10,000; none when there are no more.
        fn next(&self, most: u32) -> Vec<Entry> {
            if !(1..=MAX_ENTRIES).contains(&most) {
                return Err(NakivoError::invalid("most", &most.to_string(), "1 to 10,000"));
            }
            let mut entries = self.0.lock().await;
            let mut found = Vec::new();
            while found.len() < most as usize
                && let Some(entry) = entries.next().await
            {
                found.push(entry?.to());
            }
            Ok(found)
        }
    }
}

/// Content, in order.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct ByteStream(Mutex<BoxStream<'static, nakivo_core::Result<Bytes>>>);

impl ByteStream {
    pub(crate) fn of(content: BoxStream<'static, nakivo_core::Result<Bytes>>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(content)))
    }
}

class! {
    /// Content, in order.
    ByteStream
    constructors {}
    methods {
        /// The next piece, of about 1 MiB; nothing at the end. An error means that what came before is not the whole.
        fn next(&self) -> Option<Vec<u8>> {
            let mut content = self.0.lock().await;
            let mut piece = Vec::new();
            while piece.len() < PIECE_BYTES
                && let Some(bytes) = content.next().await
            {
                piece.extend_from_slice(&bytes?);
            }
            Ok(Some(piece).filter(|piece| !piece.is_empty()))
        }
    }
}
