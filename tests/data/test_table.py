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
    nb201_latencies,
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
    seconds = []
    for _ in range(5):
        started = time.process_time()
        nb201()
        seconds.append(time.process_time() - started)
    assert min(seconds) < 0.1


def test_architectures_stand_in_the_order_of_rows() -> None:
    for table in (nb201(), nats_size(), nasbench_macro()):
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


def test_what_a_table_lacks_is_named() -> None:
    with pytest.raises(DataError, match="no data set 'mnist'; it has cifar10, cifar100, imagenet"):
        nb201().accuracies("mnist")
    with pytest.raises(DataError, match=r"no accuracy 'train' on cifar100; it has test, valid"):
        nb201().accuracies("cifar100", "train")
    with pytest.raises(DataError, match="no column 'latency/raspi4'"):
        nb201().column("latency/raspi4")
    with pytest.raises(DataError, match=r"column 'x' has the shape \(3,\)"):
        nb201().joined({"x": np.zeros(3)})


def test_latencies_are_put_in_the_order_of_the_table(tmp_path: Path) -> None:
    path = tmp_path / "latency.csv"
    lines = [f"{number},{number / 8},1" for number in reversed(range(15_625))]
    path.write_text("idx,phone,fpga\n" + "\n".join(lines) + "\n")
    table = nb201().joined(nb201_latencies(path))
    assert np.array_equal(table.column("latency/phone"), table.column("number") / 8)
    path.write_text("idx,phone\n0,1\n")
    with pytest.raises(DataError, match="has 1 rows; it must have one for each number"):
        nb201_latencies(path)


ACCEL = (
    "arch_eklse,val_top1,val_top5,macs,params,latency_zcu102,latency_vck190,throughput_a100,"
    "throughput_3090,throughput_tpuv2,throughput_tpuv3,throughput_zcu102,throughput_vck190\n"
)
ACCEL_ARCHITECTURE = "6310-4520-6330-6530-6520-1341-1320"


def test_a_table_of_a_part_of_its_space(tmp_path: Path) -> None:
    path = tmp_path / "accel.csv"
    path.write_text(
        ACCEL + f"{ACCEL_ARCHITECTURE},59,82,415,2.5,5,3,1,2,3,4,5,6\n"
        f"{ACCEL_ARCHITECTURE},61,82,415,2.5,5,,1,2,3,4,5,6\n"
    )
    table = accel_nasbench(path)
    architecture = tuple(table.architectures()[0])
    assert len(table) == 1
    assert architecture[:4] == (2, 0, 0, 0)
    assert architecture[20:24] == (0, 0, 3, 1)
    assert table.accuracies("imagenet", "proxy-top1")[table.row(architecture)] == 60
    assert table.column("parameters")[0] == 2.5e6
    assert np.isnan(table.column("latency/vck190")[0])
    with pytest.raises(DataError, match=r"holds 1 of [\d,]+ architectures"):
        table.row((0,) * 28)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "lacks the columns arch_eklse"),
        ("arch_eklse,val_top1\na\n", "has 1 cells in line 2"),
        (ACCEL + "7310-4520-6330-6530-6520-1320-1320" + ",1" * 12 + "\n", "which is none"),
        (ACCEL + ACCEL_ARCHITECTURE + ",x" * 12 + "\n", "holds what is no number"),
    ],
)
def test_a_file_of_another_kind_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "accel.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        accel_nasbench(path)


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match="no table at"):
        read_table(tmp_path / "none.npz")
    path = tmp_path / "table.npz"
    whole = (files("nascence.data") / "tables" / "nats-size.npz").read_bytes()
    for content in (b"", b"text", whole[:1000], whole[:-50], whole[:500] + whole[600:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not a table"):
            read_table(path)
    np.savez(path, facts=np.frombuffer(b'{"name": 1}', np.uint8))
    with pytest.raises(DataError, match="is not a table"):
        read_table(path)
    np.savez(path, facts=np.array([{"an": "object"}], dtype=object))
    with pytest.raises(DataError, match="is not a table"):
        read_table(path)
