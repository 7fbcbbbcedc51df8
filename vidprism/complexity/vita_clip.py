"""Vita-CLIP: learned tokens inside CLIP's frozen towers."""

from __future__ import annotations

from vidprism.complexity.clip import Tower
from vidprism.complexity.cost import Adapted, Cost, attention, linear, norm, table, total


def clips(tower: Tower, n_classes: int, frames: int, global_prompts: int, words: int, cls_proj: str) -> Adapted:
    """See `vidprism.methods.vita_clip`. The texts with their learned words are encoded once for all videos."""
    assert tower.text is not None
    width, seen = tower.width, tower.tokens + global_prompts + frames + 1
    maps = linear(frames, width, width)
    summaries = total(norm(width), attention(frames, width), table(global_prompts, width), table(frames, width))
    wider = attention(seen, width).macs - attention(tower.tokens, width).macs
    mlp = 2 * global_prompts * int(tower.mlp_ratio * width) * width
    longer = Cost(frames * (wider + mlp))
    tables = table(frames, width) + table(n_classes, words, tower.text.width)
    block = total(maps, summaries, longer).times(tower.layers)
    view = total(tower.view(frames), block, tables, Cost(tower.dim * n_classes))
    frozen = 0 if cls_proj == "trained" else tower.layers * maps.parameters
    return Adapted(view, block.parameters + tables.parameters - frozen + 1)  # the factor on cosines trains
