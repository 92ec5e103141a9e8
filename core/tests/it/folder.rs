//! The folder source against real directories: what it lists, reads, notices and writes back.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper that fails fails its test, and says why"
)]

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use futures::StreamExt;
use nakivo_core::connector::{Change, ChangesRequest, Connector, Fetched, ItemHead, ItemRef, Presence};
use nakivo_core::folder::FolderConnector;
use nakivo_core::progress::Reporter;
use nakivo_core::{Error, ErrorKind};

async fn changes(connector: &FolderConnector) -> Result<Vec<Change>, Error> {
    let reporter = Reporter::silent();
    let stream = connector.changes(connector.object(), ChangesRequest::default(), &reporter);
    stream.collect::<Vec<_>>().await.into_iter().collect()
}

fn items(changes: &[Change]) -> Vec<&ItemHead> {
    changes
        .iter()
        .filter_map(|change| {
            if let Change::Item(head) = change {
                Some(head)
            } else {
                None
            }
        })
        .collect()
}

async fn content(connector: &FolderConnector, head: &ItemHead) -> Result<Vec<u8>, Error> {
    match connector.fetch(connector.object(), head).await? {
        Fetched::Content { parts, .. } => {
            let mut bytes = Vec::new();
            for part in parts {
                let mut body = part.body;
                while let Some(piece) = body.next().await {
                    bytes.extend_from_slice(&piece?);
                }
                if let Some(length) = part.length {
                    assert_eq!(bytes.len() as u64, length);
                }
            }
            Ok(bytes)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn lists_in_order_and_reads_everything() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir_all(root.join("b/inner")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    fs::write(root.join("z"), b"zett").unwrap();
    fs::write(root.join("a"), b"").unwrap();
    fs::write(root.join("b/100%"), b"percent").unwrap();
    let large: Vec<u8> = (0..5_000_000u32)
        .map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    fs::write(root.join("b/inner/large"), &large).unwrap();
    let odd = std::ffi::OsString::from_vec(b"caf\xe9".to_vec());
    fs::write(root.join(&odd), b"latin").unwrap();
    symlink("/etc/passwd", root.join("link")).unwrap();
    let sparse = fs::File::create(root.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();

    let connector = FolderConnector::new(root, "docs").unwrap();
    let changes = changes(&connector).await.unwrap();
    let ids: Vec<&str> = items(&changes).iter().map(|head| head.item.id.as_str()).collect();
    assert_eq!(
        ids,
        ["a", "caf%E9", "link", "sparse", "z", "b/100%25", "b/inner/large"]
    );
    let rounds: Vec<&str> = changes
        .iter()
        .filter_map(|change| match change {
            Change::RoundStarted {
                container,
                full: true,
            } => Some(container.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(rounds, ["", "b", "b/inner", "empty"]);
    let ended = changes
        .iter()
        .filter(|change| matches!(change, Change::RoundEnded { .. }))
        .count();
    assert_eq!(ended, 4);
    assert!(matches!(changes.last(), Some(Change::Cursor(_))));
    assert!(
        changes
            .iter()
            .any(|change| matches!(change, Change::ContainersComplete))
    );

    for (id, expected) in [
        ("a", &b""[..]),
        ("caf%E9", b"latin"),
        ("z", b"zett"),
        ("b/100%25", b"percent"),
        ("b/inner/large", &large),
    ] {
        let head = items(&changes)
            .into_iter()
            .find(|head| head.item.id == id)
            .unwrap();
        assert!(content(&connector, head).await.unwrap() == expected, "{id}");
    }
    let head = |id: &str| {
        items(&changes)
            .into_iter()
            .find(|head| head.item.id == id)
            .unwrap()
            .clone()
    };
    assert!(
        content(&connector, &head("sparse"))
            .await
            .unwrap()
            .iter()
            .all(|b| *b == 0)
    );
    assert_eq!(
        head("caf%E9").properties["escaped_name"].as_text(),
        Some("caf%E9")
    );
    let link = head("link");
    assert_eq!(link.properties["target"].as_text(), Some("/etc/passwd"));
    assert!(
        matches!(connector.fetch(connector.object(), &link).await.unwrap(),
        Fetched::Content { parts, .. } if parts.is_empty())
    );
}

#[tokio::test]
async fn a_change_shows_in_the_change_key_and_nothing_else_does() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["content", "touched", "mode", "replaced", "same"] {
        fs::write(dir.path().join(name), b"0123456789").unwrap();
    }
    let connector = FolderConnector::new(dir.path(), "docs").unwrap();
    let before = changes(&connector).await.unwrap();
    // Reading waits until the time stamps are old enough for a change to show.
    for head in items(&before) {
        content(&connector, head).await.unwrap();
    }
    fs::write(dir.path().join("content"), b"9876543210").unwrap();
    fs::File::options()
        .write(true)
        .open(dir.path().join("touched"))
        .unwrap()
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    fs::set_permissions(dir.path().join("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(dir.path().join("new"), b"0123456789").unwrap();
    fs::rename(dir.path().join("new"), dir.path().join("replaced")).unwrap();
    let after = changes(&connector).await.unwrap();
    let changed: Vec<&str> = items(&after)
        .iter()
        .zip(items(&before))
        .filter(|(new, old)| new.change_key != old.change_key)
        .map(|(new, _)| new.name.as_str())
        .collect();
    assert_eq!(changed, ["content", "mode", "replaced", "touched"]);
}

#[tokio::test]
async fn what_cannot_be_read_is_reported_and_keeps_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("closed")).unwrap();
    fs::write(dir.path().join("closed/inside"), b"x").unwrap();
    fs::write(dir.path().join("fine"), b"x").unwrap();
    fs::write(dir.path().join("secret"), b"x").unwrap();
    fs::set_permissions(dir.path().join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::set_permissions(dir.path().join("secret"), fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(dir.path().join("secret")).is_ok() {
        fs::set_permissions(dir.path().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
        println!("SKIPPED: this user may read everything, so nothing is unreadable");
        return;
    }
    let connector = FolderConnector::new(dir.path(), "docs").unwrap();
    let found = changes(&connector).await.unwrap();
    fs::set_permissions(dir.path().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(
        found
            .iter()
            .any(|change| matches!(change, Change::Failed { path, error, .. }
        if path == "closed" && error.kind() == ErrorKind::PermissionMissing))
    );
    // What is inside must not count as gone.
    assert!(
        !found
            .iter()
            .any(|change| matches!(change, Change::ContainersComplete))
    );
    let heads = items(&found);
    assert_eq!(
        heads.iter().map(|head| head.name.as_str()).collect::<Vec<_>>(),
        ["fine", "secret"]
    );
    let error = content(&connector, heads[1]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionMissing);
}

#[tokio::test]
async fn a_missing_directory_is_an_error_and_never_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    let connector = FolderConnector::new(dir.path().join("unmounted"), "docs").unwrap();
    let error = changes(&connector).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn look_ups_are_definite() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("here"), b"x").unwrap();
    fs::create_dir(dir.path().join("now a directory")).unwrap();
    let connector = FolderConnector::new(dir.path(), "docs").unwrap();
    let item = |id: &str| ItemRef {
        container: String::new(),
        id: id.to_owned(),
    };
    let items = [
        item("here"),
        item("gone"),
        item("now a directory"),
        item("here/below"),
        item("../escape"),
        item("//x"),
    ];
    let answers = connector.look_up(connector.object(), &items).await.unwrap();
    assert!(matches!(&answers[0], Presence::Present(head) if head.item == items[0]));
    for answer in &answers[1..] {
        assert!(matches!(answer, Presence::Gone), "{answer:?}");
    }
}

#[tokio::test]
async fn a_file_swapped_for_a_link_is_not_followed() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), b"secret").unwrap();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), b"plain").unwrap();
    fs::create_dir(dir.path().join("dir")).unwrap();
    fs::write(dir.path().join("dir/secret"), b"plain").unwrap();
    let connector = FolderConnector::new(dir.path(), "docs").unwrap();
    let found = changes(&connector).await.unwrap();
    fs::remove_file(dir.path().join("file")).unwrap();
    symlink(outside.path().join("secret"), dir.path().join("file")).unwrap();
    fs::remove_dir_all(dir.path().join("dir")).unwrap();
    symlink(outside.path(), dir.path().join("dir")).unwrap();
    for head in items(&found) {
        match connector.fetch(connector.object(), head).await {
            Ok(Fetched::Content { parts, head }) => {
                assert!(
                    parts.is_empty() && head.item_type.as_deref() == Some("symlink"),
                    "{head:?}"
                );
            }
            Ok(Fetched::Gone) | Err(_) => {}
            Ok(other) => panic!("{other:?}"),
        }
    }
}

/// The kernel's clock moves in ticks: two changes within one have the same time stamp. What is read right after the first
/// must not hide the second.
#[tokio::test]
async fn a_change_right_after_reading_shows() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let connector = FolderConnector::new(dir.path(), "docs").unwrap();
    fs::write(&path, b"0").unwrap();
    for round in 1..=30u8 {
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.write_all_at(&[round], 0).unwrap();
        let item = ItemRef {
            container: String::new(),
            id: "file".to_owned(),
        };
        let Presence::Present(head) = connector
            .look_up(connector.object(), std::slice::from_ref(&item))
            .await
            .unwrap()
            .remove(0)
        else {
            panic!("gone");
        };
        let Fetched::Content { head, mut parts } = connector.fetch(connector.object(), &head).await.unwrap()
        else {
            panic!("no content");
        };
        let read = parts.remove(0).body.next().await.unwrap().unwrap();
        assert_eq!(&read[..], [round]);
        file.write_all_at(b"!", 0).unwrap();
        let answer = connector
            .look_up(connector.object(), &[item])
            .await
            .unwrap()
            .remove(0);
        assert!(
            matches!(answer, Presence::Present(now) if now.change_key != head.change_key),
            "round {round}"
        );
    }
}

/// A file that somebody writes to all the time is neither waited for without end nor taken for settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_written_to_all_the_time_is_read_or_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    fs::write(&path, vec![b'x'; 4096]).unwrap();
    let connector = FolderConnector::new(dir.path(), "docs").unwrap();
    let found = changes(&connector).await.unwrap();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = std::thread::spawn({
        let stop = std::sync::Arc::clone(&stop);
        let path = path.clone();
        move || {
            let file = fs::File::options().write(true).open(&path).unwrap();
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                file.write_all_at(b"y", 0).unwrap();
            }
        }
    });
    let fetched = connector.fetch(connector.object(), items(&found)[0]).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    writer.join().unwrap();
    match fetched {
        Ok(Fetched::Content { head, .. }) => {
            // At least one change comes after it, also where the writer was held up.
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.write_all_at(b"z", 0).unwrap();
            let now = connector
                .look_up(connector.object(), std::slice::from_ref(&head.item))
                .await
                .unwrap()
                .remove(0);
            assert!(matches!(now, Presence::Present(now) if now.change_key != head.change_key));
        }
        Err(error) => assert_eq!(error.kind(), ErrorKind::Busy),
        other => panic!("{other:?}"),
    }
}

/// A file that changes while it is read ends in an error, not in content that never existed.
#[tokio::test]
async fn a_large_file_that_changes_while_it_is_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("large");
    fs::write(&path, vec![1u8; 40 << 20]).unwrap();
    let connector = FolderConnector::new(dir.path(), "docs").unwrap();
    let found = changes(&connector).await.unwrap();
    let Fetched::Content { mut parts, .. } = connector
        .fetch(connector.object(), items(&found)[0])
        .await
        .unwrap()
    else {
        panic!("no content");
    };
    let mut body = parts.remove(0).body;
    body.next().await.unwrap().unwrap();
    change(&path);
    let mut last = None;
    while let Some(piece) = body.next().await {
        last = Some(piece);
    }
    assert_eq!(last.unwrap().unwrap_err().kind(), ErrorKind::Busy);
}

fn change(path: &Path) {
    use std::io::{Seek, SeekFrom, Write};
    let mut file = fs::File::options().write(true).open(path).unwrap();
    let before = file.metadata().unwrap().ctime_nsec();
    // The kernel's clock moves in ticks: write until the change shows.
    while file.metadata().unwrap().ctime_nsec() == before {
        file.seek(SeekFrom::Start(39 << 20)).unwrap();
        file.write_all(b"changed").unwrap();
    }
}

#[test]
fn names_are_checked() {
    for name in ["", "a/b", "a\nb", &"x".repeat(201)] {
        let error = FolderConnector::new("/tmp", name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[tokio::test]
async fn items_fetched_together_are_as_fetched_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for number in 0..6 {
        fs::write(
            root.join(format!("{number}")),
            vec![number; 100 * usize::from(number)],
        )
        .unwrap();
    }
    fs::write(root.join("large"), vec![7; 3_000_000]).unwrap();
    symlink("0", root.join("link")).unwrap();
    let connector = FolderConnector::new(root, "docs").unwrap();
    let listed = changes(&connector).await.unwrap();
    let heads: Vec<ItemHead> = items(&listed).into_iter().cloned().collect();
    fs::remove_file(root.join("3")).unwrap();
    fs::write(root.join("4"), b"other").unwrap();

    let together = connector.fetch_many(connector.object(), &heads).await;
    assert_eq!(together.len(), heads.len());
    for (head, fetched) in heads.iter().zip(together) {
        match (head.name.as_str(), fetched.unwrap()) {
            ("3", Fetched::Gone) => {}
            ("link", Fetched::Content { parts, .. }) => assert!(parts.is_empty()),
            (name, Fetched::Content { parts, head }) => {
                let mut bytes = Vec::new();
                for mut part in parts {
                    while let Some(piece) = part.body.next().await {
                        bytes.extend_from_slice(&piece.unwrap());
                    }
                }
                assert_eq!(bytes, fs::read(root.join(name)).unwrap(), "{name}");
                assert_eq!(head.size, Some(bytes.len() as u64), "{name}");
            }
            (name, other) => panic!("{name}: {other:?}"),
        }
    }
}
