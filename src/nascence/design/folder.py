"""A run's folder: settings, events, and the result of every finished stage."""

import contextlib
import json
import os
import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from nascence.core.files import append_line, is_unused, locked, write_whole
from nascence.design.settings import Settings

_PACKAGES = ("nascence", "torch", "numpy", "optuna", "onnx", "onnxruntime", "pillow", "pyarrow")


class RunError(ValueError):
    """A run's folder cannot be used as asked; the message says what to do."""


class RunFolder:
    """``config.yaml``, ``env.json``, ``events.jsonl``, ``stages/`` and whatever stages put there.

    A stage's result is written whole when the stage has ended; a stage without a result has to
    be run. A *plan* is what a stage measured and decided before its work, so that a resumed
    stage does the same work.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self.path = path
        self.settings = settings

    @classmethod
    def create(cls, path: Path, settings: Settings) -> "RunFolder":
        """A new folder. Raises RunError where something is there already."""
        if path.exists() and not path.is_dir():
            raise RunError(f"{path} is a file; give a folder with --out")
        with locked(path):
            if (path / "config.yaml").exists():
                raise RunError(
                    f"{path} already holds a run; go on with it by `nascence resume {path}` "
                    f"or give another folder with --out"
                )
            if not is_unused(path):
                raise RunError(f"{path} is not empty; give a new or an empty folder with --out")
            write_whole(path / "env.json", json.dumps(environment(), indent=1).encode())
            config = yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False)
            # Written last: a folder with this file is a run that can be resumed.
            write_whole(path / "config.yaml", config.encode())
        return cls(path, settings)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The folder of a run that was begun. Raises RunError where there is none."""
        config = path / "config.yaml"
        if not config.is_file():
            raise RunError(
                f"{path} holds no run (no config.yaml); start one with `nascence design`"
            )
        try:
            settings = Settings(**yaml.safe_load(config.read_text()))
        except (yaml.YAMLError, ValidationError, TypeError, UnicodeDecodeError) as error:
            reason = str(error).splitlines()[0]
            raise RunError(f"{config} cannot be understood ({reason}); start a new run") from error
        return cls(path, settings)

    def held(self) -> AbstractContextManager[None]:
        """Keep every other process from working on this run."""
        return locked(self.path)

    def event(self, kind: str, **fields: Any) -> None:
        """Append a line to ``events.jsonl``."""
        line = json.dumps({"time": round(time.time(), 3), "event": kind, **fields})
        append_line(self.path / "events.jsonl", line)

    def result(self, stage: str) -> dict[str, Any] | None:
        """What a finished stage left, or None."""
        return self._read(f"{stage}.json")

    def finish(self, stage: str, result: dict[str, Any]) -> dict[str, Any]:
        """Record a stage's result; the stage is then never run again."""
        write_whole(self.path / "stages" / f"{stage}.json", json.dumps(result, indent=1).encode())
        self.event("finished", stage=stage)
        return result

    def plan(self, stage: str, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The plan of a stage: made once, then read."""
        plan = self._read(f"{stage}.plan.json")
        if plan is None:
            plan = make()
            path = self.path / "stages" / f"{stage}.plan.json"
            write_whole(path, json.dumps(plan, indent=1).encode())
            self.event("planned", stage=stage, **plan)
        return plan

    def _read(self, name: str) -> dict[str, Any] | None:
        path = self.path / "stages" / name
        with contextlib.suppress(FileNotFoundError):
            try:
                return dict(json.loads(path.read_text()))
            except (ValueError, TypeError) as error:
                raise RunError(f"{path} is damaged; delete it to run the stage again") from error
        return None


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
