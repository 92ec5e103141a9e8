//! The director's list of repositories, and removing a repository with its data.

use std::sync::Arc;

use nakivo_core::ErrorKind;
use nakivo_core::registry::{Access, Registration, Registry, RepositoryName};
use nakivo_core::repository::{self, Repository};
use nakivo_core::state::StateStore;
use nakivo_testkit::fault::{Failure, Fault, FaultStore, Matcher, OperationKind, Rule, When};
use nakivo_testkit::image::Image;
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::oracle::assert_sound;
use nakivo_testkit::random::announce;
use nakivo_testkit::scenario::{Stage, mailbox};

fn name(text: &str) -> RepositoryName {
    text.parse().unwrap()
}

fn access(url: &str) -> Access {
    Access {
        url: url.to_owned(),
        ..Access::default()
    }
}

async fn vault(seed: u64) -> (Lab, Repository) {
    let lab = Lab::memory(seed);
    let repository = lab.create().await.unwrap();
    back_up(&repository, &mailbox(Stage::First)).await.unwrap();
    (lab, repository)
}

async fn import(
    registry: &Registry,
    called: &str,
    repository: &Repository,
) -> nakivo_core::Result<Registration> {
    registry
        .import(name(called), access("file:/backup/vault"), repository)
        .await
}

#[tokio::test]
async fn repositories_are_imported_edited_detached_and_forgotten() {
    let (lab, repository) = vault(71).await;
    // A new director, with no state of the old one.
    let director = lab.elsewhere(72);
    let registry = Registry::new(&director.env);
    assert!(registry.list().await.unwrap().is_empty());
    let opened = director.open().await.unwrap();
    let entry = import(&registry, "vault", &opened).await.unwrap();
    let figures = entry.figures.clone().unwrap();
    assert!(
        entry.attached && (figures.objects, figures.points) == (1, 1),
        "{figures:?}"
    );
    assert!(figures.ratio() > 0.1 && figures.used_bytes > 0 && figures.unique_bytes > 0);

    for (again, kind) in [
        ("vault", ErrorKind::AlreadyExists),
        ("other", ErrorKind::AlreadyExists),
    ] {
        let error = import(&registry, again, &opened).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{again}: {error:?}");
    }
    let error = registry.get(&name("nobody")).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::NotFound && error.hint().unwrap().contains("vault"),
        "{error:?}"
    );

    // In use: neither detached nor removed, with the reason.
    let (_, using) = registry.begin(&name("vault")).await.unwrap();
    assert_eq!(
        registry.detach(&name("vault")).await.unwrap_err().kind(),
        ErrorKind::Busy
    );
    assert_eq!(
        registry.remove(&name("vault"), &[]).await.unwrap_err().kind(),
        ErrorKind::Busy
    );
    drop(using);
    assert!(!registry.detach(&name("vault")).await.unwrap().attached);
    let error = registry.begin(&name("vault")).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::Unavailable && error.message().contains("detached"),
        "{error:?}"
    );

    // Another repository at its place is not taken for it.
    let (_, stranger) = vault(73).await;
    let error = registry.attach(&name("vault"), &stranger).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    back_up(&repository, &mailbox(Stage::Second)).await.unwrap();
    let entry = registry.attach(&name("vault"), &opened).await.unwrap();
    assert_eq!(
        entry.figures.unwrap().points,
        2,
        "attaching looks at what came meanwhile"
    );

    let edited = registry
        .edit(&name("vault"), |entry| {
            entry.name = name("main");
            entry.description = Some("the first".to_owned());
            entry.attached = false;
        })
        .await
        .unwrap();
    assert!(edited.attached, "editing does not detach");
    let error = registry
        .edit(&name("main"), |entry| entry.url = "ftp:x".to_owned())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    let noted = registry
        .note_space(&name("main"), Some(5), Some(6))
        .await
        .unwrap();
    let refreshed = registry.refresh(&name("main"), &opened).await.unwrap();
    assert_eq!(
        noted.figures.unwrap().free_bytes,
        refreshed.figures.unwrap().free_bytes
    );

    let jobs = ["nightly".to_owned()];
    let error = registry.remove(&name("main"), &jobs).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::Conflict && error.message().contains("nightly"),
        "{error:?}"
    );
    registry.remove(&name("main"), &[]).await.unwrap();
    assert!(registry.list().await.unwrap().is_empty());
    assert_sound(&lab.elsewhere(74).open().await.unwrap(), "its data stays").await;
}

#[tokio::test]
async fn a_record_that_is_damaged_or_newer_is_not_written_over() {
    let (lab, repository) = vault(75).await;
    let registry = Registry::new(&lab.env);
    let state: Arc<dyn StateStore> = lab.env.state.clone();
    for (record, kind) in [
        (&b"not JSON"[..], ErrorKind::Corrupt),
        (
            b"{\"version\":2,\"repositories\":{}}",
            ErrorKind::UnsupportedFormat,
        ),
    ] {
        state.put("repositories", record.into()).await.unwrap();
        let error = import(&registry, "vault", &repository).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert_eq!(&state.get("repositories").await.unwrap().unwrap()[..], record);
    }
    for wrong in ["", "a b", "file:x", "a/b", "-a", "ä", &"a".repeat(65)] {
        assert!(wrong.parse::<RepositoryName>().is_err(), "{wrong}");
    }
}

/// Removal cut off anywhere leaves either the whole repository or none that opens, and a second call finishes it.
#[tokio::test]
async fn a_removal_cut_off_anywhere_is_finished_by_the_next() {
    let (lab, repository) = vault(76).await;
    back_up(&repository, &mailbox(Stage::Second)).await.unwrap();
    let image = Image::of(&*lab.store).await.unwrap();
    let id = repository.id();
    let mut cases = 0;
    loop {
        let what = format!("cut off before deletion {cases}");
        let faults = FaultStore::new(image.open().await);
        faults.inject(Rule::new(
            Matcher::kind(OperationKind::Delete),
            When::From(cases),
            Fault::Fail(Failure::PermissionDenied),
        ));
        let env = lab.elsewhere(77).env;
        let result = repository::destroy(faults.handle(), id, env.clone()).wait().await;
        let rest = Lab::over(faults.inner(), 78);
        if result.is_ok() {
            assert!(
                Image::of(&*rest.store).await.unwrap().objects().is_empty(),
                "{what}: something is left"
            );
            assert_eq!(
                rest.open().await.unwrap_err().kind(),
                ErrorKind::RepositoryMissing
            );
            rest.create().await.expect("the place is free");
            break;
        }
        assert_eq!(result.unwrap_err().kind(), ErrorKind::PermissionMissing, "{what}");
        let left = Image::of(&*rest.store).await.unwrap();
        match rest.open().await {
            Ok(opened) => {
                assert_eq!(
                    left.objects(),
                    image.objects(),
                    "{what}: it opens, and something is gone"
                );
                assert_sound(&opened, &what).await;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error:?}"),
        }
        assert_eq!(
            rest.create().await.unwrap_err().kind(),
            ErrorKind::AlreadyExists,
            "{what}"
        );
        repository::destroy(rest.store.clone(), id, env)
            .wait()
            .await
            .unwrap_or_else(|error| panic!("{what}: the second call: {error:?}"));
        assert!(
            Image::of(&*rest.store).await.unwrap().objects().is_empty(),
            "{what}"
        );
        cases += 1;
    }
    announce(&format!("removal: cut off before each of {cases} deletions"));
    assert!(cases > 8);
}

#[tokio::test]
async fn only_the_repository_that_was_named_is_removed() {
    let (lab, _) = vault(79).await;
    let (_, other) = vault(80).await;
    let before = Image::of(&*lab.store).await.unwrap();
    let error = repository::destroy(lab.store.clone(), other.id(), lab.env.clone())
        .wait()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
    assert_eq!(Image::of(&*lab.store).await.unwrap().objects(), before.objects());
    let empty = Lab::memory(81);
    let error = repository::destroy(empty.store.clone(), other.id(), empty.env)
        .wait()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RepositoryMissing, "{error:?}");
}
