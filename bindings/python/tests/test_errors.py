"""Errors: each code its class, with what a program needs."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import pytest

import nakivo
from conftest import PASSPHRASE, Backed, url_of
from nakivo._failure import of_failure
from nakivo.testing import Emulator


def failure(code: str) -> str:
    fields = {"code": code, "reason": "why", "hint": "do that", "retry_after": 2.5, "retryable": True}
    return json.dumps(fields)


def test_every_code_has_its_class() -> None:
    for name in nakivo.errors.__all__:
        kind = getattr(nakivo, name)
        if kind is nakivo.NakivoError:
            continue
        error = of_failure(failure(kind._code))
        assert type(error) is kind and isinstance(error, nakivo.NakivoError)
        assert (error.code, error.reason, error.hint) == (kind._code, "why", "do that")
        assert (error.retry_after, error.retryable, list(error.issues)) == (2.5, True, [])
        assert str(error) == "why. do that"
        for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(again) is kind and vars(again) == vars(error) and str(again) == str(error)
    unknown = of_failure(failure("of_a_newer_version"))
    assert type(unknown) is nakivo.NakivoError and unknown.code == "of_a_newer_version"


def test_what_can_go_wrong_is_told_apart(tmp_path: Path, backed: Backed) -> None:
    nowhere, here = url_of(tmp_path / "nothing"), backed.url
    with pytest.raises(nakivo.RepositoryMissingError):
        nakivo.Repository.open(nowhere)
    with pytest.raises(nakivo.WrongPassphraseError):
        nakivo.Repository.open(here, passphrase="wrong")
    with pytest.raises(nakivo.AlreadyExistsError):
        nakivo.Repository.create(here, passphrase=PASSPHRASE)
    with pytest.raises(nakivo.InvalidInputError, match="passphrase"):
        nakivo.Repository.create(nowhere)
    with pytest.raises(nakivo.InvalidInputError, match="several are given"):
        nakivo.Repository.open(here, passphrase=PASSPHRASE, key="key")
    with pytest.raises(nakivo.NotFoundError) as raised:
        backed.repository.point("nobody@example.com", "latest")
    assert raised.value.hint and not raised.value.retryable and raised.value.retry_after is None
    with pytest.raises(nakivo.NotFoundError):
        backed.point.entry("Inbox/there is no such thing")
    with pytest.raises(nakivo.InvalidInputError):
        backed.point.find('subject:"')
    with pytest.raises(nakivo.InvalidInputError, match="exactly one"):
        backed.point.export()


def test_a_service_that_does_not_answer(tmp_path: Path) -> None:
    emulator = Emulator.start(users=1, items_per_user=1)
    source = emulator.source(["mail"])
    emulator.stop()
    with pytest.raises(nakivo.UnavailableError) as raised:
        source.objects()
    assert raised.value.retryable


def test_wrong_values_are_told_by_name(backed: Backed) -> None:
    for wrong in (1, None, 1.5, b"x", object(), ["a"], {"a": 1}, float("nan"), "\ud800", {1}, 10**30):
        with pytest.raises(nakivo.InvalidInputError):
            backed.repository.points(wrong)  # type: ignore[arg-type]
    with pytest.raises(nakivo.InvalidInputError, match="object: it cannot be passed"):
        backed.repository.points(object())  # type: ignore[arg-type]
    for number in (-1, 2**64, 10**30, 10**400, 10**5000, 1.5, "1", True, float("inf")):
        with pytest.raises(nakivo.InvalidInputError):
            backed.emulator.throttle_next(number, 1)  # type: ignore[arg-type]
    for held in (None, "repository", backed.source, backed.repository._handle):
        with pytest.raises(nakivo.InvalidInputError, match="repository"):
            backed.source.backup(held, backed.mailboxes[0])  # type: ignore[arg-type]
    for content in (None, "text", 3, ["a"]):
        with pytest.raises(nakivo.InvalidInputError, match="mime"):
            backed.emulator.add_message(backed.mailboxes[1], "inbox", content)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        nakivo.Repository("file:x")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        backed.repository.points()  # type: ignore[call-arg]


def test_secrets_are_not_shown(backed: Backed) -> None:
    info = backed.emulator.info()
    assert info.client_secret and info.client_secret not in repr(info)
    for wrong in ("not the " + PASSPHRASE, PASSPHRASE[:-1]):
        with pytest.raises(nakivo.WrongPassphraseError) as raised:
            nakivo.Repository.open(backed.url, passphrase=wrong)
        assert wrong not in repr(raised.value) and wrong not in str(raised.value)
    assert repr(backed.repository) == "<nakivo.Repository>"
