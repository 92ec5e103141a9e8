//! nakivo-testkit
