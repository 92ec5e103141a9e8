//! "Acknowledged" means on the disk: `object_store` leaves fsync off unless it is told otherwise.

use std::process::{Command, Stdio};

use nakivo_core::store::StoreLocation;
use nakivo_testkit::crash::{Step, run};
use nakivo_testkit::random::announce;
use nakivo_testkit::scenario::Stage;

#[tokio::test]
async fn a_local_store_is_opened_with_fsync_on() {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::directory(directory.path());
    for store in [location.create().await.unwrap(), location.open().await.unwrap()] {
        let shown = format!("{store:?}");
        assert!(shown.contains("fsync: true"), "{shown}");
    }
}

/// Counts what the kernel is asked for: at least one flush for each object and one for its directory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_object_and_its_directory_are_flushed() {
    if Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        announce("SKIPPED: strace is not installed");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    run(Step::Create, directory.path(), None).await.unwrap();
    let before = objects(directory.path());
    let trace = directory.path().join("trace");
    let status = Command::new("strace")
        .args(["-f", "-qq", "-e", "trace=fsync,fdatasync", "-o"])
        .arg(&trace)
        .arg(env!("CARGO_BIN_EXE_crash_child"))
        .args([
            Step::Mailbox(Stage::First).name(),
            directory.path().to_str().unwrap(),
            "1000000",
        ])
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let made = objects(directory.path()) - before;
    let flushes = std::fs::read_to_string(trace)
        .unwrap()
        .lines()
        .filter(|line| line.contains("sync("))
        .count();
    announce(&format!("durability: {flushes} flushes for {made} objects"));
    assert!(
        made >= 4 && flushes >= 2 * made,
        "{flushes} flushes for {made} objects"
    );
}

fn objects(directory: &std::path::Path) -> usize {
    let mut open = vec![directory.join("repository")];
    let mut count = 0;
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                open.push(entry.path());
            } else {
                count += 1;
            }
        }
    }
    count
}
