//! One stream of changes: the list of containers, then a round for each.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use nakivo_core::connector::{Change, Cursor, ItemRef};
use nakivo_core::{ErrorKind, Result};

use super::connector::{ScriptedConnector, Shared};
use super::model::Told;
use super::script::{Moment, Script, scripted_error};

/// How far each container was read: an event's sequence number.
pub(super) type Positions = BTreeMap<String, u64>;

/// One stream of changes.
pub(super) struct Walk {
    connector: ScriptedConnector,
    before: Positions,
    retry: Vec<ItemRef>,
    positions: Positions,
    stage: Stage,
    ready: VecDeque<Change>,
}

enum Stage {
    Containers,
    Between(VecDeque<String>),
    Round { round: Round, rest: VecDeque<String> },
    Ended,
}

struct Round {
    container: String,
    full: bool,
    /// Where the next round starts if this one ends cleanly.
    position: u64,
    after: Option<String>,
    told: VecDeque<Told>,
    items: u64,
}

impl Walk {
    /// The changes since `before`, with the heads of `retry` among them.
    pub(super) fn new(connector: ScriptedConnector, before: Positions, retry: Vec<ItemRef>) -> Self {
        Self {
            connector,
            before,
            retry,
            positions: Positions::default(),
            stage: Stage::Containers,
            ready: VecDeque::new(),
        }
    }

    /// The next change, made from the source as it is now.
    pub(super) fn next(&mut self) -> Option<Result<Change>> {
        if matches!(self.stage, Stage::Ended) && self.ready.is_empty() {
            return None;
        }
        let connector = self.connector.clone();
        let mut shared = connector.lock();
        let number = shared.script.changes;
        shared.script.changes += 1;
        shared.requests += 1;
        shared.moment(Moment::BeforeChange(number));
        if shared.script.break_stream.take_if(|at| *at == number).is_some() {
            self.stage = Stage::Ended;
            self.ready.clear();
            return Some(Err(scripted_error(
                ErrorKind::Unavailable,
                "the stream of changes broke",
            )));
        }
        loop {
            if let Some(change) = self.ready.pop_front() {
                match &change {
                    Change::Item(head) => {
                        shared.say(&head.item.id, format!("TOLD here {}", head.item.container))
                    }
                    Change::Vanished(item) => {
                        shared.say(&item.id, format!("TOLD vanished {}", item.container))
                    }
                    _ => {}
                }
                return Some(Ok(change));
            }
            self.stage = match std::mem::replace(&mut self.stage, Stage::Ended) {
                Stage::Containers => Stage::Between(self.list_containers(&mut shared)),
                Stage::Between(mut rest) => match rest.pop_front() {
                    Some(container) => match self.begin(&mut shared, container) {
                        Some(round) => Stage::Round { round, rest },
                        None => Stage::Between(rest),
                    },
                    None => {
                        let cursor = serde_json::to_vec(&self.positions).unwrap_or_default();
                        self.ready.push_back(Change::Cursor(Cursor(Bytes::from(cursor))));
                        Stage::Ended
                    }
                },
                Stage::Round { mut round, rest } => {
                    if self.step(&mut shared, &mut round) {
                        Stage::Round { round, rest }
                    } else {
                        Stage::Between(rest)
                    }
                }
                Stage::Ended => return None,
            };
        }
    }

    fn list_containers(&mut self, shared: &mut Shared) -> VecDeque<String> {
        let mut order = Vec::new();
        let mut level = vec![String::new()];
        while !level.is_empty() {
            let children: Vec<String> = shared
                .source
                .containers
                .iter()
                .filter(|(_, container)| level.contains(&container.parent))
                .map(|(id, _)| id.clone())
                .collect();
            order.extend(children.iter().cloned());
            level = children;
        }
        let broken = shared.script.broken_containers > 0;
        if broken {
            shared.script.broken_containers -= 1;
            order.truncate(order.len() / 2);
        }
        self.ready.extend(
            order
                .iter()
                .filter_map(|id| shared.container_head(id))
                .map(Change::Container),
        );
        if broken {
            let error = scripted_error(ErrorKind::Unavailable, "the list of containers broke");
            self.ready.push_back(Change::Failed {
                path: "/".to_owned(),
                item: None,
                error,
            });
            // What was not listed is read on from where it was.
            self.positions.clone_from(&self.before);
        } else {
            self.ready.push_back(Change::ContainersComplete);
        }
        for item in &self.retry {
            let is_container = shared.source.containers.contains_key(&item.id);
            if !is_container && !shared.source.items.contains_key(&item.id) {
                self.ready.push_back(Change::Vanished(item.clone()));
            }
        }
        order.push(String::new());
        if self.connector.settings.shuffles {
            for at in (1..order.len()).rev() {
                let other = shared.order.index(at + 1);
                order.swap(at, other);
            }
        }
        order.into()
    }

    fn begin(&mut self, shared: &mut Shared, container: String) -> Option<Round> {
        if !container.is_empty() && !shared.source.containers.contains_key(&container) {
            self.positions.remove(&container);
            return None;
        }
        let position = self.before.get(&container).copied();
        let position = position.filter(|position| !shared.source.has_expired(&container, *position));
        let full = position.is_none();
        let mut told = VecDeque::new();
        if let Some(position) = position {
            let here = self.retry.iter().filter(|item| {
                shared
                    .source
                    .items
                    .get(&item.id)
                    .is_some_and(|item| item.container == container)
            });
            told.extend(here.map(|item| Told::Here(item.id.clone())));
            told.extend(shared.source.delta(&container, position));
        }
        self.ready.push_back(Change::RoundStarted {
            container: container.clone(),
            full,
        });
        Some(Round {
            container,
            full,
            position: shared.source.sequence,
            after: None,
            told,
            items: 0,
        })
    }

    /// Makes the next change of a round ready; `false` once the round is over.
    fn step(&mut self, shared: &mut Shared, round: &mut Round) -> bool {
        if round.items > 0 && Script::use_up(&mut shared.script.broken_rounds, &round.container) {
            let item = shared.container_head(&round.container).map(|head| head.item);
            let error = scripted_error(ErrorKind::Unavailable, "the round broke");
            self.ready.push_back(Change::Failed {
                path: round.container.clone(),
                item,
                error,
            });
            match self.before.get(&round.container) {
                Some(position) => self.positions.insert(round.container.clone(), *position),
                None => self.positions.remove(&round.container),
            };
            return false;
        }
        let told = if round.full && round.told.is_empty() {
            shared
                .source
                .next_in(&round.container, round.after.as_deref())
                .map(|id| {
                    round.after = Some(id.clone());
                    Told::Here(id)
                })
        } else {
            round.told.pop_front()
        };
        match told {
            Some(told) => {
                round.items += 1;
                self.tell(shared, &round.container, told);
                true
            }
            None => {
                if self.connector.settings.follows {
                    let late = shared.source.delta(&round.container, round.position);
                    round.position = shared.source.sequence;
                    if !late.is_empty() {
                        round.told.extend(late);
                        return true;
                    }
                }
                self.positions.insert(round.container.clone(), round.position);
                self.ready.push_back(Change::RoundEnded {
                    container: round.container.clone(),
                });
                false
            }
        }
    }

    fn tell(&mut self, shared: &Shared, container: &str, told: Told) {
        let (Told::Here(id) | Told::Gone(id)) = &told;
        let here = shared
            .source
            .items
            .get(id)
            .filter(|item| item.container == container);
        match (told, here) {
            (Told::Here(_), Some(item)) => {
                let head = shared.head(item);
                if self.connector.settings.repeats {
                    let mut outdated = head.clone();
                    outdated.name.push_str(" (outdated)");
                    outdated.change_key = outdated.change_key.map(|key| format!("{key}-outdated"));
                    self.ready.push_back(Change::Item(outdated));
                }
                self.ready.push_back(Change::Item(head));
            }
            (Told::Here(id) | Told::Gone(id), _) => {
                self.ready.push_back(Change::Vanished(ItemRef {
                    container: container.to_owned(),
                    id,
                }));
            }
        }
    }
}
