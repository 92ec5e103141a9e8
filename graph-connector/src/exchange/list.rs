//! Changes of a mailbox: the containers of each service first, then the round of each container, then what failed last
//! time. A service that cannot be listed stays in the point as it was.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::StreamExt;
use futures::stream::BoxStream;
use nakivo_core::connector::{Change, ChangesRequest, ItemHead, ItemRef, Presence};
use nakivo_core::format::manifest::ObjectRecord;
use nakivo_core::progress::{Event, Reporter};
use nakivo_core::{Error, ErrorKind, Result};

use super::cursor::{Known, MailboxCursor};
use super::round::{Round, Step};
use super::service::MailboxService;
use super::{calendar, contacts, lookup, mail, scope_of};
use crate::fault::Fault;
use crate::governor::Scope;
use crate::graph::Graph;

/// Containers that may fail one after the other for want of an answer before the service counts as down.
const MAX_UNAVAILABLE: u32 = 3;
/// Deepest path that is shown.
const MAX_DEPTH: usize = 1000;

/// The containers of one service, parents before children.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) heads: Vec<ItemHead>,
    /// Containers whose children could not be listed, and why.
    pub(crate) failed: Vec<(String, Error)>,
}

/// Where containers are, for paths.
#[derive(Debug, Default)]
struct Places(HashMap<String, (String, String)>);

impl Places {
    fn add(&mut self, known: &Known) {
        self.0
            .insert(known.id.clone(), (known.parent.clone(), known.name.clone()));
    }

    /// Path for people: names joined by slashes.
    fn path(&self, id: &str) -> String {
        let mut names = Vec::new();
        let mut current = id;
        while let Some((parent, name)) = self.0.get(current).filter(|_| names.len() < MAX_DEPTH) {
            names.push(name.as_str());
            current = parent;
        }
        names.reverse();
        names.join("/")
    }
}

async fn listing(
    graph: &Graph,
    scope: &Scope,
    user: &str,
    service: MailboxService,
) -> Result<Listing, Fault> {
    match service {
        MailboxService::Mail => mail::folders::list(graph, scope, user)
            .await
            .map(mail::folders::FolderTree::into_listing),
        MailboxService::Contacts => contacts::folders::list(graph, scope, user).await,
        MailboxService::Calendar => calendar::folders::list(graph, scope, user).await,
    }
}

/// What ends the run, whatever it concerns.
fn is_fatal(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unauthorized | ErrorKind::Throttled { .. } | ErrorKind::Cancelled
    )
}

/// A hint is not stored with a point: the message names the permission that is missing.
fn naming_permission(error: Error, service: MailboxService) -> Error {
    if error.kind() != ErrorKind::PermissionMissing {
        return error;
    }
    error.context(format!("needs the permission {}", service.read_permission()))
}

/// The changes of `services` of `object` since the cursor of `request`.
pub(crate) fn changes<'a>(
    graph: &'a Graph,
    services: &'a [MailboxService],
    object: &'a ObjectRecord,
    request: ChangesRequest,
    reporter: &'a Reporter,
) -> BoxStream<'a, Result<Change>> {
    async_stream::try_stream! {
        let scope = scope_of(object);
        let user = object.native_id.as_str();
        let mut old = MailboxCursor::read(request.cursor.as_ref(), graph, reporter);
        let mut cursor = MailboxCursor::new();
        let mut places = Places::default();
        let mut containers: Vec<String> = Vec::new();
        let mut read = BTreeSet::new();
        // Every container was sent, or is named as one that stays.
        let mut whole = true;
        let mut first_error = None;
        for service in MailboxService::ALL {
            reporter.check()?;
            let result = if services.contains(&service) {
                let what = format!("listing the folders of the mailbox ({})", service.name());
                listing(graph, &scope, user, service)
                    .await
                    .map(Some)
                    .map_err(|fault| fault.into_error(&what, Some(service.read_permission())))
            } else {
                Ok(None)
            };
            match result {
                Ok(Some(listing)) => {
                    read.insert(service);
                    for head in listing.heads {
                        let known = Known::of(&head);
                        places.add(&known);
                        containers.push(known.id.clone());
                        cursor.remember([known]);
                        yield Change::Container(head);
                    }
                    if !listing.failed.is_empty() {
                        // Folders that could not be seen are not gone: their links stay.
                        whole = false;
                        keep_links(&mut cursor, &old, service);
                        let unseen = old.containers_of(service).unwrap_or_default();
                        cursor.remember(unseen.into_iter().filter(|known| !containers.contains(&known.id)));
                    }
                    for (id, error) in listing.failed {
                        yield Change::Failed { path: format!("{}/", places.path(&id)), item: None, error };
                    }
                }
                left_out => {
                    if let Err(error) = &left_out
                        && (is_fatal(error) || service == MailboxService::Mail)
                    {
                        Err(error.clone())?;
                    }
                    let known = old.containers_of(service);
                    whole &= known.is_some();
                    let known = known.unwrap_or_default();
                    keep_links(&mut cursor, &old, service);
                    for one in &known {
                        let item = ItemRef { container: one.parent.clone(), id: one.id.clone() };
                        places.add(one);
                        yield Change::ContainerKept { item, name: one.name.clone() };
                    }
                    cursor.remember(known);
                    if let Err(error) = left_out {
                        let error = naming_permission(error, service);
                        first_error.get_or_insert(error.clone());
                        yield Change::Failed { path: service.name().to_owned(), item: None, error };
                    } else {
                        reporter.event(Event::Note {
                            message: format!("{} is not read: what the last point holds of it stays", service.name()),
                        });
                    }
                }
            }
        }
        if let Some(error) = first_error.filter(|_| read.is_empty()) {
            Err(error)?;
        }
        if whole {
            yield Change::ContainersComplete;
        }
        cursor.contact_rounds = old.contact_rounds;
        if read.contains(&MailboxService::Contacts) {
            contacts::begin_anew_now_and_then(&mut old, &mut cursor);
        }

        let mut retry: HashMap<String, ItemRef> =
            request.retry.into_iter().map(|item| (item.id.clone(), item)).collect();
        // Of a service that is not read nothing can be found out.
        retry.retain(|_, item| read.contains(&MailboxService::of(&item.container).0));
        let mut unavailable = 0;
        for container in &containers {
            retry.remove(container);
            let service = MailboxService::of(container).0;
            let link = old.folders.get(container).cloned();
            if let Some(link) = &link {
                // Until this round has ended, the next one starts where this one did.
                cursor.folders.insert(container.clone(), link.clone());
            }
            let mut round = Round::new(graph, &scope, user, container, link);
            loop {
                reporter.check()?;
                match round.step().await {
                    Ok(Step::Changes(changes)) => {
                        for change in changes {
                            if let Change::Item(head) = &change {
                                retry.remove(&head.item.id);
                            }
                            yield change;
                        }
                    }
                    Ok(Step::Ended(changes, delta)) => {
                        for change in changes {
                            if let Change::Item(head) = &change {
                                retry.remove(&head.item.id);
                            }
                            yield change;
                        }
                        cursor.folders.extend(delta.map(|delta| (container.clone(), delta)));
                        unavailable = 0;
                        break;
                    }
                    Ok(Step::FolderGone) => {
                        // An empty full round: each of its items is looked up before it counts as gone.
                        cursor.folders.remove(container);
                        yield Change::RoundStarted { container: container.clone(), full: true };
                        yield Change::RoundEnded { container: container.clone() };
                        break;
                    }
                    Err(fault) => {
                        let what = format!("listing the items of a folder ({})", service.name());
                        let error = fault.into_error(&what, Some(service.read_permission()));
                        let mail = service == MailboxService::Mail;
                        if is_fatal(&error) || mail && error.kind() == ErrorKind::PermissionMissing {
                            Err(error.clone())?;
                        }
                        if error.kind() == ErrorKind::Unavailable {
                            unavailable += 1;
                            if unavailable >= MAX_UNAVAILABLE {
                                Err(error.clone())?;
                            }
                        }
                        yield Change::Failed {
                            path: places.path(container),
                            // Not named as an item to retry: its cursor stays, so the next run reads it anyway.
                            item: None,
                            error,
                        };
                        break;
                    }
                }
            }
        }

        let known: HashSet<&str> = containers.iter().map(String::as_str).collect();
        let mut again: Vec<ItemRef> = retry.into_values().collect();
        again.sort();
        for chunk in again.chunks(lookup::CHUNK) {
            reporter.check()?;
            let answers = lookup::look_up(graph, &scope, user, chunk).await?;
            for (item, answer) in chunk.iter().zip(answers) {
                yield retried(item, answer, &known, &places);
            }
        }
        yield Change::Cursor(cursor.write()?);
    }
    .boxed()
}

/// The next run starts the rounds of this service where this one would have.
fn keep_links(cursor: &mut MailboxCursor, old: &MailboxCursor, service: MailboxService) {
    let links = old
        .folders
        .iter()
        .filter(|(id, _)| MailboxService::of(id).0 == service)
        .map(|(id, link)| (id.clone(), link.clone()));
    cursor.folders.extend(links);
}

fn retried(item: &ItemRef, answer: Presence, known: &HashSet<&str>, places: &Places) -> Change {
    match answer {
        Presence::Present(head) if known.contains(head.item.container.as_str()) => Change::Item(*head),
        // Elsewhere now: in a folder outside what is protected (recoverable items), or in one made since the listing,
        // whose own first round will bring it.
        Presence::Present(_) | Presence::Gone => Change::Vanished(item.clone()),
        Presence::Unknown(error) => Change::Failed {
            path: places.path(&item.container),
            item: Some(item.clone()),
            error,
        },
    }
}
