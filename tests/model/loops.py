"""VidPrism's equations written as slowly and plainly as possible: one sample, one window at a time.

The oracle of the fast head (it reads the same parameters), and what `benchmarks/head_step.py` measures it
against. Only the parameters come from `vidprism.model`; attention, convolution and interpolation are torch's
own.
"""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor
from torch.nn import functional as F

from vidprism.model import VidPrismHead


def forward(head: VidPrismHead, features_BTD: Tensor) -> dict:
    """What `head(features)` computes in training mode: a dict with the names of HeadOutput."""
    s = head.switches
    N, B = len(head.rates), len(features_BTD)
    rank = [[] for _ in range(N)]
    rgsta = [[aggregate(head, i, features_BTD[b], rank[i]) for i in range(N)] for b in range(B)]
    gates = [{pair: gate_score(head, rgsta[b], *pair) for pair in head.interaction.links} for b in range(B)]
    dbi = [interact(head, rgsta[b], gates[b], gates) for b in range(B)]
    experts = [[expert(head, i, dbi[b][i]) for i in range(N)] for b in range(B)]
    fused, usage = zip(*(combine(head, experts[b]) for b in range(B)), strict=True)
    fused = [head.readout_norm(v) for v in fused]
    means = [torch.stack([x.mean(0) for x in experts[b]]) for b in range(B)]
    losses = {
        "rank": torch.stack([torch.stack(windows).mean() for windows in rank]).mean() if rank[0] else torch.tensor(0.0),
        "div": diversity(s["div"], means),
        "gate": N * sum((sum(w[i] for w in usage) / B) ** 2 for i in range(N)),
    }
    logits = torch.stack([head.classifier(v) for v in fused])
    return {
        "logits": logits,
        "expert_weights": torch.stack(usage),
        "losses": losses,
        "fused": torch.stack(fused),
        "rgsta": rgsta,
        "dbi": dbi,
    }


def objective(head: VidPrismHead, out: dict, labels_B: Tensor) -> Tensor:
    """Eq. 16 and 22."""
    cls = -sum(out["logits"][b].log_softmax(0)[labels_B[b]] for b in range(len(labels_B))) / len(labels_B)
    return cls + sum(head.loss_weights[name] * value for name, value in out["losses"].items())


def aggregate(head: VidPrismHead, i: int, x_TD: Tensor, rank: list) -> Tensor:
    """Section 3.1 for one sample: one token for each window; appends the window's ranking loss to `rank`."""
    s, rate = head.switches, head.rates[i]
    tokens = []
    for start in range(0, len(x_TD), rate):
        c = x_TD[start : start + rate]
        if s["aggregation"] == "rgsta":
            tokens.append(rgsta_window(head, i, c, rank))
        else:
            tokens.append({"hard": c[0], "avg": c.mean(0), "max": c.max(0).values}[s["aggregation"]])
    return torch.stack(tokens)


def rgsta_window(head: VidPrismHead, i: int, c: Tensor, rank: list) -> Tensor:
    """Eq. 1-7 and 17-18 for one window (R, D)."""
    s, module, R = head.switches, head.aggregators[i], len(c)
    metric = module.metric_proj(c)
    pred = module.score_head(metric)[:, 0]  # Eq. 1
    norm = c.norm(dim=1)
    mix_pred, mix_norm = pred, norm
    if s["score_norm"] == "zscore":
        mix_pred, mix_norm = ((v - v.mean()) / (v.var(unbiased=False) + 1e-6).sqrt() for v in (pred, norm))
    mix = s["alpha"] * mix_pred + (1 - s["alpha"]) * mix_norm  # Eq. 2
    kept = int(mix.argmax())
    rest = [r for r in range(R) if r != kept]
    z = F.normalize(metric, dim=1)  # Eq. 3-4
    similarity = z @ z.T  # Eq. 5
    if s["softmax_axis"] == "rest":
        weights = dict(zip(rest, (similarity[rest, kept] / s["tau"]).softmax(0), strict=True))  # Eq. 6
    elif s["softmax_axis"] == "kept":
        weights = dict.fromkeys(rest, 1.0)
    else:
        table = ((similarity - similarity.diag().diag()) / s["tau"]).softmax(1)
        weights = {r: table[r, kept] / (table[r, kept] + 1e-6) for r in rest}
    delta = (1 / max(R - 1, 1)) if s["delta"] == "1/(r-1)" else s["delta"]
    token = c[kept]
    for r in rest:
        token = token + delta * weights[r] * c[r]  # Eq. 7
    if s["straight_through"]:
        soft = mix.softmax(0)
        token = token + (soft - soft.detach()) @ c
    target = similarity.mean(1) + (norm if s["rank_target"] == "norm+sim" else 0)  # Eq. 17
    p = (target.detach() / s["score_temperature"]).softmax(0)
    rank.append((p * (p.log() - (pred / s["score_temperature"]).log_softmax(0))).sum())  # Eq. 18
    return token


def gate_score(head: VidPrismHead, streams: list[Tensor], i: int, j: int) -> Tensor:
    """Eq. 8-9: the score of link i -> j of one sample."""
    gates = head.interaction.gates
    if head.switches["gate_pairs"] == "pair":
        i, j = min(i, j), max(i, j)
    p = list(zip(gates.first, gates.second, strict=True)).index((i, j))
    g = torch.cat([streams[i].mean(0), streams[j].mean(0)])
    hidden = F.relu(g @ gates.w1_PDH[p] + gates.b1_PH[p])
    return torch.sigmoid(hidden @ gates.w2_PH[p] + gates.b2_P[p])


def interact(head: VidPrismHead, streams: list[Tensor], scores: dict, batch_scores: list[dict]) -> list[Tensor]:
    """Eq. 10-11 for one sample; `batch_scores` are those of all samples, for the released gate."""
    s, out = head.switches, list(streams)
    for i, j in head.interaction.links:
        decisive = (
            scores[i, j] if s["gate_scope"] == "sample" else sum(b[i, j] for b in batch_scores) / len(batch_scores)
        )
        if decisive < s["threshold"]:
            continue
        module = head.interaction.messages[
            "slow2fast" if s["shared_conv"] and head.rates[i] > head.rates[j] else f"{i}to{j}"
        ]
        source = streams[i].T.unsqueeze(0)
        if head.rates[i] > head.rates[j]:
            corners = s["interpolation"] == "corners"
            upsampled = F.interpolate(source, size=len(streams[j]), mode="linear", align_corners=corners)
            message = F.conv1d(upsampled, module.weight.unsqueeze(-1), module.bias)  # Eq. 10
        else:
            stride = head.rates[j] // head.rates[i]
            weight = module.weight_DKD.transpose(1, 2)
            pad = (2, 2)
            if s["conv_kernel"] == "covering":
                pad = {2: (1, 2), 4: (0, 1), 8: (0, 0)}[stride]
            assert weight.shape[2] == sum(pad) + (1 if pad == (2, 2) else stride)
            padded = F.pad(source, pad, mode="constant" if s["conv_padding"] == "zeros" else "replicate")
            message = F.conv1d(padded, weight, stride=stride)  # Eq. 11
        base = out[j] if s["accumulate"] == "sum" else streams[j]
        out[j] = base + scores[i, j] * message[0].T
    return out


def attention(module: torch.nn.Module, query: Tensor, x_TD: Tensor) -> tuple[Tensor, Tensor]:
    """torch's own multi-head attention with the parameters of ours; weights are the mean over heads."""
    return F.multi_head_attention_forward(
        query, x_TD, x_TD, x_TD.shape[1], module.heads, module.in_proj.weight, module.in_proj.bias,
        None, None, False, 0.0, module.out_proj.weight, module.out_proj.bias,
    )  # fmt: skip


def expert(head: VidPrismHead, i: int, x_TD: Tensor) -> Tensor:
    """Eq. 12-13 for one sample."""
    s, module = head.switches, head.experts[i]
    if s["pos_emb"] == "learned":
        x_TD = x_TD + module.positions_TD[: len(x_TD)]
    if s["pos_emb"] == "sin":
        rows = [
            [(t + 0.5) * head.rates[i] / 10_000 ** (2 * k / head.dim) for k in range(head.dim // 2)]
            for t in range(len(x_TD))
        ]
        angle = torch.tensor(rows, dtype=x_TD.dtype)
        x_TD = x_TD + torch.cat([angle.sin(), angle.cos()], dim=1)
    x_TD = module.ln_1(x_TD + attention(module.attn, x_TD, x_TD)[0])
    hidden = module.fc_1(x_TD)
    hidden = hidden * torch.sigmoid(1.702 * hidden) if s["act"] == "quickgelu" else F.gelu(hidden)
    return module.ln_2(x_TD + module.fc_2(hidden))


def combine(head: VidPrismHead, outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Eq. 14 and the rows of Table 5c for one sample: the fused vector and expert usage."""
    kind, module, N = head.switches["combination"], head.combination, len(outputs)
    uniform = torch.full((N,), 1 / N, dtype=outputs[0].dtype)
    if kind == "global_attn":
        fused, weights = attention(module.attn, module.query_1D, torch.cat(outputs))
        return fused[0], torch.stack([w.sum() for w in weights[0].split([len(x) for x in outputs])])
    if kind == "local_attn":
        return sum(attention(module.attn, module.query_1D, x)[0][0] for x in outputs) / N, uniform
    if kind == "avg":
        return sum(x.mean(0) for x in outputs) / N, uniform
    pooled = [x.mean(0) for x in outputs]
    fused = module.fc_1(torch.cat(pooled))
    if kind == "mlp":
        fused = module.fc_2(F.gelu(fused))
    parts = [(block @ x).norm() for block, x in zip(module.fc_1.weight.chunk(N, dim=1), pooled, strict=True)]
    return fused, torch.stack(parts) / sum(parts)


def diversity(kind: str, means: list[Tensor]) -> Tensor:
    """Eq. 19 (or its released stand-in) from the mean expert outputs (N, D) of each sample."""
    if kind == "sample_1mcos":
        pairs = [(1 - F.cosine_similarity(a, b, dim=1)).mean() for a, b in combinations(means, 2)]
    else:
        power = 2 if kind == "expert_cos2" else 1
        pairs = [F.cosine_similarity(a, b, dim=0) ** power for m in means for a, b in combinations(m, 2)]
    return torch.stack(pairs).mean() if pairs else torch.zeros((), dtype=means[0].dtype)
