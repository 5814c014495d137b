"""Drawings of cells: what is in them, and that nothing lies on top of anything else."""

import itertools
import xml.etree.ElementTree as ElementTree
from xml.etree.ElementTree import Element

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nascence.report.cell import assign_tracks, draw_cell, kind_of, label_of

SVG = "{http://www.w3.org/2000/svg}"
NB201 = [
    (source, target, operation)
    for (source, target), operation in zip(
        [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)],
        ["nor_conv_3x3", "none", "skip_connect", "avg_pool_3x3", "nor_conv_1x1", "none"],
        strict=True,
    )
]
cells = st.lists(
    st.tuples(st.integers(-2, 6), st.integers(1, 4), st.text(max_size=20)).map(
        lambda edge: (edge[0], edge[0] + edge[1], edge[2])
    ),
    min_size=1,
    max_size=14,
)

Box = tuple[float, float, float, float]


def box(rectangle: Element) -> Box:
    x, y, w, h = (float(rectangle.attrib[name]) for name in ("x", "y", "width", "height"))
    return x, y, x + w, y + h


def overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def segments(path: str) -> list[Box]:
    """The straight parts of an edge, which consists of M, V, H and Q alone."""
    parts, x, y = [], 0.0, 0.0
    for command in path.replace("V", "|V").replace("H", "|H").replace("Q", "|Q").split("|"):
        values = [float(value) for value in command[1:].replace(",", " ").split()]
        start = (x, y)
        if command[0] == "V":
            y = values[0]
        elif command[0] == "H":
            x = values[0]
        else:
            x, y = values[-2:]
        if command[0] in "VH":
            parts.append((min(start[0], x), min(start[1], y), max(start[0], x), max(start[1], y)))
    return parts


def drawn(edges: list[tuple[int, int, str]]) -> tuple[Element, list[Element], list[Element]]:
    root = ElementTree.fromstring(draw_cell(edges))
    groups = root.findall(f"{SVG}g")
    return (
        root,
        [group for group in groups if group.attrib["class"].startswith("edge")],
        [group for group in groups if group.attrib["class"] == "node"],
    )


def printable(edges: list[tuple[int, int, str]]) -> list[tuple[int, int, str]]:
    """XML 1.0, by which the test reads the drawing, has no control characters."""
    return [(a, b, "".join(c for c in name if c.isprintable())) for a, b, name in edges]


@given(cells)
def test_labels_touch_neither_labels_nor_nodes_nor_foreign_edges(
    edges: list[tuple[int, int, str]],
) -> None:
    root, edge_groups, node_groups = drawn(printable(edges))
    labels = [box(group.findall(f"{SVG}rect")[0]) for group in edge_groups]
    nodes = [box(group.findall(f"{SVG}rect")[0]) for group in node_groups]
    lines = [segments(group.findall(f"{SVG}path")[0].attrib["d"]) for group in edge_groups]
    for a, b in itertools.combinations(labels + nodes, 2):
        assert not overlap(a, b)
    for index, line in enumerate(lines):
        for other, label in enumerate(labels):
            if index != other:
                assert not any(overlap(part, label) for part in line)
    width, height = (float(root.attrib[name]) for name in ("width", "height"))
    for left, top, right, bottom in labels + nodes:
        assert left >= 0
        assert top >= 0
        assert right <= width
        assert bottom <= height


@given(cells)
def test_tracks_of_one_height_do_not_overlap(edges: list[tuple[int, int, str]]) -> None:
    tracks = assign_tracks(edges)
    assert sorted(track[:3] for track in tracks) == sorted(edges)
    for a, b in itertools.combinations(tracks, 2):
        if a.level == b.level:
            assert a.target <= b.source or b.target <= a.source


def test_a_drawing_speaks_to_screen_readers() -> None:
    root, edges, nodes = drawn(NB201)
    assert len(edges) == 6
    assert [node.findtext(f"{SVG}text") for node in nodes] == ["in", "1", "2", "out"]
    named = {child.attrib["id"]: child.text for child in root if "id" in child.attrib}
    said = [named[name] for name in root.attrib["aria-labelledby"].split()]
    assert said[0] == "The cell's graph"
    assert "in to 1: nor_conv_3x3" in str(said[1])
    assert "1 to out: nor_conv_1x1" in str(said[1])


def test_names_from_outside_are_escaped() -> None:
    svg = draw_cell([(0, 1, "<script>alert(1)</script>")], title="<b>", identifier='"><i')
    assert "<script" not in svg
    assert "<b>" not in svg
    assert "<i" not in svg


@pytest.mark.parametrize(
    ("operation", "kind", "label"),
    [
        ("nor_conv_3x3", "convolution", "conv 3×3"),
        ("avg_pool_3x3", "pooling", "avg pool 3×3"),
        ("skip_connect", "skip", "skip"),
        ("none", "none", "none"),
        ("dil_conv_5x5", "convolution", "dil conv 5×5"),
        ("attention", "other", "attention"),
        ("", "other", "unnamed"),
    ],
)
def test_operations(operation: str, kind: str, label: str) -> None:
    assert (kind_of(operation), label_of(operation)) == (kind, label)


@pytest.mark.parametrize("edges", [[], [(1, 1, "skip")], [(2, 1, "skip")], [(0, 10**9, "skip")]])
def test_what_is_no_cell_is_refused(edges: list[tuple[int, int, str]]) -> None:
    with pytest.raises(ValueError, match=r"cell|lower node|nodes"):
        draw_cell(edges)
