//! The typed API of sites: edits while the emulator runs, questions about the truth.

use std::sync::{Arc, PoisonError};

use crate::builder::Error;
use crate::files::Drive;
use crate::site;
use crate::world::World;

use serde_json::{Map, Value, json};

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
    pub rows: u32,
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
            if self.rows > 0 {
                site.add_made_lists(self.rows);
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

    /// Adds a list with these columns, as Graph defines them, besides those that every list has.
    #[must_use]
    pub fn add_list(&self, name: &str, columns: &[Value]) -> List {
        self.site.add_list(&self.world, name, "genericList");
        self.site.with_list(name, |list| {
            for column in columns {
                list.add_column(column);
            }
        });
        self.list(name)
    }

    /// Adds a list `Inventory` with so many rows, and a list `Loans` whose rows point to every second one of them.
    pub fn add_made_lists(&self, rows: u32) {
        let inventory = self.add_list(
            "Inventory",
            &[
                json!({"name": "Color", "choice": {"choices": ["red", "green", "blue"]}}),
                json!({"name": "Count", "number": {"decimalPlaces": "none"}}),
                json!({"name": "Bought", "dateTime": {"format": "dateOnly"}}),
                json!({"name": "Keeper", "personOrGroup": {"allowMultipleSelection": false}}),
            ],
        );
        let into = inventory.id().unwrap_or_default();
        let item = json!({"name": "Item", "lookup": {"listId": into, "columnName": "Title"}});
        let loans = self.add_list("Loans", &[item]);
        for n in 1..=rows {
            let color = ["red", "green", "blue"][n as usize % 3];
            let day = format!("2025-{:02}-{:02}T00:00:00Z", 1 + n % 12, 1 + n % 28);
            let row = json!({"Title": format!("Thing {n}"), "Color": color, "Count": n, "Bought": day, "KeeperLookupId": "1"});
            let _ = inventory.add_row(row);
            if n % 2 == 0 {
                let row = json!({"Title": format!("Loan of thing {n}"), "ItemLookupId": n.to_string()});
                let _ = loans.add_row(row);
            }
        }
    }

    /// A list by its name.
    #[must_use]
    pub fn list(&self, name: &str) -> List {
        List {
            site: Arc::clone(&self.site),
            name: name.to_owned(),
        }
    }

    /// Names of its lists, without libraries and those of the system.
    #[must_use]
    pub fn lists(&self) -> Vec<String> {
        let names = self
            .site
            .all_lists(|list| (!list.system).then(|| list.name.clone()));
        names.into_iter().flatten().collect()
    }

    /// Adds somebody to the users of the site; returns the number by which columns of persons name them.
    pub fn add_user(&self, email: &str, name: &str) -> u32 {
        let account = format!("i:0#.f|membership|{email}");
        self.site.add_user(email, &account, name)
    }

    /// Deletes a list with all that is in it.
    pub fn delete_list(&self, name: &str) {
        self.site.remove_list(name);
    }

    /// Locks the site, as archived ones are: every call about it answers 423. Or opens it again.
    pub fn set_locked(&self, locked: bool) {
        self.site.set_locked(locked);
    }
}

/// A list of a site. Cheap to clone.
#[derive(Debug, Clone)]
pub struct List {
    site: Arc<site::Site>,
    name: String,
}

impl List {
    fn with<T>(&self, act: impl FnOnce(&mut site::list::List) -> T) -> Result<T, Error> {
        self.site
            .with_list(&self.name, act)
            .ok_or_else(|| Error::NotFound(format!("the list {}", self.name)))
    }

    /// Its id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn id(&self) -> Result<String, Error> {
        self.with(|list| list.id.clone())
    }

    /// Adds a column from its definition.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`] if there is one of that name.
    pub fn add_column(&self, definition: &Value) -> Result<(), Error> {
        let made = self.with(|list| list.add_column(definition))?;
        made.map(|_| ())
            .ok_or_else(|| Error::Refused("the column".into()))
    }

    /// Adds a row with these fields, as they are read. Returns its id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn add_row(&self, fields: Value) -> Result<String, Error> {
        let fields: Map<String, Value> = fields.as_object().cloned().unwrap_or_default();
        self.with(|list| list.add_row(fields).to_string())
    }

    /// Changes fields of a row; null takes one away.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn update_row(&self, id: &str, fields: &Value) -> Result<(), Error> {
        let fields: Map<String, Value> = fields.as_object().cloned().unwrap_or_default();
        match self.with(|list| list.update_row(id, &fields))? {
            true => Ok(()),
            false => Err(Error::NotFound(format!("the row {id}"))),
        }
    }

    /// Deletes a row.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn delete_row(&self, id: &str) -> Result<(), Error> {
        match self.with(|list| list.delete_row(id))? {
            true => Ok(()),
            false => Err(Error::NotFound(format!("the row {id}"))),
        }
    }

    /// Makes delta tokens unknown: their next use answers 410 `resyncRequired`.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn expire_delta(&self) -> Result<(), Error> {
        self.with(|list| list.epoch += 1)
    }

    /// The fields of all rows, by id.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn rows(&self) -> Result<Vec<(String, Value)>, Error> {
        self.with(|list| {
            let rows = list.living();
            rows.map(|row| (row.id.to_string(), Value::Object(row.fields().clone())))
                .collect()
        })
    }

    /// Its columns, as Graph defines them.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn columns(&self) -> Result<Vec<Value>, Error> {
        self.with(|list| list.columns.clone())
    }
}
