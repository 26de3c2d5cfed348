"""Chains: random, and always the same; every usual operator is in them, and no known network."""

from __future__ import annotations

from collections import Counter

import pytest

from costmodel import ZOO, lower
from costmodel.backends.calibrating import LEAST_LAYERS
from costmodel.backends.chains import chain
from costmodel.core import infer
from costmodel.metrics.layouts import views
from costmodel.metrics.timing import kind

#: What convolutional networks are made of, and a calibration therefore has constants of.
_KINDS = """
standard pointwise depthwise grouped linear matmul batch_norm layer_norm relu relu6 hardswish silu
sigmoid hardsigmoid gelu leaky_relu prelu hardtanh add mul div concat contiguous softmax max_pool
average_pool adaptive_average_pool2d mean interpolate transposed pad local_response_norm
"""
KINDS = _KINDS.split()
FEW, MANY = 8, 60


def kinds(count: int) -> Counter[str]:
    """How many layers of each kind take time in so many chains."""
    lowered = [lower(chain(seed)) for seed in range(count)]
    return Counter(
        kind(x)
        for layers in lowered
        for x in layers
        if x.bodies and x.layer.inputs and x.layer.name not in views(layers)
    )


def test_a_seed_is_a_chain() -> None:
    """The same seed is the same chain, another another; the batch is all that a batch changes."""
    assert chain(3) == chain(3)
    assert chain(3).layers != chain(4).layers
    assert chain(3, batch=8).inputs[0].shape == (8, *chain(3).inputs[0].shape[1:])
    assert chain(3, batch=8).layers[1:] == chain(3).layers[1:]


def test_every_kind_has_constants() -> None:
    """The chains that a minute is enough for have layers enough of every usual kind."""
    made = kinds(MANY)
    assert {name: made[name] for name in KINDS if made[name] < LEAST_LAYERS} == {}


def test_sizes_are_those_of_networks() -> None:
    """Sides to 7 and below, channels to 2,048, odd ones, and weights that no cache holds."""
    shapes = [output for seed in range(MANY) for _, _, output in infer(chain(seed))]
    maps = [shape for shape in shapes if len(shape) == 4]
    assert {3, 8, 64, 512, 1024} <= {channels for _, channels, *_ in maps}
    assert any(channels % 4 for _, channels, *_ in maps[1:])
    assert {7, 14, 28, 56, 112} <= {side for *_, side in maps}
    assert any(side % 2 for *_, side in maps if side > 30)
    weights = [p.count for seed in range(MANY) for x in lower(chain(seed)) for p in x.parameters]
    assert 10**7 < max(weights) <= 2**25


def test_activations_are_on_large_maps() -> None:
    """A sigmoid that gates a map is on the map, not on the few values of a squeeze-excite."""
    layers = [x for seed in range(FEW) for x in lower(chain(seed))]
    sizes = [x.output[2] for x in layers if getattr(x.layer, "function", "") == "sigmoid"]
    assert max(sizes) >= 28


def test_a_map_that_was_tokens_lies_as_before() -> None:
    """What follows a permutation reads a contiguous map: channels last would leak on and on."""
    for seed in range(MANY):
        layers = chain(seed).layers
        moved = [i for i, x in enumerate(layers) if getattr(x, "order", None) == (0, 3, 1, 2)]
        assert all(getattr(layers[i + 1], "function", "") == "contiguous" for i in moved)


def test_no_chain_is_a_known_network() -> None:
    """No chain has the layers of a network of the zoo, whatever the names."""

    def outputs(network: object) -> tuple[object, ...]:
        return tuple((type(layer), output) for layer, _, output in infer(network))

    known = {outputs(entry.build()) for entry in ZOO.values()}
    assert not known & {outputs(chain(seed)) for seed in range(MANY)}


@pytest.mark.parametrize("seed", range(0, MANY, 12))
def test_a_chain_runs(seed: int) -> None:
    """The built module makes a thousand numbers of an image."""
    torch = pytest.importorskip("torch", reason="no torch: pip install -e '.[dev]'")
    from costmodel import build

    network = chain(seed)
    with torch.inference_mode():
        made = build(network).eval()(torch.randn(network.inputs[0].shape))
    assert made.shape == (1, 1000)
    assert made.isfinite().all()
