"""Graph hypernetworks: all parameters of a network from its graph, in one forward pass.

GHN-1: Zhang, Ren and Urtasun (2019). GHN-2: Knyazev, Drozdzal, Taylor and Romero-Soriano
(2021). GHN-3: Knyazev, Hwang and Lacoste-Julien (2023).
"""

from collections.abc import Sequence
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from nascence.graph import Graph, GraphError
from nascence.hypernet.decoder import ConvDecoder, LowRankDecoder
from nascence.hypernet.embedding import NodeEmbedding
from nascence.hypernet.gated import GatedGraphNetwork, NodeNetwork
from nascence.hypernet.graphormer import Graphormer
from nascence.hypernet.layout import Layout
from nascence.hypernet.memory import Memory
from nascence.hypernet.plan import Group, Plan, Size, make_plan
from nascence.hypernet.tiling import fill, folded, repeat, stretch
from nascence.params import Params

CIFAR_SHAPE = (64, 64, 11, 11)
_FEWEST = 2**16  # values to decode at a time
# What was planned for a graph, by the settings of the hypernetwork, as long as the graph lives.
_PLANS: WeakKeyDictionary[Graph, dict[tuple[str, ...], Plan]] = WeakKeyDictionary()


class GHN(nn.Module):
    """A hypernetwork ``graphs -> parameters``.

    ``graph_network`` is ``"gated"``, ``"mlp"``, ``"graphormer"``, or any module whose
    ``forward(states, graph)`` maps node states ``(N, width)`` to node states ``(N, width)``.
    ``decoder="conv"`` repeats blocks of at most ``max_shape`` ``(out, in, kh, kw)`` as the
    papers do; ``"low_rank"`` predicts factors of rank ``rank`` and repeats nothing.
    ``classes`` is the number of classes whose heads are exact; networks with another number
    are predicted like any other layer. ``normalise`` scales by fan-in and squashes vectors.

    Raises:
        ValueError: ``decoder`` is neither ``"conv"`` nor ``"low_rank"``.
    """

    def __init__(
        self,
        *,
        classes: int = 10,
        width: int = 32,
        max_shape: Size = CIFAR_SHAPE,
        graph_network: str | nn.Module = "gated",
        virtual_edges: bool = True,
        layer_norm: bool = True,
        normalise: bool = True,
        decoder: str = "conv",
        rank: int = 32,
        layers: int = 3,
        heads: int = 8,
        vocabulary: str = "paper",
    ) -> None:
        super().__init__()
        settings: dict[str, Any] = dict(locals())
        kept = ("self", "__class__")
        self.settings = {key: value for key, value in settings.items() if key not in kept}
        if isinstance(graph_network, nn.Module):
            self.settings["graph_network"] = type(graph_network).__name__
        self.classes, self.width, self.normalise = classes, width, normalise
        self.max_shape: Size = tuple(max_shape)  # type: ignore[assignment]
        self.settings["max_shape"] = self.max_shape
        block = self.max_shape[0]
        self.embedding = NodeEmbedding(width, classes, max_shape[3], vocabulary)
        self.graph_network = self._graph_network(graph_network, virtual_edges, layers, heads)
        self.layer_norm = nn.LayerNorm(width) if layer_norm else nn.Identity()
        self.decoder: ConvDecoder | LowRankDecoder
        if decoder == "conv":
            self.decoder = ConvDecoder(width, self.max_shape, classes)
        elif decoder == "low_rank":
            self.decoder = LowRankDecoder(width, rank=rank)
        else:
            raise ValueError(f"decoder is {decoder!r}; it must be 'conv' or 'low_rank'")
        self.vectors = nn.Sequential(
            nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, 2 * block)
        )
        self.class_bias = nn.Linear(block, classes)
        self.memory = Memory()

    def _graph_network(
        self, choice: str | nn.Module, virtual_edges: bool, layers: int, heads: int
    ) -> nn.Module:
        if isinstance(choice, nn.Module):
            return choice
        if choice == "gated":
            return GatedGraphNetwork(self.width, virtual_edges=virtual_edges)
        if choice == "mlp":
            return NodeNetwork(self.width)
        if choice == "graphormer":
            return Graphormer(self.width, layers=layers, heads=heads)
        raise ValueError(
            f"graph_network is {choice!r}; it must be 'gated', 'mlp', 'graphormer' or a module"
        )

    @classmethod
    def ghn1(cls, *, classes: int = 10, max_shape: Size = CIFAR_SHAPE) -> "GHN":
        """GHN-1 as the GHN-2 paper trains it: edges alone, nothing normalised."""
        return cls(
            classes=classes,
            max_shape=max_shape,
            virtual_edges=False,
            layer_norm=False,
            normalise=False,
        )

    @classmethod
    def ghn2(cls, *, classes: int = 10, max_shape: Size = CIFAR_SHAPE) -> "GHN":
        """GHN-2: virtual edges, layer normalisation and normalised predictions."""
        return cls(classes=classes, max_shape=max_shape)

    @classmethod
    def mlp(cls, *, classes: int = 10, max_shape: Size = CIFAR_SHAPE) -> "GHN":
        """Make the MLP baseline, which ignores the edges."""
        return cls(classes=classes, max_shape=max_shape, graph_network="mlp")

    # Prediction

    def embed(self, graph: Graph) -> Tensor:
        """Return the node states ``(N, width)`` after the graph network: a network's embedding."""
        return self._states(graph, self._plan(graph))

    def forward(
        self, graphs: Sequence[Graph], *, out: Sequence[Params] | None = None
    ) -> list[Params]:
        """Predict the parameters of each graph's network, keyed like ``named_parameters()``.

        With gradients off, the values of one network share one buffer, which is written once;
        the last buffer is used again once nothing holds it. ``out`` are earlier predictions for
        the same graphs, made with gradients off, to overwrite.

        Raises:
            TypeError: ``graphs`` is one graph, not a list.
            ValueError: ``out`` holds another number of predictions.
        """
        if isinstance(graphs, Graph):
            raise TypeError("a GHN takes a list of graphs: ghn([graph])")
        if out is None:
            return [self._predict(graph, None) for graph in graphs]
        if len(out) != len(graphs):
            raise ValueError(f"out holds {len(out)} predictions for {len(graphs)} graphs")
        return [self._predict(graph, old) for graph, old in zip(graphs, out, strict=True)]

    def _states(self, graph: Graph, plan: Plan) -> Tensor:
        rows = plan.rows.to(self.embedding.operations.weight.device)
        states = self.graph_network(self.embedding(rows), graph)
        out: Tensor = self.layer_norm(states)
        return out

    def _plan(self, graph: Graph) -> Plan:
        key = tuple(map(str, self.settings.values()))
        plans = _PLANS.setdefault(graph, {})
        if key not in plans:
            plans[key] = make_plan(graph, self.embedding, self.classes, self._asked, self._gain)
        return plans[key]

    def _asked(self, item: Layout) -> Size:
        """Return the part of a kernel that the decoder predicts, before it is repeated."""
        o, i, kh, kw = item.size
        if isinstance(self.decoder, LowRankDecoder):
            limit, kernel = self.decoder.max_channels, self.decoder.max_kernel
            if max(o, i) > limit:
                raise GraphError(
                    f"parameter {item.name} has {max(o, i)} channels; the low-rank decoder has "
                    f"{limit}; use decoder='conv' or a larger max_channels"
                )
            return o, i, min(kh, kernel), min(kw, kernel)
        out, inner, height, across = self.max_shape
        if item.kind == "class_weight":
            return out, min(i, inner), 1, 1
        return min(o, out), min(i, inner), min(kh, height), min(kw, across)

    def _predict(self, graph: Graph, out: Params | None) -> Params:
        plan = self._plan(graph)
        states = self._states(graph, plan)
        vectors = self._vectors(states, plan)
        if torch.is_grad_enabled() or states.is_cuda:
            found = self._joined(self._kernels(states, plan.groups), vectors)
        else:
            found = self._written(states, plan, vectors, out)
        return {p.name: found[p.name] for p in graph.parameters}

    def _kernels(self, states: Tensor, groups: list[Group]) -> list[tuple[Layout, Tensor]]:
        """Every kernel with its block ``(o, i, kh, kw)``, scaled, not yet repeated."""
        if not groups:
            return []
        picked = [states[one.nodes.to(states.device)] for one in groups]
        blocks = self.decoder(picked, [one.size for one in groups])
        found = []
        for asked, block in zip(groups, blocks, strict=True):
            if asked.kind == "class_weight" and isinstance(self.decoder, ConvDecoder):
                block = self.decoder.classifier(block)
            scaled = block.contiguous() * asked.gains.to(block)
            for item, one in zip(asked.items, scaled.unbind(), strict=True):
                found.append((item, self._finished(item, one)))
        return found

    def _finished(self, item: Layout, block: Tensor) -> Tensor:
        """A scaled block squashed or resized where its layout says so."""
        if item.finish == "shift" and self.normalise:
            block = torch.tanh(0.2 * block)
        if block.shape[2:] != item.size[2:]:
            block = stretch(block, *item.size[2:])
        return block

    def _gain(self, item: Layout) -> float:
        return item.gain if self.normalise and item.finish == "fan_in" else 1.0

    def _vectors(self, states: Tensor, plan: Plan) -> list[tuple[Layout, Tensor]]:
        """Every vector with its row of at most the block size, squashed, not yet repeated."""
        if not plan.vectors:
            return []
        picked = states[plan.vector_nodes.to(states.device)]
        rows = self.vectors(picked).unflatten(1, (2, -1))
        scale, shift = rows.unbind(1)
        classes: Tensor | None = None
        if any(item.kind == "class_bias" for item in plan.vectors):
            classes = self.class_bias(torch.relu(shift))
        if self.normalise:
            # section 3.2 of the GHN-2 paper: scales lie in (0, 2), shifts in (-1, 1)
            scale, shift = 2 * torch.sigmoid(0.5 * scale), torch.tanh(0.2 * shift)
            classes = None if classes is None else torch.tanh(0.2 * classes)
        found = []
        for index, item in enumerate(plan.vectors):
            source = classes if item.kind == "class_bias" else (scale, shift)[item.row]
            assert source is not None
            found.append((item, source[index]))
        return found

    def _joined(
        self, kernels: list[tuple[Layout, Tensor]], vectors: list[tuple[Layout, Tensor]]
    ) -> Params:
        """Predict differentiably: every parameter is a tensor of its own."""
        found = {}
        for item, block in kernels:
            found[item.name] = folded(repeat(block, *item.size[:2]), item)
        for item, row in vectors:
            (length,) = item.size
            if length > len(row):
                row = row.repeat(-(-length // len(row)))
            found[item.name] = row[:length].reshape(item.shape)
        return found

    def _written(
        self,
        states: Tensor,
        plan: Plan,
        vectors: list[tuple[Layout, Tensor]],
        out: Params | None,
    ) -> Params:
        """Predict without gradients: decode block by block, and write into one buffer."""
        items = [item for one in plan.groups for item in one.items] + plan.vectors
        if out is None:
            out = self._buffer(items, plan.total)
        else:
            for item in items:
                if item.name not in out or out[item.name].shape != item.shape:
                    raise ValueError(f"out has no parameter {item.name} of shape {item.shape}")
        for one in plan.groups:
            # working memory of a few hundredths of the result
            self._write(states[one.nodes], one, out, max(_FEWEST, plan.total // 32))
        for item, row in vectors:
            (length,) = item.size
            place = out[item.name]
            if length % len(row) == 0:
                place.view(-1, len(row)).copy_(row)
            elif length < len(row):
                place.view(-1).copy_(row[:length])
            else:
                fill(row.view(-1, 1, 1, 1), place.view(-1, 1, 1, 1))
        return out

    def _write(self, states: Tensor, asked: Group, out: Params, values: int) -> None:
        """Decode the kernels of one group a few at a time, and write each while it is cached."""
        done = 0
        for block in self.decoder.blocks(states, asked.size, values=values):
            if asked.kind == "class_weight" and isinstance(self.decoder, ConvDecoder):
                block = self.decoder.classifier(block)
            rows = slice(done, done + len(block))
            done = rows.stop
            # into the order of the parameter and scaled in one go
            scaled = torch.mul(block, asked.gains[rows], out=block.new_empty(block.shape))
            for item, one in zip(asked.items[rows], scaled.unbind(), strict=True):
                one, place = self._finished(item, one), out[item.name]
                if item.fold == "plain":
                    fill(one, place.view(item.size))
                else:
                    place.copy_(folded(repeat(one, *item.size[:2]), item))

    def _buffer(self, items: list[Layout], total: int) -> Params:
        """Memory for all values in the order of writing."""
        buffer = self.memory.take(total, self.class_bias.weight.dtype)
        parts = buffer.split([prod(item.shape) for item in items])
        return {i.name: part.view(i.shape) for i, part in zip(items, parts, strict=True)}
