//! What names a job or an account for ever, whatever it is called: 32 hexadecimal digits, random.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::seams::{Rng, random_bytes};

/// Digits of an id.
const DIGITS: usize = 32;

fn random(rng: &dyn Rng) -> Result<String> {
    let bytes: [u8; DIGITS / 2] = random_bytes(rng)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn parse(what: &str, text: &str) -> Result<String> {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == DIGITS && text.bytes().all(digit) {
        return Ok(text.to_owned());
    }
    Err(Error::invalid(what, text, "32 hexadecimal digits in lower case"))
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            pub(super) fn random(rng: &dyn Rng) -> Result<Self> {
                random(rng).map(Self)
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                parse($what, text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

id!(
    /// Names a job for ever, whatever it is called. 32 hexadecimal digits, random.
    JobId, "id of a job"
);
id!(
    /// Names an account for ever, whatever it is called. 32 hexadecimal digits, random.
    AccountId, "id of an account"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_one_form() {
        let id = JobId::random(&crate::seams::SystemRng).unwrap();
        assert_eq!(id.as_str().parse::<JobId>().unwrap(), id);
        for wrong in ["", "abc", &"A".repeat(32), &"g".repeat(32)] {
            assert!(wrong.parse::<JobId>().is_err(), "{wrong}");
            assert!(wrong.parse::<AccountId>().is_err(), "{wrong}");
        }
    }
}
