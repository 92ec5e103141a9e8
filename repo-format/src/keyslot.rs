//! Key slots: files that hold the master key, wrapped by a passphrase.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::crypto::{self, MasterKey, Passphrase, TAG_BYTES};
use crate::error::{FormatError, Result};
use crate::ids::{RepositoryId, SlotId};
use crate::json;

const WHAT: &str = "key slot";
const MARK: &str = "key-slot";
const VERSION: u32 = 1;
const ARGON2ID: &str = "argon2id";
const NONE: &str = "none";
const CONTEXT_COMMITMENT: &str = "nakivo repository v1 key-slot commitment";

/// Length of the wrapped secret: master key and epoch.
const SECRET_BYTES: usize = 32 + 4;
/// Length of a salt in bytes.
pub const SALT_BYTES: usize = 16;

/// Cost parameters of Argon2id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KdfParams {
    /// Memory in KiB. 8 MiB to 1 GiB.
    pub memory_kib: u32,
    /// Passes over the memory. 1 to 16.
    pub time: u32,
    /// Lanes. 1 to 16.
    pub parallelism: u32,
}

impl Default for KdfParams {
    /// 64 MiB, 3 passes, 4 lanes (RFC 9106, second recommended option).
    fn default() -> Self {
        Self {
            memory_kib: 64 * 1024,
            time: 3,
            parallelism: 4,
        }
    }
}

impl KdfParams {
    /// The lowest allowed cost. For tests.
    pub const FLOOR: Self = Self {
        memory_kib: 8 * 1024,
        time: 1,
        parallelism: 1,
    };
    /// The highest allowed cost.
    pub const CEILING: Self = Self {
        memory_kib: 1024 * 1024,
        time: 16,
        parallelism: 16,
    };

    /// Checks the range, so that no slot can make a reader allocate or compute without bound.
    ///
    /// # Errors
    /// `KdfRefused` naming the parameter.
    pub fn validate(&self) -> Result<()> {
        let (floor, ceiling) = (Self::FLOOR, Self::CEILING);
        for (parameter, found, min, max) in [
            (
                "memory_kib",
                self.memory_kib,
                floor.memory_kib,
                ceiling.memory_kib,
            ),
            ("time", self.time, floor.time, ceiling.time),
            (
                "parallelism",
                self.parallelism,
                floor.parallelism,
                ceiling.parallelism,
            ),
        ] {
            if !(min..=max).contains(&found) {
                return Err(FormatError::KdfRefused {
                    parameter,
                    found: found.into(),
                    min: min.into(),
                    max: max.into(),
                });
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Kdf {
    algorithm: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_kib: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parallelism: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    nakivo: String,
    version: u32,
    repository: RepositoryId,
    kdf: Kdf,
    #[serde(default)]
    wrapped: String,
    #[serde(default)]
    commitment: String,
    description: String,
    created: String,
    #[serde(default)]
    check: String,
}

/// A key slot. Several may exist; any one opens the repository.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySlot {
    stored: Stored,
    bytes: Vec<u8>,
    /// Everything but `wrapped`, `commitment` and `check`, in canonical form: associated data of the wrap.
    aad: String,
}

impl std::fmt::Debug for KeySlot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeySlot")
            .field("id", &self.id())
            .field("description", &self.stored.description)
            .finish_non_exhaustive()
    }
}

impl KeySlot {
    /// Wraps the master key with a passphrase. `salt` is 16 random bytes, `created` an RFC 3339 time.
    ///
    /// # Errors
    /// `KdfRefused` for parameters out of range.
    #[expect(clippy::too_many_arguments, reason = "all of them are part of the slot")]
    pub fn wrap(
        master: &MasterKey,
        epoch: u32,
        passphrase: &Passphrase,
        params: KdfParams,
        salt: [u8; SALT_BYTES],
        repository: &RepositoryId,
        created: &str,
        description: &str,
    ) -> Result<Self> {
        let kdf = Kdf {
            algorithm: ARGON2ID.into(),
            memory_kib: Some(params.memory_kib),
            time: Some(params.time),
            parallelism: Some(params.parallelism),
            salt: Some(BASE64.encode(salt)),
        };
        let mut stored = new_stored(kdf, repository, created, description);
        let kek = derive_kek(passphrase, params, &salt)?;
        let aad = aad_of(&stored)?;
        let mut wrapped = Zeroizing::new(vec![0; TAG_BYTES]);
        wrapped.extend_from_slice(&*secret(master, epoch));
        crypto::seal_in_place(&kek, &headers(repository, &aad), &mut wrapped)?;
        stored.wrapped = BASE64.encode(&*wrapped);
        stored.commitment = BASE64.encode(commitment(&kek, repository));
        let slot = Self::build(&stored)?;
        // Decode after encode: a slot that cannot be opened would lose the repository.
        let opened = slot
            .open_with(&kek)
            .map_err(|_| FormatError::EncodeCheckFailed { what: WHAT })?;
        if opened != (master.clone(), epoch) {
            return Err(FormatError::EncodeCheckFailed { what: WHAT });
        }
        Ok(slot)
    }

    /// A slot that holds the master key in clear: for a repository without a passphrase.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be expressed as JSON; does not happen.
    pub fn plain(
        master: &MasterKey,
        epoch: u32,
        repository: &RepositoryId,
        created: &str,
        description: &str,
    ) -> Result<Self> {
        let kdf = Kdf {
            algorithm: NONE.into(),
            memory_kib: None,
            time: None,
            parallelism: None,
            salt: None,
        };
        let mut stored = new_stored(kdf, repository, created, description);
        stored.wrapped = BASE64.encode(*secret(master, epoch));
        Self::build(&stored)
    }

    fn build(stored: &Stored) -> Result<Self> {
        Self::parse(&json::with_check(WHAT, stored)?)
    }

    /// Reads a slot and checks that it is undamaged. Says nothing about the passphrase.
    ///
    /// # Errors
    /// `BadMagic`, `Truncated`, `UnsupportedVersion`, `UnsupportedFeature` (key derivation), `KdfRefused`,
    /// `Authentication` when the check value does not match, `Corrupt`, `LimitExceeded`.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let map = json::parse(WHAT, bytes)?;
        if map.get("nakivo").and_then(Value::as_str) != Some(MARK) {
            return Err(FormatError::BadMagic { what: WHAT });
        }
        let check = json::check_value(&json::canonical(WHAT, &map, &["check"])?);
        if map.get("check").and_then(Value::as_str) != Some(check.as_str()) {
            return Err(FormatError::Authentication { what: WHAT });
        }
        json::check_version(WHAT, &map, VERSION)?;
        let aad = json::canonical(WHAT, &map, &["wrapped", "commitment", "check"])?;
        let stored: Stored = serde_json::from_value(Value::Object(map))
            .map_err(|e| FormatError::corrupt(WHAT, e.to_string()))?;
        let slot = Self {
            stored,
            bytes: bytes.to_vec(),
            aad,
        };
        // Refuses bad parameters now, so that a listing of slots shows them.
        slot.kdf()?;
        Ok(slot)
    }

    /// The file's bytes, exactly as read or made.
    #[must_use]
    pub fn to_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The slot's id, which is its file name.
    #[must_use]
    pub fn id(&self) -> SlotId {
        SlotId::of(&self.bytes)
    }

    /// The repository it belongs to.
    #[must_use]
    pub fn repository(&self) -> &RepositoryId {
        &self.stored.repository
    }

    /// What people call it.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.stored.description
    }

    /// When it was made, RFC 3339.
    #[must_use]
    pub fn created(&self) -> &str {
        &self.stored.created
    }

    /// Whether a passphrase is needed.
    #[must_use]
    pub fn needs_passphrase(&self) -> bool {
        self.stored.kdf.algorithm != NONE
    }

    /// The cost parameters and salt; `None` for a slot in clear.
    fn kdf(&self) -> Result<Option<(KdfParams, [u8; SALT_BYTES])>> {
        let kdf = &self.stored.kdf;
        match kdf.algorithm.as_str() {
            NONE => Ok(None),
            ARGON2ID => {
                let missing = || FormatError::corrupt(WHAT, "a parameter of the key derivation is missing");
                let params = KdfParams {
                    memory_kib: kdf.memory_kib.ok_or_else(missing)?,
                    time: kdf.time.ok_or_else(missing)?,
                    parallelism: kdf.parallelism.ok_or_else(missing)?,
                };
                params.validate()?;
                let salt = decode_base64(kdf.salt.as_deref().ok_or_else(missing)?)?;
                let salt = salt
                    .as_slice()
                    .try_into()
                    .map_err(|_| FormatError::corrupt(WHAT, "the salt is not 16 bytes"))?;
                Ok(Some((params, salt)))
            }
            other => Err(FormatError::UnsupportedFeature {
                what: WHAT,
                feature: format!("key derivation {other:?}"),
            }),
        }
    }

    /// Opens the slot: the master key and the epoch to write in.
    ///
    /// Takes as long as the key derivation is made to take; call it off the event loop.
    ///
    /// # Errors
    /// `WrongPassphrase`; `PassphraseRequired`; `IdMismatch` for a slot of another repository;
    /// `Authentication` when the passphrase is right but the slot was changed.
    pub fn unwrap(
        &self,
        passphrase: Option<&Passphrase>,
        repository: &RepositoryId,
    ) -> Result<(MasterKey, u32)> {
        if &self.stored.repository != repository {
            return Err(FormatError::IdMismatch {
                what: "key slot of another repository",
            });
        }
        let Some((params, salt)) = self.kdf()? else {
            return parse_secret(&decode_base64(&self.stored.wrapped)?);
        };
        let kek = derive_kek(passphrase.ok_or(FormatError::PassphraseRequired)?, params, &salt)?;
        self.open_with(&kek)
    }

    fn open_with(&self, kek: &[u8; 64]) -> Result<(MasterKey, u32)> {
        let repository = &self.stored.repository;
        let stored: [u8; 32] = decode_base64(&self.stored.commitment)?
            .as_slice()
            .try_into()
            .map_err(|_| FormatError::corrupt(WHAT, "the commitment is not 32 bytes"))?;
        // `blake3::Hash` compares in constant time.
        if blake3::Hash::from_bytes(stored) != blake3::Hash::from_bytes(commitment(kek, repository)) {
            return Err(FormatError::WrongPassphrase);
        }
        let mut wrapped = decode_base64(&self.stored.wrapped)?;
        crypto::open_in_place(kek, WHAT, &headers(repository, &self.aad), &mut wrapped)?;
        parse_secret(&wrapped[TAG_BYTES..])
    }
}

fn new_stored(kdf: Kdf, repository: &RepositoryId, created: &str, description: &str) -> Stored {
    Stored {
        nakivo: MARK.into(),
        version: VERSION,
        repository: *repository,
        kdf,
        wrapped: String::new(),
        commitment: String::new(),
        description: description.into(),
        created: created.into(),
        check: String::new(),
    }
}

fn aad_of(stored: &Stored) -> Result<String> {
    match serde_json::to_value(stored).map_err(|e| FormatError::corrupt(WHAT, e.to_string()))? {
        Value::Object(map) => json::canonical(WHAT, &map, &["wrapped", "commitment", "check"]),
        _ => Err(FormatError::corrupt(WHAT, "not a JSON object")),
    }
}

fn headers<'a>(repository: &'a RepositoryId, aad: &'a str) -> [&'a [u8]; 3] {
    [repository.as_bytes(), MARK.as_bytes(), aad.as_bytes()]
}

fn secret(master: &MasterKey, epoch: u32) -> Zeroizing<[u8; SECRET_BYTES]> {
    let mut out = Zeroizing::new([0; SECRET_BYTES]);
    out[..32].copy_from_slice(master.expose_bytes());
    out[32..].copy_from_slice(&epoch.to_le_bytes());
    out
}

fn parse_secret(bytes: &[u8]) -> Result<(MasterKey, u32)> {
    let wrong = || FormatError::corrupt(WHAT, "the wrapped secret is not 36 bytes");
    let (master, epoch) = bytes.split_at_checked(32).ok_or_else(wrong)?;
    let master = MasterKey::from_random(master.try_into().map_err(|_| wrong())?);
    Ok((master, u32::from_le_bytes(epoch.try_into().map_err(|_| wrong())?)))
}

fn derive_kek(passphrase: &Passphrase, params: KdfParams, salt: &[u8]) -> Result<Zeroizing<[u8; 64]>> {
    params.validate()?;
    let failed = |e: argon2::Error| FormatError::corrupt(WHAT, format!("argon2: {e}"));
    let argon = Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(params.memory_kib, params.time, params.parallelism, Some(64)).map_err(failed)?,
    );
    let mut kek = Zeroizing::new([0; 64]);
    argon
        .hash_password_into(passphrase.expose_bytes(), salt, &mut *kek)
        .map_err(failed)?;
    Ok(kek)
}

fn commitment(kek: &[u8; 64], repository: &RepositoryId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT_COMMITMENT);
    hasher.update(kek);
    hasher.update(repository.as_bytes());
    *hasher.finalize().as_bytes()
}

fn decode_base64(text: &str) -> Result<Zeroizing<Vec<u8>>> {
    BASE64
        .decode(text)
        .map(Zeroizing::new)
        .map_err(|_| FormatError::corrupt(WHAT, "not base64"))
}
