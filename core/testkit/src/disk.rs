//! A disk that loses power: which states the flushes of the local store allow.
//!
//! [`Recorder`] notes what a piece of work does to a store, with the moments at which each change began and was
//! acknowledged. [`Disk`] expands each change into the system calls of the local store ([`What::calls`]; a test compares them
//! with what the kernel is really asked for) and says what may be on the disk when the power fails at one of these moments:
//!
//! * What was acknowledged before is applied. Of what was under way, each change may have come to any of its calls.
//! * A directory entry that was not flushed since it changed is, each by itself, as it was or as any of the changes made it.
//!   Removing an object flushes nothing, so an acknowledged removal may be undone until something else flushes the directory.
//! * The bytes of a file that was not flushed are there up to any byte, and behind that missing, zeroes, or what lay on these
//!   blocks before.
//!
//! With [`Flushes::OnlyDirectories`] the flush of a file does nothing until its directory is flushed: a disk that puts the two
//! off and then does them in any order, or a store that keeps the beginning of an object before it acknowledged any. That
//! leaves half-written objects under their final names.

mod model;
mod record;

pub use model::{Disk, Flushes, Freedom, Moment, State, Tear};
pub use record::{Call, Change, Recorder, Recording, What};

use nakivo_core::Result;
use nakivo_core::store::StoreLocation;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutPayload};

/// Where [`each_change`] makes its changes.
pub const EACH_CHANGE: &str = "log/each-change";

/// Makes one change of each kind in the local store at `directory`, in the order of [`each_change_calls`]: for a process whose
/// system calls are traced.
///
/// # Errors
/// Those of the store.
pub async fn each_change(directory: &std::path::Path) -> Result<()> {
    let store = StoreLocation::directory(directory).create().await?;
    let failed = |error: object_store::Error| nakivo_core::Error::internal(error.to_string());
    let put = |path: &'static str, mode: PutMode| {
        let (store, path) = (store.clone(), Path::from(path));
        async move {
            store
                .put_opts(&path, PutPayload::from_static(b"bytes"), mode.into())
                .await
        }
    };
    // Its directory is made by the first object in it.
    put("log/before", PutMode::Create).await.map_err(failed)?;
    put(EACH_CHANGE, PutMode::Create).await.map_err(failed)?;
    let taken = put(EACH_CHANGE, PutMode::Create).await;
    if !matches!(taken, Err(object_store::Error::AlreadyExists { .. })) {
        return Err(nakivo_core::Error::internal("an object was created twice"));
    }
    put(EACH_CHANGE, PutMode::Overwrite).await.map_err(failed)?;
    store.delete(&Path::from(EACH_CHANGE)).await.map_err(failed)
}

/// The calls that the model says [`each_change`] makes for [`EACH_CHANGE`].
#[must_use]
pub fn each_change_calls() -> Vec<Call> {
    let bytes = bytes::Bytes::new();
    [
        What::Create(bytes.clone()).calls(false),
        What::Create(bytes.clone()).calls(true),
        What::Replace(bytes).calls(false),
        What::Remove.calls(false),
    ]
    .concat()
}
