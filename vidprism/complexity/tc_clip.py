"""TC-CLIP: CLIP's towers, both trained, with context tokens in every block."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost, linear, products, table, total, transformer_layer

VECTORS, TEXT_TOKENS = 4, 20  # before a class name; of a class text, about


def clips(tower: Tower, n_classes: int, frames: int, seeds: float, context: int, label_smoothing: float) -> Adapted:
    """See `vidprism.methods.tc_clip`. Merging is left out; the last text block runs for each video."""
    assert tower.text is not None
    width, n_seeds = tower.width, max(1, int(seeds * tower.patches))
    n = min(context, max(1, n_seeds * frames // 4))
    seen = linear(n, width, width).macs * 2 + frames * products(tower.tokens, n, width).macs
    looks = frames * products(1, tower.tokens, width).macs // 2
    fed = 2 * n * int(tower.mlp_ratio * width) * width
    inside = Cost((tower.layers - 1) * seen + tower.layers * (fed + looks) + n * width * tower.dim)
    heads = width // tower.head_width
    new = table(tower.layers - 1, heads, 2) + table(VECTORS, tower.text.width)
    layer = transformer_layer(n_classes * VECTORS, tower.text.width).parameters
    view = total(tower.view(frames), inside, new, Cost(0, layer + tower.text.parameters), Cost(tower.dim * n_classes))
    return Adapted(view, view.parameters)


def text_macs(tower: Tower, n_classes: int, n_tokens: int, n_context: int) -> int:
    """What a video adds on the text side: its context seen by the words before each name, and the last block."""
    assert tower.text is not None
    width = tower.text.width
    words = n_classes * VECTORS
    cross = 12 * words * width**2 + 3 * n_context * width**2 + products(words, n_context, width).macs
    block = 12 * n_classes * n_tokens * width**2 + n_classes * products(n_tokens, n_tokens, width).macs
    return cross + block + n_classes * width * tower.dim
