# Generated from bindings/api.json by bindings/generate: change it there.

"""The records: data that goes over as a whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
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
    """Its content: names of its parts, as `Point.content` takes them."""
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
    items: int
    """Items in it."""
    job: str | None
    """The job it belongs to."""
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


def make_damage(v: dict[str, Any]) -> Damage:
    return Damage(
        [make_affected_item(v0) for v0 in v["affected"]],
        v["affected_count"],
        v["object"],
        v["what"],
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


def make_issue(v: dict[str, Any]) -> Issue:
    return Issue(
        v["code"],
        v["kind"],
        v["message"],
        v["path"],
        v["retry"],
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
        v["items"],
        v["job"],
        v["lost"],
        make_object_info(v["object"]),
        v["outcome"],
        v["removed"],
        moment(v["time"]),
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
