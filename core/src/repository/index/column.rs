//! Rows of one length, numbered from 0: in memory, or above a certain number in pages of a scratch file.
//!
//! Pages are written once, in order, and never changed. Their check sums stay in memory: a page that comes back otherwise than
//! it was written is an error, and never a row. Pages that were read last are kept, so that who goes on in order reads
//! each once.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::error::Result;
use crate::scratch::{Scratch, ScratchFile, unreadable};

/// What is read at once: what disks and page caches read at once.
const PAGE_BYTES: usize = 4096;
/// Pages written at once.
const WRITE_PAGES: u32 = 64;
/// Pages kept, each in the place that its number gives.
const KEPT_PAGES: usize = 512;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Column<const WIDTH: usize> {
    /// The rows behind those in the file.
    tail: Vec<[u8; WIDTH]>,
    file: Option<Paged<WIDTH>>,
}

#[derive(Debug)]
struct Paged<const WIDTH: usize> {
    file: Box<dyn ScratchFile>,
    rows_of_page: u32,
    /// Rows that are handed to the file at once.
    rows_at_once: u32,
    /// The check sum of each page that was written.
    sums: Vec<u32>,
    kept: Box<[Mutex<Kept>]>,
    /// It took no more: what comes now stays in memory.
    full: bool,
}

#[derive(Debug, Default)]
struct Kept {
    page: Option<u32>,
    bytes: Vec<u8>,
}

impl<const WIDTH: usize> Column<WIDTH> {
    pub(super) fn len(&self) -> u32 {
        let rows = self.file.as_ref().map_or(0, Paged::rows);
        // The index adds no more than 4 billion.
        rows + u32::try_from(self.tail.len()).unwrap_or(u32::MAX - rows)
    }

    /// Makes room in memory for so many more.
    pub(super) fn reserve(&mut self, rows: usize) {
        self.tail.reserve_exact(rows);
    }

    /// Whether no row is anywhere but in memory, and none will be.
    pub(super) fn in_memory(&self) -> Option<&[[u8; WIDTH]]> {
        self.file.is_none().then_some(&self.tail)
    }

    /// Puts what is there, and what comes, into a scratch file, of which this many rows at least make a page. Where there is
    /// no place for one, or when it takes no more, rows stay in memory: whoever recovers must not fail for want of scratch.
    pub(super) fn spill(&mut self, scratch: &Scratch) {
        if self.file.is_some() {
            return;
        }
        let file = match scratch.create() {
            None => return,
            Some(Ok(file)) => file,
            Some(Err(error)) => return in_memory_instead(&error),
        };
        let fitting = u32::try_from(PAGE_BYTES / WIDTH).unwrap_or(1);
        let rows_of_page = fitting.min(scratch.threshold().max(1));
        let pages = if rows_of_page == fitting { WRITE_PAGES } else { 1 };
        self.file = Some(Paged {
            file,
            rows_of_page,
            rows_at_once: rows_of_page * pages,
            sums: Vec::new(),
            kept: (0..KEPT_PAGES).map(|_| Mutex::default()).collect(),
            full: false,
        });
        self.write();
    }

    pub(super) fn push(&mut self, row: [u8; WIDTH]) {
        self.tail.push(row);
        self.write();
    }

    /// Hands full pages to the file, if there are enough.
    fn write(&mut self) {
        let Some(paged) = self.file.as_mut().filter(|paged| !paged.full) else {
            return;
        };
        let at_once = paged.rows_at_once as usize;
        if self.tail.len() < at_once {
            return;
        }
        let mut written = 0;
        for rows in self.tail.chunks_exact(at_once) {
            if let Err(error) = paged.append(rows) {
                paged.full = true;
                in_memory_instead(&error);
                break;
            }
            written += at_once;
        }
        self.tail.drain(..written);
        if !paged.full {
            self.tail.shrink_to(at_once);
        }
    }

    /// Bytes of the rows in memory, but for the pages kept.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.tail.capacity() * WIDTH
    }

    /// One row.
    ///
    /// # Errors
    /// `ScratchFailed` if it cannot be read back.
    pub(super) fn get(&self, row: u32) -> Result<[u8; WIDTH]> {
        let Some(paged) = self.file.as_ref().filter(|paged| row < paged.rows()) else {
            let written = self.file.as_ref().map_or(0, Paged::rows);
            return Ok(self.tail[(row - written) as usize]);
        };
        let (page, at) = (row / paged.rows_of_page, row % paged.rows_of_page);
        paged.with_page(page, |rows| rows[at as usize])
    }

    /// Hands rows to `take`, in order.
    ///
    /// # Errors
    /// `ScratchFailed` if one cannot be read back; those before were handed over.
    pub(super) fn each(&self, rows: Range<u32>, mut take: impl FnMut(u32, &[u8; WIDTH])) -> Result<()> {
        let mut next = rows.start;
        let written = self.file.as_ref().map_or(0, Paged::rows);
        if let Some(paged) = &self.file {
            while next < rows.end.min(written) {
                let (page, at) = (next / paged.rows_of_page, next % paged.rows_of_page);
                let count = (paged.rows_of_page - at).min(rows.end - next);
                // A copy, so that `take` may look into the index, too.
                let some = paged.with_page(page, |rows| rows[at as usize..(at + count) as usize].to_vec())?;
                for row in &some {
                    take(next, row);
                    next += 1;
                }
            }
        }
        if next < rows.end {
            let rest = (next - written) as usize..(rows.end - written) as usize;
            for row in &self.tail[rest] {
                take(next, row);
                next += 1;
            }
        }
        Ok(())
    }
}

impl<const WIDTH: usize> Paged<WIDTH> {
    fn rows(&self) -> u32 {
        // Pages come from rows, which are numbered with as many bits.
        u32::try_from(self.sums.len()).unwrap_or(u32::MAX) * self.rows_of_page
    }

    fn append(&mut self, rows: &[[u8; WIDTH]]) -> std::io::Result<()> {
        let mut bytes = Vec::with_capacity(rows.len() / self.rows_of_page as usize * PAGE_BYTES);
        let mut sums = Vec::new();
        for page in rows.chunks_exact(self.rows_of_page as usize) {
            let start = bytes.len();
            bytes.extend_from_slice(page.as_flattened());
            bytes.resize(start + PAGE_BYTES, 0);
            sums.push(crc32fast::hash(&bytes[start..]));
        }
        self.file
            .write_at(self.sums.len() as u64 * PAGE_BYTES as u64, &bytes)?;
        self.sums.extend(sums);
        Ok(())
    }

    /// Looks at the rows of a page.
    fn with_page<T>(&self, page: u32, look: impl FnOnce(&[[u8; WIDTH]]) -> T) -> Result<T> {
        let kept = &self.kept[page as usize % self.kept.len()];
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.page != Some(page) {
            kept.page = None;
            kept.bytes.resize(PAGE_BYTES, 0);
            self.file
                .read_at(u64::from(page) * PAGE_BYTES as u64, &mut kept.bytes)
                .map_err(unreadable)?;
            if crc32fast::hash(&kept.bytes) != self.sums[page as usize] {
                let what = "it does not come back as it was written";
                return Err(unreadable(std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    what,
                )));
            }
            kept.page = Some(page);
        }
        let (rows, _) = kept.bytes.as_chunks::<WIDTH>();
        Ok(look(rows))
    }
}

fn in_memory_instead(error: &std::io::Error) {
    tracing::warn!(%error, "a large index is kept in memory: there is no room for it on the disk");
}
