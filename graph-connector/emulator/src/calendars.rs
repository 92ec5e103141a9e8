//! The typed API of calendars: edits while the emulator runs, questions about the truth.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::builder::{Emulator, EmulatorBuilder, Error};
use crate::ids;
use crate::mail::mailbox::{Mailbox, Refused};
use crate::outlook::event;
use crate::outlook::store::{Attachment, Object, STANDARD, Store};
use crate::random::Stream;
use crate::world::{User, World};

/// What an event is, by its immutable id.
#[derive(Debug, Clone, PartialEq)]
pub struct EventTruth {
    /// Immutable id.
    pub id: String,
    /// Id of its calendar.
    pub calendar_id: String,
    /// `changeKey` of this moment.
    pub change_key: String,
    /// Every property that was set.
    pub fields: Value,
    /// What was set on single days of a series.
    pub exceptions: BTreeMap<NaiveDate, Value>,
    /// Days on which a series does not take place.
    pub cancelled: Vec<NaiveDate>,
    /// Names and content of its files.
    pub attachments: Vec<(String, Bytes)>,
}

/// The calendars of a user. Cheap to clone. Calendars are named by id or by name, the standard one by the empty name; events
/// by id.
#[derive(Debug, Clone)]
pub struct Calendars {
    user: Arc<User>,
}

fn refuse(refused: Refused) -> Error {
    match refused {
        Refused::NotFound => Error::NotFound("the event".into()),
        Refused::FolderNotFound => Error::NotFound("the calendar".into()),
        other => Error::Refused(format!("{other:?}")),
    }
}

fn object(value: Value) -> Result<Object, Error> {
    match value {
        Value::Object(map) => Ok(map),
        _ => Err(Error::Refused("an event is a JSON object".into())),
    }
}

impl Calendars {
    fn lock(&self) -> Result<MutexGuard<'_, Mailbox>, Error> {
        self.user
            .lock()
            .ok_or_else(|| Error::NoMailbox(self.user.person.address.clone()))
    }

    fn change<R>(&self, f: impl FnOnce(&mut Store) -> Result<R, Refused>) -> Result<R, Error> {
        f(&mut self.lock()?.calendars).map_err(refuse)
    }

    fn calendar(store: &Store, name: &str) -> Result<u32, Refused> {
        if name.is_empty() {
            return Ok(STANDARD);
        }
        store
            .find_container(name)
            .or_else(|| {
                store
                    .containers()
                    .find(|one| one.name == name)
                    .map(|one| one.serial)
            })
            .ok_or(Refused::FolderNotFound)
    }

    /// Adds an event, its properties as a client would send them; what no documentation knows is kept, too. Returns its
    /// immutable id.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the calendar, [`Error::Refused`] if it is no event.
    pub fn add(&self, calendar: &str, fields: Value) -> Result<String, Error> {
        let fields = object(fields)?;
        event::check(&fields).map_err(|error| Error::Refused(error.message))?;
        self.change(|store| {
            let calendar = Self::calendar(store, calendar)?;
            let serial = store.create(calendar, fields, Vec::new())?;
            let item = store.item(serial).ok_or(Refused::NotFound)?;
            Ok(store.item_id(item, true))
        })
    }

    /// Sets properties of an event, or with a day those of one occurrence of a series.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`].
    pub fn edit(&self, id: &str, day: Option<NaiveDate>, fields: Value) -> Result<(), Error> {
        let fields = object(fields)?;
        self.change(|store| {
            let serial = store.find_item(id)?.serial;
            let version = store.version + 1;
            store.edit(serial, |item| item.extend(day, fields, version))
        })
    }

    /// Changes one occurrence without a new version of its series, as may happen.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`].
    pub fn edit_occurrence_silently(&self, id: &str, day: NaiveDate, fields: Value) -> Result<(), Error> {
        let fields = object(fields)?;
        self.change(|store| {
            store.version += 1;
            let (serial, version) = (store.find_item(id)?.serial, store.version);
            store.edit_silently(serial, |item| {
                item.extend(Some(day), fields, version);
            })
        })
    }

    /// Takes one day out of a series.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn cancel(&self, id: &str, day: NaiveDate) -> Result<(), Error> {
        self.change(|store| {
            let serial = store.find_item(id)?.serial;
            store.edit(serial, |item| {
                item.series.cancelled.insert(day);
            })
        })
    }

    /// Attaches a file.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn attach(&self, id: &str, name: &str, bytes: impl Into<Bytes>) -> Result<(), Error> {
        let bytes = bytes.into();
        self.change(|store| {
            let serial = store.find_item(id)?.serial;
            store.edit(serial, |item| {
                let number = item.attachments.last().map_or(1, |last| last.number + 1);
                item.attachments.push(Attachment {
                    number,
                    name: name.to_owned(),
                    kind: "application/octet-stream".to_owned(),
                    inline: false,
                    content_id: None,
                    bytes,
                });
            })
        })
    }

    /// Moves an event to another calendar.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn relocate(&self, id: &str, calendar: &str) -> Result<(), Error> {
        self.change(|store| {
            let (serial, to) = (store.find_item(id)?.serial, Self::calendar(store, calendar)?);
            store.relocate(serial, to)
        })
    }

    /// Deletes an event.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn delete(&self, id: &str) -> Result<(), Error> {
        self.change(|store| {
            let serial = store.find_item(id)?.serial;
            store.delete(serial)
        })
    }

    /// Makes a calendar in a group (none: the first one); returns its id.
    ///
    /// # Errors
    /// [`Error::Refused`] if the name is taken.
    pub fn create_calendar(&self, name: &str, group: Option<&str>) -> Result<String, Error> {
        self.change(|store| {
            let serial = store.create_container(STANDARD, name)?;
            if let (Some(group), Some(calendar)) = (group, store.container_mut(serial)) {
                calendar.fields.insert("group".to_owned(), json!(group));
            }
            Ok(store.container_id(serial))
        })
    }

    /// Makes a calendar that somebody else shares with this mailbox.
    ///
    /// # Errors
    /// [`Error::Refused`] if the name is taken.
    pub fn share_calendar(&self, name: &str, owner: &str) -> Result<String, Error> {
        let id = self.create_calendar(name, None)?;
        self.change(|store| {
            let serial = Self::calendar(store, &id)?;
            if let Some(calendar) = store.container_mut(serial) {
                calendar
                    .fields
                    .insert("owner".to_owned(), json!({"name": owner, "address": owner}));
                calendar.fields.insert("canEdit".to_owned(), json!(false));
            }
            Ok(())
        })?;
        Ok(id)
    }

    /// Deletes a calendar with its events.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Refused`] for the standard one.
    pub fn delete_calendar(&self, calendar: &str) -> Result<(), Error> {
        self.change(|store| {
            let serial = Self::calendar(store, calendar)?;
            store.delete_container(serial)
        })
    }

    /// Ids and names of all calendars.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn calendars(&self) -> Result<Vec<(String, String)>, Error> {
        let mailbox = self.lock()?;
        let store = &mailbox.calendars;
        Ok(store
            .containers()
            .map(|one| (store.container_id(one.serial), one.name.clone()))
            .collect())
    }

    /// Every event.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn all(&self) -> Result<Vec<EventTruth>, Error> {
        let mailbox = self.lock()?;
        let store = &mailbox.calendars;
        Ok(store
            .items()
            .map(|item| EventTruth {
                id: store.item_id(item, true),
                calendar_id: store.container_id(item.container),
                change_key: ids::change_key(store.key, item.version),
                fields: Value::Object(item.fields.clone()),
                exceptions: item
                    .series
                    .exceptions
                    .iter()
                    .map(|(day, one)| (*day, Value::Object(one.fields.clone())))
                    .collect(),
                cancelled: item.series.cancelled.iter().copied().collect(),
                attachments: item
                    .attachments
                    .iter()
                    .map(|one| (one.name.clone(), one.bytes.clone()))
                    .collect(),
            })
            .collect())
    }

    /// How many requests would have sent mail to attendees.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn invitations(&self) -> Result<u64, Error> {
        Ok(self.lock()?.calendars.invitations)
    }
}

/// Minutes from one generated event to the next.
const STEP: i64 = 7 * 60 + 30;

impl Calendars {
    /// Adds invented events, some of them series with changed and cancelled days, some with files, a third in a calendar of
    /// their own.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn add_generated(&self, seed: u64, count: u32) -> Result<(), Error> {
        let mut s = Stream::new(&[seed, 141, crate::random::text_key(&self.user.person.address)]);
        let project = self.create_calendar("Project \u{d6}st", Some("Teams"))?;
        for n in 0..count {
            let calendar = if s.one_in(3) { project.as_str() } else { "" };
            let day = crate::clock::BASE_MS + i64::from(n) * STEP * 60_000;
            let day = chrono::DateTime::from_timestamp_millis(day)
                .unwrap_or_default()
                .date_naive();
            let series = s.one_in(6);
            let id = self.add(calendar, invented(&mut s, n, day, series))?;
            if s.one_in(5) {
                let bytes = vec![b'a' + (n % 26) as u8; 300 + s.below(5000) as usize];
                self.attach(&id, &format!("notes {n}.txt"), bytes)?;
            }
            if series {
                let after = |weeks: u64| day + chrono::Days::new(7 * weeks);
                self.edit(
                    &id,
                    Some(after(1)),
                    json!({"subject": format!("Moved to room {n}")}),
                )?;
                self.cancel(&id, after(2))?;
            }
        }
        Ok(())
    }
}

fn invented(s: &mut Stream, n: u32, day: NaiveDate, series: bool) -> Value {
    let zone = *s.pick(&[
        "W. Europe Standard Time",
        "UTC",
        "Pacific Standard Time",
        "India Standard Time",
    ]);
    let topic = *s.pick(&[
        "Budget",
        "Vorstellungsgespr\u{e4}ch",
        "Release; go/no-go",
        "1:1",
        "\u{4f1a}\u{8b70}",
    ]);
    let hour = 8 + s.below(9);
    let mut fields = json!({
        "subject": format!("{topic} {n}"),
        "body": {"contentType": "html", "content": format!("<p>Agenda {n}</p><p>Please be on time, &amp; prepared.</p>")},
        "location": {"displayName": *s.pick(&["Room 2", "", "Caf\u{e9} Slavia"])},
        "showAs": *s.pick(&["busy", "tentative", "free"]),
        "start": {"dateTime": format!("{day}T{hour:02}:00:00"), "timeZone": zone},
        "end": {"dateTime": format!("{day}T{hour:02}:45:00"), "timeZone": zone},
    });
    if s.one_in(4) {
        fields["categories"] = json!(["Red category", "VIP"]);
    }
    if s.one_in(3) {
        fields["attendees"] = json!([{"type": "required", "emailAddress": {"name": "Guest", "address": format!("guest{n}@partner.example")}}]);
    }
    if series {
        let name = day.format("%A").to_string().to_lowercase();
        fields["recurrence"] = json!({
            "pattern": {"type": "weekly", "interval": 1, "daysOfWeek": [name], "firstDayOfWeek": "monday"},
            "range": {"type": "noEnd", "startDate": day.to_string()},
        });
    }
    fields
}

impl EmulatorBuilder {
    /// Gives each generated user so many events. Default: none.
    #[must_use]
    pub fn events_per_user(mut self, n: u32) -> Self {
        self.events_per_user = n;
        self
    }
}

/// Fills the calendars of the first `generated` users, who are invented.
pub(crate) fn fill(world: &World, generated: usize, events: u32) -> Result<(), Error> {
    if events > 0 {
        for user in world.all_users().into_iter().take(generated) {
            Calendars { user }.add_generated(world.seed, events)?;
        }
    }
    Ok(())
}

impl Emulator {
    /// The calendars of a user by address or object id.
    ///
    /// # Errors
    /// [`Error::NoMailbox`].
    pub fn calendars(&self, user: &str) -> Result<Calendars, Error> {
        let found = self.world().user(user).filter(|user| user.mailbox.is_some());
        let user = found.ok_or_else(|| Error::NoMailbox(user.to_owned()))?;
        Ok(Calendars { user })
    }
}
