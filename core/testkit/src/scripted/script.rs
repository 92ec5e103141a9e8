//! What goes wrong when, and what changes while a run is under way.

use std::collections::BTreeMap;

use nakivo_core::{Error, ErrorKind};

use super::model::Edit;

/// How the source behaves at large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Items have no change keys. Default: `false`.
    pub keyless: bool,
    /// Every item is named twice in a round, first with an outdated head. Default: `false`.
    pub repeats: bool,
    /// A round goes on until nothing new has happened in the container, and its cursor starts there; otherwise what happens
    /// during the round is left for the next one. Default: `false`.
    pub follows: bool,
    /// Rounds run in another order every time. Default: `false`: by container id.
    pub shuffles: bool,
    /// Parallel fetches. Default: 4.
    pub fetch_concurrency: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            keyless: false,
            repeats: false,
            follows: false,
            shuffles: false,
            fetch_concurrency: 4,
        }
    }
}

/// When a scripted edit happens, counted since the script was last cleared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Before the change with this number is handed out, from 0, over all rounds.
    BeforeChange(u64),
    /// Before the fetch with this number, from 0: between listing and fetching.
    BeforeFetch(u64),
}

/// What fetching an item comes to, instead of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchTrouble {
    /// An error of this kind.
    Error(ErrorKind),
    /// The source names a cause for which the item will never be readable.
    Skipped,
    /// The item turns out to be gone, and is: removed at this moment.
    Vanishes,
    /// The body of each part breaks with `Unavailable` after this many bytes.
    Breaks(u64),
    /// The body of each part ends after this many bytes as if it were complete.
    Short(u64),
}

#[derive(Debug, Default)]
pub(super) struct Script {
    pub(super) edits: BTreeMap<Moment, Vec<Edit>>,
    pub(super) changes: u64,
    pub(super) fetches: u64,
    /// Per item: trouble, and how many fetches are still to meet it (`None`: all).
    pub(super) trouble: BTreeMap<String, (FetchTrouble, Option<u32>)>,
    /// Containers whose listing fails this many more times, after the first item.
    pub(super) broken_rounds: BTreeMap<String, u32>,
    /// Whether the list of containers fails the next times.
    pub(super) broken_containers: u32,
    /// The whole stream fails before this change.
    pub(super) break_stream: Option<u64>,
    /// Items that cannot be looked up this many more times.
    pub(super) unknown: BTreeMap<String, u32>,
}

impl Script {
    /// The trouble that the next fetch of this item meets.
    pub(super) fn meet(&mut self, id: &str) -> Option<FetchTrouble> {
        let (trouble, left) = self.trouble.get_mut(id)?;
        let trouble = *trouble;
        match left {
            None => return Some(trouble),
            Some(0) => {}
            Some(count) => {
                *count -= 1;
                return Some(trouble);
            }
        }
        self.trouble.remove(id);
        None
    }

    /// Uses up one of `counts[key]`; whether there was one left.
    pub(super) fn use_up(counts: &mut BTreeMap<String, u32>, key: &str) -> bool {
        match counts.get_mut(key) {
            Some(count) if *count > 0 => {
                *count -= 1;
                true
            }
            _ => false,
        }
    }
}

/// The error for a scripted failure.
pub(super) fn scripted_error(kind: ErrorKind, what: &str) -> Error {
    Error::new(kind, format!("scripted: {what}"))
}
