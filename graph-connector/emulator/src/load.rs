//! Filling the emulated organisation: generated mailboxes and folders of `.eml` files.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bytes::Bytes;

use crate::builder::Error;
use crate::clock::BASE_MS;
use crate::drive::tree::{Conflict, Drive, Home, ROOT};
use crate::generate::people::{Person, Purpose};
use crate::generate::{Generator, Slot};
use crate::mail::data::Data;
use crate::mail::mailbox::{Mailbox, TOP};
use crate::mail::message::{Content, Recipe};
use crate::mail::parse;
use crate::random::{guid, key, text_key};
use crate::world::{DriveSlot, User, World};

fn new_mailbox(world: &World, address: &str) -> Mailbox {
    let generator = world.generator();
    let mut mailbox = Mailbox::new(generator.mailbox_key(address), generator, world.clock.clone());
    let settings = world.settings();
    mailbox.rebuild_mime = settings.rebuild_mime;
    mailbox.lose_round_trips = settings.lose_round_trips;
    mailbox.contacts.keep_deleted = settings.deleted_contacts_stay;
    mailbox
}

/// Adds generated user number `n` with `count` messages.
pub(crate) fn generated_user(world: &World, n: u32, count: u32) {
    let generator = world.generator();
    let Some(person) = generator.people.get(n as usize).cloned() else {
        return;
    };
    let mut mailbox = new_mailbox(world, &person.address);
    let custom = custom_folders(&mut mailbox, &generator, n);
    fill(&mut mailbox, &generator, n, 0..count, &custom);
    world.push_user(User {
        person,
        mailbox: Some(Mutex::new(mailbox)),
        drive: OnceLock::new(),
    });
}

/// Makes the custom folders of a generated user; returns them for messages.
fn custom_folders(mailbox: &mut Mailbox, generator: &Generator, n: u32) -> Vec<u32> {
    let mut custom = Vec::new();
    for path in generator.folders(n) {
        let mut at = TOP;
        for (depth, name) in path.iter().enumerate() {
            let existing = mailbox.children(at).find(|f| f.name == *name).map(|f| f.serial);
            at = match existing {
                Some(serial) => serial,
                None => match mailbox.create_folder(at, name, false) {
                    Ok(serial) => serial,
                    Err(_) => break,
                },
            };
            if depth + 1 == path.len() {
                custom.push(at);
            }
        }
    }
    let _ = mailbox.create_folder(TOP, "ExternalContacts", true);
    if let (Some(inbox), Some(archive)) = (mailbox.find_folder("inbox"), mailbox.find_folder("archive")) {
        mailbox.create_search(
            "Weekly digests",
            vec![inbox, archive],
            "contains(subject, 'weekly digest')",
        );
    }
    custom
}

/// Puts generated messages into their folders.
pub(crate) fn fill(
    mailbox: &mut Mailbox,
    generator: &Generator,
    user: u32,
    range: std::ops::Range<u32>,
    custom: &[u32],
) {
    for index in range {
        let folder = match generator.slot(user, index) {
            Slot::WellKnown(name) => mailbox.find_folder(name),
            Slot::Custom(k) if !custom.is_empty() => Some(custom[k as usize % custom.len()]),
            Slot::Custom(_) => mailbox.find_folder("inbox"),
        };
        if let Some(folder) = folder {
            let recipe = Recipe { user, index, big: 0 };
            let (read, draft) = (generator.read(user, index), generator.draft(user, index));
            mailbox.insert(
                folder,
                Content::Generated(recipe),
                generator.received(user, index),
                read,
                draft,
            );
        }
    }
}

/// Adds a user who is not generated; without a purpose he has no mailbox.
pub(crate) fn extra_user(world: &World, address: &str, display: &str, purpose: Option<Purpose>) -> Arc<User> {
    let (given, surname) = display.split_once(' ').unwrap_or((display, ""));
    let person = Person {
        id: guid(&[world.seed, text_key(&address.to_lowercase()), 34]),
        display: display.to_owned(),
        given: given.to_owned(),
        surname: surname.to_owned(),
        address: address.to_owned(),
        title: "Member".into(),
        department: "General".into(),
        purpose: purpose.unwrap_or(Purpose::User),
        enabled: purpose != Some(Purpose::Shared),
    };
    let mailbox = purpose.map(|_| Mutex::new(new_mailbox(world, address)));
    world.push_user(User {
        person,
        mailbox,
        drive: OnceLock::new(),
    })
}

/// Gives a user an empty drive, unless there is one.
pub(crate) fn provision_drive<'u>(world: &World, user: &'u User) -> &'u Arc<DriveSlot> {
    user.drive.get_or_init(|| {
        let person = &user.person;
        let drive_key = key(&[world.seed, text_key(&person.address.to_lowercase()), 117]);
        let owner = (person.id.clone(), person.display.clone(), person.address.clone());
        Arc::new(DriveSlot::new(Drive::new(
            drive_key,
            Home::User,
            owner,
            world.clock.clone(),
        )))
    })
}

/// Loads a tree of files into the drive of a user: each file and folder under its name. Names that OneDrive refuses are
/// an error.
pub(crate) fn tree_of_files(world: &World, user: &User, path: &Path) -> Result<(), Error> {
    let slot = provision_drive(world, user);
    let mut drive = slot.drive.lock().unwrap_or_else(PoisonError::into_inner);
    files_into(&mut drive, ROOT, path)
}

fn files_into(drive: &mut Drive, parent: u32, path: &Path) -> Result<(), Error> {
    for entry in entries(path)? {
        let name = name_of(&entry);
        let refused = |why| Error::Refused(format!("{}: {why:?}", entry.display()));
        if entry.is_dir() {
            let (folder, _) = drive
                .create_folder(parent, &name, Conflict::Replace)
                .map_err(refused)?;
            files_into(drive, folder, &entry)?;
        } else {
            let bytes = std::fs::read(&entry).map_err(|source| Error::Load {
                path: entry.clone(),
                source,
            })?;
            drive
                .put_file(parent, &name, Data::Bytes(bytes.into()), Conflict::Fail)
                .map_err(refused)?;
        }
    }
    Ok(())
}

pub(crate) fn remove_user(world: &World, id: &str) {
    let mut users = world
        .users
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    users.retain(|u| !u.person.id.eq_ignore_ascii_case(id) && !u.person.address.eq_ignore_ascii_case(id));
}

/// Entries of a folder in the order of their names.
pub(crate) fn entries(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let load = |source| Error::Load {
        path: path.to_owned(),
        source,
    };
    let mut out = Vec::new();
    for entry in std::fs::read_dir(path).map_err(load)? {
        out.push(entry.map_err(load)?.path());
    }
    out.sort();
    Ok(out)
}

pub(crate) fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Loads a folder of `.eml` files; see `EmulatorBuilder::mail_from`.
pub(crate) fn folder_of_mail(world: &World, address: Option<&str>, path: &Path) -> Result<(), Error> {
    let user_of = |address: &str| match world.user(address) {
        Some(user) => user,
        None => extra_user(
            world,
            address,
            address.split('@').next().unwrap_or(address),
            Some(Purpose::User),
        ),
    };
    if let Some(address) = address {
        return load_tree(&user_of(address), path);
    }
    let all = entries(path)?;
    let by_address = all.iter().any(|p| p.is_dir() && name_of(p).contains('@'));
    if by_address {
        for folder in all.iter().filter(|p| p.is_dir()) {
            load_tree(&user_of(&name_of(folder)), folder)?;
        }
        return Ok(());
    }
    let first = world.all_users().into_iter().find(|u| u.mailbox.is_some());
    let first = first.unwrap_or_else(|| user_of(&format!("user@{}", world.generator().domain)));
    load_tree(&first, path)
}

fn load_tree(user: &User, path: &Path) -> Result<(), Error> {
    let mut mailbox = user
        .lock()
        .ok_or_else(|| Error::NoMailbox(user.person.address.clone()))?;
    let inbox = mailbox
        .find_folder("inbox")
        .ok_or_else(|| Error::NotFound("inbox".into()))?;
    load_into(&mut mailbox, inbox, TOP, path)
}

fn load_into(mailbox: &mut Mailbox, files: u32, folders: u32, path: &Path) -> Result<(), Error> {
    for entry in entries(path)? {
        let name = name_of(&entry);
        if entry.is_dir() {
            let lower = name.to_lowercase().replace(' ', "");
            let existing = mailbox
                .children(folders)
                .find(|f| f.name.eq_ignore_ascii_case(&name) || f.well_known == Some(lower.as_str()))
                .map(|f| f.serial);
            let serial = match existing {
                Some(serial) => serial,
                None => mailbox
                    .create_folder(folders, &name, false)
                    .map_err(|_| Error::Refused(name.clone()))?,
            };
            load_into(mailbox, serial, serial, &entry)?;
        } else if name.to_lowercase().ends_with(".eml") {
            let raw = std::fs::read(&entry).map_err(|source| Error::Load {
                path: entry.clone(),
                source,
            })?;
            add_mime(mailbox, files, raw.into());
        }
    }
    Ok(())
}

/// Adds a message from its bytes as a delivered one: times from its headers, else the base of the clock.
pub(crate) fn add_mime(mailbox: &mut Mailbox, folder: u32, raw: Bytes) -> u32 {
    let view = parse::view(&raw);
    let received = view.received.or(view.sent).unwrap_or(BASE_MS);
    let draft = mailbox
        .folder(folder)
        .is_some_and(|f| f.well_known == Some("drafts"));
    mailbox.insert(folder, Content::Loaded(Arc::new(raw)), received, draft, draft)
}
