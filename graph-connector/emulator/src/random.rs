//! Every "random" part of the emulator: pure functions of the seed and of what they are for, so that the same
//! seed gives the same bytes whatever the order of the requests.

/// One step of splitmix64: a good mixer of 64 bits.
pub(crate) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

/// A 64-bit value that depends on every element of `parts`, in order.
pub(crate) fn key(parts: &[u64]) -> u64 {
    parts
        .iter()
        .fold(0x6E61_6B69_766F_2121, |acc, part| mix(acc ^ mix(*part)))
}

/// Hash of a text, for keys made of names.
pub(crate) fn text_key(text: &str) -> u64 {
    text.bytes()
        .fold(0xCBF2_9CE4_8422_2325, |acc: u64, b| mix(acc ^ u64::from(b)))
}

/// A short stream of numbers from one key.
#[derive(Debug, Clone)]
pub(crate) struct Stream(u64);

impl Stream {
    /// A stream that depends on every element of `parts`.
    pub(crate) fn new(parts: &[u64]) -> Self {
        Self(key(parts))
    }

    /// The next 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next() % bound }
    }

    /// True once in `n` calls on average.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One element of a non-empty slice.
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        let at = self.below(from.len() as u64) as usize;
        &from[at]
    }
}

/// A GUID in its usual text form (version 4 shape) from a key.
pub(crate) fn guid(parts: &[u64]) -> String {
    let mut s = Stream::new(parts);
    let (a, b) = (s.next(), s.next());
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        a >> 32,
        (a >> 16) & 0xffff,
        a & 0xfff,
        0x8000 | (b >> 48) & 0x3fff,
        b & 0xffff_ffff_ffff
    )
}

/// `len` characters out of the alphabet of base64url, for secrets and tokens.
pub(crate) fn token(parts: &[u64], len: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut s = Stream::new(parts);
    (0..len)
        .map(|_| char::from(ALPHABET[(s.next() & 63) as usize]))
        .collect()
}
