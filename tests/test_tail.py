"""A Tail gives the network's own logits from a layer's feature map, and never touches the network."""

from __future__ import annotations

import copy
import dataclasses
import functools
import threading
import warnings

import numpy as np
import pytest
import torch
from networks import BPNet, DanQ, Functional, SkipAcross, Toy, Transformer, deepsea, mtsplice, one_hot, seeded, toys
from torch import nn
from torch.overrides import TorchFunctionMode

from dr_explorer.tail import Tail, list_layers

SQUASH = {
    None: lambda y: y,
    "sigmoid": torch.sigmoid,
    "softmax": lambda y: y.softmax(1),
    "log_softmax": lambda y: y.log_softmax(1),
}
# float32 sums in another order: 1e-6 a layer, and the deepest toy has about ten.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


def quiet_tail(model, layer=None, **kwargs):
    """A Tail whose warning of a shared cut is expected."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the output depends on the input by other ways")
        return Tail(model, layer, **kwargs)


def as_arguments(x):
    return x if isinstance(x, tuple) else (x,)


def own_output(model, x):
    """The network's output as (N, C), from a copy in eval mode."""
    with torch.no_grad():
        y = copy.deepcopy(model).eval()(*as_arguments(x))
    y = y["logits"] if isinstance(y, dict) else y
    return y[:, None] if y.ndim == 1 else y


def first_row_only(x):
    if isinstance(x, dict):
        return {key: first_row_only(value) for key, value in x.items()}
    if isinstance(x, (tuple, list)):
        return type(x)(first_row_only(value) for value in x)
    return x[:1].repeat(len(x), *[1] * (x.ndim - 1))


@functools.cache
def cuts():
    """Every layer of every toy, except the inner ones of a transformer, of which two stand for all."""
    found = []
    for name, (model, x) in toys().items():
        for row in list_layers(model, x).itertuples():
            inner = "encoder.layers" in row.name and row.name not in ("encoder.layers.0", "encoder.layers.1.linear1")
            if row.cut != "no" and not inner:
                found.append(pytest.param(name, row.name, row.cut, id=f"{name}-{row.name}"))
    return found


def snapshot(model):
    """Everything about a network that a reader of it could change."""
    return {
        "state": {k: v.clone() for k, v in model.state_dict().items()},
        "training": [m.training for m in model.modules()],
        "requires_grad": [p.requires_grad for p in model.parameters()],
        "grad": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "versions": [p._version for p in model.parameters()],
        "where": [(p.data_ptr(), p.device, p.dtype) for p in model.parameters()],
        "hooks": [
            [list(getattr(m, kind)) for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")]
            for m in model.modules()
        ],
        "attributes": [sorted(vars(m)) for m in model.modules()],
        "modules": [id(m) for m in model.modules()],
        "random": torch.random.get_rng_state(),
    }


def assert_same(before, after):
    for key in before:
        if key == "state":
            assert before[key].keys() == after[key].keys()
            assert all(torch.equal(before[key][k], after[key][k]) for k in before[key])
        elif key == "grad":
            pairs = zip(before[key], after[key], strict=True)
            assert all((a is None) == (b is None) and (a is None or torch.equal(a, b)) for a, b in pairs)
        elif key == "random":
            assert torch.equal(before[key], after[key])
        else:
            assert before[key] == after[key], key


# -- what a Tail is -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "layer", "cut"), cuts())
def test_a_tail_of_the_features_is_the_network(name, layer, cut):
    model, x = toys()[name]
    before = snapshot(model)
    tail = quiet_tail(model, layer, example_input=x)
    # The other branch of a shared cut is held at the example's first row: only there is the network the tail.
    given = x if cut == "clean" else first_row_only(x)
    maps = tail.features(given)
    assert maps.shape == (5, *tail.shape)
    logits = tail.logits(maps)
    assert logits.shape == (5, tail.n_targets)
    torch.testing.assert_close(SQUASH[tail.squash](logits), own_output(model, given), **CLOSE)
    torch.testing.assert_close(logits, tail.predict(given), **CLOSE)
    assert_same(before, snapshot(model))


@pytest.mark.parametrize(("name", "layer", "cut"), cuts())
def test_value_and_grad_are_those_of_the_whole_network_with_the_layer_replaced(name, layer, cut):
    model, x = toys()[name]
    tail = quiet_tail(model, layer, example_input=x)
    maps = torch.rand(3, *tail.shape, generator=torch.Generator().manual_seed(2)) + tail.features(first_row_only(x))[:3]
    given = maps.clone()
    targets = torch.tensor([0, tail.n_targets - 1, tail.n_targets // 2])
    score, grad = tail.value_and_grad(given, targets)
    assert torch.equal(given, maps)
    assert not score.requires_grad
    assert not grad.requires_grad
    expected = tail._cut.whole(leaf := maps.clone().requires_grad_())[range(3), targets]
    torch.testing.assert_close(score, expected.detach(), **CLOSE)
    torch.testing.assert_close(grad, torch.autograd.grad(expected.sum(), leaf)[0], **CLOSE)


@pytest.mark.parametrize("name", [name for name in toys() if name != "two inputs"])
def test_any_number_of_maps_goes_through_whatever_the_example_had(name):
    model, x = toys()[name]
    one = quiet_tail(model, example_input=_take(x, 1))
    five = quiet_tail(model, example_input=x)
    assert (one.layer, one.shape, one.cut, one.squash) == (five.layer, five.shape, five.cut, five.squash)
    maps = torch.rand(130, *one.shape, generator=torch.Generator().manual_seed(3))
    all_at_once = one.logits(maps)
    torch.testing.assert_close(five.logits(maps), all_at_once, **CLOSE)
    for n in (1, 2, 33):
        torch.testing.assert_close(five.logits(maps[:n]), all_at_once[:n], **CLOSE)


def _take(x, n):
    if isinstance(x, dict):
        return {key: _take(value, n) for key, value in x.items()}
    if isinstance(x, (tuple, list)):
        return type(x)(_take(value, n) for value in x)
    return x[:n]


class Called(TorchFunctionMode):
    """Records the names of the tensor functions called."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.names.append(getattr(function, "__name__", "").split(".")[0])
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("name", "layer", "way"),
    [
        ("bpnet", "network.blocks.3", "trace"),  # one of two heads, and that one is dense
        ("skip across", "act", "trace"),  # the other branch is a constant
        ("shape decides", "pool", "export"),
        ("values decide", "pool", "memory"),
    ],
)
def test_only_what_lies_behind_the_cut_is_computed(name, layer, way):
    model, x = toys()[name]
    tail = quiet_tail(model, layer, example_input=x)
    assert tail.way == way
    with Called() as called:
        tail.logits(torch.rand(4, *tail.shape))
    assert "linear" in called.names
    assert not {"conv1d", "max_pool1d"} & set(called.names)


def test_a_gradient_can_flow_on_from_the_logits():
    model, x = toys()["sequential"]
    tail = Tail(model, "3", example_input=x)
    maps = torch.rand(2, *tail.shape, requires_grad=True)
    (tail.logits(maps)[:, 0].sum() * 2).backward()
    _, once = tail.value_and_grad(maps, torch.zeros(2, dtype=torch.long))
    torch.testing.assert_close(maps.grad, 2 * once)


# -- layers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "layer", "shape"),
    [
        ("sequential", "4", (6,)),  # pooled over all positions: a vector
        ("deepsea", "1.2", (10, 16)),  # the input of the third convolution
        ("danq", "pool", (32, 23)),  # before the recurrence
        ("transformer", "pool", (32, 23)),
        ("bpnet", "network.blocks.0", (16, 40)),
        ("containers", "join", (12, 40)),  # three convolutions side by side are one deep
        ("conv2d", "pool", (6, 9)),  # before positions are folded into the dense layer
        ("shared relu", "relu#1", (6, 40)),
        ("skip before", "pool", (6,)),
    ],
)
def test_the_suggested_layer_is_the_papers_choice(name, layer, shape):
    model, x = toys()[name]
    table = list_layers(model, x)
    chosen = table[table.suggested]
    assert chosen.name.tolist() == [layer]
    assert chosen["shape"].tolist() == [shape]
    assert quiet_tail(model, example_input=x).layer == layer


def test_deepsea_at_full_size_is_cut_at_480_channels_by_60_positions():
    table = list_layers(seeded(deepsea), one_hot(1, 1000))
    assert table.loc[table.suggested, "shape"].tolist() == [(480, 60)]


def test_a_skip_connection_makes_the_cut_shared_and_what_does_not_matter_cannot_be_cut():
    table = list_layers(seeded(BPNet), one_hot(2, 60), output=lambda y: y[1]).set_index("name")
    assert table.cut["stem"] == table.cut["relu"] == table.cut["blocks.0"] == "clean"
    assert table.cut["blocks.1.conv"] == table.cut["blocks.1.relu"] == "shared"
    assert table.cut["profile"] == "no"


def test_channels_come_first_whatever_the_layers_own_order():
    danq = list_layers(seeded(DanQ), one_hot(2, 200)).set_index("name")["shape"]
    assert danq["lstm"] == (48, 23)
    first = list_layers(*toys()["gru"]).set_index("name")["shape"]  # positions, rows, channels
    assert first["conv"] == (6, 40)
    encoder = list_layers(seeded(Transformer), one_hot(2, 200)).set_index("name")["shape"]
    assert encoder["encoder.layers.0.linear1"] == (64, 23)


def test_maps_of_a_channels_last_layer_are_transposed_both_ways():
    class PositionsFirst(Toy):
        def __init__(self):
            super().__init__()
            self.rnn = nn.LSTM(6, 5)
            self.last = nn.Linear(5, 3)

        def forward(self, x):
            return self.last(self.rnn(self.conv(x).permute(2, 0, 1))[0].mean(0))

    model, x = seeded(PositionsFirst), one_hot(3, 40)
    tail = Tail(model, "rnn", example_input=x)
    assert tail.shape == (5, 40)
    torch.testing.assert_close(tail.logits(tail.features(x)), own_output(model, x), **CLOSE)


def test_a_layer_may_be_given_as_the_module():
    model, x = toys()["skip across"]
    assert Tail(model, model.conv, example_input=x).layer == "conv"
    with pytest.raises(ValueError, match="not a part of the network"):
        Tail(model, nn.ReLU(), example_input=x)


def test_first_layer_gives_the_kernels_where_channels_are_filters():
    for name, layer, kernels in [
        ("sequential", "4", "0.weight"),
        ("functional", "conv", "conv.weight"),
        ("depthwise", "act#1", "conv.weight"),
        ("danq", "pool", "conv.weight"),
    ]:
        model, x = toys()[name]
        expected = model.get_parameter(kernels).detach().numpy()
        assert np.array_equal(Tail(model, layer, example_input=x).first_layer(), expected)
    conv2d, x = toys()["conv2d"]
    kernels = Tail(conv2d, "pool", example_input=x).first_layer()
    assert np.array_equal(kernels, conv2d.conv.weight.detach()[:, 0].numpy())
    for name, layer in [
        ("sequential", "6"),
        ("depthwise", "point"),
        ("skip before", "pool"),
        ("bpnet", "network.blocks.0"),
    ]:
        model, x = toys()[name]
        assert Tail(model, layer, example_input=x).first_layer() is None


# -- the squash -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "squash"),
    [
        (nn.Sigmoid(), "sigmoid"),
        (nn.Softmax(dim=1), "softmax"),
        (nn.LogSoftmax(dim=1), "log_softmax"),
        (nn.Sequential(nn.Sequential(nn.Sigmoid()), nn.Identity()), "sigmoid"),
        (nn.Tanh(), None),
    ],
)
def test_the_output_squash_is_found_and_left_out(head, squash):
    model = seeded(lambda: nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 3), head))
    tail = Tail(model, "1", example_input=one_hot(2, 40))
    assert tail.squash == squash
    x = one_hot(4, 40, seed=3)
    torch.testing.assert_close(SQUASH[squash](tail.predict(x)), own_output(model, x), **CLOSE)


def test_one_sigmoid_a_head_is_one_squash():
    class Heads(Toy):
        def __init__(self):
            super().__init__()
            self.heads = nn.ModuleList([nn.Sequential(nn.Linear(6, 1), nn.Sigmoid()) for _ in range(4)])

        def forward(self, x):
            h = self.conv(x).amax(2).sigmoid()  # this one is not at the end
            return torch.cat([head(h) for head in self.heads], 1)

    model, x = seeded(Heads), one_hot(3, 40)
    tail = Tail(model, "conv", example_input=x)
    assert (tail.squash, tail.n_targets) == ("sigmoid", 4)
    torch.testing.assert_close(tail.logits(tail.features(x)).sigmoid(), own_output(model, x), **CLOSE)


def test_a_hidden_squash_is_warned_of():
    class Homemade(Functional):
        def forward(self, x):
            return 1 / (1 + torch.exp(-super().forward(x)))

    with pytest.warns(UserWarning, match=r"stay within \[0, 1\]"):
        tail = Tail(seeded(Homemade), "conv", example_input=one_hot(2, 40))
    assert tail.squash is None
    assert any("[0, 1]" in note for note in tail.notes)


@pytest.mark.parametrize(
    ("finish", "squash"),
    [
        (lambda y: 100 * torch.sigmoid(y), "sigmoid"),
        (lambda y: torch.sigmoid(y).clamp(1e-6, 1 - 1e-6), "sigmoid"),
        (lambda y: y.softmax(1)[:, 1:] - y.softmax(1)[:, :1], "softmax"),
        (lambda y: y.log_softmax(1)[:, 1:] - y.log_softmax(1)[:, :1], None),  # a log-odds goes on
        (lambda y: y * torch.sigmoid(y), None),  # and so does a gate
    ],
)
def test_a_squash_that_cannot_be_left_out_is_warned_of_where_it_saturates(finish, squash):
    class Finished(Functional):
        def forward(self, x):
            return finish(super().forward(x))

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        tail = Tail(seeded(Finished), "conv", example_input=one_hot(2, 40))
    assert tail.squash is None
    assert [f"come from a {squash}, scaled" in str(w.message) for w in told] == ([True] if squash else [])
    assert all(w.filename == __file__ for w in told)  # it points at who made the tail


def test_behind_the_squash_there_is_nothing_to_ascend():
    model, x = toys()["sequential"]
    with pytest.raises(ValueError, match="comes after the output's softmax"):
        Tail(model, "9", example_input=x)


# -- cuts that need a word ------------------------------------------------------------------------------------------


def test_a_shared_cut_holds_the_other_branch_at_the_first_row_and_says_so():
    model, x = seeded(SkipAcross), one_hot(3, 40)
    with pytest.warns(UserWarning, match="first row of example_input"):
        tail = Tail(model, "act", example_input=x)
    assert tail.cut == "shared"
    assert any("example_input" in note for note in tail.notes)
    maps = tail.features(x)
    own = own_output(model, x)
    held = tail.logits(maps)
    torch.testing.assert_close(held[0], own[0], **CLOSE)
    assert not torch.allclose(held[1], own[1], **CLOSE)


@pytest.mark.parametrize("example", [one_hot(2, 40), torch.zeros(1, 4, 40)], ids=["sequences", "zeros"])
def test_a_mask_that_has_no_gradient_is_still_a_shared_cut(example):
    class Masked(Toy):
        def forward(self, x):
            seen = (x[:, 0] > 0).float()[:, None]
            return self.out((self.conv(x) * seen).amax(2))

    with pytest.warns(UserWarning, match="first row of example_input"):
        assert Tail(seeded(Masked), "conv", example_input=example).cut == "shared"


def test_a_layer_called_twice_asks_which_call():
    model, x = toys()["shared relu"]
    with pytest.raises(ValueError, match=r"called 2 times in one forward pass; say which call: 'relu#1', 'relu#2'"):
        Tail(model, "relu", example_input=x)
    assert Tail(model, "relu#2", example_input=x).shape == (6,)


def test_an_in_place_layer_behind_the_cut_leaves_the_maps_alone():
    model = seeded(lambda: nn.Sequential(nn.Conv1d(4, 6, 5), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(216, 2)))
    tail = Tail(model, "0", example_input=one_hot(2, 40))
    maps = torch.randn(3, *tail.shape)
    given = maps.clone()
    tail.logits(given)
    tail.value_and_grad(given, torch.zeros(3, dtype=torch.long))
    assert torch.equal(given, maps)


def test_an_in_place_step_that_breaks_the_networks_own_gradient_is_read_all_the_same():
    class Adds(Functional):
        def forward(self, x):
            h = torch.sigmoid(self.conv(x))
            h += h.mean(2, keepdim=True)
            return self.out(h.amax(2))

    model, x = seeded(Adds).double(), one_hot(3, 40).double()
    tail = Tail(model, "conv", example_input=x)
    torch.testing.assert_close(tail.logits(tail.features(x)), own_output(model, x), **CLOSE)
    random = torch.Generator().manual_seed(0)
    maps = torch.rand(1, *tail.shape, generator=random, dtype=torch.float64)
    _, grad = tail.value_and_grad(maps, torch.tensor([1]))
    step = 1e-6 * torch.randn(maps.shape, generator=random, dtype=torch.float64)  # too short to change which is largest
    rise = float(tail.logits(maps + step)[0, 1] - tail.logits(maps - step)[0, 1]) / 2
    assert rise == pytest.approx(float((grad * step).sum()), rel=1e-3)


def test_several_outputs_need_a_choice_and_the_message_lists_them():
    model, x = seeded(BPNet), one_hot(2, 60)
    with pytest.raises(ValueError, match=r"several outputs \(0: \(3, 2, 60\); 1: \(3, 2\)\).*output=lambda y: y\[0\]"):
        Tail(model, example_input=x)
    by_function = Tail(model, "relu", example_input=x, output=lambda y: y[1])
    by_key = Tail(model, "relu", example_input=x, output=1)
    maps = by_key.features(x)
    torch.testing.assert_close(by_function.logits(maps), by_key.logits(maps))
    summed = Tail(model, "relu", example_input=x, output=lambda y: y[0].sum(-1))
    torch.testing.assert_close(summed.logits(maps), own_profile(model, x).sum(-1), **CLOSE)
    with pytest.raises(ValueError, match=r"shape \(N, 2, 60\), expected one number a class"):
        Tail(model, example_input=x, output=0)


def own_profile(model, x):
    with torch.no_grad():
        return copy.deepcopy(model).eval()(x)[0]


@pytest.mark.parametrize("shape", [lambda y: y[:, 0], lambda y: y[:, None], lambda y: y[..., None]])
def test_outputs_with_axes_of_one_are_flattened(shape):
    class Shaped(Functional):
        def forward(self, x):
            return shape(super().forward(x))

    tail = Tail(seeded(Shaped), "conv", example_input=one_hot(2, 40))
    assert tail.logits(torch.rand(4, *tail.shape)).shape == (4, tail.n_targets)
    assert tail.n_targets in (1, 3)


# -- networks as people have them -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_runs_on_a_float_copy_and_is_noted(dtype):
    model, x = toys()["sequential"]
    model = model.to(dtype)
    before = snapshot(model)
    tail = Tail(model, "4", example_input=x.to(dtype))
    assert tail.dtype == torch.float32
    assert any(str(dtype).removeprefix("torch.") in note for note in tail.notes)
    assert tail.logits(tail.features(x)).dtype == torch.float32
    assert_same(before, snapshot(model))


def test_double_precision_stays_double():
    model, x = toys()["danq"]
    tail = Tail(model.double(), "pool", example_input=x)
    assert tail.dtype == tail.logits(tail.features(x)).dtype == torch.float64


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.compile], ids=["DataParallel", "compile"])
def test_wrappings_are_taken_off(wrap):
    model, x = toys()["skip across"]
    wrapped = wrap(model)
    tail = Tail(wrapped, "conv", example_input=x)
    torch.testing.assert_close(tail.logits(tail.features(x)), own_output(model, x), **CLOSE)
    assert Tail(wrapped, model.conv, example_input=x).layer == "conv"
    for name in dict(wrapped.named_modules()):
        if name.endswith("conv"):
            assert Tail(wrapped, name, example_input=x).layer == "conv"


def test_a_compiled_part_is_taken_out_of_its_wrapping():
    model, x = toys()["skip across"]
    model.inner = torch.compile(model.inner)
    assert list_layers(model, x).name.tolist() == ["conv", "inner", "act", "out"]


def test_weight_norm_by_hooks_and_by_parametrisation_is_kept():
    for norm in (torch.nn.utils.parametrizations.weight_norm, torch.nn.utils.spectral_norm):
        model, x = seeded(Functional), one_hot(3, 40)
        norm(model.out)
        model.eval()
        tail = Tail(model, "conv", example_input=x)
        torch.testing.assert_close(tail.logits(tail.features(x)), own_output(model, x), **CLOSE)


def test_somebodys_recording_hooks_are_not_fed_by_the_ascent():
    model, x = seeded(Functional), one_hot(3, 40)
    recorded = []
    model.out.register_forward_hook(lambda *_: recorded.append(1))
    tail = Tail(model, "conv", example_input=x)
    recorded.clear()
    for _ in range(3):
        tail.value_and_grad(torch.rand(2, *tail.shape), torch.zeros(2, dtype=torch.long))
        tail.predict(x)
    assert recorded == []


def test_a_network_for_one_batch_size_only_is_run_in_groups_of_it():
    class Fixed(Functional):
        def forward(self, x):
            return self.out(self.conv(x).amax(2).view(2, 6))

    model = seeded(Fixed)
    tail = Tail(model, "conv", example_input=one_hot(2, 40))
    assert any("batch size of 2 only" in note for note in tail.notes)
    maps = torch.rand(5, *tail.shape)
    expected = maps.amax(2) @ model.out.weight.detach().T + model.out.bias.detach()
    torch.testing.assert_close(tail.logits(maps), expected, **CLOSE)
    x = one_hot(3, 40, seed=5)
    torch.testing.assert_close(tail.logits(tail.features(x)), tail.predict(x), **CLOSE)


def test_groups_of_one_batch_size_are_computed_at_once_where_operations_allow():
    model, x = toys()["sequential"]
    program = torch.export.export(model.eval(), (x[:1],))
    tail = Tail(program, "3", example_input=x[:1])
    with Called() as called:
        logits = tail.logits(maps := torch.rand(50, *tail.shape))
    assert called.names.count("linear") == 2
    torch.testing.assert_close(logits, Tail(model, "3", example_input=x).logits(maps), **CLOSE)


@pytest.mark.parametrize("dynamic", [True, False], ids=["any batch", "one batch size"])
@pytest.mark.parametrize("name", ["deepsea", "danq", "transformer", "skip across"])
def test_an_exported_program_is_cut_like_the_network_it_came_from(name, dynamic):
    model, x = toys()[name]
    rows = {0: torch.export.Dim("rows")}
    program = torch.export.export(model.eval(), (x,), dynamic_shapes=(rows,) if dynamic else None)
    weights = {k: v.clone() for k, v in program.state_dict.items()}
    ours, theirs = list_layers(program, x), list_layers(model, x)
    assert ours.loc[ours.suggested, "shape"].tolist() == theirs.loc[theirs.suggested, "shape"].tolist()
    tail, reference = Tail(program, example_input=x), Tail(model, example_input=x)
    assert (tail.layer, tail.shape, tail.squash) == (reference.layer, reference.shape, reference.squash)
    maps = torch.rand(7, *tail.shape)
    targets = torch.arange(7) % tail.n_targets
    for a, b in zip(tail.value_and_grad(maps, targets), reference.value_and_grad(maps, targets), strict=True):
        torch.testing.assert_close(a, b, **CLOSE)
    assert all(torch.equal(weights[k], v) for k, v in program.state_dict.items())


@dataclasses.dataclass
class Answer:
    hidden: torch.Tensor
    scores: torch.Tensor


class Frozen(Toy):
    """A backbone run without gradients, a head with."""

    def forward(self, x):
        with torch.no_grad():
            h = self.conv(x)
        return self.out(torch.relu(h).amax(2))


class Mixed(Functional):
    """Mixed precision inside."""

    @torch.autocast("cpu", dtype=torch.bfloat16)
    def forward(self, x):
        return super().forward(x)


class Packed(Toy):
    """A recurrence over packed sequences."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(6, 6, batch_first=True)

    def forward(self, x):
        h = self.conv(x).transpose(1, 2)
        packed = nn.utils.rnn.pack_padded_sequence(h, [h.shape[1]] * h.shape[0], batch_first=True)
        h, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return self.out(h[:, -1])


class Keywords(Functional):
    """Inputs by name, a part that answers with a dataclass."""

    class Part(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(4, 6, 5)

        def forward(self, x):
            h = self.conv(x)
            return Answer(h, h.amax(2))

    def __init__(self):
        super().__init__()
        self.part = self.Part()

    def forward(self, *, seq, scale=1.0):
        return self.out(self.part(seq).hidden.amax(2) * scale)


class Constants(Functional):
    """Constants that are no buffers, made in the forward pass or before, and work in place."""

    def __init__(self):
        super().__init__()
        self.weights = torch.linspace(0.5, 1.5, 6)

    def forward(self, x):
        h = (self.conv(x).amax(2) * self.weights).add_(torch.arange(6, device=x.device))
        return self.out(h.mul_(torch.full((x.shape[0], 1), 0.5)))


@pytest.mark.parametrize(
    ("build", "layer", "tolerance"),
    [
        (Frozen, "conv", CLOSE),
        (Mixed, "conv", {"rtol": 2e-2, "atol": 2e-2}),  # bfloat16 has eight bits
        (Packed, "conv", CLOSE),
        (Keywords, "part", CLOSE),
        (Keywords, "part.conv", CLOSE),
        (Constants, "conv", CLOSE),
    ],
)
def test_unusual_forward_passes_are_cut(build, layer, tolerance):
    model, x = seeded(build), one_hot(3, 40)
    given = {"seq": x} if build is Keywords else x
    tail = Tail(model, layer, example_input=given)
    assert tail.cut == "clean"
    with torch.no_grad():
        own = copy.deepcopy(model).eval()
        expected = own(**given) if build is Keywords else own(x)
    torch.testing.assert_close(tail.logits(tail.features(given)), expected.float(), **tolerance)
    maps = torch.rand(7, *tail.shape)
    score, grad = tail.value_and_grad(maps, torch.arange(7) % 3)
    assert score.dtype == grad.dtype == torch.float32
    assert float(grad.abs().sum(1).amax(-1).min()) > 0
    once = tail.logits(maps)
    torch.testing.assert_close(tail.logits(maps), once)  # constants are not used up


def test_modules_in_plain_lists_are_put_in_eval_mode_and_can_be_cut():
    class Loose(Toy):
        def __init__(self):
            super().__init__()
            self.steps = [nn.Dropout(0.9), nn.Conv1d(6, 6, 3)]

        def forward(self, x):
            h = self.conv(x)
            for step in self.steps:
                h = step(h)
            return self.out(h.amax(2))

    model, x = seeded(Loose), one_hot(3, 40)
    tail = Tail(model, "steps.1", example_input=x)
    assert tail.shape == (6, 38)
    assert torch.equal(tail.predict(x), tail.predict(x))
    assert Tail(model, model.steps[1], example_input=x).layer == "steps.1"
    assert model.steps[0].training


def test_whole_numbers_are_taken_as_one_hot():
    model, x = toys()["sequential"]
    tail = Tail(model, "4", example_input=x.to(torch.int8))
    torch.testing.assert_close(tail.features(x.to(torch.int8)), tail.features(x))
    torch.testing.assert_close(tail.features(x.numpy()), tail.features(x))


def test_tokens_stay_whole_numbers():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(4, 6)
            self.conv = nn.Conv1d(6, 5, 3)
            self.out = nn.Linear(5, 2)

        def forward(self, tokens):
            return self.out(torch.relu(self.conv(self.embedding(tokens).transpose(1, 2))).amax(2))

    model, x = seeded(Tokens), torch.randint(4, (3, 40), generator=torch.Generator().manual_seed(0))
    table = list_layers(model, x).set_index("name")
    assert table.cut.tolist() == ["clean"] * 3
    assert table["shape"]["embedding"] == (6, 40)
    tail = Tail(model, "conv", example_input=x)
    torch.testing.assert_close(tail.logits(tail.features(x)), own_output(model, x), **CLOSE)


def test_a_network_made_in_inference_mode_or_without_gradients_is_no_obstacle():
    for mode in (torch.inference_mode, torch.no_grad):
        with mode():
            model, x = toys()["sequential"]
            tail = Tail(model, "4", example_input=x)
            score, grad = tail.value_and_grad(torch.rand(2, *tail.shape), torch.tensor([0, 1]))
        assert score.shape == (2,)
        assert float(grad.abs().sum()) > 0


# -- the network comes back as it was -------------------------------------------------------------------------------


def busy_model():
    """A network in the middle of its training: batch norm counting, gradients set, a part frozen."""
    model, x = toys()["depthwise"]
    model(x).sum().backward()
    model.conv.weight.requires_grad_(False)
    model.bn.eval()
    model.register_forward_hook(lambda *_: None)
    return model, x


def test_the_network_is_bit_identical_after_everything():
    model, x = busy_model()
    maps = torch.rand(2, 10, 32)
    before = snapshot(model)
    list_layers(model, x)
    tail = Tail(model, "act#2", example_input=x)
    tail.value_and_grad(maps, torch.tensor([0, 1]))
    tail.features(x)
    tail.predict(x)
    assert_same(before, snapshot(model))


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_the_network_is_bit_identical_after_an_error_and_an_interrupt(error):
    class Fails(nn.Module):
        def forward(self, x):
            raise error("in the middle of the forward pass")

    model, x = busy_model()
    model.act = Fails()
    before = snapshot(model)
    for call in (lambda: list_layers(model, x), lambda: Tail(model, "conv", example_input=x)):
        with pytest.raises((ValueError, KeyboardInterrupt)):
            call()
    assert_same(before, snapshot(model))


def test_somebody_may_train_the_network_while_a_thread_runs_its_tail():
    model, x = toys()["danq"]
    model.train()
    tail = Tail(model, "pool", example_input=x)
    maps, targets = torch.rand(4, *tail.shape), torch.arange(4)
    expected = tail.value_and_grad(maps, targets)
    different, done = [], threading.Event()

    def work():
        while not done.is_set():
            got = tail.value_and_grad(maps, targets)
            different.extend(not torch.equal(a, b) for a, b in zip(got, expected, strict=True))

    thread = threading.Thread(target=work)
    thread.start()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(20):
        optimiser.zero_grad()
        model(x).sum().backward()
        optimiser.step()
    done.set()
    thread.join()
    assert different
    assert not any(different)
    assert all(p.grad is not None for p in model.parameters())


# -- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"0.weight": torch.rand(3)}, "a state_dict holds weights but no network"),
        ("model.pt2", "load it first"),
        (Functional, r"the class Functional itself: make one, Functional\(...\)"),
        (lambda x: x, "expected a network"),
        (None, "expected a network"),
    ],
)
def test_what_is_no_network_is_a_type_error_that_says_what_it_is(what, words):
    with pytest.raises(TypeError, match=words):
        Tail(what, example_input=one_hot(1, 40))
    with pytest.raises(TypeError, match=words):
        list_layers(what, one_hot(1, 40))


def test_torchscript_is_refused_with_a_way_out():
    model, x = toys()["sequential"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        script = torch.jit.trace(model.eval(), x)
    with pytest.raises(TypeError, match=r"the nn\.Module it was made from"):
        Tail(script, example_input=x)


def test_a_layer_that_does_not_exist_suggests_the_nearest():
    model, x = toys()["deepsea"]
    with pytest.raises(KeyError, match=r"no layer '12'; did you mean '1.2'\? list_layers"):
        Tail(model, "12", example_input=x)
    with pytest.raises(KeyError, match=r"no layer 'encoder'; there are '0\.0', '0\.1'"):
        Tail(model, "encoder", example_input=x)
    with pytest.raises(TypeError, match="expected a dotted name or a module, got float"):
        Tail(model, 1.2, example_input=x)
    assert Tail(model, 3, example_input=x).layer == "3"  # nn.Sequential is indexed by numbers


def test_a_layer_the_output_does_not_depend_on_is_an_error():
    with pytest.raises(ValueError, match=r"cannot be cut at 'profile': the network's output does not depend on it"):
        Tail(seeded(BPNet), "profile", example_input=one_hot(1, 60), output=1)
    model = seeded(Functional)
    model.spare = nn.Linear(3, 3)
    with pytest.raises(ValueError, match="'spare' is never called"):
        Tail(model, "spare", example_input=one_hot(1, 40))


@pytest.mark.parametrize(
    ("give", "words"),
    [
        (
            lambda x: x.transpose(1, 2),
            r"has shape \(5, 40, 4\), but this network takes \(5, 4, 40\).*transpose\(1, 2\)",
        ),
        (lambda x: x[:, None], r"has shape \(5, 1, 4, 40\), but this network takes \(5, 4, 40\)"),
        (lambda x: x[:, :, None], r"has shape \(5, 4, 1, 40\), but this network takes \(5, 4, 40\)"),
        (lambda x: x[:, :3], "does not run on example_input of shape"),
        (lambda x: x[:0], "empty"),
        (lambda x: x / 0, "not finite"),
        (lambda x: None, r"expected a tensor \(N, 4, L\)"),
    ],
)
def test_a_wrong_example_is_explained(give, words):
    model, x = toys()["sequential"]
    before = snapshot(model)
    with pytest.raises(ValueError, match=words):
        Tail(model, example_input=give(x))
    assert_same(before, snapshot(model))


def test_an_example_without_rows_is_told_from_one_with():
    model, x = toys()["deepsea"]
    with pytest.raises(ValueError, match=r"pass x\[None\] \(one row\)"):
        Tail(model, example_input=x[0])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(value):
    model, x = toys()["sequential"]
    with torch.no_grad():
        model[5].weight[0, 0] = value
    with pytest.raises(ValueError, match=r"not finite numbers: 5\.weight"):
        Tail(model, example_input=x)


def test_inputs_unlike_the_example_are_explained():
    model, x = toys()["sequential"]
    tail = Tail(model, "2", example_input=x)
    with pytest.raises(ValueError, match=r"inputs of shape \(N, 40, 4\); the network was shown \(N, 4, 40\)"):
        tail.features(x.transpose(1, 2))
    with pytest.raises(ValueError, match=r"maps of shape \(6, 46\), example_input gave \(6, 36\)"):
        tail.features(one_hot(2, 50))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_a_device_that_is_not_there_is_an_error():
    model, x = toys()["sequential"]
    with pytest.raises(ValueError, match="no CUDA device here"):
        Tail(model, example_input=x, device="cuda")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tails_on_cuda_agree_with_those_on_the_cpu():
    for model, x in toys().values():
        here, there = quiet_tail(model, example_input=x), quiet_tail(model, example_input=x, device="cuda")
        assert there.device.type == "cuda"
        assert (here.layer, here.shape, here.cut) == (there.layer, there.shape, there.cut)
        maps, targets = torch.rand(9, *here.shape), torch.arange(9) % here.n_targets
        pairs = zip(here.value_and_grad(maps, targets), there.value_and_grad(maps.cuda(), targets.cuda()), strict=True)
        for a, b in pairs:
            torch.testing.assert_close(b.cpu(), a, rtol=1e-2, atol=1e-3)  # TF32 convolutions
        assert next(model.parameters()).device.type == "cpu"


def test_weights_without_values_are_named():
    lazy = nn.Sequential(nn.LazyConv1d(4, 5), nn.Flatten(), nn.LazyLinear(2))
    with pytest.raises(ValueError, match=r"no values yet: 0\.weight"):
        Tail(lazy, example_input=one_hot(1, 40))
    with torch.device("meta"):
        empty = Functional()
    with pytest.raises(ValueError, match="'meta' device"):
        Tail(empty, example_input=one_hot(1, 40))


def test_rows_that_see_each_other_are_refused():
    class Mixes(Toy):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(6, 6)  # batch_first was forgotten

        def forward(self, x):
            return self.out(self.lstm(self.conv(x).transpose(1, 2))[0].mean(1))

    with pytest.raises(ValueError, match=r"rows of a batch influence each other.*batch_first=True"):
        Tail(seeded(Mixes), "conv", example_input=one_hot(4, 40))


def test_noise_in_eval_mode_is_refused():
    class Noisy(Functional):
        def forward(self, x):
            return super().forward(x) + torch.randn(len(x), 3)

    with pytest.raises(ValueError, match="the network is random"):
        Tail(seeded(Noisy), "conv", example_input=one_hot(2, 40))


def test_class_labels_are_no_logits():
    class Labels(Functional):
        def forward(self, x):
            return super().forward(x).argmax(1)

    with pytest.raises(ValueError, match="no gradient; expected logits"):
        Tail(seeded(Labels), "conv", example_input=one_hot(2, 40))


# -- real networks --------------------------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize(("layer", "shape"), [("concat", (64, 800)), ("pool", (64,)), (None, (64,))])
def test_mtsplice_is_cut_at_the_joined_map_and_at_the_64_channels(shared_data, layer, shape):
    model = mtsplice(shared_data / "mtsplice" / "mtsplice0.h5")
    windows = one_hot(6, 400, seed=1), one_hot(6, 400, seed=2)
    before = snapshot(model)
    tail = Tail(model, layer, example_input=(windows[0][:1], windows[1][:1]))
    assert (tail.shape, tail.cut, tail.n_targets, tail.squash) == (shape, "clean", 56, None)
    with torch.no_grad():
        torch.testing.assert_close(tail.logits(tail.features(windows)), model(*windows), **CLOSE)
    # Both sides share one convolution, so the 64 channels are its 64 filters.
    assert np.array_equal(tail.first_layer(), model.conv.weight.detach().numpy())
    assert_same(before, snapshot(model))


@pytest.mark.real
def test_mtsplice_has_the_natural_activations_its_notes_give(shared_data):
    model = mtsplice(shared_data / "mtsplice" / "mtsplice0.h5")
    means = model.bn_pooled.running_mean
    tail = Tail(model, "pool", example_input=(one_hot(1, 400), one_hot(1, 400)))
    maps = tail.features((one_hot(200, 400, seed=3), one_hot(200, 400, seed=4)))
    # Random sequences are not exons, but a wrong kernel order or basis would be off by far more than that.
    assert float(np.corrcoef(maps.mean(0), means)[0, 1]) > 0.8
    assert 0.5 < float(maps.mean() / means.mean()) < 2
