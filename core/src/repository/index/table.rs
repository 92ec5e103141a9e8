//! From an id to the rows that may be its: an open-addressing table of positions, which holds no ids of its own.
//!
//! Two bytes of each id stand beside its position, so that a look-up of what is not there reads a row once in thousands of
//! times, and one of what is there hardly ever reads a wrong one. Whoever looks up compares the whole id. Seven bytes an entry.

/// Marks an empty place; no entry has this tag.
const EMPTY: u16 = 0;

/// See the module. Parts are filled one after the other: a table whose entries cannot be placed anew without reading all
/// their ids gets one more part instead.
#[derive(Debug, Default)]
pub(super) struct Table {
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    tags: Vec<u16>,
    positions: Vec<u32>,
    used: usize,
}

/// Ids are hashes, so their own bits place them.
fn hash(id: &[u8; 32]) -> (u64, u16) {
    let mut first = [0; 8];
    first.copy_from_slice(&id[..8]);
    let tag = u16::from_le_bytes([id[8], id[9]]);
    (u64::from_le_bytes(first), tag.max(EMPTY + 1))
}

impl Table {
    /// An empty table with room for so many entries.
    pub(super) fn with_room(entries: usize) -> Self {
        let mut table = Self::default();
        table.extend(entries);
        table
    }

    /// Whether so many more entries fit.
    pub(super) fn has_room(&self, entries: usize) -> bool {
        self.parts.last().is_some_and(|part| part.room() >= entries)
    }

    /// Makes room for so many more entries. Those that are there stay where they are, and each part takes time at every
    /// look-up: for few and large ones.
    pub(super) fn extend(&mut self, entries: usize) {
        self.parts.push(Part::with_room(entries));
    }

    /// Adds an entry; there must be room.
    pub(super) fn insert(&mut self, id: &[u8; 32], position: u32) {
        if let Some(part) = self.parts.last_mut() {
            part.insert(hash(id), position);
        }
    }

    /// Positions that may be the id's, the one added first in front where they are few; among them all that are.
    pub(super) fn candidates(&self, id: &[u8; 32]) -> impl Iterator<Item = u32> + '_ {
        let hash = hash(id);
        self.parts.iter().flat_map(move |part| part.candidates(hash))
    }

    /// Bytes it takes.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| 6 * part.tags.len()).sum()
    }
}

impl Part {
    fn with_room(entries: usize) -> Self {
        // At most 5/6 full: short probes, and there is always an empty place to stop at.
        let places = entries / 5 * 6 + 16;
        Self {
            tags: vec![EMPTY; places],
            positions: vec![0; places],
            used: 0,
        }
    }

    fn room(&self) -> usize {
        (self.tags.len() / 6 * 5).saturating_sub(self.used)
    }

    fn home(&self, hash: u64) -> usize {
        // Multiply-shift: spreads a uniform 64-bit value evenly over any length.
        let wide = u128::from(hash) * self.tags.len() as u128;
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.tags.len() { 0 } else { at + 1 }
    }

    fn insert(&mut self, (hash, tag): (u64, u16), position: u32) {
        let mut at = self.home(hash);
        while self.tags[at] != EMPTY {
            at = self.after(at);
        }
        self.tags[at] = tag;
        self.positions[at] = position;
        self.used += 1;
    }

    fn candidates(&self, (hash, tag): (u64, u16)) -> impl Iterator<Item = u32> + '_ {
        let mut next = self.home(hash);
        std::iter::from_fn(move || {
            loop {
                let at = next;
                let found = self.tags[at];
                if found == EMPTY {
                    return None;
                }
                next = self.after(at);
                if found == tag {
                    return Some(self.positions[at]);
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> [u8; 32] {
        *blake3::hash(&n.to_le_bytes()).as_bytes()
    }

    #[test]
    fn every_entry_is_a_candidate_and_few_others_are() {
        let mut table = Table::with_room(50_000);
        for n in 0..60_000 {
            if !table.has_room(1) {
                table.extend(2_000);
            }
            table.insert(&id(n), u32::try_from(n).unwrap());
        }
        assert_eq!(table.parts.len(), 6);
        let mut false_alarms = 0;
        for n in 0..120_000 {
            let found: Vec<u32> = table.candidates(&id(n)).collect();
            let known = u32::try_from(n).ok().filter(|n| *n < 60_000);
            assert!(known.is_none_or(|n| found.contains(&n)), "{n}");
            false_alarms += found.len() - usize::from(known.is_some());
        }
        assert!(false_alarms < 400, "{false_alarms} of 120,000");
        assert!(table.bytes() < 60_000 * 15 / 2, "{} bytes", table.bytes());
    }

    #[test]
    fn an_empty_table_has_no_candidates_and_no_room() {
        let table = Table::default();
        assert!(!table.has_room(1));
        assert_eq!(table.candidates(&id(1)).count(), 0);
        let mut table = Table::with_room(0);
        assert!(table.has_room(10));
        // The tag of an empty place in an id's own bytes.
        table.insert(&[0; 32], 7);
        assert_eq!(table.candidates(&[0; 32]).collect::<Vec<_>>(), [7]);
    }
}
