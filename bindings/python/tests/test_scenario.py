"""From nothing to a recovered mailbox, waiting for each call."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import nakivo
from conftest import PASSPHRASE, Backed, url_of
from nakivo.testing import Emulator


def test_a_mailbox_is_backed_up_looked_into_exported_and_recovered(tmp_path: Path) -> None:
    with Emulator.start(users=2, items_per_user=15, seed=3) as emulator:
        who, other = emulator.info().mailboxes
        source = emulator.source(["mail"])
        assert {each.address for each in source.objects().objects} == {who, other}
        checks = source.check_permissions()
        assert checks and not [check for check in checks if check.granted is False]

        with nakivo.Repository.create(url_of(tmp_path / "repository"), passphrase=PASSPHRASE) as repository:
            with source.backup(repository, who) as run:
                updates = list(run)
            report = run.outcome()
            assert {"phase", "progress"} <= {update.kind for update in updates}
            assert (report.outcome, report.items, report.first) == ("complete", 15, True)
            report.raise_for_issues()

            (point,) = repository.points(who)
            assert point.id == report.point and point.items == 15
            assert point.time.tzinfo is timezone.utc
            assert timedelta() <= datetime.now(timezone.utc) - point.finished < timedelta(minutes=5)

            opened = repository.point(who, "latest")
            messages = [entry for entry in opened.find("") if entry.kind == "message"]
            assert len(messages) == 15
            for truth in emulator.messages(who):
                entry = opened.entry_by_id(truth.id)
                assert (entry.name, entry.received) == (truth.subject, truth.received)
                assert opened.content(truth.id).read() == emulator.mime(who, truth.id)

            exported = opened.export(directory=tmp_path / "out").outcome()
            assert (exported.items, exported.failed) == (15, [])
            assert len(list((tmp_path / "out").rglob("*.eml"))) == 15

            with opened.plan(source, object=other, on_conflict="skip") as plan_run:
                plan = plan_run.outcome()
            assert plan.counts().create == 15
            assert {item.action for item in plan.items()} == {"create"}
            recovered = plan.apply().outcome()
            assert (recovered.outcome, recovered.recovered) == ("complete", 15)
            assert len(emulator.messages(other)) == 30

            verified = repository.verify(seed=5).outcome()
            assert verified.complete and not verified.damage and verified.seed == 5
            assert verified.content_bytes > 0
            repository.refresh()
            assert repository.info().points == 1


def test_a_folder_of_this_machine_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a.bin").write_bytes(bytes(range(256)) * 9000)
    with nakivo.Repository.create(url_of(tmp_path / "repository"), unencrypted=True, compression="best") as repository:
        source = nakivo.Source.folder(tmp_path / "files", "papers")
        assert source.check_permissions() == []
        report = source.backup(repository, "papers").outcome()
        assert report.items == 1 and report.object.address is None
        point = repository.point("papers", report.point[:8])
        entry = point.entry("a.bin")
        assert point.content(entry.id).save(tmp_path / "copy.bin") == entry.size == 256 * 9000
        assert (tmp_path / "copy.bin").read_bytes() == (tmp_path / "files" / "a.bin").read_bytes()
        assert sorted(each.name for each in tmp_path.iterdir()) == ["copy.bin", "files", "repository"]


def test_a_point_is_listed_page_by_page(backed: Backed) -> None:
    root = backed.point.list("")
    assert root.next is None and all(entry.container == "" for entry in root.entries)
    inbox = next(entry for entry in root.entries if entry.name == "Inbox")
    seen: list[str] = []
    after: str | None = None
    while True:
        page = backed.point.list(inbox.id, after=after, limit=2)
        assert len(page.entries) <= 2
        seen += [entry.id for entry in page.entries]
        if (after := page.next) is None:
            break
    assert seen == [entry.id for entry in backed.point.list(inbox.id, limit=10_000).entries]


def test_content_is_read_in_pieces(backed: Backed) -> None:
    message = next(entry for entry in backed.point.find("") if entry.kind == "message")
    whole = backed.point.content(message.id).read()
    assert b"".join(backed.point.content(message.id)) == whole
    content = backed.point.content(message.id)
    assert content.read(0) == b"" and content.read(10) == whole[:10] and content.read(5) == whole[10:15]
    assert b"".join(content) == whole[15:] and content.read(1) == b"" and content.read() == b""
    metadata = backed.point.content(message.id, "json").read()
    assert metadata.startswith(b"{")


def test_what_is_partial_is_told_and_raised(tmp_path: Path) -> None:
    with Emulator.start(users=1, items_per_user=5) as emulator:
        (who,) = emulator.info().mailboxes
        lost = emulator.add_message(who, "inbox", bytearray(b"Subject: lost\r\n\r\nbody"))
        emulator.corrupt_message(who, lost, True)
        with nakivo.Repository.create(url_of(tmp_path / "repository"), passphrase=PASSPHRASE) as repository:
            with emulator.source().backup(repository, who) as run:
                updates = list(run)
            report = run.outcome()
            assert report.outcome == "partial" and report.items == 5
            assert [update.code for update in updates if update.kind == "issue"] == [report.issues[0].code]
            with pytest.raises(nakivo.PartialError) as raised:
                report.raise_for_issues()
            assert raised.value.code == "partial" and raised.value.issues == report.issues
            assert repository.point(who, "latest").info().outcome == "partial"


def test_a_run_that_is_left_early_is_cancelled(tmp_path: Path) -> None:
    with Emulator.start(users=1, items_per_user=300) as emulator:
        (who,) = emulator.info().mailboxes
        source = emulator.source(["mail"])
        with nakivo.Repository.create(url_of(tmp_path / "repository"), passphrase=PASSPHRASE) as repository:
            with source.backup(repository, who) as run:
                for _ in run:
                    break
            with pytest.raises(nakivo.CancelledError) as raised:
                run.outcome()
            assert raised.value.code == "cancelled"
            with pytest.raises(ZeroDivisionError):
                with source.backup(repository, who) as run:
                    1 / 0  # noqa: B018
            with pytest.raises(nakivo.CancelledError):
                run.outcome()
            # What was stored stays, and the next run goes on from there.
            assert source.backup(repository, who).outcome().items == 300


def test_how_a_run_ended_does_not_go_unnoticed(tmp_path: Path) -> None:
    with Emulator.start(users=1, items_per_user=5) as emulator:
        (who,) = emulator.info().mailboxes
        emulator.corrupt_message(who, emulator.messages(who)[0].id, True)
        with nakivo.Repository.create(url_of(tmp_path / "repository"), passphrase=PASSPHRASE) as repository:
            with pytest.raises(nakivo.NakivoError):
                with emulator.source(["mail"]).backup(repository, who, fail_fast=True) as run:
                    for _ in run:
                        pass
