//! Compress then seal, open then decompress: the payload inside every sealed unit.
//!
//! Payload = one byte (0 stored, 1 zstd) and the data. A zstd payload is exactly one frame that states its
//! content size. The whole payload is sealed, so the stated size is authentic before memory is taken for it.

use std::fmt;

use zstd::bulk::{Compressor, Decompressor};

use crate::cbor::coded_enum;
use crate::crypto::{EpochKeys, TAG_BYTES};
use crate::error::{FormatError, Result};

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
    /// Compressor output; opened payload when checking or reading.
    work: Vec<u8>,
    /// Decompressed plaintext of the check after sealing.
    check: Vec<u8>,
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
            check: Vec::new(),
        })
    }

    /// The compression new data gets.
    #[must_use]
    pub const fn compression(&self) -> Compression {
        self.compression
    }

    /// Seals the concatenation of `parts` and returns `prefix` followed by tag and ciphertext.
    ///
    /// What was sealed is opened again and compared before it is returned.
    pub(crate) fn seal(
        &mut self,
        keys: &EpochKeys,
        what: &'static str,
        aad: &[&[u8]],
        prefix: &[u8],
        parts: &[&[u8]],
    ) -> Result<Vec<u8>> {
        let plain: &[u8] = match parts {
            [only] => only,
            _ => {
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
        // Exactly sized: packs hold many of these until they are uploaded.
        let mut out = Vec::with_capacity(prefix.len() + TAG_BYTES + 1 + data.len());
        out.extend_from_slice(prefix);
        out.extend_from_slice(&[0; TAG_BYTES]);
        out.push(method);
        out.extend_from_slice(data);
        keys.seal_in_place(aad, &mut out[prefix.len()..])?;

        self.work.clear();
        self.work.extend_from_slice(&out[prefix.len()..]);
        let failed = FormatError::EncodeCheckFailed { what };
        keys.open_in_place(what, aad, &mut self.work)
            .map_err(|_| failed.clone())?;
        let same = match self.work.get(TAG_BYTES..) {
            Some([STORED, data @ ..]) => data == plain,
            Some([ZSTD, frame @ ..]) => {
                decompress(&mut self.decompressor, what, frame, plain.len(), &mut self.check)
                    .map_err(|_| failed.clone())?;
                self.check == plain
            }
            _ => false,
        };
        if same { Ok(out) } else { Err(failed) }
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
        match self.work.get(TAG_BYTES..) {
            Some([STORED, data @ ..]) => {
                check_limit(what, limit, data.len())?;
                Ok(data.to_vec())
            }
            Some([ZSTD, frame @ ..]) => {
                let mut plain = Vec::new();
                decompress(&mut self.decompressor, what, frame, limit, &mut plain)?;
                Ok(plain)
            }
            Some([other, ..]) => Err(FormatError::UnsupportedFeature {
                what,
                feature: format!("compression {other}"),
            }),
            _ => Err(FormatError::Truncated { what }),
        }
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
