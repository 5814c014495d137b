"""Files that outlive the project: safetensors and ONNX, checked against torch on real images."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nascence.data import Dataset, Split
from nascence.params import write_whole
from nascence.reparam.deploy import onnx_model


class Parity(NamedTuple):
    """ONNX against torch on ``images`` images.

    ``relative_error`` is the largest |difference| of a logit over the largest |logit| of its
    image; ``same_top1`` counts the images on which both choose the same class.
    """

    images: int
    same_top1: int
    relative_error: float


class PixelInput(nn.Module):
    """A network that takes float32 images (N, C, H, W) in [0, 1] and normalises them itself."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.model((images - self.mean) / self.std)


def save_weights(model: nn.Module, path: Path, *, metadata: Mapping[str, str]) -> None:
    """Write parameters and buffers as safetensors, whole or not at all.

    Raises CheckpointError when the file cannot be written.
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


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        return dict(file.metadata() or {})


def export_onnx(
    model: nn.Module, path: Path, *, data: Dataset, metadata: Mapping[str, Any] | None = None
) -> None:
    """Write ``model`` as ONNX with any batch size, whole or not at all.

    The input ``images`` is float32 in [0, 1] of shape (N, C, H, W), normalised inside; the
    output ``logits`` is (N, classes). Class names and ``metadata`` are in the file's metadata.
    """
    import onnx

    network = PixelInput(model, data.mean, data.std).eval().cpu()
    example = torch.zeros(2, *data.image_shape)
    proto = onnx_model(
        network,
        (example,),
        dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
        input_names=["images"],
        output_names=["logits"],
    )
    properties = {
        "classes": json.dumps(data.class_names),
        "input": "float32 (N, C, H, W), pixel values divided by 255",
        **{key: str(value) for key, value in (metadata or {}).items()},
    }
    onnx.helper.set_model_props(proto, properties)
    write_whole(path, proto.SerializeToString())


def run_onnx(path: Path, images: Tensor, *, batch_size: int = 256) -> Tensor:
    """Logits (N, classes) of an exported network for uint8 images (N, C, H, W)."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    pieces = []
    for start in range(0, len(images), batch_size):
        pixels = images[start : start + batch_size].numpy().astype(np.float32) / 255
        pieces.append(torch.from_numpy(session.run(["logits"], {"images": pixels})[0]))
    return torch.cat(pieces)


def check_parity(model: nn.Module, path: Path, split: Split, *, data: Dataset) -> Parity:
    """Compare an exported network with the one it was made from on every image of ``split``."""
    network = PixelInput(model, data.mean, data.std).eval().cpu()
    ours = []
    with torch.no_grad():
        for start in range(0, len(split), 256):
            ours.append(network(split.images[start : start + 256].float() / 255))
    expected, actual = torch.cat(ours), run_onnx(path, split.images)
    error = (expected - actual).abs().amax(1) / expected.abs().amax(1).clamp_min(1e-12)
    same = (expected.argmax(1) == actual.argmax(1)).sum().item()
    return Parity(len(split), int(same), float(error.max()))
