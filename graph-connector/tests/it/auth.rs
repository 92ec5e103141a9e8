//! Credentials, tokens, permissions, and that no secret shows anywhere.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use nakivo_core::ErrorKind;
use nakivo_core::connector::{ChangesRequest, Connector};
use nakivo_core::progress::Reporter;
use nakivo_graph_connector::{
    AccountConfig, Http, HttpError, HttpRequest, HttpResponse, M365Connector, ReqwestHttp, Secret,
};
use nakivo_graph_emulator::{Action, App, DEFAULT_ROLES, Emulator, Fault, FaultBody};

use futures::TryStreamExt;

use crate::bench::{Bench, Model, config, environment, seed};
use crate::lab::status;

#[tokio::test]
async fn a_certificate_signs_in() {
    let bench = Bench::small().await;
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("app.crt"), folder.path().join("app.key"));
    std::fs::write(&certificate, bench.emulator.certificate_pem()).unwrap();
    std::fs::write(&key, bench.emulator.private_key_pem()).unwrap();
    let config = AccountConfig::with_certificate(
        bench.emulator.directory_id(),
        bench.emulator.app_id(),
        &certificate,
        &key,
    )
    .with_urls(bench.emulator.graph_url(), bench.emulator.login_url());
    let http: Arc<dyn Http> = Arc::new(ReqwestHttp::new().unwrap());
    let connector = M365Connector::new(&config, http, &environment(&bench.clock)).unwrap();
    connector.sign_in().await.unwrap();
    let key_text = bench.emulator.private_key_pem().lines().nth(3).unwrap();
    assert!(!format!("{connector:?}").contains(key_text));
}

#[tokio::test]
async fn wrong_credentials_say_what_to_correct() {
    let bench = Bench::small().await;
    let app = |name: &str| format!("00000000-0000-0000-0000-0000000000{name}");
    bench
        .emulator
        .register(App::new(&app("aa")).expired_secret("CANARY-secret"));
    bench
        .emulator
        .register(App::new(&app("bb")).secret("CANARY-secret").disabled());
    let directory = bench.emulator.directory_id().to_owned();
    let known = bench.emulator.app_id().to_owned();
    for (directory, app, code) in [
        (directory.clone(), known.clone(), "AADSTS7000215"),
        (directory.clone(), app("aa"), "AADSTS7000222"),
        (directory.clone(), app("bb"), "AADSTS7000112"),
        (directory.clone(), app("cc"), "AADSTS700016"),
        (
            "ffffffff-0000-0000-0000-000000000000".to_owned(),
            known.clone(),
            "AADSTS90002",
        ),
    ] {
        let config = AccountConfig::with_secret(directory, app, Secret::new("CANARY-secret"))
            .with_urls(bench.emulator.graph_url(), bench.emulator.login_url());
        let http: Arc<dyn Http> = Arc::new(ReqwestHttp::new().unwrap());
        let connector = M365Connector::new(&config, http, &environment(&bench.clock)).unwrap();
        let error = connector.sign_in().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error:?}");
        assert!(error.message().contains(code), "{error:?} should name {code}");
        assert!(error.hint().is_some());
        assert!(!format!("{error:?} {error} {connector:?} {config:?}").contains("CANARY"));
    }
}

#[tokio::test]
async fn one_token_is_shared_renewed_early_and_once_after_a_refusal() {
    let bench = Bench::small().await;
    let object = bench.object().await;
    let before = bench.emulator.tokens_issued();
    let connector = bench.reconnect();
    let reads = (0..12).map(|_| connector.find_object(object.address.as_deref().unwrap()));
    futures::future::join_all(reads).await;
    assert_eq!(
        bench.emulator.tokens_issued() - before,
        1,
        "one task fetches, the others wait"
    );

    bench.emulator.faults().expire_tokens();
    Model::default().run(&connector, &object).await.unwrap();
    assert_eq!(bench.emulator.tokens_issued() - before, 2);

    // A service that refuses every token is asked twice, not for ever.
    bench.emulator.faults().add(
        Fault::status(401)
            .code("InvalidAuthenticationToken")
            .path("/v1.0/"),
    );
    bench.emulator.requests().clear();
    let error = Model::default().run(&connector, &object).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(
        bench
            .emulator
            .requests()
            .matching(|record| record.target.contains("mailFolders"))
            .len(),
        2
    );
}

#[tokio::test]
async fn the_token_service_may_stumble() {
    for action in [
        status(429, FaultBody::Empty, Some("5")),
        status(500, FaultBody::Html, None),
        status(200, FaultBody::Html, None),
        Action::Reset,
    ] {
        let bench = Bench::small().await;
        let struck = bench.emulator.faults();
        struck.add(Fault::new(action.clone()).path("oauth2").times(2));
        bench
            .reconnect()
            .sign_in()
            .await
            .unwrap_or_else(|error| panic!("{action:?}: {error:?}"));
        assert_eq!(struck.struck(), 2, "{action:?}");
    }
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let bench = Bench::with(Emulator::builder().seed(seed()).users(1).items_per_user(5)).await;
    let object = bench.object().await;
    let without: Vec<&str> = DEFAULT_ROLES
        .iter()
        .copied()
        .filter(|role| !role.starts_with("Mail."))
        .collect();
    bench.emulator.grant(bench.emulator.app_id(), without);
    bench.emulator.faults().expire_tokens();
    let connector = bench.reconnect();
    let changes = connector
        .changes(&object, ChangesRequest::default(), &Reporter::silent())
        .try_collect::<Vec<_>>()
        .await;
    let error = changes.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionMissing);
    assert!(error.hint().unwrap().contains("Mail.Read"), "{error:?}");
    let checks = connector.check_permissions().await.unwrap();
    let granted = |name: &str| {
        checks
            .iter()
            .find(|check| check.permission == name)
            .unwrap()
            .granted
    };
    assert_eq!(granted("Mail.Read"), Some(false));
    assert_eq!(granted("User.Read.All"), Some(true));
    assert_eq!(granted("MailboxSettings.Read"), Some(true));
}

/// Writes down everything that could be logged of a request, and keeps the secrets that it carried.
struct Spy {
    inner: ReqwestHttp,
    seen: Mutex<Vec<String>>,
    secrets: Mutex<Vec<String>>,
}

impl std::fmt::Debug for Spy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl Http for Spy {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        self.seen
            .lock()
            .unwrap()
            .push(format!("{request:?} {:?}", request.headers));
        if let Some(token) = request.headers.get("authorization") {
            self.secrets
                .lock()
                .unwrap()
                .push(token.to_str().unwrap().trim_start_matches("Bearer ").to_owned());
        }
        self.inner.send(request).await
    }
}

#[tokio::test]
async fn no_secret_shows_in_debug_output_or_errors() {
    let bench = Bench::small().await;
    let spy = Arc::new(Spy {
        inner: ReqwestHttp::new().unwrap(),
        seen: Mutex::default(),
        secrets: Mutex::default(),
    });
    let http: Arc<dyn Http> = Arc::clone(&spy) as Arc<dyn Http>;
    let config = config(&bench.emulator);
    let connector = M365Connector::new(&config, http, &environment(&bench.clock)).unwrap();
    let object = connector.find_object(bench.mailbox().address()).await.unwrap();
    let mut model = Model::default();
    // Errors of every kind, some of which quote what was sent.
    let token = spy.secrets.lock().unwrap()[0].clone();
    bench.emulator.faults().add(
        Fault::status(400)
            .body(FaultBody::Json(format!(
                r#"{{"error":{{"code":"{token}","message":"you sent {token} and {}"}}}}"#,
                bench.emulator.client_secret()
            )))
            .path("/delta")
            .times(2),
    );
    model.run(&connector, &object).await.unwrap();
    bench.emulator.faults().add(Fault::status(418).path("/v1.0/"));
    let error = model.clone().run(&connector, &object).await.unwrap_err();
    let mut shown = format!(
        "{connector:?} {config:?} {error:?} {:?} {:?}",
        model.failed, model.cursor
    );
    for line in spy.seen.lock().unwrap().iter() {
        shown.push_str(line);
    }
    assert!(!model.failed.is_empty());
    assert!(
        !shown.contains(bench.emulator.client_secret()),
        "the client secret shows"
    );
    for token in spy.secrets.lock().unwrap().iter() {
        // Also not a part of it that would do.
        for part in [&token[..70], &token[token.len() - 30..]] {
            if let Some(at) = shown.find(part) {
                panic!("a token shows after: {}", &shown[at.saturating_sub(300)..at]);
            }
        }
    }
}
