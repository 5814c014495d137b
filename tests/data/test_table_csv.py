"""Tables as published, and the one of a part of a space that comes with the package."""

from pathlib import Path

import numpy as np
import pytest

from nascence.data import DataError, accel_nasbench, nb201, nb201_latencies


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
        (
            ACCEL + "7310-4520-6330-6530-6520-1320-1320" + ",1" * 12 + "\n",
            "is not an architecture",
        ),
        (ACCEL + ACCEL_ARCHITECTURE + ",x" * 12 + "\n", "holds what is no number"),
    ],
)
def test_a_file_of_another_kind_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "accel.csv"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        accel_nasbench(path)


def test_accel_nasbench_comes_with_the_package() -> None:
    """A row as published, the best, and what was not measured."""
    table = accel_nasbench()
    assert len(table) == len(set(map(tuple, table.architectures().tolist()))) == 5_123
    choices = [[str(choice) for choice in choices] for _, choices in table.decisions]
    digits = "1510-1331-1531-4531-4320-4320-6520".replace("-", "")
    row = table.row([names.index(digit) for names, digit in zip(choices, digits, strict=True)])
    published = {
        "imagenet/proxy-top1": 61.158,
        "imagenet/proxy-top5": 83.634,
        "flops": 259_616_552,
        "parameters": 4_411_716,
        "latency/zcu102": 3.766,
        "latency/vck190": 2.561,
        "throughput-a100": 18867.666,
        "throughput-tpuv3": 1573.364,
    }
    for name, value in published.items():
        assert table.column(name)[row] == pytest.approx(value, rel=1e-12)
    assert table.column("imagenet/proxy-top1").max() == 67.052
    missing = {name: int(np.isnan(values).sum()) for name, values in table.columns.items()}
    assert {name: count for name, count in missing.items() if count} == {
        "throughput-3090": 3,
        "throughput-tpuv2": 37,
        "throughput-tpuv3": 44,
    }
