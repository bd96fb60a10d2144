"""The start of a training on planted sets: filters that know what was planted at all, and a head that is near.

A pure XOR has no signal in either motif alone, and gradient descent on the labels can miss it for hours.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from dr_explorer.planting import Dataset

# The filters' first learning. Kernels start three times wider than torch's default, which is meant for deeper nets and
# leaves a one-hot convolution too flat to start; 400 small batches at this rate find every motif that is at all common.
WARM_UP_STEPS = 400
WARM_UP_BATCH = 64  # of each kind
BACKGROUNDS = 10_000
WARM_UP_RATE = 2e-2
WARM_UP_GAIN = 3.0
# A filter then keeps only the strongest 1 % of its background responses, and its strong responses are made 1.
BACKGROUND_SHARE = 0.01
# Filters that found nothing are not blown up beyond a quarter of the scale of the best one.
WEAKEST = 0.25
# The head's own start, on channels summed over positions.
HEAD_STEPS = 1500
HEAD_BATCH = 256
HEAD_RATE = 3e-3


def warm_up(model, dataset: Dataset, x: torch.Tensor, y: torch.Tensor, random_state: int) -> None:
    """Let the filters find what was planted at all, then set their thresholds and scales from background."""
    device = model.conv.weight.device
    background = torch.from_numpy(dataset.backgrounds(BACKGROUNDS, random_state + 1))
    draw = torch.Generator().manual_seed(random_state + 1)
    with torch.no_grad():
        model.conv.weight *= WARM_UP_GAIN
    head = nn.Linear(model.conv.out_channels, 1 + y.shape[1]).to(device)
    optimizer = torch.optim.Adam([*model.conv.parameters(), *head.parameters()], lr=WARM_UP_RATE)
    real = torch.cat([torch.ones(WARM_UP_BATCH, 1), torch.zeros(WARM_UP_BATCH, 1)]).to(device)
    for _ in range(WARM_UP_STEPS):
        pick = torch.randint(len(x), (WARM_UP_BATCH,), generator=draw)
        other = torch.randint(len(background), (WARM_UP_BATCH,), generator=draw)
        both = torch.cat([x[pick], background[other]]).to(device, torch.float32)
        out = head(F.relu(model.conv(both)).amax(2))
        loss = F.binary_cross_entropy_with_logits(out[:, :1], real)
        loss = loss + F.binary_cross_entropy_with_logits(out[:WARM_UP_BATCH, 1:], y[pick].to(device))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        responses = model.conv(background[:2000].to(device, torch.float32)).transpose(0, 1).flatten(1)
        threshold = responses.topk(max(1, int(responses.shape[1] * BACKGROUND_SHARE)), 1).values[:, -1]
        model.conv.bias -= threshold
        strong = F.relu(model.conv(x[:2000].to(device, torch.float32))).amax(2).quantile(0.9, 0)
        scale = strong.clamp_min(WEAKEST * float(strong.max())).clamp_min(1e-3)
        model.conv.weight /= scale[:, None, None]
        model.conv.bias /= scale


def start_head(model: nn.Sequential, x: torch.Tensor, y: torch.Tensor, random_state: int) -> None:
    """Start the dense layers where a motif counts the same at every position, on the filters as they are.

    The same head on channels summed over positions is small enough to be trained in a second, and its weights, repeated
    along the positions, are the same function on the whole map.
    """
    device = model.conv.weight.device
    draw = torch.Generator().manual_seed(random_state + 2)
    with torch.no_grad():
        maps = [model[:3](x[i : i + 1000].to(device, torch.float32)).sum(2) for i in range(0, len(x), 1000)]
    sums, labels = torch.cat(maps), y.to(device)
    head = nn.Sequential(nn.Linear(sums.shape[1], model.dense.out_features), nn.ReLU(), model.out)
    optimizer = torch.optim.AdamW(head.parameters(), lr=HEAD_RATE)
    for _ in range(HEAD_STEPS):
        pick = torch.randint(len(sums), (HEAD_BATCH,), generator=draw)
        F.binary_cross_entropy_with_logits(head(sums[pick]), labels[pick]).backward()
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        positions = model.dense.in_features // sums.shape[1]
        model.dense.weight.copy_(head[0].weight.repeat_interleave(positions, dim=1))
        model.dense.bias.copy_(head[0].bias)
