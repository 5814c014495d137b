"""The compiled loops: where they are kept, what stops them."""

from pathlib import Path

import pytest

from nascence.optim import Adam, Small, native
from nascence.optim.native import compiled, library

SOURCE = "small/step.cpp"


@pytest.fixture(autouse=True)
def _forget() -> None:
    library.cache_clear()


def test_it_is_compiled_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASCENCE_CACHE", str(tmp_path))
    library(SOURCE, 3)
    (made,) = (tmp_path / "compiled").iterdir()
    library.cache_clear()
    monkeypatch.setattr(native, "_compile", None)
    library(SOURCE, 3)
    assert list((tmp_path / "compiled").iterdir()) == [made]


def test_it_does_without_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASCENCE_CACHE", "")
    assert library(SOURCE, 2).apply is not None


@pytest.mark.parametrize(
    ("compiler", "message"), [("no-such-compiler", "found none"), ("false", "cannot compile")]
)
def test_a_compiler_that_is_missing_or_fails_is_told(
    compiler: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NASCENCE_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", compiler)
    with pytest.raises(OSError, match=message):
        compiled(Small())


def test_an_optimizer_without_one_is_refused() -> None:
    with pytest.raises(ValueError, match="Adam has no compiled step; Small and Hierarchical"):
        compiled(Adam())


def test_the_optimizer_that_was_given_stays() -> None:
    optimizer = Small(2)
    assert compiled(optimizer).compiled
    assert not optimizer.compiled
