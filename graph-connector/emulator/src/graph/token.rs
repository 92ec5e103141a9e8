//! Opaque tokens of delta rounds: their fields, sealed so that no client can make one up.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::random::{key, text_key};

/// Between the fields of a token.
const FIELD: &str = "\u{1f}";

/// The fields as a token. `owner` and `kind`: what the token is good for.
pub(crate) fn seal(owner: u64, kind: u64, fields: &[String]) -> String {
    let text = fields.join(FIELD);
    let pad = key(&[owner, kind]).to_le_bytes();
    let mut raw = key(&[owner, kind + 1, text_key(&text)]).to_be_bytes().to_vec();
    raw.extend(text.bytes().enumerate().map(|(i, byte)| byte ^ pad[i % 8]));
    URL_SAFE_NO_PAD.encode(raw)
}

/// The fields of a token; none if it was not sealed for this owner and kind.
pub(crate) fn open(owner: u64, kind: u64, text: &str) -> Option<Vec<String>> {
    let raw = URL_SAFE_NO_PAD.decode(text).ok()?;
    let pad = key(&[owner, kind]).to_le_bytes();
    let body = raw
        .get(8..)?
        .iter()
        .enumerate()
        .map(|(i, byte)| byte ^ pad[i % 8])
        .collect();
    let body = String::from_utf8(body).ok()?;
    (key(&[owner, kind + 1, text_key(&body)]).to_be_bytes() == raw[..8])
        .then(|| body.split(FIELD).map(str::to_owned).collect())
}
