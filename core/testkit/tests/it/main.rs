//! Suites that need more than one crate, and the plan of the house itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![allow(clippy::disallowed_methods, reason = "the suites report how long they take")]

mod architecture;
mod concurrency;
mod crash;
mod damage;
mod durable;
mod faults;
mod histories;
mod many;
mod proportion;
mod reclaim;
