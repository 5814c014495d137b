"""The work of ``nascence fold``: a network by name or checkpoint, folded, checked and written."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from nascence.reparam.accounting import FoldReport
from nascence.reparam.deploy import Attempt, LayerError, diagnose_int8, export_onnx, try_forms
from nascence.reparam.fold import fold_with_report
from nascence.reparam.networks import MobileOne, RepVGG


class FoldJob(NamedTuple):
    """Outcome of ``fold_network``: the folded model, its report, its files and other forms."""

    model: nn.Module
    report: FoldReport
    files: tuple[Path, ...]
    forms: tuple[Attempt, ...]
    int8: tuple[LayerError, ...]


def fold_network(
    source: str | Path,
    *,
    architecture: str | None = None,
    shape: tuple[int, ...] = (1, 3, 224, 224),
    verify: bool = True,
    onnx: Path | None = None,
    weights: Path | None = None,
    try_deployment: bool = False,
    repeats: int = 10,
    generator: torch.Generator | None = None,
) -> FoldJob:
    """Fold a network by name, or by checkpoint with ``architecture`` naming what it fills.

    Names are ``repvgg-a0``, ``mobileone-s0``, ``timm/NAME`` and ``torchvision/NAME``. A checkpoint
    is a ``.safetensors`` file or a ``.pt``/``.pth`` file of weights alone. The example input of
    ``shape`` is drawn from ``generator``. ``onnx`` and ``weights`` (``.safetensors``) are files to
    write. Raises ValueError or FileNotFoundError with one line for a name, file or checkpoint that
    cannot be used, before anything is written.
    """
    path = Path(source)
    if architecture is None:
        if path.suffix in (".pt", ".pth", ".safetensors"):
            raise ValueError(f"{source} holds weights alone; name its architecture")
        model = named_network(str(source))
    else:
        model = named_network(architecture)
        load_weights(model, path)
    x = torch.randn(shape, generator=generator)
    folded, report = fold_with_report(model.eval(), x, verify=verify, repeats=repeats)
    files = []
    if weights is not None:
        from safetensors.torch import save_file

        state = {name: value.contiguous() for name, value in folded.state_dict().items()}
        save_file(state, str(weights))
        files.append(weights)
    if onnx is not None:
        export_onnx(folded, (x,), onnx)
        files.append(onnx)
    forms = tuple(try_forms(folded, x, repeats=repeats)) if try_deployment else ()
    int8 = tuple(diagnose_int8(folded, x)) if try_deployment else ()
    return FoldJob(folded, report, tuple(files), forms, int8)


def named_network(name: str) -> nn.Module:
    """A network with random weights by its name."""
    library, _, rest = name.partition("/")
    try:
        if library == "timm" and rest:
            import timm

            model: nn.Module = timm.create_model(rest, pretrained=False)
            return model
        if library == "torchvision" and rest:
            from torchvision import models

            model = models.get_model(rest, weights=None)
            return model
    except ImportError as missing:
        raise ValueError(f"{library} is missing; pip install 'nascence[zoo]'") from missing
    except (RuntimeError, ValueError, KeyError) as unknown:
        raise ValueError(f"{library} has no network {rest!r}") from unknown
    family, _, size = name.lower().partition("-")
    if family == "repvgg" and size:
        return RepVGG(size[0].upper() + size[1:])
    if family == "mobileone" and size:
        return MobileOne(size.upper())
    raise ValueError(
        f"no network {name!r}; give repvgg-a0, mobileone-s0, timm/NAME or torchvision/NAME"
    )


def load_weights(model: nn.Module, path: Path) -> None:
    """Fill ``model`` from a checkpoint without unpickling code; ValueError if it does not fit."""
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            state: Any = load_file(str(path))
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state.get("model", state))
    except Exception as reason:  # a damaged file fails in many ways
        line = (str(reason) or type(reason).__name__).splitlines()[0]
        raise ValueError(f"{path} is not a checkpoint of weights: {line[:150]}") from reason
    own = model.state_dict()
    wrong = [name for name in {**own, **state} if _shape(own.get(name)) != _shape(state.get(name))]
    if wrong:
        raise ValueError(
            f"{path} does not fit the architecture: {len(wrong)} values are missing, unknown or "
            f"of another shape, the first {wrong[0]}"
        )
    model.load_state_dict(state)


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, torch.Tensor) else None
