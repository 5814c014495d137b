"""ONNX Runtime Web: fetched once from the npm registry, checked, and kept with its licence.

It is no part of this package: 14 MB of WebAssembly under the MIT licence of its authors.
"""

import base64
import hashlib
import io
import tarfile
import urllib.error
import urllib.request
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from nascence.core.files import write_whole
from nascence.data.cache import default_folder

VERSION = "1.30.0"
ADDRESS = f"https://registry.npmjs.org/onnxruntime-web/-/onnxruntime-web-{VERSION}.tgz"
INTEGRITY = (
    "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
)
"""SHA-512 of the file, as the registry gives it."""
SCRIPT, BINARY, LICENCE = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm", "LICENSE"
OTHER_WAY = (
    f"on a machine with npm, `npm pack onnxruntime-web@{VERSION}` makes the file; give it with "
    "--runtime"
)


class RuntimeUnavailableError(OSError):
    """ONNX Runtime Web is neither kept nor to be had; the message says what to do."""


class BrowserRuntime(NamedTuple):
    """What a page needs to run ONNX files.

    Attributes:
        script: A JavaScript module.
        binary: WebAssembly.
        licence: That both are under.
    """

    script: bytes
    binary: bytes
    licence: str


def browser_runtime(file: Path | None = None, *, seconds: float = 60.0) -> BrowserRuntime:
    """Read ONNX Runtime Web from the cache, or fetch it first.

    Args:
        file: The package as npm packs it, in place of fetching it.
        seconds: How long to wait for an answer of the registry.

    Raises:
        RuntimeUnavailableError: It cannot be fetched, or is not the version that is expected.
    """
    cache = default_folder()
    folder = None if cache is None else cache / f"onnxruntime-web-{VERSION}"
    if file is None and folder is not None and (found := _kept(folder)) is not None:
        return found
    found = _unpacked(_fetched(seconds) if file is None else _read(file))
    if folder is not None:
        for name, content in zip((SCRIPT, BINARY), found, strict=False):
            assert isinstance(content, bytes)
            write_whole(folder / name, content)
        write_whole(folder / LICENCE, found.licence.encode())  # last: an entry with it is whole
    return found


def _kept(folder: Path) -> BrowserRuntime | None:
    try:
        script, binary, licence = ((folder / n).read_bytes() for n in (SCRIPT, BINARY, LICENCE))
    except OSError:
        return None
    return BrowserRuntime(script, binary, licence.decode())


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise RuntimeUnavailableError(
            f"{file} cannot be read ({error.strerror or error}); {OTHER_WAY}"
        ) from error


def _fetched(seconds: float) -> bytes:
    try:
        with urllib.request.urlopen(ADDRESS, timeout=seconds) as answer:
            content: bytes = answer.read()
    except (OSError, ValueError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", None) or error
        raise RuntimeUnavailableError(
            f"{ADDRESS}, which runs networks in browsers, cannot be fetched ({reason}); {OTHER_WAY}"
        ) from error
    return content


def _unpacked(content: bytes) -> BrowserRuntime:
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != INTEGRITY:
        raise RuntimeUnavailableError(
            f"what was read is not onnxruntime-web {VERSION}: its SHA-512 is {found[:16]}..., not "
            f"{INTEGRITY[:16]}...; {OTHER_WAY}"
        )
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        members = [archive.extractfile(f"package/dist/{name}") for name in (SCRIPT, BINARY)]
        script, binary = (member.read() for member in members if member is not None)
    # The npm package names its licence and leaves the text out; Python's package has it.
    return BrowserRuntime(script, binary, files("onnxruntime").joinpath(LICENCE).read_text())
