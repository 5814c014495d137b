"""Image files are decoded as in training; those that cannot be read are named."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nascence.data import DataError, MissingDataError, load
from nascence.inference import classify, find_images, read_classifier
from nascence.inference.predictions import Prediction
from tests.inference.conftest import SIDE, Made


@pytest.mark.parametrize("kind", ["made", "made_grey"])
def test_every_photo_is_decoded_as_in_training(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    made: Made = request.getfixturevalue(kind)
    files = find_images([made.photos])
    assert len(files) == 16
    found = list(classify(read_classifier(made.path), files))
    by_hand = {}
    for split in (made.data.train, made.data.validation):
        with torch.no_grad():
            for image in made.model(made.data.normalise(split.images)).softmax(1):
                by_hand[tuple(np.round(image.numpy(), 4))] = True
    assert len(by_hand) == 16
    assert [each.image for each in found] == [str(path) for path in files]
    for each in found:
        assert each.probabilities is not None
        assert any(
            np.abs(np.array(known) - each.probabilities).max() < 2e-4 for known in by_hand
        ), each.image


def test_a_colour_photo_becomes_grey_for_a_grey_network(made_grey: Made, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "colour.png")
    Image.fromarray(pixels).convert("L").save(tmp_path / "grey.png")
    classifier = read_classifier(made_grey.path)
    colour, grey = classify(classifier, [tmp_path / "colour.png", tmp_path / "grey.png"])
    assert np.array_equal(colour.probabilities, grey.probabilities)


def test_what_cannot_be_read_is_named_and_the_others_are_classified(
    made: Made, tmp_path: Path
) -> None:
    good = find_images([made.photos])[4]
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "cut.png").write_bytes(good.read_bytes()[:200])
    files = [tmp_path / "empty.png", good, tmp_path / "text.jpg", tmp_path / "cut.png", good]
    found = list(classify(read_classifier(made.path), files))
    assert [each.probabilities is not None for each in found] == [False, True, False, False, True]
    assert [bool(each.problem) for each in found] == [True, False, True, True, False]
    assert found[0].problem == "is empty (0 bytes)"
    assert found[0].top(3) == []


def test_more_images_than_are_held_at_once(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nascence.inference.predictions.BLOCK", 3)
    files = find_images([made.photos])
    classifier = read_classifier(made.path)
    seen: list[int] = []
    found = list(classify(classifier, files, progress=seen.append))
    assert [each.image for each in found] == [str(path) for path in files]
    assert seen == [3, 6, 9, 12, 15, 16]
    alone = [next(iter(classify(classifier, [path]))) for path in files]
    for one, many in zip(alone, found, strict=True):
        assert np.allclose(one.probabilities, many.probabilities, atol=1e-6)


def test_top_classes_come_best_first() -> None:
    prediction = Prediction("x", np.array([0.2, 0.5, 0.3], np.float32))
    assert [index for index, _ in prediction.top(2)] == [1, 2]
    assert len(prediction.top(9)) == 3


def test_places(tmp_path: Path, made: Made) -> None:
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="no image in"):
        find_images([tmp_path])
    with pytest.raises(MissingDataError, match="nothing at"):
        find_images([tmp_path / "none.png"])
    with pytest.raises(DataError, match="no image was given"):
        find_images([])
    file = find_images([made.photos])[0]
    assert find_images([file, made.photos])[:2] == [file, file]


def test_no_torch_is_needed(made: Made) -> None:
    code = (
        "import sys; from pathlib import Path; from nascence.inference import *;"
        f"list(classify(read_classifier({str(made.path)!r}), find_images([{str(made.photos)!r}])));"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_data_is_loaded_the_same(made: Made) -> None:
    """The fixture's data are the photos, at the size that the network takes."""
    again = load(made.photos, size=SIDE, cache=False)
    assert again.fingerprint == made.data.fingerprint
