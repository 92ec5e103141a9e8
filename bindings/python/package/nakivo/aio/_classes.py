# Generated from bindings/api.json by bindings/generate: change it there.

"""The classes."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import datetime
from os import PathLike
from typing import Self

from .._records import (
    AccountInfo,
    BackupReport,
    Compression,
    CopiedPoint,
    CopyReport,
    Damage,
    DeletedPoints,
    DestroyReport,
    DirectorEvent,
    Discovered,
    EmulatorInfo,
    Entry,
    ExportFormat,
    ExportReport,
    HealReport,
    HistoryEntry,
    Issue,
    ItemChange,
    JobInfo,
    JobSource,
    JournalHead,
    JournalStatus,
    Keep,
    KeySlot,
    KeySlots,
    KnownRepository,
    LockReport,
    MessageTruth,
    NewKey,
    ObjectInfo,
    Occurrence,
    OnConflict,
    Page,
    PermissionCheck,
    PlanCounts,
    PlannedItem,
    PointInfo,
    ReclaimReport,
    RecoveryReport,
    RenewReport,
    RepositoryInfo,
    Restored,
    Retention,
    RotateReport,
    RunRecord,
    Schedule,
    Served,
    UnhideReport,
    VerifyReport,
    make_account_info,
    make_backup_report,
    make_copied_point,
    make_copy_report,
    make_deleted_points,
    make_destroy_report,
    make_director_event,
    make_discovered,
    make_emulator_info,
    make_entry,
    make_export_report,
    make_heal_report,
    make_history_entry,
    make_issue,
    make_item_change,
    make_job_info,
    make_journal_head,
    make_journal_status,
    make_key_slot,
    make_key_slots,
    make_known_repository,
    make_lock_report,
    make_message_truth,
    make_new_key,
    make_object_info,
    make_occurrence,
    make_page,
    make_permission_check,
    make_plan_counts,
    make_planned_item,
    make_point_info,
    make_reclaim_report,
    make_recovery_report,
    make_renew_report,
    make_repository_info,
    make_restored,
    make_retention,
    make_rotate_report,
    make_run_record,
    make_served,
    make_unhide_report,
    make_verify_report,
)
from .._runtime import present, read, reader
from ._run import Run
from ._runtime import AsyncObject, call
from ._stream import Content, Listing


class Repository(AsyncObject):
    """A repository: where recovery points live."""

    __slots__ = ()

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        accept_history: bool = False,
        cache_bytes: int | None = None,
        key: str | None = None,
        key_file: str | PathLike[str] | None = None,
        passphrase: str | None = None,
        passphrase_file: str | PathLike[str] | None = None,
        state_dir: str | PathLike[str] | None = None,
        store_config: str | PathLike[str] | None = None,
    ) -> Self:
        """Opens the repository at `url`: `file:` and a path, `s3:bucket/prefix`, `az:container/prefix` or
        `gs:bucket/prefix`.

        Args:
            accept_history: Open although the store shows an older or another history than the one seen before,
                and go on from it. Default: `False`.
            cache_bytes: Plain bytes of blocks kept in memory. Default: 20 MiB.
            key: Instead of the passphrase: a recovery key as it was printed.
            key_file: Instead of the passphrase: a file with a recovery key.
            passphrase: The passphrase of an encrypted repository.
            passphrase_file: Instead of the passphrase: a file whose first line is the passphrase.
            state_dir: Where to remember the newest commit seen and how far verifications came. Default: nothing
                is remembered when the process has ended, so that a store that was set back meanwhile goes
                unnoticed.
            store_config: A file with endpoint and credential of an object store; see "Object stores" in the
                guide.
        """
        return cls(await call(
            "Repository",
            "open",
            {
                "url": url,
                "options": {
                    "accept_history": accept_history,
                    "cache_bytes": cache_bytes,
                    "key": key,
                    "key_file": key_file,
                    "passphrase": passphrase,
                    "passphrase_file": passphrase_file,
                    "state_dir": state_dir,
                    "store_config": store_config,
                },
            },
        ))

    @classmethod
    async def create(
        cls,
        url: str,
        *,
        compression: Compression | None = None,
        description: str | None = None,
        immutable_days: int | None = None,
        key: str | None = None,
        key_file: str | PathLike[str] | None = None,
        passphrase: str | None = None,
        passphrase_file: str | PathLike[str] | None = None,
        state_dir: str | PathLike[str] | None = None,
        store_config: str | PathLike[str] | None = None,
        unencrypted: bool = False,
    ) -> Self:
        """Makes a repository at `url` and opens it. Nothing may be there yet.

        Args:
            compression: How hard new data is compressed. Default: medium.
            description: What the first key slot is for, in words. Default: empty.
            immutable_days: Days after it was made during which nobody can remove a recovery point or what it
                needs, 1 to 3650; the store must be an S3 bucket with object lock. Default: nothing is locked.
            key: Instead of the passphrase: a recovery key.
            key_file: Instead of the passphrase: a file with a recovery key.
            passphrase: Protects the repository's keys with this passphrase. Without this, a key or a file that
                holds one of them, whoever can read the store can read the backups.
            passphrase_file: Instead of the passphrase: a file whose first line is the passphrase.
            state_dir: As of `OpenOptions`.
            store_config: A file with endpoint and credential of an object store.
            unencrypted: Whether the repository may be without a passphrase or a key. Default: `False`, so that
                nobody forgets it.
        """
        return cls(await call(
            "Repository",
            "create",
            {
                "url": url,
                "options": {
                    "compression": compression,
                    "description": description,
                    "immutable_days": immutable_days,
                    "key": key,
                    "key_file": key_file,
                    "passphrase": passphrase,
                    "passphrase_file": passphrase_file,
                    "state_dir": state_dir,
                    "store_config": store_config,
                    "unencrypted": unencrypted,
                },
            },
        ))

    async def info(self) -> RepositoryInfo:
        """Its figures."""
        answer = read(await call(self._handle, "info"))
        return make_repository_info(answer)

    async def refresh(self) -> None:
        """Looks at what others committed since."""
        await call(self._handle, "refresh")

    async def objects(self) -> list[ObjectInfo]:
        """The protected objects."""
        answer = read(await call(self._handle, "objects"))
        return [make_object_info(v0) for v0 in answer]

    async def object(self, name: str) -> ObjectInfo:
        """The protected object with this name, address or id."""
        answer = read(await call(self._handle, "object", {"name": name}))
        return make_object_info(answer)

    async def points(self, object: str) -> list[PointInfo]:
        """The recovery points of an object, oldest first. `object` is its name, address or id."""
        answer = read(await call(self._handle, "points", {"object": object}))
        return [make_point_info(v0) for v0 in answer]

    async def all_points(self) -> list[PointInfo]:
        """The recovery points of all objects, in the order of their commits."""
        answer = read(await call(self._handle, "all_points"))
        return [make_point_info(v0) for v0 in answer]

    async def point(self, object: str, point: str) -> Point:
        """A recovery point, to look into: `latest`, or its id or the beginning of it."""
        return Point(await call(self._handle, "point", {"object": object, "point": point}))

    async def verify(
        self,
        *,
        max_seconds: float | None = None,
        object: str | None = None,
        point: str | None = None,
        record: bool = False,
        resume: bool = False,
        sample_percent: int | None = None,
        seed: int | None = None,
        skip_content_hashes: bool = False,
    ) -> Run[VerifyReport]:
        """Verifies the repository. Damage is no error: it is what the report is for.

        Args:
            max_seconds: Stop after this many seconds; a later call can go on. Default: none.
            object: Only what this object's points need: its name, address or id. Default: everything.
            point: Only what this point needs: its id or the beginning of it. Default: everything.
            record: Write into the log what is damaged and what is whole again. Default: `False`, nothing is
                written.
            resume: Go on where an earlier verification of the same scope was cancelled or ran out of time.
                Default: `False`.
            sample_percent: Read the content of only this share of packs and items, 1 to 100. Structure is
                always read in full. Default: all.
            seed: Chooses the sample; the same seed chooses the same one. Default: random, and told in the
                report.
            skip_content_hashes: Leave out joining each item's content to compare it with the hash taken when it
                was read from its source.
        """
        return Run(
            await call(
                self._handle,
                "verify",
                {"options": {
                    "max_seconds": max_seconds,
                    "object": object,
                    "point": point,
                    "record": record,
                    "resume": resume,
                    "sample_percent": sample_percent,
                    "seed": seed,
                    "skip_content_hashes": skip_content_hashes,
                }},
            ),
            reader(make_verify_report),
        )

    async def protect(self, point: str, *, forever: bool = False, until: datetime | None = None) -> None:
        """Sets how long a point is kept, whatever retention says. `point` is its id or the beginning of it.

        Args:
            forever: Until somebody says otherwise.
            until: Until this moment.
        """
        await call(self._handle, "protect", {"point": point, "protection": {"forever": forever, "until": until}})

    async def describe(self, point: str, description: str | None = None) -> None:
        """Notes something about a point; nothing takes the note away."""
        await call(self._handle, "describe", {"point": point, "description": description})

    async def delete_points(
        self,
        *,
        all_but_latest: bool = False,
        damaged: bool = False,
        not_of: Sequence[str] | None = None,
        object: str | None = None,
        older_than: datetime | None = None,
        points: Sequence[str] = (),
        preview: bool = False,
        reason: str | None = None,
    ) -> DeletedPoints:
        """Deletes recovery points, or says which would go.

        Args:
            all_but_latest: They are neither the newest of their object nor the newest complete one.
            damaged: They are known to be damaged.
            not_of: They are of none of these objects: of those that nobody protects any more.
            object: They are of this object: its name, address or id.
            older_than: Their run began before this moment.
            points: They are among these ids.
            preview: Only say what would go. Default: `False`.
            reason: Why they go, for the log. Default: asked for.
        """
        answer = read(await call(
            self._handle,
            "delete_points",
            {"filter": {
                "all_but_latest": all_but_latest,
                "damaged": damaged,
                "not_of": not_of,
                "object": object,
                "older_than": older_than,
                "points": points,
                "preview": preview,
                "reason": reason,
            }},
        ))
        return make_deleted_points(answer)

    async def plan_retention(
        self,
        object: str,
        *,
        daily: int | None = None,
        last: int | None = None,
        monthly: int | None = None,
        week_start: str | None = None,
        weekly: int | None = None,
        yearly: int | None = None,
        zone: str | None = None,
    ) -> Retention:
        """Says which recovery points of an object stay by these rules, why and until when. Removes nothing.

        Args:
            daily: One point a day for N days.
            last: The last N points. 1 to 1,000.
            monthly: One point a month for N months.
            week_start: First day of the week: `monday` and so on. Default: `monday`.
            weekly: One point a week for N weeks.
            yearly: One point a year for N years.
            zone: Whose midnight counts: IANA name. Default: `UTC`.
        """
        answer = read(await call(
            self._handle,
            "plan_retention",
            {
                "object": object,
                "keep": {
                    "daily": daily,
                    "last": last,
                    "monthly": monthly,
                    "week_start": week_start,
                    "weekly": weekly,
                    "yearly": yearly,
                    "zone": zone,
                },
            },
        ))
        return make_retention(answer)

    async def apply_retention(
        self,
        object: str,
        *,
        daily: int | None = None,
        last: int | None = None,
        monthly: int | None = None,
        week_start: str | None = None,
        weekly: int | None = None,
        yearly: int | None = None,
        zone: str | None = None,
    ) -> Retention:
        """Removes the recovery points of an object that nothing keeps.

        Args:
            daily: One point a day for N days.
            last: The last N points. 1 to 1,000.
            monthly: One point a month for N months.
            week_start: First day of the week: `monday` and so on. Default: `monday`.
            weekly: One point a week for N weeks.
            yearly: One point a year for N years.
            zone: Whose midnight counts: IANA name. Default: `UTC`.
        """
        answer = read(await call(
            self._handle,
            "apply_retention",
            {
                "object": object,
                "keep": {
                    "daily": daily,
                    "last": last,
                    "monthly": monthly,
                    "week_start": week_start,
                    "weekly": weekly,
                    "yearly": yearly,
                    "zone": zone,
                },
            },
        ))
        return make_retention(answer)

    async def reclaim(
        self,
        *,
        grace_seconds: float | None = None,
        preview: bool = False,
        reencrypt: bool = False,
        rewrite_below_percent: int | None = None,
    ) -> Run[ReclaimReport]:
        """Frees what no recovery point needs.

        Args:
            grace_seconds: Seconds that packs stay after nothing needed them. Default: 24 hours.
            preview: Only say what would be done. Default: `False`.
            reencrypt: Also write anew whatever is sealed in an older epoch of the keys than the current one.
                Default: `False`.
            rewrite_below_percent: Packs of which less than this share is wanted are written anew, 0 to 100.
                Default: 70.
        """
        return Run(
            await call(
                self._handle,
                "reclaim",
                {"options": {
                    "grace_seconds": grace_seconds,
                    "preview": preview,
                    "reencrypt": reencrypt,
                    "rewrite_below_percent": rewrite_below_percent,
                }},
            ),
            reader(make_reclaim_report),
        )

    async def reencrypt(
        self,
        *,
        grace_seconds: float | None = None,
        preview: bool = False,
        reencrypt: bool = False,
        rewrite_below_percent: int | None = None,
    ) -> Run[ReclaimReport]:
        """Writes anew what is sealed in older epochs of the keys, after they were rotated.

        Args:
            grace_seconds: Seconds that packs stay after nothing needed them. Default: 24 hours.
            preview: Only say what would be done. Default: `False`.
            reencrypt: Also write anew whatever is sealed in an older epoch of the keys than the current one.
                Default: `False`.
            rewrite_below_percent: Packs of which less than this share is wanted are written anew, 0 to 100.
                Default: 70.
        """
        return Run(
            await call(
                self._handle,
                "reencrypt",
                {"options": {
                    "grace_seconds": grace_seconds,
                    "preview": preview,
                    "reencrypt": reencrypt,
                    "rewrite_below_percent": rewrite_below_percent,
                }},
            ),
            reader(make_reclaim_report),
        )

    async def heal(
        self,
        repository: Repository | None = None,
        source: Source | None = None,
        *,
        preview: bool = False,
    ) -> Run[HealReport]:
        """Repairs what can be repaired: index and checkpoints from the packs; damaged content from another
        repository or from
        the source, where they are given and still have it.

        Args:
            preview: Only say what would be done. Default: `False`.
        """
        return Run(
            await call(
                self._handle,
                "heal",
                {"options": {"preview": preview}},
                {**present({"repository": repository}), **present({"source": source})},
            ),
            reader(make_heal_report),
        )

    async def plan_copy(
        self,
        target: Repository,
        *,
        late: bool = False,
        objects: Sequence[str] = (),
        points: Sequence[str] = (),
    ) -> list[CopiedPoint]:
        """Says what copying into another repository would do.

        Args:
            late: Also points of which the target holds a later one of the same object. Default: `False`.
            objects: Only points of these objects: names, addresses or ids. Default: of all.
            points: Only these points: ids or their beginnings. Default: all.
        """
        answer = read(await call(
            self._handle,
            "plan_copy",
            {"options": {"late": late, "objects": objects, "points": points}},
            {"target": target},
        ))
        return [make_copied_point(v0) for v0 in answer]

    async def copy_to(
        self,
        target: Repository,
        *,
        late: bool = False,
        objects: Sequence[str] = (),
        points: Sequence[str] = (),
    ) -> Run[CopyReport]:
        """Copies recovery points into another repository. What is there already is not copied again.

        Args:
            late: Also points of which the target holds a later one of the same object. Default: `False`.
            objects: Only points of these objects: names, addresses or ids. Default: of all.
            points: Only these points: ids or their beginnings. Default: all.
        """
        return Run(
            await call(
                self._handle,
                "copy_to",
                {"options": {"late": late, "objects": objects, "points": points}},
                {"target": target},
            ),
            reader(make_copy_report),
        )

    async def keys(self) -> KeySlots:
        """What opens this repository."""
        answer = read(await call(self._handle, "keys"))
        return make_key_slots(answer)

    async def add_passphrase(self, passphrase: str, label: str | None = None) -> KeySlot:
        """Lets a further passphrase open it."""
        answer = read(await call(self._handle, "add_passphrase", {"passphrase": passphrase, "label": label}))
        return make_key_slot(answer)

    async def add_recovery_key(self, label: str | None = None) -> NewKey:
        """Makes a recovery key that opens it, to be printed."""
        answer = read(await call(self._handle, "add_recovery_key", {"label": label}))
        return make_new_key(answer)

    async def change_passphrase(self, passphrase: str) -> KeySlot:
        """Puts another passphrase in the place of the passphrase or key that it was opened with. No data is
        written anew.
        """
        answer = read(await call(self._handle, "change_passphrase", {"passphrase": passphrase}))
        return make_key_slot(answer)

    async def remove_key(self, id: str) -> KeySlot:
        """Removes a key slot, by its whole id. The last one stays."""
        answer = read(await call(self._handle, "remove_key", {"id": id}))
        return make_key_slot(answer)

    async def rotate_keys(
        self,
        *,
        drop_others: bool = False,
        keep_keys: Sequence[str] = (),
        keep_passphrases: Sequence[str] = (),
    ) -> RotateReport:
        """Seals new data with new keys. `reclaim` with `reencrypt` writes the old data anew.

        Args:
            drop_others: Remove every other key slot. Default: `False`, and the call fails if there is one.
            keep_keys: Recovery keys that are kept.
            keep_passphrases: Further passphrases that are kept.
        """
        answer = read(await call(
            self._handle,
            "rotate_keys",
            {"options": {"drop_others": drop_others, "keep_keys": keep_keys, "keep_passphrases": keep_passphrases}},
        ))
        return make_rotate_report(answer)

    async def unhide(self, *, keys: bool = False, preview: bool = False) -> Run[UnhideReport]:
        """Brings back what somebody deleted of this repository, in a bucket that keeps versions.

        Args:
            keys: Also key slots, those that were removed on purpose too. Default: `False`.
            preview: Only say what would be done. Default: `False`.
        """
        return Run(
            await call(self._handle, "unhide", {"options": {"keys": keys, "preview": preview}}),
            reader(make_unhide_report),
        )

    async def set_immutable_days(self, days: int) -> Run[RenewReport]:
        """Sets for how many days points of this repository cannot be removed by anybody."""
        return Run(await call(self._handle, "set_immutable_days", {"days": days}), reader(make_renew_report))

    async def renew_locks(self, force: bool) -> Run[RenewReport]:
        """Extends the locks of what points need. `force`: also where it is not due."""
        return Run(await call(self._handle, "renew_locks", {"force": force}), reader(make_renew_report))

    async def check_locks(self) -> Run[LockReport]:
        """Looks whether everything is locked for as long as it was promised."""
        return Run(await call(self._handle, "check_locks"), reader(make_lock_report))


class Point(AsyncObject):
    """A recovery point of one object."""

    __slots__ = ()

    async def info(self) -> PointInfo:
        """What is known of it."""
        answer = read(await call(self._handle, "info"))
        return make_point_info(answer)

    async def issues(self) -> builtins.list[Issue]:
        """What its run could not store, or stored with a warning."""
        answer = read(await call(self._handle, "issues"))
        return [make_issue(v0) for v0 in answer]

    def changes_since(self, older: Point) -> Listing[ItemChange]:
        """What differs from another point of the same object: `added` is what is only in this one."""
        return Listing(lambda: call(self._handle, "changes_since", {}, {"older": older}), make_item_change)

    async def list(self, container: str, *, after: str | None = None, limit: int | None = None) -> Page:
        """A page of what lies in a container: containers first, then items. `container` is its id, empty for the
        root.

        Args:
            after: Where the page before ended. Default: the first page.
            limit: Most entries, 1 to 10,000. Default: 100.
        """
        answer = read(await call(
            self._handle,
            "list",
            {"container": container, "options": {"after": after, "limit": limit}},
        ))
        return make_page(answer)

    def find(self, query: str) -> Listing[Entry]:
        """The items and containers that a query finds, such as `from:anna subject:"annual report" has:attachment`;
        an empty one finds
        everything.
        """
        return Listing(lambda: call(self._handle, "find", {"query": query}), make_entry)

    async def entry(self, path: str) -> Entry:
        """What is at a path, such as `Inbox/Annual report`."""
        answer = read(await call(self._handle, "entry", {"path": path}))
        return make_entry(answer)

    async def entry_by_id(self, id: str) -> Entry:
        """What has this id."""
        answer = read(await call(self._handle, "entry_by_id", {"id": id}))
        return make_entry(answer)

    def content(self, id: str, part: str | None = None) -> Content:
        """The content of an item, or of one of its parts. By default: the message as MIME, the file's content."""
        return Content(lambda: call(self._handle, "content", {"id": id, "part": part}))

    async def export(
        self,
        *,
        directory: str | PathLike[str] | None = None,
        format: ExportFormat | None = None,
        zip: str | PathLike[str] | None = None,
        ids: Sequence[str] = (),
        paths: Sequence[str] = (),
        query: str | None = None,
    ) -> Run[ExportReport]:
        """Exports items to a directory or an archive of this machine.

        Args:
            directory: A directory, which must be empty or is made.
            format: Default: files.
            zip: A ZIP archive, which must not exist, in a directory that does.
            ids: Containers and items with these ids.
            paths: Containers and items at these paths, as listings show them.
            query: The items that a query finds.
        """
        return Run(
            await call(
                self._handle,
                "export",
                {
                    "to": {"directory": directory, "format": format, "zip": zip},
                    "selected": {"ids": ids, "paths": paths, "query": query},
                },
            ),
            reader(make_export_report),
        )

    async def plan(
        self,
        source: Source,
        *,
        object: str | None = None,
        on_conflict: OnConflict | None = None,
        ids: Sequence[str] = (),
        paths: Sequence[str] = (),
        query: str | None = None,
    ) -> Run[RecoveryPlan]:
        """Says what a recovery to a source would do, and writes nothing.

        Args:
            object: Address, name or id of another object of the source. Default: the original.
            on_conflict: What to do where something exists. Default: rename.
            ids: Containers and items with these ids.
            paths: Containers and items at these paths, as listings show them.
            query: The items that a query finds.
        """
        return Run(
            await call(
                self._handle,
                "plan",
                {
                    "to": {"object": object, "on_conflict": on_conflict},
                    "selected": {"ids": ids, "paths": paths, "query": query},
                },
                {"source": source},
            ),
            RecoveryPlan,
        )


class RecoveryPlan(AsyncObject):
    """What a recovery would do."""

    __slots__ = ()

    async def counts(self) -> PlanCounts:
        """How many items would meet which fate."""
        answer = read(await call(self._handle, "counts"))
        return make_plan_counts(answer)

    async def items(self) -> list[PlannedItem]:
        """Each selected item and what would become of it, in the order in which they are written."""
        answer = read(await call(self._handle, "items"))
        return [make_planned_item(v0) for v0 in answer]

    async def apply(self) -> Run[RecoveryReport]:
        """Carries the plan out. Safe to repeat: what is there already is not made twice."""
        return Run(await call(self._handle, "apply"), reader(make_recovery_report))


class Source(AsyncObject):
    """Something that is backed up, and that recoveries go to: an organisation, or a folder of this machine."""

    __slots__ = ()

    @classmethod
    async def folder(cls, path: str | PathLike[str], name: str) -> Self:
        """A folder of this machine, to be known as `name`. The name makes its identity, not the path."""
        return cls(await call("Source", "folder", {"path": path, "name": name}))

    @classmethod
    async def m365(
        cls,
        *,
        account_file: str | PathLike[str] | None = None,
        app_id: str | None = None,
        certificate_file: str | PathLike[str] | None = None,
        client_secret: str | None = None,
        directory_id: str | None = None,
        graph_url: str | None = None,
        login_url: str | None = None,
        private_key_file: str | PathLike[str] | None = None,
        services: Sequence[str] = (),
    ) -> Self:
        """An organisation of Microsoft 365. Asks no service yet.

        Args:
            account_file: A file that says everything else.
            app_id: The id of the registered application.
            certificate_file: Instead of the secret: a file with a certificate, as PEM.
            client_secret: The credential: a client secret.
            directory_id: The GUID of the directory or one of its verified domains.
            graph_url: Root of Microsoft Graph with its version. Default: that of the global cloud.
            login_url: Root of the token service. Default: that of the global cloud.
            private_key_file: With the certificate: a file with its private key, as PEM.
            services: What is looked for and read: `mail`, `contacts`, `calendar`, `onedrive`, `sharepoint`.
                Default: all.
        """
        return cls(await call(
            "Source",
            "m365",
            {"options": {
                "account_file": account_file,
                "app_id": app_id,
                "certificate_file": certificate_file,
                "client_secret": client_secret,
                "directory_id": directory_id,
                "graph_url": graph_url,
                "login_url": login_url,
                "private_key_file": private_key_file,
                "services": services,
            }},
        ))

    async def objects(self) -> Discovered:
        """Everything that can be protected, as far as the credential reaches."""
        answer = read(await call(self._handle, "objects"))
        return make_discovered(answer)

    async def object(self, name: str) -> ObjectInfo:
        """The object with this address, name or id."""
        answer = read(await call(self._handle, "object", {"name": name}))
        return make_object_info(answer)

    async def check_permissions(self) -> list[PermissionCheck]:
        """Tries what each service needs. Empty for a folder."""
        answer = read(await call(self._handle, "check_permissions"))
        return [make_permission_check(v0) for v0 in answer]

    async def backup(self, repository: Repository, object: str, *, fail_fast: bool = False) -> Run[BackupReport]:
        """Backs an object up. An item that cannot be read does not end the run: the report says `partial` and
        names it.

        Args:
            fail_fast: Stop at the first item that cannot be read instead of recording it. Default: `False`.
        """
        return Run(
            await call(
                self._handle,
                "backup",
                {"object": object, "options": {"fail_fast": fail_fast}},
                {"repository": repository},
            ),
            reader(make_backup_report),
        )


class Director(AsyncObject):
    """Jobs, and the runs that their schedules call for, on one directory of state."""

    __slots__ = ()

    @classmethod
    async def open(
        cls,
        state_dir: str,
        *,
        history_days: int | None = None,
        look_every_seconds: int | None = None,
        tasks: int | None = None,
    ) -> Self:
        """Opens the director of a directory, which is made if it is not there. Starts nothing.

        Args:
            history_days: Days for which history is kept, 5 to 90. Default: 30.
            look_every_seconds: How often, in seconds, it looks whether jobs were changed by somebody else and
                whether the clock jumped. Default: 30.
            tasks: Objects that are processed at once, over all jobs, 1 to 100. Default: 6.
        """
        return cls(await call(
            "Director",
            "open",
            {
                "state_dir": state_dir,
                "options": {"history_days": history_days, "look_every_seconds": look_every_seconds, "tasks": tasks},
            },
        ))

    async def accounts(self) -> list[AccountInfo]:
        """Every account."""
        answer = read(await call(self._handle, "accounts"))
        return [make_account_info(v0) for v0 in answer]

    async def add_account(self, name: str, account_file: str) -> AccountInfo:
        """Adds an account by its file. Whether it can sign in is not tried: see `source`."""
        answer = read(await call(self._handle, "add_account", {"name": name, "account_file": account_file}))
        return make_account_info(answer)

    async def edit_account(
        self,
        account: str,
        *,
        account_file: str | PathLike[str] | None = None,
        description: str | None = None,
        new_name: str | None = None,
    ) -> AccountInfo:
        """Changes an account, by name or id. Its jobs stay.

        Args:
            account_file: Another file with its credential.
            description: Another note.
            new_name: Another name.
        """
        answer = read(await call(
            self._handle,
            "edit_account",
            {
                "account": account,
                "edit": {"account_file": account_file, "description": description, "new_name": new_name},
            },
        ))
        return make_account_info(answer)

    async def remove_account(self, account: str) -> AccountInfo:
        """Forgets an account that no job uses."""
        answer = read(await call(self._handle, "remove_account", {"account": account}))
        return make_account_info(answer)

    async def source(self, account: str, services: Sequence[str] = ()) -> Source:
        """The organisation of an account."""
        return Source(await call(self._handle, "source", {"account": account, "services": services}))

    async def repositories(self) -> list[KnownRepository]:
        """The repositories that jobs may use."""
        answer = read(await call(self._handle, "repositories"))
        return [make_known_repository(v0) for v0 in answer]

    async def add_repository(
        self,
        name: str,
        url: str,
        *,
        key_file: str | PathLike[str] | None = None,
        passphrase_file: str | PathLike[str] | None = None,
        store_config: str | PathLike[str] | None = None,
    ) -> KnownRepository:
        """Makes a repository known under a name, so that jobs may use it.

        Args:
            key_file: The file with a recovery key of it.
            passphrase_file: The file whose first line is its passphrase.
            store_config: The file with endpoint and credential of its object store.
        """
        answer = read(await call(
            self._handle,
            "add_repository",
            {
                "name": name,
                "url": url,
                "access_by": {"key_file": key_file, "passphrase_file": passphrase_file, "store_config": store_config},
            },
        ))
        return make_known_repository(answer)

    async def edit_repository(
        self,
        name: str,
        *,
        description: str | None = None,
        key_file: str | PathLike[str] | None = None,
        new_name: str | None = None,
        passphrase_file: str | PathLike[str] | None = None,
        store_config: str | PathLike[str] | None = None,
        url: str | None = None,
    ) -> KnownRepository:
        """Changes what is known of a repository.

        Args:
            description: Another note.
            key_file: Another file with a recovery key.
            new_name: Another name.
            passphrase_file: Another file with its passphrase.
            store_config: Another file with endpoint and credential of its store.
            url: Another location of the same repository.
        """
        answer = read(await call(
            self._handle,
            "edit_repository",
            {
                "name": name,
                "edit": {
                    "description": description,
                    "key_file": key_file,
                    "new_name": new_name,
                    "passphrase_file": passphrase_file,
                    "store_config": store_config,
                    "url": url,
                },
            },
        ))
        return make_known_repository(answer)

    async def open_repository(self, name: str) -> Repository:
        """Opens a known repository."""
        return Repository(await call(self._handle, "open_repository", {"name": name}))

    async def refresh_repository(self, name: str) -> KnownRepository:
        """Takes new figures of a known repository."""
        answer = read(await call(self._handle, "refresh_repository", {"name": name}))
        return make_known_repository(answer)

    async def attach_repository(self, name: str) -> KnownRepository:
        """Lets jobs use a repository again."""
        answer = read(await call(self._handle, "attach_repository", {"name": name}))
        return make_known_repository(answer)

    async def detach_repository(self, name: str) -> KnownRepository:
        """Keeps jobs from using a repository, so that its disk can be taken out."""
        answer = read(await call(self._handle, "detach_repository", {"name": name}))
        return make_known_repository(answer)

    async def remove_repository(self, name: str) -> KnownRepository:
        """Forgets a repository that no job uses. What is in it stays."""
        answer = read(await call(self._handle, "remove_repository", {"name": name}))
        return make_known_repository(answer)

    async def jobs(self) -> list[JobInfo]:
        """Every job as it stands."""
        answer = read(await call(self._handle, "jobs"))
        return [make_job_info(v0) for v0 in answer]

    async def job(self, job: str) -> JobInfo:
        """The job of this name or id, as it stands."""
        answer = read(await call(self._handle, "job", {"job": job}))
        return make_job_info(answer)

    async def add_job(
        self,
        name: str,
        *,
        catch_up: str | None = None,
        enabled: bool | None = None,
        keep_all: bool = False,
        new_name: str | None = None,
        repository: str | None = None,
        retention: Keep | None = None,
        retries: int | None = None,
        retry_minutes: int | None = None,
        schedules: Sequence[Schedule] | None = None,
        sources: Sequence[JobSource] | None = None,
        tasks: int | None = None,
    ) -> JobInfo:
        """Adds a job.

        Args:
            catch_up: What to do about times that were missed: `within_window`, `once` or `skip`. Default:
                `within_window`.
            enabled: Whether it runs, by schedule or by hand. Default: `True`.
            keep_all: Remove no points at all after a run. Default: `False`.
            new_name: Another name for a job that exists.
            repository: Name of the repository.
            retention: How many points of each object stay. Default: the last 10.
            retries: How often a failed object is tried again within a run; 0: not at all. Default: 3.
            retry_minutes: Minutes between two tries. Default: 15.
            schedules: When it runs. Default: on demand.
            sources: What is backed up, the most important first.
            tasks: Objects processed at once, 1 to 100. Default: 3.
        """
        answer = read(await call(
            self._handle,
            "add_job",
            {
                "name": name,
                "options": {
                    "catch_up": catch_up,
                    "enabled": enabled,
                    "keep_all": keep_all,
                    "new_name": new_name,
                    "repository": repository,
                    "retention": retention,
                    "retries": retries,
                    "retry_minutes": retry_minutes,
                    "schedules": schedules,
                    "sources": sources,
                    "tasks": tasks,
                },
            },
        ))
        return make_job_info(answer)

    async def edit_job(
        self,
        job: str,
        *,
        catch_up: str | None = None,
        enabled: bool | None = None,
        keep_all: bool = False,
        new_name: str | None = None,
        repository: str | None = None,
        retention: Keep | None = None,
        retries: int | None = None,
        retry_minutes: int | None = None,
        schedules: Sequence[Schedule] | None = None,
        sources: Sequence[JobSource] | None = None,
        tasks: int | None = None,
    ) -> JobInfo:
        """Changes a job, by name or id. A run of it goes on as it was.

        Args:
            catch_up: What to do about times that were missed: `within_window`, `once` or `skip`. Default:
                `within_window`.
            enabled: Whether it runs, by schedule or by hand. Default: `True`.
            keep_all: Remove no points at all after a run. Default: `False`.
            new_name: Another name for a job that exists.
            repository: Name of the repository.
            retention: How many points of each object stay. Default: the last 10.
            retries: How often a failed object is tried again within a run; 0: not at all. Default: 3.
            retry_minutes: Minutes between two tries. Default: 15.
            schedules: When it runs. Default: on demand.
            sources: What is backed up, the most important first.
            tasks: Objects processed at once, 1 to 100. Default: 3.
        """
        answer = read(await call(
            self._handle,
            "edit_job",
            {
                "job": job,
                "options": {
                    "catch_up": catch_up,
                    "enabled": enabled,
                    "keep_all": keep_all,
                    "new_name": new_name,
                    "repository": repository,
                    "retention": retention,
                    "retries": retries,
                    "retry_minutes": retry_minutes,
                    "schedules": schedules,
                    "sources": sources,
                    "tasks": tasks,
                },
            },
        ))
        return make_job_info(answer)

    async def remove_job(self, job: str) -> None:
        """Removes a job. The recovery points that it made stay."""
        await call(self._handle, "remove_job", {"job": job})

    async def next_times(self, job: str, most: int) -> list[Occurrence]:
        """The next times at which a job is due."""
        answer = read(await call(self._handle, "next_times", {"job": job, "most": most}))
        return [make_occurrence(v0) for v0 in answer]

    async def run(self, job: str, *, failed: bool = False, objects: Sequence[str] = ()) -> Run[RunRecord]:
        """Runs a job now.

        Args:
            failed: Only those that failed last time.
            objects: Only these.
        """
        return Run(
            await call(self._handle, "run", {"job": job, "selection": {"failed": failed, "objects": objects}}),
            reader(make_run_record),
        )

    async def stop(self, job: str, objects: Sequence[str] | None = None) -> None:
        """Asks a run of a job that this director runs to stop, or some of its objects."""
        await call(self._handle, "stop", {"job": job, "objects": objects})

    async def serve(self) -> Run[Served]:
        """Runs every job as its schedules say, until it is cancelled."""
        return Run(await call(self._handle, "serve"), reader(make_served))

    async def history(self, job: str, most: int) -> list[HistoryEntry]:
        """The newest entries of a job's history, newest first."""
        answer = read(await call(self._handle, "history", {"job": job, "most": most}))
        return [make_history_entry(v0) for v0 in answer]

    def events(self) -> Listing[DirectorEvent]:
        """What happens from now on."""
        return Listing(lambda: call(self._handle, "events"), make_director_event)

    async def journal_status(self) -> JournalStatus:
        """How far the journal of the configuration in the repositories is."""
        answer = read(await call(self._handle, "journal_status"))
        return make_journal_status(answer)

    async def journal(self) -> JournalStatus:
        """Writes the configuration into the repositories that lack it."""
        answer = read(await call(self._handle, "journal"))
        return make_journal_status(answer)

    async def journals_in(self, repository: Repository) -> list[JournalHead]:
        """The journals of directors in a repository, the newest first."""
        answer = read(await call(self._handle, "journals_in", {}, {"repository": repository}))
        return [make_journal_head(v0) for v0 in answer]

    async def forget_journal(self, repository: Repository, director: str) -> None:
        """Takes the journal of a director that is gone out of a repository."""
        await call(self._handle, "forget_journal", {"director": director}, {"repository": repository})

    async def restore(
        self,
        url: str,
        director: str | None = None,
        *,
        key_file: str | PathLike[str] | None = None,
        passphrase_file: str | PathLike[str] | None = None,
        store_config: str | PathLike[str] | None = None,
    ) -> Restored:
        """Brings a director whose state was lost back from the journal in a repository, into this empty state.

        Args:
            key_file: The file with a recovery key of it.
            passphrase_file: The file whose first line is its passphrase.
            store_config: The file with endpoint and credential of its object store.
        """
        answer = read(await call(
            self._handle,
            "restore",
            {
                "url": url,
                "director": director,
                "access_by": {"key_file": key_file, "passphrase_file": passphrase_file, "store_config": store_config},
            },
        ))
        return make_restored(answer)


class Place(AsyncObject):
    """A place where a repository is, for what is done without opening it."""

    __slots__ = ()

    @classmethod
    async def at(cls, url: str, *, store_config: str | PathLike[str] | None = None) -> Self:
        """The place at `url`.

        Args:
            store_config: A file with endpoint and credential of an object store.
        """
        return cls(await call("Place", "at", {"url": url, "options": {"store_config": store_config}}))

    async def identify(self) -> str:
        """The id of the repository that is there."""
        answer: str = read(await call(self._handle, "identify"))
        return answer

    async def destroy(self, id: str) -> Run[DestroyReport]:
        """Deletes the repository with everything in it. `id` is what `identify` says, so that nobody deletes
        another one.
        """
        return Run(await call(self._handle, "destroy", {"id": id}), reader(make_destroy_report))

    async def unhide(self, *, keys: bool = False, preview: bool = False) -> Run[UnhideReport]:
        """Brings back what somebody deleted of a repository in a bucket that keeps versions.

        Args:
            keys: Also key slots, those that were removed on purpose too. Default: `False`.
            preview: Only say what would be done. Default: `False`.
        """
        return Run(
            await call(self._handle, "unhide", {"options": {"keys": keys, "preview": preview}}),
            reader(make_unhide_report),
        )


class Emulator(AsyncObject):
    """An organisation that is not there: an emulator of Microsoft Graph on this machine's loopback, for tests."""

    __slots__ = ()

    @classmethod
    async def start(
        cls,
        *,
        files_from: str | PathLike[str] | None = None,
        files_per_user: int | None = None,
        items_per_user: int | None = None,
        mail_from: str | PathLike[str] | None = None,
        seed: int | None = None,
        sites: int | None = None,
        users: int | None = None,
    ) -> Self:
        """Starts one. The same options make the same organisation.

        Args:
            files_from: A folder of files that are put into the drives.
            files_per_user: Files in each user's drive, and in each site. Default: none, and no drives.
            items_per_user: Messages of each. Default: 20.
            mail_from: A folder of `.eml` files that are spread over the mailboxes.
            seed: Chooses what it has. Default: 1.
            sites: Sites. Default: none.
            users: Users with a mailbox. Default: 3.
        """
        return cls(await call(
            "Emulator",
            "start",
            {"options": {
                "files_from": files_from,
                "files_per_user": files_per_user,
                "items_per_user": items_per_user,
                "mail_from": mail_from,
                "seed": seed,
                "sites": sites,
                "users": users,
            }},
        ))

    async def info(self) -> EmulatorInfo:
        """What a client needs to connect, and who is there."""
        answer = read(await call(self._handle, "info"))
        return make_emulator_info(answer)

    async def source(self, services: Sequence[str] = ()) -> Source:
        """The emulated organisation as a source of these services; none: of all."""
        return Source(await call(self._handle, "source", {"services": services}))

    async def add_message(self, mailbox: str, folder: str, mime: bytes | bytearray | memoryview) -> str:
        """Puts a message into a folder of a mailbox, and says its id. `folder` is a well-known name such as
        `inbox`, or an id.
        """
        answer: str = read(await call(
            self._handle,
            "add_message",
            {"mailbox": mailbox, "folder": folder},
            {},
            {"mime": mime},
        ))
        return answer

    async def delete_message(self, mailbox: str, id: str) -> None:
        """Moves a message to the deleted items."""
        await call(self._handle, "delete_message", {"mailbox": mailbox, "id": id})

    async def purge_message(self, mailbox: str, id: str) -> None:
        """Deletes a message for good."""
        await call(self._handle, "purge_message", {"mailbox": mailbox, "id": id})

    async def corrupt_message(self, mailbox: str, id: str, corrupt: bool) -> None:
        """Makes a message unreadable, or readable again."""
        await call(self._handle, "corrupt_message", {"mailbox": mailbox, "id": id, "corrupt": corrupt})

    async def messages(self, mailbox: str) -> list[MessageTruth]:
        """Every message of a mailbox, as it is."""
        answer = read(await call(self._handle, "messages", {"mailbox": mailbox}))
        return [make_message_truth(v0) for v0 in answer]

    async def mime(self, mailbox: str, id: str) -> bytes | None:
        """A message as MIME."""
        answer: bytes | None = await call(self._handle, "mime", {"mailbox": mailbox, "id": id})
        return answer

    async def add_file(self, user: str, path: str, content: bytes | bytearray | memoryview) -> str:
        """Puts a file into a user's drive, and says its id. Folders on the way are made."""
        answer: str = read(await call(self._handle, "add_file", {"user": user, "path": path}, {}, {"content": content}))
        return answer

    async def throttle_next(self, count: int, retry_after: int) -> None:
        """Refuses the next `count` requests with 429 and a time to wait in seconds."""
        await call(self._handle, "throttle_next", {"count": count, "retry_after": retry_after})

    async def fail_at(self, nth: int, status: int) -> None:
        """Fails the `nth` request from now, counted from 1, with this status."""
        await call(self._handle, "fail_at", {"nth": nth, "status": status})

    async def clear_faults(self) -> None:
        """Takes all faults back."""
        await call(self._handle, "clear_faults")

    async def requests(self) -> int:
        """How many requests of Microsoft Graph were answered."""
        answer: int = read(await call(self._handle, "requests"))
        return answer

    async def stop(self) -> None:
        """Stops it. Calls on it fail from then on."""
        await call(self._handle, "stop")
