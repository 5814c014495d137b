"""Evaluation against its definition."""

import pytest
import torch
from torch.nn import functional

from nascence.training import evaluate, mean_recall


def test_evaluation_equals_the_definition(bright_or_dark, network) -> None:
    data, model = bright_or_dark(10), network().eval()
    result = evaluate(model.train(), data.validation, data.normalise, batch_size=3)
    assert model.training
    with torch.no_grad():
        logits = model.eval()(data.normalise(data.validation.images))
    torch.testing.assert_close(result.logits, logits)
    right = [
        int(row.argmax()) == int(label)
        for row, label in zip(logits, data.validation.labels, strict=True)
    ]
    assert result.accuracy == pytest.approx(sum(right) / 10)
    assert result.loss == pytest.approx(
        functional.cross_entropy(logits, data.validation.labels).item(), rel=1e-5
    )


def test_mean_recall_of_classes_that_occur() -> None:
    labels, predicted = torch.tensor([0] * 8 + [2] * 2), torch.tensor([0] * 8 + [2, 1])
    assert mean_recall(predicted, labels) == pytest.approx((1 + 0.5) / 2)
    assert mean_recall(torch.zeros(10, dtype=torch.long), labels) == 0.5
