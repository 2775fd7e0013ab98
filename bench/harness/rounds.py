"""Rows that are measured beside each other: in every round each of them once, so that what disturbs one disturbs its neighbours."""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Optional

METER = Path(__file__).with_name("meter.py")


def say(text):
    print(text, file=sys.stderr, flush=True)


@dataclass
class Row:
    """One program that does the work."""

    name: str
    argv: list
    env: dict = field(default_factory=dict)
    cwd: Optional[str] = None
    # before each round, not measured
    prepare: Optional[Callable] = None
    # after each round: raises when the work was not done
    check: Optional[Callable] = None
    # its exit status
    want: int = 0
    # seconds after which it is given up
    limit: float = 600
    # what it is told not to do more often than this in a quick run
    quick_rounds: Optional[int] = None
    # gives seconds in the place of the wall time: a function of the output's path and of what was measured
    instead: Optional[Callable] = None


@dataclass
class Figures:
    """What came of a row."""

    name: str
    wall: list = field(default_factory=list)
    cpu: list = field(default_factory=list)
    memory: Optional[float] = None

    def median(self, what="wall"):
        values = getattr(self, what)
        return statistics.median(values) if values else None


class Failed(Exception):
    """A row did not do its work."""


def once(row, scratch, mode="time"):
    """Runs a row once."""
    if row.prepare:
        row.prepare()
    result, output = scratch / "meter.json", scratch / "output"
    result.unlink(missing_ok=True)
    argv = [sys.executable, "-S", "-E", str(METER), str(result), str(row.limit), mode, str(output), *map(str, row.argv)]
    subprocess.run(argv, env={**os.environ, **row.env}, cwd=row.cwd, check=True)
    measured = json.loads(result.read_text())
    if measured["late"]:
        raise Failed(f"{row.name}: not done within {row.limit} s")
    if measured["status"] != row.want:
        tail = output.read_text(errors="replace")[-2000:]
        raise Failed(f"{row.name}: exit status {measured['status']}: {tail}")
    if row.check:
        row.check()
    if row.instead:
        measured["wall"] = row.instead(output, measured)
    return measured


def compare(title, rows, scratch, rounds, quick):
    """Measures the rows in interleaved rounds. The first, which warms caches up, is for memory only."""
    figures = {row.name: Figures(row.name) for row in rows}
    for row in rows:
        figures[row.name].memory = once(row, scratch, "memory")["memory"]
    for number in range(rounds):
        for row in rows:
            if quick and row.quick_rounds is not None and number >= row.quick_rounds:
                continue
            measured = once(row, scratch)
            figures[row.name].wall.append(measured["wall"])
            figures[row.name].cpu.append(measured["cpu"])
        latest = "  ".join(f"{f.name} {f.wall[-1]:.2f}" for f in figures.values() if len(f.wall) > number)
        say(f"   {title}, round {number + 1}: {latest}")
    return figures


def ratio(of, to, what="wall"):
    """The ratios of two rows in the rounds that both were in."""
    return [a / b for a, b in zip(getattr(of, what), getattr(to, what))]
