"""What a folded network does after folding: compiled, as ONNX, in int8; each tried and reported."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nascence.core.modes import evaluation_mode
from nascence.export import onnx_model
from nascence.graph import measure_latency
from nascence.params import write_whole
from nascence.reparam.verification import relative_error


class Attempt(NamedTuple):
    """One form of the network: relative error against it and median seconds, or what failed."""

    form: str
    error: float | None
    seconds: float | None
    failure: str | None

    def __str__(self) -> str:
        if self.failure is not None:
            return f"{self.form}: failed: {self.failure}"
        return f"{self.form}: relative error {self.error:.1e}, {1e3 * (self.seconds or 0):.2f} ms"


class LayerError(NamedTuple):
    """Relative error of the network's output with one layer alone in int8."""

    layer: str
    weight: float
    activation: float


FORMS = ("eager", "torch.compile", "onnx", "onnx int8")


def try_forms(
    model: nn.Module,
    *inputs: Tensor,
    onnx: Path | None = None,
    forms: Sequence[str] = FORMS,
    repeats: int = 10,
) -> list[Attempt]:
    """Try the network as it is, compiled, in ONNX Runtime, and there in int8.

    ``onnx`` is where the ONNX file is kept, a temporary file without it. The int8 form is static
    quantisation of the ONNX file, calibrated on ``inputs``, and needs that form before it. A
    form that fails is reported, not raised; ValueError names an unknown form.
    """
    unknown = [form for form in forms if form not in FORMS]
    if unknown:
        raise ValueError(f"no form {unknown[0]!r}; there are {', '.join(FORMS)}")
    with evaluation_mode(model):
        truth = model(*inputs)
    with tempfile.TemporaryDirectory() as folder:
        path = onnx or Path(folder) / "model.onnx"
        builders: dict[str, Callable[[], Callable[..., Any]]] = {
            "eager": lambda: model,
            "torch.compile": lambda: compiled(model),
            "onnx": lambda: exported(model, inputs, path),
            "onnx int8": lambda: quantised(path, inputs, Path(folder) / "int8.onnx"),
        }
        return [attempt(form, builders[form], inputs, truth, repeats) for form in forms]


def attempt(
    form: str,
    build: Callable[[], Callable[..., Any]],
    inputs: tuple[Tensor, ...],
    truth: Any,
    repeats: int,
) -> Attempt:
    """Build one form, compare its output, and time it."""
    try:
        run = build()
        with torch.no_grad():
            error = relative_error(run(*inputs), truth)
        seconds = measure_latency(Runner(run), *inputs, repeats=repeats, warmup=2).median
    except ImportError as missing:
        return Attempt(form, None, None, f"{missing.name} is missing; pip install {missing.name}")
    except Exception as reason:  # a compiler or exporter may fail in any way; that is the result
        line = (str(reason) or type(reason).__name__).strip().splitlines()[0]
        return Attempt(form, None, None, f"{type(reason).__name__}: {line[:200]}")
    return Attempt(form, error, seconds, None)


class Runner(nn.Module):
    """Any callable as a module, for the clock."""

    def __init__(self, run: Callable[..., Any]) -> None:
        super().__init__()
        self.run = [run]  # a list, so that a module in it is not a child

    def forward(self, *inputs: Tensor) -> Any:
        return self.run[0](*inputs)


def compiled(model: nn.Module) -> Callable[..., Any]:
    """The network through ``torch.compile``."""
    result: Callable[..., Any] = torch.compile(model)
    return result


def exported(model: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> Callable[..., Any]:
    """Write ``model`` to ``path`` as ONNX and run it in ONNX Runtime."""
    export_onnx(model, inputs, path)
    return session(path)


def export_onnx(model: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> None:
    """Write ``model`` to ``path``, its weights inside the file, whole or not at all."""
    write_whole(path, onnx_model(model, inputs).SerializeToString())


def session(path: Path) -> Callable[..., Any]:
    """The outputs of an ONNX file as a function of its inputs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    runner = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [value.name for value in runner.get_inputs()]

    def run(*inputs: Tensor) -> Any:
        arrays = {n: x.detach().numpy() for n, x in zip(names, inputs, strict=True)}
        outputs = [torch.from_numpy(value) for value in runner.run(None, arrays)]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    return run


def quantised(path: Path, inputs: tuple[Tensor, ...], target: Path) -> Callable[..., Any]:
    """Static int8 quantisation of an ONNX file, per output channel, calibrated on ``inputs``."""
    import onnxruntime.quantization as quantization

    names = [value.name for value in _inputs_of(path)]
    batch = {n: x.detach().numpy() for n, x in zip(names, inputs, strict=True)}

    class Calibration(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.rest = [batch]

        def get_next(self) -> Any:
            return self.rest.pop() if self.rest else None

    quantization.quantize_static(
        str(path),
        str(target),
        Calibration(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
    )
    return session(target)


def _inputs_of(path: Path) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_inputs()


def diagnose_int8(model: nn.Module, *inputs: Tensor, per_channel: bool = True) -> list[LayerError]:
    """Which convolutions and linear layers suffer in int8, the worst first.

    Each layer alone gets its weight rounded to 8 bits (symmetric, per output channel or per
    tensor) and, apart from that, its input (asymmetric, range of ``inputs``); the figures are the
    relative errors of the network's output. ``model`` is not changed.
    """
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear))
    }
    found = []
    with evaluation_mode(model):
        truth = model(*inputs)
        for name, layer in layers.items():
            original = layer.weight.data
            layer.weight.data = rounded_weight(original, per_channel=per_channel)
            try:
                weight = relative_error(model(*inputs), truth)
            finally:
                layer.weight.data = original
            handle = layer.register_forward_pre_hook(round_input)
            try:
                activation = relative_error(model(*inputs), truth)
            finally:
                handle.remove()
            found.append(LayerError(name, weight, activation))
    return sorted(found, key=lambda item: -max(item.weight, item.activation))


def rounded_weight(weight: Tensor, *, per_channel: bool) -> Tensor:
    """``weight`` on the grid of symmetric int8."""
    peak = weight.abs().flatten(1).amax(1) if per_channel else weight.abs().max().expand(1)
    step = (peak / 127).clamp_min(torch.finfo(weight.dtype).tiny)
    step = step.reshape(-1, *([1] * (weight.dim() - 1)))
    return (weight / step).round() * step


def round_input(layer: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The first argument on the grid of asymmetric int8 over its own range."""
    x = args[0]
    low, high = x.min().clamp_max(0), x.max().clamp_min(0)
    step = ((high - low) / 255).clamp_min(torch.finfo(x.dtype).tiny)
    return ((x / step).round() * step, *args[1:])
