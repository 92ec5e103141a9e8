"""The portal against an emulated organisation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from portal import Customer, portal

from nakivo import aio
from nakivo.aio.testing import Emulator

MIME = b"From: a@b.example\r\nSubject: A unicorn\r\n\r\nHello\r\n"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    customers: dict[str, Customer] = {}
    # It runs for as long as somebody holds it.
    emulators: list[Emulator] = []
    with TestClient(portal(customers)) as client:
        assert client.portal is not None

        async def prepare() -> None:
            emulator = await Emulator.start(users=2, items_per_user=30, seed=5)
            emulators.append(emulator)
            anna = (await emulator.info()).mailboxes[0]
            await emulator.add_message(anna, "inbox", MIME)
            repository = await aio.Repository.create(f"file:{tmp_path / 'vault'}", passphrase="correct horse")
            customers["contoso"] = Customer(repository, await emulator.source(["mail"]))

        client.portal.call(prepare)
        yield client


def test_from_a_mailbox_to_a_recovered_message(client: TestClient) -> None:
    anna, bert = (each["address"] for each in client.get("/contoso/mailboxes").json())
    run = client.post(f"/contoso/mailboxes/{anna}/backups").json()["run"]
    assert "commit" in client.get(f"/runs/{run}/events").text
    report = client.get(f"/runs/{run}").json()
    assert (report["outcome"], report["items"]) == ("complete", 31)
    assert client.get("/contoso/mailboxes").json()[0]["points"] == 1

    (hit,) = client.get(f"/contoso/mailboxes/{anna}/search", params={"q": "subject:unicorn"}).json()
    assert client.get(f"/contoso/mailboxes/{anna}/messages/{hit['id']}").content == MIME
    recovered = client.post(f"/contoso/mailboxes/{anna}/recovery", params={"to": bert}, json=[hit["id"]]).json()
    assert (recovered["outcome"], recovered["recovered"]) == ("complete", 1)


def test_what_went_wrong_is_told_by_status_and_code(client: TestClient) -> None:
    nobody = client.post("/contoso/mailboxes/nobody@nowhere.example/backups")
    assert (nobody.status_code, nobody.json()["code"]) == (404, "not_found")
    anna = client.get("/contoso/mailboxes").json()[0]["address"]
    run = client.post(f"/contoso/mailboxes/{anna}/backups").json()["run"]
    client.get(f"/runs/{run}")
    query = client.get(f"/contoso/mailboxes/{anna}/search", params={"q": "from:"})
    assert (query.status_code, query.json()["code"]) == (400, "invalid_input")
    assert client.get(f"/contoso/mailboxes/{anna}/messages/none").status_code == 404
    assert client.get("/fabrikam/mailboxes").status_code == 404
