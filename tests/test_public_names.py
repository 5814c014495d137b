"""The public names exist, and importing the package loads nothing."""

import subprocess
import sys

import nascence


def test_every_public_name_resolves() -> None:
    for name in nascence.__all__:
        assert getattr(nascence, name) is not None


def test_functions_stay_functions_after_their_modules_are_imported() -> None:
    import nascence.training

    assert callable(nascence.train)
    assert callable(nascence.fold)


def test_unknown_name() -> None:
    import pytest

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = nascence.nothing


def test_importing_loads_no_torch() -> None:
    code = "import sys, nascence; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
