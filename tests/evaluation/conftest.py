"""The generated videos that the tests of pictures read."""

from tests.world_fixture import tiny_world

__all__ = ["tiny_world"]
