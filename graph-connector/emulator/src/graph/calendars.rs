//! Calendars: groups, calendars, events, occurrences, attachments.

mod attachments;
mod events;
mod folders;
mod json;

use crate::graph::folders::with;
use crate::graph::{Call, upload};
use crate::http::reply::{GraphError, Reply};
use crate::http::request::Request;
use crate::outlook::store::{STANDARD, Store};
use crate::world::User;

pub(crate) use attachments::attach;
pub(crate) use json::find;

type Answer = Result<Reply, GraphError>;

/// What a request about calendars is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Address {
    pub user: String,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Groups,
    /// Calendars, of a group or of all.
    Calendars(Option<String>),
    Calendar(String),
    Events(Option<String>),
    View(Option<String>),
    Event(String),
    CalendarOf(String),
    Instances(String),
    Attachments(String),
    Attachment(String, String),
    AttachmentValue(String, String),
    UploadSession(String),
}

/// What `request` is about, if it is about calendars.
pub(crate) fn of(request: &Request) -> Option<Address> {
    let segments = request.segments.get(1..)?;
    let lower: Vec<String> = segments.iter().map(|s| s.to_lowercase()).collect();
    let words: Vec<&str> = lower.iter().map(String::as_str).collect();
    let ["users", _, rest @ ..] = words.as_slice() else {
        return None;
    };
    let id = |n: usize| segments[n].clone();
    let what = match rest {
        ["calendargroups"] => What::Groups,
        ["calendargroups", _, "calendars"] => What::Calendars(Some(id(3))),
        ["calendargroups", _, "calendars", inner @ ..] => calendar(inner, &segments[5..])?,
        ["calendars"] => What::Calendars(None),
        ["calendars", inner @ ..] => calendar(inner, &segments[3..])?,
        ["calendar"] => What::Calendar("calendar".into()),
        ["calendar", "events", inner @ ..] => events(None, inner, &segments[4..])?,
        ["calendar", "calendarview"] | ["calendarview"] => What::View(None),
        ["events", inner @ ..] => events(None, inner, &segments[3..])?,
        _ => return None,
    };
    Some(Address { user: id(1), what })
}

fn calendar(words: &[&str], segments: &[String]) -> Option<What> {
    let id = |n: usize| segments[n].clone();
    Some(match words {
        [_] => What::Calendar(id(0)),
        [_, "calendarview"] => What::View(Some(id(0))),
        [_, "events", rest @ ..] => return events(Some(id(0)), rest, &segments[2..]),
        _ => return None,
    })
}

fn events(calendar: Option<String>, words: &[&str], segments: &[String]) -> Option<What> {
    let id = |n: usize| segments[n].clone();
    Some(match words {
        [] => What::Events(calendar),
        // Documented for beta only.
        ["delta"] => return None,
        [_] => What::Event(id(0)),
        [_, "calendar"] => What::CalendarOf(id(0)),
        [_, "instances"] => What::Instances(id(0)),
        [_, "attachments"] => What::Attachments(id(0)),
        [_, "attachments", "createuploadsession"] => What::UploadSession(id(0)),
        [_, "attachments", _] => What::Attachment(id(0), id(2)),
        [_, "attachments", _, "$value"] => What::AttachmentValue(id(0), id(2)),
        _ => return None,
    })
}

impl Address {
    /// The path without ids, for counters.
    pub(crate) fn operation(&self) -> String {
        let path = match self.what {
            What::Groups => "calendarGroups",
            What::Calendars(Some(_)) => "calendarGroups/{id}/calendars",
            What::Calendars(None) => "calendars",
            What::Calendar(_) => "calendars/{id}",
            What::Events(Some(_)) => "calendars/{id}/events",
            What::Events(None) => "events",
            What::View(Some(_)) => "calendars/{id}/calendarView",
            What::View(None) => "calendarView",
            What::Event(_) => "events/{id}",
            What::CalendarOf(_) => "events/{id}/calendar",
            What::Instances(_) => "events/{id}/instances",
            What::Attachments(_) => "events/{id}/attachments",
            What::Attachment(..) => "events/{id}/attachments/{id}",
            What::AttachmentValue(..) => "events/{id}/attachments/{id}/$value",
            What::UploadSession(_) => "events/{id}/attachments/createUploadSession",
        };
        format!("/users/{{id}}/{path}")
    }
}

/// Answers a call.
pub(crate) fn answer(call: &Call<'_>, address: &Address) -> Answer {
    call.needs("Calendars")?;
    let user = call.mailbox_user(&address.user)?;
    match (call.request.method.as_str(), &address.what) {
        ("GET", What::Groups) => folders::groups(call, &user),
        ("GET", What::Calendars(group)) => folders::list(call, &user, group.as_deref()),
        ("POST", What::Calendars(group)) => folders::create(call, &user, group.as_deref()),
        ("GET", What::Calendar(id)) => folders::get(call, &user, id),
        ("PATCH", What::Calendar(id)) => folders::update(call, &user, id),
        ("DELETE", What::Calendar(id)) => folders::delete(&user, id),
        ("GET", What::Events(calendar)) => events::list(call, &user, calendar.as_deref()),
        ("POST", What::Events(calendar)) => events::create(call, &user, calendar.as_deref()),
        ("GET", What::View(calendar)) => events::view(call, &user, calendar.as_deref()),
        ("GET", What::Event(id)) => events::get(call, &user, id),
        ("PATCH", What::Event(id)) => events::update(call, &user, id),
        ("DELETE", What::Event(id)) => events::delete(call, &user, id),
        ("GET", What::CalendarOf(id)) => events::calendar(call, &user, id),
        ("GET", What::Instances(id)) => events::instances(call, &user, id),
        ("GET", What::Attachments(id)) => attachments::list(call, &user, id),
        ("POST", What::Attachments(id)) => attachments::create(call, &user, id),
        ("GET", What::Attachment(id, a)) => attachments::get(call, &user, id, a),
        ("POST", What::UploadSession(id)) => upload::create_for_event(call, &address.user, id),
        ("GET", What::AttachmentValue(id, a)) => attachments::value(&user, id, a),
        _ => Err(GraphError::method_not_allowed()),
    }
}

/// Runs `f` on the calendars of a user.
fn store<R>(user: &User, f: impl FnOnce(&mut Store) -> Result<R, GraphError>) -> Result<R, GraphError> {
    with(user, |mailbox| f(&mut mailbox.calendars))
}

/// A calendar by id; without one the standard one.
fn find_calendar(store: &Store, id: Option<&str>) -> Result<u32, GraphError> {
    match id {
        None | Some("calendar") => Ok(STANDARD),
        Some(id) => store.container_of(id),
    }
}
