//! Integration tests of the repository format. `NAKIVO_SEED` repeats a run; every run prints its seed.

mod chunker;
mod corpus;
mod crypto;
mod fixtures;
mod hostile;
mod keyslot;
mod measure;
mod pack;
mod records;
mod splitter;
mod state;
mod tamper;
mod tree;
mod vectors;
