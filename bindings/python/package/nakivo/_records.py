# Generated from bindings/api.json by bindings/generate: change it there.

"""The records: data that goes over as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from os import PathLike
from typing import Any, Literal

from ._failure import Report
from ._runtime import moment, moment_or_none

Compression = Literal["disabled", "fast", "medium", "best"]
"""How hard new data is compressed.

- `disabled`: Data is stored as it is.
- `fast`: zstd level 1.
- `medium`: zstd level 3.
- `best`: zstd level 12.
"""

ExportFormat = Literal["files", "mbox"]
"""What an export writes.

- `files`: One file for each item; messages as `.eml`.
- `mbox`: The messages of each folder in one mbox file; everything else as files.
"""

OnConflict = Literal["rename", "skip", "overwrite"]
"""What to do when an item to be recovered exists at the target.

- `rename`: Recover beside it under another name.
- `skip`: Leave what exists.
- `overwrite`: Replace what exists; never before its replacement is complete and read back.
"""


@dataclass(frozen=True, slots=True)
class AccountInfo:
    """An account: what sources are read with, under a name that jobs use."""

    account_file: str
    """The file with its credential."""
    added: datetime
    """When it was added."""
    connector: str
    """Which connector reads it: `m365`."""
    description: str
    """What people note about it."""
    id: str
    """Its id."""
    name: str
    """What people call it."""


@dataclass(frozen=True, slots=True)
class AffectedItem:
    """An item that damage makes unreadable."""

    object: str
    """Name of the protected object."""
    path: str
    """Where the item is in it, or which stretch of its listing is lost."""
    point: str
    """The recovery point."""


@dataclass(frozen=True, slots=True)
class BackupReport(Report):
    """What a backup did."""

    added: int
    """Of the stored ones, new."""
    bytes: int
    """Plain bytes of all items of the new point."""
    bytes_read: int
    """Bytes that were read from the source."""
    bytes_stored: int
    """Bytes that reached the store."""
    changed: int
    """Of the stored ones, changed."""
    enumerated: int
    """Items that the source named in this run."""
    failed: int
    """Of these, failed; the next run tries them again."""
    first: bool
    """Whether there was no earlier point to build on."""
    issues: list[Issue]
    """Failed and skipped items, and warnings."""
    items: int
    """Items in the new point."""
    object: ObjectInfo
    """The object."""
    outcome: str
    """`complete`, or `partial` when something could not be read."""
    point: str
    """Id of the new recovery point."""
    removed: int
    """Items that are gone from the source."""
    requests: int
    """Requests sent to the service."""
    resumed: int
    """Of the unchanged ones, taken over from an interrupted run instead of being read again."""
    run: str
    """Id of the run."""
    seconds: float
    """Seconds it took."""
    skipped: int
    """Of these, skipped for a named cause."""
    stored: int
    """Of these, stored anew or again."""
    throttled: int
    """Requests that the service refused for now."""
    unchanged: int
    """Of these, unchanged."""


@dataclass(frozen=True, slots=True)
class CopiedPoint:
    """What became of a point that was to be copied."""

    bytes: int
    """Sum of their sizes in bytes."""
    issues: list[Issue]
    """What the copy lacks because it is damaged in the source."""
    items: int
    """Items in it."""
    object: ObjectInfo
    """What it protects."""
    point: str
    """The point, in both repositories."""
    state: str
    """`planned`, `copied`, `copied_partly`, `present`, `present_partly`, `removed`, `late`, `different`, `gone` or
    `failed`.
    """
    time: datetime
    """When its run began."""


@dataclass(frozen=True, slots=True)
class CopyReport(Report):
    """What was copied."""

    bytes_stored: int
    """Bytes that reached the target."""
    log_damage: list[LogDamage]
    """Where the source's log is damaged: points may be missing that were stored."""
    outcome: str
    """`complete`, or `partial` if the target lacks anything that was asked for."""
    points: list[CopiedPoint]
    """Every selected point."""
    seconds: float
    """Seconds it took."""


@dataclass(frozen=True, slots=True)
class Damage:
    """Something damaged, and what it affects."""

    affected: list[AffectedItem]
    """Items that cannot be read because of it; at most 10,000 are listed."""
    affected_count: int
    """How many items that are in all, over all points."""
    object: str
    """The damaged object: its path in the repository's folder."""
    what: str
    """What is wrong with it."""


@dataclass(frozen=True, slots=True)
class DeletedPoints:
    """Which recovery points went, or would go."""

    commit: int | None
    """Number of the commit that removed them; none for a preview."""
    deleted: list[str]
    """The points that went, or would go."""
    kept: list[str]
    """Points that are meant and stay because they are protected or immutable."""


@dataclass(frozen=True, slots=True)
class DestroyReport:
    """What was deleted."""

    bytes: int
    """Their bytes."""
    objects: int
    """Objects deleted by this call."""


@dataclass(frozen=True, slots=True)
class DirectorEvent:
    """Something that happened."""

    job: str | None
    """Id of the job that it is about."""
    kind: str
    """What: `run_started`, `run_resumed`, `object_done`, `run_ended`, `missed`, `clock_set_back`, `journalled`,
    `journal_behind`,
    `set_apart`, `brought_back_elsewhere`, or `lost`: more happened than was listened to.
    """
    message: str | None
    """Something to know, for people."""
    missed: MissedTimes | None
    """The times that were missed."""
    name: str | None
    """What the job or the repository is called."""
    object: ObjectResult | None
    """What became of an object."""
    record: RunRecord | None
    """Of a run that ended: what is on record."""
    repository: str | None
    """Id of the repository that it is about."""
    run: str | None
    """Id of the run."""


@dataclass(frozen=True, slots=True)
class Discovered:
    """What a source has."""

    left_out: list[str]
    """Services that the account may not read, and why."""
    objects: list[ObjectInfo]
    """What can be protected."""


@dataclass(frozen=True, slots=True)
class EmulatorInfo:
    """What a client of an emulator needs to connect, and who is there."""

    app_id: str
    """Id of the registered application."""
    client_secret: str = field(repr=False)
    """Its secret."""
    directory_id: str
    """Id of the directory."""
    domain: str
    """The organisation's domain."""
    drives: list[str]
    """Addresses of the users with a drive."""
    graph_url: str
    """Root of Microsoft Graph with its version."""
    login_url: str
    """Root of the token service."""
    mailboxes: list[str]
    """Addresses of the mailboxes."""
    seed: int
    """The seed."""
    sites: list[str]
    """URLs of the sites."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An item or a container of a recovery point."""

    container: str
    """The id of the container that it lies in."""
    created: datetime | None
    """When it was created."""
    id: str
    """Its id at the source; empty for the root container."""
    kind: str
    """`container`, or what the item is: `message`, `file`, `event`."""
    modified: datetime | None
    """When it was last modified."""
    name: str
    """Subject, file name, folder name."""
    parts: list[PartInfo]
    """Its content: names of its parts, as `content` of a point takes them."""
    path: str
    """Where it is, for people: names joined by `/`."""
    received: datetime | None
    """When it was received."""
    sent: datetime | None
    """When it was sent."""
    size: int
    """Its size in bytes."""


@dataclass(frozen=True, slots=True)
class ExportFailure:
    """An item that is not in an export."""

    code: str
    """Stable code of the cause."""
    id: str
    """Its id, or that of the container whose listing is damaged."""
    message: str
    """One line for people."""
    path: str
    """Its path, for people."""


@dataclass(frozen=True, slots=True)
class ExportReport(Report):
    """What an export wrote."""

    bytes: int
    """Bytes of the items' content."""
    failed: list[ExportFailure]
    """Items that are not in the export."""
    items: int
    """Items whose content was written and matched its stored hash."""
    listed_only: int
    """Items that have no content, such as symbolic links: listed only."""
    outcome: str
    """`complete`, or `partial` when an item is missing."""
    point: str
    """Id of the recovery point."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of a repository at one moment."""

    encrypted: bool
    """Whether a passphrase protects it."""
    free_bytes: int | None
    """Bytes that its store has left, where that is known."""
    logical_bytes: int
    """Sum of the sizes of all items in all points."""
    objects: int
    """Objects with recovery points."""
    points: int
    """Recovery points."""
    reclaimable_bytes: int | None
    """Bytes that reclaim would free, where somebody asked."""
    taken: datetime
    """When."""
    unique_bytes: int
    """Plain bytes after deduplication, before compression."""
    used_bytes: int
    """Bytes it takes."""


@dataclass(frozen=True, slots=True)
class HealReport:
    """What was healed, and what could not be."""

    damaged_items: int
    """Items that could not be read."""
    damaged_points: list[str]
    """Points that cannot be read in full."""
    healed_points: list[str]
    """Points that were known to be damaged and are whole."""
    history_continues_at: int | None
    """The commit at which history goes on behind what was lost."""
    indexed_packs: int
    """Packs that are listed anew."""
    lost_history: list[LogDamage]
    """History that cannot be read and is given up."""
    preview: bool
    """Whether it only looked."""
    quarantined: list[Damage]
    """What still cannot be read, with the items that need it."""
    replaced_checkpoints: int
    """Checkpoints that were replaced or removed."""
    replaced_segments: int
    """Index segments that were replaced."""
    restored_bytes: int
    """Their bytes."""
    restored_parts: int
    """Parts of items that were stored again."""
    retired_packs: int
    """Damaged packs that nothing needs any more."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a job's history: a run that ended, or times that were missed."""

    missed: MissedTimes | None
    """The times that were missed, if it is that."""
    run: RunRecord | None
    """The run, if it is one."""


@dataclass(frozen=True, slots=True)
class Issue:
    """Something that could not be processed, or that is to be known."""

    code: str
    """Stable code of the cause."""
    kind: str
    """`failed`: not stored, and tried again; `skipped`: not stored, for a permanent cause; `warning`: stored, with
    something
    to know.
    """
    message: str
    """One line for people."""
    path: str
    """Where it lies, for people."""
    retry: bool
    """Whether the next run tries again."""


@dataclass(frozen=True, slots=True)
class ItemChange:
    """What differs between two recovery points."""

    change: str
    """`added`, `removed` or `changed`."""
    container: str
    """Id of its container."""
    id: str
    """Id of the item."""
    kind: str
    """What it is."""
    name: str
    """Its name, in the newer point if it is there."""
    size: int
    """Its size in bytes, in the newer point if it is there."""


@dataclass(frozen=True, slots=True)
class JobInfo:
    """A job as it stands."""

    added: datetime
    """When it was added."""
    enabled: bool
    """Whether it runs, by schedule or by hand."""
    id: str
    """Its id."""
    last_ended: datetime | None
    """When its last run ended."""
    last_outcome: str | None
    """How its last run ended: `complete`, `partial`, `failed` or `stopped`."""
    name: str
    """What people call it."""
    next: datetime | None
    """When it is due next."""
    objects: list[str]
    """Names of the objects that it names; empty: whatever is found."""
    repository: str
    """Id of its repository."""
    running: bool
    """Whether a run of it has begun and not ended."""
    tasks: int
    """Objects processed at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSource:
    """One place that the objects of a job come from: an account or a folder."""

    account: str | None = field(default=None)
    """Name or id of an account of the director."""
    folder: str | None = field(default=None)
    """Instead of an account: the path of a folder, with the one name in `objects` under which it is kept."""
    objects: Sequence[str] = field(default=())
    """Names or addresses of its objects, the most important first. Default: every object that is found when a run
    starts.
    """
    services: Sequence[str] = field(default=())
    """Which services are read: `mail`, `contacts`, `calendar`, `onedrive`, `sharepoint`. Default: all that the
    account may read.
    """


@dataclass(frozen=True, slots=True)
class JournalHead:
    """What a journal in a repository says about itself."""

    director: str
    """Id of the director that wrote it."""
    jobs: int
    """Number of jobs."""
    repositories: int
    """Number of repositories."""
    revision: int
    """Number of its configuration."""
    written: datetime
    """When it was written."""


@dataclass(frozen=True, slots=True)
class JournalStanding:
    """How far the journal in one repository is."""

    behind: bool
    """Whether the configuration as it is now is not in it."""
    name: str
    """Name of the repository."""
    problem: str | None
    """Why the last try failed, for people."""
    repository: str
    """Its id."""
    revision: int | None
    """The newest revision that is known to be in it."""
    written: datetime | None
    """When that was written."""


@dataclass(frozen=True, slots=True)
class JournalStatus:
    """How far the journal of a director is."""

    behind: bool
    """Whether a repository lacks the configuration as it is now."""
    director: str | None
    """Who the director is; none before it wrote anything."""
    repositories: list[JournalStanding]
    """Every repository that jobs use, or used."""
    revision: int
    """Number of the newest configuration that was to be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """How many recovery points of an object stay: a rule that is left out is off."""

    daily: int | None = field(default=None)
    """One point a day for N days."""
    last: int | None = field(default=None)
    """The last N points. 1 to 1,000."""
    monthly: int | None = field(default=None)
    """One point a month for N months."""
    week_start: str | None = field(default=None)
    """First day of the week: `monday` and so on. Default: `monday`."""
    weekly: int | None = field(default=None)
    """One point a week for N weeks."""
    yearly: int | None = field(default=None)
    """One point a year for N years."""
    zone: str | None = field(default=None)
    """Whose midnight counts: IANA name. Default: `UTC`."""


@dataclass(frozen=True, slots=True)
class KeySlot:
    """A passphrase or a key that opens a repository, without anything secret."""

    created: str
    """When it was made, RFC 3339."""
    id: str
    """Its id. Changes whenever it is written anew."""
    kind: str
    """`passphrase`, `key` or `none`."""
    label: str
    """What people call it."""
    own: bool
    """Whether the repository was opened with it."""
    removing: bool
    """Whether somebody began to remove it and did not come to the end."""


@dataclass(frozen=True, slots=True)
class KeySlots:
    """What opens a repository."""

    damaged: list[str]
    """What is wrong with the others."""
    slots: list[KeySlot]
    """The sound key slots, by time and id."""


@dataclass(frozen=True, slots=True)
class KnownRepository:
    """A repository that a director knows."""

    attached: bool
    """Whether jobs may use it."""
    description: str | None
    """What people note about it."""
    figures: Figures | None
    """Its figures when it was last looked at."""
    id: str
    """Its id."""
    name: str
    """What people and jobs call it."""
    url: str
    """Where it is."""


@dataclass(frozen=True, slots=True)
class LockReport:
    """Whether everything is locked for as long as it was promised."""

    objects: int
    """Objects looked at."""
    promised: datetime | None
    """Until when everything must be locked, by the newest point."""
    short: int
    """Objects with too short a lock."""
    short_locks: list[str]
    """The first of them."""


@dataclass(frozen=True, slots=True)
class LogDamage:
    """Where the log is damaged."""

    object: str
    """The damaged or missing object: its path in the repository's folder."""
    what: str
    """What is wrong with it."""


@dataclass(frozen=True, slots=True)
class MessageTruth:
    """A message of an emulated mailbox."""

    attachments: int
    """Number of its attachments."""
    folder_id: str
    """Id of its folder."""
    id: str
    """Its immutable id."""
    is_read: bool
    """Whether it is read."""
    received: datetime
    """When it was received."""
    subject: str
    """Its subject."""


@dataclass(frozen=True, slots=True)
class MissedTimes:
    """Times at which a job was due and not started."""

    after: datetime
    """They are all after this moment."""
    count: int
    """How many."""
    until: datetime
    """They are all at or before this moment."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new recovery key. It is shown this once."""

    key: str = field(repr=False)
    """The key, to be printed and locked away."""
    slot: KeySlot
    """Its slot."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """A protected object."""

    account: str | None
    """The account that it belongs to."""
    address: str | None
    """Its address: the mail address of a mailbox, the URL of a site."""
    id: str
    """Its id, stable over all points."""
    kind: str
    """Its kind: `mailbox`, `drive`, `site`, `folder`."""
    name: str
    """What people call it."""
    native_id: str
    """The id that the source gives it."""
    source: str
    """The connector that it comes from: `m365`, `folder`."""


@dataclass(frozen=True, slots=True)
class ObjectResult:
    """What a run did to an object."""

    bytes: int
    """Plain bytes of these."""
    bytes_read: int
    """Plain bytes read from the source."""
    bytes_stored: int
    """Bytes that reached the repository."""
    code: str | None
    """Stable code of what went wrong."""
    failed: int
    """Items that could not be read."""
    items: int
    """Items in that point."""
    message: str | None
    """What went wrong, for people."""
    name: str
    """What people call it."""
    object: str
    """Its id; for what was never found the name that the job has for it."""
    outcome: str
    """`complete`, `partial`, `failed` or `stopped`."""
    point: str | None
    """The recovery point that was made."""
    points_removed: int
    """Older points that retention removed afterwards."""
    tries: int
    """How often it was tried."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A time at which something is due."""

    end: datetime | None
    """When a run that started then is stopped."""
    moved: bool
    """Whether its local time does not exist on that date, so that it starts at the first moment after the gap."""
    start: datetime
    """When it starts."""


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing."""

    entries: list[Entry]
    """Containers first, then items, each in the order of their ids."""
    next: str | None
    """Where the next page begins; none: there is no more."""


@dataclass(frozen=True, slots=True)
class PartInfo:
    """A piece of an item's content."""

    media_type: str | None
    """Its media type, when known."""
    name: str
    """Which piece: `mime`, `json`, `content`, `attachment:<id>`."""
    size: int
    """Its length in bytes."""


@dataclass(frozen=True, slots=True)
class PermissionCheck:
    """A permission of an application."""

    blocks: str
    """What does not work without it."""
    granted: bool | None
    """Whether it was seen to work; none if it could not be tried."""
    message: str
    """What was seen."""
    permission: str
    """The application permission."""


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """How many items of a plan meet which fate."""

    bytes: int
    """Bytes to be written."""
    cannot: int
    """Not recoverable."""
    create: int
    """To be written where nothing is."""
    overwrite: int
    """To replace something."""
    rename: int
    """To be written under another name."""
    skip_existing: int
    """To be left alone because something else is there."""
    skip_identical: int
    """To be left alone because they are there already."""


@dataclass(frozen=True, slots=True)
class PlannedItem:
    """An item of a plan."""

    action: str
    """`create`, `rename`, `skip_identical`, `skip_existing`, `overwrite` or `cannot`."""
    code: str | None
    """Of what cannot be recovered: the stable code of the cause."""
    container: str
    """Its container's id."""
    id: str
    """Its id in the recovery point."""
    path: str
    """Its path, for people."""
    size: int
    """Its size in bytes."""
    why: str | None
    """What differs from what is there, or why it cannot be recovered."""


@dataclass(frozen=True, slots=True)
class PlannedPoint:
    """What retention says of a recovery point."""

    goes: bool
    """Whether it goes."""
    point: str
    """Its id."""
    reasons: list[str]
    """Why it stays, and until when, for people."""


@dataclass(frozen=True, slots=True)
class PointInfo:
    """A recovery point."""

    added: int
    """Items that are new since the point before."""
    bytes: int
    """Sum of their sizes in bytes."""
    bytes_read: int
    """Bytes read from the source."""
    bytes_stored: int
    """Bytes added to the repository."""
    changed: int
    """Items that differ from the point before."""
    description: str | None
    """What people noted about it."""
    finished: datetime
    """When its run ended."""
    id: str
    """Its id."""
    immutable_until: datetime | None
    """Until when nobody can remove it, where the store locks objects."""
    items: int
    """Items in it."""
    job: str | None
    """The job it belongs to."""
    kept_forever: bool
    """Whether somebody keeps it until they say otherwise."""
    kept_until: datetime | None
    """Until when somebody keeps it, whatever retention says."""
    lost: int
    """Entries of it that are known to be unreadable; 0: nothing is known."""
    object: ObjectInfo
    """What it protects."""
    outcome: str
    """`complete`, or `partial` when something could not be read."""
    removed: int
    """Items that were in the point before and are gone."""
    time: datetime
    """When its run began: the point shows the object at about this time."""


@dataclass(frozen=True, slots=True)
class ReclaimReport:
    """What was reclaimed."""

    deleted_objects: int
    """Objects that were deleted."""
    freed_bytes: int
    """Bytes of the store that were freed."""
    locked_bytes: int
    """Their bytes."""
    locked_objects: int
    """Objects that were to be deleted and stay because they are locked."""
    moved_bytes: int
    """What was needed of them."""
    needed_bytes: int
    """Of these, what points and unfinished runs need."""
    preview: bool
    """Whether it only looked."""
    reclaimable_bytes: int
    """What can be freed in all."""
    rewritten_bytes: int
    """Their bytes, before."""
    rewritten_packs: int
    """Packs written anew without what is unused."""
    stored_bytes: int
    """Bytes of all packs that are in use, before."""
    stray_bytes: int
    """Their bytes."""
    stray_packs: int
    """Packs left behind by runs that ended early."""
    unused_bytes: int
    """Their bytes."""
    unused_packs: int
    """Packs that nothing needs."""
    waiting_packs: int
    """Packs that wait for the end of the grace period."""


@dataclass(frozen=True, slots=True)
class RecoveredItem:
    """An item of a recovery."""

    code: str | None
    """Of what failed: the stable code of the cause."""
    id: str
    """Its id in the recovery point."""
    location: str | None
    """Where it is at the target, for people."""
    message: str | None
    """Of what failed or was skipped: one line for people."""
    new_id: str | None
    """Its id at the target."""
    not_carried: list[str]
    """What of it the target could not take."""
    outcome: str
    """`recovered`, `skipped` or `failed`."""
    path: str
    """Its path there, for people."""


@dataclass(frozen=True, slots=True)
class RecoveryReport(Report):
    """What a recovery did."""

    bytes: int
    """Bytes of the recovered items."""
    failed: int
    """Items that were not recovered."""
    items: list[RecoveredItem]
    """Each planned item."""
    outcome: str
    """`complete`, or `partial` when an item failed."""
    point: str
    """Id of the recovery point."""
    recovered: int
    """Items that are at the target now."""
    skipped: int
    """Items that were left alone, as planned."""
    target: ObjectInfo
    """Where to."""


@dataclass(frozen=True, slots=True)
class RenewReport:
    """What was locked for longer."""

    due: bool
    """Whether anything was to be done."""
    locked_until: datetime | None
    """Until when everything is locked now, at least."""
    missing: int
    """Objects that are listed and were not there when they were to be locked."""
    renewed: int
    """Objects whose lock was renewed by this call."""
    resumed: bool
    """Whether an interrupted renewal was continued."""


@dataclass(frozen=True, slots=True)
class RepositoryInfo:
    """Figures of a repository."""

    chunks: int
    """Chunks."""
    compression: str
    """How hard new data is compressed."""
    created: str
    """When it was made, RFC 3339."""
    damaged_packs: int
    """Packs known to hold data that cannot be read."""
    damaged_points: int
    """Recovery points known to be damaged."""
    encrypted: bool
    """Whether a passphrase or key protects it."""
    epoch: int
    """The epoch that new data is sealed in; 0 before the first rotation of the keys."""
    head: int
    """Number of the newest commit; 0 for an empty repository."""
    id: str
    """Its id."""
    log_damage: list[LogDamage]
    """Where the log is damaged."""
    logical_bytes: int
    """Sum of the sizes of all items in all points."""
    notes: list[str]
    """Damage found when opening and worked around."""
    objects: int
    """Protected objects."""
    packs: int
    """Packs."""
    points: int
    """Recovery points."""
    ratio: float
    """Logical bytes for one stored byte; 0 for an empty repository."""
    read_only: bool
    """Whether damage of the log allows reading only."""
    stored_bytes: int
    """Bytes of all packs."""
    unique_bytes: int
    """Plain bytes of all chunks: deduplicated, not compressed."""
    version: int
    """Format version."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What was brought back from a journal."""

    from_: JournalHead
    """The journal."""
    jobs: list[str]
    """Names of the jobs."""
    journal: JournalStatus
    """How far the journal is now."""
    repositories: list[KnownRepository]
    """The repositories that are known now."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What retention says of each recovery point."""

    commit: int | None
    """Number of the commit that removed points; none if none went."""
    points: list[PlannedPoint]
    """The points in the order of their commits."""


@dataclass(frozen=True, slots=True)
class RotateReport:
    """What a rotation of the keys did."""

    commit: int
    """The commit that began it."""
    dropped: list[KeySlot]
    """What opened it and is gone."""
    epoch: int
    """The epoch that everything is sealed in from now on."""
    kept: list[KeySlot]
    """What opens the repository now."""
    resumed: bool
    """Whether an earlier rotation was brought to its end and no further one begun."""


@dataclass(frozen=True, slots=True)
class RunRecord(Report):
    """What is on record of a run."""

    cause: str
    """`asked`, `schedule` or `chain`."""
    due: datetime | None
    """When a run by schedule was due."""
    ended: datetime
    """When it had ended."""
    interruptions: int
    """How often the process ended while it went on."""
    job: str
    """Id of the job."""
    job_name: str
    """What the job was called."""
    objects: list[ObjectResult]
    """What became of its objects."""
    outcome: str
    """`complete`, `partial`, `failed` or `stopped`."""
    run: str
    """Its id."""
    started: datetime
    """When it was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When a job runs."""

    days: Sequence[str] | None = field(default=None)
    """Days of the week: `monday` and so on. Default: all."""
    delay_minutes: int | None = field(default=None)
    """After another job: how many minutes after its end. Default: 0."""
    end: str | None = field(default=None)
    """Local time at which a run is stopped. Default: none."""
    every: int | None = field(default=None)
    """Every so many days, weeks or months; of a periodic schedule: minutes. Default: 1."""
    job: str | None = field(default=None)
    """After another job: its id."""
    kind: str | None = field(default=None)
    """`manual`, `daily`, `weekly`, `monthly`, `yearly`, `periodic` or `after`. Default: `daily`."""
    months: Sequence[str] | None = field(default=None)
    """Of a yearly schedule: `january` and so on."""
    on: str | None = field(default=None)
    """Of a monthly or yearly schedule: `first monday`, `last friday`, `day 15`, `last day`."""
    outcomes: Sequence[str] | None = field(default=None)
    """After another job: which of its ends: `complete`, `partial`, `failed`, `stopped`. Default: `complete`."""
    start: str | None = field(default=None)
    """Local time at which the job starts: `01:00`. Default: midnight."""
    valid_from: str | PathLike[str] | None = field(default=None)
    """First local date in force: `2026-01-31`."""
    valid_until: str | None = field(default=None)
    """Last local date in force."""
    week_start: str | None = field(default=None)
    """First day of the week where weeks are counted. Default: `monday`."""
    zone: str | None = field(default=None)
    """IANA name of the zone that times are meant in. Default: `UTC`."""


@dataclass(frozen=True, slots=True)
class Served:
    """How running jobs by their schedules ended."""

    stopped: bool
    """Whether somebody asked it to end."""


@dataclass(frozen=True, slots=True)
class UnhideReport:
    """What was brought back."""

    hidden_keys: int
    """Key slots that are hidden and were left so."""
    lifted: list[str]
    """Objects that can be read again: paths in the repository's folder."""
    overwritten: list[str]
    """Objects that have been written over, and whose first version is still there."""
    refused: list[str]
    """Objects that stay hidden because this credential may not bring them back."""


@dataclass(frozen=True, slots=True)
class Update:
    """How far a long call is, or something that happened in it."""

    bytes_done: int
    """Plain bytes read from the source, or written to the target."""
    bytes_stored: int
    """Bytes that reached the repository."""
    bytes_total: int | None
    """Plain bytes in all, once known."""
    code: str | None
    """Of an issue: the stable code of its cause."""
    failed: int
    """Items that failed so far."""
    items_done: int
    """Items finished."""
    items_total: int | None
    """Items in all, once known."""
    kind: str
    """What it is: `progress`, `phase`, `issue` or `note`."""
    message: str | None
    """Of an issue or a note: one line for people."""
    path: str | None
    """Where the work is, or where the issue is: a path inside the object."""
    phase: str
    """What is being done: `list`, `fetch`, `store`, `commit`, `verify`, `recover`, `export`."""
    throttled_for: float | None
    """Set while a service asked to wait: how much longer, in seconds."""


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was read, and what is wrong."""

    bytes: int
    """Bytes of the store that were read in that."""
    chunks: int
    """Chunks in them."""
    complete: bool
    """Whether everything in scope was read; `False` for a sample, and where time ran out."""
    content_bytes: int
    """Plain bytes of content joined and compared with their hash."""
    damage: list[Damage]
    """Damage, by object. Empty: nothing is damaged."""
    damaged_points: list[str]
    """Ids of the points that cannot be read in full."""
    interrupted: bool
    """Whether time ran out: a later call with `resume` goes on."""
    items: int
    """Items seen; an item that several points share unchanged counts once."""
    objects: int
    """Objects read besides packs: configuration, key slots, commits, checkpoints, index segments."""
    packs: int
    """Packs read whole."""
    points: int
    """Recovery points walked through."""
    recorded: int | None
    """Number of the commit that says what was found."""
    resumed: bool
    """Whether an earlier verification was continued."""
    seed: int
    """The seed that chose the sample."""
    unrecorded: str | None
    """Why what was found could not be written into the log, if it could not."""


def make_account_info(v: dict[str, Any]) -> AccountInfo:
    return AccountInfo(
        v["account_file"],
        moment(v["added"]),
        v["connector"],
        v["description"],
        v["id"],
        v["name"],
    )


def make_affected_item(v: dict[str, Any]) -> AffectedItem:
    return AffectedItem(
        v["object"],
        v["path"],
        v["point"],
    )


def make_backup_report(v: dict[str, Any]) -> BackupReport:
    return BackupReport(
        v["added"],
        v["bytes"],
        v["bytes_read"],
        v["bytes_stored"],
        v["changed"],
        v["enumerated"],
        v["failed"],
        v["first"],
        [make_issue(v0) for v0 in v["issues"]],
        v["items"],
        make_object_info(v["object"]),
        v["outcome"],
        v["point"],
        v["removed"],
        v["requests"],
        v["resumed"],
        v["run"],
        v["seconds"],
        v["skipped"],
        v["stored"],
        v["throttled"],
        v["unchanged"],
    )


def make_copied_point(v: dict[str, Any]) -> CopiedPoint:
    return CopiedPoint(
        v["bytes"],
        [make_issue(v0) for v0 in v["issues"]],
        v["items"],
        make_object_info(v["object"]),
        v["point"],
        v["state"],
        moment(v["time"]),
    )


def make_copy_report(v: dict[str, Any]) -> CopyReport:
    return CopyReport(
        v["bytes_stored"],
        [make_log_damage(v0) for v0 in v["log_damage"]],
        v["outcome"],
        [make_copied_point(v0) for v0 in v["points"]],
        v["seconds"],
    )


def make_damage(v: dict[str, Any]) -> Damage:
    return Damage(
        [make_affected_item(v0) for v0 in v["affected"]],
        v["affected_count"],
        v["object"],
        v["what"],
    )


def make_deleted_points(v: dict[str, Any]) -> DeletedPoints:
    return DeletedPoints(
        v["commit"],
        v["deleted"],
        v["kept"],
    )


def make_destroy_report(v: dict[str, Any]) -> DestroyReport:
    return DestroyReport(
        v["bytes"],
        v["objects"],
    )


def make_director_event(v: dict[str, Any]) -> DirectorEvent:
    return DirectorEvent(
        v["job"],
        v["kind"],
        v["message"],
        None if v["missed"] is None else make_missed_times(v["missed"]),
        v["name"],
        None if v["object"] is None else make_object_result(v["object"]),
        None if v["record"] is None else make_run_record(v["record"]),
        v["repository"],
        v["run"],
    )


def make_discovered(v: dict[str, Any]) -> Discovered:
    return Discovered(
        v["left_out"],
        [make_object_info(v0) for v0 in v["objects"]],
    )


def make_emulator_info(v: dict[str, Any]) -> EmulatorInfo:
    return EmulatorInfo(
        v["app_id"],
        v["client_secret"],
        v["directory_id"],
        v["domain"],
        v["drives"],
        v["graph_url"],
        v["login_url"],
        v["mailboxes"],
        v["seed"],
        v["sites"],
    )


def make_entry(v: dict[str, Any]) -> Entry:
    return Entry(
        v["container"],
        moment_or_none(v["created"]),
        v["id"],
        v["kind"],
        moment_or_none(v["modified"]),
        v["name"],
        [make_part_info(v0) for v0 in v["parts"]],
        v["path"],
        moment_or_none(v["received"]),
        moment_or_none(v["sent"]),
        v["size"],
    )


def make_export_failure(v: dict[str, Any]) -> ExportFailure:
    return ExportFailure(
        v["code"],
        v["id"],
        v["message"],
        v["path"],
    )


def make_export_report(v: dict[str, Any]) -> ExportReport:
    return ExportReport(
        v["bytes"],
        [make_export_failure(v0) for v0 in v["failed"]],
        v["items"],
        v["listed_only"],
        v["outcome"],
        v["point"],
    )


def make_figures(v: dict[str, Any]) -> Figures:
    return Figures(
        v["encrypted"],
        v["free_bytes"],
        v["logical_bytes"],
        v["objects"],
        v["points"],
        v["reclaimable_bytes"],
        moment(v["taken"]),
        v["unique_bytes"],
        v["used_bytes"],
    )


def make_heal_report(v: dict[str, Any]) -> HealReport:
    return HealReport(
        v["damaged_items"],
        v["damaged_points"],
        v["healed_points"],
        v["history_continues_at"],
        v["indexed_packs"],
        [make_log_damage(v0) for v0 in v["lost_history"]],
        v["preview"],
        [make_damage(v0) for v0 in v["quarantined"]],
        v["replaced_checkpoints"],
        v["replaced_segments"],
        v["restored_bytes"],
        v["restored_parts"],
        v["retired_packs"],
    )


def make_history_entry(v: dict[str, Any]) -> HistoryEntry:
    return HistoryEntry(
        None if v["missed"] is None else make_missed_times(v["missed"]),
        None if v["run"] is None else make_run_record(v["run"]),
    )


def make_issue(v: dict[str, Any]) -> Issue:
    return Issue(
        v["code"],
        v["kind"],
        v["message"],
        v["path"],
        v["retry"],
    )


def make_item_change(v: dict[str, Any]) -> ItemChange:
    return ItemChange(
        v["change"],
        v["container"],
        v["id"],
        v["kind"],
        v["name"],
        v["size"],
    )


def make_job_info(v: dict[str, Any]) -> JobInfo:
    return JobInfo(
        moment(v["added"]),
        v["enabled"],
        v["id"],
        moment_or_none(v["last_ended"]),
        v["last_outcome"],
        v["name"],
        moment_or_none(v["next"]),
        v["objects"],
        v["repository"],
        v["running"],
        v["tasks"],
    )


def make_job_source(v: dict[str, Any]) -> JobSource:
    return JobSource(
        account=v["account"],
        folder=v["folder"],
        objects=v["objects"],
        services=v["services"],
    )


def make_journal_head(v: dict[str, Any]) -> JournalHead:
    return JournalHead(
        v["director"],
        v["jobs"],
        v["repositories"],
        v["revision"],
        moment(v["written"]),
    )


def make_journal_standing(v: dict[str, Any]) -> JournalStanding:
    return JournalStanding(
        v["behind"],
        v["name"],
        v["problem"],
        v["repository"],
        v["revision"],
        moment_or_none(v["written"]),
    )


def make_journal_status(v: dict[str, Any]) -> JournalStatus:
    return JournalStatus(
        v["behind"],
        v["director"],
        [make_journal_standing(v0) for v0 in v["repositories"]],
        v["revision"],
    )


def make_keep(v: dict[str, Any]) -> Keep:
    return Keep(
        daily=v["daily"],
        last=v["last"],
        monthly=v["monthly"],
        week_start=v["week_start"],
        weekly=v["weekly"],
        yearly=v["yearly"],
        zone=v["zone"],
    )


def make_key_slot(v: dict[str, Any]) -> KeySlot:
    return KeySlot(
        v["created"],
        v["id"],
        v["kind"],
        v["label"],
        v["own"],
        v["removing"],
    )


def make_key_slots(v: dict[str, Any]) -> KeySlots:
    return KeySlots(
        v["damaged"],
        [make_key_slot(v0) for v0 in v["slots"]],
    )


def make_known_repository(v: dict[str, Any]) -> KnownRepository:
    return KnownRepository(
        v["attached"],
        v["description"],
        None if v["figures"] is None else make_figures(v["figures"]),
        v["id"],
        v["name"],
        v["url"],
    )


def make_lock_report(v: dict[str, Any]) -> LockReport:
    return LockReport(
        v["objects"],
        moment_or_none(v["promised"]),
        v["short"],
        v["short_locks"],
    )


def make_log_damage(v: dict[str, Any]) -> LogDamage:
    return LogDamage(
        v["object"],
        v["what"],
    )


def make_message_truth(v: dict[str, Any]) -> MessageTruth:
    return MessageTruth(
        v["attachments"],
        v["folder_id"],
        v["id"],
        v["is_read"],
        moment(v["received"]),
        v["subject"],
    )


def make_missed_times(v: dict[str, Any]) -> MissedTimes:
    return MissedTimes(
        moment(v["after"]),
        v["count"],
        moment(v["until"]),
    )


def make_new_key(v: dict[str, Any]) -> NewKey:
    return NewKey(
        v["key"],
        make_key_slot(v["slot"]),
    )


def make_object_info(v: dict[str, Any]) -> ObjectInfo:
    return ObjectInfo(
        v["account"],
        v["address"],
        v["id"],
        v["kind"],
        v["name"],
        v["native_id"],
        v["source"],
    )


def make_object_result(v: dict[str, Any]) -> ObjectResult:
    return ObjectResult(
        v["bytes"],
        v["bytes_read"],
        v["bytes_stored"],
        v["code"],
        v["failed"],
        v["items"],
        v["message"],
        v["name"],
        v["object"],
        v["outcome"],
        v["point"],
        v["points_removed"],
        v["tries"],
    )


def make_occurrence(v: dict[str, Any]) -> Occurrence:
    return Occurrence(
        moment_or_none(v["end"]),
        v["moved"],
        moment(v["start"]),
    )


def make_page(v: dict[str, Any]) -> Page:
    return Page(
        [make_entry(v0) for v0 in v["entries"]],
        v["next"],
    )


def make_part_info(v: dict[str, Any]) -> PartInfo:
    return PartInfo(
        v["media_type"],
        v["name"],
        v["size"],
    )


def make_permission_check(v: dict[str, Any]) -> PermissionCheck:
    return PermissionCheck(
        v["blocks"],
        v["granted"],
        v["message"],
        v["permission"],
    )


def make_plan_counts(v: dict[str, Any]) -> PlanCounts:
    return PlanCounts(
        v["bytes"],
        v["cannot"],
        v["create"],
        v["overwrite"],
        v["rename"],
        v["skip_existing"],
        v["skip_identical"],
    )


def make_planned_item(v: dict[str, Any]) -> PlannedItem:
    return PlannedItem(
        v["action"],
        v["code"],
        v["container"],
        v["id"],
        v["path"],
        v["size"],
        v["why"],
    )


def make_planned_point(v: dict[str, Any]) -> PlannedPoint:
    return PlannedPoint(
        v["goes"],
        v["point"],
        v["reasons"],
    )


def make_point_info(v: dict[str, Any]) -> PointInfo:
    return PointInfo(
        v["added"],
        v["bytes"],
        v["bytes_read"],
        v["bytes_stored"],
        v["changed"],
        v["description"],
        moment(v["finished"]),
        v["id"],
        moment_or_none(v["immutable_until"]),
        v["items"],
        v["job"],
        v["kept_forever"],
        moment_or_none(v["kept_until"]),
        v["lost"],
        make_object_info(v["object"]),
        v["outcome"],
        v["removed"],
        moment(v["time"]),
    )


def make_reclaim_report(v: dict[str, Any]) -> ReclaimReport:
    return ReclaimReport(
        v["deleted_objects"],
        v["freed_bytes"],
        v["locked_bytes"],
        v["locked_objects"],
        v["moved_bytes"],
        v["needed_bytes"],
        v["preview"],
        v["reclaimable_bytes"],
        v["rewritten_bytes"],
        v["rewritten_packs"],
        v["stored_bytes"],
        v["stray_bytes"],
        v["stray_packs"],
        v["unused_bytes"],
        v["unused_packs"],
        v["waiting_packs"],
    )


def make_recovered_item(v: dict[str, Any]) -> RecoveredItem:
    return RecoveredItem(
        v["code"],
        v["id"],
        v["location"],
        v["message"],
        v["new_id"],
        v["not_carried"],
        v["outcome"],
        v["path"],
    )


def make_recovery_report(v: dict[str, Any]) -> RecoveryReport:
    return RecoveryReport(
        v["bytes"],
        v["failed"],
        [make_recovered_item(v0) for v0 in v["items"]],
        v["outcome"],
        v["point"],
        v["recovered"],
        v["skipped"],
        make_object_info(v["target"]),
    )


def make_renew_report(v: dict[str, Any]) -> RenewReport:
    return RenewReport(
        v["due"],
        moment_or_none(v["locked_until"]),
        v["missing"],
        v["renewed"],
        v["resumed"],
    )


def make_repository_info(v: dict[str, Any]) -> RepositoryInfo:
    return RepositoryInfo(
        v["chunks"],
        v["compression"],
        v["created"],
        v["damaged_packs"],
        v["damaged_points"],
        v["encrypted"],
        v["epoch"],
        v["head"],
        v["id"],
        [make_log_damage(v0) for v0 in v["log_damage"]],
        v["logical_bytes"],
        v["notes"],
        v["objects"],
        v["packs"],
        v["points"],
        v["ratio"],
        v["read_only"],
        v["stored_bytes"],
        v["unique_bytes"],
        v["version"],
    )


def make_restored(v: dict[str, Any]) -> Restored:
    return Restored(
        make_journal_head(v["from"]),
        v["jobs"],
        make_journal_status(v["journal"]),
        [make_known_repository(v0) for v0 in v["repositories"]],
    )


def make_retention(v: dict[str, Any]) -> Retention:
    return Retention(
        v["commit"],
        [make_planned_point(v0) for v0 in v["points"]],
    )


def make_rotate_report(v: dict[str, Any]) -> RotateReport:
    return RotateReport(
        v["commit"],
        [make_key_slot(v0) for v0 in v["dropped"]],
        v["epoch"],
        [make_key_slot(v0) for v0 in v["kept"]],
        v["resumed"],
    )


def make_run_record(v: dict[str, Any]) -> RunRecord:
    return RunRecord(
        v["cause"],
        moment_or_none(v["due"]),
        moment(v["ended"]),
        v["interruptions"],
        v["job"],
        v["job_name"],
        [make_object_result(v0) for v0 in v["objects"]],
        v["outcome"],
        v["run"],
        moment(v["started"]),
    )


def make_schedule(v: dict[str, Any]) -> Schedule:
    return Schedule(
        days=v["days"],
        delay_minutes=v["delay_minutes"],
        end=v["end"],
        every=v["every"],
        job=v["job"],
        kind=v["kind"],
        months=v["months"],
        on=v["on"],
        outcomes=v["outcomes"],
        start=v["start"],
        valid_from=v["valid_from"],
        valid_until=v["valid_until"],
        week_start=v["week_start"],
        zone=v["zone"],
    )


def make_served(v: dict[str, Any]) -> Served:
    return Served(
        v["stopped"],
    )


def make_unhide_report(v: dict[str, Any]) -> UnhideReport:
    return UnhideReport(
        v["hidden_keys"],
        v["lifted"],
        v["overwritten"],
        v["refused"],
    )


def make_update(v: dict[str, Any]) -> Update:
    return Update(
        v["bytes_done"],
        v["bytes_stored"],
        v["bytes_total"],
        v["code"],
        v["failed"],
        v["items_done"],
        v["items_total"],
        v["kind"],
        v["message"],
        v["path"],
        v["phase"],
        v["throttled_for"],
    )


def make_verify_report(v: dict[str, Any]) -> VerifyReport:
    return VerifyReport(
        v["bytes"],
        v["chunks"],
        v["complete"],
        v["content_bytes"],
        [make_damage(v0) for v0 in v["damage"]],
        v["damaged_points"],
        v["interrupted"],
        v["items"],
        v["objects"],
        v["packs"],
        v["points"],
        v["recorded"],
        v["resumed"],
        v["seed"],
        v["unrecorded"],
    )
