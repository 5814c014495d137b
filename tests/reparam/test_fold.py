"""Whole models: what folds, what is refused, and that the caller's model stays as it is."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.reparam import RepVGGBlock, count_kernels, fold, fold_with_report
from nascence.reparam import rules as rules_module
from nascence.reparam.operators import scale_output


def conv_norm(randomise, ins: int = 3, outs: int = 4, **settings) -> nn.Sequential:
    return randomise(nn.Sequential(nn.Conv2d(ins, outs, 3, **settings), nn.BatchNorm2d(outs)))


def batch_norms(model: nn.Module) -> int:
    return sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())


class Function(nn.Module):
    """A module from a function of its children."""

    def __init__(self, run, **children: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def test_the_model_is_copied_and_keeps_its_mode_and_values(randomise) -> None:
    model = conv_norm(randomise)
    before = copy.deepcopy(model.state_dict())
    x = torch.randn(1, 3, 6, 6)
    kept = x.clone()
    folded = fold(model, x)
    folded.get_submodule("0").weight.data.zero_()
    assert torch.equal(x, kept)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not folded.training


def test_train_mode_is_refused(randomise) -> None:
    model = conv_norm(randomise)
    with pytest.raises(ValueError, match=r"model is in train mode; call model\.eval"):
        fold(model.train(), torch.zeros(1, 3, 4, 4))
    model.eval()
    model[1].train()
    with pytest.raises(ValueError, match="its layer 1 is in train mode"):
        fold(model, torch.zeros(1, 3, 4, 4))


def test_verification_needs_an_example(randomise) -> None:
    model = conv_norm(randomise)
    with pytest.raises(ValueError, match="example input"):
        fold(model)
    assert batch_norms(fold(model, verify=False)) == 0
    with pytest.raises(ValueError, match="must be tensors"):
        fold(model, "image")
    with pytest.raises(ValueError, match=r"torch\.nn\.Module"):
        fold(F.relu, torch.zeros(1))


def test_batch_norm_without_running_statistics_stays_with_the_reason(randomise) -> None:
    norm = nn.BatchNorm2d(4, track_running_stats=False)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), norm).eval()
    folded, report = fold_with_report(model, torch.randn(2, 3, 4, 4), repeats=0)
    assert batch_norms(folded) == 1
    assert "no running statistics" in str(report)


def test_zero_variance_is_divided_by_epsilon_or_refused(randomise, distance) -> None:
    model = conv_norm(randomise)
    model[1].running_var.zero_()
    x = torch.randn(1, 3, 6, 6)
    assert distance(fold(model, x)(x), model(x)) < 1e-5
    model[1].eps = 0.0
    model[1].running_var.zero_()
    folded, report = fold_with_report(model, x, repeats=0)
    assert batch_norms(folded) == 1
    assert "variance plus epsilon is zero" in str(report)


def test_half_precision_on_a_cpu(randomise) -> None:
    model = nn.Sequential(conv_norm(randomise), nn.ReLU()).eval().half()
    x = torch.randn(1, 3, 6, 6).half()
    folded, report = fold_with_report(model, x, repeats=0)
    assert {value.dtype for value in folded.state_dict().values()} == {torch.float16}
    assert report.error < 1e-12


def test_weights_that_would_overflow_half_precision_stay(randomise) -> None:
    model = conv_norm(randomise)
    model[0].weight.data.fill_(100.0)
    model[1].running_var.fill_(1e-9)
    model[1].eps = 1e-10
    model[1].weight.data.fill_(1000.0)
    folded, _ = fold_with_report(model.half(), torch.ones(1, 3, 4, 4).half(), repeats=0)
    assert all(torch.isfinite(value).all() for value in folded.parameters())


def test_quantised_models_come_back_as_they_were() -> None:
    class quantized(nn.Linear):
        pass

    quantized.__module__ = "torch.ao.nn.quantized.modules"
    model = nn.Sequential(quantized(3, 3)).eval()
    folded, report = fold_with_report(model, torch.zeros(1, 3), repeats=0)
    assert type(folded[0]) is quantized
    assert "quantised already" in str(report)


def test_a_shared_layer_stays_shared_where_it_folds_alike(randomise, distance) -> None:
    block = conv_norm(randomise, 4, 4, padding=1)
    model = Function(lambda m, x: m.block(m.block(x).relu()), block=block).eval()
    x = torch.randn(1, 4, 6, 6)
    folded = fold(model, x)
    assert distance(folded(x), model(x)) < 1e-5
    assert len([m for m in folded.modules() if isinstance(m, nn.Conv2d)]) == 1
    other = randomise(nn.BatchNorm2d(4))
    model = Function(
        lambda m, x: m.conv(m.norm(m.conv(x)).relu()), conv=block[0], norm=other
    ).eval()
    folded = fold(model, x)
    assert distance(folded(x), model(x)) < 1e-5
    assert len([m for m in folded.modules() if isinstance(m, nn.Conv2d)]) == 2


def test_in_place_operations_keep_their_order(randomise, distance) -> None:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        y = m.a(x)
        z = m.b(y)
        y.mul_(0.5)
        return z + m.b(y) + F.relu(y, inplace=True) + y

    layers = {name: conv_norm(randomise, 4, 4, padding=1) for name in "ab"}
    model = Function(run, **layers).eval()
    x = torch.randn(1, 4, 6, 6)
    assert distance(fold(model, x)(x), model(x)) < 1e-5


def test_values_decide_the_path_and_what_is_certain_still_folds(randomise, distance) -> None:
    torch.manual_seed(0)
    model = Deciding().eval()
    randomise(model)
    x = torch.randn(2, 3, 6, 6)
    folded, report = fold_with_report(model, x, repeats=0)
    for example in (x, -x, x + 3):
        assert distance(folded(example), model(example)) < 1e-5
    assert batch_norms(folded) == 1
    assert "cannot be traced" in str(report)
    assert {rewrite.rule for rewrite in report.folded} >= {"pattern", "affine"}


class Deciding(nn.Module):
    """Control flow on values; conv1-norm1 and the body fold on any path, norm2 does not."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.norm1 = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 1)
        self.norm2 = nn.BatchNorm2d(4)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm1(self.conv1(x))
        x = self.conv2(x)
        if x.mean() > 0:
            x = self.norm2(x)
        return self.body(x)


def test_a_wrong_rewrite_is_found_and_undone(randomise, distance, monkeypatch) -> None:
    def wrong(convolution, affine):
        right = scale_output(convolution, affine)
        if convolution.out_channels == 5:
            right.weight.mul_(1.001)
        return right

    monkeypatch.setattr("nascence.reparam.absorption.scale_output", wrong)
    model = nn.Sequential(
        conv_norm(randomise, 3, 4), conv_norm(randomise, 4, 5), nn.ReLU(), conv_norm(randomise, 5)
    ).eval()
    x = torch.randn(2, 3, 12, 12)
    folded, report = fold_with_report(model, x, repeats=0)
    assert distance(folded(x), model(x)) < 1e-5
    assert "undone: the check failed" in str(report)
    assert report.after.batch_norms == 1
    assert rules_module.RULES


def test_every_linear_operator_between_two_nonlinearities(randomise, distance) -> None:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        left = F.avg_pool2d(m.a(x), 2)
        right = F.pad(x, (1, 1, 1, 1))
        y = m.norm(torch.cat([m.b(x) * 2, -m.c(x)], 1)) + 1
        return m.head(y.mean((2, 3))) + left.mean() + right.sum() * 0

    torch.manual_seed(1)
    model = Function(
        run,
        a=conv_norm(randomise),
        b=nn.Conv2d(3, 4, 3),
        c=nn.Conv2d(3, 4, 3),
        norm=randomise(nn.BatchNorm2d(8)),
        head=nn.Linear(8, 5),
    ).eval()
    x = torch.randn(2, 3, 10, 10)
    folded, report = fold_with_report(model, x, repeats=0)
    assert distance(folded(x), model(x)) < 1e-5
    assert report.after.batch_norms == 0
    assert "2 convolutions side by side" in str(report.folded)


def test_a_dearer_composition_is_refused_and_a_cheaper_one_done() -> None:
    x = torch.randn(1, 4, 12, 12)
    dear = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Conv2d(4, 4, 3)).eval()
    folded, report = fold_with_report(dear, x, repeats=0)
    assert "times the multiply-adds" in str(report)
    assert count_kernels(folded, x) == 2
    cheap = nn.Sequential(nn.Conv2d(4, 4, 3), nn.AvgPool2d(2)).eval()
    folded, report = fold_with_report(cheap, x, repeats=0)
    assert folded.get_submodule("0").kernel_size == (4, 4)
    assert report.after.macs < report.before.macs
    torch.testing.assert_close(folded(x), cheap(x))


def test_padding_by_a_constant_vanishes_between_two_convolutions(distance) -> None:
    first, second = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 3)
    first.bias.data.fill_(0.75)
    model = nn.Sequential(first, nn.ConstantPad2d(1, 0.75), second).eval()
    x = torch.randn(1, 3, 6, 6)
    folded = fold(model, x)
    assert distance(folded(x), model(x)) < 1e-5
    assert count_kernels(folded, x) == 1


def test_the_report_says_what_it_cost(randomise) -> None:
    model = nn.Sequential(randomise(RepVGGBlock(4, 4)), nn.LayerNorm(6)).eval()
    _, report = fold_with_report(model, torch.randn(2, 4, 6, 6), repeats=2)
    assert report.before.batch_norms == 3
    assert report.after.batch_norms == 0
    assert report.after.kernels == 2
    assert report.after.latency.median > 0
    assert report.after.macs == 2 * 4 * 4 * 9 * 36
    text = str(report)
    for line in ("1 LayerNorm", "latency", "kernels: ", "relative error", "branches"):
        assert line in text


def test_arguments_with_defaults_and_other_sizes(randomise, distance) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = RepVGGBlock(3, 4, stride=2)

        def forward(self, x: Tensor, features: bool = False) -> Tensor:
            return self.block(x) if features else self.block(x).flatten(1)

    model = randomise(Model())
    folded = fold(model, torch.randn(1, 3, 8, 8))
    x = torch.randn(3, 3, 11, 9)
    assert distance(folded(x), model(x)) < 1e-5


@pytest.mark.parametrize("verify", [True, False])
def test_arithmetic_on_sizes_is_left_alone(randomise, distance, verify) -> None:
    def run(m: nn.Module, x: Tensor) -> Tensor:
        y = m.block(x)
        size = y.shape[2] * 2 - 1 + 1
        return y.reshape(y.shape[0], -1, size // 2).mul(1.5).div(3)

    model = Function(run, block=conv_norm(randomise)).eval()
    x = torch.randn(2, 3, 7, 9)
    folded = fold(model, x) if verify else fold(model, verify=False)
    assert distance(folded(x), model(x)) < 1e-5
    assert batch_norms(folded) == 0


def test_values_kept_by_a_forward_do_not_leak_into_the_fold(randomise, distance) -> None:
    class Caching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = conv_norm(randomise, 3, 4)
            self.resolution = 4
            self.kept: dict[str, Tensor] = {}

        def forward(self, x: Tensor) -> Tensor:
            if x.mean() > 100:
                return x
            self.kept.setdefault("bias", self.block[0].bias[:, None, None] * 2)
            return self.block(x) + self.kept["bias"]

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = Caching(), conv_norm(randomise, 4, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.two(self.one(x)) * self.one.resolution

    model = Outer().eval()
    x = torch.randn(2, 3, 7, 9)
    folded, report = fold_with_report(model, x, repeats=0)
    assert distance(folded(x), model(x)) < 1e-5
    assert report.after.batch_norms <= 1


def test_a_standardised_weight_is_computed_once(distance) -> None:
    class Standardised(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            flat = self.weight.reshape(1, self.out_channels, -1)
            weight = F.batch_norm(flat, None, None, training=True).reshape(self.weight.shape)
            return F.conv2d(x, weight, self.bias, self.stride, self.padding)

    model = nn.Sequential(Standardised(3, 4, 3), nn.ReLU()).eval()
    x = torch.randn(1, 3, 6, 6)
    folded, report = fold_with_report(model, x, repeats=0)
    assert distance(folded(x), model(x)) < 1e-5
    assert report.folded[0].rule == "weight"
    assert count_kernels(folded, x) == 2
    assert not fold_with_report(folded, x, repeats=0)[1].folded


def test_an_input_that_does_not_fit_is_one_line(randomise) -> None:
    with pytest.raises(ValueError, match=r"does not run on the example input of shape \(1, 5"):
        fold(conv_norm(randomise), torch.zeros(1, 5, 6, 6))


def test_a_model_that_counts_its_calls_is_left_as_it_was(randomise) -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return self.body(x)

    model = randomise(Counting())
    _, report = fold_with_report(model, torch.randn(1, 3, 8, 8), repeats=1)
    assert report.after.batch_norms == 0
    assert model.calls == 0
