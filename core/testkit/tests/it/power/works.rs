//! The work during which the power fails, and what must hold of whatever is left.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nakivo_core::backup::{self, BackupOptions, ProgressLimits};
use nakivo_core::copy::{self, CopyOptions};
use nakivo_core::format::ids::PointId;
use nakivo_core::format::manifest::Protection;
use nakivo_core::repository::{
    Damage, HealOptions, HealReport, PointFilter, PointSelector, ReclaimOptions, Repository, RepositorySource,
};
use nakivo_core::retention::{Calendar, RetentionPolicy};
use nakivo_core::{ErrorKind, Result};
use nakivo_testkit::content::{mail, prose};
use nakivo_testkit::disk::{Recorder, Recording};
use nakivo_testkit::image::Image;
use nakivo_testkit::keys::{self, Holder, KeyStep};
use nakivo_testkit::lab::{Lab, back_up};
use nakivo_testkit::logical::LogicalContent;
use nakivo_testkit::oracle::{all_points, read_point, survey_point, verify};
use nakivo_testkit::random::{SeededRng, mix};
use nakivo_testkit::scripted::{Edit, ScriptedConnector, Settings};
use nakivo_testkit::stored::Opener;
use object_store::path::Path;

/// The source at one of its stages, from 1. Always the same for a variant, including its cursors.
fn source(variant: u64, stage: u64) -> ScriptedConnector {
    let settings = Settings {
        // What a run stores, and in which order, does not depend on how busy the machine is.
        fetch_concurrency: 1,
        ..Settings::default()
    };
    let source = ScriptedConnector::new("tiny", settings);
    source.edit(&Edit::AddContainer {
        id: "inbox".into(),
        parent: String::new(),
        name: "Inbox".into(),
    });
    let rng = SeededRng::new(mix(71 + variant));
    for stage in 1..=stage {
        let items = if stage == 1 { 5 + variant % 4 } else { 3 };
        for number in 0..items {
            let attached = if number == 0 {
                rng.bytes(30_000)
            } else {
                Vec::new()
            };
            let content = mail(
                &format!("{stage}-{number}"),
                &prose(&rng, 200 + rng.index(400)),
                &attached,
            );
            source.edit(&Edit::Put {
                container: "inbox".into(),
                id: format!("m{stage}{number}"),
                name: format!("Item {stage}{number}"),
                parts: BTreeMap::from([("mime".to_owned(), content)]),
            });
        }
        if stage > 1 {
            for number in [0, 2] {
                source.edit(&Edit::Remove {
                    id: format!("m{}{number}", stage - 1),
                });
            }
        }
    }
    source
}

/// What is done while the power fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    Create,
    First,
    Incremental,
    Retention,
    Reclaim,
    ChangeKey,
    Rotate,
    Reencrypt,
    Copy,
    Heal,
}

impl Work {
    pub(super) const ALL: [Self; 10] = [
        Self::Create,
        Self::First,
        Self::Incremental,
        Self::Retention,
        Self::Reclaim,
        Self::ChangeKey,
        Self::Rotate,
        Self::Reencrypt,
        Self::Copy,
        Self::Heal,
    ];

    fn key_step(self) -> Option<KeyStep> {
        match self {
            Self::ChangeKey => Some(KeyStep::Change),
            Self::Rotate => Some(KeyStep::Rotate),
            Self::Reencrypt => Some(KeyStep::Reencrypt),
            _ => None,
        }
    }

    /// The newest stage of the source that the work itself knows of.
    fn stage(self) -> u64 {
        match self {
            Self::Create | Self::First => 1,
            Self::Retention | Self::Reclaim => 5,
            _ => 2,
        }
    }
}

/// A piece of work, recorded without disturbance, and everything it needs.
pub(super) struct World {
    work: Work,
    variant: u64,
    pub(super) recording: Recording,
    /// Every point there is before or after, with what it holds.
    known: BTreeMap<PointId, LogicalContent>,
    /// The store after the work.
    after: Image,
    /// The repository beside it, which copies come from and lost data comes back from.
    other: Image,
}

impl World {
    pub(super) async fn record(work: Work, variant: u64) -> Self {
        let lab = Lab::memory(mix(81 + variant));
        let mut world = Self {
            work,
            variant,
            recording: Recording::default(),
            known: BTreeMap::new(),
            after: Image::default(),
            other: two_points(variant).await,
        };
        world.prepare(&lab).await;
        let start = Image::of(&*lab.store).await.unwrap();
        let recorder = Recorder::new(&start).await;
        world.perform(&Lab::over(recorder.handle(), 82)).await.unwrap();
        world.after = Image::of(&*recorder.handle()).await.unwrap();
        for image in [&start, &world.after.clone()] {
            if image.objects().keys().all(|path| path.as_ref() != "format.json") {
                continue;
            }
            let repository = world.open(&Lab::over(image.open().await, 83)).await.unwrap();
            for manifest in all_points(&repository) {
                if let Ok(content) = read_point(&repository, &manifest).await {
                    world.known.insert(manifest.id, content);
                }
            }
        }
        world.recording = recorder.recording();
        world
    }

    fn source(&self, stage: u64) -> ScriptedConnector {
        source(self.variant, stage)
    }

    /// Opens objects with the keys that there are after the work.
    pub(super) fn opener(&self) -> Opener {
        let secret = match self.work {
            Work::ChangeKey => Some(Holder::New.secret()),
            work => work.key_step().map(|_| Holder::First.secret()),
        };
        Opener::new(&self.after, secret.as_ref())
    }

    /// Does what comes before the work.
    async fn prepare(&self, lab: &Lab) {
        if let Some(step) = self.work.key_step() {
            keys::create_of(
                lab.store.clone(),
                lab.env.clone(),
                &[self.source(1), self.source(2)],
            )
            .await
            .unwrap();
            if step == KeyStep::Reencrypt {
                keys::perform(KeyStep::Rotate, lab).await.unwrap();
            }
            return;
        }
        if self.work == Work::Create {
            return;
        }
        let repository = lab.create().await.unwrap();
        let stages = match self.work {
            Work::Incremental => 1,
            Work::Retention | Work::Reclaim => 5,
            Work::Heal => 2,
            _ => 0,
        };
        for stage in 1..=stages {
            run(&repository, self.variant, stage).await.unwrap();
            lab.clock.advance(Duration::from_secs(86_400));
        }
        if self.work == Work::Reclaim {
            let newest = all_points(&repository).pop().unwrap().id;
            let mut points: Vec<PointId> = all_points(&repository)
                .into_iter()
                .map(|point| point.id)
                .collect();
            points.retain(|point| *point != newest);
            let filter = PointFilter::default().with_points(points);
            repository.delete_points(&filter, "test", false).await.unwrap();
        }
        if self.work == Work::Heal {
            spoil(&lab.store).await;
        }
    }

    /// Does the work, or what an earlier try of it left to do.
    pub(super) async fn perform(&self, lab: &Lab) -> Result<()> {
        if let Some(step) = self.work.key_step() {
            return keys::perform(step, lab).await;
        }
        if self.work == Work::Create {
            return match lab.create().await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
                created => created.map(drop),
            };
        }
        let repository = lab.open().await?;
        match self.work {
            Work::First => run(&repository, self.variant, 1).await,
            Work::Incremental => run(&repository, self.variant, 2).await,
            Work::Retention => retain(&repository, &self.source(1)).await,
            Work::Reclaim => {
                for _ in 0..2 {
                    let options = ReclaimOptions::default().with_grace(Duration::ZERO);
                    repository.reclaim(options).wait().await?;
                }
                Ok(())
            }
            Work::Copy => {
                let from = Lab::over(self.other.open().await, 84).open().await?;
                let options = CopyOptions::default().with_progress(ProgressLimits::default().with_items(2));
                copy::start(&from, &repository, options).wait().await.map(drop)
            }
            _ => self.heal(&repository).await.map(drop),
        }
    }

    async fn heal(&self, repository: &Repository) -> Result<HealReport> {
        let other = Lab::over(self.other.open().await, 84).open().await?;
        let options = HealOptions::default().with_source(std::sync::Arc::new(RepositorySource::new(other)));
        repository.heal(options).wait().await
    }

    /// Opens the repository with the secret of whoever may have it during the work.
    async fn open(&self, lab: &Lab) -> Result<Repository> {
        if self.work.key_step().is_none() {
            return lab.open().await;
        }
        match Holder::First.open(lab).await {
            Err(error) if self.work == Work::ChangeKey && error.kind() == ErrorKind::WrongPassphrase => {
                Holder::New.open(lab).await
            }
            opened => opened,
        }
    }

    /// Checks what a crash left: it opens, lists whole points only, and the work and the next run end as if nothing had
    /// happened. `torn`: the objects that are there by halves. Returns the points that were listed.
    pub(super) async fn check(&self, image: Image, torn: &[Path], what: &str) -> BTreeSet<PointId> {
        let lab = Lab::over(image.open().await, 85);
        let repository = match self.open(&lab).await {
            Ok(repository) => repository,
            Err(error) if self.work == Work::Create => {
                if torn.is_empty() {
                    assert_eq!(error.kind(), ErrorKind::RepositoryMissing, "{what}: {error:?}");
                    self.finish(&lab, torn, what).await;
                } else {
                    // Nobody was told of a repository. That there is half of one is said by name, and it is not replaced: it
                    // might be a damaged one.
                    let clear = [
                        ErrorKind::RepositoryMissing,
                        ErrorKind::Corrupt,
                        ErrorKind::WrongPassphrase,
                    ];
                    assert!(clear.contains(&error.kind()), "{what}: {error:?}");
                }
                return BTreeSet::new();
            }
            Err(error) => panic!("{what}: it does not open: {error:?}"),
        };
        let info = repository.info().await.unwrap();
        let noted = |note: &String| {
            torn.iter()
                .any(|path| note.contains(path.filename().unwrap_or_default()))
        };
        let clean = info.notes.iter().all(noted) && (!info.read_only || !torn.is_empty());
        assert!(clean || self.work == Work::Heal, "{what}: {info:?}");
        let listed = self.listed(&repository, what).await;
        if let Some(step) = self.work.key_step() {
            for holder in step.always().iter().filter_map(|group| group.first()) {
                if group_of_one(step, *holder) {
                    let opened = holder.open(&lab.elsewhere(86)).await;
                    assert!(opened.is_ok(), "{what}: {holder:?} is locked out: {opened:?}");
                }
            }
        }
        if info.read_only && !torn.is_empty() {
            // Half a commit that nobody was told of: it is given up by name, and nothing else.
            let report = repository.heal(HealOptions::default()).wait().await;
            let report = report.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            assert!(!report.lost_history.is_empty(), "{what}: {report:?}");
        }
        self.finish(&lab.elsewhere(87), torn, what).await;
        listed
    }

    /// The points that are listed; each holds what it should.
    async fn listed(&self, repository: &Repository, what: &str) -> BTreeSet<PointId> {
        let mut listed = BTreeSet::new();
        for manifest in all_points(repository) {
            listed.insert(manifest.id);
            let Some(expected) = self.known.get(&manifest.id) else {
                panic!("{what}: point {} never was", manifest.id);
            };
            if self.work == Work::Heal {
                let survey = survey_point(repository, &manifest).await;
                for (place, item) in &survey.content.items {
                    assert_eq!(Some(item), expected.items.get(place), "{what}: {place:?}");
                }
                continue;
            }
            let content = read_point(repository, &manifest).await;
            content
                .unwrap_or_else(|error| panic!("{what}: point {}: {error:?}", manifest.id))
                .assert_equal(expected, what);
        }
        listed
    }

    /// Does the work once more, and the next run; then everything is there and sound. What is `torn` may stay, and is named.
    async fn finish(&self, lab: &Lab, torn: &[Path], what: &str) {
        let what = format!("{what}, and repeated");
        self.perform(lab)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let repository = self
            .open(lab)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error:?}"));
        self.listed_after(&repository, &what).await;
        let next = self.source(self.work.stage() + 1);
        let run = back_up(&repository, &next).await;
        run.unwrap_or_else(|error| panic!("{what}: the next run: {error:?}"));
        let latest = repository
            .point(&next.object().id, &PointSelector::Latest)
            .unwrap();
        let content = read_point(&repository, &latest).await.unwrap();
        content.assert_equal(&next.truth(), &what);
        let report = verify(&repository).await.unwrap();
        let named = |damage: &Damage| torn.iter().any(|path| damage.object.contains(path.as_ref()));
        assert!(
            report.complete && report.damage.iter().all(named),
            "{what}: {report:?}"
        );
        for manifest in all_points(&repository) {
            let content = read_point(&repository, &manifest).await;
            content.unwrap_or_else(|error| panic!("{what}: point {}: {error:?}", manifest.id));
        }
    }

    /// After the work: every point that is known holds what it held; one that is not is a repeated run's.
    async fn listed_after(&self, repository: &Repository, what: &str) {
        for manifest in all_points(repository) {
            let content = read_point(repository, &manifest).await;
            let content = content.unwrap_or_else(|error| panic!("{what}: {error:?}"));
            match self.known.get(&manifest.id) {
                Some(expected) => content.assert_equal(expected, what),
                None => content.assert_equal(&self.source(self.work.stage()).truth(), what),
            }
        }
    }
}

fn group_of_one(step: KeyStep, holder: Holder) -> bool {
    step.always().iter().any(|group| *group == [holder])
}

async fn run(repository: &Repository, variant: u64, stage: u64) -> Result<()> {
    let source = source(variant, stage);
    let options =
        BackupOptions::default().with_progress(ProgressLimits::default().with_items(2 + variant % 2));
    let run = backup::start(repository, source.handle(), source.object(), options);
    run.wait().await.map(drop)
}

async fn retain(repository: &Repository, source: &ScriptedConnector) -> Result<()> {
    let object = source.object().id;
    let points = repository.points(&object);
    repository
        .protect_point(points[0].id, Protection::Forever)
        .await?;
    let policy = RetentionPolicy {
        last: Some(2),
        ..RetentionPolicy::none()
    };
    repository
        .apply_retention(&object, &policy, &Calendar::default())
        .await?;
    let newest = points[points.len() - 1].id;
    repository.describe_point(newest, Some("kept".to_owned())).await?;
    Ok(())
}

async fn two_points(variant: u64) -> Image {
    let lab = Lab::memory(88);
    let repository = lab.create().await.unwrap();
    for stage in [1, 2] {
        run(&repository, variant, stage).await.unwrap();
        lab.clock.advance(Duration::from_secs(86_400));
    }
    Image::of(&*lab.store).await.unwrap()
}

/// No index any more, and a bit of the largest pack changed.
async fn spoil(store: &std::sync::Arc<dyn object_store::ObjectStore>) {
    use object_store::ObjectStoreExt as _;
    let image = Image::of(store).await.unwrap();
    let mut largest: Option<(&Path, usize)> = None;
    for (path, bytes) in image.objects() {
        if path.as_ref().starts_with("index/") {
            store.delete(path).await.unwrap();
        }
        if path.as_ref().starts_with("packs/") && largest.is_none_or(|(_, size)| bytes.len() > size) {
            largest = Some((path, bytes.len()));
        }
    }
    let path = largest.unwrap().0;
    let mut bytes = image.objects()[path].to_vec();
    bytes[100] ^= 0x10;
    store.put(path, bytes.into()).await.unwrap();
}
