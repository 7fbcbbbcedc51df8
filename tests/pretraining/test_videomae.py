"""Masked pre-training of the small VideoMAE: reproducible, blind to labels and held-out videos, probed honestly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.small_config import small_config
from vidprism import backbones
from vidprism.backbones.videomae import create, normalised
from vidprism.config import BackboneConfig, Config, VideoPretrainConfig, paths
from vidprism.features import extract
from vidprism.pretraining import batch_parts, masked_autoencoder, videomae
from vidprism.videos import decoding, manifest

pytestmark = pytest.mark.slow

SHORT = VideoPretrainConfig(steps=6, batch_size=4, threads=1)
NAME = "mini_videomae"


def prepared(root: Path) -> Config:
    config = small_config(root, "ucf101")
    spec = BackboneConfig("videomae", NAME, "B/16", f"data/backbones/smoke/{NAME}")
    changes = {"datasets": ("ucf101",), "video_pretraining": SHORT, "backbones": {NAME: spec}}
    config = replace(config, profile=replace(config.profile, **changes))
    manifest.prepare(config, "ucf101")
    return config


def test_same_seed_same_weights_and_the_suite_reads_them(tmp_path: Path) -> None:
    files, reports = [], []
    for name in ("a", "b"):
        config = prepared(tmp_path / name)
        reports.append(videomae.pretrain(config, NAME))
        files.append((tmp_path / name / "data/backbones/smoke" / NAME / "weights.safetensors").read_bytes())
    assert files[0] == files[1] and reports[0] == reports[1]
    assert json.loads((Path(paths.backbone(config, NAME)) / "pretraining.json").read_text()) == reports[1]
    (found,) = reports[0]["probe"]
    listed = manifest.load_manifest(config, "ucf101")
    n_dev = ((listed["split"] == "dev") & listed["readable"]).sum()
    assert found["dataset"] == "ucf101" and len(found["groups"]) == len(found["trained_right"]) == n_dev
    loaded = backbones.load_backbone(replace(config.profile.backbones[NAME], weights=paths.backbone(config, NAME)))
    assert isinstance(loaded.module.norm, torch.nn.LayerNorm), "its norm stands before the mean, as it was trained"
    store = extract.extract(config, "ucf101", NAME)
    assert store.meta["backbone"]["probe"] == reports[0]["probe"], "what the probe answered travels with the features"


def test_dev_and_test_videos_and_labels_train_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = prepared(tmp_path)
    opened, trained = [], []
    read, train = decoding.all_frames, videomae.train

    def noted_read(path: Path) -> Iterator[np.ndarray]:
        opened.append(path.name)
        return read(path)

    def noted_train(encoder: object, videos: list[np.ndarray], cfg: VideoPretrainConfig) -> list[float]:
        trained.append(len(videos))
        return train(encoder, videos, cfg)

    monkeypatch.setattr(decoding, "all_frames", noted_read)
    monkeypatch.setattr(videomae, "train", noted_train)
    videomae.pretrain(config, NAME)
    listed = manifest.load_manifest(config, "ucf101")
    names = {split: {Path(path).name for path in part["path"]} for split, part in listed.groupby("split")}
    assert trained == [((listed["split"] == "train") & listed["readable"]).sum()]
    assert set(opened) <= names["train"] | names["dev"] and not set(opened) & names["test"]


def test_masks_hide_the_asked_share_and_paint_some_of_it() -> None:
    cfg = replace(SHORT, mask_ratio=0.9, painted_share=0.25)
    visible, painted = masked_autoencoder.masks(5, 288, cfg, torch.Generator().manual_seed(0))
    assert visible.shape == (5, 29) and painted.shape == (5, 65)
    for seen, asked in zip(visible.tolist(), painted.tolist(), strict=True):
        assert seen == sorted(set(seen)) and len(set(asked)) == 65 and not set(seen) & set(asked)
    assert visible[0].tolist() != visible[1].tolist()


def clips(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (n, 16, 48, 48, 3), generator=torch.Generator().manual_seed(seed)).byte()


def test_visible_tokens_are_embedded_as_the_encoder_embeds_them() -> None:
    autoencoder = masked_autoencoder.MaskedAutoencoder(create(NAME, norm_tokens=True), SHORT)
    frames = clips(2)
    own = autoencoder.encoder.model.embeddings.patch_embeddings(normalised(frames))
    values = masked_autoencoder._normalised(masked_autoencoder.patches(frames, autoencoder.shape))
    torch.testing.assert_close(autoencoder._embed(values), own, atol=1e-4, rtol=1e-4)


def test_the_target_keeps_the_mean_frame_and_multiplies_what_moves() -> None:
    shape, frames = create(NAME).shape, clips(1)
    painted = torch.tensor([[0, 40, 287]])
    mean = frames.double().mean(dim=1, keepdim=True)
    moved = mean + 3.0 * (frames.double() - mean)
    values = masked_autoencoder.patches(frames, shape)
    expected = masked_autoencoder.patches(moved, shape)[0, painted[0]]
    torch.testing.assert_close(
        masked_autoencoder.target(values, painted, shape, 3.0)[0].double(), expected, atol=1e-3, rtol=1e-5
    )
    plain = masked_autoencoder.target(values, painted, shape, 1.0)[0]
    torch.testing.assert_close(plain, values[0, painted[0]].float(), atol=1e-3, rtol=1e-5)


def test_hidden_tokens_do_not_reach_the_encoder() -> None:
    cfg = replace(SHORT, mask_ratio=0.5)
    autoencoder = masked_autoencoder.MaskedAutoencoder(create(NAME, norm_tokens=True), cfg).eval()
    visible, painted = masked_autoencoder.masks(1, 288, cfg, torch.Generator().manual_seed(0))
    seen = []
    autoencoder.encoder.norm.register_forward_hook(lambda module, inputs, output: seen.append(output))
    one, other = clips(1), clips(1, seed=1)
    with torch.no_grad():
        autoencoder(one, visible, painted)
        autoencoder(other, visible, painted)
    assert not torch.allclose(seen[0], seen[1]), "what is visible decides"
    changed = other.clone()
    hidden = sorted(set(range(288)) - set(visible[0].tolist()))
    step, row, column = hidden[0] // 36, hidden[0] % 36 // 6, hidden[0] % 6
    changed[0, 2 * step : 2 * step + 2, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = 0
    with torch.no_grad():
        autoencoder(changed, visible, painted)
    assert torch.equal(seen[1], seen[2]), "a hidden token reached the encoder"


@pytest.mark.parametrize(("n_clips", "threads"), [(4, 2), (5, 2), (4, 1)])
def test_a_step_in_parts_is_the_step_of_the_whole_batch(n_clips: int, threads: int) -> None:
    autoencoder = masked_autoencoder.MaskedAutoencoder(create(NAME, norm_tokens=True), SHORT)
    visible, painted = masked_autoencoder.masks(n_clips, 288, SHORT, torch.Generator().manual_seed(0))
    batch = (clips(n_clips), visible, painted)
    whole = autoencoder(*batch)
    whole.backward()
    with batch_parts.one_core_each(threads) as run:
        loss, gradients = batch_parts.mean_gradients(autoencoder, batch, run, threads)
    assert loss == pytest.approx(whole.item(), rel=1e-5)
    for parameter, gradient in zip(autoencoder.parameters(), gradients, strict=True):
        torch.testing.assert_close(gradient, parameter.grad, atol=1e-6, rtol=1e-4)


def test_the_fused_optimiser_steps_as_the_plain_one() -> None:
    """The convolution's gradient comes permuted, and the fused kernel reads memory, not strides."""
    after = []
    for fused in (True, False):
        torch.manual_seed(0)
        autoencoder = masked_autoencoder.MaskedAutoencoder(create(NAME, norm_tokens=True), SHORT)
        batch = (clips(2), *masked_autoencoder.masks(2, 288, SHORT, torch.Generator().manual_seed(0)))
        with batch_parts.one_core_each(1) as run:
            _, gradients = batch_parts.mean_gradients(autoencoder, batch, run, 1)
        for parameter, gradient in zip(autoencoder.parameters(), gradients, strict=True):
            parameter.grad = gradient
        torch.optim.AdamW(autoencoder.parameters(), lr=1e-3, fused=fused).step()
        after.append([parameter.detach() for parameter in autoencoder.parameters()])
    for one, other in zip(*after, strict=True):
        torch.testing.assert_close(one, other)


def test_matrices_of_the_layers_go_to_muon_and_all_else_to_adamw() -> None:
    autoencoder = masked_autoencoder.MaskedAutoencoder(create(NAME, norm_tokens=True), SHORT)
    with batch_parts.one_core_each(1) as run:
        muon, adamw = videomae._optimizers(autoencoder, SHORT, run)
    names = {id(p): name for name, p in autoencoder.named_parameters()}
    hidden, decayed, plain = (
        {names[id(p)] for p in group["params"]} for group in (*muon.param_groups, *adamw.param_groups)
    )
    assert hidden | decayed | plain == set(names.values()) and len(hidden) + len(decayed) + len(plain) == len(names)
    assert len(hidden) == 6 * (4 + 1) and all("layer" in name and name.endswith("weight") for name in hidden)
    assert {"to_decoder.weight", "head.weight"} < decayed and not any("layer." in name for name in decayed)
    assert "mask_token" in plain and all(p.ndim == 1 for p in adamw.param_groups[1]["params"])
    assert adamw.param_groups[1]["weight_decay"] == 0 < muon.param_groups[0]["weight_decay"]


def test_attention_begins_on_tokens_that_are_alike() -> None:
    encoder = create(NAME, norm_tokens=True)
    autoencoder = masked_autoencoder.MaskedAutoencoder(encoder, SHORT)
    for layer in (*encoder.model.encoder.layer, *autoencoder.layers):
        attention = layer.attention.attention
        assert torch.equal(attention.query.weight, attention.key.weight)
    (layer,) = autoencoder.layers
    assert torch.equal(layer.attention.output.dense.weight, layer.attention.attention.value.weight.T)


def test_plain_clips_are_learned() -> None:
    """Videos of one colour each: what is hidden can be painted from what is seen."""
    rng = np.random.default_rng(0)
    videos = [np.broadcast_to(rng.integers(30, 220, size=3), (20, 48, 48, 3)).astype(np.uint8) for _ in range(24)]
    losses = videomae.train(create(NAME, norm_tokens=True), videos, replace(SHORT, steps=80, batch_size=8, lr=0.003))
    assert np.mean(losses[-5:]) < 0.3 * np.mean(losses[:5])


def test_a_loss_that_is_not_finite_stops_it() -> None:
    videos = list(np.random.default_rng(0).integers(0, 255, (4, 16, 48, 48, 3)).astype(np.uint8))
    with pytest.raises(FloatingPointError, match=r"lower video_pretraining\.lr"):
        videomae.train(create(NAME, norm_tokens=True), videos, replace(SHORT, lr=1e30, steps=20))


def test_a_video_without_a_group_is_one_by_itself() -> None:
    assert videomae.group_numbers(["b", "", "b", "", "a"]).tolist() == [1, 2, 1, 3, 0]
