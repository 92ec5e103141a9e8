//! The native module of the Python package: objects to hold, and calls by name.
//!
//! It names no operation: what there is to call, with which types, is generated from the description in `bindings/api.json`.

mod call;
mod handle;

/// What `nakivo` is built on. Nothing here is public: its shape changes without notice.
#[pyo3::pymodule]
mod _native {
    #[pymodule_export]
    use crate::call::{Task, after_fork, call, end, entering, start};
    #[pymodule_export]
    use crate::handle::Handle;

    /// The version of the library.
    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "that is what it is called in Python")]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
