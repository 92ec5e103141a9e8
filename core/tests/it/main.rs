//! One binary for all integration tests of the crate: linking is the slow part.

mod folder;
mod recovery;
mod repository;
mod repository_damage;
mod repository_faults;
mod repository_speed;
