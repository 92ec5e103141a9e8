//! One binary for all integration tests of the crate: linking is the slow part.

mod begun_again;
mod content_hash;
mod folder;
#[cfg(feature = "servers")]
mod locks;
mod recovery;
#[cfg(feature = "measure")]
mod recovery_large;
mod repository;
mod repository_damage;
mod repository_faults;
#[cfg(feature = "measure")]
mod repository_speed;
mod stores;
