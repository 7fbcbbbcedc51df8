"""Pack a small CLIP that the suite has pre-trained into a file small enough for git.

    python -m tools.compact_clip full mini_clip

It reads `data/backbones/<profile>/<model>/`, where the stage `pretrain` puts the model, and writes
`data/weights/<model>.safetensors`: values in half precision, and of the token table only the rows that pre-training
changed. `vidprism.backbones.clip` reads such a file. The profile `full` uses two of them, because pre-training on
another kind of CPU gives other weights, and rows that were measured on different machines belong in one table.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from vidprism.backbones._checkpoints import WEIGHTS_FILE
from vidprism.backbones.clip import TOKEN_TABLE, TOKENS_KEPT, create
from vidprism.config import load_config, paths

MOVED = 1e-3  # norm of what training added to a row; weight decay alone leaves 3e-7, and a word of a caption 0.1


def trained_tokens(before_VW: Tensor, after_VW: Tensor) -> Tensor:
    """The tokens whose rows changed by more than the factor of weight decay, which all other rows share."""
    factors = (after_VW * before_VW).sum(1) / before_VW.square().sum(1)
    return ((after_VW - factors.median() * before_VW).norm(dim=1) > MOVED).nonzero().squeeze(1)


def compact(weights: dict[str, Tensor], before_VW: Tensor) -> dict[str, Tensor]:
    """The weights in float16 with the rows of trained tokens only; `before_VW` is the table before training."""
    kept = trained_tokens(before_VW, weights[TOKEN_TABLE])
    rows = weights | {TOKEN_TABLE: weights[TOKEN_TABLE][kept]}
    return {name: value.half().contiguous() for name, value in rows.items()} | {TOKENS_KEPT: kept.int()}


def main(profile: str, model: str) -> Path:
    """Pack one model of a profile; the path of the file."""
    config = load_config(profile)
    source = paths.pretrained(config, model) / WEIGHTS_FILE
    before = create(model, config.profile.pretraining.seed).token_embedding.weight.detach()
    target = config.root_dir / "data" / "weights" / f"{model}.safetensors"
    target.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        save_file(compact(load_file(source), before), target)
    return target


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    print(main(*sys.argv[1:]))
