"""A Tail gives the network's own logits from a layer's feature map, and never touches the model."""

import torch
from torch import nn

from dr_explorer.tail import Tail, list_layers


def small():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv1d(4, 8, 5), nn.ReLU(inplace=True), nn.MaxPool1d(4)),
        nn.Flatten(),
        nn.Linear(8 * 9, 16),
        nn.ReLU(),
        nn.Linear(16, 3),
        nn.Sigmoid(),
    )


def test_tail_of_a_sequential_gives_the_logits_before_the_sigmoid():
    model, x = small(), torch.rand(3, 4, 40)
    for layer in ["0.0", "0.1", "0.2", "1", "2"]:
        tail = Tail(model, layer, example_input=x)
        assert tail.squash == "sigmoid"
        torch.testing.assert_close(tail.logits(tail.features(x)).sigmoid(), model(x))


def test_list_layers_suggests_the_boundary():
    table = list_layers(small(), torch.rand(3, 4, 40))
    assert table.loc[table.suggested, "name"].tolist() == ["0.2"]
