"""Parts of a network in odd places or of odd kinds: in nested lists, in TorchScript, random, in half precision."""

from __future__ import annotations

import warnings

import pytest
import torch
from networks import Toy, one_hot, seeded, toys
from torch import nn

from dr_explorer.tail import Tail, list_layers
from dr_explorer.tail.recurrences import for_cudnn

CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # float32 sums in another order


def test_modules_in_nested_lists_and_dicts_are_put_in_eval_mode_and_can_be_cut() -> None:
    class Nested(Toy):
        def __init__(self):
            super().__init__()
            self.blocks = [[nn.Conv1d(6, 6, 3), nn.Dropout(0.9)] for _ in range(2)]
            self._private = {"last": (nn.BatchNorm1d(6), "a word")}

        def forward(self, x):
            h = self.conv(x)
            for conv, drop in self.blocks:
                h = drop(torch.relu(conv(h)))
            return self.out(self._private["last"][0](h).amax(2))

    model, x = seeded(Nested), one_hot(3, 40)
    names = ["conv", "blocks.0.0", "blocks.0.1", "blocks.1.0", "blocks.1.1", "_private.last.0", "out"]
    assert list_layers(model, x).name.tolist() == names
    tail = Tail(model, "blocks.1.0", example_input=x)
    assert torch.equal(tail.predict(x), tail.predict(x))
    torch.testing.assert_close(tail.logits(tail.features(x)), tail.predict(x), **CLOSE)
    assert model.blocks[0][1].training


@pytest.mark.parametrize("how", ["script", "trace"])
def test_a_part_in_torchscript_is_called_whole_and_can_be_cut(how: str) -> None:
    model, x = toys()["depthwise"]
    model.eval()
    with torch.no_grad():
        expected = model(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; people's networks are not
        model.group = (
            torch.jit.script(model.group) if how == "script" else torch.jit.trace(model.group, torch.rand(2, 10, 32))
        )
    table = list_layers(model, x).set_index("name")
    assert table.type["group"] == "Conv1d"
    for layer in ("point", "group"):
        tail = Tail(model, layer, example_input=x)
        torch.testing.assert_close(tail.logits(tail.features(x)), expected, **CLOSE)
        _, grad = tail.value_and_grad(torch.rand(2, *tail.shape), torch.tensor([0, 1]))
        assert float(grad.abs().sum()) > 0
    assert isinstance(model.group, torch.jit.ScriptModule)
    assert all(p.requires_grad for p in model.parameters())


def test_noise_before_the_cut_is_refused_too() -> None:
    class Noisy(Toy):
        def __init__(self):
            super().__init__()
            self.pool = nn.AdaptiveMaxPool1d(1)

        def forward(self, x):
            # Values of a continuous noise are never the same twice.
            return self.out(self.pool(self.conv(x) + torch.randn(len(x), 6, 1)).flatten(1))

    with pytest.raises(ValueError, match="the network is random"):
        Tail(seeded(Noisy), "pool", example_input=one_hot(2, 40))
    model, x = toys()["deepsea"]
    program = torch.export.export(model.train(), (x,), dynamic_shapes=({0: torch.export.Dim("rows")},))
    with pytest.raises(ValueError, match="export programs from eval mode"):
        Tail(program, "1.3", example_input=x)  # after the dropout of 160 numbers, most of which are not zero


def test_a_padding_mask_does_not_pack_the_rows_of_a_transformer() -> None:
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(4, 8, 5, stride=4)
            self.encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
            self.out = nn.Linear(8, 3)

        def forward(self, x):
            h = self.conv(x).transpose(1, 2)
            padding = torch.zeros(h.shape[:2], dtype=torch.bool)
            padding[:, -3:] = True
            return self.out(self.encoder(h, src_key_padding_mask=padding)[:, 0])

    model, x = seeded(Padded).eval(), one_hot(3, 40)
    with torch.no_grad():
        expected = model(x)
    tail = Tail(model, "encoder.layers.0", example_input=x)
    torch.testing.assert_close(tail.logits(tail.features(x)), expected, **CLOSE)
    assert model.encoder.use_nested_tensor


def test_a_forward_pass_that_casts_to_half_by_itself_is_told_what_to_do() -> None:
    class Casts(Toy):
        def forward(self, x):
            return self.out(self.conv(x.half()).amax(2))

    with pytest.raises(ValueError, match="its copy runs in float32, where its own forward pass casts to half"):
        Tail(seeded(Casts).half(), "conv", example_input=one_hot(2, 40))


def test_a_recurrence_of_which_only_the_state_is_used_says_what_would_be_cut() -> None:
    model, x = toys()["gru"]
    with pytest.raises(ValueError, match="of the several tensors it returns, the first would be the feature map"):
        Tail(model, "gru", example_input=x)


def test_the_module_of_an_exported_program_asks_for_the_program() -> None:
    model, x = toys()["sequential"]
    flat = torch.export.export(model.eval(), (x,), dynamic_shapes=({0: torch.export.Dim("rows")},)).module()
    with pytest.raises(ValueError, match=r"give the program itself, not its module\(\)"):
        Tail(flat, example_input=x)


def test_a_layer_that_reads_single_bases_is_not_suggested_even_where_it_alone_is_a_clean_cut() -> None:
    class Skips(nn.Module):
        """SpliceAI's shape: a convolution of width one, then every block beside the same skip connection."""

        def __init__(self):
            super().__init__()
            self.lift = nn.Conv1d(4, 6, 1)
            self.blocks = nn.ModuleList([nn.Conv1d(6, 6, 5, padding=2) for _ in range(4)])
            self.out = nn.Conv1d(6, 3, 1)

        def forward(self, x):
            h = total = self.lift(x)
            for block in self.blocks:
                h = h + torch.relu(block(h))
                total = total + h
            return self.out(total).amax(2)

    table = list_layers(seeded(Skips), one_hot(1, 40))
    assert table.set_index("name").cut["lift"] == "clean"
    assert table.name[table.suggested].tolist() == ["blocks.1"]


@pytest.mark.parametrize("name", ["danq", "gru"])
def test_recurrences_are_put_into_training_mode_for_cudnn_and_compute_the_same(name: str) -> None:
    """On CUDA alone they are; what it does to a network or an exported program can be seen anywhere."""
    model, x = toys()[name]
    with torch.no_grad():
        expected = model.eval()(x)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("rows")},))
    for module in (model, torch.export.unflatten(program)):
        for part in module.modules():
            for_cudnn(part)
        torch.testing.assert_close(module(x), expected, **CLOSE)
        graphs = [part.graph for part in module.modules() if isinstance(getattr(part, "graph", None), torch.fx.Graph)]
        calls = [
            node
            for graph in graphs
            for node in graph.nodes
            if str(node.target) in ("aten.lstm.input", "aten.gru.input")
        ]
        modules = [part for part in module.modules() if isinstance(part, nn.RNNBase)]
        assert [node.args[6] for node in calls] + [part.training for part in modules] == [True]


def test_a_network_that_holds_itself_is_no_part_of_itself() -> None:
    model, x = toys()["sequential"]
    model.about = {"network": model}
    assert list_layers(model, x).name.tolist() == [str(i) for i in range(10)]


@pytest.mark.parametrize("as_module", [True, False], ids=["module", "function"])
def test_a_head_of_its_own_may_be_the_output_and_leaves_cuts_clean(as_module: bool) -> None:
    """Its weights, which are nobody's to freeze in a function, are no second way from the input."""
    model, x = toys()["functional"]
    head = seeded(lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 2)))
    head.train(as_module)
    tail = Tail(model, "conv", example_input=x, output=head if as_module else lambda y: head(y))
    assert tail.cut == "clean"
    with torch.no_grad():
        expected = head[1](model.eval()(x))
    torch.testing.assert_close(tail.logits(tail.features(x)), expected, **CLOSE)
    assert head.training == as_module
    assert all(p.requires_grad for p in head.parameters())
