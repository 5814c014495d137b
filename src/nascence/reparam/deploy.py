"""What a folded network does after folding: compiled, as ONNX, in int8; each tried and reported."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from nascence.core.files import write_whole
from nascence.core.modes import evaluation_mode
from nascence.export import onnx_model
from nascence.graph import measure_latency
from nascence.onnx_session import onnx_session
from nascence.reparam.verification import first_line, relative_error


class Attempt(NamedTuple):
    """One form of the network, and how it compares with the network itself.

    Attributes:
        form: One of ``FORMS``.
        error: Relative error of its output, None if it failed.
        seconds: Median of a forward pass, None if it failed.
        failure: What failed, None if nothing did.
        limit: What the form is limited to, such as a batch size; None for no limit.
    """

    form: str
    error: float | None
    seconds: float | None
    failure: str | None
    limit: str | None = None

    def __str__(self) -> str:
        if self.failure is not None:
            return f"{self.form}: failed: {self.failure}"
        text = f"{self.form}: relative error {self.error:.1e}, {1e3 * (self.seconds or 0):.2f} ms"
        return text if self.limit is None else f"{text}; {self.limit}"


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

    The int8 form is static quantisation of the ONNX file, calibrated on ``inputs``, and needs
    that form before it. A form that fails is reported, not raised.

    Args:
        model: The network; its mode is put back.
        inputs: Example tensors ``(B, ...)``, one per argument.
        onnx: The ONNX file to keep; a temporary one if None. It takes any batch size where that
            can be exported, which the ``limit`` of the form tells.
        forms: Which of ``FORMS`` to try, in order.
        repeats: Timed forward passes of each.

    Raises:
        ValueError: If a form is unknown.
    """
    unknown = [form for form in forms if form not in FORMS]
    if unknown:
        raise ValueError(f"no form {unknown[0]!r}; there are {', '.join(FORMS)}")
    with evaluation_mode(model):
        truth = model(*inputs)
    with tempfile.TemporaryDirectory() as folder:
        path = onnx or Path(folder) / "model.onnx"
        limits: dict[str, str | None] = {}

        def exported() -> Callable[..., Any]:
            limits["onnx"] = export_onnx(model, inputs, path)
            return session(path)

        builders: dict[str, Callable[[], Callable[..., Any]]] = {
            "eager": lambda: model,
            "torch.compile": lambda: torch.compile(model),
            "onnx": exported,
            "onnx int8": lambda: quantised(path, inputs, Path(folder) / "int8.onnx"),
        }
        tried = [attempt(form, builders[form], inputs, truth, repeats) for form in forms]
        return [found._replace(limit=limits.get(found.form)) for found in tried]


def attempt(
    form: str,
    build: Callable[[], Callable[..., Any]],
    inputs: tuple[Tensor, ...],
    truth: Any,
    repeats: int,
) -> Attempt:
    """Build one form, compare its output with ``truth``, and time it.

    The inputs are of the shapes that the network takes. What fails is in the result, not raised.
    """
    try:
        run = build()
        with torch.no_grad():
            error = relative_error(run(*inputs), truth)
        seconds = measure_latency(Runner(run), *inputs, repeats=repeats, warmup=2).median
    except ImportError as missing:
        return Attempt(form, None, None, f"{missing.name} is missing; pip install {missing.name}")
    except Exception as reason:  # a compiler or exporter may fail in any way; that is the result
        line = f"{type(reason).__name__}: {first_line(reason)[:200]}"
        return Attempt(form, None, None, line)
    return Attempt(form, error, seconds, None)


class Runner(nn.Module):
    """Any callable as a module, for the clock."""

    def __init__(self, run: Callable[..., Any]) -> None:
        super().__init__()
        self.run = [run]  # a list, so that a module in it is not a child

    def forward(self, *inputs: Tensor) -> Any:
        """Whatever the callable makes of ``inputs``, of any shape."""
        return self.run[0](*inputs)


def export_onnx(model: nn.Module, inputs: tuple[Tensor, ...], path: Path) -> str | None:
    """Write ``model`` to ``path``, its weights inside the file, whole or not at all.

    Args:
        model: The network; its mode is put back.
        inputs: Example tensors ``(B, ...)``, one per argument.
        path: The file.

    Returns:
        None if the file takes any batch size, which is tried on another one, else a line that
        names the batch size of ``inputs`` as the only one, and says why.

    Raises:
        ValueError: If torch cannot export the network.
        WriteError: If the file cannot be written.
    """
    limit = None
    try:
        try:
            proto = any_batch_model(model, inputs)
        except ImportError:
            raise
        except Exception as reason:  # an exporter may fail in any way
            size = next((len(x) for x in inputs if x.dim()), 1)
            limit = f"it takes a batch size of {size} only: {first_line(reason)[:200]}"
            proto = onnx_model(model, inputs)
    except ImportError:
        raise
    except Exception as reason:
        raise ValueError(f"torch cannot export the network: {first_line(reason)}") from reason
    write_whole(path, proto.SerializeToString())
    return limit


def any_batch_model(model: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
    """``model`` as an ``onnx.ModelProto`` for any batch size, by example inputs ``(B, ...)``.

    Raises:
        ValueError: If it computes something else on another batch size than that of the export.
    """
    # a batch of one is taken for a constant, so it is exported on two
    two = tuple(torch.cat([x, x]) if len(x) == 1 else x for x in inputs)
    batch = torch.export.Dim("batch")
    proto = onnx_model(model, two, dynamic_shapes=tuple({0: batch} for _ in two))
    three = tuple(torch.cat([x, x, x])[:3] for x in inputs)
    with evaluation_mode(model):
        error = relative_error(session(proto.SerializeToString())(*three), model(*three))
    if not error < 1e-2:
        raise ValueError(f"on a batch of 3 its relative error is {error:.1e}")
    return proto


def session(source: Path | bytes) -> Callable[..., Any]:
    """The outputs of an ONNX file, or of its content, as a function of its inputs."""
    runner = onnx_session(source, threads=torch.get_num_threads())
    names = [value.name for value in runner.get_inputs()]

    def run(*inputs: Tensor) -> Any:
        arrays = {n: x.detach().numpy() for n, x in zip(names, inputs, strict=True)}
        outputs = [torch.from_numpy(value) for value in runner.run(None, arrays)]
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    return run


def quantised(path: Path, inputs: tuple[Tensor, ...], target: Path) -> Callable[..., Any]:
    """Static int8 quantisation of an ONNX file, per output channel, by inputs ``(B, ...)``."""
    import onnxruntime.quantization as quantization

    names = [value.name for value in onnx_session(path).get_inputs()]
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


def diagnose_int8(model: nn.Module, *inputs: Tensor, per_channel: bool = True) -> list[LayerError]:
    """Which convolutions and linear layers suffer in int8, the worst first.

    Each layer alone gets its weight rounded to 8 bits (symmetric, per output channel or per
    tensor) and, apart from that, its input (asymmetric, range of ``inputs``); the figures are the
    relative errors of the network's output. ``inputs`` are of the shapes that it takes, the batch
    first: ``(B, ...)``. ``model`` is not changed.
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
    """``weight``, ``(out, ...)``, on the grid of symmetric int8, of each ``out`` or of all."""
    peak = weight.abs().flatten(1).amax(1) if per_channel else weight.abs().max().expand(1)
    step = (peak / 127).clamp_min(torch.finfo(weight.dtype).tiny)
    step = step.reshape(-1, *([1] * (weight.dim() - 1)))
    return (weight / step).round() * step


def round_input(layer: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The first argument, of any shape, on the grid of asymmetric int8 over its own range."""
    x = args[0]
    low, high = x.min().clamp_max(0), x.max().clamp_min(0)
    step = ((high - low) / 255).clamp_min(torch.finfo(x.dtype).tiny)
    return ((x / step).round() * step, *args[1:])
