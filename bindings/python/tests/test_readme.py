"""The examples of the README run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"


def test_the_examples_of_the_readme_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.S)
    assert len(examples) == 3
    names: dict[str, object] = {"__name__": "readme"}
    for example in examples:
        exec(compile(example, str(README), "exec"), names)
    out = capsys.readouterr().out
    assert "PlanCounts(" in out and "wrong_passphrase" in out and (tmp_path / "attachments.zip").is_file()
