"""Other units keep the loss and change the gradient."""

import pytest
import torch
from torch.func import grad

from nascence.task import stacks
from nascence.tasks import ReparametrisedFamily, family
from nascence.tasks.reparametrised import Units


@pytest.mark.parametrize("units", ["task", "tensor"])
@pytest.mark.parametrize("name", ["mlp", "function", "recurrent"])
def test_the_loss_stays_and_the_gradient_changes(
    name: str, units: Units, generator: torch.Generator
) -> None:
    plain, changed = family(name).task(3), ReparametrisedFamily(family(name), units).task(3)
    start = plain.init(generator=torch.Generator().manual_seed(1))
    moved = changed.init(generator=torch.Generator().manual_seed(1))
    batch = plain.batch("train", generator=generator)
    torch.testing.assert_close(changed.loss(moved, batch), plain.loss(start, batch))
    before, after = grad(plain.loss)(start, batch), grad(changed.loss)(moved, batch)
    found = dict(zip(sorted(start), changed.constants["parameter_units"], strict=True))
    for key, unit in found.items():
        scale = before[key].abs().max().item()
        torch.testing.assert_close(after[key] * unit, before[key], rtol=1e-3, atol=1e-4 * scale)
    different = {unit.item() for unit in found.values()}
    assert (len(different) == 1) == (units == "task" or len(found) == 1)


def test_units_fill_their_range_and_stack(generator: torch.Generator) -> None:
    tasks = [ReparametrisedFamily(family("quadratic")).task(k) for k in range(0, 1200, 6)]
    logs = torch.cat([task.constants["parameter_units"] for task in tasks]).log10()
    assert logs.abs().max() <= 3 + 1e-5
    assert abs(logs.mean()) < 0.4
    assert logs.std() > 1.5
    (stack,) = stacks(tasks)
    params = stack.init(generator=generator)
    assert torch.isfinite(stack.loss(params, stack.batch("test", generator=generator))).all()


def test_names_are_their_own() -> None:
    for name in ("mlp:units", "mlp:units-of-tensors"):
        made = family(name)
        assert made.name == name
        assert len(made) == len(family("mlp"))
        assert made.cost == family("mlp").cost == made.task(0).problem.cost  # type: ignore[attr-defined]
        assert made.task(5).name == f"{name}/5"
    with pytest.raises(IndexError, match="0 to 1199"):
        made.task(1200)
