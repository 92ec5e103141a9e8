//! Packs: writing, reading, verifying, limits.

use nakivo_repo_format::pack::{
    BlockEntry, BlockInput, BlockRole, Directory, FinishedPack, MAX_BLOCK_BYTES, PackFooter, PackWriter,
    SealedBlock, open_block, open_blocks, open_chunk, open_directory, open_pack, seal_block, seal_blocks,
    verify_pack,
};
use nakivo_repo_format::*;

use crate::fixtures::{Gen, codec, keys};

/// A pack of a few blocks, and the plaintexts of its chunks.
pub(crate) fn sample(seed: u64, compression: Compression) -> (FinishedPack, Vec<Vec<u8>>) {
    sample_of(seed, compression, &[1, 3, 1, 2])
}

/// A pack of blocks with so many chunks each.
fn sample_of(seed: u64, compression: Compression, counts: &[u8]) -> (FinishedPack, Vec<Vec<u8>>) {
    let keys = keys();
    let mut g = Gen::new(seed);
    let mut codec = Codec::new(compression).unwrap();
    let mut writer = PackWriter::new(&keys);
    let mut plains = Vec::new();
    for &count in counts {
        let some: Vec<Vec<u8>> = (0..count)
            .map(|i| {
                let length = g.below(300);
                if i % 2 == 0 {
                    vec![b'a' + i; length + 40]
                } else {
                    g.bytes(length)
                }
            })
            .collect();
        let chunks: Vec<_> = some.iter().map(|p| (keys.chunk_id(p), p.as_slice())).collect();
        writer
            .append(seal_block(&keys, &mut codec, BlockRole::Data, &chunks).unwrap())
            .unwrap();
        plains.extend(some);
    }
    (writer.finish(&mut codec).unwrap(), plains)
}

#[test]
fn round_trip() {
    for compression in [
        Compression::Disabled,
        Compression::Fast,
        Compression::Medium,
        Compression::Best,
    ] {
        let keys = keys();
        let mut codec = codec();
        let (pack, plains) = sample(3, compression);
        let bytes = pack.to_vec();
        assert_eq!(bytes.len() as u64, pack.size);
        assert_eq!(pack.id, PackId::of(&bytes));
        assert_eq!(
            verify_pack(&keys, &mut codec, &pack.id, &bytes).unwrap(),
            pack.directory
        );

        // The directory opens from the tail alone; a block opens without the pack's header.
        let footer = PackFooter::decode(&bytes[bytes.len() - 16..]).unwrap();
        let tail = &bytes[bytes.len() - footer.tail_length() as usize..];
        let header = keys.header_in_epoch(pack.epoch, ObjectType::Pack, 0).unwrap();
        let directory = open_directory(&keys, &mut codec, &header, pack.size, tail).unwrap();
        assert_eq!(directory, pack.directory);
        let mut found = Vec::new();
        for entry in &directory.blocks {
            let stored = &bytes[entry.range().start as usize..entry.range().end as usize];
            let plain = open_block(&keys, &mut codec, &header, entry, stored).unwrap();
            for (id, range) in entry.chunk_ranges() {
                assert_eq!(
                    open_chunk(&keys, &mut codec, &header, entry, stored, &id).unwrap(),
                    plain[range.clone()]
                );
                found.push(plain[range].to_vec());
            }
            let absent = keys.chunk_id(b"absent");
            assert!(open_chunk(&keys, &mut codec, &header, entry, stored, &absent).is_err());
        }
        assert_eq!(found, plains);
    }
}

#[test]
fn an_empty_pack_is_a_pack() {
    let (keys, mut codec) = (keys(), codec());
    let pack = PackWriter::new(&keys).finish(&mut codec).unwrap();
    assert_eq!(
        verify_pack(&keys, &mut codec, &pack.id, &pack.to_vec()).unwrap(),
        Directory::default()
    );
}

#[test]
fn an_empty_chunk_is_a_chunk() {
    let (keys, mut codec) = (keys(), codec());
    let mut writer = PackWriter::new(&keys);
    let id = keys.chunk_id(b"");
    writer
        .append(seal_block(&keys, &mut codec, BlockRole::Other, &[(id, b"")]).unwrap())
        .unwrap();
    let pack = writer.finish(&mut codec).unwrap();
    verify_pack(&keys, &mut codec, &pack.id, &pack.to_vec()).unwrap();
}

/// Equal chunks give equal blocks, so a repeated upload is the same bytes.
#[test]
fn sealing_is_deterministic() {
    assert_eq!(
        sample(9, Compression::Medium).0.to_vec(),
        sample(9, Compression::Medium).0.to_vec()
    );
}

/// Blocks sealed together are the blocks sealed one by one.
#[test]
fn sealing_together_changes_nothing() {
    let (keys, mut codec) = (keys(), codec());
    let mut g = Gen::new(31);
    let plains: Vec<Vec<u8>> = (0..11)
        .map(|i| {
            let length = g.below(5000);
            if i % 3 == 0 {
                vec![0; length]
            } else {
                g.bytes(length)
            }
        })
        .collect();
    let chunks: Vec<_> = plains
        .iter()
        .map(|p| [(keys.chunk_id(p), p.as_slice())])
        .collect();
    let inputs: Vec<_> = chunks
        .iter()
        .map(|chunks| BlockInput {
            role: BlockRole::Data,
            chunks,
        })
        .collect();
    let together = seal_blocks(&keys, &mut codec, &inputs).unwrap();
    let single = |chunks: &[_]| seal_block(&keys, &mut codec, BlockRole::Data, chunks).unwrap();
    assert_eq!(
        together,
        chunks
            .iter()
            .map(|c| c.as_slice())
            .map(single)
            .collect::<Vec<_>>()
    );
}

/// A block moves to another pack as it is: reclaiming need not open what it keeps.
#[test]
fn blocks_move_between_packs() {
    let (keys, mut codec) = (keys(), codec());
    let (pack, _) = sample(4, Compression::Medium);
    let bytes = pack.to_vec();
    let mut writer = PackWriter::new(&keys);
    for entry in pack.directory.blocks.iter().rev() {
        let stored = &bytes[entry.range().start as usize..entry.range().end as usize];
        writer
            .append(SealedBlock::from_stored(pack.epoch, entry, stored).unwrap())
            .unwrap();
    }
    let moved = writer.finish(&mut codec).unwrap();
    assert_ne!(moved.id, pack.id);
    verify_pack(&keys, &mut codec, &moved.id, &moved.to_vec()).unwrap();
}

#[test]
fn blocks_of_two_packs_cannot_be_swapped_unnoticed() {
    let (keys, mut codec) = (keys(), codec());
    let (pack, _) = sample(5, Compression::Disabled);
    let bytes = pack.to_vec();
    let header = ObjectHeader::decode(&bytes).unwrap();
    for a in &pack.directory.blocks {
        for b in &pack.directory.blocks {
            let stored = &bytes[b.range().start as usize..b.range().end as usize];
            let mut entry = a.clone();
            entry.stored_length = b.stored_length;
            let opened = open_block(&keys, &mut codec, &header, &entry, stored);
            assert_eq!(opened.is_ok(), a == b);
        }
    }
    // The same bytes in another order of chunks are another block.
    let mut entry = pack.directory.blocks[1].clone();
    entry.chunks.swap(0, 2);
    let stored = &bytes[entry.range().start as usize..entry.range().end as usize];
    assert!(open_block(&keys, &mut codec, &header, &entry, stored).is_err());
}

/// Whatever is wrong with some of them, each block of a group opens as it does alone.
#[test]
fn blocks_opened_together_are_what_they_are_alone() {
    type Block = (BlockEntry, Vec<u8>);
    let (keys, mut codec) = (keys(), codec());
    for compression in [Compression::Disabled, Compression::Fast] {
        let (pack, _) = sample_of(7, compression, &[1, 3, 1, 2, 1, 1, 2, 1, 1]);
        let bytes = pack.to_vec();
        let header = ObjectHeader::decode(&bytes).unwrap();
        let stored =
            |entry: &BlockEntry| bytes[entry.range().start as usize..entry.range().end as usize].to_vec();
        let sound: Vec<Block> = pack
            .directory
            .blocks
            .iter()
            .map(|entry| (entry.clone(), stored(entry)))
            .collect();
        let spoil: [fn(&mut Block); 5] = [
            |_| {},
            |(_, bytes)| *bytes.last_mut().unwrap() ^= 1,
            |(_, bytes)| bytes.truncate(bytes.len() - 1),
            |(_, bytes)| bytes.clear(),
            |(entry, _)| entry.chunks[0].length += 1,
        ];
        for spoil in spoil {
            for which in 0..sound.len() {
                let mut blocks = sound.clone();
                spoil(&mut blocks[which]);
                let together: Vec<(&BlockEntry, &[u8])> = blocks
                    .iter()
                    .map(|(entry, bytes)| (entry, bytes.as_slice()))
                    .collect();
                let alone: Vec<_> = together
                    .iter()
                    .map(|(entry, bytes)| open_block(&keys, &mut codec, &header, entry, bytes))
                    .collect();
                assert_eq!(open_blocks(&keys, &mut codec, &header, &together), alone);
                let failed = alone.iter().filter(|opened| opened.is_err()).count();
                assert!(failed <= 1, "only the spoiled one: {alone:?}");
            }
        }
    }
}

/// Bytes that the directory does not account for have no place in a pack.
#[test]
fn a_gap_is_refused() {
    let (keys, mut codec) = (keys(), codec());
    let (pack, _) = sample(6, Compression::Medium);
    let mut bytes = pack.to_vec();
    let at = pack.directory.blocks_end() as usize;
    bytes.splice(at..at, [0; 5]);
    let refused = open_pack(&keys, &mut codec, &bytes).unwrap_err();
    assert!(matches!(refused, FormatError::Corrupt { .. }), "{refused}");
}

#[test]
fn a_wrong_chunk_id_is_noticed_when_reading() {
    let (keys, mut codec) = (keys(), codec());
    let mut writer = PackWriter::new(&keys);
    let lie = keys.chunk_id(b"something else");
    writer
        .append(seal_block(&keys, &mut codec, BlockRole::Data, &[(lie, b"content")]).unwrap())
        .unwrap();
    let pack = writer.finish(&mut codec).unwrap();
    let refused = verify_pack(&keys, &mut codec, &pack.id, &pack.to_vec()).unwrap_err();
    assert_eq!(refused, FormatError::IdMismatch { what: "chunk" });
}

#[test]
fn limits() {
    let (keys, mut codec) = (keys(), codec());
    let long = vec![0; MAX_BLOCK_BYTES as usize + 1];
    let id = keys.chunk_id(&long);
    let refused = seal_block(&keys, &mut codec, BlockRole::Data, &[(id, &long)]);
    assert!(matches!(refused, Err(FormatError::LimitExceeded { .. })));
    assert!(seal_block(&keys, &mut codec, BlockRole::Data, &[]).is_err());
    seal_block(&keys, &mut codec, BlockRole::Data, &[(id, &long[1..])]).unwrap();
    let other_epoch = KeySet::derive(keys.master(), 1, keys.repository());
    let block = seal_block(&other_epoch, &mut codec, BlockRole::Data, &[(id, b"x")]).unwrap();
    assert!(PackWriter::new(&keys).append(block).is_err());
}

#[test]
fn a_full_pack_refuses_and_stays_usable() {
    let (keys, mut codec) = (keys(), Codec::new(Compression::Disabled).unwrap());
    let mut writer = PackWriter::new(&keys);
    let plain = Gen::new(1).bytes(MAX_BLOCK_BYTES as usize);
    let block = seal_block(
        &keys,
        &mut codec,
        BlockRole::Data,
        &[(keys.chunk_id(&plain), &plain)],
    )
    .unwrap();
    let mut blocks = 0;
    while writer.append(block.clone()).is_ok() {
        blocks += 1;
    }
    assert_eq!(blocks, 31);
    let pack = writer.finish(&mut codec).unwrap();
    assert!(pack.size <= 256 << 20);
    let (_, directory) = open_pack(&keys, &mut codec, &pack.to_vec()).unwrap();
    assert_eq!(directory.blocks.len(), 31);
}
