//! Contacts: folders, items, photos, delta.

mod delta;
mod folders;
mod items;

use crate::graph::Call;
use crate::graph::folders::with;
use crate::http::reply::{GraphError, Reply};
use crate::http::request::Request;
use crate::outlook::store::{STANDARD, Store};
use crate::world::User;

type Answer = Result<Reply, GraphError>;

/// What a request about contacts is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub user: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    /// Folders below a folder, or the list that the user sees.
    Folders(Option<String>),
    Folder(String),
    Delta(String),
    /// Contacts of a folder; of the standard one if none is named.
    Items(Option<String>),
    Item(String),
    Photo(String),
    PhotoValue(String),
}

/// Reads the segments after the version.
pub(crate) fn parse(segments: &[String]) -> Option<Address> {
    let lower: Vec<String> = segments.iter().map(|s| s.to_lowercase()).collect();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    let ["users", _, rest @ ..] = words.as_slice() else {
        return None;
    };
    let user = segments.get(1)?.clone();
    let what = match rest {
        ["contactfolders", inner @ ..] => folder(inner, &segments[3..])?,
        ["contacts", inner @ ..] => items(None, inner, &segments[3..])?,
        _ => return None,
    };
    Some(Address { user, what })
}

fn folder(words: &[&str], segments: &[String]) -> Option<What> {
    let id = |n: usize| segments[n].clone();
    Some(match words {
        [] => What::Folders(None),
        [_] => What::Folder(id(0)),
        [_, "childfolders"] => What::Folders(Some(id(0))),
        [_, "childfolders", rest @ ..] => return folder(rest, &segments[2..]),
        [_, "contacts", "delta" | "microsoft.graph.delta"] => What::Delta(id(0)),
        [_, "contacts", rest @ ..] => return items(Some(id(0)), rest, &segments[2..]),
        _ => return None,
    })
}

fn items(folder: Option<String>, words: &[&str], segments: &[String]) -> Option<What> {
    let id = |n: usize| segments[n].clone();
    Some(match words {
        [] => What::Items(folder),
        // The one that is documented is that of a folder.
        ["delta"] => return None,
        [_] => What::Item(id(0)),
        [_, "photo"] => What::Photo(id(0)),
        [_, "photo", "$value"] => What::PhotoValue(id(0)),
        _ => return None,
    })
}

impl Address {
    /// The path without ids, for counters.
    pub(crate) fn operation(&self) -> String {
        let path = match self.what {
            What::Folders(None) => "contactFolders",
            What::Folders(Some(_)) => "contactFolders/{id}/childFolders",
            What::Folder(_) => "contactFolders/{id}",
            What::Delta(_) => "contactFolders/{id}/contacts/delta",
            What::Items(Some(_)) => "contactFolders/{id}/contacts",
            What::Items(None) => "contacts",
            What::Item(_) => "contacts/{id}",
            What::Photo(_) => "contacts/{id}/photo",
            What::PhotoValue(_) => "contacts/{id}/photo/$value",
        };
        format!("/users/{{id}}/{path}")
    }
}

/// What `request` is about, if it is about contacts.
pub(crate) fn of(request: &Request) -> Option<Address> {
    parse(request.segments.get(1..)?)
}

/// Answers a call.
pub(crate) fn answer(call: &Call<'_>, address: &Address) -> Answer {
    call.needs("Contacts")?;
    let user = call.mailbox_user(&address.user)?;
    match (call.request.method.as_str(), &address.what) {
        ("GET", What::Folders(parent)) => folders::list(call, &user, parent.as_deref()),
        ("POST", What::Folders(parent)) => folders::create(call, &user, parent.as_deref()),
        ("GET", What::Folder(id)) => folders::get(call, &user, id),
        ("PATCH", What::Folder(id)) => folders::update(call, &user, id),
        ("DELETE", What::Folder(id)) => folders::delete(&user, id),
        ("GET", What::Delta(folder)) => delta::contacts(call, &user, folder),
        ("GET", What::Items(folder)) => items::list(call, &user, folder.as_deref()),
        ("POST", What::Items(folder)) => items::create(call, &user, folder.as_deref()),
        ("GET", What::Item(id)) => items::get(call, &user, id),
        ("PATCH", What::Item(id)) => items::update(call, &user, id),
        ("DELETE", What::Item(id)) => items::delete(call, &user, id),
        ("GET", What::Photo(id)) => items::photo(call, &user, id),
        ("GET", What::PhotoValue(id)) => items::photo_value(&user, id),
        ("PUT" | "PATCH", What::PhotoValue(id)) => items::set_photo(call, &user, id),
        ("DELETE", What::PhotoValue(id) | What::Photo(id)) => items::remove_photo(&user, id),
        _ => Err(GraphError::method_not_allowed()),
    }
}

/// Runs `f` on the contacts of a user.
fn store<R>(user: &User, f: impl FnOnce(&mut Store) -> Result<R, GraphError>) -> Result<R, GraphError> {
    with(user, |mailbox| f(&mut mailbox.contacts))
}

/// A folder by id, or the standard one by its name.
fn find_folder(store: &Store, id: &str) -> Result<u32, GraphError> {
    if id.eq_ignore_ascii_case("contacts") {
        return Ok(STANDARD);
    }
    store.container_of(id)
}
