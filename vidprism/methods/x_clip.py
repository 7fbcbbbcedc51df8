"""X-CLIP: frames exchange messages inside the image tower, a layer integrates them, and each video adds to its texts.

Source: Ni et al., "Expanding Language-Image Pretrained Models for General Video Recognition", ECCV 2022, Sections 3.2
to 3.4, and the settings of github.com/microsoft/VideoX (MIT): a message is a linear map of the class token, the
messages of all frames attend to each other, and each joins its frame for the attention of one block. The last block's
patches, in a random basis, prompt the frozen class texts, at a strength that begins at 0.1. The tower trains at a tenth
of the rate of what is new; label smoothing 0.1. Its mixup and cutmix are settings of the recipe.
"""

from __future__ import annotations

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.config import ConfigError
from vidprism.methods import Output, Task
from vidprism.methods._parts.layers import FrameLayer, n_heads, quick_gelu
from vidprism.methods._parts.texts import cosines
from vidprism.methods._parts.towers import frame_tokens

LABEL = "X-CLIP"
SEARCHED = "lr"
IS_PEER = True
SEES = "clips"
DEFAULTS = {"prompt_layers": 2, "label_smoothing": 0.1}

TOWER_RATE = 0.1  # over the rate of what is new
STRENGTH = 0.1  # of the prompt, at the start


class Messages(nn.Module):
    """The messages of one block: a map of the class token, and attention among the frames with its residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.message, self.norm = nn.Linear(width, width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, class_tokens_BTW: Tensor) -> Tensor:
        """Class tokens (B, T, W) to a message for each frame (B, T, W)."""
        messages = self.message(class_tokens_BTW)
        normed = self.norm(messages)
        return messages + self.attention(normed, normed, normed, need_weights=False)[0]


class PromptLayer(nn.Module):
    """Texts attend to the patches of a video, then an MLP; both with residuals."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.heads = n_heads(dim)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query, self.key, self.value = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.out, self.widen, self.narrow = nn.Linear(dim, dim), nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, texts_BCD: Tensor, patches_BPD: Tensor) -> Tensor:
        """(B, C, D) and (B, P, D) to (B, C, D)."""
        maps = (self.query, self.norm1(texts_BCD)), (self.key, patches_BPD), (self.value, patches_BPD)
        q, k, v = (linear(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for linear, x in maps)
        mixed_BCD = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        texts_BCD = texts_BCD + self.out(mixed_BCD)
        return texts_BCD + self.narrow(quick_gelu(self.widen(self.norm2(texts_BCD))))


class Prompt(nn.Module):
    """Texts of a video: the frozen ones plus what attention to the video's patches adds."""

    def __init__(self, width: int, dim: int, layers: int) -> None:
        super().__init__()
        self.norm_W, self.norm_D = nn.LayerNorm(width), nn.LayerNorm(dim)
        self.basis_WD = nn.Parameter(torch.randn(width, dim))  # not scaled, as released
        self.layers = nn.ModuleList(PromptLayer(dim) for _ in range(layers))
        self.strength_D = nn.Parameter(torch.full((dim,), STRENGTH))

    def summary(self, patches_BTPW: Tensor) -> Tensor:
        """The patches of a clip in the joint width, their mean over time (B, P, D)."""
        return (self.norm_W(patches_BTPW) @ self.basis_WD).mean(dim=1)

    def forward(self, text_CD: Tensor, patches_BPD: Tensor) -> Tensor:
        """Texts (C, D) and a clip's patches (B, P, D) to texts (B, C, D)."""
        patches_BPD, added = self.norm_D(patches_BPD), text_CD.expand(len(patches_BPD), -1, -1)
        for layer in self.layers:
            added = layer(added, patches_BPD)
        return text_CD + self.strength_D * added


class XClip(nn.Module):
    """Messages, integration and prompt; the tower belongs to the backbone and the texts stay as they are."""

    text_CD: Tensor

    def __init__(self, task: Task, text_features_CD: Tensor, prompt_layers: int, label_smoothing: float) -> None:
        super().__init__()
        assert task.tower is not None
        self.tower, self.label_smoothing, self.logit_scale = task.tower, label_smoothing, task.logit_scale
        self.register_buffer("text_CD", F.normalize(text_features_CD.float(), dim=-1))
        width = self.tower.width
        self.messages = nn.ModuleList(Messages(width, self.tower.heads) for _ in self.tower.blocks)
        self.positions_TD = nn.Parameter(torch.empty(task.n_steps, task.dim))
        self.integrate = FrameLayer(task.dim, n_heads(task.dim), activation=quick_gelu)
        for name, parameter in [("positions", self.positions_TD), *self.integrate.named_parameters()]:
            if parameter.ndim == 2:
                nn.init.trunc_normal_(parameter, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)
        self.prompt = Prompt(width, task.dim, prompt_layers)

    def encode(self, clips_BTSS3: Tensor) -> dict[str, Tensor]:
        """Clips to frame features (B, T, D) and the patches' summary (B, P, D)."""
        n_steps = clips_BTSS3.shape[1]
        x_BTLW = self.tower.norm_in(frame_tokens(self.tower, clips_BTSS3)).unflatten(0, (-1, n_steps))
        for i in range(len(self.tower.blocks)):
            x_BTLW = self.tower.run(partial(self._block, i), x_BTLW)
        frames_BTD = self.tower.project(self.tower.norm_out(x_BTLW[:, :, 0]))
        return {"frames": frames_BTD.float(), "patches": self.prompt.summary(x_BTLW[:, :, 1:]).float()}

    def _block(self, i: int, x_BTLW: Tensor) -> Tensor:
        block = self.tower.blocks[i]
        message_BT1W = self.messages[i](x_BTLW[:, :, 0]).unsqueeze(2)
        joined = block.norm1(torch.cat([x_BTLW, message_BT1W], dim=2))
        x_BTLW = x_BTLW + block.attend(joined)[:, :, :-1]
        return x_BTLW + block.feed(block.norm2(x_BTLW))

    def forward(self, encoded: dict[str, Tensor]) -> Output:
        """Frames and patches to logits (B, C): the scaled cosine to the texts of each clip."""
        frames_BTD = encoded["frames"]
        fused_BD = (frames_BTD + self.integrate(frames_BTD + self.positions_TD)).mean(dim=1)
        texts_BCD = self.prompt(self.text_CD, encoded["patches"])
        return Output(self.logit_scale * cosines(fused_BD, texts_BCD), fused_BD)

    def objective(self, output: Output, labels_B: Tensor) -> dict[str, Tensor]:
        """Cross-entropy of logits (B, C) against labels (B,), smoothed."""
        loss = F.cross_entropy(output.logits, labels_B, label_smoothing=self.label_smoothing)
        return {"cls": loss, "total": loss}

    def trained(self) -> list[tuple[list[nn.Parameter], float]]:
        """What is new, and the tower at a tenth of its rate."""
        return [(list(self.parameters()), 1.0), (list(self.tower.module.parameters()), TOWER_RATE)]


def batch_terms(options: dict) -> list[str]:
    """None: the objective is the cross-entropy, a mean over samples."""
    return []


def build(task: Task, prompt_layers: int, label_smoothing: float) -> XClip:
    """The method for the task.

    Raises:
        ConfigError: the backbone has no text features.
    """
    if task.text_features_CD is None:
        raise ConfigError("params.yaml: x_clip needs class texts, which this backbone does not have; give it a CLIP")
    return XClip(task, task.text_features_CD, prompt_layers, label_smoothing)
