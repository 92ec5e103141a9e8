//! Compress then seal, open then decompress: the payload inside every sealed unit.
//!
//! Payload = one byte (0 stored, 1 zstd) and the data. A zstd payload is exactly one frame that states its
//! content size. The whole payload is sealed, so the stated size is authentic before memory is taken for it.

use std::fmt;

use zstd::bulk::{Compressor, Decompressor};

use crate::cbor::coded_enum;
use crate::crypto::{EpochKeys, TAG_BYTES};
use crate::error::{FormatError, Result};
use crate::siv::{LANES, Message};

const STORED: u8 = 0;
const ZSTD: u8 = 1;

/// Bytes that sealing adds to a payload that does not shrink.
pub const SEAL_OVERHEAD_BYTES: usize = TAG_BYTES + 1;

coded_enum! {
    /// How hard new data is compressed. A setting of the writer; readers do not need it.
    Compression, "compression" {
        /// Data is stored as it is.
        Disabled = 0 "disabled",
        /// zstd level 1.
        Fast = 1 "fast",
        /// zstd level 3; the default.
        Medium = 2 "medium",
        /// zstd level 12.
        Best = 3 "best",
    }
}

#[expect(clippy::derivable_impls, reason = "the enum comes from a macro")]
impl Default for Compression {
    fn default() -> Self {
        Self::Medium
    }
}

impl Compression {
    const fn level(self) -> i32 {
        match self {
            Self::Disabled | Self::Fast => 1,
            Self::Medium => 3,
            Self::Best => 12,
        }
    }
}

/// The reusable working memory of sealing and opening. Make one per worker and pass it along: a zstd context
/// costs more to make than a small chunk to compress.
pub struct Codec {
    compression: Compression,
    compressor: Compressor<'static>,
    decompressor: Decompressor<'static>,
    /// Plaintext put together from several chunks.
    joined: Vec<u8>,
    /// Compressor output; opened payload when reading.
    work: Vec<u8>,
    /// Opened payloads of the check after sealing.
    opened: Vec<Vec<u8>>,
    /// Decompressed plaintext of the check after sealing.
    plain: Vec<u8>,
}

/// What is to be sealed.
pub(crate) struct Payload<'a> {
    /// The header strings.
    pub(crate) aad: &'a [&'a [u8]],
    /// Bytes that go in front, unsealed.
    pub(crate) prefix: &'a [u8],
    /// The plaintext, in parts.
    pub(crate) parts: &'a [&'a [u8]],
}

/// The sealed stretch of each buffer, with its header strings.
fn messages<'a>(payloads: &[Payload<'a>], buffers: &'a mut [Vec<u8>]) -> Vec<Message<'a>> {
    let sealed = |(payload, buffer): (&Payload<'a>, &'a mut Vec<u8>)| Message {
        headers: payload.aad,
        buffer: buffer.get_mut(payload.prefix.len()..).unwrap_or_default(),
    };
    payloads.iter().zip(buffers).map(sealed).collect()
}

impl fmt::Debug for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codec")
            .field("compression", &self.compression)
            .finish_non_exhaustive()
    }
}

impl Codec {
    /// Makes the working memory for one worker.
    ///
    /// # Errors
    /// `Corrupt` when zstd cannot allocate its context.
    pub fn new(compression: Compression) -> Result<Self> {
        let failed = |e: std::io::Error| FormatError::corrupt("zstd context", e.to_string());
        Ok(Self {
            compression,
            compressor: Compressor::new(compression.level()).map_err(failed)?,
            decompressor: Decompressor::new().map_err(failed)?,
            joined: Vec::new(),
            work: Vec::new(),
            opened: Vec::new(),
            plain: Vec::new(),
        })
    }

    /// The compression new data gets.
    #[must_use]
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Seals one payload: `prefix` followed by tag and ciphertext. See [`Codec::seal_all`].
    pub(crate) fn seal(
        &mut self,
        keys: &EpochKeys,
        what: &'static str,
        aad: &[&[u8]],
        prefix: &[u8],
        parts: &[&[u8]],
    ) -> Result<Vec<u8>> {
        let mut sealed = self.seal_all(keys, what, &[Payload { aad, prefix, parts }])?;
        sealed.pop().ok_or(FormatError::EncodeCheckFailed { what })
    }

    /// Seals several payloads; [`LANES`] at a time cost little more than half as many.
    ///
    /// What was sealed is opened again and compared before it is returned.
    pub(crate) fn seal_all(
        &mut self,
        keys: &EpochKeys,
        what: &'static str,
        payloads: &[Payload<'_>],
    ) -> Result<Vec<Vec<u8>>> {
        let mut out = Vec::with_capacity(payloads.len());
        for some in payloads.chunks(LANES) {
            let mut sealed = Vec::with_capacity(some.len());
            for payload in some {
                sealed.push(self.compress(what, payload)?);
            }
            keys.siv.seal(&mut messages(some, &mut sealed));
            self.check(keys, what, some, &sealed)?;
            out.append(&mut sealed);
        }
        Ok(out)
    }

    /// Prefix, room for the tag, and the payload's bytes, exactly sized: packs hold many until they are uploaded.
    fn compress(&mut self, what: &'static str, payload: &Payload<'_>) -> Result<Vec<u8>> {
        let plain: &[u8] = match payload.parts {
            [only] => only,
            parts => {
                self.joined.clear();
                for part in parts {
                    self.joined.extend_from_slice(part);
                }
                &self.joined
            }
        };
        let mut method = STORED;
        if self.compression != Compression::Disabled && !plain.is_empty() {
            self.work.clear();
            self.work.reserve(zstd::zstd_safe::compress_bound(plain.len()));
            let compressed = self
                .compressor
                .compress_to_buffer(plain, &mut self.work)
                .map_err(|_| FormatError::EncodeCheckFailed { what })?;
            if compressed < plain.len() {
                method = ZSTD;
            }
        }
        let data: &[u8] = if method == ZSTD { &self.work } else { plain };
        let mut out = Vec::with_capacity(payload.prefix.len() + TAG_BYTES + 1 + data.len());
        out.extend_from_slice(payload.prefix);
        out.extend_from_slice(&[0; TAG_BYTES]);
        out.push(method);
        out.extend_from_slice(data);
        Ok(out)
    }

    /// Opens what was just sealed and compares it with what went in.
    fn check(
        &mut self,
        keys: &EpochKeys,
        what: &'static str,
        payloads: &[Payload<'_>],
        sealed: &[Vec<u8>],
    ) -> Result<()> {
        let failed = || FormatError::EncodeCheckFailed { what };
        self.opened.resize_with(LANES, Vec::new);
        for (opened, sealed) in self.opened.iter_mut().zip(sealed) {
            opened.clear();
            opened.extend_from_slice(sealed);
        }
        let authentic = keys.siv.open(&mut messages(payloads, &mut self.opened));
        if authentic.len() != payloads.len() || authentic.contains(&false) {
            return Err(failed());
        }
        for (payload, opened) in payloads.iter().zip(&self.opened) {
            let length: usize = payload.parts.iter().map(|part| part.len()).sum();
            let plain: &[u8] = match opened.get(payload.prefix.len() + TAG_BYTES..) {
                Some([STORED, data @ ..]) => data,
                Some([ZSTD, frame @ ..]) => {
                    decompress(&mut self.decompressor, what, frame, length, &mut self.plain)
                        .map_err(|_| failed())?;
                    &self.plain
                }
                _ => return Err(failed()),
            };
            let mut rest = plain;
            for part in payload.parts {
                rest = rest.strip_prefix(*part).ok_or_else(failed)?;
            }
            if !rest.is_empty() {
                return Err(failed());
            }
        }
        Ok(())
    }

    /// Opens what [`Codec::seal`] made (without the prefix): the plaintext, of at most `limit` bytes.
    pub(crate) fn open(
        &mut self,
        keys: &EpochKeys,
        what: &'static str,
        aad: &[&[u8]],
        sealed: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>> {
        // A payload never grows by more than its method byte, so anything longer is refused unread.
        check_limit(what, limit.saturating_add(SEAL_OVERHEAD_BYTES), sealed.len())?;
        self.work.clear();
        self.work.extend_from_slice(sealed);
        keys.open_in_place(what, aad, &mut self.work)?;
        unpack(&mut self.decompressor, what, self.work.get(TAG_BYTES..), limit)
    }

    /// The plaintext, of at most `limit` bytes, of a payload whose seal was checked. Public for the fuzz targets: whoever holds a
    /// key can seal any payload.
    #[doc(hidden)]
    pub fn unpack(&mut self, payload: &[u8], limit: usize) -> Result<Vec<u8>> {
        unpack(&mut self.decompressor, "payload", Some(payload), limit)
    }

    /// Does what [`Codec::open`] does for several, authenticating up to [`LANES`] of them side by side.
    pub(crate) fn open_all(
        &mut self,
        keys: &EpochKeys,
        what: &'static str,
        sealed: &[Sealed<'_>],
    ) -> Vec<Result<Vec<u8>>> {
        let mut results = Vec::with_capacity(sealed.len());
        self.opened.resize_with(LANES, Vec::new);
        for some in sealed.chunks(LANES) {
            for (buffer, sealed) in self.opened.iter_mut().zip(some) {
                buffer.clear();
                buffer.extend_from_slice(sealed.bytes);
            }
            let mut messages: Vec<Message<'_>> = some
                .iter()
                .zip(&mut self.opened)
                .map(|(sealed, buffer)| Message {
                    headers: sealed.aad,
                    buffer,
                })
                .collect();
            let authentic = keys.siv.open(&mut messages);
            for ((sealed, buffer), authentic) in some.iter().zip(&self.opened).zip(authentic) {
                let limit = sealed.limit;
                results.push(
                    check_limit(
                        what,
                        limit.saturating_add(SEAL_OVERHEAD_BYTES),
                        sealed.bytes.len(),
                    )
                    .and_then(|()| match authentic {
                        true => unpack(&mut self.decompressor, what, buffer.get(TAG_BYTES..), limit),
                        false => Err(FormatError::Authentication { what }),
                    }),
                );
            }
        }
        results
    }
}

/// What [`Codec::open_all`] opens one of.
pub(crate) struct Sealed<'a> {
    /// As it was given when it was sealed.
    pub(crate) aad: &'a [&'a [u8]],
    /// Without prefix.
    pub(crate) bytes: &'a [u8],
    /// Most bytes of plaintext.
    pub(crate) limit: usize,
}

/// The plaintext, of at most `limit` bytes, of what was authenticated: a method byte and data.
fn unpack(
    decompressor: &mut Decompressor<'static>,
    what: &'static str,
    opened: Option<&[u8]>,
    limit: usize,
) -> Result<Vec<u8>> {
    match opened {
        Some([STORED, data @ ..]) => {
            check_limit(what, limit, data.len())?;
            Ok(data.to_vec())
        }
        Some([ZSTD, frame @ ..]) => {
            let mut plain = Vec::new();
            decompress(decompressor, what, frame, limit, &mut plain)?;
            Ok(plain)
        }
        Some([other, ..]) => Err(FormatError::UnsupportedFeature {
            what,
            feature: format!("compression {other}"),
        }),
        _ => Err(FormatError::Truncated { what }),
    }
}

fn check_limit(what: &'static str, limit: usize, found: usize) -> Result<()> {
    if found > limit {
        return Err(FormatError::LimitExceeded {
            what,
            limit: limit as u64,
            found: found as u64,
        });
    }
    Ok(())
}

/// Decompresses one frame that states its content size into `out`, replacing what was there.
fn decompress(
    decompressor: &mut Decompressor<'static>,
    what: &'static str,
    frame: &[u8],
    limit: usize,
    out: &mut Vec<u8>,
) -> Result<()> {
    let size = zstd::zstd_safe::get_frame_content_size(frame)
        .ok()
        .flatten()
        .ok_or_else(|| FormatError::corrupt(what, "the zstd frame states no content size"))?;
    if size > limit as u64 {
        return Err(FormatError::LimitExceeded {
            what,
            limit: limit as u64,
            found: size,
        });
    }
    let size = usize::try_from(size).map_err(|_| FormatError::LimitExceeded {
        what,
        limit: limit as u64,
        found: size,
    })?;
    out.clear();
    out.reserve_exact(size);
    let written = decompressor
        .decompress_to_buffer(frame, out)
        .map_err(|_| FormatError::corrupt(what, "the zstd frame cannot be decompressed"))?;
    if written != size {
        return Err(FormatError::corrupt(
            what,
            "the zstd frame has another size than it states",
        ));
    }
    Ok(())
}
