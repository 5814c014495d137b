"""A run's folder: settings, events, and the result of every finished stage."""

import contextlib
import json
import os
import platform
import time
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter

from nascence.core.files import append_line, is_unused, locked, understood, write_whole
from nascence.design.settings import DesignSettings

T = TypeVar("T")
_PACKAGES = ("nascence", "torch", "numpy", "optuna", "onnx", "onnxruntime", "pillow", "pyarrow")


class RunError(ValueError):
    """A run's folder cannot be used as asked; the message says what to do."""


class RunFolder:
    """``config.yaml``, ``env.json``, ``events.jsonl``, ``stages/`` and whatever stages put there.

    The result of a stage, a dataclass, is written whole when the stage has ended; a stage without
    a result has yet to run. A *plan* is what a stage measured and decided before its work, so that
    a resumed stage does the same work.
    """

    def __init__(self, path: Path, settings: DesignSettings) -> None:
        self.path = path
        self.settings = settings

    @staticmethod
    def check_new(path: Path) -> None:
        """Check that nothing is in a folder, without making it.

        Raises:
            RunError: Something is there already.
        """
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is a file; give a folder with --out")
        if (path / "config.yaml").exists():
            raise RunError(
                f"{path} already holds a run; go on with it by `nascence resume {path}` "
                f"or give another folder with --out"
            )
        if path.exists() and not is_unused(path):
            raise RunError(f"{path} is not empty; give a new or an empty folder with --out")

    @classmethod
    def create(cls, path: Path, settings: DesignSettings) -> "RunFolder":
        """Make a new folder.

        Raises:
            RunError: Something is there already.
            LockedError: Another process works in it.
            WriteError: The folder cannot be made or written.
        """
        cls.check_new(path)
        with locked(path):
            cls.check_new(path)
            write_whole(path / "env.json", json.dumps(environment(), indent=1).encode())
            config = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
            # Written last: a folder with this file is a run that can be resumed.
            write_whole(path / "config.yaml", config.encode())
        return cls(path, settings)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Open the folder of a run that was begun.

        Raises:
            RunError: There is none, or its settings cannot be understood (the ``ValueError`` of a
                file that is not YAML included).
        """
        config = path / "config.yaml"
        if not config.is_file():
            raise RunError(
                f"{path} holds no run (no config.yaml); start one with `nascence design`"
            )
        with understood(config, remedy="start a new run", error=RunError):
            try:
                settings = DesignSettings(**yaml.safe_load(config.read_text()))
            except yaml.YAMLError as error:
                raise ValueError(str(error)) from None
        return cls(path, settings)

    def spent(self) -> float:
        """Seconds that earlier starts of the run had taken when they were last noted."""
        noted = self._read("clock.json", dict[str, float], ("spent",))
        return 0.0 if noted is None else noted["spent"]

    def note_spent(self, seconds: float) -> None:
        """Note how many seconds all starts of the run have taken."""
        self._write("clock.json", {"spent": seconds})

    def held(self) -> AbstractContextManager[None]:
        """Keep every other process from working on this run.

        Raises:
            LockedError: Another process works on it.
        """
        return locked(self.path)

    def event(self, kind: str, **fields: Any) -> None:
        """Append a line to ``events.jsonl``."""
        line = json.dumps({"time": round(time.time(), 3), "event": kind, **fields})
        append_line(self.path / "events.jsonl", line)

    def result(self, stage: str, kind: type[T]) -> T | None:
        """What a finished stage left, or None.

        Raises:
            RunError: The file is damaged, or of a version that wrote something else.
        """
        return self._read(f"{stage}.json", kind)

    def is_finished(self, stage: str) -> bool:
        """Whether a stage has left its result."""
        return (self.path / "stages" / f"{stage}.json").exists()

    def finish(self, stage: str, result: T) -> T:
        """Record a stage's result; the stage is then never run again."""
        self._write(f"{stage}.json", result)
        self.event("finished", stage=stage)
        return result

    def plan(
        self, stage: str, kind: type[T], make: Callable[[], T], *, names: Collection[str] = ()
    ) -> T:
        """The plan of a stage: made once, then read; a dict must have these names.

        Raises:
            RunError: The file is damaged, or of a version that wrote something else.
        """
        plan = self._read(f"{stage}.plan.json", kind, names)
        if plan is None:
            plan = make()
            written = self._write(f"{stage}.plan.json", plan)
            self.event("planned", stage=stage, **written)
        return plan

    def _write(self, name: str, value: object) -> dict[str, Any]:
        content: dict[str, Any] = TypeAdapter(type(value)).dump_python(value)
        # Not by pydantic: its JSON has no infinity, which a score may be.
        write_whole(self.path / "stages" / name, json.dumps(content, indent=1).encode())
        return content

    def _read(self, name: str, kind: type[T], names: Collection[str] = ()) -> T | None:
        path = self.path / "stages" / name
        if not path.exists():
            return None
        with understood(path, remedy="delete it to run the stage again", error=RunError):
            found = TypeAdapter(kind).validate_python(json.loads(path.read_text()))
            if isinstance(found, dict) and (missing := set(names) - found.keys()):
                raise ValueError(f"it lacks {', '.join(sorted(missing))}")
            return found


def next_free(parent: Path, name: str) -> Path:
    """``parent/name-K`` with the smallest K from 1 that is not there."""
    number = 1
    while (parent / f"{name}-{number}").exists():
        number += 1
    return parent / f"{name}-{number}"


def environment() -> dict[str, Any]:
    """What a result may depend on: machine, Python, packages."""
    packages = {}
    for name in _PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            packages[name] = version(name)
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "packages": packages,
    }


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
