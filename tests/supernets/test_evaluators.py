"""Scores from supernets against accuracies taken by hand."""

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from nascence.recalibration import recalibrate
from nascence.spaces import NB201, SmallSpace
from nascence.supernets import FewShotEvaluator, OneShotEvaluator, SuperNet, split

IMAGES = torch.randn(20, 3, 8, 8, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(20) % 2


def test_score_is_that_of_the_extracted_network(supernet: SuperNet) -> None:
    accuracy = OneShotEvaluator(supernet, IMAGES, LABELS, batch_size=10)
    loss = OneShotEvaluator(supernet, IMAGES, LABELS, batch_size=10, measure="loss")
    for architecture in [(3, 2, 1, 5), (0, 0, 0, 0), (4, 3, 2, 1)]:
        network = supernet.extract(architecture)
        logits = torch.cat([network(IMAGES[:10]), network(IMAGES[10:])])
        right = int((logits.argmax(1) == LABELS).sum())
        assert accuracy(architecture) == pytest.approx(right / 20)
        expected = -functional.cross_entropy(logits, LABELS).item()
        assert loss(architecture) == pytest.approx(expected, rel=1e-4)


def test_equal_paths_are_computed_once(supernet: SuperNet) -> None:
    evaluate = OneShotEvaluator(supernet, IMAGES, LABELS)
    calls = []
    supernet.network.stem.register_forward_hook(lambda *_: calls.append(1))
    assert evaluate((0, 3, 2, 1)) == evaluate((0, 3, 5, 1)) == evaluate((4, 3, 0, 1))
    assert len(calls) == 1
    evaluate((4, 3, 1, 1))
    assert len(calls) == 2


def test_recalibrated_score_is_that_of_the_path_with_its_own_statistics() -> None:
    torch.manual_seed(0)
    supernet = SuperNet(SmallSpace(width=4, classes=2), statistics="tracked", affine=True)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    batches = list(torch.randn(3, 16, 3, 8, 8))
    architecture = (3, 2, 1, 5)
    evaluate = OneShotEvaluator(
        supernet, IMAGES, LABELS, batch_size=7, measure="loss", recalibration=batches
    )
    network = supernet.extract(architecture).eval()
    params = dict(network.named_parameters())
    values = params | recalibrate(network, params, batches)
    logits = functional_call(network, values, (IMAGES,))
    expected = -functional.cross_entropy(logits, LABELS).item()
    assert evaluate(architecture) == pytest.approx(expected, rel=1e-4)
    assert all(torch.equal(value, before[name]) for name, value in supernet.state_dict().items())
    assert any(
        isinstance(module, nn.BatchNorm2d) and module.training for module in supernet.modules()
    )


def test_few_shot_scores_come_from_the_leaf_that_holds_the_architecture(
    supernet: SuperNet,
) -> None:
    sub_supernets = split(supernet, ["edge_0_2"])
    for place, sub_supernet in enumerate(sub_supernets):
        with torch.no_grad():
            sub_supernet.network.classifier.bias.add_(torch.tensor([float(place), 0.0]))
    evaluate = FewShotEvaluator(sub_supernets, IMAGES, LABELS, measure="loss")
    for index in range(6):
        own = OneShotEvaluator(sub_supernets[index], IMAGES, LABELS, measure="loss")
        assert evaluate((3, index, 2, 1)) == own((3, index, 2, 1))
        assert evaluate.evaluator_of((3, index, 2, 1)).supernet is sub_supernets[index]
    fresh = FewShotEvaluator(split(supernet, ["edge_0_2"]), IMAGES, LABELS)
    whole = OneShotEvaluator(supernet, IMAGES, LABELS)
    assert all(fresh(a) == whole(a) for a in [(3, 2, 1, 5), (1, 4, 2, 2)])


def test_description_follows_the_weights(supernet: SuperNet) -> None:
    first = OneShotEvaluator(supernet, IMAGES, LABELS).description
    assert first == OneShotEvaluator(supernet, IMAGES, LABELS).description
    with torch.no_grad():
        next(supernet.parameters()).add_(1)
    assert first != OneShotEvaluator(supernet, IMAGES, LABELS).description


def test_impossible_settings_are_named(supernet: SuperNet) -> None:
    tracked = SuperNet(SmallSpace(width=4, classes=2), statistics="tracked")
    for changes, message in (
        ({"labels": LABELS[:3]}, "20 images, 3 labels"),
        ({"measure": "tau"}, "measure is 'tau'"),
        ({"recalibration": [IMAGES]}, "takes none"),
        ({"supernet": tracked}, "needs batches for recalibration"),
    ):
        settings = {"supernet": supernet, "images": IMAGES, "labels": LABELS, **changes}
        with pytest.raises(ValueError, match=message):
            OneShotEvaluator(**settings)
    sub_supernets = split(supernet, ["edge_0_2"])
    with pytest.raises(ValueError, match="no sub-supernet"):
        FewShotEvaluator([], IMAGES, LABELS)
    with pytest.raises(ValueError, match="hold the same architectures"):
        FewShotEvaluator([*sub_supernets, sub_supernets[0]], IMAGES, LABELS)
    with pytest.raises(ValueError, match="different spaces"):
        FewShotEvaluator([sub_supernets[0], SuperNet(NB201(width=4, cells=1))], IMAGES, LABELS)
    with pytest.raises(ValueError, match="none of the 2 sub-supernets holds"):
        FewShotEvaluator(sub_supernets[:2], IMAGES, LABELS)((0, 5, 0, 0))
