"""A graph as an SVG picture."""

from xml.sax.saxutils import escape

from nascence.graph.structure import Graph, Node

_COLOURS = {
    "input": "#444444",
    "conv": "#4c78a8",
    "sep_conv": "#72a0c8",
    "dil_conv": "#9ec3e0",
    "conv_transpose": "#35618c",
    "recurrent": "#35618c",
    "embedding": "#35618c",
    "msa": "#e45756",
    "cse": "#f58518",
    "gate": "#f58518",
    "sum": "#54a24b",
    "concat": "#88d27a",
    "bn": "#b279a2",
    "ln": "#d6a5c9",
    "group_norm": "#d6a5c9",
    "instance_norm": "#d6a5c9",
}
_OTHER = "#9d9d9d"
_ROW = 22.0
_RADIUS = 6.0


def _title(index: int, node: Node) -> str:
    lines = [f"{index}: {node.op}"]
    lines += [f"{p.name} {'x'.join(map(str, p.shape))}" for p in node.parameters]
    if node.macs:
        lines.append(f"{node.macs / 1e6:.3g} M multiply-adds")
    return escape("\n".join(lines))


def _positions(graph: Graph, width: int) -> list[tuple[float, float]]:
    """One row per level; the nodes of a row stand evenly, ordered by their predecessors."""
    rows: dict[int, list[int]] = {}
    for node, level in enumerate(graph.levels.tolist()):
        rows.setdefault(level, []).append(node)
    place: list[tuple[float, float]] = [(0.0, 0.0)] * len(graph)
    for level in sorted(rows):

        def column(node: int) -> float:
            before = graph.predecessors[node]
            return sum(place[u][0] for u in before) / len(before) if before else 0.0

        row = sorted(rows[level], key=column)
        for slot, node in enumerate(row):
            place[node] = (width * (slot + 1) / (len(row) + 1), _ROW * (level + 1))
    return place


def draw(graph: Graph, *, width: int = 900) -> str:
    """Draw a graph, flowing downwards, ``width`` pixels wide.

    Returns:
        A stand-alone SVG text; pointing at a node shows its operation, parameters and cost.
    """
    place = _positions(graph, width)
    height = int(max((y for _, y in place), default=0.0) + _ROW)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="9">'
    ]
    for pairs, style in ((graph.edges, "#bbbbbb"), (graph.loops, "#e45756")):
        for source, destination in pairs:
            (x1, y1), (x2, y2) = place[source], place[destination]
            bend = 30.0 if abs(y2 - y1) > 1.5 * _ROW or source == destination else 0.0
            middle = f"{(x1 + x2) / 2 + bend:.1f} {(y1 + y2) / 2:.1f}"
            parts.append(
                f'<path d="M{x1:.1f} {y1:.1f} Q {middle} {x2:.1f} {y2:.1f}" '
                f'stroke="{style}" fill="none"/>'
            )
    for index, node in enumerate(graph.nodes):
        x, y = place[index]
        parts.append(
            f'<g><title>{_title(index, node)}</title><circle cx="{x:.1f}" cy="{y:.1f}" '
            f'r="{_RADIUS}" fill="{_COLOURS.get(node.op, _OTHER)}"/>'
            f'<text x="{x + 8:.1f}" y="{y + 3:.1f}">{escape(node.op)}</text></g>'
        )
    return "\n".join([*parts, "</svg>"])
