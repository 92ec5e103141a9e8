//! `nakivo demo`: the main job on an emulated organisation, start to end, explained and proven as it goes.
//!
//! The demo uses the SDK as any program would. What it proves it proves from outside: every byte that comes back is compared
//! with what the emulator says it served, not with what the repository says it stored.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use nakivo_core::connector::{Connector, OnConflict};
use nakivo_core::format::{Manifest, ObjectKind, ObjectRecord, Passphrase};
use nakivo_core::recovery::{
    self, Destination, ExportOptions, ItemOutcome, PointView, Query, RecoveryReport, Selection, Target,
};
use nakivo_core::repository::{CreateOptions, Repository, VerifyOptions};
use nakivo_core::seams::Environment;
use nakivo_core::state::FileState;
use nakivo_core::store::StoreLocation;
use nakivo_core::{Error, ErrorKind, Result};
use nakivo_graph_connector::{AccountConfig, M365Connector, ReqwestHttp, Secret};
use nakivo_graph_emulator::Emulator;
use serde::Serialize;
use serde_json::json;

use crate::command::backup::{self, Totals, milliseconds, short};
use crate::command::{emulate, point, repo};
use crate::exit::Exit;
use crate::grammar;
use crate::session::Session;
use crate::text;

use organisation::Story;
use originals::{Compared, Moment, Originals};
use place::Place;

mod organisation;
mod originals;
mod place;
mod recovered;

/// One finished phase.
#[derive(Debug, Clone, Serialize)]
struct Phase {
    name: &'static str,
    duration_ms: u64,
}

/// Everything a demo has at hand.
struct Demo<'a> {
    session: &'a Session,
    place: Place,
    emulator: Emulator,
    connector: Arc<dyn Connector>,
    repository: Repository,
    originals: Originals,
    phases: Vec<Phase>,
    began: Option<(&'static str, Duration)>,
    proven: Vec<String>,
    mismatches: Vec<String>,
    seed: u64,
    invented: bool,
}

/// Runs the demo.
pub(crate) async fn run(session: &Arc<Session>, arguments: &grammar::Demo) -> Result<Exit> {
    let mut demo = Box::pin(Demo::prepare(session, arguments)).await?;
    Box::pin(demo.play()).await
}

impl<'a> Demo<'a> {
    /// Starts the emulator and makes the repository.
    async fn prepare(session: &'a Session, arguments: &grammar::Demo) -> Result<Self> {
        let start = session.clock().monotonic();
        let output = &session.output;
        output.line("nakivo demo: backs up an emulated Microsoft 365 organisation, lets accidents happen, and recovers.");
        let builder = Emulator::builder().seed(arguments.seed);
        let builder = match &arguments.mail_from {
            Some(folder) => builder.users(0).mail_from(folder),
            None => builder
                .users(organisation::USERS)
                .items_per_user(organisation::ITEMS),
        };
        let emulator = session.unless_cancelled(emulate::start(builder)).await?;
        organisation::prepare(&emulator)?;
        let place = Place::prepare(arguments.dir.as_deref())?;
        let environment = Environment {
            state: Arc::new(FileState::new(place.state())),
            ..session.environment.clone()
        };
        let config = AccountConfig::with_secret(
            emulator.directory_id(),
            emulator.app_id(),
            Secret::new(emulator.client_secret()),
        )
        .with_urls(emulator.graph_url(), emulator.login_url());
        let http = Arc::new(ReqwestHttp::new()?);
        let connector: Arc<dyn Connector> = Arc::new(M365Connector::new(&config, http, &environment)?);
        let passphrase = Passphrase::new(place.make_passphrase(&*environment.rng)?);
        let location = StoreLocation::directory(place.vault());
        let repository = session
            .unless_cancelled(async {
                Repository::create(
                    location.create().await?,
                    CreateOptions::encrypted(passphrase),
                    environment,
                )
                .await
            })
            .await?;
        let originals = Originals::new(place.scratch("originals"))?;
        let mut demo = Self {
            session,
            place,
            emulator,
            connector,
            repository,
            originals,
            phases: Vec::new(),
            began: Some(("prepare", start)),
            proven: Vec::new(),
            mismatches: Vec::new(),
            seed: arguments.seed,
            invented: arguments.mail_from.is_none(),
        };
        let mailboxes = demo.emulator.mailboxes();
        let mut messages = 0;
        for mailbox in &mailboxes {
            messages += mailbox.message_count().map_err(organisation::defect)? as u64;
        }
        demo.say(format!(
            "The organisation has {} with {}, served over HTTP at {}.",
            text::plural(mailboxes.len() as u64, "mailbox", "mailboxes"),
            text::counted(messages, "message"),
            demo.emulator.graph_url()
        ));
        demo.say(format!("An encrypted repository was created at {}.", location));
        demo.finish(json!({ "mailboxes": mailboxes.len(), "messages": messages }));
        Ok(demo)
    }

    /// The acts of the play.
    async fn play(&mut self) -> Result<Exit> {
        self.begin(
            "remember",
            "The demo writes down the original bytes of every message, apart from the repository.",
        );
        let before = self.take_originals()?;
        let count: usize = before.values().map(std::collections::BTreeMap::len).sum();
        self.finish(json!({ "messages": count }));

        self.begin("full backup", "First backup: everything is read.");
        let objects: Vec<ObjectRecord> = self
            .session
            .unless_cancelled(self.connector.discover().try_collect::<Vec<_>>())
            .await?
            .into_iter()
            .filter(|object| object.kind == ObjectKind::Mailbox)
            .collect();
        let full = self.back_up(&objects).await?;
        self.finish(totals_record(&full));

        self.begin(
            "a working day",
            "Mail comes in, is read, filed and deleted; and two accidents happen.",
        );
        let story = organisation::change(&self.emulator, self.seed, self.invented)?;
        self.tell(&story);
        let after = self.take_originals()?;
        self.finish(json!({
            "arrived": story.arrived,
            "edited": story.edited,
            "moved": story.moved,
            "deleted": story.deleted,
            "folder_lost": story.lost.as_ref().map(|lost| &lost.path),
            "messages_lost": story.lost.as_ref().map_or(0, |lost| lost.messages.len()),
        }));

        self.begin("incremental backup", "Second backup: only what changed is read.");
        let incremental = self.back_up(&objects).await?;
        self.finish(totals_record(&incremental));

        self.begin(
            "points",
            "Each mailbox has two recovery points, each complete in itself.",
        );
        let points = self.points(&objects)?;
        self.finish(json!({ "points": points.len() }));

        self.begin(
            "search",
            "Looking for a lost message by its subject, in the first recovery point.",
        );
        let found = self.search(&story, &points).await?;
        self.finish(json!({ "found": found }));

        self.begin(
            "recover",
            "The deleted folder and the overwritten message come back from the first point.",
        );
        let recovered = self.recover(&story, &points, &before).await?;
        self.finish(json!({ "recovered": recovered }));

        self.begin(
            "compare",
            "Every message of both points is exported and compared with its original, byte for byte.",
        );
        let compared = self.compare(&points, &[before, after]).await?;
        self.finish(json!({ "messages": compared.equal, "bytes": compared.bytes }));

        self.begin(
            "verify",
            "The repository is read in full: every byte that the points need is authenticated.",
        );
        let running = self.repository.verify(VerifyOptions::default());
        let report = self.session.follow("verify", running).await?;
        let verified = repo::render_verify(self.session, &report) == Exit::Ok;
        if verified {
            self.proven
                .push("every stored byte that the points need is there and authentic".into());
        } else {
            self.mismatches.push("the repository is damaged".into());
        }
        self.finish(json!({ "damage": report.damage.len() }));

        self.summary(&full, &incremental, points.len() as u64, recovered, &compared)
            .await
    }

    fn say(&self, sentence: impl AsRef<str>) {
        self.session
            .output
            .line(format!("  {}", text::escape(sentence.as_ref())));
    }

    fn begin(&mut self, name: &'static str, sentence: &str) {
        // The preparation is number 0 and has no line.
        let number = self.phases.len();
        self.session.output.line(String::new());
        self.session.output.line(format!("{number}. {sentence}"));
        self.began = Some((name, self.session.clock().monotonic()));
    }

    fn finish(&mut self, figures: serde_json::Value) {
        let Some((name, start)) = self.began.take() else {
            return;
        };
        let duration_ms = milliseconds(self.session.since(start));
        self.session.output.record(
            "phase",
            &json!({ "phase": name, "duration_ms": duration_ms, "figures": figures }),
        );
        self.phases.push(Phase { name, duration_ms });
    }

    fn take_originals(&mut self) -> Result<Moment> {
        self.originals.take(&self.emulator)
    }

    async fn back_up(&self, objects: &[ObjectRecord]) -> Result<Totals> {
        let totals = backup::run(self.session, &self.repository, &self.connector, objects.to_vec()).await?;
        if let Some(error) = totals.first_error {
            return Err(error);
        }
        if totals.partial > 0 {
            return Err(Error::new(
                ErrorKind::Internal,
                "a backup of the emulated organisation is partial",
            )
            .with_hint("The failed items are listed above; report this."));
        }
        self.say(format!(
            "{} in {}: {} read with {}, {} stored.",
            text::counted(totals.items, "message"),
            text::counted(totals.complete, "recovery point"),
            text::size(totals.bytes_read),
            text::counted(totals.requests, "request"),
            text::size(totals.bytes_stored),
        ));
        Ok(totals)
    }

    fn tell(&self, story: &Story) {
        self.say(format!(
            "{} arrived, {} edited, {} moved, {} deleted.",
            text::counted(story.arrived, "message"),
            story.edited,
            story.moved,
            story.deleted
        ));
        if let Some(lost) = &story.lost {
            self.say(format!(
                "Accident 1: {} deletes the folder '{}' with {} and empties the bin.",
                lost.mailbox,
                lost.path,
                text::counted(lost.messages.len() as u64, "message")
            ));
        }
        if let Some(overwritten) = &story.overwritten {
            self.say(format!(
                "Accident 2: {} saves over the message '{}'.",
                overwritten.mailbox, overwritten.before.subject
            ));
        }
    }

    /// The two points of each object, the older one first.
    fn points(&self, objects: &[ObjectRecord]) -> Result<Vec<Manifest>> {
        let mut all = Vec::new();
        for object in objects {
            let points = self.repository.points(&object.id);
            if points.len() != 2 {
                return Err(Error::internal(format!(
                    "{}: {} points instead of 2",
                    object.name,
                    points.len()
                )));
            }
            all.extend(points);
        }
        point::print(self.session, &self.repository, &all);
        Ok(all)
    }

    /// The first point of a mailbox.
    fn first_point(&self, points: &[Manifest], mailbox: &str) -> Result<Manifest> {
        let address = |point: &Manifest| point.object.address.clone().unwrap_or_default();
        points
            .iter()
            .find(|point| address(point).eq_ignore_ascii_case(mailbox))
            .cloned()
            .ok_or_else(|| Error::not_found("recovery point of", mailbox))
    }

    /// Finds one of the lost messages by its subject.
    async fn search(&mut self, story: &Story, points: &[Manifest]) -> Result<u64> {
        let candidates = story
            .lost
            .iter()
            .flat_map(|lost| lost.messages.iter().map(|message| (&lost.mailbox, message)))
            .chain(
                story
                    .overwritten
                    .iter()
                    .map(|overwritten| (&overwritten.mailbox, &overwritten.before)),
            );
        // A subject of plain words can be quoted as it is; others hold the query's own signs.
        let plain = |subject: &str| {
            !subject.trim().is_empty()
                && subject
                    .chars()
                    .all(|c| c.is_alphanumeric() || " .,:;-_/()&".contains(c))
        };
        let Some((mailbox, message)) = candidates
            .into_iter()
            .find(|(_, message)| plain(&message.subject))
        else {
            self.say("No lost message has a subject of plain words; nothing to search for.");
            return Ok(0);
        };
        let query = format!("subject:\"{}\"", message.subject.trim());
        let view = PointView::open(&self.repository, self.first_point(points, mailbox)?);
        let mut hits = view.find(&Query::parse(&query)?);
        let (mut count, mut seen) = (0, false);
        while let Some(hit) = self
            .session
            .unless_cancelled(async { hits.next().await.transpose() })
            .await?
        {
            count += 1;
            if hit.record.id == message.id {
                seen = true;
                self.say(format!(
                    "'{query}' finds {} ({}).",
                    hit.path,
                    text::size(hit.record.size)
                ));
            }
        }
        if seen {
            self.proven.push("a lost message was found by its subject".into());
        } else {
            self.mismatches
                .push(format!("the search for {query} does not find the message"));
        }
        Ok(count)
    }

    /// Recovers what the accidents took and compares it, through the emulator, with what it was.
    async fn recover(&mut self, story: &Story, points: &[Manifest], before: &Moment) -> Result<u64> {
        let mut recovered = 0;
        if let Some(lost) = &story.lost {
            let wanted = lost.messages.iter().collect::<Vec<_>>();
            let selection = Selection::paths([lost.path.clone()]);
            recovered += self
                .recover_one(&lost.mailbox, points, selection, &wanted, before)
                .await?;
        }
        if let Some(overwritten) = &story.overwritten {
            let selection = Selection::ids([overwritten.before.id.clone()]);
            recovered += self
                .recover_one(
                    &overwritten.mailbox,
                    points,
                    selection,
                    &[&overwritten.before],
                    before,
                )
                .await?;
        }
        Ok(recovered)
    }

    async fn recover_one(
        &mut self,
        mailbox: &str,
        points: &[Manifest],
        selection: Selection,
        wanted: &[&organisation::Before],
        before: &Moment,
    ) -> Result<u64> {
        let manifest = self.first_point(points, mailbox)?;
        let planning = recovery::plan(
            &self.repository,
            &manifest,
            selection,
            &self.connector,
            Target::Original,
            OnConflict::Overwrite,
        );
        let plan = self.session.follow("plan", planning).await?;
        let applying = recovery::apply(&self.repository, plan, &self.connector);
        let report = self.session.follow("recover", applying).await?;
        let (mut equal, mut not_carried) = (0, std::collections::BTreeSet::new());
        let truth = self.emulator.mailbox(mailbox).map_err(organisation::defect)?;
        for message in wanted {
            let Some(result) = outcome(&report, &message.id) else {
                self.mismatches
                    .push(format!("{mailbox}: '{}' was not recovered", message.subject));
                continue;
            };
            not_carried.extend(result.not_carried.iter().cloned());
            let mime = before.get(mailbox).and_then(|messages| messages.get(&message.id));
            let Some(mime) = mime else {
                return Err(Error::internal("a lost message has no original"));
            };
            let mut differences = recovered::differences(&truth, &result.id, &message.json, mime)?;
            // What Graph cannot carry is said by the report, and shown below; anything else is a mismatch.
            differences.retain(|difference| !recovered::is_excused(difference, &result.not_carried));
            if differences.is_empty() {
                equal += 1;
            } else {
                let what = differences.join(", ");
                self.mismatches.push(format!(
                    "{mailbox}: recovered '{}' differs: {what}",
                    message.subject
                ));
            }
        }
        self.say(format!(
            "{mailbox}: {} of {} recovered with the properties, body and attachments they had.",
            text::count(equal),
            text::counted(wanted.len() as u64, "message")
        ));
        for line in &not_carried {
            self.say(format!("Graph does not take: {line}."));
        }
        if equal == wanted.len() as u64 {
            self.proven.push(format!(
                "{} recovered with equal content",
                text::counted(equal, "lost message")
            ));
        }
        Ok(equal)
    }

    /// Exports every mailbox of both points and compares it with the originals of that moment.
    async fn compare(&mut self, points: &[Manifest], moments: &[Moment; 2]) -> Result<Compared> {
        let mut all = Compared::default();
        for (index, point) in points.iter().enumerate() {
            let mailbox = point.object.address.clone().unwrap_or_default();
            let empty = std::collections::BTreeMap::new();
            let originals = moments[index % 2]
                .iter()
                .find(|(address, _)| address.eq_ignore_ascii_case(&mailbox))
                .map_or(&empty, |(_, messages)| messages);
            let folder = self.place.scratch(&format!("export-{}", point.id));
            let options = ExportOptions::new(Destination::Directory(folder.clone()));
            let running = recovery::export(&self.repository, point, Selection::All, options);
            self.session.follow(&format!("export {mailbox}"), running).await?;
            let compared = originals::compare_export(&folder, &mailbox, originals)?;
            self.say(format!(
                "{mailbox}, point {}: {} equal ({}), {} different.",
                short(&point.id.to_string()),
                text::counted(compared.equal, "message"),
                text::size(compared.bytes),
                compared.mismatches.len()
            ));
            all.add(compared);
            std::fs::remove_dir_all(&folder).map_err(|error| place::io(&folder, &error))?;
        }
        if all.mismatches.is_empty() && all.equal > 0 {
            self.proven.push(format!(
                "{} of both points came back byte for byte",
                text::counted(all.equal, "message")
            ));
        }
        self.mismatches.append(&mut all.mismatches);
        Ok(all)
    }

    /// The last words.
    async fn summary(
        &self,
        full: &Totals,
        incremental: &Totals,
        points: u64,
        recovered: u64,
        compared: &Compared,
    ) -> Result<Exit> {
        let output = &self.session.output;
        let info = self.repository.info().await?;
        let bytes_read = full.bytes_read + incremental.bytes_read;
        let requests = self.emulator.requests().count();
        let verified = self.mismatches.is_empty() && compared.equal > 0;
        for mismatch in &self.mismatches {
            output.record("mismatch", &json!({ "message": mismatch }));
            output.line(format!("  MISMATCH {}", text::escape(mismatch)));
        }
        output.line(String::new());
        output.line("Summary");
        let time: u64 = self.phases.iter().map(|phase| phase.duration_ms).sum();
        let mut lines = vec![
            ("messages", text::count(incremental.items)),
            ("in all points", text::size(info.logical_bytes)),
            ("bytes read", text::size(bytes_read)),
            ("bytes stored", text::size(info.stored_bytes)),
            ("ratio", text::ratio(info.logical_bytes, info.stored_bytes)),
            ("requests", text::count(requests)),
            ("points", text::count(points)),
            ("recovered", text::counted(recovered, "message")),
            (
                "compared",
                format!(
                    "{}, {}",
                    text::counted(compared.equal, "message"),
                    text::size(compared.bytes)
                ),
            ),
            ("mismatches", text::count(self.mismatches.len() as u64)),
            ("time", text::duration(Duration::from_millis(time))),
        ];
        let phases: Vec<(String, String)> = self
            .phases
            .iter()
            .map(|phase| {
                (
                    format!("  {}", phase.name),
                    text::duration(Duration::from_millis(phase.duration_ms)),
                )
            })
            .collect();
        lines.extend(phases.iter().map(|(name, time)| (name.as_str(), time.clone())));
        for (label, value) in lines {
            output.line(format!("  {label:<20} {value}"));
        }
        for proof in &self.proven {
            output.line(format!("  Proven: {proof}."));
        }
        if self.place.is_kept() {
            output.line(format!(
                "  Look around: nakivo object list --repo file:{} --passphrase-file {}",
                text::escape(&self.place.vault().display().to_string()),
                text::escape(&self.place.passphrase_file().display().to_string())
            ));
        }
        output.line(if verified {
            "Everything matched."
        } else {
            "NOT everything matched."
        });
        output.record(
            "summary",
            &json!({
                "verified": verified,
                "items": incremental.items,
                "bytes_read": bytes_read,
                "bytes_stored": info.stored_bytes,
                "bytes_logical": info.logical_bytes,
                "ratio": text::ratio_value(info.logical_bytes, info.stored_bytes),
                "points": points,
                "recovered": recovered,
                "compared": compared.equal,
                "compared_bytes": compared.bytes,
                "mismatches": self.mismatches.len(),
                "requests": requests,
                "duration_ms": time,
                "phases": self.phases,
                "proven": self.proven,
                "seed": self.seed,
            }),
        );
        Ok(if verified { Exit::Ok } else { Exit::Failed })
    }
}

/// What became of the message with this id.
fn outcome<'r>(report: &'r RecoveryReport, id: &str) -> Option<&'r nakivo_core::connector::Recovered> {
    report
        .items
        .iter()
        .find(|item| item.id == id)
        .and_then(|item| match &item.outcome {
            ItemOutcome::Recovered(recovered) => Some(recovered),
            _ => None,
        })
}

fn totals_record(totals: &Totals) -> serde_json::Value {
    json!({
        "points": totals.complete,
        "items": totals.items,
        "bytes_read": totals.bytes_read,
        "bytes_stored": totals.bytes_stored,
        "requests": totals.requests,
    })
}
