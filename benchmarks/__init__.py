"""Measurements of speed and size: each module has `run() -> dict`, printed by `make bench`. Never part of the tests."""
