"""Which transforms of torch.func are active, for which PyTorch has no public interface."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


def transforms() -> list[str]:
    """The transforms that surround the caller, the innermost last: ``"vmap"``, ``"grad"``, ..."""
    stack = torch._C._functorch.get_interpreter_stack() or []
    return [interpreter.key().name.lower() for interpreter in stack]


def is_mapped(tensor: Tensor) -> bool:
    """Whether a tensor, of any shape, stands for a batch: ``vmap`` or ``is_grads_batched=True``."""
    kinds = torch._C._functorch
    return kinds.is_batchedtensor(tensor) or kinds.is_legacy_batchedtensor(tensor)


@contextmanager
def unmapped() -> Iterator[None]:
    """Raise ``ValueError`` where ``torch.func.vmap`` maps a solve, which looks at values.

    Derivatives that are mapped, as in ``torch.func.jacrev``, leave the solve as it is.
    """
    try:
        yield
    except RuntimeError as error:
        if torch.compiler.is_compiling() or "vmap" not in transforms():
            raise
        raise ValueError(
            "a solve cannot be mapped by torch.func.vmap: each sample stops when it is done; give "
            "the batch as the first axis of z0, or use backward='unrolled'"
        ) from error
