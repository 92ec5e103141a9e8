//! The organisation of the demo and what happens to it between the two backups.

use nakivo_core::{Error, ErrorKind, Result};
use nakivo_graph_emulator::{Change, Emulator, Error as EmulatorError, FolderTruth, Mailbox, MessageTruth};
use serde_json::Value;

/// Mailboxes of the invented organisation.
pub(super) const USERS: usize = 6;
/// Messages in each of them.
pub(super) const ITEMS: u32 = 600;

/// What happened between the two backups.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) edited: u64,
    pub(super) moved: u64,
    pub(super) deleted: u64,
    pub(super) arrived: u64,
    /// The folder that was deleted with everything in it.
    pub(super) lost: Option<Lost>,
    /// The message whose subject and body were replaced.
    pub(super) overwritten: Option<Overwritten>,
}

/// A deleted folder.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) mailbox: String,
    pub(super) path: String,
    /// The messages that were in it and below it.
    pub(super) messages: Vec<Before>,
}

/// A message as it was before an accident.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) id: String,
    pub(super) subject: String,
    /// Its properties as Graph shows them.
    pub(super) json: Value,
}

impl Before {
    fn of(mailbox: &Mailbox, message: &MessageTruth) -> Result<Self> {
        let json = mailbox.message_json(&message.id).map_err(defect)?;
        Ok(Self {
            id: message.id.clone(),
            subject: message.subject.clone(),
            json,
        })
    }
}

/// An overwritten message.
#[derive(Debug)]
pub(super) struct Overwritten {
    pub(super) mailbox: String,
    pub(super) before: Before,
}

/// The emulator refused an edit that the demo itself made up: a defect.
pub(super) fn defect(error: EmulatorError) -> Error {
    Error::internal(format!("the emulator: {error}"))
}

/// Makes sure that there is mail, and a folder that can be lost.
///
/// # Errors
/// `NotFound` if there is no mail at all.
pub(super) fn prepare(emulator: &Emulator) -> Result<()> {
    let mailboxes = emulator.mailboxes();
    let mut total = 0;
    for mailbox in &mailboxes {
        total += mailbox.message_count().map_err(defect)?;
    }
    if total == 0 {
        return Err(
            Error::new(ErrorKind::NotFound, "there is no .eml file below the folder")
                .with_hint("Name a folder with .eml files, or leave --mail-from away."),
        );
    }
    for mailbox in &mailboxes {
        if losable(mailbox)?.is_some() {
            return Ok(());
        }
    }
    // Everything lies in the Inbox: somebody puts a few messages into a folder of their own.
    for mailbox in &mailboxes {
        let messages = mailbox.messages().map_err(defect)?;
        if messages.is_empty() {
            continue;
        }
        mailbox
            .create_folder("msgfolderroot", "Projects")
            .map_err(defect)?;
        for message in messages.iter().take(messages.len().div_ceil(3).min(25)) {
            mailbox.move_message(&message.id, "Projects").map_err(defect)?;
        }
        break;
    }
    Ok(())
}

/// The folder to lose: one of the user's own, with the most messages.
fn losable(mailbox: &Mailbox) -> Result<Option<FolderTruth>> {
    let folders = mailbox.folders().map_err(defect)?;
    Ok(folders
        .into_iter()
        .filter(|folder| {
            folder.well_known.is_none() && !folder.hidden && !folder.search && folder.messages > 0
        })
        .max_by_key(|folder| (folder.messages, folder.path.clone())))
}

/// Lets a working day pass: mail comes, is read, filed, deleted; and two accidents happen.
///
/// # Errors
/// `Internal` if the emulator refuses an edit.
pub(super) fn change(emulator: &Emulator, seed: u64, invented: bool) -> Result<Story> {
    let mut story = Story::default();
    let mut dice = Dice::new(seed);
    for mailbox in emulator.mailboxes() {
        if story.lost.is_none() {
            story.lost = lose_folder(&mailbox)?;
        }
        let messages: Vec<MessageTruth> = mailbox
            .messages()
            .map_err(defect)?
            .into_iter()
            .filter(|message| !message.is_draft)
            .collect();
        let victim = match &story.overwritten {
            None => overwrite(&mailbox, &messages)?,
            Some(_) => None,
        };
        everyday(&mailbox, &messages, victim.as_ref(), &mut dice, &mut story)?;
        arrivals(&mailbox, invented, &mut story)?;
        if victim.is_some() {
            story.overwritten = victim;
        }
    }
    Ok(story)
}

/// Somebody deletes a folder and empties the bin.
fn lose_folder(mailbox: &Mailbox) -> Result<Option<Lost>> {
    let Some(folder) = losable(mailbox)? else {
        return Ok(None);
    };
    let inside = format!("{}/", folder.path);
    let mut messages = Vec::new();
    for below in mailbox.folders().map_err(defect)? {
        if (below.id == folder.id || below.path.starts_with(&inside)) && !below.search {
            for message in mailbox.messages_in(&below.id).map_err(defect)? {
                messages.push(Before::of(mailbox, &message)?);
            }
        }
    }
    mailbox.purge_folder(&folder.id).map_err(defect)?;
    Ok(Some(Lost {
        mailbox: mailbox.address().to_owned(),
        path: folder.path,
        messages,
    }))
}

/// Somebody saves over a message, one with attachments if there is one.
fn overwrite(mailbox: &Mailbox, messages: &[MessageTruth]) -> Result<Option<Overwritten>> {
    let Some(message) = messages.iter().max_by_key(|message| message.attachments.min(3)) else {
        return Ok(None);
    };
    let before = Before::of(mailbox, message)?;
    mailbox
        .change(
            &message.id,
            [
                Change::Subject("Copy of copy FINAL (2)".into()),
                Change::Body("What was written here is gone.".into()),
                Change::Read(!message.is_read),
            ],
        )
        .map_err(defect)?;
    Ok(Some(Overwritten {
        mailbox: mailbox.address().to_owned(),
        before,
    }))
}

/// Reading, flagging, filing, deleting: a few messages of each hundred.
fn everyday(
    mailbox: &Mailbox,
    messages: &[MessageTruth],
    spared: Option<&Overwritten>,
    dice: &mut Dice,
    story: &mut Story,
) -> Result<()> {
    for message in messages {
        if spared.is_some_and(|spared| spared.before.id == message.id) {
            continue;
        }
        match dice.roll(100) {
            0 | 1 => {
                let changes = [Change::Read(!message.is_read), Change::Flag("flagged".into())];
                mailbox.change(&message.id, changes).map_err(defect)?;
                story.edited += 1;
            }
            2 => {
                mailbox
                    .change(&message.id, [Change::Categories(vec!["Follow-up".into()])])
                    .map_err(defect)?;
                story.edited += 1;
            }
            3 | 4 => {
                mailbox.move_message(&message.id, "archive").map_err(defect)?;
                story.moved += 1;
            }
            5 => {
                mailbox.delete_message(&message.id).map_err(defect)?;
                story.deleted += 1;
            }
            6 => {
                mailbox.purge_message(&message.id).map_err(defect)?;
                story.deleted += 1;
            }
            _ => {}
        }
    }
    Ok(())
}

/// New mail for everybody.
fn arrivals(mailbox: &Mailbox, invented: bool, story: &mut Story) -> Result<()> {
    if invented {
        for index in ITEMS..ITEMS + 8 {
            mailbox.add_generated("inbox", index).map_err(defect)?;
            story.arrived += 1;
        }
    } else {
        let to = mailbox.address();
        let mime = format!(
            "From: Demo <demo@example.com>\r\nTo: {to}\r\nSubject: A message that came after the first backup\r\n\
             Date: Mon, 5 Jan 2026 09:00:00 +0000\r\nMessage-ID: <arrival@demo.example.com>\r\n\r\nHello.\r\n"
        );
        mailbox.add_message("inbox", mime).map_err(defect)?;
        story.arrived += 1;
    }
    Ok(())
}

/// Small numbers out of a seed (SplitMix64): the same demo again for the same seed.
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 0 up to, not including, `sides`.
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}
