"""Batch-normalisation statistics of a network for weights that nobody trained it with.

The running statistics are replaced by the cumulative mean over a few batches, so that what a
network answers for one image does not depend on the others in its batch. It serves predicted
parameters and the paths of a supernet (Guo et al., SPOS, ECCV 2020, section 3.4).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from nascence.core.modes import evaluation_mode
from nascence.params import Params

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # how their names end


@contextmanager
def _collecting(model: nn.Module) -> Iterator[None]:
    """Batch normalisation collects plain means; every other module is in evaluation mode."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    momenta = [module.momentum for module in norms]
    try:
        with evaluation_mode(model):
            for norm in norms:
                norm.train()
                norm.momentum = None
            yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def recalibrate(model: nn.Module, params: Params, batches: Iterable[Tensor]) -> Params:
    """New buffers for ``model`` with ``params``: means of the statistics of ``batches``.

    ``batches`` are inputs ``(B, C, H, W)``, B at least 2. The model itself is left as it is;
    load the result beside ``params``, or pass both to ``torch.func.functional_call``.
    """
    buffers = {name: value.detach().clone() for name, value in model.named_buffers()}
    for name, value in buffers.items():
        if name.endswith(("running_mean", "num_batches_tracked")):
            value.zero_()
        elif name.endswith("running_var"):
            value.fill_(1)
    with _collecting(model):
        for batch in batches:
            functional_call(model, {**params, **buffers}, (batch,))
    return buffers
