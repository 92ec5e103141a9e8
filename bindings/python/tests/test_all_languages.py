"""The scenario of all languages, waiting and with asyncio."""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
from dataclasses import fields, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import nakivo
import nakivo.testing
from nakivo import aio
from nakivo.aio import testing as aio_testing

BINDINGS = Path(__file__).resolve().parents[2]
SCENARIO = json.loads((BINDINGS / "scenario.json").read_text(encoding="utf-8"))
API = json.loads((BINDINGS / "api.json").read_text(encoding="utf-8"))


def data(value: Any) -> Any:
    """What a caller got, as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: data(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, list):
        return [data(each) for each in value]
    if isinstance(value, dict):
        return {name: data(each) for name, each in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(value, datetime) else value


def at(value: Any, path: str) -> Any:
    """What is at a path such as `points.0.id`; an empty one is the whole."""
    for part in filter(None, path.split(".")):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


class Running:
    """The scenario while it runs. What is asked may have to be awaited."""

    def __init__(self, modules: tuple[Any, Any], folder: Path) -> None:
        self.modules = modules
        self.folder = folder
        self.held: dict[str, Any] = {}

    def resolved(self, value: Any) -> Any:
        if isinstance(value, str) and value.startswith("$") and not value.startswith("${"):
            name, _, path = value[1:].partition(".")
            held = self.held[name]
            return at(data(held), path) if path else held
        if isinstance(value, str):
            return value.replace("${dir}", str(self.folder))
        if isinstance(value, list):
            return [self.resolved(each) for each in value]
        if isinstance(value, dict):
            return {name: self.resolved(each) for name, each in value.items()}
        return value

    def arguments(self, class_name: str, method: str, given: dict[str, Any]) -> dict[str, Any]:
        """What the step gives, by name; content is base64 there."""
        (described,) = (each for each in API["classes"] if each["name"] == class_name)
        (method_described,) = (
            each for each in described["constructors"] + described["methods"] if each["name"] == method
        )
        contents = {each["name"] for each in method_described["arguments"] if each["type"] == "Bytes"}
        resolved = {name: self.resolved(value) for name, value in given.items()}
        return {name: base64.b64decode(each) if name in contents else each for name, each in resolved.items()}

    async def act(self, step: dict[str, Any]) -> Any:
        given = step.get("with", {})
        if "make" in step:
            class_name, method = step["make"].split(".")
            (target,) = (getattr(each, class_name) for each in self.modules if hasattr(each, class_name))
        elif "call" in step:
            name, method = step["call"].split(".")
            target = self.held[name]
            class_name = type(target).__name__
        elif "read" in step:
            return await self.read(self.held[step["read"]])
        else:
            run = self.held[step["cancel"]]
            await settled(anext(run) if isinstance(run, aio.Run) else next(run))
            await settled(run.cancel())
            return await settled(run.outcome())
        if isinstance(target, (nakivo.Run, aio.Run)):
            return await settled(getattr(target, method)())
        return await settled(getattr(target, method)(**self.arguments(class_name, method, given)))

    async def read(self, stream: Any) -> Any:
        if isinstance(stream, (nakivo.Content, aio.Content)):
            return await settled(stream.read())
        return [each async for each in stream] if hasattr(stream, "__aiter__") else list(stream)

    async def step(self, step: dict[str, Any]) -> None:
        if "error" in step:
            with pytest.raises(nakivo.NakivoError) as raised:
                await self.act(step)
            assert raised.value.code == step["error"]
            return
        came = await self.act(step)
        for path, wanted in step.get("expect", {}).items():
            assert at(data(came), path) == data(self.resolved(wanted)), path
        for path, count in step.get("count", {}).items():
            assert len(at(data(came), path)) == count, path
        if "equals" in step:
            assert data(came) == step["equals"]
        if "as" in step:
            self.held[step["as"]] = came


async def settled(value: Any) -> Any:
    """What there is, or comes."""
    return await value if inspect.isawaitable(value) else value


@pytest.mark.parametrize("modules", [(nakivo, nakivo.testing), (aio, aio_testing)], ids=["waiting", "asyncio"])
def test_the_scenario_of_all_languages(modules: tuple[Any, Any], tmp_path: Path) -> None:
    async def main() -> None:
        running = Running(modules, tmp_path)
        for number, step in enumerate(SCENARIO["steps"]):
            try:
                await running.step(step)
            except BaseException as error:
                error.add_note(f"step {number}: {json.dumps(step)}")
                raise

    asyncio.run(main())
