"""The pages of a comparison of optimizers: what they draw, and that they load nothing."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from nascence.optim.compare.probe import Probe
from nascence.optim.compare.standings import ALL, Standing
from nascence.report.optimizer_page import (
    box_figure,
    probe_figure,
    probe_rows,
    write_comparison,
    write_probe,
)


def standing(name: str, trials: int, group: str, *losses: float) -> Standing:
    ordered = sorted(losses)
    middle = ordered[len(losses) // 2]
    mean = sum(losses) / len(losses)
    return Standing(
        *(name, trials, group, losses, mean, middle, ordered[0], ordered[-1], (middle,)),
        0.125,
        {"mlp": middle},
    )


STANDINGS = [
    standing("<b>mine</b>", 1, ALL, 0.1, -0.2, 1.0),
    standing("Adam8p", 10, ALL, 0.3, 0.2, 0.25),
    standing("<b>mine</b>", 1, "seen tasks", 0.1, -0.2, 1.0),
    standing("Adam8p", 10, "seen tasks", 0.3, 0.2, 0.25),
]
PATH = torch.tensor([[[2.0, 1.0], [1.6, 1.4], [1.5, 1.5]], [[2.0, -1.0], [1.0, 0.0], [0.1, 0.1]]])
PROBES = {"Adam": Probe(PATH)}


def page_of(path: Path) -> tuple[str, dict[str, Any]]:
    page = path.read_text()
    found = re.search(r'id="figures">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return page, json.loads(found.group(1))


def test_each_optimizer_is_a_box_of_its_losses() -> None:
    mine, adam = box_figure(STANDINGS[:2])["data"]
    assert mine["type"] == "box"
    assert mine["x"] == [0.1, -0.2, 1.0]
    assert mine["name"] == "&lt;b&gt;mine&lt;/b&gt;"
    assert adam["name"] == "Adam8p, best of 10"
    assert mine["line"]["color"] != adam["line"]["color"]


def test_trajectories_end_where_they_end() -> None:
    valley, line, ends = probe_figure(PROBES)["data"]
    assert valley["x"] == valley["y"] == [-2.0, 2.0]
    assert line["x"] == pytest.approx([2.0, 1.6, 1.5, None, 2.0, 1.0, 0.1, None])
    assert ends["y"] == pytest.approx([1.5, 0.1])
    # distances 0 and 0; 3 / 3 = 1 and 0.2 / 1 = 0.2 of the way out
    assert probe_rows(PROBES) == [("Adam", "0", "0.600")]


def test_a_long_trajectory_is_thinned_and_keeps_its_end() -> None:
    path = torch.stack([torch.linspace(0, 1, 5001)] * 2, 1)[None]
    line = probe_figure({"a": Probe(path)})["data"][1]
    assert len(line["x"]) <= 203
    assert line["x"][-2:] == [1.0, None]


def test_the_page_of_a_comparison_holds_everything_and_escapes(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_comparison(STANDINGS, path, facts=("<i>9</i> tasks",))
    page, figures = page_of(path)
    outside = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r'(src|href)="(?!#)', outside)
    assert "<b>mine" not in page
    assert "<i>9" not in page
    assert "default-src &#39;none&#39;" in page
    assert set(figures) == {"group0", "group1"}
    for name in figures:
        assert f'id="chart-{name}"' in page
    for cell in ("0.300", "-0.200 to 1.000", "12.5", "Adam8p, best of 10", "Seen tasks", "mlp"):
        assert cell in outside
    assert [item.name for item in tmp_path.iterdir()] == ["report.html"]


def test_the_page_of_the_probe(tmp_path: Path) -> None:
    write_probe(PROBES, tmp_path / "probe.html", facts=("2 steps",))
    page, figures = page_of(tmp_path / "probe.html")
    assert set(figures) == {"probe"}
    assert "0.600" in page


def test_what_is_not_a_number_is_left_out() -> None:
    path = torch.tensor([[[1.0, 0.0], [math.nan, math.inf]]])
    line = probe_figure({"a": Probe(path)})["data"][1]
    assert line["x"] == [1.0, None, None]
    assert line["y"] == [0.0, None, None]
