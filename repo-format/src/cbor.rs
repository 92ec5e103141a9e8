//! Shared helpers around minicbor: whole-input decoding, and enums that never fall back silently.

use minicbor::{Decode, Encode};

use crate::error::{FormatError, Result};

/// A tag that this version does not know.
///
/// `minicbor` turns an unknown variant inside an optional field into `None`, which would lose a cursor or a
/// ledger without a word. Our enums raise this instead.
#[derive(Debug, thiserror::Error)]
#[error("unknown {0} {1}")]
pub(crate) struct UnknownTag(pub(crate) &'static str, pub(crate) u64);

/// Encodes a value as deterministic CBOR.
pub(crate) fn encode<T: Encode<()>>(what: &'static str, value: &T) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    minicbor::encode(value, &mut out)
        .map_err(|e| FormatError::corrupt(what, format!("cannot be encoded: {e}")))?;
    Ok(out)
}

/// Decodes exactly one value from exactly these bytes.
pub(crate) fn decode<'b, T: Decode<'b, ()>>(what: &'static str, bytes: &'b [u8]) -> Result<T> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let value = decoder.decode().map_err(|e| error(what, &e))?;
    if decoder.position() != bytes.len() {
        return Err(FormatError::corrupt(what, "bytes after the end"));
    }
    Ok(value)
}

/// Translates a decoding error.
pub(crate) fn error(what: &'static str, e: &minicbor::decode::Error) -> FormatError {
    if e.is_end_of_input() {
        FormatError::Truncated { what }
    } else if e.is_custom() || e.is_unknown_variant() {
        FormatError::UnsupportedFeature {
            what,
            feature: e.to_string(),
        }
    } else {
        FormatError::corrupt(what, e.to_string())
    }
}

/// An enum without fields, stored as a small integer; an unknown integer is an error even in an optional field.
macro_rules! coded_enum {
    ($(#[$doc:meta])* $name:ident, $what:literal { $($(#[$vdoc:meta])* $variant:ident = $code:literal $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant = $code,)+
        }

        impl $name {
            /// The number stored for it.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value stored as `code`.
            #[must_use]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// A stable lower-case word for it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.u8(self.code())?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let at = d.position();
                let code = d.u64()?;
                u8::try_from(code).ok().and_then(Self::from_code).ok_or_else(|| {
                    minicbor::decode::Error::custom(crate::cbor::UnknownTag($what, code)).at(at)
                })
            }
        }
    };
}
pub(crate) use coded_enum;

/// Encodes values one after the other (a CBOR sequence, RFC 8742).
pub(crate) fn encode_sequence<T: Encode<()>>(what: &'static str, values: &[T]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    for value in values {
        minicbor::encode(value, &mut out)
            .map_err(|e| FormatError::corrupt(what, format!("cannot be encoded: {e}")))?;
    }
    Ok(out)
}

/// Decodes a CBOR sequence to its end.
pub(crate) fn decode_sequence<'b, T: Decode<'b, ()>>(what: &'static str, bytes: &'b [u8]) -> Result<Vec<T>> {
    let mut decoder = minicbor::Decoder::new(bytes);
    let mut values = Vec::new();
    while decoder.position() < bytes.len() {
        values.push(decoder.decode().map_err(|e| error(what, &e))?);
    }
    Ok(values)
}
