"""Calls through the Python side that UniFFI generates. Needs NAKIVO_UNIFFI (its folder) and NAKIVO_LIBRARY."""

import asyncio
import os
import sys
import tempfile
import unittest
from datetime import datetime, timezone
from pathlib import Path

FOLDER = Path(os.environ["NAKIVO_UNIFFI"])
LIBRARY = Path(os.environ["NAKIVO_LIBRARY"])
# The generated module looks for the library beside itself.
BESIDE = FOLDER / LIBRARY.name
if not BESIDE.exists():
    BESIDE.symlink_to(LIBRARY)
sys.path.insert(0, str(FOLDER))
import nakivo  # noqa: E402


class Calls(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.directory = tempfile.TemporaryDirectory()
        self.addCleanup(self.directory.cleanup)
        self.emulator = await nakivo.Emulator.start(nakivo.EmulatorOptions(seed=3, users=1, items_per_user=5))
        self.source = await self.emulator.source(["mail"])
        self.url = f"file:{self.directory.name}/vault"

    async def asyncTearDown(self):
        await self.emulator.stop()

    async def test_a_backup_and_what_is_in_it(self):
        repository = await nakivo.Repository.create(self.url, nakivo.CreateOptions(passphrase="correct horse"))
        mailbox = (await self.emulator.info()).mailboxes[0]
        run = await self.source.backup(repository, mailbox, nakivo.BackupOptions())
        phases = set()
        while update := await run.next():
            phases.add(update.phase)
        report = await run.outcome()
        self.assertEqual((report.outcome, report.items), ("complete", 5))
        self.assertIn("commit", phases)
        (point,) = await repository.points(mailbox)
        self.assertLess(abs((datetime.now(timezone.utc) - point.time).total_seconds()), 600)
        found = await (await (await repository.point(mailbox, "latest")).find("")).next(100)
        self.assertEqual(sum(entry.kind == "message" for entry in found), 5)

    async def test_an_error_has_a_class_and_says_what_to_do(self):
        with self.assertRaises(nakivo.NakivoError.RepositoryMissing) as caught:
            await nakivo.Repository.open(self.url, nakivo.OpenOptions())
        failure = caught.exception.failure
        self.assertEqual((failure.code, failure.retryable, failure.retry_after), ("repository_missing", False, None))

    async def test_calls_go_on_side_by_side(self):
        counts = await asyncio.gather(*(self.emulator.requests() for _ in range(20)))
        self.assertEqual(len(counts), 20)


if __name__ == "__main__":
    unittest.main()
