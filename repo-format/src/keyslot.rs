//! Key slots: files that hold the repository's secrets, wrapped by a passphrase or by a key.

use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::crypto::{self, TAG_BYTES};
use crate::error::{FormatError, Result};
use crate::ids::{RepositoryId, SlotId};
use crate::json;
use crate::keyring::KeyRing;
use crate::secret::{Passphrase, RecoveryKey, Secret};

const WHAT: &str = "key slot";
const MARK: &str = "key-slot";
const VERSION: u32 = 1;
const ARGON2ID: &str = "argon2id";
const BLAKE3: &str = "blake3";
const NONE: &str = "none";
const CONTEXT_COMMITMENT: &str = "nakivo repository v1 key-slot commitment";
const CONTEXT_KEY: &str = "nakivo repository v1 key-slot key";

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

/// How a slot is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotKind {
    /// By a passphrase, which costs this much to try.
    Passphrase(KdfParams),
    /// By a key of 256 random bits.
    Key,
    /// By anybody: what it holds lies in it in clear.
    Plain,
}

/// How a wrapping key comes to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Derivation {
    Argon2id(KdfParams, [u8; SALT_BYTES]),
    Blake3([u8; SALT_BYTES]),
}

/// What a secret becomes under the parameters and the salt of a slot. With it, slots of the same salt are opened and written
/// without the secret and without the cost of trying it. Prints no secret; wiped on drop.
#[derive(Clone)]
pub struct SlotKey {
    derivation: Derivation,
    kek: Zeroizing<[u8; 64]>,
}

impl std::fmt::Debug for SlotKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SlotKey([redacted])")
    }
}

impl SlotKey {
    /// The wrapping key of a new slot. `salt` is 16 random bytes; `params` matter for passphrases alone, which are taken in
    /// their normalised form. Takes as long as it is made to take; call it off the event loop.
    ///
    /// # Errors
    /// `KdfRefused` for parameters out of range.
    pub fn new(secret: &Secret, params: KdfParams, salt: [u8; SALT_BYTES]) -> Result<Self> {
        match secret {
            Secret::Passphrase(passphrase) => {
                Self::of_passphrase(&passphrase.normalized(), Derivation::Argon2id(params, salt))
            }
            Secret::Key(key) => Ok(Self::of_key(key, Derivation::Blake3(salt))),
        }
    }

    fn of_passphrase(passphrase: &Passphrase, derivation: Derivation) -> Result<Self> {
        let Derivation::Argon2id(params, salt) = derivation else {
            return Err(FormatError::WrongPassphrase);
        };
        Ok(Self {
            derivation,
            kek: derive_kek(passphrase, params, &salt)?,
        })
    }

    fn of_key(key: &RecoveryKey, derivation: Derivation) -> Self {
        let mut kek = Zeroizing::new([0; 64]);
        if let Derivation::Blake3(salt) = derivation {
            let mut hasher = blake3::Hasher::new_derive_key(CONTEXT_KEY);
            hasher.update(key.expose_bytes());
            hasher.update(&salt);
            hasher.finalize_xof().fill(&mut *kek);
        }
        Self { derivation, kek }
    }
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
    /// Wraps a ring. `created` is an RFC 3339 time.
    ///
    /// # Errors
    /// `EncodeCheckFailed` when what was made does not open again.
    pub fn wrap(
        ring: &KeyRing,
        key: &SlotKey,
        repository: &RepositoryId,
        created: &str,
        description: &str,
    ) -> Result<Self> {
        let (algorithm, params, salt) = match &key.derivation {
            Derivation::Argon2id(params, salt) => (ARGON2ID, Some(params), salt),
            Derivation::Blake3(salt) => (BLAKE3, None, salt),
        };
        let kdf = Kdf {
            algorithm: algorithm.into(),
            memory_kib: params.map(|params| params.memory_kib),
            time: params.map(|params| params.time),
            parallelism: params.map(|params| params.parallelism),
            salt: Some(BASE64.encode(salt)),
        };
        let mut stored = new_stored(kdf, repository, created, description);
        let aad = aad_of(&stored)?;
        let mut wrapped = Zeroizing::new(vec![0; TAG_BYTES]);
        wrapped.extend_from_slice(&ring.encode());
        crypto::seal_in_place(&key.kek, &headers(repository, &aad), &mut wrapped)?;
        stored.wrapped = BASE64.encode(&*wrapped);
        stored.commitment = BASE64.encode(commitment(&key.kek, repository));
        let slot = Self::build(&stored)?;
        // Decode after encode: a slot that cannot be opened would lose the repository.
        match slot.open(key) {
            Ok(opened) if opened == *ring => Ok(slot),
            _ => Err(FormatError::EncodeCheckFailed { what: WHAT }),
        }
    }

    /// This slot with another ring: same label, time, parameters and salt. The same ring gives the same bytes.
    ///
    /// # Errors
    /// As [`KeySlot::wrap`].
    pub fn rewrap(&self, ring: &KeyRing, key: &SlotKey) -> Result<Self> {
        let stored = &self.stored;
        Self::wrap(
            ring,
            key,
            &stored.repository,
            &stored.created,
            &stored.description,
        )
    }

    /// A slot that holds the ring in clear: for a repository without a passphrase.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be expressed as JSON; does not happen.
    pub fn plain(
        ring: &KeyRing,
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
        stored.wrapped = BASE64.encode(&*ring.encode());
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
        slot.derivation()?;
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

    /// How it is opened.
    ///
    /// # Errors
    /// None for a slot that was parsed.
    pub fn kind(&self) -> Result<SlotKind> {
        Ok(match self.derivation()? {
            None => SlotKind::Plain,
            Some(Derivation::Argon2id(params, _)) => SlotKind::Passphrase(params),
            Some(Derivation::Blake3(_)) => SlotKind::Key,
        })
    }

    /// Parameters and salt; `None` for a slot in clear.
    fn derivation(&self) -> Result<Option<Derivation>> {
        let kdf = &self.stored.kdf;
        let missing = || FormatError::corrupt(WHAT, "a parameter of the key derivation is missing");
        let salt = || -> Result<[u8; SALT_BYTES]> {
            let salt = decode_base64(kdf.salt.as_deref().ok_or_else(missing)?)?;
            salt.as_slice()
                .try_into()
                .map_err(|_| FormatError::corrupt(WHAT, "the salt is not 16 bytes"))
        };
        match kdf.algorithm.as_str() {
            NONE => Ok(None),
            BLAKE3 => Ok(Some(Derivation::Blake3(salt()?))),
            ARGON2ID => {
                let params = KdfParams {
                    memory_kib: kdf.memory_kib.ok_or_else(missing)?,
                    time: kdf.time.ok_or_else(missing)?,
                    parallelism: kdf.parallelism.ok_or_else(missing)?,
                };
                params.validate()?;
                Ok(Some(Derivation::Argon2id(params, salt()?)))
            }
            other => Err(FormatError::UnsupportedFeature {
                what: WHAT,
                feature: format!("key derivation {other:?}"),
            }),
        }
    }

    /// Tries a secret: the slot's wrapping key, if it is the right one. A passphrase is tried as it was entered and then in
    /// the other forms that look the same.
    ///
    /// Takes as long as the key derivation is made to take; call it off the event loop.
    ///
    /// # Errors
    /// `WrongPassphrase`, also for a secret of another kind than the slot's.
    pub fn try_secret(&self, secret: &Secret) -> Result<SlotKey> {
        let derivation = self.derivation()?.ok_or(FormatError::WrongPassphrase)?;
        match (secret, derivation) {
            (Secret::Key(key), Derivation::Blake3(_)) => {
                let key = SlotKey::of_key(key, derivation);
                self.check_key(&key).map(|()| key)
            }
            (Secret::Passphrase(passphrase), Derivation::Argon2id(..)) => {
                for form in passphrase.forms() {
                    let key = SlotKey::of_passphrase(&form, derivation)?;
                    match self.check_key(&key) {
                        Err(FormatError::WrongPassphrase) => {}
                        other => return other.map(|()| key),
                    }
                }
                Err(FormatError::WrongPassphrase)
            }
            _ => Err(FormatError::WrongPassphrase),
        }
    }

    /// Whether the key is this slot's.
    fn check_key(&self, key: &SlotKey) -> Result<()> {
        if self.derivation()? != Some(key.derivation) {
            return Err(FormatError::WrongPassphrase);
        }
        let stored: [u8; 32] = decode_base64(&self.stored.commitment)?
            .as_slice()
            .try_into()
            .map_err(|_| FormatError::corrupt(WHAT, "the commitment is not 32 bytes"))?;
        let own = commitment(&key.kek, &self.stored.repository);
        // `blake3::Hash` compares in constant time.
        if blake3::Hash::from_bytes(stored) == blake3::Hash::from_bytes(own) {
            Ok(())
        } else {
            Err(FormatError::WrongPassphrase)
        }
    }

    /// Opens the slot.
    ///
    /// # Errors
    /// `WrongPassphrase` for the key of another secret or salt; `Authentication` when the key is right but the slot was
    /// changed.
    pub fn open(&self, key: &SlotKey) -> Result<KeyRing> {
        self.check_key(key)?;
        let mut wrapped = decode_base64(&self.stored.wrapped)?;
        let headers = headers(&self.stored.repository, &self.aad);
        crypto::open_in_place(&key.kek, WHAT, &headers, &mut wrapped)?;
        KeyRing::decode(&wrapped[TAG_BYTES..])
    }

    /// Opens a slot in clear.
    ///
    /// # Errors
    /// `PassphraseRequired` for any other slot; `Corrupt`.
    pub fn open_plain(&self) -> Result<KeyRing> {
        match self.derivation()? {
            None => KeyRing::decode(&decode_base64(&self.stored.wrapped)?),
            Some(_) => Err(FormatError::PassphraseRequired),
        }
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
