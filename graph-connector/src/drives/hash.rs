//! quickXorHash, the one hash that OneDrive for Business tells (contract 6.1).
//!
//! Byte `i` goes into a register of 160 bits at bit `11 * i mod 160`. Bytes whose numbers differ by a multiple of 160 meet
//! at the same bit, so they are first combined in 160 columns, and the columns go into the register at the end.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const COLUMNS: usize = 160;
const REGISTER_BYTES: usize = 20;

/// Takes bytes piece by piece.
#[derive(Debug, Clone)]
pub(crate) struct QuickXorHash {
    columns: [u8; COLUMNS],
    at: usize,
    length: u64,
}

impl QuickXorHash {
    pub(crate) fn new() -> Self {
        Self {
            columns: [0; COLUMNS],
            at: 0,
            length: 0,
        }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(COLUMNS - self.at));
            for (column, byte) in self.columns[self.at..].iter_mut().zip(now) {
                *column ^= byte;
            }
            self.at = (self.at + now.len()) % COLUMNS;
            bytes = rest;
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// The hash in base64, as `file.hashes.quickXorHash` has it.
    pub(crate) fn finish(&self) -> String {
        let mut register = [0u8; REGISTER_BYTES];
        for (number, byte) in self.columns.iter().enumerate() {
            let bit = number * 11 % COLUMNS;
            let wide = u16::from(*byte) << (bit % 8);
            register[bit / 8] ^= (wide & 0xFF) as u8;
            register[(bit / 8 + 1) % REGISTER_BYTES] ^= (wide >> 8) as u8;
        }
        for (byte, length) in register[12..].iter_mut().zip(self.length.to_le_bytes()) {
            *byte ^= length;
        }
        STANDARD.encode(register)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Content and hash, both in base64. From rclone's tests (MIT).
    const VECTORS: [(&str, &str); 8] = [
        ("", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        ("tbQ=", "taAFAAAAAAAAAAAAAgAAAAAAAAA="),
        ("J9iPGCbfZSTNyw==", "J8DGIzBggm+UgQTNUgYAAAAAAAA="),
        ("bU2j/0XYdgfPFD4691jV0AOUEUPR4Z5E", "bnLBiLpVgnxVkXhNsIAPdHAPLFQ="),
        (
            "4SVmjtXIL8BB8SfkbR5Cpaljm2jpyUfAhIBf65XmKxHlz9dy5XixgiE/q1lv+esZW/E=",
            "wxZ0rxkMQEnRNAp8ZgEZLT4RdLM=",
        ),
        (
            "Mb7EGva2rEE5fENDL85P+BsapHEEjv2/siVhKjvAQe02feExVOQSkfmuYzU/kTF1MaKjPmKF/w+cbvwfdWL8aQ==",
            "n1anP5NfvD4XDYWIeRPW3ZkPv1Y=",
        ),
        (
            "ikwCorI7PKWz17EI50jZCGbV9JU2E8bXVfxNMg5zdmqSZ2NlsQPp0kqYIPjzwTg1MBtfWPg53k0h0P2naJNEVgrqpoHTfV2b3pJ4m0zYPTJmUX4Bg/lOxcnCxAYKU29Y5F0U8Quz7ZXFBEweftXxJ7RS4r6N7BzJrPsLhY7hgck=",
            "imAoFvCWlDn4yVw3/oq1PDbbm6U=",
        ),
        (
            "qwGf2ESubE5jOUHHyc94ORczFYYbc2OmEzo+hBIyzJiNwAzC8PvJqtTzwkWkSslgHFGWQZR2BV5+uYTrYT7HVwRM40vqfj0dBgeDENyTenIOL1LHkjtDKoXEnQ0mXAHoJ8PjbNC93zi5TovVRXTNzfGEs5dpWVqxUzb5lc7dwkyvOluBw482mQ4xrzYyIY1t+//OrNi1ObGXuUw2jBQOFfJVj2Y6BOyYmfB1y36eBxi3zxeG5d5NYjm2GSh6e08QMAwu3zrINcqIzLOuNIiGXBtl7DjKt7b5wqi4oFiRpZsCyx2smhSrdrtK/CkdU6nDN+34vSR/M8rZpWQdBE7a8g==",
            "WYT9JY3JIo/pEBp+tIM6Gt2nyTM=",
        ),
    ];

    #[test]
    fn known_vectors_in_pieces_of_every_size() {
        for (content, hash) in VECTORS {
            let content = STANDARD.decode(content).unwrap();
            for piece in [1, 7, 64, 159, 160, 161, 4096] {
                let mut found = QuickXorHash::new();
                content.chunks(piece).for_each(|part| found.update(part));
                assert_eq!(
                    found.finish(),
                    hash,
                    "{} bytes in pieces of {piece}",
                    content.len()
                );
                assert_eq!(found.length(), content.len() as u64);
            }
        }
    }
}
