"""Parameters that are spread over processes: the ``DTensor`` of FSDP2 and tensor parallelism."""

import sys
from typing import Any

import torch
from torch import Tensor


def is_sharded(value: Tensor) -> bool:
    """Whether a tensor, of any shape, is a ``DTensor``."""
    module = sys.modules.get("torch.distributed.tensor")  # without it there are none
    return module is not None and isinstance(value, module.DTensor)


def local(value: Any) -> Tensor:
    """Return this process's part of a tensor of any shape, in the same memory; it may be empty."""
    held: Tensor = value.to_local() if is_sharded(value) else value
    return held


def whole(value: Any) -> Tensor:
    """Return a whole tensor, in its full shape.

    Of a sharded one it is a copy, which every process must ask for.
    """
    gathered: Tensor = value.full_tensor() if is_sharded(value) else value
    return gathered


def write_(value: Any, content: Tensor) -> None:
    """Write a whole tensor, of its shape and any real dtype; each process keeps its part."""
    if is_sharded(value):
        from torch.distributed.tensor import DTensor, Replicate

        mesh = value.device_mesh
        everywhere = [Replicate()] * mesh.ndim
        replicated = DTensor.from_local(content, mesh, everywhere, run_check=False)
        content = replicated.redistribute(placements=value.placements).to_local()
    with torch.no_grad():
        local(value).copy_(content)
