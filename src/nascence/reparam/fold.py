"""Fold any model: every linear operator that its neighbours can absorb, in float64."""

import copy

import torch
from torch import Tensor, nn

from nascence.reparam.linear_graph import LinearGraph
from nascence.reparam.materialise import materialise
from nascence.reparam.rules import rewrite
from nascence.reparam.tracing import record_shapes, trace_linear


def fold(model: nn.Module, *inputs: Tensor, verify: bool = True) -> nn.Module:
    """A new module that computes what ``model`` computes in evaluation mode, with fewer layers."""
    if model.training:
        raise ValueError("the model is in train mode; call model.eval() before folding")
    if verify and not inputs:
        raise ValueError("folding needs an example input to verify on; give one or verify=False")
    work = copy.deepcopy(model)
    types = {name: value.dtype for name, value in work.state_dict().items()}
    kind = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    work = work.double()
    wide = tuple(x.double() if x.is_floating_point() else x for x in inputs)
    traced, _ = trace_linear(work, wide or None)
    traced.eval()
    if wide:
        record_shapes(traced, wide)
    graph = LinearGraph(traced)
    rewrite(graph)
    folded = materialise(graph).eval()
    for name, value in (*folded.named_parameters(), *folded.named_buffers()):
        if value.is_floating_point():
            value.data = value.data.to(types.get(name, kind))
    if verify:
        with torch.no_grad():
            torch.testing.assert_close(folded(*inputs), model(*inputs), rtol=1e-3, atol=1e-3)
    return folded
