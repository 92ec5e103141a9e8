//! Objects that somebody deleted in a store that keeps versions: they are only hidden behind a mark, and come back when the
//! mark goes.
//!
//! What a repository removes by itself stays hidden: key slots that were removed are not brought back unless that is wanted,
//! packs and index segments only if the state lists them, and of checkpoints only the newest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nakivo_repo_format::{IndexId, PackId, paths};
use serde::Serialize;

use super::Repository;
use super::objects::Objects;
use super::shared::Shared;
use crate::error::Result;
use crate::progress::{Reporter, Running};
use crate::seams::Environment;
use crate::store::{ObjectVersion, Store};

/// What is brought back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnhideOptions {
    /// Also key slots. Those that were removed on purpose come back, too: whoever knows their passphrase can open the
    /// repository again. Default: `false`.
    pub keys: bool,
    /// Only say what would be done. Default: `false`.
    pub preview: bool,
}

impl UnhideOptions {
    /// Sets whether key slots come back.
    #[must_use]
    pub fn with_keys(mut self, keys: bool) -> Self {
        self.keys = keys;
        self
    }

    /// Only says what would be done.
    #[must_use]
    pub fn with_preview(mut self, preview: bool) -> Self {
        self.preview = preview;
        self
    }
}

/// What was hidden.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UnhideReport {
    /// Objects that can be read again, or would be, by preview: paths in the repository's folder.
    pub lifted: Vec<String>,
    /// Objects that stay hidden because the mark may not be removed with this credential.
    pub refused: Vec<String>,
    /// Key slots that are hidden and were left so.
    pub hidden_keys: u64,
    /// Objects that have been written over, and whose first version is still there. Nothing is done about them: which version
    /// is right is for people to say.
    pub overwritten: Vec<String>,
}

impl UnhideReport {
    /// Adds what another step found.
    pub fn add(&mut self, other: Self) {
        self.lifted.extend(other.lifted);
        self.refused.extend(other.refused);
        self.hidden_keys += other.hidden_keys;
        self.overwritten.extend(other.overwritten);
    }
}

/// Brings back what opening a repository takes: configuration, commits, the newest checkpoint and, if wanted, key slots. No
/// passphrase is asked for. [`Repository::unhide`] does the rest.
///
/// # Errors
/// Through the handle: `Protocol` if the store keeps no versions; `Cancelled`; those of the store.
///
/// # Cancellation
/// Between objects; a later call goes on.
pub fn unhide(store: impl Into<Store>, options: UnhideOptions, env: Environment) -> Running<UnhideReport> {
    let objects = Objects::new(store, env);
    Running::start(move |reporter| async move {
        let mut report = UnhideReport::default();
        reporter.phase("look for hidden objects");
        let format = Hidden::below(&objects, paths::FORMAT).await?;
        lift(&objects, format.hidden, options, &mut report, &reporter).await?;
        let log = Hidden::below(&objects, paths::LOG).await?;
        report.overwritten.extend(log.overwritten);
        lift(&objects, log.hidden, options, &mut report, &reporter).await?;
        let checkpoints = Hidden::below(&objects, paths::CHECKPOINT).await?;
        // Names are numbers of one length.
        let newest = checkpoints.hidden.into_iter().next_back();
        let newest = newest.filter(|(path, _)| checkpoints.visible.last().is_none_or(|last| last < path));
        lift(
            &objects,
            newest.into_iter().collect(),
            options,
            &mut report,
            &reporter,
        )
        .await?;
        let mut keys = Hidden::below(&objects, paths::KEYS).await?;
        keys.hidden.retain(|path, _| !path.ends_with(".removing"));
        report.overwritten.extend(keys.overwritten);
        if options.keys {
            lift(&objects, keys.hidden, options, &mut report, &reporter).await?;
        } else {
            report.hidden_keys = keys.hidden.len() as u64;
        }
        Ok(report)
    })
}

impl Repository {
    /// Brings back hidden index segments and packs that the repository needs. See [`unhide`], which comes first.
    ///
    /// # Errors
    /// As [`unhide`].
    pub fn unhide(&self, options: UnhideOptions) -> Running<UnhideReport> {
        let shared = Arc::clone(&self.shared);
        Running::start(move |reporter| async move {
            let mut report = UnhideReport::default();
            reporter.phase("look for hidden objects");
            let view = shared.view();
            let mut segments = Hidden::below(&shared.objects, paths::INDEX).await?;
            let id = |path: &str| last(path).parse::<IndexId>().ok();
            segments
                .hidden
                .retain(|path, _| id(path).is_some_and(|id| view.state.segments().contains_key(&id)));
            let again: Vec<_> = segments
                .hidden
                .keys()
                .filter_map(|path| view.state.segments().get(&id(path)?).copied())
                .collect();
            report.overwritten.extend(segments.overwritten);
            lift(&shared.objects, segments.hidden, options, &mut report, &reporter).await?;
            if !options.preview && !again.is_empty() && report.refused.is_empty() {
                shared.load_segments(&again).await?;
            }
            packs(&shared, options, &mut report, &reporter).await?;
            Ok(report)
        })
    }
}

async fn packs(
    shared: &Arc<Shared>,
    options: UnhideOptions,
    report: &mut UnhideReport,
    reporter: &Reporter,
) -> Result<()> {
    // One folder after the other bounds what is in memory.
    for folder in 0..=u8::MAX {
        reporter.check()?;
        let mut packs = Hidden::below(&shared.objects, &format!("{}/{folder:02x}", paths::PACKS)).await?;
        packs.hidden.retain(|path, _| {
            let pack = last(path).parse::<PackId>();
            pack.is_ok_and(|pack| shared.index().shows_pack(&pack))
        });
        report.overwritten.extend(packs.overwritten);
        lift(&shared.objects, packs.hidden, options, report, reporter).await?;
    }
    Ok(())
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// What lies below a prefix.
#[derive(Default)]
struct Hidden {
    /// Paths, and the marks that hide each.
    hidden: BTreeMap<String, Vec<String>>,
    visible: BTreeSet<String>,
    overwritten: Vec<String>,
}

impl Hidden {
    async fn below(objects: &Objects, prefix: &str) -> Result<Self> {
        let mut by_path: BTreeMap<String, Vec<ObjectVersion>> = BTreeMap::new();
        for version in objects.versions(prefix).await? {
            by_path.entry(version.path.clone()).or_default().push(version);
        }
        let mut found = Self::default();
        for (path, versions) in by_path {
            let data = versions.iter().filter(|version| !version.marker).count();
            if data > 1 {
                found.overwritten.push(path.clone());
            }
            if versions.iter().any(|version| version.newest && !version.marker) {
                found.visible.insert(path);
            } else if data > 0 {
                let marks = versions.into_iter().take_while(|version| version.marker);
                found.hidden.insert(path, marks.map(|mark| mark.id).collect());
            }
        }
        Ok(found)
    }
}

async fn lift(
    objects: &Objects,
    hidden: BTreeMap<String, Vec<String>>,
    options: UnhideOptions,
    report: &mut UnhideReport,
    reporter: &Reporter,
) -> Result<()> {
    for (path, marks) in hidden {
        reporter.check()?;
        let mut lifted = true;
        if !options.preview {
            // The newest mark last: until then it hides the object just as before.
            for mark in marks.iter().rev() {
                lifted &= objects.remove_version(&path, mark).await?;
            }
        }
        reporter.update(|progress| progress.items_done += 1);
        if lifted {
            report.lifted.push(path);
        } else {
            report.refused.push(path);
        }
    }
    Ok(())
}

/// Whether the repository's configuration is there and hidden. `false` also where that cannot be found out.
pub(super) async fn is_format_hidden(objects: &Objects) -> bool {
    if objects.store.locks().is_none() {
        return false;
    }
    let found = Hidden::below(objects, paths::FORMAT).await;
    found.is_ok_and(|found| found.hidden.contains_key(paths::FORMAT))
}
