//! The few parts of an X.509 certificate that checking an assertion needs.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest;

/// A certificate: its RSA public key and its thumbprints.
#[derive(Debug, Clone)]
pub(crate) struct Certificate {
    /// DER of `RSAPublicKey`.
    pub key: Vec<u8>,
    /// base64url of the SHA-1 of the DER certificate.
    pub x5t: String,
    /// base64url of the SHA-256 of the DER certificate.
    pub x5t_s256: String,
}

/// Splits one DER element off: tag, content, rest.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (len, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let n = usize::from(first & 0x7f);
        if n == 0 || n > 4 || rest.len() < n {
            return None;
        }
        (
            rest[..n].iter().fold(0, |l, b| l << 8 | usize::from(*b)),
            &rest[n..],
        )
    };
    (rest.len() >= len).then(|| (tag, &rest[..len], &rest[len..]))
}

impl Certificate {
    /// Reads the first certificate of a PEM text.
    pub(crate) fn from_pem(pem: &str) -> Option<Self> {
        let text = pem
            .split("-----BEGIN CERTIFICATE-----")
            .nth(1)?
            .split("-----END")
            .next()?;
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        Self::from_der(&STANDARD.decode(text).ok()?)
    }

    /// Reads a DER certificate: Certificate / TBSCertificate / subjectPublicKeyInfo / BIT STRING (RFC 5280, 4.1).
    pub(crate) fn from_der(der: &[u8]) -> Option<Self> {
        let (_, certificate, _) = element(der)?;
        let (_, tbs, _) = element(certificate)?;
        let mut rest = tbs;
        let (tag, _, after) = element(rest)?;
        if tag == 0xA0 {
            rest = after; // version
        }
        for _ in 0..5 {
            rest = element(rest)?.2; // serial, algorithm, issuer, validity, subject
        }
        let (_, info, _) = element(rest)?;
        let (_, _, bits) = element(info)?;
        let (tag, bits, _) = element(bits)?;
        let key = (tag == 0x03).then(|| bits.strip_prefix(&[0]))??.to_vec();
        let hash = |algorithm| URL_SAFE_NO_PAD.encode(digest::digest(algorithm, der));
        Some(Self {
            key,
            x5t: hash(&digest::SHA1_FOR_LEGACY_USE_ONLY),
            x5t_s256: hash(&digest::SHA256),
        })
    }
}
