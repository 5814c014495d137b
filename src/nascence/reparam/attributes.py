"""What a rewritten module keeps of the original: dtype, memory format, hooks, names."""

import copy
import sys
from collections.abc import Mapping

import torch
from torch import Tensor, nn

HOOKS = tuple(
    name for name in vars(nn.Module()) if "hooks" in name and not name.startswith("_state_dict")
    and not name.startswith("_load_state")
)  # fmt: skip
FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def restored(folded: nn.Module, module: nn.Module, inputs: tuple[Tensor, ...] | None) -> nn.Module:
    """A copy of ``folded``, each value in the dtype that it or its layer has in ``module``.

    The inputs, of any shape, tell the dtype of a module without values. Kernels are channels-last
    if those of ``module`` are.
    """
    result = copy.deepcopy(folded)
    named = dict(module.named_parameters(remove_duplicate=False)) | dict(module.named_buffers())
    kinds = {name: value.dtype for name, value in named.items() if value.is_floating_point()}
    given = [x.dtype for x in inputs or () if x.is_floating_point()]
    usual = next(iter([*kinds.values(), *given]), torch.get_default_dtype())
    formats = {value.dim() for value in named.values() if is_channels_last(value)}
    for name, value in (*result.named_parameters(), *result.named_buffers()):
        if value.is_floating_point():
            sibling = f"{name.rpartition('.')[0]}.weight"
            value.data = value.data.to(kinds.get(name, kinds.get(sibling, usual)))
        if value.dim() in formats:
            value.data = value.data.contiguous(memory_format=FORMATS[value.dim()])
    return result


def is_channels_last(value: Tensor) -> bool:
    """Whether a kernel ``(out, in, ...)`` is stored in channels-last order only."""
    if value.dim() not in FORMATS or value.is_contiguous():
        return False
    return value.is_contiguous(memory_format=FORMATS[value.dim()])


def keep_attributes(folded: nn.Module, module: nn.Module) -> None:
    """Give ``folded`` the hooks of ``module`` and its plain attributes, which others may read."""
    keep_hooks(folded, module)
    for name, value in vars(module).items():
        if not name.startswith("_") and not hasattr(folded, name):
            setattr(folded, name, value)


def keep_hooks(target: nn.Module, source: nn.Module) -> None:
    """Give ``target`` the forward and backward hooks of ``source``."""
    for name in HOOKS:
        getattr(target, name).update(getattr(source, name))


def has_submodule(module: nn.Module, name: str) -> bool:
    """Whether there is a submodule of that dotted name."""
    try:
        module.get_submodule(name)
    except AttributeError:
        return False
    return True


def with_parts(module: nn.Module, parts: Mapping[str, nn.Module]) -> nn.Module:
    """A copy of ``module`` that holds each of ``parts`` in place of the submodule of that name.

    Lists, bound methods and partials among its attributes lead to the parts as well.
    """
    memo = {id(module.get_submodule(name)): part for name, part in parts.items()}
    return copy.deepcopy(module, memo)


def uncompiled(model: nn.Module) -> nn.Module:
    """``model`` without the wrappers of ``torch.compile``, around it and inside it."""
    if "torch._dynamo" not in sys.modules:  # slow to import, and nothing is compiled without it
        return model
    from torch._dynamo import OptimizedModule

    if isinstance(model, OptimizedModule):
        return uncompiled(model._orig_mod)
    wrapped = {n: m for n, m in model.named_modules() if isinstance(m, OptimizedModule)}
    if not wrapped:
        return model
    return with_parts(model, {name: uncompiled(part) for name, part in wrapped.items()})
