//! nakivo-repo-format
