"""A cell's graph as SVG: nodes on a line, every operation on a track of its own.

Neighbours are joined by a straight line. Every other edge leaves its node, runs along a horizontal
track above or below and comes down on its target. Two tracks that overlap lie at different heights,
and a label sits on its track above a gap between two nodes, where no edge goes up or down: labels
touch neither each other nor a foreign edge, whatever the graph.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from html import escape
from typing import NamedTuple

from nascence.report.formatting import shorten

FONT_SIZE = 13
LABEL_HEIGHT = 26
TRACK = 38
"""Distance of two tracks; more than a label's height."""
NODE_HEIGHT = 40
PORT = 10
"""Distance of two edges that leave a node side by side."""
ARROW = 7
MOST_NODES = 64

COLOURS = {
    "convolution": "#2259c4",
    "pooling": "#b45309",
    "skip": "#1b7f4b",
    "none": "#6b7280",
    "other": "#7c3aae",
}


class Track(NamedTuple):
    """An edge and its height: 0 on the line of nodes, above it positive, below it negative."""

    source: int
    target: int
    operation: str
    level: int


def kind_of(operation: str) -> str:
    """``convolution``, ``pooling``, ``skip``, ``none`` or ``other``, from an operation's name."""
    name = operation.lower()
    for kind, pattern in (
        ("none", r"^(none|zero(ize)?|null)$"),
        ("pooling", r"pool"),
        ("skip", r"skip|identity|residual"),
        ("convolution", r"conv|repvgg|mbconv|bottleneck|linear"),
    ):
        if re.search(pattern, name):
            return kind
    return "other"


def label_of(operation: str) -> str:
    """An operation's name for a reader: ``nor_conv_3x3`` is ``conv 3×3``."""
    words = re.sub(r"(?<=\d)x(?=\d)", "×", operation).replace("_", " ")
    words = re.sub(r"^nor (?=conv)|(?<=^skip) connect(ion)?$", "", words)
    return shorten(words, 24) or "unnamed"


def assign_tracks(edges: Iterable[tuple[int, int, str]]) -> list[Track]:
    """Give every edge a height, short edges nearest to the line of nodes."""
    placed: list[Track] = []
    for source, target, operation in sorted(edges, key=lambda edge: (edge[1] - edge[0], edge[0])):
        overlapping = [t for t in placed if t.source < target and source < t.target]
        if target - source == 1 and not any(track.level == 0 for track in overlapping):
            level = 0
        else:
            above = 1 + max((track.level for track in overlapping), default=0)
            below = 1 + max((-track.level for track in overlapping), default=0)
            level = max(above, 1) if above <= below else -max(below, 1)
        placed.append(Track(source, target, operation, level))
    return placed


def _text_width(text: str) -> float:
    """An upper estimate of a label's width; East Asian characters are twice as wide."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return FONT_SIZE * (0.64 * (len(text) - wide) + 1.05 * wide)


class _Layout:
    """Positions of nodes, ports and tracks, in pixels."""

    def __init__(self, tracks: list[Track], names: Mapping[int, str]) -> None:
        first = min(track.source for track in tracks)
        self.nodes = range(first, max(track.target for track in tracks) + 1)
        self.names = {node: names.get(node, str(node)) for node in self.nodes}
        self.tracks = tracks
        widest = max(_text_width(label_of(track.operation)) for track in tracks)
        self.gap = widest + 16 + 2 * (ARROW + 15)
        crowd = max(
            len(self._ports(node, end, side))
            for node in self.nodes
            for end in ("source", "target")
            for side in (1, -1)
        )
        words = max(_text_width(name) for name in self.names.values())
        self.half = max(NODE_HEIGHT / 2, words / 2 + 8, PORT * crowd + 6)
        levels = [track.level for track in tracks]
        self.middle = 8 + self._rise(max(0, *levels, 0)) + LABEL_HEIGHT / 2
        below = self._rise(max(0, -min(*levels, 0)))
        self.height = self.middle + max(below + LABEL_HEIGHT / 2, NODE_HEIGHT / 2) + 8
        self.width = self.x(self.nodes[-1]) + self.half + 2

    @staticmethod
    def _rise(level: int) -> float:
        return NODE_HEIGHT / 2 + 6 + TRACK * level if level else NODE_HEIGHT / 2 - LABEL_HEIGHT / 2

    def x(self, node: int) -> float:
        return 2 + self.half + (node - self.nodes[0]) * (2 * self.half + self.gap)

    def y(self, level: int) -> float:
        sign = (level > 0) - (level < 0)
        return self.middle - sign * self._rise(abs(level))

    def _ports(self, node: int, end: str, side: int) -> list[Track]:
        """Tracks that leave or reach a node on one side, the highest first."""
        tracks = [t for t in self.tracks if getattr(t, end) == node and t.level * side > 0]
        return sorted(tracks, key=lambda track: -abs(track.level))

    def port(self, track: Track, end: str) -> float:
        """The highest track is nearest to the node's middle, so that no two edges cross."""
        side = 1 if track.level > 0 else -1
        node = getattr(track, end)
        offset = PORT * (0.7 + self._ports(node, end, side).index(track))
        return self.x(node) + (offset if end == "source" else -offset)

    def label_x(self, track: Track) -> float:
        left = (track.source + track.target - 1) // 2
        return (self.x(left) + self.x(left + 1)) / 2


def _path(layout: _Layout, track: Track) -> tuple[str, str]:
    """The edge's line and its arrow head, as SVG path data."""
    middle = layout.middle
    if track.level == 0:
        start, end = layout.x(track.source) + layout.half, layout.x(track.target) - layout.half
        head = f"M{end:.1f} {middle:.1f}l-{ARROW} -4v8z"
        return f"M{start:.1f} {middle:.1f}H{end - ARROW:.1f}", head
    sign = 1 if track.level > 0 else -1
    start, end = layout.port(track, "source"), layout.port(track, "target")
    top, edge, turn = layout.y(track.level), middle - sign * NODE_HEIGHT / 2, 10
    line = (
        f"M{start:.1f} {edge:.1f}V{top + sign * turn:.1f}Q{start:.1f} {top:.1f} "
        f"{start + turn:.1f} {top:.1f}H{end - turn:.1f}Q{end:.1f} {top:.1f} "
        f"{end:.1f} {top + sign * turn:.1f}V{edge - sign * ARROW:.1f}"
    )
    return line, f"M{end:.1f} {edge:.1f}l-4 {-sign * ARROW}h8z"


def _draw_edge(layout: _Layout, track: Track) -> str:
    kind, label = kind_of(track.operation), label_of(track.operation)
    colour = f"var(--operation-{kind}, {COLOURS[kind]})"
    line, head = _path(layout, track)
    width = _text_width(label) + 16
    x, y = layout.label_x(track), layout.y(track.level)
    dash = ";stroke-dasharray:3 5;opacity:.75" if kind == "none" else ""
    names = layout.names
    hover = f"{names[track.source]} to {names[track.target]}: {track.operation}"
    return (
        f'<g class="edge operation-{kind}"><title>{escape(hover)}</title>'
        f'<path d="{line}" style="fill:none;stroke:{colour};stroke-width:2{dash}"/>'
        f'<path d="{head}" style="fill:{colour}"/>'
        f'<rect class="label" x="{x - width / 2:.1f}" y="{y - LABEL_HEIGHT / 2:.1f}" '
        f'width="{width:.1f}" height="{LABEL_HEIGHT}" rx="{LABEL_HEIGHT / 2}" '
        f'style="fill:var(--surface, #ffffff);stroke:{colour};stroke-width:1.5{dash}"/>'
        f'<text x="{x:.1f}" y="{y:.1f}" style="fill:{colour}">{escape(label)}</text></g>'
    )


def _draw_node(layout: _Layout, node: int) -> str:
    end = node in (layout.nodes[0], layout.nodes[-1])
    fill, ink = ("--ink, #16191f", "--surface, #ffffff") if end else ("--raised, #eef0f4",) * 2
    ink = ink if end else "--ink, #16191f"
    return (
        f'<g class="node"><rect x="{layout.x(node) - layout.half:.1f}" '
        f'y="{layout.middle - NODE_HEIGHT / 2:.1f}" width="{2 * layout.half:.1f}" '
        f'height="{NODE_HEIGHT}" rx="10" style="fill:var({fill});stroke:var(--ink, #16191f)"/>'
        f'<text x="{layout.x(node):.1f}" y="{layout.middle:.1f}" style="fill:var({ink});'
        f'font-weight:600">{escape(layout.names[node])}</text></g>'
    )


def draw_cell(
    edges: Iterable[tuple[int, int, str]],
    *,
    title: str = "The cell's graph",
    identifier: str = "cell",
) -> str:
    """Draw a cell's graph as SVG, with a title and a description for screen readers.

    Args:
        edges: (from node, to node, operation), from the lower node to the higher; several may
            join the same two nodes.
        title: Title of the drawing.
        identifier: Prefix of the SVG's ids, unique in a page.

    Raises:
        ValueError: There is no edge, one that does not go from a lower node to a higher, or a
            node beyond the 64th.
    """
    edges = list(edges)
    for source, target, operation in edges:
        if source >= target:
            raise ValueError(
                f"edge {source} to {target} ({operation!r}) does not go from a lower node to a "
                "higher; number the nodes in the order of computation"
            )
    if not edges:
        raise ValueError("a cell without edges cannot be drawn; give at least one edge")
    first, last = min(edge[0] for edge in edges), max(edge[1] for edge in edges)
    if last - first >= MOST_NODES:
        raise ValueError(
            f"nodes {first} to {last} are {last - first + 1}; a drawing has at most {MOST_NODES}"
        )
    tracks = assign_tracks(edges)
    layout = _Layout(tracks, {first: "in", last: "out"})
    described = "; ".join(
        f"{layout.names[source]} to {layout.names[target]}: {operation}"
        for source, target, operation in sorted(edges)
    )
    body = "".join(_draw_edge(layout, track) for track in tracks)
    body += "".join(_draw_node(layout, node) for node in layout.nodes)
    name = escape(identifier, quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="cell" role="img" '
        f'viewBox="0 0 {layout.width:.0f} {layout.height:.0f}" width="{layout.width:.0f}" '
        f'height="{layout.height:.0f}" aria-labelledby="{name}-title {name}-description" '
        f'font-family="system-ui, sans-serif" font-size="{FONT_SIZE}" text-anchor="middle" '
        f'dominant-baseline="central"><title id="{name}-title">{escape(title)}</title>'
        f'<desc id="{name}-description">{escape(described)}</desc>{body}</svg>'
    )
