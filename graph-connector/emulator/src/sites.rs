//! The typed API of sites: edits while the emulator runs, questions about the truth.

use std::sync::{Arc, PoisonError};

use crate::builder::Error;
use crate::files::Drive;
use crate::site;
use crate::world::World;

/// A site. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Site {
    pub(crate) world: Arc<World>,
    pub(crate) site: Arc<site::Site>,
}

fn put(world: &Arc<World>, site: site::Site) -> Site {
    let site = Arc::new(site);
    let mut sites = world.sites.write().unwrap_or_else(PoisonError::into_inner);
    sites.push(Arc::clone(&site));
    Site {
        world: Arc::clone(world),
        site,
    }
}

/// Sites to be made up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Made {
    pub sites: u32,
    pub files: u32,
}

impl Made {
    /// Makes them: each with files in its library, the first one with a second library and a subsite.
    pub(crate) fn make(self, world: &Arc<World>) {
        const NAMES: [&str; 6] = ["Marketing", "Forschung", "Vertrieb Süd", "Legal", "Ops", "品質"];
        for n in 0..self.sites as usize {
            let display = NAMES[n % NAMES.len()];
            let site = add(
                world,
                &format!("team{:02}", n + 1),
                &format!("{display} {}", n + 1),
            );
            if let Ok(library) = site.library(site::DEFAULT_LIBRARY) {
                library.add_generated(self.files);
            }
            if n == 0 {
                site.add_library("Contracts").add_generated(self.files / 2);
                let below = site.add_subsite("archive", "Archive");
                if let Ok(library) = below.library(site::DEFAULT_LIBRARY) {
                    library.add_generated(self.files / 3);
                }
            }
        }
    }
}

/// All sites, personal ones excluded.
pub(crate) fn all(world: &Arc<World>) -> Vec<Site> {
    let sites = world.all_sites().into_iter().filter(|site| !site.personal);
    sites
        .map(|site| Site {
            world: Arc::clone(world),
            site,
        })
        .collect()
}

/// Adds a site at `/sites/{name}`, or at the root of the organisation if the name is empty.
pub(crate) fn add(world: &Arc<World>, name: &str, display: &str) -> Site {
    let path = match name {
        "" => String::new(),
        name => format!("/sites/{name}"),
    };
    put(world, site::Site::new(world, &path, display, None, false))
}

/// Adds a site that holds a user's OneDrive, as discovery must leave it out.
pub(crate) fn add_personal(world: &Arc<World>, name: &str) -> Site {
    let path = format!("/personal/{name}");
    put(world, site::Site::new(world, &path, name, None, true))
}

impl Site {
    /// Its id: host, collection and web.
    pub fn id(&self) -> &str {
        &self.site.id
    }

    /// Where people see it.
    pub fn url(&self) -> String {
        self.site.url()
    }

    /// Adds a site below it.
    #[must_use]
    pub fn add_subsite(&self, name: &str, display: &str) -> Self {
        let path = format!("{}/{name}", self.site.path);
        let site = site::Site::new(&self.world, &path, display, Some(&self.site), false);
        put(&self.world, site)
    }

    /// A document library by its name; made if there is none.
    #[must_use]
    pub fn add_library(&self, name: &str) -> Drive {
        Drive::of(&self.world, self.site.add_library(&self.world, name))
    }

    /// A document library by its name.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn library(&self, name: &str) -> Result<Drive, Error> {
        let found = self.site.library(Some(name));
        found
            .map(|slot| Drive::of(&self.world, slot))
            .ok_or_else(|| Error::NotFound(format!("the library {name}")))
    }

    /// Deletes a library with all that is in it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn delete_library(&self, name: &str) -> Result<(), Error> {
        match self.site.remove_library(name) {
            true => Ok(()),
            false => Err(Error::NotFound(format!("the library {name}"))),
        }
    }

    /// Its document libraries, by name; the default one first.
    #[must_use]
    pub fn libraries(&self) -> Vec<(String, Drive)> {
        let all = self.site.libraries().into_iter();
        all.map(|slot| {
            let name = match &slot.lock().home {
                crate::drive::tree::Home::Library { name, .. } => name.clone(),
                crate::drive::tree::Home::User => String::new(),
            };
            (name, Drive::of(&self.world, slot))
        })
        .collect()
    }

    /// Locks the site, as archived ones are: every call about it answers 423. Or opens it again.
    pub fn set_locked(&self, locked: bool) {
        self.site.set_locked(locked);
    }
}
