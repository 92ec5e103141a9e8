//! Proves that a store creates an object only if it is absent, also when two ask at the same time.
//!
//! All that keeps two writers apart is that one of them wins a commit's number. A store that looks first and writes then
//! passes every test with one writer and loses recovery points with two.

use bytes::Bytes;

use super::objects::{Objects, Put};
use crate::error::{Error, ErrorKind, Result};
use crate::seams::{Environment, random_bytes};

/// Races under new names before a store that keeps no object whole is given up.
const ROUNDS: u32 = 3;
/// Bytes that each writer brings: enough that a mix of both is seen.
const PROBE_BYTES: usize = 4096;

/// What one race showed.
enum Verdict {
    Proven,
    Refused(&'static str),
    /// The object is gone, cut short or mixed.
    NotKept,
}

/// Lets two writers race for one name. The object is removed afterwards; what is left where that is not allowed lies under a
/// name that nothing else has.
///
/// # Errors
/// `Protocol` if not exactly one of them wins; `Unavailable` if the store does not keep what it took; those of the store.
pub(super) async fn prove_create(objects: &Objects, env: &Environment) -> Result<()> {
    for _ in 0..ROUNDS {
        let name = u128::from_le_bytes(random_bytes(&*env.rng)?);
        let path = format!("probe-{name:032x}");
        let verdict = race(objects, &path).await;
        if let Err(error) = objects.delete(&path).await {
            tracing::debug!(path, %error, "the probe stays: it may not be removed");
        }
        match verdict? {
            Verdict::Proven => return Ok(()),
            Verdict::Refused(what) => {
                return Err(Error::new(
                    ErrorKind::Protocol,
                    format!("two writers created the object '{path}' at the same time, and {what}"),
                )
                .with_hint("Use a store that can create an object only if it is absent."));
            }
            Verdict::NotKept => {}
        }
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        format!("the store did not keep what it took, {ROUNDS} times in a row"),
    )
    .with_hint("Check the store; nothing was created."))
}

async fn race(objects: &Objects, path: &str) -> Result<Verdict> {
    let [first, second] = [b'1', b'2'].map(|byte| Bytes::from(vec![byte; PROBE_BYTES]));
    let (one, two) = futures::join!(
        objects.create(path, first.clone()),
        objects.create(path, second.clone())
    );
    let (one, two) = (one?, two?);
    let found = objects.get(path, PROBE_BYTES as u64).await;
    let is = |bytes: &Bytes| matches!(&found, Ok(Some(found)) if found == bytes);
    Ok(match (one, two) {
        (Put::Created, Put::Created) => Verdict::Refused("both were told that theirs is stored"),
        (Put::Created, Put::Exists) if is(&second) => {
            Verdict::Refused("the bytes there are those of the one who lost")
        }
        (Put::Exists, Put::Created) if is(&first) => {
            Verdict::Refused("the bytes there are those of the one who lost")
        }
        // Both lost: the answer to the one who won went astray, and its second try met its own object.
        _ if is(&first) || is(&second) => Verdict::Proven,
        _ => match found {
            Err(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
            _ => Verdict::NotKept,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::Arc;

    use async_trait::async_trait;
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::path::Path;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
        ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    };

    use super::*;
    use crate::repository::{CreateOptions, Repository};

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Fault {
        /// Looks, lets others in, writes.
        LooksThenWrites,
        /// Takes whatever comes last, and says the truth about who was first.
        KeepsTheLoser,
        /// Keeps half.
        Halves,
        /// Removes nothing.
        KeepsAll,
        /// Writes, and then says that it failed.
        Forgets,
    }

    #[derive(Debug)]
    struct Faulty(InMemory, Fault, std::sync::atomic::AtomicU32);

    impl fmt::Display for Faulty {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{:?}", self.1)
        }
    }

    #[async_trait]
    impl ObjectStore for Faulty {
        async fn put_opts(
            &self,
            location: &Path,
            payload: PutPayload,
            options: PutOptions,
        ) -> object_store::Result<PutResult> {
            if !location.as_ref().contains("probe-") {
                return self.0.put_opts(location, payload, options).await;
            }
            let exists = self.0.head(location).await.is_ok();
            tokio::task::yield_now().await;
            match self.1 {
                Fault::LooksThenWrites if !exists => {
                    self.0.put_opts(location, payload, PutOptions::default()).await
                }
                Fault::LooksThenWrites => {
                    self.0
                        .put_opts(location, payload, PutOptions::from(PutMode::Create))
                        .await
                }
                Fault::KeepsTheLoser => {
                    let answer = self.0.put_opts(location, payload.clone(), options).await;
                    if answer.is_err() {
                        self.0.put(location, payload).await?;
                    }
                    answer
                }
                Fault::Halves => {
                    let bytes = Bytes::from(payload).slice(..PROBE_BYTES / 2);
                    self.0.put_opts(location, bytes.into(), options).await
                }
                Fault::KeepsAll => self.0.put_opts(location, payload, options).await,
                Fault::Forgets => {
                    let answer = self.0.put_opts(location, payload, options).await;
                    if answer.is_ok() && self.2.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                        return Err(object_store::Error::Generic {
                            store: "test",
                            source: "the connection is gone".into(),
                        });
                    }
                    answer
                }
            }
        }

        async fn put_multipart_opts(
            &self,
            location: &Path,
            options: PutMultipartOptions,
        ) -> object_store::Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(location, options).await
        }

        async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
            self.0.get_opts(location, options).await
        }

        fn delete_stream(
            &self,
            locations: BoxStream<'static, object_store::Result<Path>>,
        ) -> BoxStream<'static, object_store::Result<Path>> {
            if self.1 == Fault::KeepsAll {
                let denied = object_store::Error::PermissionDenied {
                    path: "probe".to_owned(),
                    source: "no right to remove".into(),
                };
                return Box::pin(futures::stream::once(async { Err(denied) }));
            }
            self.0.delete_stream(locations)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
            self.0.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> object_store::Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> object_store::Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }

    async fn create_on(fault: Fault) -> (Result<Repository>, Arc<Faulty>) {
        let store = Arc::new(Faulty(InMemory::new(), fault, 0.into()));
        let options = CreateOptions::unencrypted();
        let made = Repository::create(store.clone(), options, Environment::default()).await;
        (made, store)
    }

    #[tokio::test]
    async fn a_store_where_two_win_or_the_loser_stays_is_refused() {
        for (fault, kind) in [
            (Fault::LooksThenWrites, ErrorKind::Protocol),
            (Fault::KeepsTheLoser, ErrorKind::Protocol),
            (Fault::Halves, ErrorKind::Unavailable),
        ] {
            let (made, store) = create_on(fault).await;
            let error = made.unwrap_err();
            assert_eq!(error.kind(), kind, "{fault:?}: {error:?}");
            let left: Vec<_> = futures::TryStreamExt::try_collect(store.0.list(None))
                .await
                .unwrap();
            assert!(left.is_empty(), "{fault:?}: {left:?}");
        }
    }

    #[tokio::test]
    async fn a_lost_answer_and_a_probe_that_stays_are_no_obstacle() {
        for fault in [Fault::Forgets, Fault::KeepsAll] {
            let (made, store) = create_on(fault).await;
            made.unwrap();
            Repository::open(store, Default::default(), Environment::default())
                .await
                .unwrap();
        }
    }
}
