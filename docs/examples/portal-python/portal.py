"""A small portal of a service provider: mailboxes, backups, search, downloads and recovery of its customers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, StreamingResponse

from nakivo import NakivoError
from nakivo.aio import Point, Repository, Run, Source

# Everything else is a fault of ours or of a service: 502.
STATUS = {
    "invalid_input": 400,
    "permission_missing": 403,
    "unauthorized": 403,
    "not_found": 404,
    "already_exists": 409,
    "conflict": 409,
    "busy": 409,
    "throttled": 429,
    "unavailable": 503,
}


@dataclass(frozen=True)
class Customer:
    """What the portal holds of a customer: both are shared by all requests."""

    repository: Repository
    source: Source


def portal(customers: dict[str, Customer]) -> FastAPI:
    """The portal of these customers."""
    app = FastAPI(title="Portal")
    runs: list[Run[Any]] = []

    async def newest(customer: str, mailbox: str) -> Point:
        return await customers[customer].repository.point(mailbox, "latest")

    @app.exception_handler(NakivoError)
    async def failed(_: Request, error: NakivoError) -> JSONResponse:
        headers = {"Retry-After": str(round(error.retry_after))} if error.retry_after else None
        told = {"code": error.code, "message": error.reason, "hint": error.hint}
        return JSONResponse(told, STATUS.get(error.code, 502), headers)

    @app.exception_handler(KeyError)
    @app.exception_handler(IndexError)
    async def unknown(_: Request, __: Exception) -> JSONResponse:
        return JSONResponse({"code": "not_found", "message": "no such customer or run"}, 404)

    @app.get("/{customer}/mailboxes")
    async def mailboxes(customer: str) -> list[dict[str, Any]]:
        repository = customers[customer].repository
        listed = []
        for mailbox in (await customers[customer].source.objects()).objects:
            try:
                points = await repository.points(mailbox.id)
            except NakivoError as error:
                if error.code != "not_found":
                    raise
                points = []
            listed.append({"address": mailbox.address, "points": len(points), "newest": points[-1].time if points else None})
        return listed

    @app.post("/{customer}/mailboxes/{mailbox}/backups", status_code=202)
    async def back_up(customer: str, mailbox: str) -> dict[str, int]:
        held = customers[customer]
        runs.append(await held.source.backup(held.repository, mailbox))
        return {"run": len(runs) - 1}

    @app.get("/runs/{run}/events")
    async def events(run: int) -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            async for update in runs[run]:
                yield f"data: {update.kind} {update.phase} {update.items_done}\n\n"

        return StreamingResponse(lines(), media_type="text/event-stream")

    @app.get("/runs/{run}")
    async def outcome(run: int) -> dict[str, Any]:
        return asdict(await runs[run].outcome())

    @app.delete("/runs/{run}", status_code=204)
    async def cancel(run: int) -> None:
        await runs[run].cancel()

    @app.get("/{customer}/mailboxes/{mailbox}/search")
    async def search(customer: str, mailbox: str, q: str) -> list[dict[str, Any]]:
        point = await newest(customer, mailbox)
        return [{"id": hit.id, "name": hit.name, "path": hit.path} async for hit in point.find(q)]

    @app.get("/{customer}/mailboxes/{mailbox}/messages/{message}")
    async def download(customer: str, mailbox: str, message: str) -> StreamingResponse:
        point = await newest(customer, mailbox)
        # What is not there is told before the first byte.
        await point.entry_by_id(message)
        return StreamingResponse(point.content(message), media_type="message/rfc822")

    @app.post("/{customer}/mailboxes/{mailbox}/recovery")
    async def recover(customer: str, mailbox: str, ids: list[str], to: str | None = None) -> dict[str, Any]:
        point = await newest(customer, mailbox)
        planning = await point.plan(customers[customer].source, object=to, ids=ids)
        plan = await planning.outcome()
        return asdict(await (await plan.apply()).outcome())

    return app
