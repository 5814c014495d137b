"""The conventions of torch.optim, over all learned optimizers, and AdamW as control."""

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nascence.optim import FeedForward, Hierarchical, Learned, LearnedOptimizer, Small

pytestmark = pytest.mark.filterwarnings("ignore:the optimizer uses the training loss")

MakeOptimizer = Callable[..., torch.optim.Optimizer]
ARCHITECTURES: dict[str, Callable[[], LearnedOptimizer]] = {
    "small": Small,
    "hierarchical": Hierarchical,
    "feed-forward": FeedForward,
}


def learned(name: str) -> MakeOptimizer:
    return lambda params, **settings: Learned(params, weights=ARCHITECTURES[name](), **settings)


MAKERS: dict[str, MakeOptimizer] = {
    **{name: learned(name) for name in ARCHITECTURES},
    "adamw": lambda params, **settings: torch.optim.AdamW(
        params, **{"weight_decay": 0.0, "lr": 0.01, **settings}
    ),
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest) -> MakeOptimizer:
    return MAKERS[request.param]


@pytest.fixture(params=ARCHITECTURES)
def make_learned(request: pytest.FixtureRequest) -> MakeOptimizer:
    return learned(request.param)


def network(dtype: torch.dtype = torch.float32) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1)).to(dtype)


def loss_of(model: nn.Module, step: int = 0) -> Tensor:
    dtype = next(model.parameters()).dtype
    inputs = torch.randn(16, 6, generator=torch.Generator().manual_seed(step)).to(dtype)
    return (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()


def train(model: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        optimizer.zero_grad()
        loss_of(model, step).backward()
        optimizer.step()


def values(model: nn.Module) -> list[Tensor]:
    return [value.detach().clone() for value in model.parameters()]


def test_a_closure_is_called_and_its_loss_returned(make: MakeOptimizer) -> None:
    model = network()
    optimizer = make(model.parameters())

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = loss_of(model)
        loss.backward()
        return loss

    expected = loss_of(model).item()
    assert optimizer.step(closure).item() == expected
    assert optimizer.step(closure).item() < expected
    assert optimizer.step(None) is None  # as Accelerate and the Hugging Face Trainer call it


def test_the_loss_falls(make: MakeOptimizer) -> None:
    model = network()
    optimizer = make(model.parameters())
    before = loss_of(model).item()
    train(model, optimizer, range(100))
    assert loss_of(model).item() < 0.97 * before


def test_groups_have_their_own_rate_and_decay(make: MakeOptimizer) -> None:
    model = network()
    before = values(model)
    groups = [
        {"params": model[0].parameters(), "lr": 0.0},
        {"params": model[2].parameters(), "weight_decay": 0.5},
    ]
    optimizer = make(groups)
    train(model, optimizer, range(2))
    after = values(model)
    assert all(torch.equal(a, b) for a, b in zip(before[:2], after[:2], strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(before[2:], after[2:], strict=True))


def test_weight_decay_shrinks(make: MakeOptimizer) -> None:
    ends = []
    for decay in (0.0, 5.0):
        value = nn.Parameter(torch.full((3, 3), 2.0))
        optimizer = make([value], weight_decay=decay)
        for _ in range(3):
            value.grad = torch.zeros_like(value)
            optimizer.step()
        ends.append(value.detach().norm().item())
    assert ends[1] < ends[0]


def test_a_scheduler_moves_the_rate(make: MakeOptimizer) -> None:
    model = network()
    optimizer = make(model.parameters())
    first = optimizer.param_groups[0]["lr"]
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.0 if step else 1.0)
    assert optimizer.param_groups[0]["lr"] == first
    train(model, optimizer, range(1))
    scheduler.step()
    held = values(model)
    train(model, optimizer, range(1, 3))
    torch.testing.assert_close(values(model), held, rtol=0, atol=0)


def test_a_group_can_be_added_on_the_way(make: MakeOptimizer) -> None:
    model = network()
    optimizer = make(model[0].parameters())
    train(model, optimizer, range(2))
    optimizer.add_param_group({"params": model[2].parameters()})
    before = values(model)
    train(model, optimizer, range(2, 4))
    assert not any(torch.equal(a, b) for a, b in zip(before, values(model), strict=True))


def test_parameters_without_gradient_stay(make: MakeOptimizer) -> None:
    model = network()
    optimizer = make(model.parameters())
    model[2].requires_grad_(False)
    before = values(model)
    train(model, optimizer, range(2))
    after = values(model)
    assert all(torch.equal(a, b) for a, b in zip(before[2:], after[2:], strict=True))
    optimizer.zero_grad()
    optimizer.step()  # with no gradient at all


def test_scalars_empty_and_strided_parameters(make: MakeOptimizer) -> None:
    scalar, empty = nn.Parameter(torch.tensor(2.0)), nn.Parameter(torch.zeros(0, 3))
    strided = nn.Parameter(torch.ones(5, 4).t())
    optimizer = make([scalar, empty, strided])
    for _ in range(3):
        optimizer.zero_grad()
        (scalar**2 + empty.sum() + strided.square().sum()).backward()
        optimizer.step()
    assert scalar < 2
    assert (strided < 1).all()


def test_bfloat16_stays_bfloat16(make: MakeOptimizer) -> None:
    half_precision(make, torch.bfloat16)


def test_float16_stays_float16(make_learned: MakeOptimizer) -> None:
    # AdamW is no control here: its epsilon is zero in float16, and its steps are infinite.
    half_precision(make_learned, torch.float16)


def half_precision(make: MakeOptimizer, dtype: torch.dtype) -> None:
    model = network(dtype)
    before = values(model)
    train(model, make(model.parameters()), range(3))
    for new in model.parameters():
        assert new.dtype == dtype
        assert torch.isfinite(new).all()
    assert any(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_gradient_scaler_skips_what_overflowed(make: MakeOptimizer) -> None:
    model = network()
    optimizer = make(model.parameters())
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for poison in (False, True):
        before = values(model)
        optimizer.zero_grad()
        scaler.scale(loss_of(model)).backward()
        if poison:
            model[0].weight.grad[0, 0] = torch.inf
        scaler.step(optimizer)
        scaler.update()
        moved = not all(torch.equal(a, b) for a, b in zip(before, values(model), strict=True))
        assert moved is not poison
    assert scaler.get_scale() == 2.0


def test_a_deep_copy_goes_the_same_way(make: MakeOptimizer) -> None:
    model = network()
    optimizer = make(model.parameters())
    train(model, optimizer, range(3))
    model2, optimizer2 = copy.deepcopy((model, optimizer))
    train(model, optimizer, range(3, 6))
    train(model2, optimizer2, range(3, 6))
    torch.testing.assert_close(values(model2), values(model), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_resumed_training_is_bit_equal(make: MakeOptimizer, dtype: torch.dtype) -> None:
    model = network(dtype)
    optimizer = make(model.parameters())
    train(model, optimizer, range(4))
    file = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    train(model, optimizer, range(4, 8))
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    again = network(dtype)
    again.load_state_dict(saved["model"])
    resumed = make(again.parameters())
    keys = set(saved["optimizer"])
    resumed.load_state_dict(saved["optimizer"])
    assert set(saved["optimizer"]) == keys
    train(again, resumed, range(4, 8))
    # torch's own AdamW turns its state into the dtype of the parameter, where it began in it.
    torch.testing.assert_close(values(again), values(model), rtol=0, atol=0)


def test_an_empty_parameter_list_is_refused(make: MakeOptimizer) -> None:
    with pytest.raises(ValueError, match="empty parameter list"):
        make([])


def test_zero_gradients_leave_everything_finite(make: MakeOptimizer) -> None:
    model = network()
    optimizer = make(model.parameters())
    for _ in range(3):
        for value in model.parameters():
            value.grad = torch.zeros_like(value)
        optimizer.step()
    train(model, optimizer, range(3))
    assert all(torch.isfinite(value).all() for value in model.parameters())


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_a_bad_gradient_is_skipped_and_told(make_learned: MakeOptimizer, bad: float) -> None:
    model = network()
    optimizer = make_learned(model.parameters())
    train(model, optimizer, range(2))
    before, state = values(model), copy.deepcopy(optimizer.state_dict())
    loss_of(model).backward()
    model[0].weight.grad[0, 0] = bad
    with pytest.warns(RuntimeWarning, match="not finite"):
        optimizer.step()
    assert optimizer.skipped_steps == 1  # type: ignore[attr-defined]
    torch.testing.assert_close(values(model), before, rtol=0, atol=0)
    torch.testing.assert_close(optimizer.state_dict()["state"], state["state"], rtol=0, atol=0)


def test_huge_gradients_and_bad_losses_do_no_harm(make_learned: MakeOptimizer) -> None:
    model = network()
    optimizer = make_learned(model.parameters())
    for step, loss in enumerate((1.0, torch.nan, torch.inf, 1e38, None)):
        optimizer.zero_grad()
        loss_of(model, step).backward()
        for value in model.parameters():
            value.grad *= 10.0 ** (9 * step)
        optimizer.step(loss=loss)  # type: ignore[call-arg]
    train(model, optimizer, range(5))
    assert all(torch.isfinite(value).all() for value in model.parameters())


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int64])
def test_complex_and_integer_parameters_are_refused(
    make_learned: MakeOptimizer, dtype: torch.dtype
) -> None:
    value = torch.zeros(3, dtype=dtype)
    with pytest.raises(ValueError, match="real floating-point"):
        make_learned([value])


def test_sparse_gradients_are_refused(make_learned: MakeOptimizer) -> None:
    table = nn.Embedding(5, 3, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(RuntimeError, match="sparse"):
        make_learned(table.parameters()).step()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -1.0}, "lr=-1.0"),
        ({"lr": torch.inf}, "lr=inf.*finite"),
        ({"lr": "0.1"}, "a rate is .0.1.; give a number"),
        ({"lr": torch.nan}, "lr=nan.*finite"),
        ({"weight_decay": torch.inf}, "weight_decay=inf.*finite"),
        ({"num_steps": 0}, "num_steps is 0"),
        ({"state_dtype": torch.int8}, "float32 or bfloat16"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Learned([nn.Parameter(torch.ones(2))], weights=Small(), **settings)


def test_a_training_beyond_its_announced_end_goes_on(make_learned: MakeOptimizer) -> None:
    model = network()
    optimizer = make_learned(model.parameters(), num_steps=2)
    train(model, optimizer, range(6))
    assert all(torch.isfinite(value).all() for value in model.parameters())


@pytest.mark.parametrize("other", ["small", "adamw", "weights"])
def test_the_state_of_another_optimizer_is_refused(other: str) -> None:
    model = network()
    ours = learned("hierarchical")(model.parameters())
    train(model, ours, range(2))
    if other == "weights":
        theirs: Any = Learned(model.parameters(), weights=Hierarchical(nominal=None))
    else:
        theirs = MAKERS[other](model.parameters())
    train(model, theirs, range(2))
    before = copy.deepcopy(ours.state_dict()["state"])
    with pytest.raises(ValueError, match=r"load it into|the same weights"):
        ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(ours.state_dict()["state"], before, rtol=0, atol=0)


def test_all_ways_to_give_the_loss_are_one() -> None:
    ends = []
    for way in ("closure", "argument", "setter", "nothing"):
        model = network()
        optimizer = Learned(model.parameters(), weights=Hierarchical())
        for step in range(5):
            optimizer.zero_grad()
            loss = loss_of(model, step)
            loss.backward()
            if way == "closure":
                optimizer.step(lambda loss=loss: loss)
            elif way == "argument":
                optimizer.step(loss=loss.item())
            elif way == "setter":
                optimizer.loss = loss
                optimizer.step()
            elif step:
                optimizer.step()
            else:
                with pytest.warns(RuntimeWarning, match="did not get one"):
                    optimizer.step()
        ends.append(values(model))
    for end in ends[1:3]:
        torch.testing.assert_close(end, ends[0], rtol=1e-6, atol=1e-7)
    assert any(not torch.equal(a, b) for a, b in zip(ends[0], ends[3], strict=True))


@pytest.mark.parametrize(("name", "most"), [("small", 16), ("hierarchical", 40)])
def test_the_state_is_no_larger_than_published(name: str, most: float) -> None:
    model = nn.Linear(500, 400)
    for dtype, share in ((torch.float32, 1.0), (torch.bfloat16, 0.5)):
        optimizer = learned(name)(model.parameters(), state_dtype=dtype)
        model(torch.ones(500)).sum().backward()
        optimizer.step()
        size = sum(
            slot.numel() * slot.element_size()
            for slots in optimizer.state.values()
            for slot in slots.values()
        )
        count = sum(value.numel() for value in model.parameters())
        # Beyond it only rows, columns and what a whole tensor has: under one per cent.
        assert size / count < 1.02 * share * most


def test_a_bfloat16_state_goes_nearly_the_same_way() -> None:
    ends = []
    for dtype in (torch.float32, torch.bfloat16):
        model = network()
        before = torch.cat([value.flatten() for value in values(model)])
        train(model, learned("small")(model.parameters(), state_dtype=dtype), range(20))
        ends.append(torch.cat([value.flatten() for value in values(model)]) - before)
    assert torch.cosine_similarity(*ends, dim=0) > 0.95


@pytest.mark.parametrize(
    ("name", "compiled"),
    [*((name, False) for name in ARCHITECTURES), ("small", True), ("hierarchical", True)],
)
def test_the_fast_step_is_the_plain_one_over_2000_steps(name: str, compiled: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    plain = ARCHITECTURES[name]().requires_grad_(False)
    fast = nn.Parameter(torch.randn(9, 5, generator=generator))
    params = {"": fast.detach().clone()}
    optimizer = Learned([fast], weights=plain, num_steps=2000, compiled=compiled)
    state = plain.init(params, num_steps=2000)
    for step in range(2000):
        loss = torch.tensor(1 + 1 / (1 + step))
        grad = torch.randn(9, 5, generator=generator) + 0.1
        fast.grad = grad
        optimizer.step(loss=loss)
        updates, state = plain.update({"": grad}, state, params, loss=loss)
        params = {"": params[""] + updates[""]}
    torch.testing.assert_close(fast.detach(), params[""], rtol=1e-5, atol=2e-5)
