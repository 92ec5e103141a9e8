//! Content that is made on the fly: any size, same bytes every time.

use std::fmt::{self, Write as _};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use nakivo_core::{Error, Result};

use crate::random::{SeededRng, mix};

/// Size of the pieces in which generated content is streamed.
const PIECE: usize = 64 << 10;

/// The content of one part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Bytes(Bytes),
    /// `size` bytes that depend on `seed` only and do not compress; never held in memory as a whole.
    Generated {
        /// Which bytes.
        seed: u64,
        /// How many.
        size: u64,
    },
}

/// Size and plain BLAKE3 hash of a part: what the oracle compares.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest {
    /// Bytes.
    pub size: u64,
    /// Plain BLAKE3, first 16 bytes.
    pub hash: [u8; 16],
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.hash;
        write!(f, "{} bytes {a:02x}{b:02x}{c:02x}{d:02x}", self.size)
    }
}

impl Digest {
    /// Digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut digester = Digester::default();
        digester.update(bytes);
        digester.finish()
    }
}

/// Makes a [`Digest`] from pieces.
#[derive(Debug, Default)]
pub struct Digester {
    hasher: blake3::Hasher,
    size: u64,
}

impl Digester {
    /// Takes the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.hasher.update(piece);
        self.size += piece.len() as u64;
    }

    /// The digest of everything taken.
    #[must_use]
    pub fn finish(&self) -> Digest {
        let mut hash = [0; 16];
        hash.copy_from_slice(&self.hasher.finalize().as_bytes()[..16]);
        Digest {
            size: self.size,
            hash,
        }
    }
}

impl Content {
    /// Text content.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Bytes(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// Bytes in all.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Generated { size, .. } => *size,
        }
    }

    /// The content in pieces.
    pub fn pieces(&self) -> impl Iterator<Item = Bytes> + Send + use<> {
        let content = self.clone();
        let size = self.size();
        let mut at = 0u64;
        std::iter::from_fn(move || {
            if at >= size {
                return None;
            }
            let length = usize::try_from(size - at).unwrap_or(PIECE).min(PIECE);
            let piece = match &content {
                Content::Bytes(bytes) => {
                    let start = usize::try_from(at).unwrap_or(usize::MAX);
                    bytes.slice(start..start + length)
                }
                Content::Generated { seed, .. } => SeededRng::new(mix(*seed ^ mix(at / PIECE as u64)))
                    .bytes(length)
                    .into(),
            };
            at += length as u64;
            Some(piece)
        })
    }

    /// The content as a connector hands it out. With `breaks_after`, the stream fails once at least that many bytes were
    /// sent; with `short`, it ends there without an error.
    #[must_use]
    pub fn stream(&self, limit: Option<(u64, Ending)>) -> BoxStream<'static, Result<Bytes>> {
        let Some((limit, ending)) = limit else {
            return futures::stream::iter(self.pieces().map(Ok)).boxed();
        };
        let mut left = limit;
        let mut pieces = self.pieces();
        let mut ended = false;
        futures::stream::iter(std::iter::from_fn(move || {
            if ended {
                return None;
            }
            match pieces.next() {
                Some(piece) if piece.len() as u64 <= left => {
                    left -= piece.len() as u64;
                    Some(Ok(piece))
                }
                Some(piece) if left > 0 => {
                    let cut = piece.slice(..usize::try_from(left).unwrap_or(0));
                    left = 0;
                    Some(Ok(cut))
                }
                _ => {
                    ended = true;
                    match &ending {
                        Ending::Error(error) => Some(Err(error.clone())),
                        Ending::Short => None,
                    }
                }
            }
        }))
        .boxed()
    }

    /// Size and hash.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut digester = Digester::default();
        for piece in self.pieces() {
            digester.update(&piece);
        }
        digester.finish()
    }

    /// All bytes; for small content.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Generated { .. } => self.pieces().flatten().collect::<Vec<u8>>().into(),
        }
    }
}

/// How a limited stream ends.
#[derive(Debug, Clone)]
pub enum Ending {
    /// With this error.
    Error(Error),
    /// As if it were complete.
    Short,
}

/// A mail with a text body and, if `attachment` is not empty, one base64 attachment; line ends are CRLF.
#[must_use]
pub fn mail(subject: &str, body: &str, attachment: &[u8]) -> Content {
    let mut text = format!(
        "From: anna@example.org\r\nTo: ben@example.org\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=\"b0\"\r\n\r\n--b0\r\nContent-Type: text/plain\r\n\r\n{body}\r\n"
    );
    if !attachment.is_empty() {
        text.push_str(
            "--b0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        );
        for line in attachment.chunks(57) {
            base64(line, &mut text);
            text.push_str("\r\n");
        }
    }
    text.push_str("--b0--\r\n");
    Content::Bytes(text.into_bytes().into())
}

/// Text of about `size` bytes that compresses as prose does.
#[must_use]
pub fn prose(rng: &SeededRng, size: usize) -> String {
    const WORDS: [&str; 16] = [
        "meeting", "on", "Tuesday", "please", "find", "the", "report", "attached", "with", "numbers", "of",
        "last", "quarter", "and", "regards", "tomorrow",
    ];
    let mut text = String::with_capacity(size + 16);
    while text.len() < size {
        let word = WORDS[rng.index(WORDS.len())];
        let separator = if rng.chance(8) { "\r\n" } else { " " };
        let _ = write!(text, "{word}{separator}");
    }
    text
}

fn base64(bytes: &[u8], out: &mut String) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for group in bytes.chunks(3) {
        let word = group
            .iter()
            .enumerate()
            .fold(0u32, |word, (at, byte)| word | u32::from(*byte) << (16 - 8 * at));
        for at in 0..4 {
            if at <= group.len() {
                out.push(char::from(ALPHABET[(word >> (18 - 6 * at) & 63) as usize]));
            } else {
                out.push('=');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use nakivo_core::ErrorKind;

    use super::*;

    #[test]
    fn generated_content_is_the_same_every_time_and_streams_in_pieces() {
        let content = Content::Generated {
            seed: 1,
            size: 200_000,
        };
        assert_eq!(content.pieces().map(|piece| piece.len()).sum::<usize>(), 200_000);
        assert_eq!(content.digest(), Digest::of(&content.to_bytes()));
        assert_ne!(
            content.digest(),
            Content::Generated {
                seed: 2,
                size: 200_000
            }
            .digest()
        );
    }

    #[tokio::test]
    async fn a_limited_stream_breaks_or_ends_early() {
        let content = Content::Generated {
            seed: 1,
            size: 100_000,
        };
        let short: Vec<Bytes> = content
            .stream(Some((70_000, Ending::Short)))
            .try_collect()
            .await
            .unwrap();
        assert_eq!(short.concat(), content.to_bytes()[..70_000]);
        let error = Error::new(ErrorKind::Unavailable, "reset");
        let broken = content
            .stream(Some((10, Ending::Error(error))))
            .try_collect::<Vec<Bytes>>()
            .await;
        assert_eq!(broken.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn base64_matches_known_vectors() {
        for (plain, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            let mut out = String::new();
            base64(plain.as_bytes(), &mut out);
            assert_eq!(out, encoded);
        }
    }
}
