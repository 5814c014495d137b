"""Make the pages of docs/results from the files of benchmarks/results.

    python -m benchmarks.pages
    python -m benchmarks.pages --check

One page for each folder, and the index docs/results.md with the headlines of all files. With
``--check`` nothing is written, and the exit status is 1 where a page is not what the files make.
What a file has beside what a benchmark writes: ``title``, ``order`` on its page, ``measured``
(how), ``reading`` (what it shows), ``published`` (the source of figures beside ours) and
``headlines`` for the index.
"""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import ledger

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGES = ROOT / "docs" / "results"
INDEX = ROOT / "docs" / "results.md"
AREAS = {
    "design": "Designing a network",
    "inference": "Using a network",
    "metrics": "Scores without training",
    "search": "Search on tables",
    "supernets": "Supernets",
    "gradient": "Search by gradients",
    "latency": "Latency tables",
    "gan": "Generators",
    "hypernet": "Predicting parameters",
    "optim": "Learned optimizers",
    "implicit": "Implicit models",
    "detect": "Detection",
    "reparam": "Folding",
    "onnx_fold": "Folding ONNX files",
    "spaces": "Search spaces and published networks",
    "data": "Data",
    "reliability": "Reliability",
    "core": "Speed beside the version before",
}
MADE = "<!-- Made by `make ledger` from benchmarks/results; edit the files there. -->"
NUMBER = re.compile(r"\d[\d,]*\.?\d*|\.\d+")


def read() -> dict[str, dict[str, dict[str, Any]]]:
    """The files of results by area and name, in the order of their pages."""
    found = {}
    for area in AREAS:
        files = [
            (path.stem, json.loads(path.read_text())) for path in RESULTS.glob(f"{area}/*.json")
        ]
        found[area] = dict(sorted(files, key=lambda pair: (pair[1].get("order", 0), pair[0])))
    return found


def pages() -> dict[Path, str]:
    """What each page should hold."""
    results = read()
    made = {PAGES / f"{area}.md": area_page(area, files) for area, files in results.items()}
    return made | {INDEX: index_page(results)}


def area_page(area: str, files: dict[str, dict[str, Any]]) -> str:
    """The page of one folder of results."""
    return "\n\n".join([MADE, f"# {AREAS[area]}", *map(section, files.values())]) + "\n"


def section(result: dict[str, Any]) -> str:
    """One benchmark: how it was measured, its tables, and what they show."""
    parts = [f"## {result['title']}", result["measured"]]
    parts += [f"`{command}`" for command in result["command"]]
    facts = [f"Machine: {result['machine']}.", f"{result['versions']}."]
    seeds = result.get("seeds")
    if seeds is not None:
        listed = seeds if isinstance(seeds, list) else [seeds]
        facts.append(f"Seed{'s' if len(listed) > 1 else ''}: {', '.join(map(str, listed))}.")
    if result.get("published"):
        facts.append(f"Published figures: {result['published']}")
    parts.append("*" + " ".join(facts) + "*")
    for table in result["tables"]:
        lines = ledger.markdown_heading(table["columns"])
        lines += map(ledger.markdown_row, table["rows"])
        parts += [f"**{table['title']}**", "\n".join(lines)]
    return "\n\n".join(parts + result["reading"])


def index_page(results: dict[str, dict[str, dict[str, Any]]]) -> str:
    """The figures that matter most, with links to their pages."""
    lines = ledger.markdown_heading(
        [{"name": name} for name in ("what", "ours", "unit", "paper or peer", "details")]
    )
    for area, files in results.items():
        for result in files.values():
            for headline in result.get("headlines", ()):
                better = headline["better"] and f"{headline['better']} is better"
                unit = ", ".join(each for each in (headline["unit"], better) if each)
                peer = headline["published"]
                if headline["by"]:
                    peer = f"{peer} ({headline['by']})"
                link = f"[{AREAS[area]}](results/{area}.md)"
                lines.append(
                    ledger.markdown_row((headline["what"], headline["figure"], unit, peer, link))
                )
    contents = "\n".join(["```{toctree}", ":hidden:", "", *(f"results/{a}" for a in AREAS),
                          "results/notes", "```"])  # fmt: skip
    words = (
        "The figures that matter most. Each links to a page with the command that measures it, "
        "the machine, the seeds, every table, and what fell short. CPU-seconds are those of one "
        "thread. What was tried on the way is in the [notes](results/notes.md)."
    )
    return "\n\n".join([MADE, "# Results", words, "\n".join(lines), contents]) + "\n"


def faults(result: dict[str, Any]) -> list[str]:
    """What is wrong with a file of results; none if nothing is."""
    found = [
        f"{table['title']}: a row has {len(row)} cells for {len(table['columns'])} columns"
        for table in result["tables"]
        for row in table["rows"]
        if len(row) != len(table["columns"])
    ]
    cells = [str(cell) for table in result["tables"] for row in table["rows"] for cell in row]
    known = set(NUMBER.findall(" ".join([*cells, str(result.get("published"))])))
    for headline in result.get("headlines", ()):
        for number in NUMBER.findall(headline["figure"]):
            if number not in known:
                found.append(f"the headline's {number} is in no table: {headline['what']}")
    return found


def main(words: Sequence[str] | None = None) -> None:
    parser = ledger.parser(__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = ledger.parse(parser, words)
    wrong = []
    for page, text in pages().items():
        if not page.exists() or page.read_text() != text:
            wrong.append(page)
            if not options.check:
                page.parent.mkdir(parents=True, exist_ok=True)
                page.write_text(text)
            print(page.relative_to(ROOT))
    if options.check and wrong:
        sys.exit(1)


if __name__ == "__main__":
    main()
