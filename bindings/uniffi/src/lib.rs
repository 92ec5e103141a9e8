//! Everything that `nakivo-bindings` exports through UniFFI, as one shared library.

nakivo_bindings::uniffi_reexport_scaffolding!();
