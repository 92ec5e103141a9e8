"""What the tests share: an emulated organisation, and a repository with a recovery point of one of its mailboxes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import nakivo
from nakivo.testing import Emulator

PASSPHRASE = "correct horse battery staple"


@dataclass(frozen=True)
class Backed:
    """An organisation, a repository, and the newest point of the first mailbox."""

    emulator: Emulator
    source: nakivo.Source
    repository: nakivo.Repository
    url: str
    mailboxes: list[str]
    point: nakivo.Point


def url_of(path: Path) -> str:
    return f"file:{path}"


@pytest.fixture(scope="module")
def backed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    url = url_of(tmp_path_factory.mktemp("repository") / "repository")
    with Emulator.start(users=3, items_per_user=12, seed=7) as emulator:
        source = emulator.source(["mail"])
        mailboxes = emulator.info().mailboxes
        with nakivo.Repository.create(url, passphrase=PASSPHRASE) as repository:
            source.backup(repository, mailboxes[0]).outcome().raise_for_issues()
            point = repository.point(mailboxes[0], "latest")
            yield Backed(emulator, source, repository, url, mailboxes, point)
