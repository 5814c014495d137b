"""Tables of latencies: sums by hand, expectations by enumeration, files that are refused."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nascence.data.errors import DataError
from nascence.latency.table import LatencyTable, LatencyTerm, read_latencies
from nascence.spaces import Mobile, SmallSpace
from nascence.supernets import SuperNet, split

SPACE = SmallSpace(width=4)


def table(fixed: float = 0.5, seed: int = 0, scale: float = 1.0) -> LatencyTable:
    """Random milliseconds for the four edges of the small space."""
    values = scale * torch.rand(4, 6, generator=torch.Generator().manual_seed(seed))
    rows = tuple(tuple(row) for row in values.tolist())
    return LatencyTable(SPACE.description, 8, 1, SPACE.decisions, fixed, rows)


def vectors(seed: int = 1) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(6, generator=generator, dtype=torch.float64).softmax(0) for _ in range(4)]


def test_a_network_takes_the_sum() -> None:
    known = table()
    rows = known.choices
    assert known.of((0, 5, 2, 1)) == 0.5 + rows[0][0] + rows[1][5] + rows[2][2] + rows[3][1]
    assert known.range[0] == min(known.of(each) for each in SPACE)
    assert known.range[1] == max(known.of(each) for each in SPACE)
    assert known.even() == pytest.approx(sum(map(known.of, SPACE)) / 1296)


def test_the_expected_latency_is_the_mean_over_all_networks() -> None:
    known, probabilities = table(), vectors()
    total = 0.0
    for architecture in SPACE:
        chances = [float(p[i]) for p, i in zip(probabilities, architecture, strict=True)]
        total += math.prod(chances) * known.of(architecture)
    assert float(known.expected(probabilities)) == pytest.approx(total, rel=1e-6)


def test_its_derivative_by_a_logit_is_the_surplus_times_the_probability() -> None:
    known = table()
    logits = [torch.randn(6, requires_grad=True) for _ in range(4)]
    probabilities = [each.softmax(0) for each in logits]
    found = torch.autograd.grad(known.expected(probabilities), logits)
    for gradient, vector, row in zip(found, probabilities, known.choices, strict=True):
        own = torch.tensor(row)
        torch.testing.assert_close(gradient, (vector * (own - vector @ own)).detach())


def test_a_part_counts_what_it_fixes() -> None:
    known = table()
    part = split(SuperNet(SPACE), {"edge_0_2": [(4,), (0, 1), (2, 3, 5)]})[0]
    certain = [torch.full((len(held),), 1 / len(held)) for held in part.choices]
    expected = known.fixed + known.choices[1][4]
    expected += sum(sum(known.choices[place]) / 6 for place in (0, 2, 3))
    assert float(known.expected(certain, part.choices)) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1e9), min_size=24, max_size=24), st.floats(0, 1e9))
def test_files_keep_every_bit(values: list[float], fixed: float) -> None:
    rows = tuple(tuple(values[6 * k : 6 * k + 6]) for k in range(4))
    known = LatencyTable(SPACE.description, 32, 4, SPACE.decisions, fixed, rows)
    content = json.loads(known.to_json())
    read = [list(content["operators"][name].values()) for name, _ in SPACE.decisions]
    assert (content["fixed"], read) == (fixed, [list(row) for row in rows])


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "latency.json"
    table().save(path)
    assert read_latencies(path, space=SPACE, side=8) == table()
    assert read_latencies(path, space=SPACE).fingerprint == table().fingerprint
    assert table(seed=1).fingerprint != table().fingerprint


def _without(content: dict[str, Any]) -> None:
    del content["operators"]["edge_0_2"]["skip_connect"]


Change = Callable[[dict[str, Any]], Any]
CHANGES: list[tuple[Change, str]] = [
    (_without, "lacks the operator skip_connect of edge_0_2"),
    (lambda c: c["operators"].pop("edge_0_1"), "no latencies of edge_0_1"),
    (lambda c: c["operators"]["edge_0_1"].update(swish=1), "has the operator swish of edge_0_1"),
    (lambda c: c["operators"]["edge_0_1"].update(none=-1), "latency of none of edge_0_1 is -1"),
    (lambda c: c["operators"]["edge_0_1"].update(none=math.nan), "none of edge_0_1 is nan"),
    (lambda c: c["operators"]["edge_0_1"].update(none=math.inf), "none of edge_0_1 is inf"),
    (lambda c: c["operators"]["edge_0_1"].update(none="1"), "none of edge_0_1 is '1'"),
    (lambda c: c["operators"]["edge_0_1"].update(none=True), "none of edge_0_1 is True"),
    (lambda c: c.pop("fixed"), "latency of the fixed part is None"),
    (lambda c: c.update(operators=[]), "has no operators"),
    (lambda c: c.update(space="Mobile()"), r"latencies of Mobile\(\), and this is Small"),
    (lambda c: c.update(side=16), "at images of 16 pixels, and these have 8"),
    (lambda c: c.update(side=8.5), "side is 8.5; it must be a positive int"),
    (lambda c: c.update(batch=0), "batch is 0; it must be a positive int"),
    (lambda c: c.update(format="other"), "is no table of latencies"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_files_that_are_refused(change: Change, message: str, tmp_path: Path) -> None:
    path = tmp_path / "latency.json"
    content = json.loads(table().to_json())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message) as raised:
        read_latencies(path, space=SPACE, side=8)
    assert "\n" not in str(raised.value)


def test_what_is_no_table_at_all(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="there is no file"):
        read_latencies(tmp_path / "none.json", space=SPACE)
    (tmp_path / "text").write_bytes(b"\xff[")
    with pytest.raises(DataError, match="is no JSON"):
        read_latencies(tmp_path / "text", space=SPACE)
    (tmp_path / "deep").write_text("[" * 100_000)
    with pytest.raises(DataError, match="is no JSON"):
        read_latencies(tmp_path / "deep", space=SPACE)
    (tmp_path / "list").write_text("[1]")
    with pytest.raises(DataError, match="is no table of latencies"):
        read_latencies(tmp_path / "list", space=SPACE)
    table().save(tmp_path / "latency.json")
    with pytest.raises(DataError, match="and this is Mobile"):
        read_latencies(tmp_path / "latency.json", space=Mobile())


def test_terms_of_the_loss() -> None:
    known = table(fixed=5.0)
    loss, milliseconds = torch.tensor(2.0), torch.tensor(6.0, requires_grad=True)
    additive = LatencyTerm(known, 0.3, 4.0)
    assert float(additive(loss, milliseconds).detach()) == pytest.approx(2 + 0.3 * (6 / 4 - 1))
    assert additive.of(2.0, 6.0) == pytest.approx(2.15)
    (slope,) = torch.autograd.grad(additive(loss, milliseconds), milliseconds)
    assert float(slope) == pytest.approx(0.3 / 4)
    product = LatencyTerm(known, 0.6, 4.0, "multiplicative")
    ratio = math.log(6) / math.log(4)
    assert float(product(loss, milliseconds).detach()) == pytest.approx(2 * ratio**0.6)
    (slope,) = torch.autograd.grad(product(loss, milliseconds), milliseconds)
    assert float(slope) == pytest.approx(2 * 0.6 * ratio**-0.4 / (6 * math.log(4)))
    assert LatencyTerm(known).milliseconds == known.even()
    for term in (additive, product):  # at the reference the loss is what it was
        assert float(term(loss, torch.tensor(4.0))) == pytest.approx(2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"weight": -0.1}, "weight of latency is -0.1"),
        ({"weight": math.nan}, "weight of latency is nan"),
        ({"reference": 0.0}, "reference latency is 0.0 ms"),
        ({"reference": math.inf}, "reference latency is inf ms"),
        ({"form": "squared"}, "use 'additive' or 'multiplicative'"),
        ({"form": "multiplicative"}, "above 1 ms, and the least is"),
    ],
)
def test_terms_that_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LatencyTerm(table(scale=0.1), **settings)
