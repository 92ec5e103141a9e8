//! The token endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use nakivo_graph_emulator::{App, Emulator};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair};
use ring::{digest, signature};
use serde_json::{Value, json};

use crate::client::{Answer, Client, send};

const SCOPE: &str = "https://graph.microsoft.com/.default";
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

fn der(pem: &str) -> Vec<u8> {
    let text: String = pem.lines().filter(|l| !l.starts_with("-----")).collect();
    STANDARD.decode(text).expect("base64")
}

/// Signs an assertion with the emulator's default key.
fn assertion(emulator: &Emulator, algorithm: &str, edit: impl FnOnce(&mut Value, &mut Value)) -> String {
    let certificate = der(emulator.certificate_pem());
    let thumb = |a: &'static digest::Algorithm| URL_SAFE_NO_PAD.encode(digest::digest(a, &certificate));
    let mut head = if algorithm == "PS256" {
        json!({"alg": "PS256", "typ": "JWT", "x5t#S256": thumb(&digest::SHA256)})
    } else {
        json!({"alg": "RS256", "typ": "JWT", "x5t": thumb(&digest::SHA1_FOR_LEGACY_USE_ONLY)})
    };
    let mut claims = json!({
        "aud": emulator.describe().token_url, "iss": emulator.app_id(), "sub": emulator.app_id(),
        "jti": "0b2f", "nbf": 1_767_600_000, "iat": 1_767_600_000, "exp": 1_767_600_300,
    });
    edit(&mut head, &mut claims);
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(head.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let key = RsaKeyPair::from_pkcs8(&der(emulator.private_key_pem())).expect("the key");
    let padding: &dyn RsaEncoding = if algorithm == "PS256" {
        &RSA_PSS_SHA256
    } else {
        &RSA_PKCS1_SHA256
    };
    let mut signed = vec![0; key.public().modulus_len()];
    key.sign(padding, &SystemRandom::new(), text.as_bytes(), &mut signed)
        .expect("a signature");
    let _ = signature::RSA_PSS_SHA256;
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signed))
}

async fn with_assertion(client: &Client, jwt: &str) -> Answer {
    client
        .form(&[
            ("client_id", client.emulator.app_id()),
            ("scope", SCOPE),
            ("client_assertion_type", JWT_BEARER),
            ("client_assertion", jwt),
            ("grant_type", "client_credentials"),
        ])
        .await
}

fn refused(answer: &Answer, status: u16, error: &str, code: u64) {
    let body = answer.json();
    assert_eq!(
        (
            answer.status,
            body["error"].as_str(),
            body["error_codes"][0].as_u64()
        ),
        (status, Some(error), Some(code)),
        "{body}"
    );
    assert!(
        body["error_description"]
            .as_str()
            .unwrap_or("")
            .starts_with(&format!("AADSTS{code}:"))
    );
    for name in ["timestamp", "trace_id", "correlation_id"] {
        assert!(body[name].is_string(), "{name} in {body}");
    }
}

#[tokio::test]
async fn secrets_and_their_errors() {
    let builder = Emulator::builder()
        .app(App::new("expired-app").expired_secret("old"))
        .app(App::new("disabled-app").secret("s").disabled());
    let c = Client::start(builder).await;
    let (app, secret) = (
        c.emulator.app_id().to_owned(),
        c.emulator.client_secret().to_owned(),
    );
    let ok = c
        .form(&[
            ("client_id", &app),
            ("client_secret", &secret),
            ("scope", SCOPE),
            ("grant_type", "client_credentials"),
        ])
        .await;
    let body = ok.expect(200).json();
    assert_eq!(
        (body["token_type"].as_str(), body["expires_in"].as_i64()),
        (Some("Bearer"), Some(3599))
    );
    assert!(body.get("refresh_token").is_none());

    let with = |id: &'static str, value: &'static str, scope: &'static str| {
        [
            ("client_id", id),
            ("client_secret", value),
            ("scope", scope),
            ("grant_type", "client_credentials"),
        ]
    };
    refused(
        &c.form(&with("expired-app", "old", SCOPE)).await,
        401,
        "invalid_client",
        7_000_222,
    );
    refused(
        &c.form(&with("expired-app", "wrong", SCOPE)).await,
        401,
        "invalid_client",
        7_000_215,
    );
    refused(
        &c.form(&with("disabled-app", "s", SCOPE)).await,
        400,
        "unauthorized_client",
        7_000_112,
    );
    refused(
        &c.form(&with("nobody", "s", SCOPE)).await,
        400,
        "unauthorized_client",
        700_016,
    );
    refused(
        &c.form(&with("expired-app", "old", "https://foo.microsoft.com/.default"))
            .await,
        400,
        "invalid_scope",
        70011,
    );
    refused(
        &c.form(&with("expired-app", "old", "Mail.Read")).await,
        400,
        "invalid_scope",
        1_002_012,
    );
    refused(
        &c.form(&with(
            "expired-app",
            "old",
            "https%3A%2F%2Fgraph.microsoft.com%2F.default",
        ))
        .await,
        400,
        "invalid_scope",
        1_002_012,
    );
    refused(
        &c.form(&[
            ("client_id", "expired-app"),
            ("scope", SCOPE),
            ("grant_type", "client_credentials"),
        ])
        .await,
        401,
        "invalid_client",
        7_000_218,
    );
    let elsewhere = format!(
        "{}/11111111-1111-4111-8111-111111111111/oauth2/v2.0/token",
        c.emulator.login_url()
    );
    let request = c
        .http
        .post(elsewhere)
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body("grant_type=client_credentials");
    refused(&send(request).await, 400, "invalid_request", 90002);
}

#[tokio::test]
async fn http_basic_and_domain_name() {
    let c = Client::start(Emulator::builder()).await;
    let url = format!(
        "{}/{}/oauth2/v2.0/token",
        c.emulator.login_url(),
        c.emulator.describe().domain
    );
    let secret = c.emulator.client_secret().replace('~', "%7E");
    let request = c
        .http
        .post(url)
        .basic_auth(c.emulator.app_id(), Some(secret))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(format!(
            "grant_type=client_credentials&scope={}",
            crate::client::encode(SCOPE)
        ));
    send(request).await.expect(200);
}

#[tokio::test]
async fn assertions() {
    let c = Client::start(Emulator::builder()).await;
    for algorithm in ["PS256", "RS256"] {
        let jwt = assertion(&c.emulator, algorithm, |_, _| {});
        with_assertion(&c, &jwt).await.expect(200);
    }
    let e = &c.emulator;
    let bad = [
        (
            assertion(e, "PS256", |_, claims| {
                claims["aud"] = json!("https://elsewhere.example")
            }),
            700_023,
        ),
        (
            assertion(e, "PS256", |_, claims| claims["sub"] = json!("another")),
            700_021,
        ),
        (
            assertion(e, "PS256", |_, claims| claims["exp"] = json!(1_767_599_999)),
            700_024,
        ),
        (
            assertion(e, "PS256", |head, _| head["x5t#S256"] = json!("AAAA")),
            700_027,
        ),
        (
            assertion(e, "PS256", |head, _| head["alg"] = json!("none")),
            700_027,
        ),
        (
            assertion(e, "RS256", |head, _| head["alg"] = json!("PS256")),
            700_027,
        ),
        ("no.jwt".to_owned(), 50027),
    ];
    for (jwt, code) in bad {
        refused(&with_assertion(&c, &jwt).await, 401, "invalid_client", code);
    }
    // One flipped bit of the signature.
    let mut jwt = assertion(e, "PS256", |_, _| {});
    let flipped = if jwt.ends_with('A') { "B" } else { "A" };
    jwt.replace_range(jwt.len() - 5..jwt.len() - 4, flipped);
    refused(&with_assertion(&c, &jwt).await, 401, "invalid_client", 700_027);
}

#[tokio::test]
async fn an_injected_clock_enforces_the_window() {
    let now = chrono::DateTime::from_timestamp(1_767_700_000, 0).expect("a time");
    let c = Client::start(Emulator::builder().clock(move || now)).await;
    let stale = assertion(&c.emulator, "PS256", |_, _| {});
    refused(&with_assertion(&c, &stale).await, 401, "invalid_client", 700_024);
    let fresh = assertion(&c.emulator, "PS256", |_, claims| {
        claims["nbf"] = json!(1_767_699_990);
        claims["exp"] = json!(1_767_700_300);
    });
    with_assertion(&c, &fresh).await.expect(200);
}

#[tokio::test]
async fn tokens_expire() {
    let mut c = Client::start(Emulator::builder()).await;
    c.get("users").await.expect(200);
    c.emulator.advance(std::time::Duration::from_secs(3600));
    let answer = c.get("users").await.expect(401);
    assert_eq!(answer.code(), "InvalidAuthenticationToken");
    let (app, secret) = (
        c.emulator.app_id().to_owned(),
        c.emulator.client_secret().to_owned(),
    );
    c.token = c.fetch_token(&app, &secret).await;
    c.get("users").await.expect(200);
    c.emulator.faults().expire_tokens();
    c.get("users").await.expect(401);
    c.token = "made-up".into();
    c.get("users").await.expect(401);
}

#[tokio::test]
async fn openid_configuration() {
    let c = Client::start(Emulator::builder()).await;
    let e = &c.emulator;
    for path in [format!("{}/v2.0", e.directory_id()), "v2.0".to_owned()] {
        let url = format!("{}/{path}/.well-known/openid-configuration", e.login_url());
        let body = send(c.http.get(url)).await.expect(200).json();
        assert_eq!(
            body["token_endpoint"].as_str(),
            Some(e.describe().token_url.as_str())
        );
    }
}
