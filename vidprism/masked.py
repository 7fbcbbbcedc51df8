"""Masked autoencoding of clips: what is hidden, what is painted, and the decoder that paints it.

Tong et al., "VideoMAE", NeurIPS 2022, with the decoder's masking of VideoMAE V2 (Wang et al., CVPR 2023), where the
decoder paints a part of what is hidden. Departures, found on dev pools (docs/world.md): single tokens are hidden, not
tubes; what moves weighs more in the target; attention starts on tokens that are alike.
Letters: B clips, T frames, S side in pixels, N tokens of a clip, V visible ones, H painted ones, D width of the
encoder, E of the decoder, C pixel values of a token.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vidprism.backbones.videomae import NORM_EPS, ClipEncoder, position_table
from vidprism.config import VideoPretrainConfig


class MaskedAutoencoder(nn.Module):
    """An encoder of clips with a decoder of one width and few layers, which is thrown away after training."""

    def __init__(self, encoder: ClipEncoder, cfg: VideoPretrainConfig) -> None:
        super().__init__()
        from transformers import VideoMAEConfig
        from transformers.models.videomae.modeling_videomae import VideoMAELayer

        self.encoder, self.cfg, self.shape = encoder, cfg, encoder.shape
        width, d = cfg.decoder_width, self.shape["width"]
        layer = VideoMAEConfig(
            hidden_size=width,
            num_attention_heads=cfg.decoder_heads,
            intermediate_size=4 * width,
            layer_norm_eps=NORM_EPS,
            attn_implementation="sdpa",
        )
        n_values = 3 * self.shape["tubelet_size"] * self.shape["patch_size"] ** 2
        self.to_decoder = nn.Linear(d, width, bias=False)
        self.mask_token = nn.Parameter(0.02 * torch.randn(width))
        self.layers = nn.ModuleList(VideoMAELayer(layer) for _ in range(cfg.decoder_layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, n_values)
        self.register_buffer("places_NE", position_table(self.shape, width))
        initialise(encoder)
        initialise(self, "layers")

    def forward(self, pixels_BT3SS: Tensor, visible_BV: Tensor, painted_BH: Tensor) -> Tensor:
        """Mean squared error of the painted tokens' pixels, of normalised clips and the tokens that `masks` chose."""
        model = self.encoder.model
        n_steps = pixels_BT3SS.shape[1] // self.shape["tubelet_size"]
        tokens_BND = model.embeddings.patch_embeddings(pixels_BT3SS) + self.encoder.positions(n_steps)
        seen_BVD = self.encoder.norm(model.encoder(_take(tokens_BND, visible_BV)).last_hidden_state)
        known_BVE = self.to_decoder(seen_BVD) + self.places_NE[visible_BV]
        x_BNE = torch.cat([known_BVE, self.mask_token + self.places_NE[painted_BH]], dim=1)
        for layer in self.layers:
            x_BNE = layer(x_BNE)
        painted_BHC = self.head(self.norm(x_BNE[:, visible_BV.shape[1] :]))
        wanted_BHC = _take(patches(target(pixels_BT3SS, self.cfg.motion_weight), self.shape), painted_BH)
        return F.mse_loss(painted_BHC, wanted_BHC)


def masks(n_clips: int, n_tokens: int, cfg: VideoPretrainConfig, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Visible tokens (B, V) in order, and those of the hidden ones that are painted (B, H)."""
    order_BN = torch.rand(n_clips, n_tokens, generator=rng).argsort(dim=1)
    n_hidden = round(cfg.mask_ratio * n_tokens)
    visible_BV, hidden = order_BN[:, n_hidden:].sort(dim=1).values, order_BN[:, :n_hidden]
    return visible_BV, hidden[:, : max(1, round(cfg.painted_share * n_hidden))]


def target(pixels_BT3SS: Tensor, motion_weight: float) -> Tensor:
    """The clip with every frame's deviation from the mean frame multiplied: still pixels, of which motion is more."""
    mean_B13SS = pixels_BT3SS.mean(dim=1, keepdim=True)
    return mean_B13SS + motion_weight * (pixels_BT3SS - mean_B13SS)


def patches(pixels_BT3SS: Tensor, shape: dict) -> Tensor:
    """The pixel values of each token, (B, N, C), tokens in the order of the encoder: time, row, column."""
    tubelet, side = shape["tubelet_size"], shape["patch_size"]
    b, t, _, s, _ = pixels_BT3SS.shape
    cut = pixels_BT3SS.view(b, t // tubelet, tubelet, 3, s // side, side, s // side, side)
    return cut.permute(0, 1, 4, 6, 2, 5, 7, 3).flatten(4).flatten(1, 3)


def initialise(module: nn.Module, only: str = "") -> None:
    """Xavier's weights and no biases; keys begin equal to queries, so that attention begins on tokens of like content
    and place. In a decoder (`only` names its layers) values and their output begin as about the identity: it begins by
    copying.
    """
    for name, part in module.named_modules():
        if isinstance(part, nn.Linear | nn.Conv3d) and not name.startswith("encoder."):
            nn.init.xavier_uniform_(part.weight.flatten(1) if part.weight.ndim > 2 else part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)
    for layer in getattr(module, only) if only else module.model.encoder.layer:
        attention = layer.attention.attention
        d = attention.query.in_features
        with torch.no_grad():
            attention.query.weight.normal_(std=d**-0.5)
            attention.key.weight.copy_(attention.query.weight)
            if only:
                attention.value.weight.normal_(std=d**-0.5)
                layer.attention.output.dense.weight.copy_(attention.value.weight.T)


def _take(x_BND: Tensor, index_BV: Tensor) -> Tensor:
    return x_BND.gather(1, index_BV[..., None].expand(-1, -1, x_BND.shape[2]))
