"""ONNX Runtime Web comes from the cache or the registry, whole, checked and with its licence."""

import io
import tarfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from nascence.inference import browser_runtime as module
from nascence.inference.browser_runtime import RuntimeUnavailableError, browser_runtime


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NASCENCE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / f"onnxruntime-web-{module.VERSION}"


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A package of the right shape, whose hash is the one that is expected."""
    import base64
    import hashlib

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in ((module.SCRIPT, b"script"), (module.BINARY, b"binary")):
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    digest = base64.b64encode(hashlib.sha512(buffer.getvalue()).digest()).decode()
    monkeypatch.setattr(module, "INTEGRITY", digest)
    return buffer.getvalue()


def refuse(*_: object, **__: object) -> None:
    raise urllib.error.URLError("no network")


def test_it_is_fetched_once_and_kept_with_its_licence(
    cache: Path, package: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def answer(address: str, timeout: float) -> io.BytesIO:
        asked.append(address)
        return io.BytesIO(package)

    monkeypatch.setattr(urllib.request, "urlopen", answer)
    first = browser_runtime()
    assert first[:2] == (b"script", b"binary")
    assert first.licence.startswith("MIT License")
    assert "Microsoft" in first.licence
    assert asked == [module.ADDRESS]
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert browser_runtime() == first
    assert (cache / "LICENSE").read_text() == first.licence
    (cache / "LICENSE").unlink()  # as where a writer was killed
    with pytest.raises(RuntimeUnavailableError):
        browser_runtime()


def test_without_a_network_one_line_says_what_to_do(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    with pytest.raises(RuntimeUnavailableError, match=r"\(no network\); .*npm pack") as caught:
        browser_runtime()
    assert "\n" not in str(caught.value)
    assert not cache.exists()


def test_a_file_takes_the_place_of_the_registry(
    cache: Path, package: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    (tmp_path / "x.tgz").write_bytes(package)
    assert browser_runtime(tmp_path / "x.tgz").script == b"script"
    assert browser_runtime().binary == b"binary"
    (tmp_path / "x.tgz").write_bytes(package[:-9])
    with pytest.raises(RuntimeUnavailableError, match="SHA-512"):
        browser_runtime(tmp_path / "x.tgz")
    with pytest.raises(RuntimeUnavailableError, match="cannot be read"):
        browser_runtime(tmp_path / "none.tgz")
