//! Writes ZIP archives of any size in flat memory.
//!
//! The archive is written front to back. The list of entries at its end (the central directory) grows with every entry,
//! so it is collected in a file beside the archive once it is larger than a megabyte. Names are UTF-8 and say so. Every
//! local header has room for 64-bit sizes, which are filled in afterwards: an entry may be larger than 4 GiB without
//! that being known beforehand, and no reader needs data descriptors.

use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};

use chrono::{DateTime, Datelike, Timelike, Utc};
use flate2::{Compress, Compression, FlushCompress, Status};

/// Central directory kept in memory.
const MEMORY_BYTES: usize = 1 << 20;
const BUFFER_BYTES: usize = 64 << 10;

const LOCAL_HEADER: u32 = 0x0403_4b50;
const CENTRAL_HEADER: u32 = 0x0201_4b50;
const ZIP64_END: u32 = 0x0606_4b50;
const ZIP64_LOCATOR: u32 = 0x0706_4b50;
const END: u32 = 0x0605_4b50;
/// ZIP64: version 4.5.
const VERSION: u16 = 45;
/// Made on Unix, so that the upper half of the external attributes is a mode.
const MADE_BY: u16 = (3 << 8) | VERSION;
const UTF8_NAMES: u16 = 1 << 11;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;
const ZIP64_EXTRA: u16 = 0x0001;
const TIME_EXTRA: u16 = 0x5455;
const MAX_32: u32 = u32::MAX;

/// What the archive itself is written to.
pub(crate) trait Output: Write + Seek + Send {}
impl<T: Write + Seek + Send> Output for T {}
/// Where the central directory waits.
pub(crate) trait Spill: Read + Write + Seek + Send {}
impl<T: Read + Write + Seek + Send> Spill for T {}

/// Makes the file for a central directory that no longer fits in memory.
pub(crate) type OpenSpill = Box<dyn FnOnce() -> io::Result<Box<dyn Spill>> + Send>;

/// Unix modes of the entries.
const FILE_MODE: u32 = 0o100_644;
const DIRECTORY_MODE: u32 = 0o040_755;

/// An archive being written.
pub(crate) struct ZipWriter<W: Output> {
    out: BufWriter<W>,
    position: u64,
    directory: Vec<u8>,
    directory_bytes: u64,
    spill: Option<Box<dyn Spill>>,
    open_spill: Option<OpenSpill>,
    entries: u64,
    entry: Option<Entry>,
    /// The compressor, kept from entry to entry: making one costs more than a small entry.
    spare: Option<Compress>,
}

struct Entry {
    name: String,
    start: u64,
    data_start: u64,
    modified: DateTime<Utc>,
    method: u16,
    crc: crc32fast::Hasher,
    size: u64,
    deflate: Compress,
}

impl<W: Output> ZipWriter<W> {
    /// Begins an archive at the beginning of `out`.
    pub(crate) fn new(out: W, open_spill: OpenSpill) -> Self {
        Self {
            out: BufWriter::with_capacity(BUFFER_BYTES, out),
            position: 0,
            directory: Vec::new(),
            directory_bytes: 0,
            spill: None,
            open_spill: Some(open_spill),
            entries: 0,
            entry: None,
            spare: None,
        }
    }

    /// Begins an entry. `name` uses `/`; the caller has made it safe. `compress` is a hint for content that is not yet
    /// compressed.
    pub(crate) fn begin(&mut self, name: &str, modified: DateTime<Utc>, compress: bool) -> io::Result<()> {
        debug_assert!(self.entry.is_none());
        let method = if compress { DEFLATED } else { STORED };
        let start = self.position;
        let mut header = Vec::with_capacity(64 + name.len());
        let (date, time) = dos_time(modified);
        put32(&mut header, LOCAL_HEADER);
        for value in [VERSION, UTF8_NAMES, method, time, date] {
            put16(&mut header, value);
        }
        // CRC and sizes follow in `end`.
        put32(&mut header, 0);
        put32(&mut header, MAX_32);
        put32(&mut header, MAX_32);
        put16(&mut header, name_length(name)?);
        put16(&mut header, 4 + 16 + 4 + 5);
        header.extend_from_slice(name.as_bytes());
        put16(&mut header, ZIP64_EXTRA);
        put16(&mut header, 16);
        put64(&mut header, 0);
        put64(&mut header, 0);
        put_time_extra(&mut header, modified);
        self.write(&header)?;
        let mut deflate = self
            .spare
            .take()
            .unwrap_or_else(|| Compress::new(Compression::new(6), false));
        deflate.reset();
        self.entry = Some(Entry {
            name: name.to_owned(),
            start,
            data_start: self.position,
            modified,
            method,
            crc: crc32fast::Hasher::new(),
            size: 0,
            deflate,
        });
        Ok(())
    }

    /// Adds to the entry's content.
    pub(crate) fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(mut entry) = self.entry.take() else {
            return Err(no_entry());
        };
        entry.crc.update(bytes);
        entry.size += bytes.len() as u64;
        let written = if entry.method == DEFLATED {
            self.deflate(&mut entry, bytes, FlushCompress::None)
        } else {
            self.write(bytes)
        };
        self.entry = Some(entry);
        written
    }

    fn deflate(&mut self, entry: &mut Entry, bytes: &[u8], flush: FlushCompress) -> io::Result<()> {
        let mut input = bytes;
        let mut buffer = [0u8; 16 << 10];
        loop {
            let (before_in, before_out) = (entry.deflate.total_in(), entry.deflate.total_out());
            let status = entry
                .deflate
                .compress(input, &mut buffer, flush)
                .map_err(io::Error::other)?;
            let consumed = usize::try_from(entry.deflate.total_in() - before_in).map_err(io::Error::other)?;
            let produced =
                usize::try_from(entry.deflate.total_out() - before_out).map_err(io::Error::other)?;
            input = &input[consumed..];
            self.write(&buffer[..produced])?;
            let finished = matches!(flush, FlushCompress::Finish);
            if status == Status::StreamEnd || (!finished && input.is_empty() && produced < buffer.len()) {
                return Ok(());
            }
        }
    }

    /// Ends the entry and fills in its header.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        let Some(mut entry) = self.entry.take() else {
            return Err(no_entry());
        };
        if entry.method == DEFLATED {
            self.deflate(&mut entry, &[], FlushCompress::Finish)?;
        }
        let stored = self.position - entry.data_start;
        let crc = entry.crc.clone().finalize();
        self.out.seek(SeekFrom::Start(entry.start + 14))?;
        self.out.write_all(&crc.to_le_bytes())?;
        let sizes_at = entry.start + 30 + entry.name.len() as u64 + 4;
        self.out.seek(SeekFrom::Start(sizes_at))?;
        self.out.write_all(&entry.size.to_le_bytes())?;
        self.out.write_all(&stored.to_le_bytes())?;
        self.out.seek(SeekFrom::Start(self.position))?;
        self.spare = Some(entry.deflate);
        self.list(
            &entry.name,
            entry.start,
            entry.modified,
            entry.method,
            crc,
            entry.size,
            stored,
            FILE_MODE,
        )
    }

    /// Takes back the entry that was begun, as if it had never been there.
    pub(crate) fn abort(&mut self) -> io::Result<()> {
        let Some(entry) = self.entry.take() else {
            return Ok(());
        };
        self.position = entry.start;
        self.spare = Some(entry.deflate);
        // What was written stays in the file until the next entry or `finish` overwrites or cuts it.
        self.out.seek(SeekFrom::Start(entry.start)).map(|_| ())
    }

    /// Adds an empty directory; `name` ends in `/`.
    pub(crate) fn directory(&mut self, name: &str, modified: DateTime<Utc>) -> io::Result<()> {
        let start = self.position;
        let mut header = Vec::with_capacity(48 + name.len());
        let (date, time) = dos_time(modified);
        put32(&mut header, LOCAL_HEADER);
        for value in [VERSION, UTF8_NAMES, STORED, time, date] {
            put16(&mut header, value);
        }
        for _ in 0..3 {
            put32(&mut header, 0);
        }
        put16(&mut header, name_length(name)?);
        put16(&mut header, 4 + 5);
        header.extend_from_slice(name.as_bytes());
        put_time_extra(&mut header, modified);
        self.write(&header)?;
        self.list(name, start, modified, STORED, 0, 0, 0, DIRECTORY_MODE)
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "the fields of one record, named at the two places that call it"
    )]
    fn list(
        &mut self,
        name: &str,
        start: u64,
        modified: DateTime<Utc>,
        method: u16,
        crc: u32,
        size: u64,
        stored: u64,
        mode: u32,
    ) -> io::Result<()> {
        let (date, time) = dos_time(modified);
        let large: Vec<u64> = [size, stored, start]
            .into_iter()
            .filter(|value| *value >= u64::from(MAX_32))
            .collect();
        let small = |value: u64| u32::try_from(value).unwrap_or(MAX_32);
        let header_start = self.directory.len();
        let out = &mut self.directory;
        put32(out, CENTRAL_HEADER);
        for value in [MADE_BY, VERSION, UTF8_NAMES, method, time, date] {
            put16(out, value);
        }
        for value in [crc, small(stored), small(size)] {
            put32(out, value);
        }
        put16(out, name_length(name)?);
        let zip64 = if large.is_empty() { 0 } else { 4 + 8 * large.len() };
        put16(out, u16::try_from(zip64 + 4 + 5).unwrap_or(u16::MAX));
        // No comment, first disk, binary.
        for _ in 0..3 {
            put16(out, 0);
        }
        put32(out, mode << 16);
        put32(out, small(start));
        out.extend_from_slice(name.as_bytes());
        if !large.is_empty() {
            put16(out, ZIP64_EXTRA);
            put16(out, u16::try_from(8 * large.len()).unwrap_or(u16::MAX));
            large.iter().for_each(|value| put64(out, *value));
        }
        put_time_extra(out, modified);
        self.directory_bytes += (self.directory.len() - header_start) as u64;
        self.entries += 1;
        if self.directory.len() >= MEMORY_BYTES {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.spill.is_none()
            && let Some(open) = self.open_spill.take()
        {
            self.spill = Some(open()?);
        }
        if let Some(spill) = &mut self.spill {
            spill.write_all(&self.directory)?;
            self.directory.clear();
        }
        Ok(())
    }

    /// Writes the central directory and hands back what the archive was written to, and the archive's length: anything
    /// behind it is the rest of an aborted entry, to be cut off.
    pub(crate) fn finish(mut self) -> io::Result<(W, u64)> {
        debug_assert!(self.entry.is_none());
        let directory_start = self.position;
        if let Some(mut spill) = self.spill.take() {
            spill.seek(SeekFrom::Start(0))?;
            let copied = io::copy(&mut spill, &mut self.out)?;
            self.position += copied;
        }
        let rest = std::mem::take(&mut self.directory);
        self.write(&rest)?;
        if self.position - directory_start != self.directory_bytes {
            return Err(io::Error::other("the list of entries has lost a part"));
        }
        let zip64_start = self.position;
        let mut end = Vec::with_capacity(128);
        let needs_64 = self.entries >= u64::from(u16::MAX)
            || directory_start >= u64::from(MAX_32)
            || self.directory_bytes >= u64::from(MAX_32);
        if needs_64 {
            put32(&mut end, ZIP64_END);
            put64(&mut end, 44);
            put16(&mut end, MADE_BY);
            put16(&mut end, VERSION);
            put32(&mut end, 0);
            put32(&mut end, 0);
            for value in [self.entries, self.entries, self.directory_bytes, directory_start] {
                put64(&mut end, value);
            }
            put32(&mut end, ZIP64_LOCATOR);
            put32(&mut end, 0);
            put64(&mut end, zip64_start);
            put32(&mut end, 1);
        }
        put32(&mut end, END);
        put16(&mut end, 0);
        put16(&mut end, 0);
        let count = u16::try_from(self.entries).unwrap_or(u16::MAX);
        put16(&mut end, count);
        put16(&mut end, count);
        put32(&mut end, u32::try_from(self.directory_bytes).unwrap_or(MAX_32));
        put32(&mut end, u32::try_from(directory_start).unwrap_or(MAX_32));
        put16(&mut end, 0);
        self.write(&end)?;
        self.out.flush()?;
        let length = self.position;
        Ok((
            self.out.into_inner().map_err(io::IntoInnerError::into_error)?,
            length,
        ))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.position += bytes.len() as u64;
        Ok(())
    }
}

fn no_entry() -> io::Error {
    io::Error::other("no entry was begun")
}

fn name_length(name: &str) -> io::Result<u16> {
    u16::try_from(name.len()).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidFilename,
            "a path is longer than 65535 bytes",
        )
    })
}

fn put16(out: &mut Vec<u8>, value: u16) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// The exact time in seconds: the old field has two-second steps and no zone. Out of its range (1901 to 2038) it is
/// clipped; the manifest of the export has the true time.
fn put_time_extra(out: &mut Vec<u8>, modified: DateTime<Utc>) {
    let clipped = modified
        .timestamp()
        .clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    put16(out, TIME_EXTRA);
    put16(out, 5);
    out.push(1);
    out.extend_from_slice(&i32::try_from(clipped).unwrap_or_default().to_le_bytes());
}

/// Date and time as MS-DOS had them, in UTC, within 1980 to 2107.
fn dos_time(time: DateTime<Utc>) -> (u16, u16) {
    let small = |value: u32| u16::try_from(value).unwrap_or_default();
    if time.year() < 1980 {
        return ((1 << 5) | 1, 0);
    }
    if time.year() > 2107 {
        return ((127 << 9) | (12 << 5) | 31, (23 << 11) | (59 << 5) | 29);
    }
    let year = u16::try_from(time.year() - 1980).unwrap_or_default();
    let date = (year << 9) | (small(time.month()) << 5) | small(time.day());
    (
        date,
        (small(time.hour()) << 11) | (small(time.minute()) << 5) | small(time.second() / 2),
    )
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn spill() -> OpenSpill {
        Box::new(|| Ok(Box::new(Cursor::new(Vec::new())) as Box<dyn Spill>))
    }

    fn time() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn finish(writer: ZipWriter<Cursor<Vec<u8>>>) -> Vec<u8> {
        let (cursor, length) = writer.finish().unwrap();
        let mut bytes = cursor.into_inner();
        bytes.truncate(usize::try_from(length).unwrap());
        bytes
    }

    #[test]
    fn another_reader_reads_it() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()), spill());
        let compressible = b"all work and no play ".repeat(50_000);
        let contents: Vec<(&str, Vec<u8>, bool)> = vec![
            ("empty", Vec::new(), true),
            ("dir/ünï/日本.txt", b"text".to_vec(), true),
            ("dir/big", compressible, true),
            (
                "stored.jpg",
                (0..200_000u32)
                    .map(|n| (n.wrapping_mul(n) >> 3).to_le_bytes()[0])
                    .collect(),
                false,
            ),
            ("incompressible", blake3_stream(300_000), true),
        ];
        writer.directory("dir/", time()).unwrap();
        for (name, content, compress) in &contents {
            // An aborted entry in between, longer than what follows the last one, leaves no trace.
            writer.begin("aborted", time(), *compress).unwrap();
            writer.content(&blake3_stream(500_000)).unwrap();
            writer.abort().unwrap();
            writer.begin(name, time(), *compress).unwrap();
            for piece in content.chunks(7_001) {
                writer.content(piece).unwrap();
            }
            writer.end().unwrap();
        }
        let bytes = finish(writer);
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(archive.len(), contents.len() + 1);
        assert!(archive.by_name("dir/").unwrap().is_dir());
        for (name, content, _) in &contents {
            let mut file = archive.by_name(name).unwrap();
            let mut back = Vec::new();
            file.read_to_end(&mut back).unwrap();
            assert!(back == *content, "{name}");
            assert_eq!(file.unix_mode(), Some(0o100_644));
        }
    }

    #[test]
    fn more_entries_than_16_bits_count_and_a_directory_outside_memory() {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()), spill());
        for index in 0..70_000 {
            writer
                .begin(&format!("message {index}.eml"), time(), false)
                .unwrap();
            writer.content(index.to_string().as_bytes()).unwrap();
            writer.end().unwrap();
        }
        assert!(writer.spill.is_some() && writer.directory.len() < MEMORY_BYTES);
        let mut archive = zip::ZipArchive::new(Cursor::new(finish(writer))).unwrap();
        assert_eq!(archive.len(), 70_000);
        for index in [0, 65_535, 69_999] {
            let mut text = String::new();
            archive
                .by_name(&format!("message {index}.eml"))
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            assert_eq!(text, index.to_string());
        }
    }

    /// An output that keeps only its position and what is written near chosen places: 5 GiB need no memory.
    #[test]
    fn an_entry_above_4_gib_has_64_bit_sizes() {
        struct Sparse {
            position: u64,
            length: u64,
            kept: std::collections::BTreeMap<u64, Vec<u8>>,
        }
        impl Write for Sparse {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                // Content comes in large pieces of zeros; headers do not.
                if bytes.len() < 60_000 {
                    self.kept.insert(self.position, bytes.to_vec());
                }
                self.position += bytes.len() as u64;
                self.length = self.length.max(self.position);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Seek for Sparse {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                let SeekFrom::Start(position) = to else {
                    return Err(io::Error::other("only from the start"));
                };
                self.position = position;
                Ok(position)
            }
        }
        let mut writer = ZipWriter::new(
            Sparse {
                position: 0,
                length: 0,
                kept: std::collections::BTreeMap::new(),
            },
            spill(),
        );
        let size = 5u64 << 30;
        writer.begin("large.bin", time(), false).unwrap();
        let zeros = vec![0u8; 64 << 20];
        for _ in 0..size / zeros.len() as u64 {
            writer.content(&zeros).unwrap();
        }
        writer.end().unwrap();
        writer.begin("behind.txt", time(), false).unwrap();
        writer.content(b"behind").unwrap();
        writer.end().unwrap();
        let (sparse, length) = writer.finish().unwrap();
        assert_eq!(sparse.length, length);

        /// Reads the sparse output: zeros where nothing was kept.
        struct Back(Sparse);
        impl Read for Back {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let left = self.0.length.saturating_sub(self.0.position);
                let count = usize::try_from(left.min(buffer.len() as u64)).unwrap();
                let buffer = &mut buffer[..count];
                buffer.fill(0);
                let (from, to) = (self.0.position, self.0.position + count as u64);
                for (start, bytes) in self.0.kept.range(from.saturating_sub(70_000)..to) {
                    for (at, byte) in (*start..).zip(bytes) {
                        if (from..to).contains(&at) {
                            buffer[usize::try_from(at - from).unwrap()] = *byte;
                        }
                    }
                }
                self.0.position += count as u64;
                Ok(count)
            }
        }
        impl Seek for Back {
            fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
                self.0.position = match to {
                    SeekFrom::Start(at) => at,
                    SeekFrom::End(by) => self
                        .0
                        .length
                        .checked_add_signed(by)
                        .ok_or(io::ErrorKind::InvalidInput)?,
                    SeekFrom::Current(by) => self
                        .0
                        .position
                        .checked_add_signed(by)
                        .ok_or(io::ErrorKind::InvalidInput)?,
                };
                Ok(self.0.position)
            }
        }
        let mut archive = zip::ZipArchive::new(Back(sparse)).unwrap();
        assert_eq!(archive.by_name("large.bin").unwrap().size(), size);
        let mut text = String::new();
        archive
            .by_name("behind.txt")
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "behind");
    }

    fn blake3_stream(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }
}
