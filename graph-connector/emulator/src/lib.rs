//! nakivo-graph-emulator
