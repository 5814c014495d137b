from pathlib import Path

import pytest
from nascence.cli.given import Given, budget_of, decisions_of, limit_of

GIVEN = Given(Path("runs/one"), "nb201", "darts", "photos", steps=5, seed=0, workers=1)


def test_what_is_not_taken_is_named_with_what_is() -> None:
    GIVEN.take()  # nothing beyond what all take was given
    given = Given(
        Path("runs/one"), "nb201", "darts", "photos", 5, 0, 1, split=("edge_0_1",), cells=2
    )
    given.take("split", "cells")
    with pytest.raises(ValueError, match=r"--cells is not for darts, .* and --split$"):
        given.take("split")


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("budget as a number", {"trials": 0}),
        ("latency-weight", {"latency_weight": 0.0}),
        ("width", {"width": 0}),
        ("images", {"images": 0}),
        ("stop-at-skips", {"stop_at_skips": 0}),
        ("cost", {"costs": ("macs",)}),
        ("limit", {"limits": (("macs", 1.0),)}),
        ("shared", {"shared": True}),
        ("evaluator", {"evaluator": "train"}),
        ("table", {"table": "cifar10/test"}),
        ("latencies", {"latencies": Path("file")}),
    ],
)
def test_every_option_is_seen_also_where_it_is_zero(name: str, setting: dict[str, object]) -> None:
    given = Given(Path("a"), "nb201", "darts", "photos", 5, 0, 1, **setting)  # type: ignore[arg-type]
    given.take(name)
    with pytest.raises(ValueError, match=f"--{name} is not for darts"):
        given.take("split")


def test_sizes_are_whole_numbers_where_they_can_be() -> None:
    given = Given(Path("a"), "mobile", "random", "photos", 5, 0, 1, width=0.25, cells=3)
    assert given.sizes == (("width", 0.25), ("cells", 3))
    (_, width), *_ = Given(Path("a"), "nb201", "random", "photos", 5, 0, 1, width=8.0).sizes
    assert isinstance(width, int)
    assert GIVEN.sizes == ()


def test_budgets_limits_and_decisions_are_read() -> None:
    assert budget_of("") == (None, None)
    assert budget_of("20") == (20, None)
    assert budget_of("2m") == (None, 120.0)
    assert limit_of("latency/pixel3=4e1") == ("latency/pixel3", 40.0)
    assert decisions_of("a, b") == ("a", "b")
    assert decisions_of("") == ()
    for read, text, message in (
        (budget_of, "0", "at least 1 architecture"),
        (limit_of, "macs", "give a cost and a positive number"),
        (limit_of, "macs=-1", "give a cost and a positive number"),
        (limit_of, "macs=nan", "give a cost and a positive number"),
        (decisions_of, "a,,b", "give decisions as"),
    ):
        with pytest.raises(ValueError, match=message):
            read(text)
