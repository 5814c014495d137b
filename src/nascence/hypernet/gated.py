"""The gated graph network of GHN-1 and GHN-2, one traversal each way.

Li et al. (2016), "Gated Graph Sequence Neural Networks", as Zhang et al. (2019) use it along the
order of a network, with the virtual edges of Knyazev et al. (2021), eqs. 3 and 4:

    m_v = sum over edges (u, v) of f(h_u) + sum over paths (u, v) of f_virtual(h_u) / d(u, v)
    h_v = GRU(m_v, h_v)

A node's state is final once it is updated, so its messages are computed once, not once for each
edge, and nodes of one level are updated together. The states are a few dozen numbers wide and
a network has a hundred levels and more: the cost is that of starting operations, which is why
both directions run in numpy with derivatives written out.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nascence.graph import Graph
from nascence.graph.traversal import Traversal

Array = NDArray[Any]
_ROWS = 64  # of message factors held at a time


class _Weights(NamedTuple):
    """Weights as arrays; the message layers of all channels are stacked."""

    first: Array  # (sum of hidden, d)
    first_bias: Array
    second: Array  # (C * d, sum of hidden), block-diagonal
    second_bias: Array
    input: Array  # (3d, d): reset, update, new
    state: Array  # (3d, d)
    input_bias: Array
    state_bias: Array


class _Saved(NamedTuple):
    """What the derivative needs, with all rows in the order of the traversal."""

    x: Array
    gates: Array  # reset and update (N, 2d)
    new: Array
    state_new: Array  # the state's part of the new gate, before the reset gate
    heard: Array  # m (N, d)
    h: Array
    hidden: Array
    messages: Array


def _forward(x: Array, walk: Traversal, w: _Weights, channels: int) -> _Saved:
    """States after one traversal.

    Starting an operation is what costs, so biases are rows of the matrices that a column of ones
    meets, and the halving that turns the logistic function into a hyperbolic tangent, which does
    not overflow, is in the weights.
    """
    count, d = x.shape
    half = np.ones((1, 3 * d), x.dtype)
    half[:, : 2 * d] = 0.5
    from_input = w.input.T * half
    offset = x @ w.state.T + w.state_bias
    state_new = np.ascontiguousarray(offset[:, 2 * d :])
    half_new = 0.5 * state_new
    offset[:, 2 * d :] = 0
    offset += w.input_bias
    offset *= half
    first = _with_bias(w.first.T, w.first_bias)
    second = np.concatenate([w.second.T, w.second_bias[None]])
    heard, new = np.empty_like(x), np.empty_like(x)
    gates = np.empty((count, 2 * d), x.dtype)
    h = np.ones((count, d + 1), x.dtype)
    hidden = np.empty((count, first.shape[1]), x.dtype)
    messages = np.empty((count, channels * d), x.dtype)
    told = messages.reshape(count * channels, d)
    start = known = first_known = 0
    for end in walk.bounds[1:]:
        if end > known:
            first_known, known = start, min(count, max(end, start + _ROWS))
            factors = walk.heard(first_known, known, channels, x.dtype)
        rows = factors[start - first_known : end - first_known, : start * channels]
        m = heard[start:end]
        np.matmul(rows, told[: start * channels], out=m)
        pre = m @ from_input
        pre += offset[start:end]
        both = gates[start:end]
        np.tanh(pre[:, : 2 * d], out=both)
        both += 1.0  # twice the gates
        fresh = new[start:end]
        np.multiply(both[:, :d], half_new[start:end], out=fresh)
        fresh += pre[:, 2 * d :]
        np.tanh(fresh, out=fresh)
        both *= 0.5
        step = x[start:end] - fresh
        step *= both[:, d:]
        state = h[start:end]
        np.add(step, fresh, out=state[:, :d])
        z = hidden[start:end]
        np.matmul(state, first, out=z)
        np.maximum(z, 0, out=z)
        row = messages[start:end]
        np.matmul(z, second, out=row)
        np.maximum(row, 0, out=row)
        start = end
    return _Saved(
        x, gates, new, state_new, heard, np.ascontiguousarray(h[:, :d]), hidden[:, :-1], messages
    )


def _with_bias(matrix: Array, bias: Array) -> Array:
    """``[[matrix, 0], [bias, 1]]``: keeps a column of ones, also through a rectifier."""
    rows, columns = matrix.shape
    found = np.zeros((rows + 1, columns + 1), matrix.dtype)
    found[:rows, :columns] = matrix
    found[rows, :columns] = bias
    found[rows, columns] = 1
    return found


def _backward(
    grad: Array, s: _Saved, walk: Traversal, w: _Weights, channels: int
) -> tuple[Array, _Weights]:
    count, d = grad.shape
    d_heard, d_x = np.empty_like(grad), np.empty_like(grad)
    d_pre = np.empty((count, 3 * d), grad.dtype)
    d_state_new = np.empty_like(grad)
    d_messages = np.empty_like(s.messages)
    d_hidden = np.empty(s.hidden.shape, grad.dtype)
    known = count
    for start, end in reversed(list(zip(walk.bounds[:-1], walk.bounds[1:], strict=True))):
        if start < known or end == count:
            known = max(0, min(start, end - _ROWS))
            told = walk.told(known, end, channels, grad.dtype)
        dm = d_messages[start:end]
        rows = told[(start - known) * channels : (end - known) * channels, end:]
        np.matmul(rows, d_heard[end:], out=dm.reshape(-1, d))
        dm *= s.messages[start:end] > 0
        dz = d_hidden[start:end]
        np.matmul(dm, w.second, out=dz)
        dz *= s.hidden[start:end] > 0
        dh = dz @ w.first
        dh += grad[start:end]
        reset, update = s.gates[start:end, :d], s.gates[start:end, d:]
        fresh, old = s.new[start:end], s.state_new[start:end]
        pre = d_pre[start:end]
        keep = dh * update
        d_x[start:end] = keep
        d_fresh = (dh - keep) * (1.0 - fresh * fresh)
        pre[:, 2 * d :] = d_fresh
        np.multiply(d_fresh, reset, out=d_state_new[start:end])
        pre[:, :d] = d_fresh * old * reset * (1.0 - reset)
        pre[:, d : 2 * d] = keep * (s.x[start:end] - fresh) * (1.0 - update)
        np.matmul(pre, w.input, out=d_heard[start:end])
    d_state = np.concatenate([d_pre[:, : 2 * d], d_state_new], axis=1)
    d_x += d_state @ w.state
    weights = _Weights(
        d_hidden.T @ s.h,
        d_hidden.sum(0),
        d_messages.T @ s.hidden,
        d_messages.sum(0),
        d_pre.T @ s.heard,
        d_state.T @ s.x,
        d_pre.sum(0),
        d_state.sum(0),
    )
    return d_x, weights


class _Pass(torch.autograd.Function):
    """One traversal: states ``(N, d)`` in, states ``(N, d)`` out."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, walk: Traversal, channels: int, *weights: Tensor) -> Tensor:
        arrays = _Weights(*(value.detach().cpu().numpy() for value in weights))
        saved = _forward(x.detach().cpu().numpy()[walk.order], walk, arrays, channels)
        ctx.kept = saved, walk, arrays, channels
        ctx.device = x.device
        out = np.empty_like(saved.h)
        out[walk.order] = saved.h
        return torch.from_numpy(out).to(x.device)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        saved, walk, arrays, channels = ctx.kept
        d_ordered, weights = _backward(
            grad.cpu().numpy()[walk.order], saved, walk, arrays, channels
        )
        d_x = np.empty_like(d_ordered)
        d_x[walk.order] = d_ordered
        gradients = (torch.from_numpy(value).to(ctx.device) for value in (d_x, *weights))
        return next(gradients), None, None, *gradients


class GatedGraphNetwork(nn.Module):
    """Node states ``(N, d)`` of one graph to node states ``(N, d)``.

    One traversal along the edges, then one against them that starts from its result; both
    share all weights. With ``virtual_edges`` the message functions are d -> d/2 -> d, without
    d -> d -> d, as published.
    """

    def __init__(self, width: int = 32, *, virtual_edges: bool = True) -> None:
        super().__init__()
        hidden = width // 2 if virtual_edges else width
        self.channels = 2 if virtual_edges else 1
        self.messages = nn.ModuleList(
            nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.ReLU())
            for _ in range(self.channels)
        )
        self.gru = nn.GRUCell(width, width)

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """Map node states ``(N, width)`` to node states ``(N, width)``, forward and back."""
        layers: list[Any] = [(m[0], m[2]) for m in self.messages]  # type: ignore[index]
        weights = (
            torch.cat([first.weight for first, _ in layers]),
            torch.cat([first.bias for first, _ in layers]),
            torch.block_diag(*(second.weight for _, second in layers)),
            torch.cat([second.bias for _, second in layers]),
            self.gru.weight_ih,
            self.gru.weight_hh,
            self.gru.bias_ih,
            self.gru.bias_hh,
        )
        for walk in graph.traversals:
            x = _Pass.apply(x, walk, self.channels, *weights)
        return x


class NodeNetwork(nn.Module):
    """The MLP baseline: the same d -> d -> d function of every node, which ignores the edges."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        )

    def forward(self, x: Tensor, graph: Graph) -> Tensor:
        """Map node states ``(N, width)`` to node states ``(N, width)``, each alone."""
        out: Tensor = self.layers(x)
        return out
