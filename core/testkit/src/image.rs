//! The objects of a store as a value: to copy, damage and open again.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt, PutPayload, Result};

/// All objects of a store at one moment. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    objects: BTreeMap<Path, Bytes>,
}

impl Image {
    /// Reads every object of `store`.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn of(store: &dyn ObjectStore) -> Result<Self> {
        let listed: Vec<ObjectMeta> = store.list(None).try_collect().await?;
        let mut objects = BTreeMap::new();
        for meta in listed {
            let bytes = store.get(&meta.location).await?.bytes().await?;
            objects.insert(meta.location, bytes);
        }
        Ok(Self { objects })
    }

    /// A store in memory with these objects.
    ///
    /// # Panics
    /// Never: memory takes them.
    pub async fn open(&self) -> Arc<dyn ObjectStore> {
        let store = InMemory::new();
        for (path, bytes) in &self.objects {
            store
                .put(path, PutPayload::from_bytes(bytes.clone()))
                .await
                .expect("memory takes every object");
        }
        Arc::new(store)
    }

    /// The objects.
    #[must_use]
    pub fn objects(&self) -> &BTreeMap<Path, Bytes> {
        &self.objects
    }

    /// The same with this object replaced or added.
    #[must_use]
    pub fn with(&self, path: &Path, bytes: impl Into<Bytes>) -> Self {
        let mut image = self.clone();
        image.objects.insert(path.clone(), bytes.into());
        image
    }

    /// The same without this object.
    #[must_use]
    pub fn without(&self, path: &Path) -> Self {
        let mut image = self.clone();
        image.objects.remove(path);
        image
    }

    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.objects.values().map(|bytes| bytes.len() as u64).sum()
    }
}
