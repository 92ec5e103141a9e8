//! The index on disk: as good as the one in memory, and when its disk fails, an error and never a wrong answer.

use std::collections::BTreeMap;

use nakivo_core::format::ids::PointId;
use nakivo_core::repository::{Repository, VerifyOptions};
use nakivo_core::{Error, ErrorKind};
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::logical::LogicalContent;
use nakivo_testkit::oracle::{all_points, read_point};
use nakivo_testkit::random::{announce, environment_number};
use nakivo_testkit::scratch::{FaultScratch, Trouble};

use crate::histories::history_in;
use crate::many::{Failures, all_histories};
use crate::reclaim::{Start, reclaim};

/// What is done while the disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    BackUp,
    Read,
    Verify,
    Reclaim,
}

/// Cases of each act and trouble; `NAKIVO_FULL=1` tries them all.
const CASES: u64 = 6;

impl Act {
    const ALL: [Self; 4] = [Self::BackUp, Self::Read, Self::Verify, Self::Reclaim];

    async fn run(self, repository: &Repository) -> Result<(), Error> {
        match self {
            Self::BackUp => back_up(repository, &Start::next()).await.map(drop),
            Self::Read => {
                for point in all_points(repository) {
                    read_point(repository, &point).await?;
                }
                Ok(())
            }
            Self::Verify => {
                let options = VerifyOptions::default().with_record(true);
                let report = repository.verify(options).wait().await?;
                assert!(report.is_clean(), "this machine's disk is no damage: {report:?}");
                assert_eq!(report.recorded, None);
                Ok(())
            }
            Self::Reclaim => reclaim(repository).await.map(drop),
        }
    }
}

/// The repository at the start, its index on a disk.
async fn opened(start: &Start, disk: &FaultScratch) -> (Lab, Repository) {
    let mut lab = Lab::over(start.image.open().await, 3);
    lab.env.scratch = disk.scratch();
    let repository = lab.open().await.unwrap();
    (lab, repository)
}

/// Points that are there beside those of the start: a run whose disk fails behind its commit has made one.
async fn added(lab: &Lab, before: usize) -> BTreeMap<PointId, LogicalContent> {
    let points = all_points(&lab.elsewhere(5).open().await.unwrap());
    let new = points.iter().skip(before);
    new.map(|point| (point.id, Start::next().truth())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_ends_what_needs_it_and_loses_nothing() {
    let start = Start::new().await;
    let failures = Failures::default();
    let (mut cases, mut ended) = (0, 0);
    for act in Act::ALL {
        let disk = FaultScratch::default();
        let (lab, repository) = opened(&start, &disk).await;
        let before = all_points(&repository).len();
        let opening = disk.reads();
        act.run(&repository).await.unwrap();
        let reads = disk.reads() - opening;
        assert!(reads > 5, "{act:?} reads the index {reads} times");
        start
            .settle_all(&lab, added(&lab, before).await, &format!("{act:?} undisturbed"))
            .await;
        let step = if environment_number("NAKIVO_FULL") == Some(1) {
            1
        } else {
            reads.div_ceil(CASES)
        };
        let first = environment_number("NAKIVO_SEED").unwrap_or(0) % step;
        for trouble in [Trouble::OneRead, Trouble::EveryRead, Trouble::Changed] {
            for at in (first..reads).step_by(usize::try_from(step).unwrap()) {
                cases += 1;
                let what = format!("{act:?}, {trouble:?} at read {at} of {reads}");
                let case = async {
                    let disk = FaultScratch::default();
                    let (lab, repository) = opened(&start, &disk).await;
                    disk.set(trouble, disk.reads() + at);
                    let done = act.run(&repository).await;
                    if let Err(error) = &done {
                        assert_eq!(error.kind(), ErrorKind::ScratchFailed, "{what}: {error:?}");
                    }
                    drop(repository);
                    let clean = Lab {
                        env: Lab::memory(4).env,
                        ..lab
                    };
                    start.settle_all(&clean, added(&clean, before).await, &what).await;
                    done.is_err()
                };
                ended += u64::from(failures.attempt(case).await == Some(true));
            }
        }
    }
    announce(&format!(
        "scratch that fails: {cases} cases, {ended} ended with an error"
    ));
    failures.assert_none();
    assert!(ended * 2 > cases, "{ended} of {cases} ended with an error");
}

#[tokio::test]
async fn a_full_disk_is_no_failure() {
    let start = Start::new().await;
    let disk = FaultScratch::default();
    disk.fill();
    let (lab, repository) = opened(&start, &disk).await;
    let before = all_points(&repository).len();
    for act in Act::ALL {
        act.run(&repository).await.unwrap();
    }
    assert_eq!(disk.reads(), 0, "nothing got there");
    start.settle_all(&lab, added(&lab, before).await, "full").await;
}

/// 8 of the histories of `histories`, with every row of every index on a disk.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_converge_with_the_index_on_disk() {
    let history = |seed| async move {
        let disk = FaultScratch::default();
        let mut lab = Lab::memory(seed);
        lab.env.scratch = disk.scratch();
        history_in(lab, seed).await;
        disk.reads()
    };
    let (reads, failures) = all_histories("random histories on disk", 8, history).await;
    failures.assert_none();
    assert!(reads.iter().sum::<u64>() > 1000, "{reads:?}");
}
