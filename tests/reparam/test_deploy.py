"""Folded networks in ONNX and int8, and forms that fail."""

import warnings

import pytest
import torch
from torch import nn

from nascence.reparam import RepVGGBlock, diagnose_int8, fold, try_forms
from nascence.reparam.deploy import export_onnx, rounded_weight, session

UNCOMPILED = ("eager", "onnx", "onnx int8")


def folded_network(randomise) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    layers = [RepVGGBlock(3, 8), nn.ReLU(), RepVGGBlock(8, 8), nn.ReLU(), nn.Conv2d(8, 4, 1)]
    x = torch.randn(1, 3, 8, 8)
    return fold(randomise(nn.Sequential(*layers)), x), x


def test_onnx_agrees_and_int8_is_measured(randomise, tmp_path) -> None:
    model, x = folded_network(randomise)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own
        forms = {
            form.form: form for form in try_forms(model, x, onnx=tmp_path / "n.onnx", repeats=2)
        }
    assert list(forms) == ["eager", "torch.compile", "onnx", "onnx int8"]
    assert forms["onnx"].failure is None
    assert forms["onnx"].error < 1e-5
    assert (tmp_path / "n.onnx").stat().st_size > 0
    assert forms["onnx int8"].failure is None
    assert forms["onnx"].error < forms["onnx int8"].error < 0.2
    assert "relative error" in str(forms["onnx"])


def test_a_failing_form_is_reported(randomise) -> None:
    class Failing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            if self.calls > 1:
                raise RuntimeError("no second pass\nmore")
            return x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forms = try_forms(Failing(), torch.zeros(1), forms=["eager"], repeats=1)
    assert forms[0].failure == "RuntimeError: no second pass"
    assert "failed" in str(forms[0])


def test_the_layer_with_an_outlier_suffers_most(randomise) -> None:
    model, x = folded_network(randomise)
    layers = [name for name, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    model.get_submodule(layers[1]).weight.data[0, 0, 0, 0] = 300.0
    x = x * 0 + 1e-3 * torch.randn(x.shape)
    before = model(x)
    found = diagnose_int8(model, x, per_channel=False)
    assert max(found, key=lambda item: item.weight).layer == layers[1]
    assert torch.equal(model(x), before)
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_rounding_keeps_the_grid_and_the_peak() -> None:
    weight = torch.randn(4, 3, 3, 3)
    rounded = rounded_weight(weight, per_channel=True)
    step = weight.abs().flatten(1).amax(1) / 127
    levels = rounded.flatten(1) / step[:, None]
    torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
    assert float((rounded - weight).abs().flatten(1).amax(1).div(step).max()) <= 0.5001


def test_unknown_forms_are_named() -> None:
    with pytest.raises(ValueError, match="no form 'tensorrt'"):
        try_forms(nn.Identity(), torch.zeros(1), forms=["tensorrt"])


def test_the_onnx_file_takes_any_batch_or_says_which(randomise, tmp_path) -> None:
    model, x = folded_network(randomise)
    assert export_onnx(model, (x,), tmp_path / "any.onnx") is None
    five = torch.randn(5, 3, 8, 8)
    torch.testing.assert_close(session(tmp_path / "any.onnx")(five), model(five))

    class Fixed(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.reshape(2, -1) * 2

    limit = export_onnx(Fixed(), (torch.randn(2, 3),), tmp_path / "fixed.onnx")
    assert limit is not None
    assert limit.startswith("it takes a batch size of 2 only: ")


def test_what_cannot_be_exported_is_a_value_error(tmp_path) -> None:
    class Unwritable(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.lstsq(x, x).solution

    with pytest.raises(ValueError, match="torch cannot export"):
        export_onnx(Unwritable(), (torch.randn(3, 3),), tmp_path / "n.onnx")
    assert not (tmp_path / "n.onnx").exists()
