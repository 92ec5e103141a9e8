//! The emulator seen from outside, over HTTP, as a client sees it.

mod batch;
mod client;
mod compose;
mod conformance;
mod content;
mod delta;
mod faults;
mod folders;
mod identity;
mod messages;
mod permissions;
mod scale;
mod upload;
