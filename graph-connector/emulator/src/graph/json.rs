//! JSON of messages, folders and users in the shape and the names of Graph.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::clock;
use crate::graph::odata::Select;
use crate::http::path;
use crate::ids;
use crate::mail::folder::Folder;
use crate::mail::mailbox::{Mailbox, view_of};
use crate::mail::message::{Content, Msg};
use crate::mail::text;
use crate::mail::view::{Address, Meeting, View};
use crate::random::{key, text_key};
use crate::world::User;

/// What a request wants to see of messages.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    pub select: Select,
    /// Ids of MAPI properties asked for.
    pub properties: Vec<String>,
    pub immutable: bool,
    /// `text`, `html` or nothing.
    pub body_type: Option<String>,
    /// Mail.ReadBasic only.
    pub basic: bool,
}

/// What is copied out of a locked mailbox to render one message.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub serial: u32,
    pub msg: Msg,
    pub mailbox: u64,
    pub generator: Arc<crate::generate::Generator>,
}

impl Snapshot {
    pub(crate) fn of(mailbox: &Mailbox, serial: u32) -> Option<Self> {
        Some(Self {
            serial,
            msg: mailbox.message(serial)?.clone(),
            mailbox: mailbox.key,
            generator: Arc::clone(&mailbox.generator),
        })
    }

    pub(crate) fn id(&self, immutable: bool) -> String {
        ids::message(self.mailbox, self.serial, self.msg.place, immutable)
    }

    pub(crate) fn etag(&self) -> String {
        format!("W/\"{}\"", ids::change_key(self.mailbox, self.msg.version))
    }

    /// What the message says; without its body when that is not needed and costs something.
    pub(crate) fn view(&self, body: bool) -> Arc<View> {
        match &self.msg.content {
            Content::Generated(recipe) if !body => Arc::new(self.generator.head(*recipe)),
            content => view_of(content, &self.generator),
        }
    }
}

pub(crate) fn recipient(a: &Address) -> Value {
    json!({"emailAddress": {"name": a.name, "address": a.address}})
}

fn recipients(list: &[Address]) -> Value {
    Value::Array(list.iter().map(recipient).collect())
}

/// Default properties of a message and where they come from.
pub(crate) fn message(snapshot: &Snapshot, shape: &Shape) -> Map<String, Value> {
    let select = &shape.select;
    let wants = |p: &str| select.wants(p);
    let body_wanted = !shape.basic && (wants("body") || wants("bodyPreview") || select.names("uniqueBody"));
    let headers_wanted = select.names("internetMessageHeaders");
    let view = snapshot.view(body_wanted);
    let msg = &snapshot.msg;
    let over = msg.over.clone().unwrap_or_default();
    let generated = match msg.content {
        Content::Generated(recipe) => Some(recipe),
        _ => None,
    };
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        if wants(name) {
            out.insert(name.to_owned(), value);
        }
    };
    let change = ids::change_key(snapshot.mailbox, msg.version);
    let thread = text_key(view.thread_name());
    let id = snapshot.id(shape.immutable);
    put("createdDateTime", json!(clock::iso(msg.created)));
    put("lastModifiedDateTime", json!(clock::iso(msg.modified)));
    put("changeKey", json!(change));
    put(
        "categories",
        json!(over.categories.unwrap_or_else(|| {
            generated
                .map(|r| snapshot.generator.categories(r))
                .unwrap_or_default()
        })),
    );
    put("receivedDateTime", json!(clock::iso(msg.received)));
    put(
        "sentDateTime",
        json!(clock::iso(view.sent.unwrap_or(msg.received))),
    );
    put("hasAttachments", json!(view.has_attachments()));
    put("internetMessageId", json!(view.message_id));
    put("subject", json!(view.subject));
    put(
        "importance",
        json!(
            over.importance
                .as_deref()
                .unwrap_or(if view.importance.is_empty() {
                    "normal"
                } else {
                    &view.importance
                })
        ),
    );
    put("parentFolderId", json!(ids::folder(snapshot.mailbox, msg.folder)));
    put(
        "conversationId",
        json!(ids::conversation(snapshot.mailbox, thread)),
    );
    put(
        "conversationIndex",
        json!(ids::conversation_index(
            thread,
            view.sent.unwrap_or(msg.received),
            view.references.len().min(30)
        )),
    );
    put(
        "isDeliveryReceiptRequested",
        over.delivery_receipt.map_or(
            if msg.draft || view.delivery_receipt {
                json!(view.delivery_receipt)
            } else {
                Value::Null
            },
            Value::Bool,
        ),
    );
    put(
        "isReadReceiptRequested",
        json!(over.read_receipt.unwrap_or(view.read_receipt)),
    );
    put("isRead", json!(msg.read));
    put("isDraft", json!(msg.draft));
    put(
        "webLink",
        json!(format!(
            "https://outlook.office365.com/owa/?ItemID={}&exvsurl=1&viewmodel=ReadMessageItem",
            path::encode(&id)
        )),
    );
    put(
        "inferenceClassification",
        json!(over.inference.as_deref().unwrap_or("focused")),
    );
    put("sender", view.sender.as_ref().map_or(Value::Null, recipient));
    put("from", view.from.as_ref().map_or(Value::Null, recipient));
    put("toRecipients", recipients(&view.to));
    put("ccRecipients", recipients(&view.cc));
    put("bccRecipients", recipients(&view.bcc));
    put("replyTo", recipients(&view.reply_to));
    put(
        "flag",
        over.flag.unwrap_or_else(
            || json!({"flagStatus": generated.map_or("notFlagged", |r| snapshot.generator.flag(r))}),
        ),
    );
    if !shape.basic {
        let as_text = || {
            if view.html {
                text::from_html(&view.body)
            } else {
                view.body.clone()
            }
        };
        if wants("bodyPreview") {
            put("bodyPreview", json!(text::preview(&as_text())));
        }
        for name in ["body", "uniqueBody"] {
            if name == "uniqueBody" && !select.names(name) || !wants(name) {
                continue;
            }
            let (kind, content) = match shape.body_type.as_deref() {
                Some("text") => ("text", as_text()),
                Some("html") if !view.html => ("html", text::to_html(&view.body)),
                _ if view.html => ("html", text::document(&view.body)),
                _ => ("text", view.body.clone()),
            };
            put(name, json!({"contentType": kind, "content": content}));
        }
        if headers_wanted {
            let headers = match generated {
                Some(recipe) => snapshot.generator.headers(recipe),
                None => match msg.property("String 0x007D").and_then(Value::as_str) {
                    Some(block) => split_headers(block),
                    None => view.headers.clone(),
                },
            };
            let list: Vec<Value> = headers
                .iter()
                .map(|(n, v)| json!({"name": n, "value": v}))
                .collect();
            put("internetMessageHeaders", Value::Array(list));
        }
    }
    if let Some(meeting) = view.meeting {
        let (kind, role) = match meeting {
            Meeting::Request => ("eventMessageRequest", "meetingRequest"),
            Meeting::Cancelled => ("eventMessage", "meetingCancelled"),
            Meeting::Accepted => ("eventMessageResponse", "meetingAccepted"),
            Meeting::Declined => ("eventMessageResponse", "meetingDeclined"),
            Meeting::Tentative => ("eventMessageResponse", "meetingTenativelyAccepted"),
        };
        if wants("meetingMessageType") {
            out.insert("meetingMessageType".into(), json!(role));
        }
        out.insert("@odata.type".into(), json!(format!("#microsoft.graph.{kind}")));
    }
    out.insert("@odata.etag".into(), json!(snapshot.etag()));
    out.insert("id".into(), json!(id));
    if !shape.properties.is_empty() && !shape.basic {
        let found: Vec<Value> = shape
            .properties
            .iter()
            .filter_map(|id| property(snapshot, &view, id).map(|v| json!({"id": id, "value": v})))
            .collect();
        if !found.is_empty() {
            out.insert("singleValueExtendedProperties".into(), Value::Array(found));
        }
    }
    out
}

fn split_headers(block: &str) -> Vec<(String, String)> {
    block
        .replace("\r\n", "\n")
        .replace("\n ", " ")
        .replace("\n\t", " ")
        .split('\n')
        .filter_map(|l| l.split_once(':'))
        .map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned()))
        .collect()
}

/// A MAPI property: what was set, else the few that follow from the message itself.
fn property(snapshot: &Snapshot, view: &View, id: &str) -> Option<Value> {
    if let Some(value) = snapshot.msg.property(id) {
        return Some(value.clone());
    }
    let msg = &snapshot.msg;
    Some(match crate::mail::message::property_key(id).as_str() {
        "integer 0xe07" => {
            let flags =
                i64::from(msg.read) | i64::from(msg.draft) << 3 | i64::from(view.has_attachments()) << 4;
            json!(flags.to_string())
        }
        "systemtime 0xe06" => json!(clock::iso(msg.received)),
        "systemtime 0x39" => json!(clock::iso(view.sent?)),
        "string 0x1a" => json!("IPM.Note"),
        "string 0x1042" => json!(view.in_reply_to.clone()?),
        "string 0x1039" if !view.references.is_empty() => json!(view.references.join(" ")),
        "string 0x1035" => json!(view.message_id.clone()?),
        "string 0x37" => json!(view.subject.clone()?),
        "string 0x7d" if !msg.draft => {
            let headers = match msg.content {
                Content::Generated(recipe) => snapshot.generator.headers(recipe),
                _ => view.headers.clone(),
            };
            if headers.is_empty() {
                return None;
            }
            json!(
                headers
                    .iter()
                    .map(|(n, v)| format!("{n}: {v}\r\n"))
                    .collect::<String>()
            )
        }
        _ => return None,
    })
}

/// Folders of a mailbox by parent with their counts.
pub(crate) fn folder(
    mailbox: &Mailbox,
    folder: &Folder,
    select: &Select,
    properties: &[String],
) -> Map<String, Value> {
    let mut out = Map::new();
    let visible = mailbox.children(folder.serial).filter(|f| !f.hidden).count();
    let (total, unread) = match &folder.search {
        Some(search) => search
            .sources
            .iter()
            .filter_map(|s| mailbox.folder(*s))
            .fold((0, 0), |(t, u), f| (t + f.by_received.len(), u + f.unread)),
        None => (folder.by_received.len(), folder.unread),
    };
    let mut put = |name: &str, value: Value| {
        if select.wants(name) {
            out.insert(name.to_owned(), value);
        }
    };
    put("displayName", json!(folder.name));
    put("parentFolderId", json!(mailbox.folder_id(folder.parent.max(1))));
    put("childFolderCount", json!(visible));
    put("unreadItemCount", json!(unread));
    put("totalItemCount", json!(total));
    put("isHidden", json!(folder.hidden));
    if let Some(search) = &folder.search {
        put("isSupported", json!(true));
        put("includeNestedFolders", json!(false));
        put(
            "sourceFolderIds",
            json!(
                search
                    .sources
                    .iter()
                    .map(|s| mailbox.folder_id(*s))
                    .collect::<Vec<_>>()
            ),
        );
        put("filterQuery", json!(search.query));
        out.insert("@odata.type".into(), json!("#microsoft.graph.mailSearchFolder"));
    }
    out.insert("id".into(), json!(mailbox.folder_id(folder.serial)));
    let found: Vec<Value> = properties
        .iter()
        .filter_map(|id| {
            let wanted = crate::mail::message::property_key(id);
            let (_, value) = folder
                .properties
                .iter()
                .find(|(n, _)| crate::mail::message::property_key(n) == wanted)?;
            Some(json!({"id": id, "value": value}))
        })
        .collect();
    if !found.is_empty() {
        out.insert("singleValueExtendedProperties".into(), Value::Array(found));
    }
    out
}

/// All properties of a user that the emulator knows.
pub(crate) fn user(user: &User, select: &Select, seed: u64) -> Map<String, Value> {
    const BASIC: [&str; 11] = [
        "businessPhones",
        "displayName",
        "givenName",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "surname",
        "userPrincipalName",
        "id",
    ];
    let p = &user.person;
    let k = key(&[seed, text_key(&p.id), 81]);
    let mailbox = user.mailbox.is_some();
    let all = json!({
        "businessPhones": [format!("+49 30 {:07}", k % 10_000_000)],
        "displayName": p.display,
        "givenName": p.given,
        "jobTitle": p.title,
        "mail": if mailbox { json!(p.address) } else { Value::Null },
        "mobilePhone": null,
        "officeLocation": format!("{}/{:04}", 1 + k % 20, k % 3000),
        "preferredLanguage": "en-US",
        "surname": p.surname,
        "userPrincipalName": p.address,
        "id": p.id,
        "department": p.department,
        "accountEnabled": p.enabled,
        "userType": "Member",
        "mailNickname": p.address.split('@').next().unwrap_or(""),
        "proxyAddresses": if mailbox { json!([format!("SMTP:{}", p.address)]) } else { json!([]) },
        "otherMails": [],
        "onPremisesSyncEnabled": null,
        "createdDateTime": clock::iso(clock::BASE_MS - 900 * 86_400_000),
        "usageLocation": "DE",
        "city": "Berlin",
        "country": "Germany",
        "postalCode": "10115",
        "companyName": "Fabrika",
        "assignedLicenses": if mailbox && p.purpose == crate::generate::people::Purpose::User {
            json!([{"disabledPlans": [], "skuId": "6fd2c87f-b296-42f0-b197-1e91e994b900"}])
        } else {
            json!([])
        },
        "assignedPlans": if mailbox {
            json!([{"assignedDateTime": clock::iso(clock::BASE_MS - 900 * 86_400_000), "capabilityStatus": "Enabled",
                "service": "exchange", "servicePlanId": "efb87545-963c-4e0d-99df-69c6916d9eb0"}])
        } else {
            json!([])
        },
    });
    let Value::Object(all) = all else {
        return Map::new();
    };
    all.into_iter()
        .filter(|(name, _)| {
            if select.is_default() {
                BASIC.contains(&name.as_str())
            } else {
                select.wants(name)
            }
        })
        .collect()
}
