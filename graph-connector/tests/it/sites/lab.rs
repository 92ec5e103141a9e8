//! An emulator with sites, a connector, and a repository in memory.

use std::collections::BTreeMap;

use nakivo_graph_emulator::{Emulator, EmulatorBuilder, Site};

use crate::bench::{Bench, config, seed};
use crate::drives::lab::{Held, assert_holds_all, held};
use crate::lab::{self, Truth, is_a_lab};

pub(crate) struct Lab {
    common: lab::Lab,
    pub(crate) site: Site,
}

is_a_lab!(Lab);

impl Truth for Lab {
    /// Compares the newest point with the libraries of the site, byte for byte.
    async fn assert_truth(&self) {
        let mut held = self.held().await;
        let libraries = self.site.libraries();
        let mut truth = Vec::new();
        for (name, drive) in &libraries {
            let container = held.folders.remove(name).expect("each library is a container");
            assert_eq!(container.id, drive.id());
            assert_eq!(container.item_type.as_deref(), Some("library"));
            for item in drive.items() {
                let path = format!("{name}/{}", item.path);
                truth.push((drive.clone(), path, format!("{}/{}", drive.id(), item.id), item));
            }
        }
        assert_holds_all(&held, truth);
        let counts = self.point().counts;
        assert_eq!(
            (counts.items as usize, counts.containers as usize),
            (
                held.files.len() + held.others.len(),
                held.folders.len() + libraries.len()
            ),
            "nothing is in the point that nobody can reach"
        );
    }
}

impl Lab {
    /// Two sites, each with so many files.
    pub(crate) async fn new(files: u32) -> Self {
        Self::with(Emulator::builder().seed(seed()).users(2).sites(2, files)).await
    }

    pub(crate) async fn with(builder: EmulatorBuilder) -> Self {
        let bench = Bench::with(builder).await;
        let site = bench.emulator.sites().remove(0);
        let account = config(&bench.emulator);
        Self {
            common: lab::Lab::new(bench, account, &site.url()).await,
            site,
        }
    }

    pub(crate) async fn held(&self) -> Held {
        held(&self.view()).await
    }
}

/// Content and times of the files of a site, by path.
pub(crate) fn files(site: &Site) -> BTreeMap<String, (bytes::Bytes, i64, i64)> {
    let mut all = BTreeMap::new();
    for (name, drive) in site.libraries() {
        for item in drive.items().into_iter().filter(|item| !item.folder) {
            let content = drive.content(&item.id).unwrap();
            all.insert(
                format!("{name}/{}", item.path),
                (content, item.created_ms, item.modified_ms),
            );
        }
    }
    all
}

/// Deletes everything in the libraries of a site.
pub(crate) fn clear(site: &Site) {
    for (_, drive) in site.libraries() {
        for item in drive.items().iter().filter(|item| !item.path.contains('/')) {
            drive.delete(&item.id).unwrap();
        }
    }
}
