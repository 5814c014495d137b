"""What every family promises, and what a run may ask of each."""

import inspect
from collections.abc import Callable

import pytest

from nascence.design.families import FAMILIES, Family, family_of, optimizer_of
from nascence.design.folder import RunError
from nascence.design.run import Run
from nascence.design.settings import DesignSettings


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_keeps_the_protocol(name: str) -> None:
    family = FAMILIES[name]
    assert isinstance(family.why_random, str)
    assert family.starts[0] == "random"
    for method, expected in vars(Family).items():
        if inspect.isfunction(expected) and not method.startswith("_"):
            found = inspect.signature(getattr(type(family), method))
            assert list(found.parameters) == list(inspect.signature(expected).parameters), method


@pytest.mark.parametrize("name", [name for name in FAMILIES if name != "pretrained"])
def test_what_is_described_is_loaded(name: str, run_of: Callable[..., Run]) -> None:
    run, family = run_of(family=name, trials=2, steps=1, max_params=60_000), FAMILIES[name]
    found = family.search(run)
    model = family.build(run, found)
    described = {
        **family.describe(run, found),
        "classes": '["a", "b", "c"]',
        "image_shape": "[3, 8, 8]",
    }
    assert family.load(described).state_dict().keys() == model.state_dict().keys()
    assert family.skeleton(found.decisions, 8)
    for source, target, operation in family.cell_edges(found.decisions):
        assert source < target
        assert operation


def test_a_family_has_its_own_optimizer() -> None:
    assert optimizer_of(DesignSettings()) == "muon"
    assert optimizer_of(DesignSettings(family="cells")) == "sgd"
    assert optimizer_of(DesignSettings(family="mdeq")) == "adamw"
    assert optimizer_of(DesignSettings(family="mdeq", optimizer="learned")) == "learned"
    assert optimizer_of(DesignSettings(optimizer="adamw", start="predicted")) == "adamw"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"family": "trees"},
            "--family is 'trees'; it must be one of stages, cells",
        ),
        ({"family": "mdeq", "start": "predicted"}, "--start is 'predicted'.*it can be random"),
        ({"block": "repvgg"}, "--block is 'repvgg', which is for --family cells"),
        ({"family": "mdeq", "teacher": "run"}, "--teacher trains networks of --family stages"),
        ({"pretrained": "resnet18"}, "--pretrained NAME and --family pretrained belong together"),
        ({"family": "pretrained"}, "--pretrained NAME and --family pretrained belong together"),
        ({"family": "mdeq", "architecture": "stem2"}, "--architecture names .*family stages"),
        ({"family": "mdeq", "optimizer": "sgd"}, "--optimizer is 'sgd'.*adamw or learned"),
    ],
)
def test_what_a_family_cannot_is_said(settings: dict, message: str) -> None:
    with pytest.raises(RunError, match=message):
        family_of(DesignSettings(**settings))
