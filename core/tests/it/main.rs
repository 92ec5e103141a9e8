//! One binary for all integration tests of the crate: linking is the slow part.

mod folder;
mod recovery;
mod recovery_large;
mod repository;
mod repository_damage;
mod repository_faults;
mod repository_speed;
