//! Suites that need more than one crate, and the plan of the house itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "the suites report how long they take")]

// First by its name, for it takes longest on one core.
mod ages;
mod append_only;
mod architecture;
mod bits;
mod concurrency;
mod copy;
mod crash;
mod damage;
mod durable;
mod faults;
mod forks;
mod golden;
mod heal;
mod histories;
mod keys;
mod locks;
mod many;
mod power;
mod proportion;
mod reclaim;
mod registry;
mod schedules;
mod stopped;
