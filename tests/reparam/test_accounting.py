"""Kernels, norms and costs counted on small networks."""

import torch
from torch import nn

from nascence.reparam import FoldReport, Rewrite, count_kernels, count_norms
from nascence.reparam.accounting import Refusal, cost_of, is_quantised, norms_left
from nascence.reparam.channel_scale import ChannelScale


def test_kernels_are_what_computes_and_not_views() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 2)
    ).eval()
    x = torch.randn(1, 3, 4, 4)
    assert count_kernels(model, x) == 4
    assert count_norms(model, x) == 1


def test_a_scale_that_is_left_counts_as_a_norm() -> None:
    model = nn.Sequential(ChannelScale(torch.ones(3), torch.zeros(3), 2), nn.ReLU())
    assert count_norms(model, torch.zeros(1, 3, 2, 2)) == 1


def test_a_norm_called_twice_runs_twice() -> None:
    norm = nn.BatchNorm2d(3)
    assert count_norms(nn.Sequential(norm, nn.ReLU(), norm), torch.zeros(1, 3, 2, 2)) == 2


def test_cost_without_inputs_is_the_parameters() -> None:
    cost = cost_of(nn.Linear(3, 2), (), 0)
    assert cost.parameters == 8
    assert cost.macs is None
    assert cost_of(nn.Linear(3, 2), (torch.zeros(5, 3),), 0).macs == 30


def test_the_report_reads_as_lines() -> None:
    cost = cost_of(nn.Linear(3, 2), (torch.zeros(1, 3),), 1)
    rewrites = (Rewrite("affine", "b", "into a"), Rewrite("affine", "d", "into c"))
    report = FoldReport(rewrites, (Refusal("e", "no reason"),), ("a note",), cost, cost, 1e-16)
    lines = str(report).splitlines()
    assert lines[0] == "folded: 2 affine"
    assert "macs: 6 -> 6" in lines
    assert "left: e: no reason" in lines
    assert "note: a note" in lines


def test_norms_that_never_fold_and_formats_that_are_not_touched() -> None:
    model = nn.Sequential(nn.LayerNorm(2), nn.LayerNorm(2), nn.GroupNorm(1, 2))
    assert [refusal.where for refusal in norms_left(model)] == ["2 LayerNorm", "1 GroupNorm"]
    assert not is_quantised(model)
