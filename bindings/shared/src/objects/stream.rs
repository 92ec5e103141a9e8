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

/// A listing or content as far as it was taken from its source. A call that is given up in the middle loses nothing: the next one
/// goes on with what was gathered.
struct Taken<S, T> {
    source: BoxStream<'static, nakivo_core::Result<S>>,
    gathered: Vec<T>,
    /// What comes behind that.
    failed: Option<nakivo_core::Error>,
}

impl<S, T> Taken<S, T> {
    fn of(source: BoxStream<'static, nakivo_core::Result<S>>) -> Mutex<Self> {
        Mutex::new(Self {
            source,
            gathered: Vec::new(),
            failed: None,
        })
    }

    /// Up to `most` more, or a little more where they come in pieces; none at the end. What came before an error is answered first.
    async fn next(&mut self, most: usize, add: impl Fn(&mut Vec<T>, S)) -> nakivo_core::Result<Vec<T>> {
        while self.failed.is_none() && self.gathered.len() < most {
            match self.source.next().await {
                Some(Ok(one)) => add(&mut self.gathered, one),
                Some(Err(error)) => self.failed = Some(error),
                None => break,
            }
        }
        match &self.failed {
            // It stays: what came before is never the whole.
            Some(error) if self.gathered.is_empty() => Err(error.clone()),
            _ => Ok(std::mem::take(&mut self.gathered)),
        }
    }
}

/// A class for the listings of one kind.
macro_rules! listings {
    ($($(#[doc = $doc:literal])* $class:ident of $core:ty as $record:ident;)*) => {$(
        $(#[doc = $doc])*
        #[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
        pub struct $class(Mutex<Taken<$core, $record>>);

        impl $class {
            pub(crate) fn of(listed: BoxStream<'static, nakivo_core::Result<$core>>) -> Arc<Self> {
                Arc::new(Self(Taken::of(listed)))
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
                    let more = listed.next(most as usize, |gathered, one| gathered.push(one.to()));
                    Ok(more.await?)
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
pub struct ByteStream(Mutex<Taken<Bytes, u8>>);

impl ByteStream {
    pub(crate) fn of(content: BoxStream<'static, nakivo_core::Result<Bytes>>) -> Arc<Self> {
        Arc::new(Self(Taken::of(content)))
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
            let piece = content.next(PIECE_BYTES, |gathered, bytes| gathered.extend_from_slice(&bytes)).await?;
            Ok(Some(piece).filter(|piece| !piece.is_empty()))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use futures::{StreamExt as _, stream};
    use nakivo_core::Error;

    use super::Taken;

    #[tokio::test]
    async fn what_was_gathered_outlives_a_call_that_was_given_up() {
        let (go_on, waiting) = tokio::sync::oneshot::channel::<()>();
        let first = stream::iter([Ok(1), Ok(2)]);
        let second = stream::once(async move {
            waiting.await.unwrap();
            Ok(3)
        });
        let taken = Taken::<i32, i32>::of(first.chain(second).boxed());
        let mut taken = taken.lock().await;
        {
            let mut call = std::pin::pin!(taken.next(3, Vec::push));
            assert!(futures::poll!(&mut call).is_pending());
        }
        go_on.send(()).unwrap();
        assert_eq!(taken.next(3, Vec::push).await.unwrap(), [1, 2, 3]);
        assert_eq!(taken.next(3, Vec::push).await.unwrap(), [] as [i32; 0]);
    }

    #[tokio::test]
    async fn what_came_before_an_error_is_answered_and_the_error_stays() {
        let failing = stream::iter([Ok(1), Err(Error::cancelled()), Ok(2)]);
        let taken = Taken::<i32, i32>::of(failing.boxed());
        let mut taken = taken.lock().await;
        assert_eq!(taken.next(10, Vec::push).await.unwrap(), [1]);
        for _ in 0..2 {
            assert!(taken.next(10, Vec::push).await.is_err());
        }
    }
}
