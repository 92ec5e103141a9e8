//! A real process that is stopped with SIGSTOP before each of its store operations, while others delete its base and reclaim
//! the space with no grace period at all, and that goes on afterwards as if no time had passed.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nakivo_core::format::ids::PointId;
use nakivo_core::repository::{PointFilter, ReclaimOptions};
use nakivo_testkit::crash::{Step, lab, run};
use nakivo_testkit::oracle::{all_points, assert_sound, read_point};
use nakivo_testkit::random::announce;
use nakivo_testkit::scenario::{Stage, mailbox};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::crash::copy;

const STEP: Step = Step::Mailbox(Stage::Second);

fn start(directory: &Path, before: u64) -> Child {
    Command::new(env!("CARGO_BIN_EXE_crash_child"))
        .args([
            STEP.name(),
            directory.to_str().unwrap(),
            &before.to_string(),
            "stop",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Waits until the process is stopped; `false`: it ended instead.
fn is_stopped(child: &Child) -> bool {
    let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
    status.stopped()
}

/// What others do meanwhile: the point goes, and everything that nothing needs then.
async fn take_away(directory: &Path, point: PointId) {
    let repository = lab(STEP, directory).await.unwrap().open().await.unwrap();
    repository
        .delete_points(&PointFilter::default().with_points(vec![point]), "test", false)
        .await
        .unwrap();
    for _ in 0..2 {
        repository
            .reclaim(ReclaimOptions::default().with_grace(Duration::ZERO))
            .wait()
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_writer_loses_nothing_however_long_it_was_stopped() {
    let place = tempfile::tempdir().unwrap();
    let first = place.path().join("first");
    run(Step::Create, &first, None).await.unwrap();
    run(Step::Mailbox(Stage::First), &first, None).await.unwrap();
    let repository = lab(STEP, &first).await.unwrap().open().await.unwrap();
    let base = all_points(&repository)[0].id;
    drop(repository);
    let truth = mailbox(Stage::Second).truth();
    let (mut stopped, mut refused) = (0, 0);
    for before in 0.. {
        let work = place.path().join(format!("stopped-{before}"));
        copy(&first, &work);
        let child = start(&work, before);
        if !is_stopped(&child) {
            break;
        }
        stopped += 1;
        take_away(&work, base).await;
        kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let what = format!("stopped before operation {before}: {said}");
        match output.status.code() {
            Some(0) => {}
            // What it relied on is gone, and it says so.
            Some(1) => {
                refused += 1;
                assert!(said.contains("conflict: "), "{what}");
            }
            _ => panic!("{what}: {}", output.status),
        }
        if output.status.code() == Some(1) {
            run(STEP, &work, None)
                .await
                .unwrap_or_else(|error| panic!("{what}: the repeated run: {error:?}"));
        }
        let repository = lab(STEP, &work).await.unwrap().open().await.unwrap();
        assert_sound(&repository, &what).await;
        let points = all_points(&repository);
        assert_eq!(points.len(), 1, "{what}");
        let content = read_point(&repository, &points[0]).await.unwrap();
        content.assert_equal(&truth, &what);
        std::fs::remove_dir_all(&work).unwrap();
    }
    announce(&format!(
        "stopped: before each of {stopped} operations, {refused} times refused"
    ));
    assert!(stopped > 5 && refused > 0, "{stopped} stops, {refused} refused");
}
