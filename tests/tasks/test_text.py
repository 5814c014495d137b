"""Invented languages keep their grammar and their splits."""

import hashlib
from collections import Counter
from itertools import pairwise

import torch

from nascence.task import TASK_SPLITS
from nascence.tasks.text import (
    ALPHABET,
    LANGUAGES,
    LENGTH,
    PLACES,
    corpora,
    draw_places,
    language,
    places_of,
    sample_text,
    windows,
)


def test_a_language_is_the_same_everywhere() -> None:
    language.cache_clear()
    digest = hashlib.sha256(language(3).encode()).hexdigest()
    language.cache_clear()
    language(0)
    assert hashlib.sha256(language(3).encode()).hexdigest() == digest
    assert digest.startswith("7eeab3306e52696b")


def test_languages_differ_and_have_words_of_their_own() -> None:
    words = [set(language(k).replace(".", "").replace(",", "").split()) for k in range(LANGUAGES)]
    assert len({language(k) for k in range(LANGUAGES)}) == LANGUAGES
    for one, other in pairwise(words):
        assert 60 < len(one) < 220
        assert len(one & other) < 0.2 * len(one)


def test_the_grammar_holds() -> None:
    for k in range(LANGUAGES):
        text = language(k)
        assert len(text) == LENGTH
        assert set(text) <= set(ALPHABET)
        assert "  " not in text
        assert " ." not in text
        for sentence in text.split(". ")[:-1]:
            assert 2 <= len(sentence.replace(",", "").split()) < 200
        counts = Counter(text.replace(".", "").replace(",", "").split())
        most, middle = (counts.most_common()[place][1] for place in (0, len(counts) // 2))
        assert most > 10 * middle  # as Zipf has it


def test_numbers_are_those_of_the_text_and_splits_are_apart(generator: torch.Generator) -> None:
    assert corpora().shape == (LANGUAGES, LENGTH)
    bounds = sorted(PLACES.values())
    assert all(a[1] <= b[0] for a, b in pairwise(bounds))
    for split in TASK_SPLITS:
        (places,) = draw_places(2, 300, split, length=13, generator=generator)
        assert places.shape == (2, 300)
        assert places.min() >= PLACES[split][0]
        assert places.max() + 13 <= PLACES[split][1]
    rows = windows(torch.tensor(2), places[0], length=13)
    start = int(places[0, 0])
    assert "".join(ALPHABET[c] for c in rows[0]) == language(2)[start : start + 13]
    mixed = windows(torch.tensor([5, 1]), places[0, :2], length=4)
    start = int(places[0, 1])
    assert "".join(ALPHABET[c] for c in mixed[1]) == language(1)[start : start + 4]


def test_training_text_is_folded_and_the_rest_apart(generator: torch.Generator) -> None:
    constants = sample_text(generator=generator)
    constants |= {"characters": torch.tensor(700), "seen": torch.tensor(False)}
    drawn = torch.tensor([12, 1399, 14_000, 19_000])
    assert places_of(constants, drawn).tolist() == [12, 699, 14_000, 19_000]
    constants["seen"] = torch.tensor(True)
    assert places_of(constants, drawn).max() < 700
    assert sorted(constants["languages"].tolist()) == list(range(LANGUAGES))
