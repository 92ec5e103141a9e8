//! Bytes that exist, and bytes that are made when somebody reads them.

use bytes::Bytes;

use crate::random::Stream;

/// Length of the pieces in which made bytes are produced: a multiple of 57, one line of base64.
pub(crate) const PIECE: usize = 57 * 1024;

/// What made bytes look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// A ZIP container, incompressible, as an Office document.
    Docx,
    /// A PDF header and incompressible streams.
    Pdf,
    /// A PNG header and incompressible data.
    Png,
    /// Lines of a table; compresses well.
    Csv,
}

/// A recipe for bytes: the same recipe always gives the same bytes, any part of them at any time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Made {
    pub look: Look,
    pub key: u64,
    pub len: u64,
}

impl Made {
    /// Piece number `index` of [`PIECE`] bytes; the last one is shorter; empty beyond the end.
    pub(crate) fn piece(&self, index: u64) -> Vec<u8> {
        let start = index * PIECE as u64;
        let len = self.len.saturating_sub(start).min(PIECE as u64) as usize;
        let mut out = Vec::with_capacity(len + 64);
        let mut stream = Stream::new(&[self.key, index, 77]);
        if index == 0 {
            out.extend_from_slice(match self.look {
                Look::Docx => b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00[Content_Types].xml".as_slice(),
                Look::Pdf => b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n",
                Look::Png => b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x01\x00\x00\x00\x01\x00\x08\x06\x00\x00\x00",
                Look::Csv => b"date;customer;item;quantity;price\r\n",
            });
        }
        while out.len() < len {
            if self.look == Look::Csv {
                let (a, b) = (stream.next(), stream.next());
                out.extend_from_slice(
                    format!(
                        "20{:02}-{:02}-{:02};C{:05};item {};{};{}.{:02}\r\n",
                        a % 27,
                        1 + (a >> 8) % 12,
                        1 + (a >> 16) % 28,
                        (a >> 24) % 4000,
                        (b >> 8) % 300,
                        b % 20,
                        (b >> 16) % 5000,
                        (b >> 32) % 100
                    )
                    .as_bytes(),
                );
            } else {
                out.extend_from_slice(&stream.next().to_le_bytes());
            }
        }
        out.truncate(len);
        out
    }

    fn pieces(self) -> impl Iterator<Item = Vec<u8>> + Send {
        (0..self.len.div_ceil(PIECE as u64)).map(move |i| self.piece(i))
    }
}

/// Content of an attachment.
#[derive(Debug, Clone)]
pub(crate) enum Data {
    Bytes(Bytes),
    Made(Made),
    /// Pieces in order, as an upload session collected them.
    Pieces(Vec<Bytes>),
}

impl Data {
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Made(made) => made.len,
            Self::Pieces(pieces) => pieces.iter().map(|p| p.len() as u64).sum(),
        }
    }

    /// All of it, in memory.
    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            _ => self
                .pieces()
                .fold(Vec::with_capacity(self.len() as usize), |mut all, p| {
                    all.extend_from_slice(&p);
                    all
                })
                .into(),
        }
    }

    /// Pieces in order, without holding all of it.
    pub(crate) fn pieces(&self) -> Box<dyn Iterator<Item = Bytes> + Send> {
        match self {
            Self::Bytes(bytes) => Box::new(std::iter::once(bytes.clone())),
            Self::Made(made) => Box::new(made.pieces().map(Bytes::from)),
            Self::Pieces(pieces) => Box::new(pieces.clone().into_iter()),
        }
    }
}
