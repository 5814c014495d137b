"""Files that outlive the project: safetensors and ONNX, checked against torch on real images."""

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nascence.core.files import write_whole
from nascence.core.modes import evaluation_mode
from nascence.core.weights import read_metadata as read_metadata
from nascence.data import Dataset, Split
from nascence.onnx_session import onnx_session


class ExportError(ValueError):
    """A network cannot be written as ONNX in the form that was asked for."""


class Parity(NamedTuple):
    """ONNX against torch.

    Attributes:
        images: Number of images that both saw.
        same_top1: On how many of them both choose the same class.
        relative_error: The largest difference of a logit, relative to the largest of its image.
    """

    images: int
    same_top1: int
    relative_error: float


class PixelInput(nn.Module):
    """A network that takes pixels and normalises them itself.

    Args:
        model: Takes normalised images ``(N, C, H, W)``.
        mean: Of each channel of pixels in [0, 1].
        std: Standard deviation of each channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """The output for float32 images ``(N, C, H, W)`` in [0, 1]."""
        return self.model((images - self.mean) / self.std)


def save_weights(model: nn.Module, path: Path, *, metadata: Mapping[str, str]) -> None:
    """Write parameters and buffers as safetensors, whole or not at all.

    Raises:
        WriteError: The file cannot be written.
    """
    from safetensors.torch import save

    tensors = {name: value.detach().cpu().contiguous() for name, value in _unique(model).items()}
    write_whole(path, save(tensors, metadata=dict(metadata)))


def _unique(model: nn.Module) -> dict[str, Tensor]:
    """The state of a model, a tensor that has several names under its first one alone."""
    seen: dict[tuple[int, torch.Size], str] = {}
    kept = {}
    for name, value in model.state_dict().items():
        key = (value.data_ptr(), value.shape)
        if value.numel() and key in seen:
            continue
        seen[key] = name
        kept[name] = value
    return kept


def export_onnx(
    model: nn.Module,
    path: Path,
    *,
    data: Dataset,
    metadata: Mapping[str, Any] | None = None,
    opset: int | None = None,
) -> None:
    """Write a network as ONNX with any batch size, whole or not at all.

    The input ``images`` is float32 ``(N, C, H, W)`` in [0, 1], normalised inside; the output
    ``logits`` is ``(N, classes)``. The same network always gives the same bytes.

    Args:
        model: Takes normalised images.
        path: The file.
        data: Its mean and standard deviation, image shape and class names are written.
        metadata: Further facts for the file.
        opset: Version of the operators; that of torch's exporter if not given.

    Raises:
        ExportError: The network cannot be written in this version.
        WriteError: The file cannot be written.
    """
    import onnx

    proto = onnx_model(
        PixelInput(model, data.mean, data.std).cpu(),
        (torch.zeros(2, *data.image_shape),),
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        input_names=["images"],
        output_names=["logits"],
        opset=opset,
    )
    properties = {
        "classes": json.dumps(data.class_names),
        "input": "float32 (N, C, H, W), pixel values divided by 255",
        **{key: str(value) for key, value in (metadata or {}).items()},
    }
    onnx.helper.set_model_props(proto, properties)
    write_whole(path, proto.SerializeToString())


def onnx_model(
    model: nn.Module,
    inputs: tuple[Tensor, ...],
    *,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
    dynamic_shapes: dict[str, Any] | tuple[Any, ...] | None = None,
    opset: int | None = None,
) -> Any:
    """Export a network in evaluation mode, and load what came out.

    Args:
        model: The network; its modes are restored.
        inputs: Example inputs, of the shapes that the network takes.
        input_names: What to call the inputs.
        output_names: What to call the outputs.
        dynamic_shapes: Axes of any size, as for :func:`torch.onnx.export`.
        opset: Version of the operators; that of torch's exporter if not given.

    Returns:
        An ``onnx.ModelProto`` as :func:`portable` makes it.

    Raises:
        ExportError: The network cannot be written in this version of the operators, or ONNX
            Runtime does not load it.
    """
    import onnxruntime
    import onnxscript  # noqa: F401  torch's exporter needs it

    with evaluation_mode(model), _exporter_quiet():
        program = torch.onnx.export(
            model,
            inputs,
            dynamo=True,
            dynamic_shapes=dynamic_shapes,
            input_names=input_names,
            output_names=output_names,
            opset_version=opset,
            verbose=False,
        )
    assert program is not None
    proto = portable(program.model_proto)
    found = next(each.version for each in proto.opset_import if each.domain in ("", "ai.onnx"))
    if opset is not None and found != opset:
        raise ExportError(
            f"opset {opset} was asked for, but the exporter of torch {torch.__version__} writes "
            f"{found}; use {found} or {'a later one' if opset < found else 'one a little later'}"
        )
    try:
        onnx_session(proto.SerializeToString())
    except Exception as error:  # ONNX Runtime has a dozen kinds of its own
        raise ExportError(
            f"ONNX Runtime {onnxruntime.__version__} does not load the network in opset {found} "
            f"({' '.join(str(error).split())[:200]})"
        ) from error
    return proto


def check_opset(opset: int) -> None:
    """Refuse a version of the operators in which no network can be written, by writing a small one.

    Raises:
        ExportError: The version is too old or too new.
    """
    layers = (nn.Conv2d(1, 1, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    onnx_model(nn.Sequential(*layers), (torch.zeros(1, 1, 4, 4),), opset=opset)


@contextmanager
def _exporter_quiet() -> Iterator[None]:
    """Keep what the exporter says of its own deprecations and conversions from the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def portable(proto: Any) -> Any:
    """A copy of an ``onnx.ModelProto`` that says nothing of where it was made.

    What exporters add to nodes, values and graphs goes: stack traces with paths, names of modules,
    documentation. The IR version becomes the lowest that the operators need, so that older runtimes
    read it: torch writes 10, which ONNX Runtime before 1.19 refuses.
    """
    import onnx

    kept = onnx.ModelProto()
    kept.CopyFrom(proto)
    _strip(kept)
    kept.ir_version = onnx.helper.find_min_ir_version_for(kept.opset_import, ignore_unknown=True)
    return kept


def _strip(message: Any) -> None:
    """Clear metadata and documentation of a message and of all within it, but the weights."""
    for field, value in message.ListFields():
        if field.name in ("metadata_props", "doc_string"):
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                _strip(part)


def run_onnx(path: Path, images: Tensor, *, batch_size: int = 256) -> Tensor:
    """Run an exported network.

    Args:
        path: A file that :func:`export_onnx` wrote.
        images: uint8 ``(N, C, H, W)``.
        batch_size: Images in a forward pass.

    Returns:
        Logits ``(N, classes)``.
    """
    session = onnx_session(str(path))
    pieces = []
    for start in range(0, len(images), batch_size):
        pixels = images[start : start + batch_size].numpy().astype(np.float32) / 255
        pieces.append(torch.from_numpy(session.run(["logits"], {"images": pixels})[0]))
    return torch.cat(pieces)


def check_parity(model: nn.Module, path: Path, split: Split, *, data: Dataset) -> Parity:
    """Compare an exported network with the one it was made from on every image of ``split``."""
    network = PixelInput(model, data.mean, data.std).cpu()
    ours = []
    with evaluation_mode(network):
        for start in range(0, len(split), 256):
            ours.append(network(split.images[start : start + 256].float() / 255))
    expected, actual = torch.cat(ours), run_onnx(path, split.images)
    error = (expected - actual).abs().amax(1) / expected.abs().amax(1).clamp_min(1e-12)
    same = (expected.argmax(1) == actual.argmax(1)).sum().item()
    return Parity(len(split), int(same), float(error.max()))
