//! What people open a repository with: a passphrase, or a key of 256 random bits in a file or on paper.

use std::fmt;

use unicode_normalization::UnicodeNormalization as _;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::error::{FormatError, Result};

/// A passphrase. Prints `[redacted]`, wiped on drop.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Passphrase(String);

impl Passphrase {
    /// Takes a passphrase as it was entered.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret bytes, as entered.
    #[must_use]
    pub fn expose_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The form that new key slots are made for (NFC), so that it does not matter how a keyboard composes letters.
    #[must_use]
    pub fn normalized(&self) -> Self {
        Self(self.0.nfc().collect())
    }

    /// The forms to try, in this order: as entered, composed (NFC), decomposed (NFD). One for plain ASCII.
    #[must_use]
    pub fn forms(&self) -> Vec<Self> {
        let mut forms = vec![self.clone()];
        if self.0.is_ascii() {
            return forms;
        }
        for form in [self.normalized(), Self(self.0.nfd().collect())] {
            if !forms.contains(&form) {
                forms.push(form);
            }
        }
        forms
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase([redacted])")
    }
}

/// Length of a [`RecoveryKey`] in bytes.
pub const RECOVERY_KEY_BYTES: usize = 32;
/// Groups in the text of a recovery key.
const GROUPS: usize = 8;
/// Bytes of the key in a group, before its check byte.
const GROUP_BYTES: usize = 4;
/// Characters of a group.
const GROUP_CHARS: usize = 8;
/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A key of 256 random bits: nobody guesses it, so it opens a slot without costly stretching. Prints `[redacted]`, wiped on
/// drop.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct RecoveryKey([u8; RECOVERY_KEY_BYTES]);

impl RecoveryKey {
    /// The key made of 32 random bytes, which the caller draws.
    #[must_use]
    pub const fn from_random(bytes: [u8; RECOVERY_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The secret bytes.
    #[must_use]
    pub const fn expose_bytes(&self) -> &[u8; RECOVERY_KEY_BYTES] {
        &self.0
    }

    /// The key to print or to keep in a file: two lines of four groups of eight characters, each group with a check of its own.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(GROUPS * (GROUP_CHARS + 1)));
        for (number, bytes) in self.0.chunks_exact(GROUP_BYTES).enumerate() {
            if number > 0 {
                text.push(if number == GROUPS / 2 { '\n' } else { '-' });
            }
            let mut bits = u64::from(check(number, bytes));
            for (at, byte) in bytes.iter().rev().enumerate() {
                bits |= u64::from(*byte) << (8 * (at + 1));
            }
            for at in (0..GROUP_CHARS).rev() {
                let digit = (bits >> (5 * at)) & 31;
                text.push(char::from(ALPHABET[usize::try_from(digit).unwrap_or(0)]));
            }
        }
        text
    }

    /// Reads a key as people type it: upper or lower case, with or without hyphens, blanks and line ends, O for 0, I and L
    /// for 1. Lines that begin with `#` are left out.
    ///
    /// # Errors
    /// `InvalidId` naming the group with a typing error, or how much is missing. Never names the key's characters beside one
    /// that no key has.
    pub fn parse(text: &str) -> Result<Self> {
        let mut digits = Zeroizing::new(Vec::with_capacity(GROUPS * GROUP_CHARS));
        let lines = text
            .lines()
            .filter(|line| !line.trim_start_matches(['\u{feff}', ' ', '\t']).starts_with('#'));
        for character in lines.flat_map(str::chars) {
            if character.is_whitespace() || matches!(character, '-' | '\u{feff}' | '\u{2010}'..='\u{2015}') {
                continue;
            }
            let digit = digit(character).ok_or_else(|| {
                refused(format!(
                    "group {}: {character:?} is no character of a key",
                    digits.len() / GROUP_CHARS + 1
                ))
            })?;
            digits.push(digit);
        }
        let wanted = GROUPS * GROUP_CHARS;
        let mut key = Zeroizing::new([0; RECOVERY_KEY_BYTES]);
        for (number, (group, out)) in digits
            .chunks_exact(GROUP_CHARS)
            .zip(key.chunks_exact_mut(GROUP_BYTES))
            .enumerate()
        {
            let bits = group
                .iter()
                .fold(0u64, |bits, digit| bits << 5 | u64::from(*digit));
            out.copy_from_slice(&(bits >> 8).to_be_bytes()[4..]);
            if check(number, out) != bits.to_be_bytes()[7] {
                return Err(refused(format!("group {} has a typing error", number + 1)));
            }
        }
        if digits.len() != wanted {
            return Err(refused(format!(
                "it has {} characters instead of {wanted} in {GROUPS} groups of {GROUP_CHARS}",
                digits.len()
            )));
        }
        Ok(Self(*key))
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryKey([redacted])")
    }
}

fn refused(detail: String) -> FormatError {
    FormatError::InvalidId {
        what: "recovery key",
        detail,
    }
}

fn digit(character: char) -> Option<u8> {
    let upper = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let found = ALPHABET.iter().position(|known| char::from(*known) == upper);
    found.and_then(|at| u8::try_from(at).ok())
}

/// CRC-8 (polynomial 07) of the group's number and bytes: it notices every wrong character.
fn check(number: usize, bytes: &[u8]) -> u8 {
    let mut crc = u8::try_from(number + 1).unwrap_or(0);
    for byte in std::iter::once(&0).chain(bytes) {
        crc ^= byte;
        for _ in 0..8 {
            crc = crc << 1 ^ if crc & 0x80 == 0 { 0 } else { 0x07 };
        }
    }
    crc
}

/// A passphrase or a key.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    /// Something people remember: stretched by Argon2id.
    Passphrase(Passphrase),
    /// Something they keep: 256 random bits.
    Key(RecoveryKey),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passphrase(_) => f.write_str("Secret::Passphrase([redacted])"),
            Self::Key(_) => f.write_str("Secret::Key([redacted])"),
        }
    }
}

impl From<Passphrase> for Secret {
    fn from(passphrase: Passphrase) -> Self {
        Self::Passphrase(passphrase)
    }
}

impl From<RecoveryKey> for Secret {
    fn from(key: RecoveryKey) -> Self {
        Self::Key(key)
    }
}
