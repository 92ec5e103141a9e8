//! How much of each pack is wanted, for those who remove things.

use nakivo_repo_format::PackId;

use super::Index;
use super::rows::ChunkRow;
use crate::error::Result;

/// How much of a pack is wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackUsage {
    pub(crate) id: PackId,
    pub(crate) size: u64,
    pub(crate) epoch: u32,
    /// Stored bytes of what is wanted, as its share of its blocks.
    pub(crate) wanted_bytes: u64,
    /// Whether every wanted chunk is `elsewhere`, too, so that the pack may go.
    pub(crate) dispensable: bool,
}

impl Index {
    /// How much is wanted of each pack that `only` names, by positions of chunks; hidden packs are left out.
    ///
    /// # Errors
    /// `ScratchFailed` if the disk does not give back what was put there.
    pub(crate) fn usage(
        &self,
        only: impl Fn(&PackId) -> bool,
        wanted: impl Fn(u32) -> bool,
        elsewhere: impl Fn(u32) -> bool,
    ) -> Result<Vec<PackUsage>> {
        self.shown_packs()
            .filter(|(_, pack)| only(&pack.id))
            .map(|(number, _)| self.usage_of(number, &wanted, &elsewhere))
            .collect()
    }

    fn usage_of(
        &self,
        number: u32,
        wanted: impl Fn(u32) -> bool,
        elsewhere: impl Fn(u32) -> bool,
    ) -> Result<PackUsage> {
        let pack = &self.packs[number as usize];
        let mut usage = PackUsage {
            id: pack.id,
            size: pack.size,
            epoch: pack.epoch,
            wanted_bytes: 0,
            dispensable: true,
        };
        let blocks = self.block_rows(number)?;
        // Plain bytes of each block, and of what is wanted of it.
        let mut plain = vec![(0u64, 0u64); blocks.len()];
        self.chunks.each(self.chunks_of_number(number), |position, row| {
            let row = ChunkRow::decode(row);
            let (all, live) = &mut plain[(row.block - pack.first_block) as usize];
            *all += u64::from(row.length);
            if wanted(position) {
                *live += u64::from(row.length);
                usage.dispensable &= elsewhere(position);
            }
        })?;
        for (block, (all, live)) in blocks.iter().zip(plain) {
            let share = (u64::from(block.stored_length) * live).checked_div(all);
            usage.wanted_bytes += share.unwrap_or(0);
        }
        Ok(usage)
    }
}
