//! Keys, seeds and random values shared by the tests.

use std::collections::BTreeMap;
use std::fmt::Debug;

use nakivo_repo_format::ids::WriterId;
use nakivo_repo_format::log::{
    Checkpoint, CommitRecord, DamagedPack, IndexRef, Operation, PointDamage, RemovedPoint, TombstonedPack,
};
use nakivo_repo_format::manifest::{Cause, LedgerEntry, LedgerKind, Outcome, PointCounts, Protection};
use nakivo_repo_format::split::{Encoding, LineEnd};
use nakivo_repo_format::tree::TreeRoot;
use nakivo_repo_format::*;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

/// The keys every test uses.
pub(crate) fn keys() -> KeySet {
    KeySet::derive(&master(), 0, &repository())
}

pub(crate) fn master() -> MasterKey {
    MasterKey::from_random(std::array::from_fn(|i| i as u8))
}

pub(crate) fn repository() -> RepositoryId {
    RepositoryId::from_bytes(std::array::from_fn(|i| 0xa0 + i as u8))
}

pub(crate) fn codec() -> Codec {
    Codec::new(Compression::Medium).unwrap()
}

/// The seed of this run: from `NAKIVO_SEED`, else fresh. Printed, so that a failure can be repeated.
pub(crate) fn seed(test: &str) -> u64 {
    let seed = match std::env::var("NAKIVO_SEED") {
        Ok(text) => text.parse().expect("NAKIVO_SEED is a number"),
        Err(_) => std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map(|d| d.as_nanos() as u64)
            .unwrap_or(1),
    };
    println!("{test}: NAKIVO_SEED={seed}");
    seed
}

/// Runs a property over `cases` values of a strategy, from the seed of this run.
pub(crate) fn property<S: Strategy>(
    test: &str,
    cases: u32,
    strategy: S,
    check: impl Fn(S::Value) -> Result<(), TestCaseError>,
) where
    S::Value: Debug,
{
    let mut seed_bytes = [0; 32];
    seed_bytes[..8].copy_from_slice(&seed(test).to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 4000,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes);
    if let Err(e) = TestRunner::new_with_rng(config, rng).run(&strategy, check) {
        panic!("{test}: {e}");
    }
}

/// A small random generator (splitmix64): good enough for test data, the same everywhere.
pub(crate) struct Gen(u64);

impl Gen {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    pub(crate) fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(length + 8);
        while out.len() < length {
            out.extend_from_slice(&self.next().to_le_bytes());
        }
        out.truncate(length);
        out
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        self.bytes(N).try_into().unwrap()
    }

    /// A number of random magnitude.
    pub(crate) fn number(&mut self) -> u64 {
        let bits = self.below(65) as u32;
        if bits == 0 { 0 } else { self.next() >> (64 - bits) }
    }

    fn time(&mut self) -> i64 {
        self.number() as i64
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.chance(2) { Some(value(self)) } else { None }
    }

    fn list<T>(&mut self, most: usize, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(most + 1)).map(|_| value(self)).collect()
    }

    pub(crate) fn text(&mut self) -> String {
        let alphabet: Vec<char> = "abcXYZ 0189-_/.:äß€😀\"\\\n".chars().collect();
        let length = self.below(24);
        (0..length)
            .map(|_| alphabet[self.below(alphabet.len())])
            .collect()
    }

    fn name(&mut self) -> String {
        format!("n{}", self.next() % 1000)
    }

    pub(crate) fn chunk(&mut self) -> ChunkRef {
        ChunkRef {
            id: ChunkId::from_bytes(self.array()),
            length: (self.number() % (8 << 20)) as u32,
        }
    }

    pub(crate) fn blob(&mut self) -> Blob {
        if self.chance(2) {
            let length = self.below(50);
            Blob::Inline(self.bytes(length))
        } else {
            Blob::from_chunks(self.list(5, Self::chunk))
        }
    }

    pub(crate) fn object(&mut self) -> ObjectRecord {
        ObjectRecord {
            id: ObjectId::new(format!("m365/mailbox/{}", self.name())).unwrap(),
            kind: ObjectKind::from_code(1 + self.below(5) as u8).unwrap(),
            name: self.text(),
            address: self.maybe(Self::text),
            source: self.name(),
            native_id: self.text(),
            account: self.maybe(Self::text),
        }
    }

    pub(crate) fn root(&mut self) -> TreeRoot {
        TreeRoot {
            chunk: self.chunk(),
            level: self.below(8) as u8,
            entries: self.number(),
            bytes: self.number(),
        }
    }

    pub(crate) fn protection(&mut self) -> Protection {
        match self.below(3) {
            0 => Protection::JobRetention,
            1 => Protection::Forever,
            _ => Protection::Until(self.time()),
        }
    }

    pub(crate) fn manifest(&mut self) -> Manifest {
        Manifest {
            id: PointId::from_bytes(self.array()),
            object: self.object(),
            run: RunId::from_bytes(self.array()),
            base: self.maybe(|g| PointId::from_bytes(g.array())),
            started_ms: self.time(),
            finished_ms: self.time(),
            root: self.maybe(Self::root),
            outcome: if self.chance(2) {
                Outcome::Complete
            } else {
                Outcome::Partial
            },
            cursor: self.maybe(Self::blob),
            counts: PointCounts {
                items: self.number(),
                containers: self.number(),
                bytes: self.number(),
                added: self.number(),
                changed: self.number(),
                removed: self.number(),
                unchanged: self.number(),
                skipped: self.number(),
                failed: self.number(),
                warnings: self.number(),
            },
            bytes_read: self.number(),
            bytes_stored: self.number(),
            requests: self.number(),
            ledger: self.maybe(Self::blob),
            software: self.text(),
            job: self.maybe(Self::text),
            protection: self.protection(),
            description: self.maybe(Self::text),
        }
    }

    pub(crate) fn ledger_entry(&mut self) -> LedgerEntry {
        LedgerEntry {
            kind: LedgerKind::from_code(1 + self.below(3) as u8).unwrap(),
            item: self.maybe(|g| ItemKey::item(g.name(), g.name()).unwrap()),
            container: self.maybe(Self::text),
            path: self.text(),
            cause: Cause {
                code: self.name(),
                message: self.text(),
            },
            retry: self.chance(2),
        }
    }

    pub(crate) fn progress(&mut self) -> RunProgress {
        RunProgress {
            run: RunId::from_bytes(self.array()),
            object: ObjectId::new(self.name()).unwrap(),
            base: self.maybe(|g| PointId::from_bytes(g.array())),
            started_ms: self.time(),
            spills: self.list(3, Self::blob),
            state: self.maybe(Self::blob),
            bytes_read: self.number(),
            bytes_stored: self.number(),
        }
    }

    pub(crate) fn index_ref(&mut self) -> IndexRef {
        IndexRef {
            id: ids::IndexId::from_bytes(self.array()),
            size: self.number(),
            packs: self.next() as u32,
            chunks: self.number(),
        }
    }

    fn packs(&mut self) -> Vec<PackId> {
        self.list(4, |g| PackId::from_bytes(g.array()))
    }

    pub(crate) fn operation(&mut self, tag: usize) -> Operation {
        match tag {
            1 => Operation::AddIndex {
                segments: self.list(3, Self::index_ref),
            },
            2 => Operation::AddPoint {
                manifest: Box::new(self.manifest()),
            },
            3 => Operation::Progress {
                progress: Box::new(self.progress()),
            },
            4 => Operation::RemovePoints {
                points: self.list(3, |g| PointId::from_bytes(g.array())),
                reason: self.text(),
            },
            5 => Operation::EditPoint {
                point: PointId::from_bytes(self.array()),
                protection: self.protection(),
                description: self.maybe(Self::text),
            },
            6 => Operation::DropProgress {
                run: RunId::from_bytes(self.array()),
            },
            7 => Operation::ReplaceIndex {
                add: self.list(3, Self::index_ref),
                remove: self.list(3, |g| ids::IndexId::from_bytes(g.array())),
            },
            8 => Operation::Tombstone { packs: self.packs() },
            9 => Operation::RemovedPacks { packs: self.packs() },
            10 => Operation::Revive { packs: self.packs() },
            _ => Operation::Damage {
                packs: self.list(3, Self::damaged_pack),
                sound: self.packs(),
                points: self.list(2, Self::point_damage),
                whole: self.list(2, |g| PointId::from_bytes(g.array())),
            },
        }
    }

    fn damaged_pack(&mut self) -> DamagedPack {
        DamagedPack {
            pack: PackId::from_bytes(self.array()),
            blocks: self.list(4, |g| u32::try_from(g.below(1 << 20)).unwrap()),
        }
    }

    pub(crate) fn point_damage(&mut self) -> PointDamage {
        PointDamage {
            point: PointId::from_bytes(self.array()),
            lost: self.number(),
            items: self.list(3, |g| ItemKey::item(g.name(), g.name()).unwrap()),
            what: self.text(),
            found_ms: self.time(),
        }
    }

    pub(crate) fn commit(&mut self) -> CommitRecord {
        let operations = (0..self.below(6)).map(|_| 1 + self.below(11)).collect::<Vec<_>>();
        CommitRecord {
            seq: self.number().max(1),
            previous: CommitHash::from_bytes(self.array()),
            writer: WriterId::from_bytes(self.array()),
            time_ms: self.time(),
            software: self.text(),
            operations: operations.into_iter().map(|tag| self.operation(tag)).collect(),
            locked_ms: self.maybe(Self::time),
        }
    }

    pub(crate) fn checkpoint(&mut self) -> Checkpoint {
        let seq = self.number().max(1);
        Checkpoint {
            seq,
            commit_hash: CommitHash::from_bytes(self.array()),
            points: self.list(3, Self::manifest),
            removed_points: self.list(3, |g| RemovedPoint {
                id: PointId::from_bytes(g.array()),
                seq: g.number(),
            }),
            segments: self.list(3, Self::index_ref),
            progress: self.list(2, Self::progress),
            tombstones: self.list(3, |g| TombstonedPack {
                pack: PackId::from_bytes(g.array()),
                seq: g.number(),
            }),
            boundary: seq / 2,
            damaged_packs: self.maybe(|g| g.list(2, Self::damaged_pack)),
            damaged_points: self.maybe(|g| g.list(2, Self::point_damage)),
            locked_ms: self.maybe(Self::time),
        }
    }

    pub(crate) fn segment(&mut self) -> Segment {
        let data = if self.chance(3) {
            let length = self.below(64);
            SegmentData::Inline(self.bytes(length))
        } else {
            SegmentData::Chunks(self.list(4, Self::chunk))
        };
        let encoding = if self.chance(2) {
            Encoding::Raw
        } else {
            Encoding::Base64 {
                line_length: 4 * (1 + self.below(249)) as u16,
                eol: if self.chance(2) {
                    LineEnd::Crlf
                } else {
                    LineEnd::Lf
                },
                last_line_eol: self.chance(2),
            }
        };
        Segment {
            encoding,
            length: self.number(),
            data,
        }
    }

    fn value(&mut self) -> Value {
        match self.below(4) {
            0 => Value::Bool(self.chance(2)),
            1 => Value::Integer(self.next() as i64 >> self.below(64)),
            2 => Value::Text(self.text()),
            _ => Value::List(self.list(3, Self::text)),
        }
    }

    pub(crate) fn item(&mut self) -> ItemRecord {
        let mut record = ItemRecord::new(
            ItemKind::from_code(1 + self.below(8) as u8).unwrap(),
            self.name(),
            self.name(),
            self.text(),
        );
        record.change_key = self.maybe(Self::text);
        record.size = self.number();
        record.created_ms = self.maybe(Self::time);
        record.modified_ms = self.maybe(Self::time);
        record.received_ms = self.maybe(Self::time);
        record.sent_ms = self.maybe(Self::time);
        record.item_type = self.maybe(Self::text);
        record.properties = self.list(4, |g| (g.name(), g.value())).into_iter().collect();
        record.parts = self.list(3, |g| ContentPart {
            name: g.name(),
            media_type: g.maybe(Self::text),
            size: g.number(),
            hash: ContentHash::from_bytes(g.array()),
            segments: if g.chance(3) {
                SegmentList::Indirect(g.blob())
            } else {
                SegmentList::Direct(g.list(3, Self::segment))
            },
            attributes: g
                .list(2, |g| (g.name(), g.text()))
                .into_iter()
                .collect::<BTreeMap<_, _>>(),
        });
        record
    }
}
