"""What the package costs over the same calls from Rust, in one run: `bench/run.sh` builds what this takes.

NAKIVO_BENCH_ITEMS and NAKIVO_BENCH_BYTES say how much there is, NAKIVO_BENCH_ROUNDS how often each is measured."""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ITEMS = int(os.environ.get("NAKIVO_BENCH_ITEMS", "100000"))
BYTES = int(os.environ.get("NAKIVO_BENCH_BYTES", str(1 << 30)))
ROUNDS = int(os.environ.get("NAKIVO_BENCH_ROUNDS", "3"))


def fill(folder: Path) -> None:
    """Small files by the thousand, and a large one that nothing compresses."""
    for number in range(ITEMS):
        place = folder / f"{number // 1000:04}"
        place.mkdir(exist_ok=True)
        (place / f"{number:08}.txt").write_text(str(number))
    chosen = random.Random(1)
    with (folder / "large").open("wb") as file:
        for _ in range(0, BYTES, 1 << 20):
            file.write(chosen.randbytes(1 << 20))


def listed(url: str) -> tuple[int, float]:
    import nakivo

    with nakivo.Repository.open(url) as repository:
        point = repository.point("bench", "latest")
        begun = time.perf_counter()
        return sum(1 for _ in point.find("")), time.perf_counter() - begun


def streamed(url: str) -> tuple[int, float]:
    import nakivo

    with nakivo.Repository.open(url) as repository:
        point = repository.point("bench", "latest")
        id = point.entry("large").id
        begun = time.perf_counter()
        return sum(len(piece) for piece in point.content(id)), time.perf_counter() - begun


def listed_awaiting(url: str) -> tuple[int, float]:
    from nakivo import aio

    async def main() -> tuple[int, float]:
        async with await aio.Repository.open(url) as repository:
            point = await repository.point("bench", "latest")
            begun, count = time.perf_counter(), 0
            async for _ in point.find(""):
                count += 1
            return count, time.perf_counter() - begun

    return asyncio.run(main())


def streamed_awaiting(url: str) -> tuple[int, float]:
    from nakivo import aio

    async def main() -> tuple[int, float]:
        async with await aio.Repository.open(url) as repository:
            point = await repository.point("bench", "latest")
            id = (await point.entry("large")).id
            begun, count = time.perf_counter(), 0
            async for piece in point.content(id):
                count += len(piece)
            return count, time.perf_counter() - begun

    return asyncio.run(main())


MEASURED: dict[str, Callable[[str], tuple[int, float]]] = {
    each.__name__: each for each in (listed, listed_awaiting, streamed, streamed_awaiting)
}


def said(command: list[str]) -> tuple[int, float]:
    """A count and seconds, from a process of its own."""
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(out[0]), float(out[1])


def imported() -> float:
    """Milliseconds that importing takes, above those of an interpreter that imports nothing: the least of several."""

    def least(text: str) -> float:
        times = []
        for _ in range(10):
            begun = time.perf_counter()
            subprocess.run([sys.executable, "-P", "-c", text], check=True)
            times.append(time.perf_counter() - begun)
        return min(times) * 1000

    return least("import nakivo") - least("pass")


def main(rust: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        files, url = Path(temporary) / "files", f"file:{temporary}/repository"
        files.mkdir()
        fill(files)
        print(subprocess.run([rust, "make", url, str(files)], check=True, capture_output=True, text=True).stdout.strip())
        best: dict[str, tuple[int, float]] = {}
        for _ in range(ROUNDS):
            # In turns, so that whatever else the machine does meets all of them.
            for name in ("list", "stream"):
                keep(best, name, said([rust, name, url, *(["large"] if name == "stream" else [])]))
            for name in MEASURED:
                keep(best, name, said([sys.executable, "-P", __file__, name, url]))
        for name, (count, seconds) in best.items():
            base = best["list" if name.startswith("list") else "stream"]
            assert count == base[0], (name, count, base)
            print(f"{name:20} {count:12} {seconds:8.3f} s  {seconds / base[1]:5.2f} times Rust")
        print(f"import nakivo        {imported():8.1f} ms")


def keep(best: dict[str, tuple[int, float]], name: str, measured: tuple[int, float]) -> None:
    if name not in best or measured[1] < best[name][1]:
        best[name] = measured


if len(sys.argv) == 3:
    print(*MEASURED[sys.argv[1]](sys.argv[2]))
else:
    main(sys.argv[1])
