//! What a disk may hold when the power fails.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use object_store::path::Path;

use super::record::{Call, Change, Recording, What};
use crate::image::Image;
use crate::random::{SeededRng, mix};

/// What makes the bytes of a file durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flushes {
    /// Flushing the file, as POSIX has it.
    Honoured,
    /// Nothing but flushing the directory its name is in.
    OnlyDirectories,
    /// Flushing the file; and flushing a directory does nothing. No disk is so: what a suite must not find whole.
    OnlyFiles,
}

/// How much of a file that was not flushed is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tear {
    /// All of it.
    Whole,
    /// This many bytes, and the file ends.
    Cut(u32),
    /// This many bytes, and zeroes up to its length.
    Zeroes(u32),
    /// This many bytes, and something else up to its length: what these blocks held before.
    Stale(u32),
}

/// What one crash left on the disk, apart from what every crash at that moment leaves.
#[derive(Debug, Clone)]
pub struct State {
    /// Tells it from every other state of the disk, names beside the objects' included.
    pub disk: u64,
    /// Tells it from every other state of the store: the objects under their names.
    pub store: u64,
    /// As `store`, but files that are torn in the same manner are one.
    pub class: u64,
    /// The objects whose names hold torn files.
    pub torn: Vec<(Path, Bytes)>,
    chosen: Vec<(u32, u32, Tear)>,
}

/// How much a moment leaves open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freedom {
    /// Changes under way.
    pub under_way: usize,
    /// Directory entries that were changed and not flushed.
    pub entries: usize,
    /// Bytes that changes under way write.
    pub bytes: usize,
}

/// The versions of a directory entry that may be on the disk.
#[derive(Debug, Clone, Default)]
struct Entry {
    durable: Option<u32>,
    /// What it became since, each with the moment at which that was done.
    since: Vec<(Option<u32>, usize)>,
}

#[derive(Debug)]
struct Name {
    directory: String,
    /// The object, unless the name is one beside it.
    object: Option<Path>,
}

/// A change by the numbers of its names and its file.
#[derive(Debug)]
struct Planned {
    calls: &'static [Call],
    name: u32,
    staged: u32,
    file: u32,
    began: usize,
    ended: usize,
}

/// A disk and everything that was done to it.
#[derive(Debug)]
pub struct Disk {
    flushes: Flushes,
    names: Vec<Name>,
    /// Bytes that some change wrote, each once.
    files: Vec<Bytes>,
    start: BTreeMap<u32, u32>,
    changes: Vec<Planned>,
    moments: usize,
    /// What lay on the blocks of any file before.
    stale: Vec<u8>,
}

/// The disk at one moment.
#[derive(Debug)]
pub struct Moment<'d> {
    disk: &'d Disk,
    settled: BTreeMap<u32, u32>,
    settled_key: u64,
    open: BTreeMap<u32, Entry>,
    under_way: Vec<usize>,
}

impl Disk {
    /// The disk that this work was done on.
    #[must_use]
    pub fn new(recording: &Recording, flushes: Flushes) -> Self {
        let mut disk = Self {
            flushes,
            names: Vec::new(),
            files: Vec::new(),
            start: BTreeMap::new(),
            changes: Vec::new(),
            moments: recording.moments,
            stale: Vec::new(),
        };
        let mut known = Known::default();
        for (path, bytes) in recording.start.objects() {
            let name = known.name(&mut disk, path);
            let file = known.file(&mut disk, bytes);
            disk.start.insert(name, file);
        }
        for change in &recording.changes {
            let planned = known.plan(&mut disk, change);
            disk.changes.push(planned);
        }
        let longest = disk.files.iter().map(Bytes::len).max().unwrap_or_default();
        disk.stale = SeededRng::new(longest as u64).bytes(longest);
        disk
    }

    /// How many moments there are at which the power may fail.
    #[must_use]
    pub fn moments(&self) -> usize {
        self.moments + 1
    }

    /// The disk when `moment` beginnings and ends have passed.
    #[must_use]
    pub fn at(&self, moment: usize) -> Moment<'_> {
        let mut at = Moment {
            disk: self,
            settled: BTreeMap::new(),
            settled_key: 0,
            open: BTreeMap::new(),
            under_way: Vec::new(),
        };
        let entry = |file: &u32| Entry {
            durable: Some(*file),
            since: Vec::new(),
        };
        let mut entries: BTreeMap<u32, Entry> = self
            .start
            .iter()
            .map(|(name, file)| (*name, entry(file)))
            .collect();
        let mut done: Vec<&Planned> = self
            .changes
            .iter()
            .filter(|change| change.ended < moment)
            .collect();
        done.sort_by_key(|change| change.ended);
        for change in done {
            for call in change.calls {
                self.apply(&mut entries, change, *call);
            }
        }
        for (number, change) in self.changes.iter().enumerate() {
            if change.began < moment && change.ended >= moment {
                at.under_way.push(number);
                for name in [change.name, change.staged] {
                    at.open
                        .entry(name)
                        .or_insert_with(|| entries.remove(&name).unwrap_or_default());
                }
            }
        }
        for (name, entry) in entries {
            match (entry.since.is_empty(), entry.durable) {
                (true, Some(file)) => {
                    at.settled.insert(name, file);
                    at.settled_key ^= key(name, file, Tear::Whole);
                }
                (true, None) => {}
                (false, _) => {
                    at.open.insert(name, entry);
                }
            }
        }
        at
    }

    fn written(&self, change: usize) -> usize {
        let file = usize::try_from(self.changes[change].file).unwrap_or(usize::MAX);
        self.files.get(file).map_or(0, Bytes::len)
    }

    /// Does one call. A flush counts for what others did only if that was done before this change began: when in
    /// between it happened, nobody knows.
    fn apply(&self, entries: &mut BTreeMap<u32, Entry>, change: &Planned, call: Call) {
        let mut become_ = |name: u32, file: Option<u32>| {
            entries.entry(name).or_default().since.push((file, change.ended));
        };
        match call {
            Call::Open => become_(change.staged, Some(change.file)),
            // What is in a file that was not flushed is drawn when the power fails.
            Call::Write | Call::FlushFile => {}
            Call::Link => become_(change.name, Some(change.file)),
            Call::Rename => {
                become_(change.name, Some(change.file));
                become_(change.staged, None);
            }
            Call::RemoveStaged => become_(change.staged, None),
            Call::Remove => become_(change.name, None),
            Call::FlushDirectory if self.flushes == Flushes::OnlyFiles => {}
            Call::FlushDirectory => {
                let directory = &self.names[change.name as usize].directory;
                for (name, entry) in entries.iter_mut() {
                    if self.names[*name as usize].directory == *directory {
                        flush(entry, change);
                    }
                }
            }
        }
    }
}

/// Makes durable what was done before the change began, and what it did itself.
fn flush(entry: &mut Entry, change: &Planned) {
    let covered = |(_, moment): &(Option<u32>, usize)| *moment < change.began || *moment == change.ended;
    if let Some(last) = entry.since.iter().rposition(covered) {
        entry.durable = entry.since[last].0;
        entry.since.drain(..=last);
    }
}

fn key(name: u32, file: u32, tear: Tear) -> u64 {
    let (kind, length) = match tear {
        Tear::Whole => (0, 0),
        Tear::Cut(length) => (1, length),
        Tear::Zeroes(length) => (2, length),
        Tear::Stale(length) => (3, length),
    };
    let place = mix(u64::from(name) << 32 | u64::from(file));
    mix(place ^ mix(kind << 32 | u64::from(length)))
}

/// Numbers that were given to names and files.
#[derive(Default)]
struct Known {
    names: HashMap<String, u32>,
    files: HashMap<blake3::Hash, u32>,
}

impl Known {
    fn name(&mut self, disk: &mut Disk, path: &Path) -> u32 {
        self.number(disk, path.as_ref(), Some(path))
    }

    fn number(&mut self, disk: &mut Disk, text: &str, object: Option<&Path>) -> u32 {
        *self.names.entry(text.to_owned()).or_insert_with(|| {
            disk.names.push(Name {
                directory: text
                    .rsplit_once('/')
                    .map_or("", |(directory, _)| directory)
                    .to_owned(),
                object: object.cloned(),
            });
            count(disk.names.len())
        })
    }

    fn file(&mut self, disk: &mut Disk, bytes: &Bytes) -> u32 {
        *self.files.entry(blake3::hash(bytes)).or_insert_with(|| {
            disk.files.push(bytes.clone());
            count(disk.files.len())
        })
    }

    fn plan(&mut self, disk: &mut Disk, change: &Change) -> Planned {
        let name = self.name(disk, &change.path);
        let staged = self.number(disk, &format!("{}#{}", change.path, change.began), None);
        let file = match &change.what {
            What::Create(bytes) | What::Replace(bytes) => self.file(disk, bytes),
            What::Remove => u32::MAX,
        };
        Planned {
            calls: change.what.calls(change.taken),
            name,
            staged,
            file,
            began: change.began,
            ended: change.ended,
        }
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length - 1).unwrap_or(u32::MAX)
}

/// How far the flushes came for the file that a change under way writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Nothing,
    Unflushed,
    Flushed,
}

impl Moment<'_> {
    /// How much this moment leaves open.
    #[must_use]
    pub fn freedom(&self) -> Freedom {
        Freedom {
            under_way: self.under_way.len(),
            entries: self.open.values().filter(|entry| !entry.since.is_empty()).count(),
            bytes: self
                .under_way
                .iter()
                .map(|number| self.disk.written(*number))
                .sum(),
        }
    }

    /// What is there if nothing under way was done and everything acknowledged is on the disk; with `done`, as if everything
    /// under way had been done, too.
    #[must_use]
    pub fn settled(&self, done: bool) -> State {
        self.state(
            |calls| if done { calls.len() } else { 0 },
            |versions| versions - 1,
            |_| Tear::Whole,
        )
    }

    /// One of the states that a crash at this moment may leave. Files that were written and not flushed, and the newest entries
    /// of directories, are more likely than their share: they leave the most open.
    #[must_use]
    pub fn draw(&self, rng: &SeededRng) -> State {
        let written = |calls: &[Call]| calls.iter().position(|call| *call == Call::FlushFile);
        self.state(
            |calls| match written(calls) {
                Some(written) if rng.chance(60) => written,
                _ => rng.index(calls.len() + 1),
            },
            |versions| {
                if rng.chance(60) {
                    versions - 1
                } else {
                    rng.index(versions)
                }
            },
            |length| {
                let at = u32::try_from(rng.below(u64::from(length) + 1)).unwrap_or(0);
                match rng.below(3) {
                    0 => Tear::Cut(at),
                    1 => Tear::Zeroes(at),
                    _ => Tear::Stale(at),
                }
            },
        )
    }

    /// `progress`: how many of its calls a change under way did. `version`: which of so many. `tear`: how a file of
    /// this length is torn.
    fn state(
        &self,
        progress: impl Fn(&[Call]) -> usize,
        version: impl Fn(usize) -> usize,
        tear: impl Fn(u32) -> Tear,
    ) -> State {
        let mut entries = self.open.clone();
        let mut written: BTreeMap<u32, Written> = BTreeMap::new();
        for number in &self.under_way {
            let change = &self.disk.changes[*number];
            let done = progress(change.calls);
            for call in &change.calls[..done] {
                self.disk.apply(&mut entries, change, *call);
                let now = match (call, self.disk.flushes) {
                    (Call::Open, _) => Written::Nothing,
                    (Call::Write, _) => Written::Unflushed,
                    (Call::FlushFile, Flushes::Honoured | Flushes::OnlyFiles) => Written::Flushed,
                    (Call::FlushDirectory, _) => Written::Flushed,
                    _ => continue,
                };
                written.insert(change.staged, now);
            }
        }
        // Whose file it is: a name beside an object says how far that file came.
        let mut of_file: BTreeMap<u32, Written> = BTreeMap::new();
        for number in &self.under_way {
            let change = &self.disk.changes[*number];
            if let Some(now) = written.get(&change.staged) {
                of_file.insert(change.file, *now);
            }
        }
        let mut tears: BTreeMap<u32, Tear> = BTreeMap::new();
        let mut state = State {
            disk: self.settled_key,
            store: self.settled_key,
            class: self.settled_key,
            torn: Vec::new(),
            chosen: Vec::new(),
        };
        for (name, entry) in &entries {
            let pick = version(entry.since.len() + 1);
            let file = if pick == 0 {
                entry.durable
            } else {
                entry.since[pick - 1].0
            };
            let Some(file) = file else { continue };
            let fresh = pick > 0 && of_file.contains_key(&file);
            let torn = if fresh {
                *tears
                    .entry(file)
                    .or_insert_with(|| self.tear(file, of_file[&file], &tear))
            } else {
                Tear::Whole
            };
            self.note(&mut state, *name, file, torn);
        }
        state
    }

    fn tear(&self, file: u32, written: Written, tear: &impl Fn(u32) -> Tear) -> Tear {
        let length = u32::try_from(self.disk.files[file as usize].len()).unwrap_or(u32::MAX);
        match written {
            Written::Nothing => Tear::Cut(0),
            Written::Flushed => Tear::Whole,
            Written::Unflushed => match tear(length) {
                Tear::Cut(at) | Tear::Zeroes(at) | Tear::Stale(at) if at >= length => Tear::Whole,
                torn if torn.leaves(&self.disk.files[file as usize], &self.disk.stale) => Tear::Whole,
                torn => torn,
            },
        }
    }

    fn note(&self, state: &mut State, name: u32, file: u32, tear: Tear) {
        state.chosen.push((name, file, tear));
        let this = key(name, file, tear);
        state.disk ^= this;
        let Some(object) = &self.disk.names[name as usize].object else {
            return;
        };
        state.store ^= this;
        state.class ^= key(name, file, tear.class());
        if tear != Tear::Whole {
            state.torn.push((object.clone(), self.disk.content(file, tear)));
        }
    }

    /// The objects of a state, as the store shows them.
    #[must_use]
    pub fn image(&self, state: &State) -> Image {
        let mut image = Image::default();
        let settled = self
            .settled
            .iter()
            .map(|(name, file)| (*name, *file, Tear::Whole));
        for (name, file, tear) in settled.chain(state.chosen.iter().copied()) {
            if let Some(object) = &self.disk.names[name as usize].object {
                image = image.with(object, self.disk.content(file, tear));
            }
        }
        image
    }
}

impl Tear {
    /// Whether it leaves these bytes as they are: what was lost is what lies there instead, such as a last byte that is zero.
    fn leaves(self, bytes: &[u8], stale: &[u8]) -> bool {
        let lost = |at: u32| usize::try_from(at).map_or(&[][..], |at| bytes.get(at..).unwrap_or_default());
        match self {
            Self::Whole => true,
            Self::Cut(at) => lost(at).is_empty(),
            Self::Zeroes(at) => lost(at).iter().all(|byte| *byte == 0),
            Self::Stale(at) => stale
                .get(bytes.len() - lost(at).len()..bytes.len())
                .is_some_and(|there| there == lost(at)),
        }
    }

    fn class(self) -> Self {
        match self {
            Self::Whole => Self::Whole,
            Self::Cut(0) => Self::Cut(0),
            Self::Cut(_) => Self::Cut(1),
            Self::Zeroes(_) => Self::Zeroes(0),
            Self::Stale(_) => Self::Stale(0),
        }
    }
}

impl Disk {
    fn content(&self, file: u32, tear: Tear) -> Bytes {
        let bytes = &self.files[file as usize];
        let index = |at: u32| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        match tear {
            Tear::Whole => bytes.clone(),
            Tear::Cut(at) => bytes.slice(..index(at)),
            Tear::Zeroes(at) => {
                let mut torn = bytes[..index(at)].to_vec();
                torn.resize(bytes.len(), 0);
                torn.into()
            }
            Tear::Stale(at) => {
                let mut torn = bytes[..index(at)].to_vec();
                torn.extend_from_slice(&self.stale[index(at)..bytes.len()]);
                torn.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tear;

    #[test]
    fn what_is_torn_differs() {
        let (bytes, stale) = ([1, 2, 0], [7, 2, 0, 9]);
        for whole in [
            Tear::Whole,
            Tear::Cut(3),
            Tear::Zeroes(2),
            Tear::Stale(1),
            Tear::Stale(3),
        ] {
            assert!(whole.leaves(&bytes, &stale), "{whole:?}");
        }
        for torn in [Tear::Cut(2), Tear::Zeroes(1), Tear::Zeroes(0), Tear::Stale(0)] {
            assert!(!torn.leaves(&bytes, &stale), "{torn:?}");
        }
    }
}
