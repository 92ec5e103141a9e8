//! The typed API of contacts: edits while the emulator runs, questions about the truth, loading and inventing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::builder::{Emulator, EmulatorBuilder, Error};
use crate::ids;
use crate::mail::data::{Look, Made};
use crate::mail::mailbox::{Mailbox, Refused};
use crate::outlook::contact;
use crate::outlook::store::{Object, STANDARD, Store};
use crate::outlook::vcard;
use crate::random::Stream;
use crate::world::{User, World};

/// What a contact is, by its immutable id.
#[derive(Debug, Clone, PartialEq)]
pub struct ContactTruth {
    /// Immutable id.
    pub id: String,
    /// Id of its folder.
    pub folder_id: String,
    /// `changeKey` of this moment.
    pub change_key: String,
    /// Every property that was set.
    pub fields: Value,
    /// Bytes of its photo.
    pub photo: Option<Bytes>,
}

/// The contacts of a user. Cheap to clone. Folders are named by id, or by their path below the standard folder, which is
/// the empty path; contacts by id.
#[derive(Debug, Clone)]
pub struct Contacts {
    user: Arc<User>,
}

/// What the contacts of an organisation begin with.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    per_user: u32,
    from: Vec<(Option<String>, PathBuf)>,
}

fn refuse(refused: Refused) -> Error {
    match refused {
        Refused::NotFound => Error::NotFound("the contact".into()),
        Refused::FolderNotFound => Error::NotFound("the folder".into()),
        other => Error::Refused(format!("{other:?}")),
    }
}

fn object(value: Value) -> Result<Object, Error> {
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(Error::Refused("a contact is a JSON object".into())),
    }
}

impl Contacts {
    fn lock(&self) -> Result<MutexGuard<'_, Mailbox>, Error> {
        self.user
            .lock()
            .ok_or_else(|| Error::NoMailbox(self.user.person.address.clone()))
    }

    fn change<R>(&self, f: impl FnOnce(&mut Store) -> Result<R, Refused>) -> Result<R, Error> {
        f(&mut self.lock()?.contacts).map_err(refuse)
    }

    fn folder(store: &Store, folder: &str) -> Result<u32, Refused> {
        if let Some(serial) = store.find_container(folder) {
            return Ok(serial);
        }
        let mut at = STANDARD;
        for name in folder.split('/').filter(|name| !name.is_empty()) {
            let child = store
                .containers()
                .find(|one| one.parent == at && one.name == name);
            at = child.ok_or(Refused::FolderNotFound)?.serial;
        }
        Ok(at)
    }

    /// Adds a contact, its properties as a client would send them; what no documentation knows is kept, too. Returns its
    /// immutable id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the folder, [`Error::Refused`] if it is no object.
    pub fn add(&self, folder: &str, fields: Value) -> Result<String, Error> {
        let mut fields = object(fields)?;
        contact::complete(&mut fields);
        self.change(|store| {
            let folder = Self::folder(store, folder)?;
            let serial = store.create(folder, fields, Vec::new())?;
            let item = store.item(serial).ok_or(Refused::NotFound)?;
            Ok(store.item_id(item, true))
        })
    }

    /// Adds every contact of a `.vcf` text; returns how many.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the folder.
    pub fn add_vcf(&self, folder: &str, text: &str) -> Result<usize, Error> {
        let cards = vcard::parse(text);
        let count = cards.len();
        for card in cards {
            let id = self.add(folder, Value::Object(card.fields))?;
            if let Some(photo) = card.photo {
                self.set_photo(&id, Some(photo))?;
            }
        }
        Ok(count)
    }

    /// Sets properties of a contact.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`].
    pub fn edit(&self, id: &str, fields: Value) -> Result<(), Error> {
        let fields = object(fields)?;
        self.change(|store| {
            let serial = store.find_item(id)?.serial;
            store.edit(serial, |item| item.fields.extend(fields))
        })
    }

    /// Sets or removes the photo, which makes no new version of the contact.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn set_photo(&self, id: &str, photo: Option<Bytes>) -> Result<(), Error> {
        self.change(|store| {
            let serial = store.find_item(id)?.serial;
            store.edit_silently(serial, |item| item.photo = photo)
        })
    }

    /// Moves a contact to another folder.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn relocate(&self, id: &str, folder: &str) -> Result<(), Error> {
        self.change(|store| {
            let (serial, to) = (store.find_item(id)?.serial, Self::folder(store, folder)?);
            store.relocate(serial, to)
        })
    }

    /// Deletes a contact.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn delete(&self, id: &str) -> Result<(), Error> {
        self.change(|store| {
            let serial = store.find_item(id)?.serial;
            store.delete(serial)
        })
    }

    /// Makes a folder below another one; returns its id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the parent, [`Error::Refused`] if the name is taken.
    pub fn create_folder(&self, parent: &str, name: &str) -> Result<String, Error> {
        self.change(|store| {
            let parent = Self::folder(store, parent)?;
            let serial = store.create_container(parent, name)?;
            Ok(store.container_id(serial))
        })
    }

    /// Renames a folder.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`].
    pub fn rename_folder(&self, folder: &str, name: &str) -> Result<(), Error> {
        self.change(|store| {
            let serial = Self::folder(store, folder)?;
            store.rename_container(serial, name)
        })
    }

    /// Deletes a folder with everything below it.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`] for the standard folder.
    pub fn delete_folder(&self, folder: &str) -> Result<(), Error> {
        self.change(|store| {
            let serial = Self::folder(store, folder)?;
            store.delete_container(serial)
        })
    }

    /// Ids and paths of all folders; the standard one has the empty path.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn folders(&self) -> Result<Vec<(String, String)>, Error> {
        let mailbox = self.lock()?;
        let store = &mailbox.contacts;
        let path = |serial: u32| {
            let mut names = Vec::new();
            let mut at = serial;
            while let Some(folder) = store.container(at).filter(|folder| folder.serial != STANDARD) {
                names.push(folder.name.as_str());
                at = folder.parent;
            }
            names.reverse();
            names.join("/")
        };
        Ok(store
            .containers()
            .map(|folder| (store.container_id(folder.serial), path(folder.serial)))
            .collect())
    }

    /// Every contact.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn all(&self) -> Result<Vec<ContactTruth>, Error> {
        let mailbox = self.lock()?;
        let store = &mailbox.contacts;
        Ok(store
            .items()
            .map(|item| ContactTruth {
                id: store.item_id(item, true),
                folder_id: store.container_id(item.container),
                change_key: ids::change_key(store.key, item.version),
                fields: Value::Object(item.fields.clone()),
                photo: item.photo.clone(),
            })
            .collect())
    }

    /// One contact.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn get(&self, id: &str) -> Result<ContactTruth, Error> {
        let found = self.all()?.into_iter().find(|contact| contact.id == id);
        found.ok_or_else(|| Error::NotFound("the contact".into()))
    }

    /// Makes every delta token of contacts unknown.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn expire_delta(&self) -> Result<(), Error> {
        self.lock()?.contacts.expire_delta();
        Ok(())
    }

    /// Adds invented contacts, some in folders, some with photos.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn add_generated(&self, seed: u64, count: u32) -> Result<(), Error> {
        let folders: Vec<String> = if count >= 8 {
            let customers = self.create_folder("", "Customers")?;
            vec![
                String::new(),
                self.create_folder(&customers, "Nordlicht & S\u{f6}hne")?,
                customers,
            ]
        } else {
            vec![String::new()]
        };
        let mut s = Stream::new(&[seed, 140, crate::random::text_key(&self.user.person.address)]);
        for n in 0..count {
            let folder = s.pick(&folders).clone();
            let id = self.add(&folder, invented(&mut s, n))?;
            if s.one_in(4) {
                let made = Made {
                    look: Look::Png,
                    key: s.next(),
                    len: 600 + s.below(9000),
                };
                self.set_photo(&id, Some(Bytes::from(made.piece(0))))?;
            }
        }
        Ok(())
    }
}

fn invented(s: &mut Stream, n: u32) -> Value {
    let given = *s.pick(&[
        "Anna",
        "J\u{fc}rgen",
        "Zo\u{eb}",
        "\u{674e}",
        "Olena",
        "Tom",
        "O'Brien",
    ]);
    let surname = *s.pick(&[
        "Nov\u{e1}kov\u{e1}",
        "Smith; Sons",
        "\u{5f20}\u{4f1f}",
        "Kowalski",
        "Lind, jr.",
    ]);
    let phone = |s: &mut Stream| format!("+420 {:09}", s.below(1_000_000_000));
    let mut fields = json!({
        "givenName": given,
        "surname": surname,
        "emailAddresses": [{"name": format!("{given} {surname}"), "address": format!("contact{n}@partner.example")}],
        "mobilePhone": phone(s),
        "businessPhones": [phone(s)],
        "companyName": *s.pick(&["Nordlicht GmbH", "Fabrika a.s.", "Contoso"]),
        "jobTitle": *s.pick(&["Buyer", "Engineer", "Head of \u{201e}Everything\u{201c}"]),
    });
    if s.one_in(3) {
        fields["birthday"] = json!(format!(
            "19{:02}-0{}-1{}T00:00:00Z",
            50 + s.below(50),
            1 + s.below(9),
            s.below(10)
        ));
        fields["businessAddress"] = json!({"street": "Dlouh\u{e1} 1\nP.O. Box 7", "city": "Praha", "postalCode": "110 00", "countryOrRegion": "Czechia"});
    }
    if s.one_in(3) {
        fields["personalNotes"] = json!("Likes tea.\r\nCalls back; always, on Mondays.");
        fields["categories"] = json!(["Red category", "VIP"]);
        fields["children"] = json!(["Eva", "Jan"]);
    }
    fields
}

impl Emulator {
    /// The contacts of a user by address or object id.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn contacts(&self, user: &str) -> Result<Contacts, Error> {
        open(self.world(), user)
    }
}

fn open(world: &World, user: &str) -> Result<Contacts, Error> {
    let found = world.user(user).filter(|user| user.mailbox.is_some());
    let user = found.ok_or_else(|| Error::NoMailbox(user.to_owned()))?;
    Ok(Contacts { user })
}

impl EmulatorBuilder {
    /// Gives each generated user so many contacts. Default: none.
    #[must_use]
    pub fn contacts_per_user(mut self, n: u32) -> Self {
        self.contacts.per_user = n;
        self
    }

    /// Loads a `.vcf` file, or those below a folder, into the contacts of `address`; folders become contact folders.
    #[must_use]
    pub fn contacts_into(mut self, address: &str, path: impl AsRef<Path>) -> Self {
        let from = (Some(address.to_owned()), path.as_ref().to_owned());
        self.contacts.from.push(from);
        self
    }

    /// As [`Self::contacts_into`] for the first user who has a mailbox.
    #[must_use]
    pub fn contacts_from(mut self, path: impl AsRef<Path>) -> Self {
        self.contacts.from.push((None, path.as_ref().to_owned()));
        self
    }
}

impl Plan {
    /// Fills the contacts of a new organisation, of which the first `generated` users are invented.
    pub(crate) fn fill(&self, world: &World, generated: usize) -> Result<(), Error> {
        let users = world.all_users();
        if self.per_user > 0 {
            for user in users.iter().take(generated) {
                open(world, &user.person.id)?.add_generated(world.seed, self.per_user)?;
            }
        }
        for (address, path) in &self.from {
            let address = match address {
                Some(address) => address.clone(),
                None => users
                    .iter()
                    .find(|user| user.mailbox.is_some())
                    .map(|user| user.person.address.clone())
                    .ok_or_else(|| Error::NotFound("a user with a mailbox".into()))?,
            };
            load(&open(world, &address)?, "", path)?;
        }
        Ok(())
    }
}

fn load(contacts: &Contacts, folder: &str, path: &Path) -> Result<(), Error> {
    let failed = |source| Error::Load {
        path: path.to_owned(),
        source,
    };
    if !path.is_dir() {
        let raw = std::fs::read(path).map_err(failed)?;
        contacts.add_vcf(folder, &String::from_utf8_lossy(&raw))?;
        return Ok(());
    }
    for entry in crate::load::entries(path)? {
        let name = crate::load::name_of(&entry);
        if entry.is_dir() {
            let inner = contacts.create_folder(folder, &name)?;
            load(contacts, &inner, &entry)?;
        } else if name.to_lowercase().ends_with(".vcf") {
            load(contacts, folder, &entry)?;
        }
    }
    Ok(())
}
