from __future__ import annotations

import os
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def lsl_on_this_computer(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """pylsl, so configured that streams are found on this computer only; also in processes that are started."""
    # Read once, when the library is first used.
    config = tmp_path_factory.mktemp("lsl") / "lsl_api.cfg"
    config.write_text("[multicast]\nResolveScope = machine\n[log]\nlevel = -2\n")
    os.environ["LSLAPICFG"] = str(config)
    try:
        return pytest.importorskip("pylsl")
    except RuntimeError as error:
        pytest.skip(f"pylsl finds no liblsl: {error}")
