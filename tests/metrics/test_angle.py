"""The angle against explicit vectors, and live paths against their enumeration."""

import math
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nascence.metrics.angle import AngleTable, angle, angles, live_paths, squares


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.floats(-6, 0.5), st.floats(-3, 3))
def test_equals_the_arc_cosine_of_explicit_vectors(seed, log_step, log_scale):
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(40, generator=generator, dtype=torch.float64)
    step = torch.randn(40, generator=generator, dtype=torch.float64)
    end = 10**log_scale * (start + 10**log_step * step)
    residue = end - (end @ start) / (start @ start) * start  # accurate for small angles too
    expected = math.atan2(residue.norm(), (end @ start) / start.norm())
    assert float(angle(squares([(start, end)]))) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_resolves_an_angle_that_an_arc_cosine_cannot():
    start, end = torch.tensor([1.0, 0.0]).double(), torch.tensor([1.0, 1e-9]).double()
    assert float(angle(squares([(start, end)]))) == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.parametrize(
    ("end", "expected"), [([2.0, 0.0], 0.0), ([0.0, 3.0], math.pi / 2), ([-1.0, 0.0], math.pi)]
)
def test_known_angles(end, expected):
    pair = (torch.tensor([1.0, 0.0]), torch.tensor(end))
    assert float(angle(squares([pair]))) == pytest.approx(expected, abs=1e-12)


def test_documented_values_for_empty_and_nan():
    sums = torch.tensor([[0.0, 0.0, 0.0], [1.0, float("nan"), 1.0]])
    found = angle(sums)
    assert found[0] == 0
    assert found[1].isnan()


def test_tensors_of_different_shape():
    with pytest.raises(ValueError, match="same network"):
        squares([(torch.ones(2), torch.ones(3))])


def paths_of(edges, alive, outputs):
    """All paths, found one by one."""
    inputs = {s for s, _ in edges} - {t for _, t in edges}
    open_paths, found = [((), node) for node in inputs], []
    while open_paths:
        path, node = open_paths.pop()
        if path and node in outputs:
            found.append(path)
        for place, (source, target) in enumerate(edges):
            if source == node and alive[place]:
                open_paths.append(((*path, place), target))
    return found


NB201 = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
DARTS = tuple((source, node) for node in (2, 3, 4, 5) for source in range(node))


@pytest.mark.parametrize(
    ("edges", "outputs", "all_alive"),
    [(NB201, (3,), 4), (DARTS, (5,), 16), (DARTS, (2, 3, 4, 5), 30)],
)
def test_live_paths_equal_their_enumeration(edges, outputs, all_alive):
    generator = torch.Generator().manual_seed(0)
    alive = torch.rand(60, len(edges), generator=generator) < 0.6
    alive[0] = True
    through, total = live_paths(edges, alive, outputs=outputs)
    assert total[0] == all_alive
    for row, found, count in zip(alive.tolist(), through.tolist(), total.tolist(), strict=True):
        paths = paths_of(edges, row, outputs)
        assert count == len(paths)
        assert found == [sum(place in path for path in paths) for place in range(len(edges))]


def test_sums_of_operations_equal_the_vector_with_repetitions():
    generator = torch.Generator().manual_seed(1)
    fixed = torch.randn(2, 5, generator=generator)
    operations = torch.randn(3, 4, 2, 6, generator=generator)
    table = AngleTable(
        squares([tuple(fixed)]),
        tuple(torch.stack([squares([tuple(pair)]) for pair in row]) for row in operations),
    )
    architectures = torch.tensor(list(product(range(4), repeat=3)))
    paths = torch.randint(0, 4, architectures.shape, generator=generator)
    found = angles(table, architectures, paths)
    for architecture, times, value in zip(architectures, paths, found, strict=True):
        parts = [fixed]
        for place, index in enumerate(architecture):
            parts += [operations[place, index]] * int(times[place])
        start, end = torch.cat(parts, 1).double()
        expected = torch.acos(start @ end / start.norm() / end.norm())
        assert float(value) == pytest.approx(float(expected), abs=1e-7)


def test_dead_and_not_finite():
    rows = torch.tensor([[1.0, 1.0, 1.0], [1.0, float("nan"), 1.0]], dtype=torch.float64)
    table = AngleTable(torch.tensor([1.0, 1.0, 0.5], dtype=torch.float64), (rows,))
    one, nothing = torch.tensor([[0]]), torch.tensor([[0]])
    live = torch.tensor([False])
    assert angles(table, one, nothing, live=live, dead="zero").tolist() == [0.0]
    assert angles(table, one, nothing, live=live, dead="fixed") == angle(table.fixed)
    # weights that no live path uses do not enter
    assert angles(table, torch.tensor([[1]]), nothing) == angle(table.fixed)
    with pytest.raises(ValueError, match=r"architecture \(1,\) are not finite"):
        angles(table, torch.tensor([[1]]), torch.tensor([[1]]))
