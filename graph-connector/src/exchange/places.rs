//! Containers of a target mailbox, found by name or made.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nakivo_core::connector::Existing;
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::format::record::ItemRecord;
use nakivo_core::{Error, ErrorKind};
use serde_json::{Value, json};

use super::mail::folders::WELL_KNOWN;
use super::service::MailboxService;
use super::{calendar, contacts, mail, scope_of};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;
use crate::json::Fields;
use crate::pages;
use crate::request::Operation;

const FOLDER_PAGE: &str = "250";

/// What the containers of a service are asked for with.
struct Operations {
    get: Operation,
    top: Operation,
    children: Operation,
    create_top: Operation,
    create_child: Operation,
    query: &'static [(&'static str, &'static str)],
    /// What stands for the empty path.
    root: &'static str,
}

const fn operations(service: MailboxService) -> Operations {
    match service {
        MailboxService::Mail => Operations {
            get: Operation::MailFolder,
            top: Operation::MailFolders,
            children: Operation::ChildFolders,
            create_top: Operation::CreateMailFolder,
            create_child: Operation::CreateChildFolder,
            query: &[("includeHiddenFolders", "true"), ("$top", FOLDER_PAGE)],
            root: "msgfolderroot",
        },
        MailboxService::Contacts => Operations {
            get: Operation::ContactFolder,
            top: Operation::ContactFolders,
            children: Operation::ContactChildFolders,
            create_top: Operation::CreateContactFolder,
            create_child: Operation::CreateContactChildFolder,
            query: &[("$top", FOLDER_PAGE)],
            root: contacts::folders::STANDARD,
        },
        // Calendars are no tree.
        MailboxService::Calendar => Operations {
            get: Operation::DefaultCalendar,
            top: Operation::Calendars,
            children: Operation::Calendars,
            create_top: Operation::CreateCalendar,
            create_child: Operation::CreateCalendar,
            query: &[],
            root: "calendar",
        },
    }
}

/// Containers of one service that were resolved before, of any mailbox.
#[derive(Debug)]
pub(crate) struct Places {
    graph: Arc<Graph>,
    service: MailboxService,
    /// By user and path.
    resolved: Mutex<HashMap<(String, Vec<String>), String>>,
    /// Well-known ones, by user and name.
    known: Mutex<HashMap<(String, String), String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    pub(crate) fn new(graph: Arc<Graph>, service: MailboxService) -> Self {
        Self {
            graph,
            service,
            resolved: Mutex::default(),
            known: Mutex::default(),
        }
    }

    fn well_known_name(&self, folder: &ItemRecord) -> Option<&'static str> {
        let name = folder.properties.get("well_known_name")?.as_text()?;
        match self.service {
            MailboxService::Mail => {
                let name = WELL_KNOWN.iter().copied().find(|known| *known == name)?;
                // A mail program sends what it finds in the outbox: what was there is recovered to where nothing is sent.
                Some(if name == "outbox" { "drafts" } else { name })
            }
            service => Some(operations(service).root).filter(|root| *root == name),
        }
    }

    pub(crate) async fn well_known(
        &self,
        scope: &Scope,
        user: &str,
        name: &str,
    ) -> Result<Option<String>, Fault> {
        let key = (user.to_owned(), name.to_owned());
        if let Some(id) = lock(&self.known).get(&key) {
            return Ok(Some(id.clone()));
        }
        let call = self.graph.outlook(
            scope,
            operations(self.service).get,
            &[user, name],
            &[("$select", "id")],
        )?;
        match self.graph.executor.json(&call).await {
            Ok(text) => {
                let id = Fields::parse(&text).and_then(|fields| fields.text("id"));
                if let Some(id) = &id {
                    lock(&self.known).insert(key, id.clone());
                }
                Ok(id)
            }
            Err(fault) if fault.refused_as(|refusal| refusal.item_gone()) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// The container that `path` leads to; none if it does not exist and is not to be made.
    pub(crate) async fn resolve(
        &self,
        scope: &Scope,
        user: &str,
        path: &[ItemRecord],
        create: bool,
    ) -> Result<Option<String>, Fault> {
        let steps: Vec<String> = path
            .iter()
            .map(|folder| match self.well_known_name(folder) {
                Some(name) => format!("\0{name}"),
                None => folder.name.to_lowercase(),
            })
            .collect();
        let mut current: Option<String> = None;
        for (depth, folder) in path.iter().enumerate() {
            let key = (user.to_owned(), steps[..=depth].to_vec());
            let cached = lock(&self.resolved).get(&key).cloned();
            let id = match cached {
                Some(id) => id,
                None => match self.step(scope, user, current.as_deref(), folder, create).await? {
                    Some(id) => id,
                    None => return Ok(None),
                },
            };
            lock(&self.resolved).insert(key, id.clone());
            current = Some(id);
        }
        match current {
            Some(id) => Ok(Some(id)),
            None => self.well_known(scope, user, operations(self.service).root).await,
        }
    }

    /// The container that `path` leads to in the mailbox `target`, made where it is missing.
    pub(crate) async fn ensure(
        &self,
        target: &ObjectRecord,
        path: &[ItemRecord],
    ) -> nakivo_core::Result<String> {
        let (_, container) = self.service.words();
        let found = self
            .resolve(&scope_of(target), &target.native_id, path, true)
            .await
            .map_err(|fault| {
                let what = format!("making sure that the {container} exists");
                fault.into_error(&what, Some(self.service.write_permission()))
            })?;
        found.ok_or_else(|| {
            let text = format!("the target mailbox has no {container} at all");
            Error::new(ErrorKind::NotFound, text)
        })
    }

    /// What came of a recovery into `container`. One that was resolved before may be gone by now: then it is resolved anew
    /// next time.
    pub(crate) fn recovered<T>(&self, container: &str, result: Result<T, Fault>) -> nakivo_core::Result<T> {
        result.map_err(|fault| {
            if fault.refused_as(|refusal| refusal.status == 404) {
                lock(&self.resolved).retain(|_, id| id != container);
            }
            let what = format!("recovering a {}", self.service.words().0);
            fault.into_error(&what, Some(self.service.write_permission()))
        })
    }

    /// What `search` finds in the mailbox of `user`. When something was not there, containers that were resolved before may
    /// be gone by now: then they are resolved anew, once.
    pub(crate) async fn searched<F>(
        &self,
        user: &str,
        search: impl Fn() -> F,
    ) -> nakivo_core::Result<Existing>
    where
        F: Future<Output = Result<Existing, Fault>>,
    {
        let mut found = search().await;
        let gone = |fault: &Fault| fault.refused_as(|refusal| refusal.status == 404);
        if found.as_ref().is_err_and(gone) && self.forget(user) {
            found = search().await;
        }
        found.map_err(|fault| {
            let what = format!("looking for the {} at the target", self.service.words().0);
            fault.into_error(&what, Some(self.service.write_permission()))
        })
    }

    /// Forgets the containers of a mailbox; false if none was known.
    fn forget(&self, user: &str) -> bool {
        let mut resolved = lock(&self.resolved);
        let before = resolved.len();
        resolved.retain(|(of, _), _| of != user);
        resolved.len() < before
    }

    async fn step(
        &self,
        scope: &Scope,
        user: &str,
        parent: Option<&str>,
        folder: &ItemRecord,
        create: bool,
    ) -> Result<Option<String>, Fault> {
        if let Some(name) = self.well_known_name(folder)
            && let Some(id) = self.well_known(scope, user, name).await?
        {
            return Ok(Some(id));
        }
        if let Some(id) = self.child(scope, user, parent, &folder.name).await? {
            return Ok(Some(id));
        }
        if !create {
            return Ok(None);
        }
        let operations = operations(self.service);
        let call = match parent {
            Some(parent) => self
                .graph
                .outlook(scope, operations.create_child, &[user, parent], &[])?,
            None => self.graph.outlook(scope, operations.create_top, &[user], &[])?,
        };
        let call = call.json_body(&self.body(folder));
        match self.graph.executor.json(&call).await {
            Ok(text) => match Fields::parse(&text).and_then(|fields| fields.text("id")) {
                Some(id) => Ok(Some(id)),
                None => self.child(scope, user, parent, &folder.name).await,
            },
            // Made by somebody else meanwhile, or by us although the answer was lost.
            Err(fault)
                if fault.ambiguous()
                    || fault
                        .refused_as(|refusal| refusal.status == 409 || refusal.is("ErrorFolderExists")) =>
            {
                match self.child(scope, user, parent, &folder.name).await? {
                    Some(id) => Ok(Some(id)),
                    None => Err(fault),
                }
            }
            Err(fault) => Err(fault),
        }
    }

    fn body(&self, folder: &ItemRecord) -> Value {
        match self.service {
            MailboxService::Mail => {
                let hidden = folder.properties.get("hidden").and_then(|value| value.as_bool());
                // Hidden or not can be set only now (contract 4.1).
                json!({ "displayName": folder.name, "isHidden": hidden.unwrap_or(false) })
            }
            MailboxService::Contacts => json!({ "displayName": folder.name }),
            MailboxService::Calendar => json!({ "name": folder.name }),
        }
    }

    /// The child of this name; names are unique below a parent, case aside.
    async fn child(
        &self,
        scope: &Scope,
        user: &str,
        parent: Option<&str>,
        name: &str,
    ) -> Result<Option<String>, Fault> {
        let wanted = name.trim().to_lowercase();
        if self.service == MailboxService::Calendar {
            // Of every group, and none that somebody else shares.
            let all = calendar::folders::list(&self.graph, scope, user).await?.heads;
            let found = all.iter().find(|one| one.name.trim().to_lowercase() == wanted);
            return Ok(found.map(|one| MailboxService::of(&one.item.id).1.to_owned()));
        }
        let operations = operations(self.service);
        let call = match parent {
            Some(parent) => self
                .graph
                .call(scope, operations.children, &[user, parent], operations.query)?,
            None => self
                .graph
                .call(scope, operations.top, &[user], operations.query)?,
        };
        let found = pages::all(&self.graph, scope, call, 100_000).await?;
        Ok(found.iter().find_map(|raw| {
            let (id, name) = match self.service {
                MailboxService::Mail => {
                    let folder = mail::folders::Folder::parse(raw, "")?;
                    (folder.id, folder.name)
                }
                MailboxService::Contacts | MailboxService::Calendar => {
                    let fields = Fields::parse(raw)?;
                    (fields.text("id")?, fields.text("displayName")?)
                }
            };
            (name.trim().to_lowercase() == wanted).then_some(id)
        }))
    }
}
