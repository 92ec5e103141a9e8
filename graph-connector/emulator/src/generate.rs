//! A believable organisation out of a seed: people, folders, threads, attachments. Nothing is stored: every message
//! is a pure function of (seed, user, index), so a mailbox of any size costs only its index.

pub(crate) mod content;
pub(crate) mod people;
pub(crate) mod words;

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::clock;
use crate::generate::people::Person;
use crate::mail::build::{self, Mime};
use crate::mail::data::{Data, Look, Made};
use crate::mail::message::Recipe;
use crate::mail::view::{Address, Part, PartKind, View};
use crate::random::{Stream, key, text_key};

/// Where a generated message lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slot {
    WellKnown(&'static str),
    /// Number of a custom folder, taken modulo how many there are.
    Custom(u32),
}

/// The seed and the people; makes messages.
#[derive(Debug)]
pub(crate) struct Generator {
    pub seed: u64,
    pub domain: String,
    pub people: Vec<Person>,
    /// Messages planned for each user, for spreading times.
    pub items: u32,
}

/// The first message of a mailbox arrived this long before [`clock::BASE_MS`]: two years.
const SPAN_MS: i64 = 730 * 86_400_000;

struct Thread {
    key: u64,
    /// Earlier messages of the thread, oldest first.
    before: Vec<u32>,
}

impl Generator {
    fn stream(&self, user: u32, index: u32, purpose: u64) -> Stream {
        Stream::new(&[self.seed, u64::from(user), u64::from(index), purpose])
    }

    /// Time of reception in Unix milliseconds, whole seconds, rising with the index; anywhere in the same two
    /// years for an index that was not planned.
    pub(crate) fn received(&self, user: u32, index: u32) -> i64 {
        let start = clock::BASE_MS - SPAN_MS;
        let draw = key(&[self.seed, u64::from(user), u64::from(index), 1]);
        if index >= self.items {
            return start + (draw % (SPAN_MS as u64 / 1000)) as i64 * 1000;
        }
        let step = (SPAN_MS / i64::from(self.items) / 1000 * 1000).max(1000);
        start + i64::from(index) * step + (draw % (step as u64 / 1000)) as i64 * 1000
    }

    pub(crate) fn slot(&self, user: u32, index: u32) -> Slot {
        match key(&[self.seed, u64::from(user), u64::from(index), 2]) % 100 {
            0..=43 => Slot::WellKnown("inbox"),
            44..=62 => Slot::WellKnown("sentitems"),
            63..=67 => Slot::WellKnown("deleteditems"),
            68..=69 => Slot::WellKnown("junkemail"),
            70..=73 => Slot::WellKnown("archive"),
            74 => Slot::WellKnown("drafts"),
            n => Slot::Custom(n as u32 - 75),
        }
    }

    pub(crate) fn read(&self, user: u32, index: u32) -> bool {
        match self.slot(user, index) {
            Slot::WellKnown("sentitems" | "drafts") => true,
            _ => !self.stream(user, index, 3).one_in(6),
        }
    }

    pub(crate) fn draft(&self, user: u32, index: u32) -> bool {
        self.slot(user, index) == Slot::WellKnown("drafts")
    }

    /// Categories of a message that nobody has changed.
    pub(crate) fn categories(&self, recipe: Recipe) -> Vec<String> {
        let mut s = self.stream(recipe.user, recipe.index, 4);
        const NAMES: [&str; 6] = [
            "Red category",
            "Blue category",
            "Project Ängström",
            "Follow-up",
            "Kunde: Müller & Co",
            "発注",
        ];
        if !s.one_in(9) {
            return vec![];
        }
        let mut out = vec![(*s.pick(&NAMES)).to_owned()];
        let second = (*s.pick(&NAMES)).to_owned();
        if s.one_in(3) && second != out[0] {
            out.push(second);
        }
        out
    }

    /// `flag.flagStatus` of a message that nobody has changed.
    pub(crate) fn flag(&self, recipe: Recipe) -> &'static str {
        match self.stream(recipe.user, recipe.index, 5).below(20) {
            0 => "flagged",
            1 => "complete",
            _ => "notFlagged",
        }
    }

    /// Message-ID of a generated message; [`Self::index_of`] reads it back.
    pub(crate) fn message_id(&self, user: u32, index: u32) -> String {
        let raw = (u64::from(user) << 32) | u64::from(index);
        let hidden = raw.rotate_left(23) ^ key(&[self.seed, 99]);
        let tag = key(&[self.seed, raw, 98]) as u16;
        format!("<NKV{hidden:016X}{tag:04X}@mail.{}>", self.domain)
    }

    pub(crate) fn index_of(&self, message_id: &str) -> Option<(u32, u32)> {
        let text = message_id.strip_prefix("<NKV")?;
        let hidden = u64::from_str_radix(text.get(..16)?, 16).ok()?;
        let raw = (hidden ^ key(&[self.seed, 99])).rotate_right(23);
        let (user, index) = ((raw >> 32) as u32, raw as u32);
        (self.message_id(user, index) == message_id).then_some((user, index))
    }

    fn thread(&self, user: u32, index: u32) -> Thread {
        let block = index / 8;
        let line = |i: u32| key(&[self.seed, u64::from(user), u64::from(i), 6]) % 3;
        let mine = line(index);
        Thread {
            key: key(&[self.seed, u64::from(user), u64::from(block), mine, 7]),
            before: (block * 8..index).filter(|i| line(*i) == mine).collect(),
        }
    }

    fn person(&self, number: u64) -> Address {
        match self
            .people
            .get((number % (self.people.len() as u64 + 7)) as usize)
        {
            Some(p) => Address::new(p.display.as_str(), p.address.as_str()),
            None => people::outsider(self.seed, number),
        }
    }

    /// Everything but the body, with parts whose sizes are known without making them.
    pub(crate) fn head(&self, recipe: Recipe) -> View {
        let Recipe { user, index, .. } = recipe;
        let thread = self.thread(user, index);
        let mut t = Stream::new(&[thread.key]);
        let mut subject = content::subject(&mut t);
        let owner = self.people.get(user as usize).map_or_else(
            || people::outsider(self.seed, u64::from(user)),
            |p| Address::new(p.display.as_str(), p.address.as_str()),
        );
        let mut others: Vec<Address> = Vec::new();
        for _ in 0..1 + t.below(4) {
            let a = self.person(t.next() >> 8);
            if a.address != owner.address && !others.contains(&a) {
                others.push(a);
            }
        }
        if others.is_empty() {
            others.push(people::outsider(self.seed, t.next() >> 8));
        }
        let mut s = self.stream(user, index, 8);
        let own = matches!(self.slot(user, index), Slot::WellKnown("sentitems" | "drafts"));
        let from = if own {
            owner.clone()
        } else {
            others[s.below(others.len() as u64) as usize].clone()
        };
        let mut rest: Vec<Address> = others.into_iter().filter(|a| a.address != from.address).collect();
        let (to, cc) = if own {
            if rest.is_empty() {
                rest.push(people::outsider(self.seed, s.next() >> 8));
            }
            let cc = rest.split_off(1.max(rest.len() / 2).min(rest.len()));
            (rest, cc)
        } else {
            (vec![owner], rest)
        };
        if !thread.before.is_empty() {
            subject = format!("{}: {subject}", if t.one_in(5) { "AW" } else { "RE" });
        }
        let received = self.received(user, index);
        let references: Vec<String> = thread.before.iter().map(|i| self.message_id(user, *i)).collect();
        View {
            subject: Some(subject),
            sender: Some(from.clone()),
            reply_to: if s.one_in(40) { vec![from.clone()] } else { vec![] },
            from: Some(from),
            to,
            cc,
            sent: Some(received - 1000 * s.below(5) as i64),
            received: Some(received),
            message_id: Some(self.message_id(user, index)),
            in_reply_to: references.last().cloned(),
            references,
            importance: match s.below(25) {
                0 | 1 => "high",
                2 => "low",
                _ => "normal",
            }
            .into(),
            html: content::is_html(self, recipe),
            parts: self.parts(recipe),
            ..View::default()
        }
    }

    fn parts(&self, recipe: Recipe) -> Vec<Part> {
        let Recipe { user, index, big } = recipe;
        let mut s = self.stream(user, index, 9);
        let html = content::is_html(self, recipe);
        let mut parts = Vec::new();
        let mut add = |name: String, kind: &str, cid: Option<String>, kind_of: PartKind| {
            let number = parts.len() as u32 + 1;
            let content_type = (!kind.is_empty()).then(|| kind.to_owned());
            parts.push(Part {
                number,
                name,
                content_type,
                inline: cid.is_some(),
                content_id: cid,
                content_location: None,
                kind: kind_of,
            });
        };
        if html && s.one_in(8) {
            let logo = s.below(5);
            let made = Made {
                look: Look::Png,
                key: key(&[self.seed, logo, 10]),
                len: 3000 + logo * 2100,
            };
            let cid = format!("logo{logo:02}@{}", self.domain);
            add(
                format!("image{logo:03}.png"),
                "image/png",
                Some(cid),
                PartKind::File(Data::Made(made)),
            );
        }
        if s.below(100) < 18 {
            for _ in 0..1 + s.below(3) / 2 + s.below(2) {
                let (name, kind, made) = content::pooled(self.seed, self.people.len() as u64, &mut s);
                add(name, kind, None, PartKind::File(Data::Made(made)));
            }
        }
        if s.one_in(60) && index > 0 {
            // Without the bytes: `view` fills them in.
            let nested = self.nested_recipe(recipe);
            let subject = self.subject_only(nested);
            add(subject, "", None, PartKind::Message(Data::Bytes(Bytes::new())));
        }
        if s.one_in(80) {
            let name = format!("{}.xlsx", content::title(&mut s));
            add(
                name,
                "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
                None,
                PartKind::Reference,
            );
        }
        if big > 0 {
            let made = Made {
                look: Look::Pdf,
                key: key(&[self.seed, u64::from(index), big, 11]),
                len: big,
            };
            add(
                "recording.bin".into(),
                "application/octet-stream",
                None,
                PartKind::File(Data::Made(made)),
            );
        }
        parts
    }

    fn nested_recipe(&self, recipe: Recipe) -> Recipe {
        Recipe {
            user: recipe.user,
            index: recipe.index / 2,
            big: 0,
        }
    }

    fn subject_only(&self, recipe: Recipe) -> String {
        let thread = self.thread(recipe.user, recipe.index);
        let mut t = Stream::new(&[thread.key]);
        content::subject(&mut t)
    }

    /// The whole message.
    pub(crate) fn view(&self, recipe: Recipe) -> View {
        let mut view = self.head(recipe);
        let text = self.own_text(recipe);
        let signature = view.from.clone().unwrap_or_default();
        let quoted = self.thread(recipe.user, recipe.index).before.last().map(|i| {
            let before = Recipe {
                index: *i,
                big: 0,
                ..recipe
            };
            (self.message_id(recipe.user, *i), self.own_text(before))
        });
        let cid = view
            .parts
            .iter()
            .find(|p| p.inline)
            .and_then(|p| p.content_id.clone());
        view.body = if view.html {
            content::html(&text, &signature, quoted.as_ref(), cid.as_deref())
        } else {
            content::plain(&text, &signature, quoted.as_ref())
        };
        let nested = self.nested_recipe(recipe);
        for part in &mut view.parts {
            if let PartKind::Message(data) = &mut part.kind {
                let mut inner = self.head(nested);
                inner.parts.clear();
                inner.subject = Some(part.name.clone());
                inner.html = false;
                inner.body = content::plain(
                    &self.own_text(nested),
                    &inner.from.clone().unwrap_or_default(),
                    None,
                );
                let headers = build::header_fields(&inner);
                *data = Data::Bytes(build::message(&inner, &headers, key(&[self.seed, 12])).bytes());
            }
        }
        view
    }

    fn own_text(&self, recipe: Recipe) -> Vec<String> {
        content::paragraphs(&mut self.stream(recipe.user, recipe.index, 13))
    }

    /// The header fields of a generated message.
    fn header_text(&self, recipe: Recipe, view: &View) -> String {
        let mut out = String::new();
        if !matches!(self.slot(recipe.user, recipe.index), Slot::WellKnown("drafts")) {
            let received = view.received.unwrap_or(clock::BASE_MS);
            let key = key(&[self.seed, u64::from(recipe.user), u64::from(recipe.index), 14]);
            out.push_str(&format!(
                "Received: from relay{:02}.{} (10.{}.{}.{})\r\n by mx1.{} (10.0.0.5) with ESMTPS id {:012x};\r\n {}\r\n",
                key % 8,
                self.domain,
                (key >> 8) % 250,
                (key >> 16) % 250,
                1 + (key >> 24) % 250,
                self.domain,
                key >> 16,
                clock::rfc2822(received)
            ));
        }
        out.push_str(&build::header_fields(view));
        if let Some(subject) = &view.subject {
            let topic = subject.trim_start_matches("RE: ").trim_start_matches("AW: ");
            out.push_str(&format!("Thread-Topic: {}\r\n", build::encoded_words(topic)));
        }
        out.push_str("X-Mailer: Nakivo sample mail\r\n");
        out
    }

    /// The MIME of a generated message.
    pub(crate) fn mime(&self, recipe: Recipe) -> Mime {
        let view = self.view(recipe);
        let headers = self.header_text(recipe, &view);
        let seed = key(&[self.seed, u64::from(recipe.user), u64::from(recipe.index), 15]);
        build::message(&view, &headers, seed)
    }

    /// `internetMessageHeaders` of a generated message.
    pub(crate) fn headers(&self, recipe: Recipe) -> Vec<(String, String)> {
        let Some(first) = self
            .mime(recipe)
            .pieces()
            .take(2)
            .reduce(|a, b| [a, b].concat().into())
        else {
            return vec![];
        };
        let text = String::from_utf8_lossy(&first).into_owned();
        let head = text.split("\r\n\r\n").next().unwrap_or("");
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        unfolded
            .split("\r\n")
            .filter_map(|l| l.split_once(':'))
            .map(|(n, v)| (n.to_owned(), v.trim().to_owned()))
            .collect()
    }

    /// Names of the custom folders of a user as paths of display names, parents before children.
    pub(crate) fn folders(&self, user: u32) -> Vec<Vec<String>> {
        let mut s = self.stream(user, 0, 16);
        let mut out: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        let base: [&[&str]; 10] = [
            &["Projects"],
            &["Projects", "Nordlicht"],
            &["Projects", "Nordlicht", "Verträge"],
            &["Projects", "A/B & 50% plan"],
            &["Customers"],
            &["Customers", "発注 東京"],
            &["Inbox", "Newsletters"],
            &["Invoices 2025"],
            &["Личное"],
            &["Inbox", "To do"],
        ];
        for (n, path) in base.iter().enumerate() {
            if n < 3 || !s.one_in(4) || (n == 4) {
                out.insert(n, path.iter().map(|p| (*p).to_owned()).collect());
            }
        }
        out.into_values().collect()
    }

    /// A key for the mailbox of a user.
    pub(crate) fn mailbox_key(&self, address: &str) -> u64 {
        key(&[self.seed, text_key(&address.to_lowercase()), 17])
    }
}
