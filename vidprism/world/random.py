"""The same draws on every machine: independent random streams, one per name, so that none depends on the order in which
videos are made, and the rounding of what is computed from them.
"""

from __future__ import annotations

import hashlib

import numpy as np

# Sines, roots and powers are rounded to this many decimals, because NumPy's differ in their last bit between CPUs with
# and without AVX-512.
DECIMALS = 9


def stream(*keys: object) -> np.random.Generator:
    """A generator that depends on its keys alone, for example ``stream(seed, "ucf101", class_name, group)``.

    The keys are hashed with SHA-256, whose value (unlike Python's ``hash``) is the same in every process.
    """
    digest = hashlib.sha256("\x1f".join(map(str, keys)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))
