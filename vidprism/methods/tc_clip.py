"""TC-CLIP: the patches that matter in all frames are merged into few context tokens, which every frame and each video's
texts see.

Source: Kim et al., "Leveraging Temporal Contextualization for Video Action Recognition", ECCV 2024, Sections 3.2 and
3.3, and facts of github.com/naver-ai/tc-clip (CC-BY-NC 4.0). After the attention of a block, the 30 % of each frame's
patches at which its class token looks most are its seeds; the seeds of all frames are merged pairwise (Bolya et al.,
"Token Merging", ICLR 2023) until 96 are left, or a quarter of the seeds where that is less. The next block's attention
sees them as further keys and values, with a learned bias. Text: before the last block, four vectors that start as "a
photo of a" attend to the context of the video. The towers train at a tenth of the rate of what is new; the sentence and
label smoothing are ViFi-CLIP's. Not a row of the paper, which leaves it out. That seeds are paired by the cosine of
their tokens is a choice of this suite.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.methods import Output, Task
from vidprism.methods._parts.texts import Sentences, cosines
from vidprism.methods._parts.towers import frame_tokens, run_block

LABEL = "TC-CLIP"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
USES = ("text",)
PROMPT_SET = "photo"
DEFAULTS = {"seeds": 0.3, "context": 96, "label_smoothing": 0.1}

TOWER_RATE = 0.1  # over the rate of what is new
MERGED_AT_ONCE = 100  # pairs
N_VECTORS = 4  # the words before the class name


def merged(x_BNW: Tensor, n_left: int) -> Tensor:
    """Tokens (B, N, W) merged to (B, n_left, W): every second one may join its most similar other one, the most similar
    pairs first; a token weighs as many as it was made of.
    """
    size_BN1 = x_BNW.new_ones(*x_BNW.shape[:2], 1)
    while x_BNW.shape[1] > n_left:
        r = min(MERGED_AT_ONCE, x_BNW.shape[1] - n_left, x_BNW.shape[1] // 2)
        unit = F.normalize(x_BNW, dim=-1)
        best_BA, target_BA = (unit[:, ::2] @ unit[:, 1::2].mT).max(dim=2)
        order_BA = best_BA.argsort(dim=1, descending=True)
        joins_BR, stays = order_BA[:, :r], order_BA[:, r:].sort(dim=1).values
        weighted = torch.cat([x_BNW * size_BN1, size_BN1], dim=2)
        first, second = weighted[:, ::2], weighted[:, 1::2]
        at = target_BA.gather(1, joins_BR)[..., None].expand(-1, -1, weighted.shape[2])
        second = second.scatter_add(1, at, _taken(first, joins_BR))
        weighted = torch.cat([_taken(first, stays), second], dim=1)
        size_BN1 = weighted[..., -1:]
        x_BNW = weighted[..., :-1] / size_BN1
    return x_BNW


def _taken(x_BNW: Tensor, at_BM: Tensor) -> Tensor:
    """Tokens at some positions, (B, M, W)."""
    return x_BNW.gather(1, at_BM[..., None].expand(-1, -1, x_BNW.shape[2]))


class TcClip(nn.Module):
    """The biases of the context, the vectors before the class names, and the layer in which they see the context."""

    def __init__(self, task: Task, seeds: float, context: int, label_smoothing: float) -> None:
        super().__init__()
        assert task.tower is not None and task.text is not None
        self.tower, self.text, self.label_smoothing = task.tower, task.text, label_smoothing
        self.n_seeds = max(1, int(seeds * task.tower.side**2))  # of a frame
        self.n_context = min(context, max(1, self.n_seeds * task.n_steps // 4))
        later = len(task.tower.blocks) - 1  # the first block has no context yet
        self.bias_IH2 = nn.Parameter(torch.empty(later, task.tower.heads, 2))
        nn.init.trunc_normal_(self.bias_IH2, std=0.02)
        self.sentences = Sentences(task.text, task.class_texts, task.templates)
        words_CLW = task.text.embed_tokens(self.sentences.ids_CKL[:1, 0])
        self.vectors_VW = nn.Parameter(words_CLW[0, 1 : 1 + N_VECTORS].detach().clone())
        self.see_context = task.text.blocks[-1].copy()
        self.see_context_module = self.see_context.module  # where its parameters are found

    def encode(self, clips_BTSS3: Tensor) -> dict[str, Tensor]:
        """Clips to frame features (B, T, D) and the context in the joint width (B, M, D)."""
        n_steps = clips_BTSS3.shape[1]
        x_BTLW = self.tower.norm_in(frame_tokens(self.tower, clips_BTSS3)).unflatten(0, (-1, n_steps))
        context_BMW: Tensor | None = None
        for i in range(len(self.tower.blocks)):
            x_BTLW, context_BMW = self.tower.run(self._block, i, x_BTLW, context_BMW)
        assert context_BMW is not None
        features_BTD = self.tower.project(self.tower.norm_out(x_BTLW[:, :, 0]))
        return {"frames": features_BTD.float(), "context": self.tower.project(self.tower.norm_out(context_BMW)).float()}

    def _block(self, i: int, x_BTLW: Tensor, context_BMW: Tensor | None) -> tuple[Tensor, Tensor]:
        block, n_steps = self.tower.blocks[i], x_BTLW.shape[1]
        q, k, v = block.queries_keys_values(block.norm1(x_BTLW))
        looks_BTP = (q[..., :1, :] @ k.mT * q.shape[-1] ** -0.5).softmax(dim=-1).mean(dim=2).squeeze(2)[..., 1:]
        bias = None
        if context_BMW is not None:
            seen = [
                part[:, None].expand(-1, n_steps, -1, -1, -1) for part in block.keys_values(block.norm1(context_BMW))
            ]
            bias = self.bias_IH2[i - 1].repeat_interleave(torch.tensor([k.shape[-2], seen[0].shape[-2]]), dim=1)[
                :, None
            ]
            k, v = torch.cat([k, seen[0]], dim=-2), torch.cat([v, seen[1]], dim=-2)
        x_BTLW = x_BTLW + block.mix(q, k, v, bias)
        top_BTS = looks_BTP.topk(self.n_seeds, dim=2).indices.sort(dim=2).values
        seeds = _taken(x_BTLW[:, :, 1:].flatten(0, 1), top_BTS.flatten(0, 1)).unflatten(0, (-1, n_steps)).flatten(1, 2)
        context_BMW = merged(seeds, self.n_context)
        return (
            x_BTLW + block.feed(block.norm2(x_BTLW)),
            context_BMW + block.feed(block.norm2(context_BMW)),
        )

    def texts(self, context_BMD: Tensor) -> Tensor:
        """Features (B, C, D) of the class texts as each video changes them."""
        ids_CL = self.sentences.ids_CKL[:, 0]
        x = self.text.embed_tokens(ids_CL)
        vectors = self.vectors_VW.expand(len(x), -1, -1)
        x = self.text.with_positions(torch.cat([x[:, :1], vectors, x[:, 1 + N_VECTORS :]], dim=1))
        for block in self.text.blocks[:-1]:
            x = run_block(block, x)
        own, last = self.see_context, self.text.blocks[-1]
        words_BCVW = x[:, 1 : 1 + N_VECTORS].expand(len(context_BMD), -1, -1, -1)
        q = own.queries_keys_values(own.norm1(words_BCVW))[0]
        k, v = own.keys_values(own.norm1(context_BMD.detach())[:, None])
        words_BCVW = words_BCVW + own.mix(q, k, v)
        words_BCVW = words_BCVW + own.feed(own.norm2(words_BCVW))
        all_BCLW = x.expand(len(context_BMD), -1, -1, -1)
        x = run_block(last, torch.cat([all_BCLW[:, :, :1], words_BCVW, all_BCLW[:, :, 1 + N_VECTORS :]], dim=2))
        return self.text.read(x, self.text.ends(ids_CL).expand(len(x), -1))

    def forward(self, encoded: dict[str, Tensor]) -> Output:
        """Frame features and context to logits (B, C): the scaled cosine to the texts of each clip."""
        fused_BD = encoded["frames"].mean(dim=1)
        return Output(self.text.log_scale.exp() * cosines(fused_BD, self.texts(encoded["context"])), fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,), smoothed."""
        loss = F.cross_entropy(output.logits, labels_B, label_smoothing=self.label_smoothing)
        return {"cls": loss, "total": loss}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """What is new, and both towers with the scale at a tenth of its rate."""
        towers = [*self.tower.module.parameters(), *self.text.module.parameters()]
        return [(list(self.parameters()), 1.0), (towers, TOWER_RATE)]


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, **options: Any) -> TcClip:
    """The method for the task; `options` are those of `DEFAULTS`."""
    return TcClip(task, **options)
