//! The signed statement that proves possession of the certificate's key (contract 1.2).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use nakivo_core::seams::{Rng, random_bytes};
use nakivo_core::{Error, ErrorKind, Result};
use ring::{digest, rand, signature};
use serde_json::json;
use zeroize::Zeroizing;

/// Valid this long after, and from this long before, the moment of signing, so that small clock skews do not matter.
const VALID_SECONDS: i64 = 480;
const EARLY_SECONDS: i64 = 60;

/// Signs assertions with PS256.
pub(super) struct Signer {
    key: signature::RsaKeyPair,
    thumbprint: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer")
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

impl Signer {
    pub(super) fn new(certificate_pem: &str, private_key_pem: &str) -> Result<Self> {
        let certificate = pem("CERTIFICATE", certificate_pem).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidInput,
                "certificate_file: holds no PEM block 'CERTIFICATE'",
            )
        })?;
        let bad = |what: &str| {
            Error::new(ErrorKind::InvalidInput, format!("private_key_file: {what}"))
                .with_hint("Give an unencrypted RSA key of 2048 to 4096 bits in PEM form.")
        };
        let key = if let Some(der) = pem("PRIVATE KEY", private_key_pem) {
            signature::RsaKeyPair::from_pkcs8(&der).map_err(|error| bad(&error.to_string()))?
        } else if let Some(der) = pem("RSA PRIVATE KEY", private_key_pem) {
            signature::RsaKeyPair::from_der(&der).map_err(|error| bad(&error.to_string()))?
        } else {
            return Err(bad("holds no PEM block 'PRIVATE KEY' or 'RSA PRIVATE KEY'"));
        };
        let thumbprint = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &certificate));
        Ok(Self { key, thumbprint })
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the library takes the salt of PSS from no other source; nothing repeatable depends on it"
    )]
    pub(super) fn sign(
        &self,
        app_id: &str,
        audience: &str,
        now: DateTime<Utc>,
        rng: &dyn Rng,
    ) -> Result<String> {
        let id = random_bytes::<16>(rng)?;
        let header = json!({ "alg": "PS256", "typ": "JWT", "x5t#S256": self.thumbprint });
        let now = now.timestamp();
        let claims = json!({
            "aud": audience,
            "iss": app_id,
            "sub": app_id,
            "jti": URL_SAFE_NO_PAD.encode(id),
            "nbf": now - EARLY_SECONDS,
            "iat": now,
            "exp": now + VALID_SECONDS,
        });
        let signed = format!(
            "{}.{}",
            URL_SAFE_NO_PAD.encode(header.to_string()),
            URL_SAFE_NO_PAD.encode(claims.to_string())
        );
        let mut signature = vec![0; self.key.public().modulus_len()];
        self.key
            .sign(
                &signature::RSA_PSS_SHA256,
                &rand::SystemRandom::new(),
                signed.as_bytes(),
                &mut signature,
            )
            .map_err(|_| Error::internal("the assertion could not be signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// The first PEM block (RFC 7468) with this label.
fn pem(label: &str, text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let start = text.find(&begin)? + begin.len();
    let stop = start + text.get(start..)?.find(&end)?;
    let body: Zeroizing<String> = Zeroizing::new(
        text.get(start..stop)?
            .chars()
            .filter(|c| !c.is_whitespace())
            .collect(),
    );
    STANDARD.decode(body.as_bytes()).ok().map(Zeroizing::new)
}
