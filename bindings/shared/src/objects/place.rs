//! Places where a repository is, for what is done without opening it.

use std::sync::Arc;

use nakivo_core::repository as core;
use nakivo_core::store::Store;

use super::repository::{environment, locate};
use super::{DestroyRun, UnhideRun};
use crate::NakivoError;
use crate::types::{PlaceOptions, To as _, UnhideOptions};

/// A place where a repository is, for what is done without opening it.
#[cfg_attr(feature = "uniffi", derive(uniffi::Object))]
pub struct Place(Store);

class! {
    /// A place where a repository is, for what is done without opening it.
    Place
    constructors {
        /// The place at `url`.
        fn at(url: String, options: PlaceOptions) {
            let (location, settings) = locate(&url, options.store_config.as_deref())?;
            Ok(Arc::new(Self(location.open_with(&settings).await?)))
        }
    }
    methods {
        /// The id of the repository that is there.
        fn identify(&self) -> String {
            Ok(core::identify(self.0.clone(), environment(None)).await?.to())
        }

        /// Deletes the repository with everything in it. `id` is what `identify` says, so that nobody deletes another one.
        fn destroy(&self, id: String) -> Arc<DestroyRun> {
            let id = id.parse().map_err(|_| NakivoError::invalid("id", &id, "what identify says"))?;
            Ok(DestroyRun::of(core::destroy(self.0.clone(), id, environment(None))))
        }

        /// Brings back what somebody deleted of a repository in a bucket that keeps versions.
        fn unhide(&self, options: UnhideOptions) -> Arc<UnhideRun> {
            let options = core::UnhideOptions::default().with_keys(options.keys).with_preview(options.preview);
            Ok(UnhideRun::of(core::unhide(self.0.clone(), options, environment(None))))
        }
    }
}
