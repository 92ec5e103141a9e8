//! Random histories of a source that changes between and during runs, forgets cursors, loses moves and fails: no point
//! holds anything that never was, nothing that stood still is missing, and after a quiet run the point equals the truth.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::many::all_histories;
use nakivo_core::ErrorKind;
use nakivo_core::backup::{self, BackupOptions, BackupReport, ProgressLimits};
use nakivo_core::format::manifest::LedgerKind;
use nakivo_core::repository::{PointSelector, Repository};
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::logical::LogicalContent;
use nakivo_testkit::oracle::{Memory, assert_counts, assert_ledger, assert_point, assert_sound, read_point};
use nakivo_testkit::random::{SeededRng, announce, environment_number, mix};
use nakivo_testkit::scripted::{FetchTrouble, RandomEdits, ScriptedConnector, Settings};

/// What was set to go wrong in one run.
#[derive(Debug, Default)]
struct Plan {
    items: BTreeSet<String>,
    containers: BTreeSet<String>,
    list: bool,
    stream: bool,
    look_up: BTreeSet<String>,
    hectic: bool,
}

impl Plan {
    fn draw(rng: &SeededRng, source: &ScriptedConnector, edits: &RandomEdits) -> Self {
        let mut plan = Self::default();
        let view = source.view();
        if rng.chance(50) {
            for _ in 0..=rng.below(4) {
                let Some(id) = rng.pick(&view.items) else { break };
                let (trouble, times) = match rng.below(6) {
                    0 => (FetchTrouble::Error(ErrorKind::Unavailable), None),
                    1 => (FetchTrouble::Error(ErrorKind::Unavailable), Some(1)),
                    2 => (FetchTrouble::Error(ErrorKind::Protocol), None),
                    3 => (FetchTrouble::Breaks(rng.below(2000)), None),
                    4 => (FetchTrouble::Short(rng.below(300)), Some(1)),
                    _ => (FetchTrouble::Vanishes, Some(1)),
                };
                source.trouble(id, trouble, times);
                plan.items.insert(id.clone());
            }
        }
        if rng.chance(20)
            && let Some(container) = rng.pick(&view.containers)
        {
            source.break_round(container, 1);
            plan.containers.insert(container.clone());
        }
        if rng.chance(8) {
            source.break_containers(1);
            plan.list = true;
        }
        if rng.chance(12) {
            source.break_stream(rng.below(30));
            plan.stream = true;
        }
        if rng.chance(15) {
            for id in view.items.iter().filter(|_| rng.chance(20)) {
                source.hide_from_look_up(id, 1);
                plan.look_up.insert(id.clone());
            }
        }
        if rng.chance(50) {
            plan.hectic = true;
            let (rng, edits, rate) = (rng.clone(), edits.clone(), 3 + rng.below(25));
            source.edit_during(move |_, view| {
                if rng.chance(rate) {
                    vec![edits.next(view)]
                } else {
                    Vec::new()
                }
            });
        }
        plan
    }
}

/// Checks a point made while the source changed, from what is known for sure.
fn assert_plausible(
    source: &ScriptedConnector,
    since: u64,
    plan: &Plan,
    base: Option<&LogicalContent>,
    content: &LogicalContent,
    what: &str,
) {
    for ((container, id), item) in &content.items {
        assert!(
            source.ever_was(id, item),
            "{what}: {container}/{id} never was as the point has it: {item:?}"
        );
    }
    // An item that stood still is there with its content, in its place.
    let still = source.stable_since(since);
    for (place, item) in &still.items {
        let (container, id) = place;
        let disturbed = plan.items.contains(id)
            || plan.look_up.contains(id)
            || plan.containers.contains(container)
            || plan.list;
        if disturbed && base.is_none_or(|base| !base.items.contains_key(place)) {
            continue;
        }
        match content.items.get(place) {
            Some(found) => assert!(
                found == item || disturbed,
                "{what}: {place:?} is {found:?} instead of {item:?}"
            ),
            None => panic!(
                "{what}: {place:?} stood still in the source and is missing ({plan:?}); {}",
                source.biography(id)
            ),
        }
    }
    // What was in the base and is in the source is somewhere in the point, whatever failed.
    if let Some(base) = base {
        let there: BTreeSet<&str> = content.items.keys().map(|(_, id)| id.as_str()).collect();
        for place in base.items.keys() {
            let lives = source.truth().items.keys().any(|(_, id)| *id == place.1);
            assert!(
                !lives || there.contains(place.1.as_str()),
                "{what}: {place:?} was in the base, is in the source, and is not in the point ({plan:?}); {}",
                source.biography(&place.1)
            );
        }
    }
    // What was gone before the run began is gone, unless the source could not say so.
    if !plan.list && plan.look_up.is_empty() && plan.containers.is_empty() {
        let gone: BTreeSet<String> = source.removed_before(since).into_iter().collect();
        for (container, id) in content
            .items
            .keys()
            .filter(|(container, _)| source.stood_still(container, since))
        {
            assert!(
                !gone.contains(id),
                "{what}: {container}/{id} was removed before the run and is in the point; {}",
                source.biography(id)
            );
        }
    }
}

#[derive(Debug, Default)]
struct Figures {
    runs: u64,
    failed_runs: u64,
    partial: u64,
    items: u64,
    repeated: u64,
}

async fn run_once(
    repository: &Repository,
    source: &ScriptedConnector,
    what: &str,
) -> Result<(BackupReport, LogicalContent), nakivo_core::Error> {
    run_with(repository, source, BackupOptions::default(), what).await
}

async fn run_with(
    repository: &Repository,
    source: &ScriptedConnector,
    options: BackupOptions,
    what: &str,
) -> Result<(BackupReport, LogicalContent), nakivo_core::Error> {
    let report = backup::start(repository, source.handle(), source.object(), options)
        .wait()
        .await?;
    assert_ledger(&report, what);
    let latest = repository
        .point(&source.object().id, &PointSelector::Latest)
        .unwrap();
    assert_eq!(latest.id, report.point, "{what}: the new point is the latest");
    let content = match read_point(repository, &latest).await {
        Ok(content) => content,
        Err(error) => panic!("{what}: {error:?}"),
    };
    assert_counts(&latest, &content, what);
    Ok((report, content))
}

async fn history(seed: u64) -> Figures {
    let rng = SeededRng::new(mix(seed));
    let settings = Settings {
        keyless: rng.chance(10),
        repeats: rng.chance(25),
        follows: rng.chance(50),
        shuffles: rng.chance(60),
        fetch_concurrency: 1 + rng.index(6),
    };
    let source = ScriptedConnector::new("random", settings.clone());
    let edits = RandomEdits::new(SeededRng::new(rng.next()), 4);
    let lab = Lab::memory(seed);
    let mut repository = lab.create().await.unwrap();
    let mut memory = Memory::default();
    let mut base: Option<LogicalContent> = None;
    let mut figures = Figures::default();
    for _ in 0..30 {
        let _ = source.try_edit(&edits.next(&source.view()));
    }
    // Some histories save progress all the time, as runs of hours do.
    let options = if rng.chance(40) {
        BackupOptions::default().with_progress(ProgressLimits::default().with_items(1 + rng.below(3)))
    } else {
        BackupOptions::default()
    };
    let mut began = Vec::new();
    let rounds = 4 + rng.below(6);
    for round in 0..rounds {
        for _ in 0..rng.below(15) {
            let _ = source.try_edit(&edits.next(&source.view()));
        }
        lab.clock.advance(Duration::from_secs(60));
        let plan = Plan::draw(&rng, &source, &edits);
        let since = source.sequence();
        began.push(since);
        let what = format!("NAKIVO_SEED={seed} round {round} (runs began at {began:?}) {settings:?}");
        figures.runs += 1;
        match run_with(&repository, &source, options.clone(), &what).await {
            Ok((report, content)) => {
                if environment_number("NAKIVO_SEED").is_some() {
                    announce(&format!(
                        "round {round} from {since}: {plan:?}\n  {:?}",
                        report.counts
                    ));
                    for entry in &report.issues {
                        announce(&format!("  {entry:?}"));
                    }
                }
                assert_plausible(&source, since, &plan, base.as_ref(), &content, &what);
                figures.partial +=
                    u64::from(report.issues.iter().any(|entry| entry.kind == LedgerKind::Failed));
                figures.items += content.items.len() as u64;
                figures.repeated += content.repeated().len() as u64;
                memory.keep(report.point, content.clone());
                base = Some(content);
            }
            Err(error) => {
                if environment_number("NAKIVO_SEED").is_some() {
                    announce(&format!("round {round} from {since}: {plan:?}\n  {error:?}"));
                }
                assert!(
                    plan.stream,
                    "{what}: the run fails and no stream was broken: {error:?}"
                );
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{what}: {error:?}");
                figures.failed_runs += 1;
            }
        }
        source.calm();
        if rng.chance(30) {
            repository = lab.open().await.unwrap();
        }
    }
    let what = format!("NAKIVO_SEED={seed} quiet run {settings:?}");
    lab.clock.advance(Duration::from_secs(60));
    let (report, content) = run_once(&repository, &source, &what).await.unwrap();
    content.assert_equal(&source.truth(), &what);
    assert!(
        report.issues.iter().all(|entry| entry.kind != LedgerKind::Failed),
        "{what}: nothing failed, and it reports {:?}",
        report.issues
    );
    memory.keep(report.point, content);

    // Nothing happened since: nothing is stored, and the tree is the very same.
    lab.clock.advance(Duration::from_secs(60));
    let what = format!("NAKIVO_SEED={seed} idle run {settings:?}");
    let before = repository
        .point(&source.object().id, &PointSelector::Latest)
        .unwrap();
    let (idle, _) = run_once(&repository, &source, &what).await.unwrap();
    let after = repository
        .point(&source.object().id, &PointSelector::Latest)
        .unwrap();
    assert_eq!(before.root, after.root, "{what}: the tree changed");
    assert_eq!(
        (idle.counts.stored, idle.counts.removed),
        (0, 0),
        "{what}: {:?}",
        idle.counts
    );
    memory.keep(idle.point, source.truth());

    let fresh = lab.elsewhere(seed + 1).open().await.unwrap();
    memory
        .assert_all(&fresh, &format!("NAKIVO_SEED={seed} at the end"))
        .await;
    assert_sound(&fresh, &format!("NAKIVO_SEED={seed} at the end")).await;
    figures
}

/// 60 histories; `NAKIVO_HISTORIES` sets another number, `NAKIVO_SEED` repeats one of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_converge() {
    let (all, failures) = all_histories("random histories", 60, history).await;
    let sum = |figure: fn(&Figures) -> u64| all.iter().map(figure).sum::<u64>();
    announce(&format!(
        "random histories: {} histories, {} runs ({} failed, {} partial), {} items checked in noisy points, {} of them in \
         two places at once",
        all.len(),
        sum(|f| f.runs),
        sum(|f| f.failed_runs),
        sum(|f| f.partial),
        sum(|f| f.items),
        sum(|f| f.repeated),
    ));
    failures.assert_none();
}

/// Every script of the source that a rule in the requirements names, alone and without chance.
mod named {
    use std::collections::BTreeMap;

    use nakivo_core::backup::Outcome;
    use nakivo_testkit::content::Content;
    use nakivo_testkit::scenario::{Stage, mailbox};
    use nakivo_testkit::scripted::{Edit, Moment};

    use super::*;

    async fn started() -> (Lab, Repository, ScriptedConnector) {
        let lab = Lab::memory(7);
        let repository = lab.create().await.unwrap();
        let source = mailbox(Stage::First);
        run_once(&repository, &source, "first run").await.unwrap();
        lab.clock.advance(Duration::from_secs(60));
        (lab, repository, source)
    }

    async fn latest(repository: &Repository, source: &ScriptedConnector) -> LogicalContent {
        let latest = repository
            .point(&source.object().id, &PointSelector::Latest)
            .unwrap();
        read_point(repository, &latest).await.unwrap()
    }

    #[tokio::test]
    async fn a_lost_move_keeps_the_item() {
        let (_lab, repository, source) = started().await;
        source.edit(&Edit::LostMove {
            id: "m00".into(),
            via: "sent".into(),
        });
        let (report, content) = run_once(&repository, &source, "lost move").await.unwrap();
        content.assert_equal(&source.truth(), "lost move");
        assert_eq!(report.counts.removed, 0);
    }

    #[tokio::test]
    async fn a_new_item_whose_move_was_lost_is_found() {
        let (_lab, repository, source) = started().await;
        let parts = BTreeMap::from([("mime".to_owned(), Content::text("new"))]);
        source.edit(&Edit::Put {
            container: "inbox".into(),
            id: "fresh".into(),
            name: "fresh".into(),
            parts,
        });
        source.edit(&Edit::LostMove {
            id: "fresh".into(),
            via: "sent".into(),
        });
        let (_, content) = run_once(&repository, &source, "lost move of a new item")
            .await
            .unwrap();
        content.assert_equal(&source.truth(), "lost move of a new item");
    }

    #[tokio::test]
    async fn a_broken_round_removes_nothing_and_moves_no_cursor() {
        let (lab, repository, source) = started().await;
        source.edit(&Edit::Expire {
            container: "inbox".into(),
        });
        source.edit(&Edit::Touch { id: "m03".into() });
        source.break_round("inbox", 1);
        let before = latest(&repository, &source).await;
        let (report, content) = run_once(&repository, &source, "broken round").await.unwrap();
        assert_eq!(report.outcome, Outcome::Partial);
        assert_eq!(
            content.items.len(),
            before.items.len(),
            "nothing was inferred from a round that broke"
        );
        lab.clock.advance(Duration::from_secs(60));
        let (report, content) = run_once(&repository, &source, "after it").await.unwrap();
        assert_eq!(report.outcome, Outcome::Complete);
        content.assert_equal(&source.truth(), "after the broken round");
    }

    #[tokio::test]
    async fn a_failing_item_is_listed_and_read_as_soon_as_it_can_be() {
        let (lab, repository, source) = started().await;
        source.edit(&Edit::Touch { id: "m03".into() });
        source.trouble("m03", FetchTrouble::Error(ErrorKind::Protocol), None);
        let base = latest(&repository, &source).await;
        for round in 0..3 {
            let (report, content) = run_once(&repository, &source, "failing").await.unwrap();
            assert_eq!(report.outcome, Outcome::Partial, "round {round}");
            assert_eq!(
                (report.counts.enumerated, report.counts.failed),
                (1, 1),
                "round {round}"
            );
            let place = ("inbox".to_owned(), "m03".to_owned());
            assert_eq!(
                content.items.get(&place),
                base.items.get(&place),
                "what the base holds of it stays"
            );
            lab.clock.advance(Duration::from_secs(60));
        }
        source.calm();
        let (report, content) = run_once(&repository, &source, "healed").await.unwrap();
        assert_eq!(report.outcome, Outcome::Complete);
        content.assert_equal(&source.truth(), "healed");
    }

    #[tokio::test]
    async fn an_item_that_moves_and_fails_is_not_lost_from_the_point() {
        let (lab, repository, source) = started().await;
        source.edit(&Edit::Move {
            id: "m03".into(),
            to: "sent".into(),
        });
        source.trouble("m03", FetchTrouble::Error(ErrorKind::Protocol), None);
        let (report, content) = run_once(&repository, &source, "moved and failing").await.unwrap();
        assert_eq!(report.outcome, Outcome::Partial);
        assert!(
            content.items.keys().any(|(_, id)| id == "m03"),
            "the base held it, so the point does"
        );
        source.calm();
        lab.clock.advance(Duration::from_secs(60));
        run_once(&repository, &source, "healed")
            .await
            .unwrap()
            .1
            .assert_equal(&source.truth(), "healed");
    }

    #[tokio::test]
    async fn an_item_that_vanishes_between_listing_and_reading_is_listed_as_such() {
        let (_lab, repository, source) = started().await;
        source.edit(&Edit::Touch { id: "m03".into() });
        source.trouble("m03", FetchTrouble::Vanishes, Some(1));
        let (report, content) = run_once(&repository, &source, "vanishing").await.unwrap();
        assert_eq!(report.outcome, Outcome::Complete);
        assert_eq!(report.counts.skipped, 1);
        content.assert_equal(&source.truth(), "vanishing");
    }

    #[tokio::test]
    async fn an_unreadable_item_is_skipped_and_the_rest_is_stored() {
        let (_lab, repository, source) = started().await;
        source.edit(&Edit::Touch { id: "m01".into() });
        let parts = BTreeMap::from([("mime".to_owned(), Content::text("x"))]);
        source.edit(&Edit::Put {
            container: "inbox".into(),
            id: "bad".into(),
            name: "bad".into(),
            parts,
        });
        source.trouble("bad", FetchTrouble::Skipped, None);
        let (report, content) = run_once(&repository, &source, "skipping").await.unwrap();
        assert_eq!((report.counts.skipped, report.counts.stored), (1, 1));
        let mut expected = source.truth();
        expected.items.remove(&("inbox".to_owned(), "bad".to_owned()));
        content.assert_equal(&expected, "skipping");
    }

    #[tokio::test]
    async fn a_removed_container_takes_what_it_held_along() {
        let (_lab, repository, source) = started().await;
        source.edit(&Edit::Move {
            id: "m01".into(),
            to: "sent".into(),
        });
        source.edit(&Edit::RemoveContainer {
            id: "projects".into(),
        });
        let (_, content) = run_once(&repository, &source, "removed container").await.unwrap();
        content.assert_equal(&source.truth(), "removed container");
    }

    #[tokio::test]
    async fn a_list_of_containers_that_breaks_removes_none() {
        let (lab, repository, source) = started().await;
        source.edit(&Edit::RemoveContainer {
            id: "projects".into(),
        });
        source.break_containers(1);
        let before = latest(&repository, &source).await;
        let (report, content) = run_once(&repository, &source, "broken list").await.unwrap();
        assert_eq!(report.outcome, Outcome::Partial);
        assert_eq!(content.containers, before.containers);
        lab.clock.advance(Duration::from_secs(60));
        run_once(&repository, &source, "after")
            .await
            .unwrap()
            .1
            .assert_equal(&source.truth(), "after");
    }

    #[tokio::test]
    async fn a_short_body_is_never_stored_as_the_item() {
        let (_lab, repository, source) = started().await;
        source.edit(&Edit::Touch { id: "large".into() });
        source.trouble("large", FetchTrouble::Short(1_000_000), None);
        let (report, content) = run_once(&repository, &source, "short body").await.unwrap();
        assert_eq!((report.outcome, report.counts.failed), (Outcome::Partial, 1));
        let place = ("inbox".to_owned(), "large".to_owned());
        assert_eq!(content.items[&place].parts["mime"].size, 2_500_000);
    }

    #[tokio::test]
    async fn a_run_over_a_broken_stream_makes_no_point_and_the_next_one_reads_nothing_twice() {
        let lab = Lab::memory(8);
        let repository = lab.create().await.unwrap();
        let source = mailbox(Stage::First);
        source.break_stream(14);
        let error = back_up(&repository, &source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(repository.points(&source.object().id).is_empty());
        let (_, before) = source.moments();
        assert!(before > 0, "the stream broke before anything was read");
        let repository = lab.open().await.unwrap();
        let (report, content) = run_once(&repository, &source, "resumed").await.unwrap();
        content.assert_equal(&source.truth(), "resumed");
        let (_, after) = source.moments();
        assert_eq!(
            report.counts.resumed + (after - before),
            13,
            "each item is read once in both runs together"
        );
        assert!(report.counts.resumed > 0);
    }

    #[tokio::test]
    async fn an_edit_between_listing_and_reading_stores_what_was_read() {
        let (lab, repository, source) = started().await;
        source.edit(&Edit::Touch { id: "m03".into() });
        let parts = BTreeMap::from([("mime".to_owned(), Content::text("newer"))]);
        let newer = Edit::Put {
            container: String::new(),
            id: "m03".into(),
            name: "newer".into(),
            parts,
        };
        let (_, fetches) = source.moments();
        source.edit_at(Moment::BeforeFetch(fetches), newer);
        let (_, content) = run_once(&repository, &source, "edited").await.unwrap();
        content.assert_equal(
            &source.truth(),
            "the head that is stored belongs to the content that is stored",
        );
        lab.clock.advance(Duration::from_secs(60));
        run_once(&repository, &source, "after")
            .await
            .unwrap()
            .1
            .assert_equal(&source.truth(), "after");
    }

    #[tokio::test]
    async fn the_newest_point_is_the_one_committed_last_even_if_the_clock_went_back() {
        let (lab, repository, source) = started().await;
        lab.clock.jump(chrono::TimeDelta::hours(-5));
        source.edit(&Edit::Remove { id: "m00".into() });
        let report = back_up(&repository, &source).await.unwrap();
        let latest = repository
            .point(&source.object().id, &PointSelector::Latest)
            .unwrap();
        assert_eq!(latest.id, report.point);
        assert_point(&repository, &latest, &source.truth(), "the clock went back").await;
    }
}
