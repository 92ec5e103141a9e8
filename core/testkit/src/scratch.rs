//! Scratch files in memory, which fail on command.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use nakivo_core::scratch::{Scratch, ScratchFile, ScratchSpace};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// One read fails.
    OneRead,
    /// That read and all after it fail.
    EveryRead,
    /// From that read on, bytes come back changed.
    Changed,
}

/// A scratch space whose reads are counted. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct FaultScratch {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    reads: AtomicU64,
    trouble: Mutex<Option<(Trouble, u64)>>,
    full: AtomicBool,
}

impl FaultScratch {
    /// It as the SDK wants it, for an index of any size.
    #[must_use]
    pub fn scratch(&self) -> Scratch {
        Scratch::over(Arc::new(self.clone())).with_threshold(0)
    }

    /// Reads so far.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.shared.reads.load(Ordering::SeqCst)
    }

    /// What happens at the read that has so many before it.
    pub fn set(&self, trouble: Trouble, at: u64) {
        *lock(&self.shared.trouble) = Some((trouble, at));
    }

    /// Takes nothing more.
    pub fn fill(&self) {
        self.shared.full.store(true, Ordering::SeqCst);
    }

    fn trouble(&self) -> Option<Trouble> {
        let read = self.shared.reads.fetch_add(1, Ordering::SeqCst);
        let (trouble, at) = (*lock(&self.shared.trouble))?;
        let now = match trouble {
            Trouble::OneRead => read == at,
            Trouble::EveryRead | Trouble::Changed => read >= at,
        };
        now.then_some(trouble)
    }
}

impl ScratchSpace for FaultScratch {
    fn create(&self) -> io::Result<Box<dyn ScratchFile>> {
        Ok(Box::new(File {
            space: self.clone(),
            bytes: Mutex::default(),
        }))
    }
}

#[derive(Debug)]
struct File {
    space: FaultScratch,
    bytes: Mutex<Vec<u8>>,
}

impl ScratchFile for File {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        if self.space.shared.full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut kept = lock(&self.bytes);
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let end = from + bytes.len();
        if kept.len() < end {
            kept.resize(end, 0);
        }
        kept[from..end].copy_from_slice(bytes);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let trouble = self.space.trouble();
        if let Some(Trouble::OneRead | Trouble::EveryRead) = trouble {
            return Err(io::Error::other("injected"));
        }
        let kept = lock(&self.bytes);
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let found = kept
            .get(from..from + buffer.len())
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(found);
        if trouble == Some(Trouble::Changed) {
            // In the length of a chunk, or the offset of a block: not in what a look-up compares anyway.
            let at = buffer.len().min(33) - 1;
            buffer[at] ^= 1;
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
