"""Generated videos for any test that needs some: a handful in each official layout."""

from pathlib import Path

import pytest

from vidprism import world


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``ucf101``, ``hmdb51``, ``ssv2`` and ``kinetics400``: two classes, three training and two
    test videos each.
    """
    root = tmp_path_factory.mktemp("tiny_world")
    world.tiny(root)
    return root
