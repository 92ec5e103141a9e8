//! Listings and content, piece by piece.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use nakivo_core::{recovery, repository};
use tokio::sync::Mutex;

use crate::NakivoError;
use crate::types::{Entry, ItemChange, To as _};

/// Pieces of content are joined until they have this many bytes.
const PIECE_BYTES: usize = 1 << 20;
/// Most entries of one answer.
const MAX_ENTRIES: u32 = 10_000;

/// A class for the listings of one kind.
macro_rules! listings {
    ($($(#[doc = $doc:literal])* $class:ident of $core:ty as $record:ident;)*) => {$(
        $(#[doc = $doc])*
        #[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
        pub struct $class(Mutex<BoxStream<'static, nakivo_core::Result<$core>>>);

        impl $class {
            pub(crate) fn of(listed: BoxStream<'static, nakivo_core::Result<$core>>) -> Arc<Self> {
                Arc::new(Self(Mutex::new(listed)))
            }
        }

        class! {
            $(#[doc = $doc])*
            $class
            constructors {}
            methods {
                /// Up to `most` more, 1 to 10,000; none when there are no more.
                fn next(&self, most: u32) -> Vec<$record> {
                    if !(1..=MAX_ENTRIES).contains(&most) {
                        return Err(NakivoError::invalid("most", &most.to_string(), "1 to 10,000"));
                    }
                    let mut listed = self.0.lock().await;
                    let mut found = Vec::new();
                    while found.len() < most as usize
                        && let Some(one) = listed.next().await
                    {
                        found.push(one?.to());
                    }
                    Ok(found)
                }
            }
        }
    )*};
}

listings! {
    /// Entries, as they are found.
    EntryStream of recovery::Entry as Entry;
    /// What differs between two recovery points, in the order of containers and ids.
    ChangeStream of repository::ItemChange as ItemChange;
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
