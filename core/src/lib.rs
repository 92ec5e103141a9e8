//! nakivo-core
