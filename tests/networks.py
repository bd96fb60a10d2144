"""Networks to test on: the shapes that genomics uses, with sizes as arguments, and one real one read from its file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import torch
import torch.nn.functional as F
from scipy.interpolate import BSpline
from torch import nn


def seeded(build, *args, seed: int = 0, **kwargs) -> nn.Module:
    """A network with the same random weights every time, in training mode as its author left it."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(*args, **kwargs)


def one_hot(n: int, length: int, seed: int = 0) -> torch.Tensor:
    """Random sequences (n, 4, length)."""
    generator = torch.Generator().manual_seed(seed)
    return F.one_hot(torch.randint(4, (n, length), generator=generator), 4).transpose(1, 2).float().contiguous()


def deepsea(length: int = 1000, filters=(320, 480, 960), dense: int = 925, targets: int = 919) -> nn.Sequential:
    """DeepSEA's shape: three convolutions of width 8, pooling by 4, two dense layers, a sigmoid.

    With the sizes given the input of the third convolution is 480 x 60 after dropout, as in the paper.
    """
    a, b, c = filters
    left = ((length - 7) // 4 - 7) // 4
    return nn.Sequential(
        nn.Sequential(nn.Conv1d(4, a, 8), nn.ReLU(inplace=True), nn.MaxPool1d(4), nn.Dropout(0.2)),
        nn.Sequential(nn.Conv1d(a, b, 8), nn.ReLU(inplace=True), nn.MaxPool1d(4), nn.Dropout(0.2)),
        nn.Sequential(nn.Conv1d(b, c, 8), nn.ReLU(inplace=True), nn.Dropout(0.5)),
        nn.Flatten(),
        nn.Sequential(nn.Linear(c * (left - 7), dense), nn.ReLU(inplace=True), nn.Linear(dense, targets)),
        nn.Sigmoid(),
    )


class DanQ(nn.Module):
    """DanQ's shape: a convolution, pooling, a bidirectional LSTM, dense layers; all functional but the weights."""

    def __init__(self, length=200, filters=32, width=16, pool=8, hidden=24, dense=40, targets=5):
        super().__init__()
        self.conv = nn.Conv1d(4, filters, width)
        self.pool = nn.MaxPool1d(pool)
        self.drop = nn.Dropout(0.2)
        self.lstm = nn.LSTM(filters, hidden, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(2 * hidden * ((length - width + 1) // pool), dense)
        self.out = nn.Linear(dense, targets)

    def forward(self, x):
        h = self.drop(self.pool(F.relu(self.conv(x))))
        h, (_last, _cell) = self.lstm(h.transpose(1, 2))
        h = F.relu(self.dense(h.reshape(h.shape[0], -1)))
        return torch.sigmoid(self.out(h))


class DilatedBlock(nn.Module):
    """A dilated convolution beside a skip connection."""

    def __init__(self, filters, dilation):
        super().__init__()
        self.conv = nn.Conv1d(filters, filters, 3, padding=dilation, dilation=dilation)
        self.relu = nn.ReLU()

    def forward(self, x):
        return x + self.relu(self.conv(x))


class BPNet(nn.Module):
    """BPNet's shape: a wide convolution, a stack of dilated residual ones, and two heads, profile and counts."""

    def __init__(self, filters=16, width=21, layers=4, profile_width=25, targets=2):
        super().__init__()
        self.stem = nn.Conv1d(4, filters, width, padding=width // 2)
        self.relu = nn.ReLU()
        self.blocks = nn.ModuleList([DilatedBlock(filters, 2 ** (i + 1)) for i in range(layers)])
        self.profile = nn.Conv1d(filters, targets, profile_width, padding=profile_width // 2)
        self.counts = nn.Linear(filters, targets)

    def forward(self, x):
        h = self.relu(self.stem(x))
        for block in self.blocks:
            h = block(h)
        return self.profile(h), self.counts(h.mean(2))


class Transformer(nn.Module):
    """Convolution, pooling, a transformer encoder with learned positions, mean over positions, a linear layer."""

    def __init__(self, length=200, width=16, pool=8, features=32, heads=4, layers=2, hidden=64, targets=5):
        super().__init__()
        self.conv = nn.Conv1d(4, features, width)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool1d(pool)
        self.positions = nn.Parameter(torch.randn((length - width + 1) // pool, features) * 0.1)
        one = nn.TransformerEncoderLayer(features, heads, hidden, batch_first=True)
        self.encoder = nn.TransformerEncoder(one, layers, enable_nested_tensor=False)
        self.out = nn.Linear(features, targets)

    def forward(self, x):
        h = self.pool(self.relu(self.conv(x))).transpose(1, 2)
        h = self.encoder(h + self.positions)
        return self.out(h.mean(1))


class Concatenate(nn.Module):
    """Joins tensors along an axis: a layer, so that a network can be cut there."""

    def __init__(self, axis):
        super().__init__()
        self.axis = axis

    def forward(self, *parts):
        return torch.cat(parts, self.axis)


class PositionWeight(nn.Module):
    """Weights positions by a spline: ``x * (1 + B @ kernel)``."""

    def __init__(self, basis: np.ndarray, kernel: np.ndarray):
        super().__init__()
        self.register_buffer("basis", torch.tensor(basis, dtype=torch.float32))
        self.kernel = nn.Parameter(torch.tensor(kernel, dtype=torch.float32))

    def forward(self, x):
        return x * (1 + (self.basis @ self.kernel).T)


class Mean(nn.Module):
    """The mean over positions."""

    def forward(self, x):
        return x.mean(2)


class MTSplice(nn.Module):
    """Two sequence windows, one shared convolution, position weights, 56 tissues."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        super().__init__()
        positions, bases = 400, len(arrays["splinel/kernel"])
        low, high = -0.001 * (positions - 1), 1.001 * (positions - 1)
        step = (high - low) / (bases - 3)
        knots = low + step * (np.arange(bases + 4) - 3)
        basis = BSpline.design_matrix(np.arange(positions), knots, 3).toarray()
        filters, hidden = arrays["conv_exon/kernel"].shape[2], arrays["dense/kernel"].shape[1]
        self.conv = nn.Conv1d(4, filters, arrays["conv_exon/kernel"].shape[0], padding="same")
        self.bn_left = nn.BatchNorm1d(filters, eps=1e-3)
        self.bn_right = nn.BatchNorm1d(filters, eps=1e-3)
        self.relu = nn.ReLU()
        self.left = PositionWeight(basis, arrays["splinel/kernel"])
        self.right = PositionWeight(basis, arrays["spliner/kernel"])
        self.concat = Concatenate(2)
        self.pool = Mean()
        self.bn_pooled = nn.BatchNorm1d(filters, eps=1e-3)
        self.dense = nn.Linear(filters, hidden)
        self.bn_dense = nn.BatchNorm1d(hidden, eps=1e-3)
        self.drop = nn.Dropout(0.3)
        self.out = nn.Linear(hidden, arrays["dense2/bias"].shape[0])
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor(arrays["conv_exon/kernel"].transpose(2, 1, 0)))
            self.conv.bias.copy_(torch.tensor(arrays["conv_exon/bias"]))
            for name, layer in [("dense", self.dense), ("dense2", self.out)]:
                layer.weight.copy_(torch.tensor(arrays[f"{name}/kernel"].T))
                layer.bias.copy_(torch.tensor(arrays[f"{name}/bias"]))
            norms = [
                ("bn1", self.bn_left),
                ("bn2", self.bn_right),
                ("bn5", self.bn_pooled),
                ("bn6", self.bn_dense),
            ]
            for name, layer in norms:
                layer.weight.copy_(torch.tensor(arrays[f"{name}/gamma"]))
                layer.bias.copy_(torch.tensor(arrays[f"{name}/beta"]))
                layer.running_mean.copy_(torch.tensor(arrays[f"{name}/moving_mean"]))
                layer.running_var.copy_(torch.tensor(arrays[f"{name}/moving_variance"]))

    def forward(self, seql, seqr):
        left = self.left(self.relu(self.bn_left(self.conv(seql))))
        right = self.right(self.relu(self.bn_right(self.conv(seqr))))
        h = self.bn_pooled(self.pool(self.concat(left, right)))
        return self.out(self.drop(self.bn_dense(F.relu(self.dense(h)))))


def mtsplice(path: str | Path) -> nn.Module:
    """The real 56-tissue splicing network from its Keras file; takes (seql, seqr), each (N, 4, 400)."""
    arrays = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            layer, _, weight = name.split("/")
            arrays[f"{layer}/{weight.split(':')[0]}"] = item[()]

    with h5py.File(path) as file:
        file["model_weights"].visititems(keep)
    return MTSplice(arrays).eval()


# -- toy architectures, one trait each ------------------------------------------------------------------------------


class Toy(nn.Module):
    """A convolution, something, and a dense layer; what is between is the subclass's."""

    def __init__(self, filters=6, targets=3, length=40):
        super().__init__()
        self.length = length
        self.conv = nn.Conv1d(4, filters, 5, padding=2)
        self.out = nn.Linear(filters, targets)


class Functional(Toy):
    def forward(self, x):
        return self.out(F.max_pool1d(F.relu(self.conv(x)), self.length).flatten(1))


class SquashedInside(Toy):
    """The sigmoid is a method call in the forward of a head."""

    class Head(nn.Module):
        def __init__(self):
            super().__init__()
            self.dense = nn.Linear(6, 3)

        def forward(self, x):
            return self.dense(x).sigmoid().view(-1, 3)

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.head = self.Head()

    def forward(self, x):
        return self.head(self.relu(self.conv(x)).amax(-1))


class SkipBefore(Toy):
    """A residual connection that ends before the pooling."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv1d(6, 6, 3, padding=1)
        self.pool = nn.AdaptiveMaxPool1d(1)

    def forward(self, x):
        h = torch.relu(self.conv(x))
        h = h + torch.relu(self.inner(h))
        return self.out(self.pool(h).squeeze(-1))


class SkipAcross(Toy):
    """The pooled input of a convolution goes around it to the output."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Conv1d(6, 6, 3, padding=1)
        self.act = nn.Tanh()

    def forward(self, x):
        h = torch.relu(self.conv(x))
        return self.out(self.act(self.inner(h)).mean(2) + h.amax(2))


class Depthwise(nn.Module):
    """Grouped, depthwise and pointwise convolutions with batch norms that have seen data."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(4, 8, 5)
        self.bn = nn.BatchNorm1d(8)
        self.depth = nn.Conv1d(8, 8, 3, groups=8)
        self.point = nn.Conv1d(8, 10, 1)
        self.group = nn.Conv1d(10, 10, 3, groups=2)
        self.act = nn.GELU()
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.flat = nn.Flatten()
        self.out = nn.Linear(10, 3)
        self.bn.running_mean.uniform_(-1, 1)
        self.bn.running_var.uniform_(0.5, 2)

    def forward(self, x):
        h = self.act(self.bn(self.conv(x)))
        return self.out(self.flat(self.pool(self.act(self.group(self.point(self.depth(h)))))))


class TwoInputs(Toy):
    """Sequence and a few covariates."""

    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveMaxPool1d(1)
        self.mix = nn.Linear(6 + 2, 3)

    def forward(self, x, covariates):
        return self.mix(torch.cat([self.pool(self.conv(x)).squeeze(2), covariates], 1))


class Containers(nn.Module):
    """Parts in lists and dicts, tensors in lists and dicts."""

    def __init__(self):
        super().__init__()
        self.branches = nn.ModuleDict({f"width{w}": nn.Conv1d(4, 4, w, padding=w // 2) for w in (3, 5, 7)})
        self.relu = nn.ReLU()
        self.loose = [nn.Identity()]
        self.join = Concatenate(1)
        self.out = nn.Linear(12, 3)

    def forward(self, inputs):
        found = {name: self.relu(branch(inputs["seq"][0])) for name, branch in self.branches.items()}
        h = self.loose[0](self.join(*found.values()))
        return {"logits": self.out(h.amax(2))}


class Gru(Toy):
    """A recurrence over positions first, in which the last state counts."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(6, 5)
        self.last = nn.Linear(5, 3)

    def forward(self, x):
        _, state = self.gru(self.conv(x).permute(2, 0, 1))
        return self.last(state[-1])


class Attention(Toy):
    """Self-attention with a class token."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 6))
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.norm = nn.LayerNorm(6)

    def forward(self, x):
        h = self.conv(x).transpose(1, 2)
        h = torch.cat([self.token.expand(h.shape[0], -1, -1), h], 1)
        a, _ = self.attention(h, h, h, need_weights=False)
        return self.out(self.norm(h + a)[:, 0])


class ShapeDecides(Toy):
    """Python that looks at shapes, and at values before the cut."""

    def __init__(self, values=False):
        super().__init__()
        self.values = values
        self.act = nn.ELU()
        self.pool = nn.MaxPool1d(4)

    def forward(self, x):
        if x.shape[1] != 4:
            raise ValueError("channels first")
        if self.values and not bool((x >= 0).all()):
            raise ValueError("not one-hot")
        h = self.pool(self.act(self.conv(x)))
        for _ in range(int(h.shape[2]) // 8):
            h = h - h.mean(2, keepdim=True)
        return F.log_softmax(self.out(h.amax(2)), dim=-1)


class Conv2d(nn.Module):
    """One-row images, four alphabet channels as rows of the kernel."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 6, (4, 5))
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool2d((1, 4))
        self.dense = nn.Linear(6 * 9, 8)
        self.out = nn.Linear(8, 1)

    def forward(self, x):
        h = self.pool(self.relu(self.conv(x[:, None])))
        return torch.sigmoid(self.out(F.relu(self.dense(h.view(len(h), -1)), inplace=True))).squeeze(-1)


class SharedReLU(Toy):
    """One ReLU for every place."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)
        self.dense = nn.Linear(6, 6)

    def forward(self, x):
        return self.out(self.relu(self.dense(self.relu(self.conv(x)).amax(2))))


def toys() -> dict[str, tuple[nn.Module, object]]:
    """Name -> (network in training mode, inputs of five rows)."""
    x = one_hot(5, 40)
    plain = nn.Sequential(
        nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.ReLU(inplace=True), nn.AdaptiveMaxPool1d(1), nn.Flatten(),
        nn.Linear(6, 8), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(8, 3), nn.Softmax(dim=1),
    )  # fmt: skip
    built = {
        "sequential": (lambda: plain, x),
        "functional": (Functional, x),
        "squashed inside": (SquashedInside, x),
        "skip before": (SkipBefore, x),
        "skip across": (SkipAcross, x),
        "depthwise": (Depthwise, x),
        "two inputs": (TwoInputs, (x, torch.rand(5, 2, generator=torch.Generator().manual_seed(1)))),
        "containers": (Containers, ({"seq": [x]},)),
        "gru": (Gru, x),
        "attention": (Attention, x),
        "shape decides": (ShapeDecides, x),
        "values decide": (lambda: ShapeDecides(values=True), x),
        "conv2d": (Conv2d, x),
        "shared relu": (SharedReLU, x),
        "deepsea": (lambda: deepsea(300, (8, 10, 12), 14, 9), one_hot(5, 300)),
        "danq": (DanQ, one_hot(5, 200)),
        "transformer": (Transformer, one_hot(5, 200)),
        "bpnet": (lambda: Pick(BPNet(), 1), x),
    }
    return {name: (seeded(build), inputs) for name, (build, inputs) in built.items()}


class Pick(nn.Module):
    """One of a network's outputs."""

    def __init__(self, network, which):
        super().__init__()
        self.network, self.which = network, which

    def forward(self, x):
        return self.network(x)[self.which]
