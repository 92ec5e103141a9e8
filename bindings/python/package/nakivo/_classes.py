# Generated from bindings/api.json by bindings/generate: change it there.

"""The classes."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Self

from ._records import (
    BackupReport,
    Compression,
    Damage,
    Discovered,
    EmulatorInfo,
    Entry,
    ExportFormat,
    ExportReport,
    MessageTruth,
    ObjectInfo,
    OnConflict,
    Page,
    PermissionCheck,
    PlanCounts,
    PlannedItem,
    PointInfo,
    RecoveryReport,
    RepositoryInfo,
    VerifyReport,
    make_backup_report,
    make_discovered,
    make_emulator_info,
    make_entry,
    make_export_report,
    make_message_truth,
    make_object_info,
    make_page,
    make_permission_check,
    make_plan_counts,
    make_planned_item,
    make_point_info,
    make_recovery_report,
    make_repository_info,
    make_verify_report,
)
from ._run import Run
from ._runtime import Object, call, read, reader
from ._stream import Content, Listing


class Repository(Object):
    """A repository: where recovery points live."""

    __slots__ = ()

    @classmethod
    def open(
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
        return cls(call(
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
    def create(
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
        return cls(call(
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

    def info(self) -> RepositoryInfo:
        """Its figures."""
        answer = read(call(self._handle, "info"))
        return make_repository_info(answer)

    def refresh(self) -> None:
        """Looks at what others committed since."""
        call(self._handle, "refresh")

    def objects(self) -> list[ObjectInfo]:
        """The protected objects."""
        answer = read(call(self._handle, "objects"))
        return [make_object_info(v0) for v0 in answer]

    def object(self, name: str) -> ObjectInfo:
        """The protected object with this name, address or id."""
        answer = read(call(self._handle, "object", {"name": name}))
        return make_object_info(answer)

    def points(self, object: str) -> list[PointInfo]:
        """The recovery points of an object, oldest first. `object` is its name, address or id."""
        answer = read(call(self._handle, "points", {"object": object}))
        return [make_point_info(v0) for v0 in answer]

    def point(self, object: str, point: str) -> Point:
        """A recovery point, to look into: `latest`, or its id or the beginning of it."""
        return Point(call(self._handle, "point", {"object": object, "point": point}))

    def verify(
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
            call(
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


class Point(Object):
    """A recovery point of one object."""

    __slots__ = ()

    def info(self) -> PointInfo:
        """What is known of it."""
        answer = read(call(self._handle, "info"))
        return make_point_info(answer)

    def list(self, container: str, *, after: str | None = None, limit: int | None = None) -> Page:
        """A page of what lies in a container: containers first, then items. `container` is its id, empty for the
        root.

        Args:
            after: Where the page before ended. Default: the first page.
            limit: Most entries, 1 to 10,000. Default: 100.
        """
        answer = read(call(self._handle, "list", {"container": container, "options": {"after": after, "limit": limit}}))
        return make_page(answer)

    def find(self, query: str) -> Listing[Entry]:
        """The items that a query finds, such as `from:anna subject:"annual report" has:attachment`; an empty one
        finds all.
        """
        return Listing(call(self._handle, "find", {"query": query}), make_entry)

    def entry(self, path: str) -> Entry:
        """What is at a path, such as `Inbox/Annual report`."""
        answer = read(call(self._handle, "entry", {"path": path}))
        return make_entry(answer)

    def entry_by_id(self, id: str) -> Entry:
        """What has this id."""
        answer = read(call(self._handle, "entry_by_id", {"id": id}))
        return make_entry(answer)

    def content(self, id: str, part: str | None = None) -> Content:
        """The content of an item, or of one of its parts. By default: the message as MIME, the file's content."""
        return Content(call(self._handle, "content", {"id": id, "part": part}))

    def export(
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
            call(
                self._handle,
                "export",
                {
                    "to": {"directory": directory, "format": format, "zip": zip},
                    "selected": {"ids": ids, "paths": paths, "query": query},
                },
            ),
            reader(make_export_report),
        )

    def plan(
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
            call(
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


class RecoveryPlan(Object):
    """What a recovery would do."""

    __slots__ = ()

    def counts(self) -> PlanCounts:
        """How many items would meet which fate."""
        answer = read(call(self._handle, "counts"))
        return make_plan_counts(answer)

    def items(self) -> list[PlannedItem]:
        """Each selected item and what would become of it, in the order in which they are written."""
        answer = read(call(self._handle, "items"))
        return [make_planned_item(v0) for v0 in answer]

    def apply(self) -> Run[RecoveryReport]:
        """Carries the plan out. Safe to repeat: what is there already is not made twice."""
        return Run(call(self._handle, "apply"), reader(make_recovery_report))


class Source(Object):
    """Something that is backed up, and that recoveries go to: an organisation, or a folder of this machine."""

    __slots__ = ()

    @classmethod
    def folder(cls, path: str | PathLike[str], name: str) -> Self:
        """A folder of this machine, to be known as `name`. The name makes its identity, not the path."""
        return cls(call("Source", "folder", {"path": path, "name": name}))

    @classmethod
    def m365(
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
        return cls(call(
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

    def objects(self) -> Discovered:
        """Everything that can be protected, as far as the credential reaches."""
        answer = read(call(self._handle, "objects"))
        return make_discovered(answer)

    def object(self, name: str) -> ObjectInfo:
        """The object with this address, name or id."""
        answer = read(call(self._handle, "object", {"name": name}))
        return make_object_info(answer)

    def check_permissions(self) -> list[PermissionCheck]:
        """Tries what each service needs. Empty for a folder."""
        answer = read(call(self._handle, "check_permissions"))
        return [make_permission_check(v0) for v0 in answer]

    def backup(self, repository: Repository, object: str, *, fail_fast: bool = False) -> Run[BackupReport]:
        """Backs an object up. An item that cannot be read does not end the run: the report says `partial` and
        names it.

        Args:
            fail_fast: Stop at the first item that cannot be read instead of recording it. Default: `False`.
        """
        return Run(
            call(
                self._handle,
                "backup",
                {"object": object, "options": {"fail_fast": fail_fast}},
                {"repository": repository},
            ),
            reader(make_backup_report),
        )


class Emulator(Object):
    """An organisation that is not there: an emulator of Microsoft Graph on this machine's loopback, for tests."""

    __slots__ = ()

    @classmethod
    def start(
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
        return cls(call(
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

    def info(self) -> EmulatorInfo:
        """What a client needs to connect, and who is there."""
        answer = read(call(self._handle, "info"))
        return make_emulator_info(answer)

    def source(self, services: Sequence[str] = ()) -> Source:
        """The emulated organisation as a source of these services; none: of all."""
        return Source(call(self._handle, "source", {"services": services}))

    def add_message(self, mailbox: str, folder: str, mime: bytes | bytearray | memoryview) -> str:
        """Puts a message into a folder of a mailbox, and says its id. `folder` is a well-known name such as
        `inbox`, or an id.
        """
        answer: str = read(call(
            self._handle,
            "add_message",
            {"mailbox": mailbox, "folder": folder},
            {},
            {"mime": mime},
        ))
        return answer

    def delete_message(self, mailbox: str, id: str) -> None:
        """Moves a message to the deleted items."""
        call(self._handle, "delete_message", {"mailbox": mailbox, "id": id})

    def purge_message(self, mailbox: str, id: str) -> None:
        """Deletes a message for good."""
        call(self._handle, "purge_message", {"mailbox": mailbox, "id": id})

    def corrupt_message(self, mailbox: str, id: str, corrupt: bool) -> None:
        """Makes a message unreadable, or readable again."""
        call(self._handle, "corrupt_message", {"mailbox": mailbox, "id": id, "corrupt": corrupt})

    def messages(self, mailbox: str) -> list[MessageTruth]:
        """Every message of a mailbox, as it is."""
        answer = read(call(self._handle, "messages", {"mailbox": mailbox}))
        return [make_message_truth(v0) for v0 in answer]

    def mime(self, mailbox: str, id: str) -> bytes | None:
        """A message as MIME."""
        answer: bytes | None = call(self._handle, "mime", {"mailbox": mailbox, "id": id})
        return answer

    def add_file(self, user: str, path: str, content: bytes | bytearray | memoryview) -> str:
        """Puts a file into a user's drive, and says its id. Folders on the way are made."""
        answer: str = read(call(self._handle, "add_file", {"user": user, "path": path}, {}, {"content": content}))
        return answer

    def throttle_next(self, count: int, retry_after: int) -> None:
        """Refuses the next `count` requests with 429 and a time to wait in seconds."""
        call(self._handle, "throttle_next", {"count": count, "retry_after": retry_after})

    def fail_at(self, nth: int, status: int) -> None:
        """Fails the `nth` request from now, counted from 1, with this status."""
        call(self._handle, "fail_at", {"nth": nth, "status": status})

    def clear_faults(self) -> None:
        """Takes all faults back."""
        call(self._handle, "clear_faults")

    def requests(self) -> int:
        """How many requests of Microsoft Graph were answered."""
        answer: int = read(call(self._handle, "requests"))
        return answer

    def stop(self) -> None:
        """Stops it. Calls on it fail from then on."""
        call(self._handle, "stop")
