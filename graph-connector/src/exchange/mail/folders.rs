//! The folders of a mailbox: listed level by level, hidden ones included, well-known ones named.

use std::collections::{HashMap, HashSet};

use nakivo_core::Error;
use nakivo_core::connector::ItemHead;
use nakivo_core::format::record::Value;

use super::READ_PERMISSION;
use crate::batch;
use crate::exchange::heads;
use crate::exchange::list::Listing;
use crate::exchange::service::MailboxService;
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::pages;
use crate::request::Operation;

/// Names that do not depend on the mailbox's language (contract 4.1). Resolved by path segment, never by display name.
pub(crate) const WELL_KNOWN: [&str; 15] = [
    "msgfolderroot",
    "inbox",
    "drafts",
    "sentitems",
    "deleteditems",
    "junkemail",
    "outbox",
    "archive",
    "clutter",
    "conversationhistory",
    "scheduled",
    "syncissues",
    "conflicts",
    "localfailures",
    "serverfailures",
];
const FOLDER_TYPE: &str = "#microsoft.graph.mailFolder";
/// Folders read in one page.
const FOLDER_PAGE: &str = "250";
/// More folders than this are not a mailbox.
const MAX_FOLDERS: usize = 100_000;
/// Deepest nesting. Exchange allows 300.
const MAX_DEPTH: usize = 1000;

/// One folder.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    pub(crate) id: String,
    /// Empty for the top level.
    pub(crate) parent: String,
    pub(crate) name: String,
    pub(crate) well_known: Option<&'static str>,
    pub(crate) hidden: bool,
    pub(crate) raw: String,
}

/// The folders, parents before children, and whether these are all.
#[derive(Debug, Default)]
pub(crate) struct FolderTree {
    pub(crate) folders: Vec<Folder>,
    /// Id of the folder above the top level, if it could be resolved.
    pub(crate) root: Option<String>,
    /// Folders whose children could not be listed, and why.
    pub(crate) failed: Vec<(String, Error)>,
}

impl Folder {
    pub(crate) fn parse(raw: &str, parent: &str) -> Option<Self> {
        let fields = Fields::parse(raw)?;
        // A search folder shows messages that live elsewhere (contract 4.1).
        if fields
            .text("@odata.type")
            .is_some_and(|kind| kind.eq_ignore_ascii_case("#microsoft.graph.mailSearchFolder"))
        {
            return None;
        }
        Some(Self {
            id: fields.text("id").filter(|id| !id.is_empty())?,
            parent: parent.to_owned(),
            name: fields.text("displayName").unwrap_or_default(),
            well_known: None,
            hidden: fields.flag("isHidden").unwrap_or(false),
            raw: raw.to_owned(),
        })
    }

    pub(crate) fn head(&self) -> ItemHead {
        let item = MailboxService::Mail.place(&self.parent, &self.id);
        let mut head = heads::container(FOLDER_TYPE, &self.raw, item, self.name.clone());
        if let Some(name) = self.well_known {
            head = heads::well_known(head, name);
        }
        if self.hidden {
            head.properties.insert("hidden".to_owned(), Value::Bool(true));
        }
        head
    }
}

impl FolderTree {
    pub(crate) fn into_listing(self) -> Listing {
        Listing {
            heads: self.folders.iter().map(Folder::head).collect(),
            failed: self.failed,
        }
    }
}

/// Lists all folders of a mailbox. One request for the top level, one for the well-known names, and one for every twenty
/// folders: every folder is asked for children, because hidden children may not be counted (contract 4.1).
///
/// # Errors
/// If the top level cannot be listed.
pub(crate) async fn list(graph: &Graph, scope: &Scope, user: &str) -> Result<FolderTree, Fault> {
    let query = [("includeHiddenFolders", "true"), ("$top", FOLDER_PAGE)];
    let first = graph.call(scope, Operation::MailFolders, &[user], &query)?;
    let mut tree = FolderTree::default();
    let mut seen = HashSet::new();
    let mut level: Vec<Folder> = pages::all(graph, scope, first, MAX_FOLDERS)
        .await?
        .iter()
        .filter_map(|raw| Folder::parse(raw, ""))
        .filter(|folder| seen.insert(folder.id.clone()))
        .collect();
    for _ in 0..MAX_DEPTH {
        if level.is_empty() {
            break;
        }
        let children = children(graph, scope, user, &level, &mut tree.failed).await?;
        tree.folders.append(&mut level);
        level = children
            .into_iter()
            .filter(|folder| seen.insert(folder.id.clone()))
            .collect();
        if tree.folders.len() > MAX_FOLDERS {
            return Err(Fault::Protocol {
                code: "too_many_folders",
                message: "the folder list never ends".into(),
            });
        }
    }
    let names = well_known(graph, scope, user, &WELL_KNOWN).await?;
    for folder in &mut tree.folders {
        folder.well_known = names
            .iter()
            .find(|(_, id)| **id == folder.id)
            .map(|(name, _)| *name);
    }
    tree.root = names.get("msgfolderroot").cloned();
    Ok(tree)
}

async fn children(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    parents: &[Folder],
    failed: &mut Vec<(String, Error)>,
) -> Result<Vec<Folder>, Fault> {
    let query = [("includeHiddenFolders", "true"), ("$top", FOLDER_PAGE)];
    let mut targets = Vec::with_capacity(parents.len());
    for parent in parents {
        targets.push(
            graph
                .requests
                .target(Operation::ChildFolders, &[user, &parent.id], &query)
                .map_err(Fault::Ready)?,
        );
    }
    let mut found = Vec::new();
    for (parent, answer) in parents.iter().zip(batch::get_all(graph, scope, &targets).await?) {
        let listed = match answer {
            Ok(body) => match batch::collection(&body) {
                Some((mut raws, next)) => match next {
                    None => Ok(raws),
                    // A member's next link is followed outside the batch.
                    Some(link) => match graph.follow(scope, &link) {
                        Ok(call) => pages::all(graph, scope, call, MAX_FOLDERS).await.map(|rest| {
                            raws.extend(rest);
                            raws
                        }),
                        Err(fault) => Err(fault),
                    },
                },
                None => Err(Fault::Protocol {
                    code: "no_collection",
                    message: "no list of folders".into(),
                }),
            },
            Err(fault) => Err(fault),
        };
        match listed {
            Ok(raws) => found.extend(raws.iter().filter_map(|raw| Folder::parse(raw, &parent.id))),
            // Deleted since its parent was listed: it has no children.
            Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => {}
            Err(fault) => {
                let error = fault.into_error("listing the folders below", Some(READ_PERMISSION));
                failed.push((parent.id.clone(), error));
            }
        }
    }
    Ok(found)
}

/// Ids of well-known folders; those that the mailbox does not have are left out.
pub(crate) async fn well_known(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    names: &[&'static str],
) -> Result<HashMap<&'static str, String>, Fault> {
    let mut targets = Vec::with_capacity(names.len());
    for name in names {
        let query = [("$select", "id,displayName")];
        targets.push(
            graph
                .requests
                .target(Operation::MailFolder, &[user, name], &query)
                .map_err(Fault::Ready)?,
        );
    }
    let answers = batch::get_all(graph, scope, &targets).await?;
    Ok(names
        .iter()
        .zip(answers)
        .filter_map(|(name, answer)| Some((*name, Fields::parse(&answer.ok()?)?.text("id")?)))
        .collect())
}
