"""Tables: what the published benchmarks say, and what is refused."""

import time
from collections import defaultdict
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from nascence.data import (
    DataError,
    MissingDataError,
    accel_nasbench,
    nasbench_macro,
    nats_size,
    nb201,
    read_table,
)
from nascence.spaces import NB201


def test_nb201_is_the_published_table() -> None:
    """Maxima, the optimum and the all-skip cell, as NAS-Bench-201 and DARTS on it report them."""
    table, space = nb201(), NB201()
    assert len(table) == space.size == 15_625
    assert [round(table.accuracies(data).max(), 2) for data in (
        "cifar10", "cifar100", "imagenet16-120")] == [94.37, 73.51, 47.31]  # fmt: skip
    skips = table.row(space.parse(
        "|skip_connect~0|+|skip_connect~0|skip_connect~1|"
        "+|skip_connect~0|skip_connect~1|skip_connect~2|"
    ))  # fmt: skip
    assert table.columns["cifar10/test"][skips] == pytest.approx(54.30, abs=0.005)
    first = space.parse(
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|"
        "+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    )
    assert table.columns["number"][table.row(first)] == 0
    assert table.columns["cifar10/test"][table.row(first)] == 85.8633
    assert sorted(table.columns["number"]) == list(range(15_625))


def test_costs_of_nb201_are_those_of_the_space() -> None:
    table, space = nb201(), NB201(prune=False)
    for row, architecture in list(enumerate(space))[::97]:
        assert table.row(architecture) == row == space.index(architecture)
        assert table.columns["parameters"][row] == space.parameters(architecture)
        assert table.columns["flops"][row] == space.macs(architecture) + space.classes


def test_classes_of_nb201_are_those_of_the_space() -> None:
    """The published classes and those of canonical forms are one partition: 6,466 of them."""
    table, space = nb201(), NB201()
    classes = defaultdict(set)
    for row, architecture in enumerate(space):
        classes[space.canonical(architecture)].add(int(table.columns["class"][row]))
    assert len(classes) == 6_466
    assert all(len(numbers) == 1 for numbers in classes.values())


def test_tables_are_small_and_quick() -> None:
    folder = files("nascence.data") / "tables"
    sizes = {item.name: len(item.read_bytes()) for item in folder.iterdir()}
    assert sizes["nb201.npz"] < 1_500_000
    assert sum(sizes.values()) < 700_000
    seconds = []
    for _ in range(5):
        started = time.process_time()
        nb201()
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.1


def test_architectures_stand_in_the_order_of_rows() -> None:
    for table in (nb201(), nats_size(), nasbench_macro(), accel_nasbench()):
        architectures = table.architectures()
        assert len(architectures) == len(table)
        for row in (0, 1, 17, len(table) - 1):
            assert table.row(architectures[row].tolist()) == row


def test_size_space_and_macro_are_the_published_ones() -> None:
    sizes, macro = nats_size(), nasbench_macro()
    assert len(sizes) == 32_768
    assert sizes.columns["cifar10/test"].max() == 93.65
    assert sizes.columns["cifar10/test"][sizes.row((0, 0, 0, 0, 0))] == 79.79
    assert len(macro) == 6_561
    best = int(macro.columns["cifar10/test"].argmax())
    assert macro.row([int(digit) for digit in "22212202"]) == best
    assert macro.columns["cifar10/test"][best] == pytest.approx(93.13, abs=0.005)
    seeds = np.mean([macro.columns[f"cifar10/test-{seed}"] for seed in range(3)], axis=0)
    assert np.abs(seeds - macro.columns["cifar10/test"]).max() < 1e-4


@pytest.mark.parametrize("wrong", [(0,) * 5, (0,) * 7, (5, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, -1)])
def test_indices_out_of_range_are_refused(wrong: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="is not an architecture of NAS-Bench-201"):
        nb201().row(wrong)


def test_accuracies_have_defaults() -> None:
    table = nb201()
    assert table.accuracy_name() == "cifar10/test"
    assert table.accuracy_name("cifar100") == "cifar100/test"
    assert table.accuracy_name("", "test-12") == "cifar10/test-12"
    assert accel_nasbench().accuracy_name() == "imagenet/proxy-top1"
    assert accel_nasbench().accuracies("imagenet").max() == 67.052


def test_what_a_table_lacks_is_named() -> None:
    with pytest.raises(DataError, match="no data set 'mnist'; it has cifar10, cifar100, imagenet"):
        nb201().accuracies("mnist")
    with pytest.raises(DataError, match=r"no accuracy 'train' on cifar100; it has test, valid"):
        nb201().accuracies("cifar100", "train")
    with pytest.raises(DataError, match="no data set 'cifar10'; it has imagenet"):
        accel_nasbench().accuracies("cifar10")
    with pytest.raises(DataError, match="no column 'latency/raspi4'"):
        nb201().column("latency/raspi4")
    with pytest.raises(DataError, match=r"column 'x' has the shape \(3,\)"):
        nb201().joined({"x": np.zeros(3)})


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no table at"):
        read_table(tmp_path / "none.npz")
    path = tmp_path / "table.npz"
    whole = (files("nascence.data") / "tables" / "nats-size.npz").read_bytes()
    for content in (b"", b"text", whole[:1000], whole[:-50], whole[:500] + whole[600:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not a table"):
            read_table(path)
    facts = b'{"name": "a", "credit": "b", "decisions": [["c", [1, 2]]], "columns": {"d": 0}}'
    for rows, message in (
        ([[0], [1]], r"must have 2 rows each"),
        ([[0], [1], [1]], "an architecture stands in it twice"),
        ([[0], [1], [2]], "a choice that its decision lacks"),
        ([0, 1, 1], "architectures are not of its decisions"),
    ):
        columns = {"0": np.arange(3), "rows": np.array(rows)}
        np.savez(path, facts=np.frombuffer(facts, np.uint8), **columns)
        with pytest.raises(DataError, match=message):
            read_table(path)
    np.savez(path, facts=np.frombuffer(b'{"name": 1}', np.uint8))
    with pytest.raises(DataError, match="is not a table"):
        read_table(path)
    np.savez(path, facts=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(DataError, match="is not a table"):
        read_table(path)
