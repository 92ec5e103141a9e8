//! Client assertions: JWT signed with the key of a certificate of the application.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

use crate::identity::App;

/// Why an assertion was refused: AADSTS number and text.
pub(crate) type Refusal = (u32, String);

/// What the assertion is checked against.
pub(crate) struct Expected<'a> {
    pub app: &'a App,
    /// Accepted audiences: the token endpoint as the client may name it.
    pub audiences: &'a [String],
    /// Seconds since 1970; `None` when the emulator's clock cannot be compared with the client's.
    pub now: Option<i64>,
}

/// `client_id` named by an assertion, unchecked.
pub(crate) fn subject(jwt: &str) -> Option<String> {
    let claims = part(jwt.split('.').nth(1)?)?;
    claims.get("sub").and_then(Value::as_str).map(str::to_owned)
}

fn part(text: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?).ok()
}

/// Checks signature and claims.
pub(crate) fn check(jwt: &str, expected: &Expected<'_>) -> Result<(), Refusal> {
    let malformed = || (50027, "JWT token is invalid or malformed.".to_owned());
    let parts: Vec<&str> = jwt.split('.').collect();
    let [head_text, claims_text, signature_text] = parts.as_slice() else {
        return Err(malformed());
    };
    let head = part(head_text).ok_or_else(malformed)?;
    let claims = part(claims_text).ok_or_else(malformed)?;
    let signature = URL_SAFE_NO_PAD.decode(signature_text).map_err(|_| malformed())?;
    let text = |v: &Value, name: &str| v.get(name).and_then(Value::as_str).unwrap_or("").to_owned();

    let unknown = |why: &str| {
        (
            700027,
            format!(
                "The certificate with identifier used to sign the client assertion is not registered on application, or the signature is invalid. [Reason - {why}]"
            ),
        )
    };
    let (s256, s1) = (text(&head, "x5t#S256"), text(&head, "x5t"));
    if s256.is_empty() && s1.is_empty() {
        return Err(unknown("The key was not found: no thumbprint given."));
    }
    let certificate = expected
        .app
        .certificates
        .iter()
        .find(|c| {
            if s256.is_empty() {
                c.x5t == s1
            } else {
                c.x5t_s256 == s256 && (s1.is_empty() || c.x5t == s1)
            }
        })
        .ok_or_else(|| unknown("The key was not found."))?;
    let algorithm = match text(&head, "alg").as_str() {
        "PS256" => &RSA_PSS_2048_8192_SHA256,
        "RS256" => &RSA_PKCS1_2048_8192_SHA256,
        _ => return Err(unknown("The algorithm is not supported.")),
    };
    UnparsedPublicKey::new(algorithm, &certificate.key)
        .verify(format!("{head_text}.{claims_text}").as_bytes(), &signature)
        .map_err(|_| unknown("The signature is not valid."))?;

    if !expected.audiences.iter().any(|a| *a == text(&claims, "aud")) {
        return Err((
            700023,
            format!(
                "Client assertion audience claim does not match Realm issuer. The audience '{}' is wrong.",
                text(&claims, "aud")
            ),
        ));
    }
    if text(&claims, "iss") != expected.app.id || text(&claims, "sub") != expected.app.id {
        return Err((
            700021,
            "Client assertion application identifier doesn't match 'client_id' parameter.".into(),
        ));
    }
    if text(&claims, "jti").is_empty() {
        return Err((
            50027,
            "JWT token is invalid or malformed: claim 'jti' is missing.".into(),
        ));
    }
    let number = |name: &str| claims.get(name).and_then(Value::as_i64);
    let (Some(exp), nbf) = (number("exp"), number("nbf").unwrap_or(i64::MIN)) else {
        return Err((
            50027,
            "JWT token is invalid or malformed: claim 'exp' is missing.".into(),
        ));
    };
    // Five minutes of skew, as usual.
    let late = expected.now.is_some_and(|now| now > exp + 300);
    let early = expected.now.is_some_and(|now| now < nbf.saturating_sub(300));
    if exp <= nbf || late || early {
        return Err((
            700024,
            "Client assertion is not within its valid time range.".into(),
        ));
    }
    Ok(())
}
