//! A real process, killed by SIGKILL before every store operation of creating a repository and of first and incremental
//! runs: what is left opens, verifies clean, lists whole points only, and a repeated step ends as if nothing had happened.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use nakivo_core::ErrorKind;
use nakivo_core::format::ids::{ObjectId, PointId};
use nakivo_testkit::crash::{Step, files_of, lab, prepare_copy, run, source};
use nakivo_testkit::logical::LogicalContent;
use nakivo_testkit::oracle::{all_points, assert_counts, assert_sound, read_point};
use nakivo_testkit::random::{announce, environment_number};
use nakivo_testkit::scenario::{Stage, directory, files, mailbox};

const SIGKILL: i32 = 9;

/// Kills more often than this mean that the step never ends.
const MAX_OPERATIONS: u64 = 5000;

/// What the process is killed before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Killed {
    /// A store operation; by itself.
    StoreOperation,
    /// A system call of this name; by strace, which counts each name apart.
    SystemCall(&'static str),
}

/// Calls that change files, and those that make changes durable. A file is opened for writing only to be written at once.
const CALLS: [&str; 12] = [
    "write",
    "pwrite64",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
    "unlinkat",
    "mkdir",
    "fsync",
    "fdatasync",
];

/// Runs a step in a process of its own. `Ok`: it got to its end after so many store operations; `Err`: it was killed.
fn child(step: Step, directory: &Path, killed: Killed, before: u64) -> Result<u64, ()> {
    let child = env!("CARGO_BIN_EXE_crash_child");
    let directory = directory.to_str().unwrap();
    let mut command = match killed {
        Killed::StoreOperation => Command::new(child),
        Killed::SystemCall(call) => {
            let mut strace = Command::new("strace");
            let inject = format!("inject={call}:signal=KILL:when={}", before + 1);
            strace.args([
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                &format!("trace={call}"),
                "-e",
                &inject,
                child,
            ]);
            strace
        }
    };
    let own = if killed == Killed::StoreOperation {
        before
    } else {
        u64::MAX
    };
    command.args([step.name(), directory, &own.to_string()]);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(text.parse().unwrap()),
        None if output.status.signal() == Some(SIGKILL) => Err(()),
        _ => panic!(
            "{} before {killed:?} {before}: {} {text}",
            step.name(),
            output.status
        ),
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Points and what each holds.
async fn contents(step: Step, directory: &Path) -> BTreeMap<PointId, (ObjectId, LogicalContent)> {
    let repository = lab(step, directory).await.unwrap().open().await.unwrap();
    let mut found = BTreeMap::new();
    for manifest in all_points(&repository) {
        let content = read_point(&repository, &manifest).await.unwrap();
        assert_counts(&manifest, &content, "an undisturbed point");
        found.insert(manifest.id, (manifest.object.id, content));
    }
    found
}

struct Scenario {
    root: tempfile::TempDir,
    step: Step,
}

impl Scenario {
    fn new(step: Step) -> Self {
        let root = match std::env::var_os("NAKIVO_CRASH_DIRECTORY") {
            Some(directory) => tempfile::tempdir_in(directory),
            None => tempfile::tempdir(),
        };
        Self {
            root: root.unwrap(),
            step,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    /// Does everything that comes before the step, and the step itself in a copy: what it must come to.
    async fn prepare(&self) -> LogicalContent {
        let start = self.path("start");
        std::fs::create_dir_all(&start).unwrap();
        let before: &[Step] = match self.step {
            Step::Create => &[],
            Step::Mailbox(Stage::First) => &[Step::Create],
            Step::Mailbox(Stage::Second) => &[Step::Create, Step::Mailbox(Stage::First)],
            Step::Copy => &[Step::Create, Step::Mailbox(Stage::First)],
            Step::Files(Stage::First) => {
                directory(&files_of(&start), Stage::First).unwrap();
                &[Step::Create]
            }
            Step::Files(Stage::Second) => {
                directory(&files_of(&start), Stage::First).unwrap();
                &[Step::Create, Step::Files(Stage::First)]
            }
        };
        for step in before {
            run(*step, &start, None).await.unwrap();
        }
        if self.step == Step::Files(Stage::Second) {
            directory(&files_of(&start), Stage::Second).unwrap();
        }
        if self.step == Step::Copy {
            prepare_copy(&start).await.unwrap();
        }
        let undisturbed = self.path("undisturbed");
        copy(&start, &undisturbed);
        run(self.step, &undisturbed, None).await.unwrap();
        let Some((_, object)) = source(self.step, &undisturbed).unwrap() else {
            return LogicalContent::default();
        };
        let before = if before.len() > 1 {
            contents(self.step, &start).await
        } else {
            BTreeMap::new()
        };
        let after = contents(self.step, &undisturbed).await;
        let new: Vec<_> = after.iter().filter(|(id, _)| !before.contains_key(*id)).collect();
        assert_eq!(new.len(), 1, "one step makes one point");
        let (owner, content) = new[0].1;
        assert_eq!(*owner, object.id);
        content.clone()
    }

    async fn check(
        &self,
        directory: &Path,
        before: &BTreeMap<PointId, (ObjectId, LogicalContent)>,
        whole: &LogicalContent,
        what: &str,
    ) -> bool {
        let place = lab(self.step, directory).await.unwrap();
        let repository = match place.open().await {
            Ok(repository) => repository,
            Err(error) if self.step == Step::Create && error.kind() == ErrorKind::RepositoryMissing => {
                return false;
            }
            Err(error) => panic!("{what}: it does not open: {error:?}"),
        };
        assert_sound(&repository, what).await;
        let info = repository.info().await.unwrap();
        assert!(info.notes.is_empty() && !info.read_only, "{what}: {info:?}");
        let mut new = 0;
        for manifest in all_points(&repository) {
            let content = read_point(&repository, &manifest).await.unwrap();
            match before.get(&manifest.id) {
                Some((_, known)) => content.assert_equal(known, what),
                None => {
                    content.assert_equal(whole, what);
                    new += 1;
                }
            }
        }
        assert_eq!(
            all_points(&repository).len(),
            before.len() + new,
            "{what}: no point may be lost"
        );
        assert!(new <= 1, "{what}: {new} new points");
        new == 1
    }
}

/// Returns how often the step was killed.
async fn enumerate(step: Step, killed: Killed) -> u64 {
    let started = Instant::now();
    let scenario = Scenario::new(step);
    let whole = scenario.prepare().await;
    let start = scenario.path("start");
    let before = if step == Step::Create {
        BTreeMap::new()
    } else {
        contents(step, &start).await
    };
    let only = environment_number("NAKIVO_CRASH_ONLY");
    let (mut kills, mut visible) = (0u64, 0u64);
    let mut operation = only.unwrap_or(0);
    let operations = loop {
        assert!(operation < MAX_OPERATIONS, "the step never ends");
        let what = format!("{}, killed before {killed:?} {operation}", step.name());
        let work = scenario.path("work");
        copy(&start, &work);
        let ended = child(step, &work, killed, operation);
        let done = scenario.check(&work, &before, &whole, &what).await;
        visible += u64::from(done);
        if let Ok(operations) = ended {
            assert!(
                done || step == Step::Create,
                "{what}: the step ended and its point is missing"
            );
            break operations;
        }
        kills += 1;
        // Once more, to its end, with no other help.
        match run(step, &work, None).await {
            Ok(_) => {}
            Err(error) if step == Step::Create && error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => panic!("{what}: the repeated step fails: {error:?}"),
        }
        let repository = lab(step, &work).await.unwrap().open().await.unwrap();
        let again = format!("{what}, and repeated");
        assert_sound(&repository, &again).await;
        if let Some((_, object)) = source(step, &work).unwrap() {
            let latest = repository.points(&object.id).into_iter().last().unwrap();
            read_point(&repository, &latest)
                .await
                .unwrap()
                .assert_equal(&whole, &again);
        }
        std::fs::remove_dir_all(&work).unwrap();
        operation += 1;
        if only.is_some() {
            break 0;
        }
    };
    announce(&format!(
        "crash {}: killed before {killed:?} number k for each of {kills} k ({operations} store operations in an undisturbed \
         run), the step was done after {visible}; {:.1} s",
        step.name(),
        started.elapsed().as_secs_f64()
    ));
    kills
}

async fn enumerate_store_operations(step: Step) {
    let kills = enumerate(step, Killed::StoreOperation).await;
    assert!(
        kills >= 9,
        "only {kills} operations: the hook does not see the store"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn creating_a_repository_survives_a_kill_before_every_operation() {
    enumerate_store_operations(Step::Create).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_run_over_a_mailbox_survives_a_kill_before_every_operation() {
    enumerate_store_operations(Step::Mailbox(Stage::First)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incremental_run_over_a_mailbox_survives_a_kill_before_every_operation() {
    enumerate_store_operations(Step::Mailbox(Stage::Second)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_run_over_files_survives_a_kill_before_every_operation() {
    enumerate_store_operations(Step::Files(Stage::First)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incremental_run_over_files_survives_a_kill_before_every_operation() {
    enumerate_store_operations(Step::Files(Stage::Second)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copying_a_point_survives_a_kill_before_every_operation() {
    enumerate_store_operations(Step::Copy).await;
}

/// What the crash enumeration compares with is itself the truth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_undisturbed_runs_hold_what_their_sources_hold() {
    let scenario = Scenario::new(Step::Mailbox(Stage::Second));
    let whole = scenario.prepare().await;
    whole.assert_equal(&mailbox(Stage::Second).truth(), "mailbox");

    let scenario = Scenario::new(Step::Files(Stage::Second));
    let whole = scenario.prepare().await;
    let expected: Vec<_> = files(&files_of(&scenario.path("start")))
        .unwrap()
        .into_values()
        .collect();
    let mut found: Vec<_> = whole
        .items
        .values()
        .filter_map(|item| item.parts.get("content").copied())
        .collect();
    found.sort();
    let mut sorted = expected.clone();
    sorted.sort();
    assert_eq!(found, sorted, "the files' contents");
}

/// The same at every system call that writes, links, removes or flushes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_step_survives_a_kill_before_every_system_call() {
    if Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        announce("SKIPPED: strace is not installed");
        return;
    }
    for step in Step::ALL {
        let (mut kills, mut flushes) = (0, 0);
        for call in CALLS {
            let these = enumerate(step, Killed::SystemCall(call)).await;
            kills += these;
            if call == "fsync" || call == "fdatasync" {
                flushes += these;
            }
        }
        assert!(
            kills >= 20 && flushes >= 8,
            "{}: {kills} kills, {flushes} of them at flushes",
            step.name()
        );
    }
}
