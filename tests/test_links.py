"""Every link of the documents to a file or a heading leads there; addresses are well formed."""

import json
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    {*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")}
)
LINK = re.compile(r"\[[^\]\n]*(?:\n[^\]\n]*)?\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)


def text_of(page: Path) -> str:
    """The words of a page, or of the markdown cells of a notebook, without code."""
    if page.suffix == ".ipynb":
        cells = json.loads(page.read_text())["cells"]
        words = "\n\n".join(
            "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
        )
    else:
        words = page.read_text()
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", words))


def anchors(page: Path) -> set[str]:
    """What headings are called in an address, as GitHub and MyST make it."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


def faults(page: Path) -> list[str]:
    found = []
    for link in LINK.findall(text_of(page)):
        address = urlsplit(link)
        if address.scheme:
            if address.scheme != "https" or "." not in address.netloc:
                found.append(f"{link} is no address of a page")
            continue
        target = (page.parent / address.path).resolve() if address.path else page
        if not target.exists():
            found.append(f"there is no {link}")
        elif address.fragment and address.fragment not in anchors(target):
            found.append(f"{target.name} has no heading #{address.fragment}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    assert faults(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "x.md"
    page.write_text("# Two words\n[a](none.md) [b](#two-words) [c](#three) [d](http://x.org/)\n")
    assert faults(page) == [
        "there is no none.md",
        "x.md has no heading #three",
        "http://x.org/ is no address of a page",
    ]
