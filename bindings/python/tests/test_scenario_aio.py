"""From nothing to a recovered mailbox, with asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import nakivo
from conftest import PASSPHRASE, url_of
from nakivo import aio
from nakivo.aio.testing import Emulator


def awaited(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    def run(tmp_path: Path) -> None:
        asyncio.run(test(tmp_path))

    return run


@awaited
async def _a_mailbox_is_backed_up_looked_into_exported_and_recovered(tmp_path: Path) -> None:
    async with await Emulator.start(users=2, items_per_user=15, seed=3) as emulator:
        who, other = (await emulator.info()).mailboxes
        source = await emulator.source(["mail"])
        url = url_of(tmp_path / "repository")
        async with await aio.Repository.create(url, passphrase=PASSPHRASE) as repository:
            async with await source.backup(repository, who) as run:
                updates = [update async for update in run]
            report = await run.outcome()
            assert {"phase", "progress"} <= {update.kind for update in updates}
            assert (report.outcome, report.items) == ("complete", 15)
            report.raise_for_issues()

            point = await repository.point(who, "latest")
            messages = [entry async for entry in point.find("") if entry.kind == "message"]
            assert len(messages) == 15
            truths = await emulator.messages(who)
            contents = await asyncio.gather(*(point.content(truth.id).read() for truth in truths))
            for truth, content in zip(truths, contents):
                assert content == await emulator.mime(who, truth.id)
            size = await point.content(truths[0].id).save(tmp_path / "one.eml")
            assert size == len(contents[0]) == (tmp_path / "one.eml").stat().st_size

            exported = await (await point.export(zip=tmp_path / "out.zip", query="")).outcome()
            assert (exported.items, exported.failed) == (15, [])
            assert (tmp_path / "out.zip").is_file()

            plan = await (await point.plan(source, object=other)).outcome()
            assert (await plan.counts()).create == 15
            recovered = await (await plan.apply()).outcome()
            assert (recovered.outcome, recovered.recovered) == ("complete", 15)
            assert len(await emulator.messages(other)) == 30
            assert (await (await repository.verify()).outcome()).complete


@awaited
async def _errors_are_those_of_the_package(tmp_path: Path) -> None:
    with pytest.raises(nakivo.RepositoryMissingError):
        await aio.Repository.open(url_of(tmp_path / "nothing"))
    async with await aio.Repository.create(url_of(tmp_path / "repository"), unencrypted=True) as repository:
        with pytest.raises(aio.NotFoundError) as raised:
            await repository.points("nobody")
        assert raised.value.code == "not_found" and not raised.value.retryable
    assert repository.closed
    with pytest.raises(aio.InvalidInputError, match="it was closed"):
        await repository.info()


@awaited
async def _a_run_that_is_left_early_is_cancelled(tmp_path: Path) -> None:
    async with await Emulator.start(users=1, items_per_user=300) as emulator:
        (who,) = (await emulator.info()).mailboxes
        source = await emulator.source(["mail"])
        async with await aio.Repository.create(url_of(tmp_path / "repository"), unencrypted=True) as repository:
            async with await source.backup(repository, who) as run:
                async for _ in run:
                    break
            with pytest.raises(aio.CancelledError):
                await run.outcome()

            async def backup() -> None:
                async with await source.backup(repository, who) as mine:
                    started.set_result(mine)
                    await mine.outcome()

            # Cancelling a task cancels what it does, and the task ends when that has ended.
            started: asyncio.Future[aio.Run[aio.BackupReport]] = asyncio.get_running_loop().create_future()
            task = asyncio.create_task(backup())
            run = await started
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(aio.CancelledError):
                await run.outcome()
            # Giving up waiting does not cancel.
            run = await source.backup(repository, who)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(run.outcome(), 0)
            assert (await run.outcome()).items == 300


@awaited
async def _giving_up_a_step_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    content = bytes(range(256)) * 16000
    (tmp_path / "files" / "a.bin").write_bytes(content)
    async with await aio.Repository.create(url_of(tmp_path / "repository"), unencrypted=True) as repository:
        source = await aio.Source.folder(tmp_path / "files", "papers")
        await (await source.backup(repository, "papers")).outcome()
        point = await repository.point("papers", "latest")
        reading = point.content((await point.entry("a.bin")).id)
        got, given_up = b"", 0
        while len(got) < len(content):
            step = asyncio.ensure_future(anext(reading))
            # It gets as far as it does in this many turns.
            for _ in range(given_up + 1):
                await asyncio.sleep(0)
            if given_up < 5 and not step.done():
                step.cancel()
                given_up += 1
            try:
                got += await step
            except asyncio.CancelledError:
                pass
        assert got == content and given_up == 5
        waiting = asyncio.ensure_future(anext(reading))
        await asyncio.sleep(0)
        await reading.close()
        with pytest.raises(aio.InvalidInputError, match="it was closed"):
            await waiting


@awaited
async def _many_calls_at_once(tmp_path: Path) -> None:
    async with await aio.Repository.create(url_of(tmp_path / "repository"), unencrypted=True) as repository:
        answers = await asyncio.gather(*(repository.info() for _ in range(500)))
        assert {answer.points for answer in answers} == {0}


def test_both_forms_have_the_same_names() -> None:
    """Whatever the one has, the other has, with the same parameters."""
    import inspect

    from nakivo import testing as sync_testing
    from nakivo.aio import testing as aio_testing

    assert set(nakivo.__all__) - {"__version__"} == set(aio.__all__)
    assert sync_testing.__all__ == aio_testing.__all__
    for one, other in ((nakivo, aio), (sync_testing, aio_testing)):
        for name in other.__all__:
            first, second = getattr(one, name), getattr(other, name)
            if first is second:
                continue
            for method in (each for each in vars(first) if not each.startswith("_")):
                mine, its = getattr(first, method), getattr(second, method)
                if callable(mine):
                    assert list(inspect.signature(mine).parameters) == list(inspect.signature(its).parameters)


for _name, _test in list(globals().items()):
    if _name.startswith("_") and getattr(_test, "__qualname__", "").startswith("awaited"):
        globals()[f"test{_name}"] = _test
