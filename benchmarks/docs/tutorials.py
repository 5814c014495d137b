"""Run the tutorials, each from start to end in a process and a folder of its own.

    python -m benchmarks.docs.tutorials
    python -m benchmarks.docs.tutorials --write    # keep what the cells print and draw

Fails where a cell fails, or where all together take longer than --most minutes. With ``--write``
Jupyter runs them (pip install nbclient ipykernel), and the pages of the documentation show what
came out.
"""

import ast
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks import ledger
from benchmarks.inference.browser import Browser
from benchmarks.report.picture import shrink

FOLDER = Path(__file__).parents[2] / "docs" / "tutorials"
PLOT = "application/vnd.plotly.v1+json"
SETTINGS = "settings"
"""The tag of the one cell whose values a shorter run may change."""


def notebooks() -> list[Path]:
    """The tutorials, sorted by name."""
    return sorted(FOLDER.glob("*.ipynb"))


def cells(path: Path) -> list[tuple[str, list[str]]]:
    """The source of every code cell, with its tags."""
    content = json.loads(path.read_text())
    return [
        ("".join(cell["source"]), cell["metadata"].get("tags", []))
        for cell in content["cells"]
        if cell["cell_type"] == "code"
    ]


def run(path: Path, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Run all code cells in the working folder.

    ``settings`` take the place of values that the cell tagged ``settings`` has set.
    Raises KeyError for a setting that the cell does not have, and whatever a cell raises.
    """
    scope: dict[str, Any] = {"__name__": path.stem}
    for number, (source, tags) in enumerate(cells(path)):
        exec(compile(ast.parse(source), f"{path.name}, code cell {number + 1}", "exec"), scope)
        if SETTINGS in tags:
            for name, value in (settings or {}).items():
                scope[name]
                scope[name] = value
    return scope


def write(path: Path, folder: Path) -> None:
    """Run a notebook by Jupyter and keep its outputs in it, plots as pictures.

    A picture is shown wherever notebooks are; the program that draws it has 4 MB.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran
        if "outputs" in cell:  # what libraries say on stderr names paths of this machine
            cell.outputs = [each for each in cell.outputs if each.get("name") != "stderr"]
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if figure := data.pop(PLOT, None):
                data.pop("text/html", None)
                data["image/png"] = picture(figure, folder)
    nbformat.write(notebook, path)


def picture(figure: Mapping[str, Any], folder: Path) -> str:
    """A plot as base64 of PNG, drawn in headless Chromium."""
    import plotly.graph_objects as go

    made = go.Figure(figure["data"], figure["layout"])
    height = made.layout.height or 450
    page, drawn = folder / "plot.html", folder / "plot.png"
    made.write_html(page, include_plotlyjs=True, config={"staticPlot": True})
    with Browser() as browser:
        browser.open(page.as_uri())
        browser.until("document.querySelector('.main-svg') !== null")
        browser.picture(drawn, width=720, height=int(height) + 16)
    shrink(drawn)
    return base64.b64encode(drawn.read_bytes()).decode()


def main(words: Sequence[str] | None = None) -> int:
    parser = ledger.parser(__doc__)
    parser.add_argument("--most", type=float, default=15.0, help="minutes for all of them")
    parser.add_argument("--write", action="store_true", help="keep what the cells print and draw")
    parser.add_argument("--one", type=Path, help="run this notebook alone, in this process")
    options = ledger.parse(parser, words)
    if options.one is not None:
        run(options.one.resolve())
        return 0
    total, failed = 0.0, 0
    with ledger.Report(options) as report:
        table = report.table(
            "Tutorials, one after another", "notebook", ("wall time", "s", "lower"), "result"
        )
        for path in notebooks():
            started = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                if options.write:
                    write(path, Path(folder))
                    result = 0
                else:
                    command = [sys.executable, "-m", "benchmarks.docs.tutorials", "--one"]
                    done = subprocess.run([*command, str(path)], cwd=folder, env=_environment())
                    result = done.returncode
            seconds = time.perf_counter() - started
            total += seconds
            failed += bool(result)
            table.row(path.stem, f"{seconds:.0f}", "failed" if result else "done")
        table.row("all", f"{total:.0f}", "")
    return 1 if failed or total > 60 * options.most else 0


def _environment() -> dict[str, str]:
    """That of this process, in which ``benchmarks`` is found from any folder."""
    paths = [str(FOLDER.parents[1]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


if __name__ == "__main__":
    sys.exit(main())
