//! A small client: token, calls, JSON.

use nakivo_graph_emulator::{Emulator, EmulatorBuilder};
use serde_json::{Value, json};

/// The seed of randomised tests: `NAKIVO_SEED`, else a fixed one. Printed by those who use it.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("NAKIVO_SEED")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(20_260_105);
    println!("NAKIVO_SEED={seed}");
    seed
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("not JSON ({e}): {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn code(&self) -> String {
        self.json()["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|v| v.to_str().ok())
    }

    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

pub(crate) struct Client {
    pub(crate) emulator: Emulator,
    pub(crate) http: reqwest::Client,
    pub(crate) token: String,
    /// `Prefer` of every call.
    pub(crate) prefer: Option<String>,
}

impl Client {
    pub(crate) async fn start(builder: EmulatorBuilder) -> Self {
        let emulator = builder.start().await.expect("the emulator starts");
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut client = Self {
            emulator,
            http,
            token: String::new(),
            prefer: None,
        };
        client.token = client
            .fetch_token(client.emulator.app_id(), client.emulator.client_secret())
            .await;
        client
    }

    pub(crate) fn immutable(mut self) -> Self {
        self.prefer = Some("IdType=\"ImmutableId\"".into());
        self
    }

    pub(crate) async fn form(&self, fields: &[(&str, &str)]) -> Answer {
        let url = self.emulator.describe().token_url;
        let body: Vec<String> = fields.iter().map(|(n, v)| format!("{n}={}", encode(v))).collect();
        let request = self
            .http
            .post(url)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(body.join("&"));
        send(request).await
    }

    pub(crate) async fn fetch_token(&self, app: &str, secret: &str) -> String {
        let answer = self
            .form(&[
                ("client_id", app),
                ("client_secret", secret),
                ("scope", "https://graph.microsoft.com/.default"),
                ("grant_type", "client_credentials"),
            ])
            .await
            .expect(200);
        answer.json()["access_token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }

    /// Absolute, or relative to the version.
    pub(crate) fn url(&self, path: &str) -> String {
        if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}/{}", self.emulator.graph_url(), path.trim_start_matches('/'))
        }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(method, self.url(path)).bearer_auth(&self.token);
        if let Some(prefer) = &self.prefer {
            request = request.header("Prefer", prefer);
        }
        request
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        send(self.request("GET", path)).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        send(self.request("DELETE", path)).await
    }

    pub(crate) async fn send_json(&self, method: &str, path: &str, body: &Value) -> Answer {
        let request = self
            .request(method, path)
            .header("Content-Type", "application/json")
            .body(body.to_string());
        send(request).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send_json("POST", path, body).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send_json("PATCH", path, body).await
    }

    /// `users/{first mailbox}`.
    pub(crate) fn me(&self) -> String {
        format!("users/{}", self.emulator.mailboxes()[0].user_id())
    }

    /// Follows next links to the end.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let mut out = Vec::new();
        let mut next = path.to_owned();
        loop {
            let page = self.get(&next).await.expect(200).json();
            out.extend(page["value"].as_array().expect("value").iter().cloned());
            match page["@odata.nextLink"].as_str() {
                Some(link) => next = link.to_owned(),
                None => return out,
            }
        }
    }

    /// A draft made by JSON; its id.
    pub(crate) async fn draft(&self, subject: &str) -> String {
        let answer = self
            .post(&format!("{}/messages", self.me()), &json!({"subject": subject}))
            .await
            .expect(201);
        answer.json()["id"].as_str().expect("id").to_owned()
    }
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.expect("a body").to_vec();
    Answer {
        status,
        headers,
        body,
    }
}

pub(crate) fn encode(text: &str) -> String {
    text.bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_.~".contains(&b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}
