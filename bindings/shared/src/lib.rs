//! What the bindings of every language share.
//!
//! A *class* is what a caller holds (a repository, a recovery point, a run); a *record* is data that goes over as a whole. Both
//! are written once, with the macros `class` and `record`: from that come typed methods (exported through UniFFI where the feature
//! `uniffi` is on), calls by name with arguments as JSON (what the Python and Node modules make), and [`api::Api`], the
//! description that their typed faces are generated from.
//!
//! No method here decides anything: each hands over to `nakivo-core`, the connector or the emulator.

#[macro_use]
mod macros;

pub mod api;
pub mod call;
pub mod error;
pub mod objects;
pub mod runtime;
pub mod types;

pub use call::{Answer, Arguments, Class, new};
pub use error::NakivoError;

#[cfg(feature = "uniffi")]
uniffi::setup_scaffolding!("nakivo");
