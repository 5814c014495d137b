"""What a graph says of a module, and what the module is left as."""

import copy
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nascence.graph import GraphError, count_macs, trace

IMAGE = torch.empty(1, 3, 16, 16)


class Residual(nn.Module):
    """Every kind of junction: sum, concatenation, channel gate, pooling, tokens, attention."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=8, bias=False)
        self.squeeze = nn.Conv2d(8, 2, 1)
        self.excite = nn.Conv2d(2, 8, 1)
        self.token = nn.Parameter(torch.zeros(1, 1, 16))
        self.position = nn.Parameter(torch.zeros(1, 65, 16))
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)
        self.gamma = nn.Parameter(torch.ones(16))
        self.head = nn.Linear(16, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(self.stem(x)), inplace=True)
        y = self.depthwise(x)
        y = y * torch.sigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))))
        x = F.max_pool2d(torch.cat([x, x + y], dim=1), 2)
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.position
        x = x + self.gamma * self.attention(x, x, x, need_weights=False)[0]
        return self.head(x[:, 0])


def test_operations_and_edges_of_a_worked_network() -> None:
    graph = trace(Residual(), IMAGE)
    ops = [node.op for node in graph.nodes]
    expected = (
        "input conv bias bn dil_conv glob_avg conv bias conv bias cse sum concat max_pool "
        "class_token concat pos_enc conv bias msa conv bias layer_scale sum conv bias"
    )
    assert ops == expected.split()
    assert graph.predecessors[ops.index("cse")] == (4, 9)
    assert graph.predecessors[ops.index("sum")] == (3, 10)
    assert graph.predecessors[ops.index("concat")] == (3, 11)
    assert graph.classifiers == {len(ops) - 2, len(ops) - 1}
    assert graph.outputs == (len(ops) - 1,)
    roles = {parameter.name: parameter.role for parameter in graph.parameters}
    assert roles["norm.bias"] == "norm_bias"
    assert roles["position"] == "position"
    assert roles["gamma"] == "scale"
    assert roles["token"] == "token"


def test_every_parameter_once_with_its_shape() -> None:
    model = Residual()
    graph = trace(model, IMAGE)
    named = {name: tuple(value.shape) for name, value in model.named_parameters()}
    assert Counter(p.name for p in graph.parameters) == Counter(list(named))
    assert {p.name: p.shape for p in graph.parameters} == named
    assert graph.parameter_count == sum(p.numel() for p in model.parameters())


def test_macs_equal_the_flop_counter() -> None:
    model = Residual()
    assert trace(model, IMAGE).macs == count_macs(model, torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize("training", [True, False])
def test_model_is_left_as_found(training: bool) -> None:
    model = Residual().train(training)
    model.norm.eval()
    model.head.register_forward_hook(lambda module, inputs, out: out)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    attributes = [dict(vars(module)) for module in model.modules()]
    random_state = torch.get_rng_state()
    first = trace(model, IMAGE)
    assert trace(copy.deepcopy(model).train(not training), IMAGE) == first
    assert [module.training for module in model.modules()] == modes
    for module, was in zip(model.modules(), attributes, strict=True):
        assert vars(module).keys() == was.keys()
        assert all(vars(module)[key] is was[key] for key in was)
    assert torch.equal(model.head.weight.grad, torch.ones(5, 16))
    assert torch.equal(random_state, torch.get_rng_state())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


class Counts(nn.Module):
    """Writes into a buffer, replaces a buffer and an attribute, and draws a random number."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("last", torch.zeros(2))
        self.seen = None
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.last = torch.ones(2) * torch.rand(2)
        self.seen = x
        return self.layer(x)


def test_writing_forward_is_undone() -> None:
    model = Counts()
    last = model.last
    state = torch.get_rng_state()
    trace(model, torch.empty(1, 4))
    assert model.calls == 0
    assert model.last is last
    assert model.seen is None
    assert torch.equal(state, torch.get_rng_state())


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.cell = nn.Linear(4, 4)
        self.table = nn.Embedding(7, 4)

    def forward(self, x: Tensor, index: Tensor) -> dict[str, Tensor]:
        x = self.first(x) + self.table(index)
        a = self.cell(x)
        b = self.cell(torch.relu(a))
        return {"a": a, "tied": F.linear(b, self.table.weight)}


def test_shared_module_is_one_node_with_a_loop() -> None:
    graph = trace(Shared(), torch.empty(2, 4), torch.zeros(2, dtype=torch.long))
    ops = [node.op for node in graph.nodes]
    assert ops.count("input") == 2
    assert ops.count("embedding") == 1
    cell = next(n for n, node in enumerate(graph.nodes) if node.module == "cell")
    assert graph.loops == ((cell + 1, cell),)
    assert graph.nodes[cell].macs == 2 * 2 * 4 * 4
    # the tied layer is there, without a parameter of its own
    assert graph.nodes[graph.outputs[1]].parameters == ()
    assert all(u < v for u, v in graph.edges)


class Auxiliary(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head, self.extra = nn.Linear(4, 4), nn.Linear(4, 2), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        x = self.body(x)
        return (self.head(x), self.extra(x)) if self.training else self.head(x)


def test_auxiliary_classifier_is_met_in_training_mode() -> None:
    graph = trace(Auxiliary().eval(), torch.empty(1, 4))
    assert len(graph.outputs) == 2
    assert {p.name for p in graph.parameters} == dict(Auxiliary().named_parameters()).keys()


@pytest.mark.parametrize(
    ("layer", "shape", "ops"),
    [
        (nn.Conv1d(3, 4, 3), (1, 3, 9), ["conv", "bias"]),
        (nn.Conv3d(3, 4, 3), (1, 3, 5, 5, 5), ["conv", "bias"]),
        (nn.ConvTranspose2d(3, 4, 2), (1, 3, 5, 5), ["conv_transpose", "bias"]),
        (nn.GroupNorm(1, 3), (1, 3, 5, 5), ["group_norm"]),
        (nn.LSTM(3, 4, num_layers=2, batch_first=True), (1, 6, 3), ["recurrent"]),
        (nn.GRU(3, 4), (6, 1, 3), ["recurrent"]),
        (nn.PReLU(3), (1, 3, 5, 5), ["layer_scale"]),
        (nn.utils.parametrizations.weight_norm(nn.Linear(3, 4)), (1, 3), ["conv", "bias"]),
        (nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), (1, 6, 4), None),
    ],
)
def test_layers_of_every_kind(
    layer: nn.Module, shape: tuple[int, ...], ops: list[str] | None
) -> None:
    graph = trace(layer, torch.empty(shape))
    if ops is not None:
        assert [node.op for node in graph.nodes] == ["input", *ops]
    assert {p.name for p in graph.parameters} == {name for name, _ in layer.named_parameters()}


class RelativePosition(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(4, 12, bias=False)
        self.table = nn.Parameter(torch.zeros(9, 1))
        self.register_buffer("index", torch.arange(9).view(3, 3))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        scores = q @ k.transpose(-2, -1) + self.table[self.index].squeeze(-1)
        return scores.softmax(-1) @ v


def test_relative_position_bias_and_one_attention_node() -> None:
    graph = trace(RelativePosition(), torch.empty(1, 3, 4))
    assert [node.op for node in graph.nodes] == ["input", "conv", "msa", "rel_pos"]
    assert graph.nodes[2].macs == 2 * 3 * 3 * 4
    assert graph.parameters[1].role == "table"


class Bad(nn.Module):
    """A network with one thing wrong in a nested module."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.inner = nn.Linear(4, 4)
        self.inner.forward = self._inner  # type: ignore[method-assign]
        self.spare = nn.Linear(4, 4) if kind == "spare" else None

    def _inner(self, x: Tensor) -> Tensor:
        return F.linear(x, self.inner.weight, self.inner.bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inner(x)
        if self.kind == "control" and x.sum() > 0:
            x = -x
        if self.kind == "raises":
            raise RuntimeError("out of\ncheese")
        if self.kind == "spare":
            assert self.spare is not None
            self.spare(x)
        return x


def wrapped(model: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Linear(4, 4), model)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.layer(x) + y


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (wrapped(Bad("control")), r"module '1' \(Bad\).*data-dependent control flow"),
        (wrapped(Bad("raises")), r"module '1' \(Bad\): forward failed: RuntimeError: out of chee"),
        (wrapped(Bad("spare")), r"1\.spare\.weight \(its operation does not reach an output\)"),
        (Two(), r"does not take 1 inputs.*'y'.*pass every input"),
        (wrapped(nn.LazyLinear(3)), r"parameter 1\.weight is lazy"),
        (nn.Linear(5, 3), r"the model \(Linear\).*linear layer with weight"),
        (nn.Linear(4, 3, dtype=torch.complex64), r"parameter weight is torch\.complex64"),
    ],
)
def test_bad_models_raise_and_stay_as_they_are(model: nn.Module, message: str) -> None:
    model.train()
    before = [dict(vars(module)) for module in model.modules()]
    with pytest.raises(GraphError, match=message) as caught:
        trace(model, torch.empty(1, 4))
    assert "\n" not in str(caught.value)
    assert [dict(vars(module)) for module in model.modules()] == before


def test_parameters_of_other_types_and_devices() -> None:
    integer = nn.Linear(4, 4)
    integer.bias = nn.Parameter(torch.zeros(4, dtype=torch.int64), requires_grad=False)
    with pytest.raises(GraphError, match=r"parameter bias is torch\.int64"):
        trace(integer, torch.empty(1, 4))
    scattered = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4, device="meta"))
    with pytest.raises(GraphError, match=r"0\.weight is on cpu but 1\.weight is on meta"):
        trace(scattered, torch.empty(1, 4))


def test_unused_parameters_named_or_kept_aside() -> None:
    model = nn.Linear(4, 4)
    model.mask = nn.Parameter(torch.zeros(3))
    with pytest.raises(GraphError, match=r"mask \(no operation used it\)"):
        trace(model, torch.empty(1, 4))
    assert trace(model, torch.empty(1, 4), unused="keep").unused == ("mask",)
    with pytest.raises(GraphError, match="unused is 'drop'"):
        trace(model, torch.empty(1, 4), unused="drop")
    with pytest.raises(GraphError, match="input 0 is a list"):
        trace(model, [1.0])  # type: ignore[arg-type]


def test_ten_thousand_nodes_are_refused_or_allowed() -> None:
    model = nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(10_000)))
    with pytest.raises(GraphError, match=r"module '79\d\d' .*more than 8000 operations"):
        trace(model, torch.empty(1, 2))
    graph = trace(model, torch.empty(1, 2), max_nodes=20_000)
    assert len(graph) == 10_001


@pytest.mark.slow
def test_networks_that_the_research_code_refuses(torchvision_operators: torch.library.Library):
    torchvision = pytest.importorskip("torchvision")
    for name in ("vit_b_16", "swin_t", "maxvit_t", "efficientnet_b0", "regnet_y_400mf"):
        if name.startswith("regnet"):
            model = torchvision.models.get_model(name)
        else:
            with torch.device("meta"):
                model = torchvision.models.get_model(name)
        image = torch.empty(1, 3, 224, 224, device=next(model.parameters()).device)
        graph = trace(model, image)
        names = Counter(parameter.name for parameter in graph.parameters)
        assert names == Counter(name for name, _ in model.named_parameters()), name
