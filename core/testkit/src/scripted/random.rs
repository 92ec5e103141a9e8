//! Edits by chance.

use std::collections::BTreeMap;

use super::connector::View;
use super::model::Edit;
use crate::content::{Content, mail, prose};
use crate::random::SeededRng;

/// Draws edits that make sense for what is there. Clones share their state.
#[derive(Debug, Clone)]
pub struct RandomEdits {
    rng: SeededRng,
    /// How many edits in 100 forget a cursor.
    expiry: u64,
    made: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl RandomEdits {
    /// Edits drawn from `rng`; of 100, `expiry` forget a cursor.
    #[must_use]
    pub fn new(rng: SeededRng, expiry: u64) -> Self {
        Self {
            rng,
            expiry,
            made: std::sync::Arc::default(),
        }
    }

    fn fresh(&self, prefix: &str) -> String {
        let number = self.made.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        // Spread over the key space, so that new ids do not all sort last.
        format!("{prefix}{:02x}-{number}", self.rng.below(256))
    }

    /// Content of one to three parts' worth of bytes: mostly small, sometimes more than a chunk.
    #[must_use]
    pub fn parts(&self) -> BTreeMap<String, Content> {
        let rng = &self.rng;
        let content = match rng.below(20) {
            0 => Content::Bytes(bytes::Bytes::new()),
            1 => Content::Generated {
                seed: rng.below(4),
                size: 300_000 + rng.below(1_500_000),
            },
            // One of few seeds: the same attachment in many mails.
            2..=5 => mail(
                "with attachment",
                "see below",
                &SeededRng::new(rng.below(5)).bytes(20_000),
            ),
            _ => {
                let size = rng.index(4000);
                mail("plain", &prose(rng, size), b"")
            }
        };
        BTreeMap::from([("mime".to_owned(), content)])
    }

    /// The next edit.
    #[must_use]
    pub fn next(&self, view: &View) -> Edit {
        let rng = &self.rng;
        let any_container = || rng.pick(&view.containers).cloned().unwrap_or_default();
        if rng.chance(self.expiry) {
            return if rng.chance(30) {
                Edit::ExpireAll
            } else {
                Edit::Expire {
                    container: any_container(),
                }
            };
        }
        if view.containers.len() < 2 || rng.chance(4) {
            let parent = if rng.chance(60) {
                String::new()
            } else {
                any_container()
            };
            let id = self.fresh("c");
            return Edit::AddContainer {
                name: format!("Folder {id}"),
                id,
                parent,
            };
        }
        let Some(item) = rng.pick(&view.items).cloned() else {
            return self.put(any_container());
        };
        match rng.below(100) {
            0..30 => self.put(any_container()),
            30..45 => Edit::Put {
                container: String::new(),
                name: format!("Changed {item}"),
                id: item,
                parts: self.parts(),
            },
            45..52 => Edit::Touch { id: item },
            52..58 => Edit::Rename {
                name: format!("Renamed {}", rng.below(1000)),
                id: item,
            },
            58..72 => Edit::Move {
                id: item,
                to: any_container(),
            },
            72..80 => Edit::LostMove {
                id: item,
                via: any_container(),
            },
            80..92 => Edit::Remove { id: item },
            92..95 => Edit::RenameContainer {
                id: any_container(),
                name: format!("Folder {}", rng.below(1000)),
            },
            95..98 => {
                let parent = if rng.chance(40) {
                    String::new()
                } else {
                    any_container()
                };
                Edit::MoveContainer {
                    id: any_container(),
                    parent,
                }
            }
            _ if view.containers.len() > 3 => Edit::RemoveContainer { id: any_container() },
            _ => Edit::Touch { id: item },
        }
    }

    fn put(&self, container: String) -> Edit {
        let id = self.fresh("i");
        Edit::Put {
            container,
            name: format!("Item {id}"),
            id,
            parts: self.parts(),
        }
    }
}
