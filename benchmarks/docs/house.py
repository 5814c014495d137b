"""Draw the rooms of the package and what imports what, from the imports themselves.

    python -m benchmarks.docs.house
    python -m benchmarks.docs.house --check

Writes docs/house.svg. A room stands above all that it imports; a line is left out where others lead
to the same room. With ``--check`` nothing is written, and the exit status is 1 where the picture is
not that of the imports.
"""

import ast
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks import ledger

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "nascence"
PICTURE = ROOT / "docs" / "house.svg"
WIDTH, ROW, BOX = 900, 84, 30
Rooms = dict[str, set[str]]


def imports() -> Rooms:
    """Each room with the rooms that it imports, wherever the import stands."""
    found: Rooms = {}
    for path in sorted(SOURCE.rglob("*.py")):
        room = path.relative_to(SOURCE).parts[0].removesuffix(".py")
        if room == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module == "nascence":
                names = [f"nascence.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            for name in names:
                parts = name.split(".")
                if parts[0] == "nascence" and len(parts) > 1:
                    found.setdefault(room, set()).add(parts[1])
        found.setdefault(room, set())
    return {
        room: {to for to in below if to in found and to != room} for room, below in found.items()
    }


def heights(rooms: Rooms) -> dict[str, int]:
    """How many rooms stand below each, one on another."""
    found: dict[str, int] = {}

    def height(room: str) -> int:
        if room not in found:
            found[room] = 1 + max((height(below) for below in rooms[room]), default=-1)
        return found[room]

    for room in rooms:
        height(room)
    return found


def needed(rooms: Rooms) -> list[tuple[str, str]]:
    """The imports that do not follow from others."""
    reach: Rooms = {}

    def below(room: str) -> set[str]:
        if room not in reach:
            reach[room] = rooms[room].union(*(below(each) for each in rooms[room]))
        return reach[room]

    return [
        (room, to)
        for room in sorted(rooms)
        for to in sorted(rooms[room])
        if not any(to in below(other) for other in rooms[room] - {to})
    ]


def draw() -> str:
    """The picture as SVG."""
    rooms = imports()
    floors = heights(rooms)
    top = max(floors.values())
    place: dict[str, tuple[float, float, float]] = {}  # middle, upper edge, width
    for floor in range(top + 1):
        on_it = sorted(room for room in rooms if floors[room] == floor)
        widths = [9 * len(room) + 22 for room in on_it]
        gap = (WIDTH - sum(widths)) / (len(on_it) + 1)
        left = gap
        for room, width in zip(on_it, widths, strict=True):
            place[room] = left + width / 2, ROW * (top - floor) + 16, width
            left += width + gap
    lines = [
        f'<path d="M{x1:.0f} {y1 + BOX:.0f} C{x1:.0f} {y1 + BOX + 28:.0f} '
        f'{x2:.0f} {y2 - 28:.0f} {x2:.0f} {y2:.0f}"/>'
        for (x1, y1, _), (x2, y2, _) in ((place[a], place[b]) for a, b in needed(rooms))
    ]
    boxes = [
        f'<rect x="{x - width / 2:.0f}" y="{y:.0f}" width="{width}" height="{BOX}" rx="8"/>'
        f'<text x="{x:.0f}" y="{y + 20:.0f}">{escape(room)}</text>'
        for room, (x, y, width) in sorted(place.items())
    ]
    height = ROW * (top + 1)
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" role="img">',
            "<title>The rooms of nascence: each stands above all that it imports</title>",
            "<style>svg{background:#fff}path{fill:none;stroke:#9aa5b5}"
            "rect{fill:#eef3fc;stroke:#2259c4}"
            "text{font:15px ui-monospace,monospace;text-anchor:middle;fill:#16191f}</style>",
            *lines,
            *boxes,
            "</svg>\n",
        )
    )


def main(words: Sequence[str] | None = None) -> int:
    parser = ledger.parser(__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it is old")
    options = ledger.parse(parser, words)
    if options.check:
        return int(not PICTURE.is_file() or PICTURE.read_text() != draw())
    PICTURE.write_text(draw())
    return 0


if __name__ == "__main__":
    sys.exit(main())
