"""Networks are values: equal, hashable, written as JSON, and never wrong in silence."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from strategies import alphas, examples, networks

from costmodel import (
    ZOO,
    CostModelError,
    Layer,
    Network,
    cost,
    from_json,
    lower,
    resize,
    to_json,
    widen,
)
from costmodel.algebra.symbols import H, W, alpha, rho
from costmodel.layers import (
    SAME,
    Activation,
    AdaptivePool,
    Add,
    AtLeast,
    BatchNorm,
    Concat,
    Conv,
    Fixed,
    Flatten,
    Input,
    Linear,
    Pool,
    Times,
)

QUICK = settings(derandomize=True, deadline=None, database=None)
IMAGE = Input("image", (1, 8, 9, 9))
#: One of every layer, with every field set.
EVERY_LAYER = (
    IMAGE,
    Conv("a", 8, (3, 1), (2, 1), (1, 0), (1, 2), 4, bias=True),
    Conv("b", SAME, 1, groups=SAME, inputs=("a",)),
    Conv("c", Times(1, of="a"), (3, 1), padding=(1, 0), groups=4, shares="", inputs=("b",)),
    BatchNorm("d", affine=False),
    Activation("é <&>", "relu6"),
    Add("e", inputs=("d", "é <&>")),
    Concat("f", inputs=("e", "e")),
    Pool("g", "max", 2, 2, 1, ceil_mode=True),
    AdaptivePool("h", "max", (2, 1)),
    Flatten("i"),
    Linear("j", AtLeast(5), bias=False),
    Linear("k", Fixed(7)),
)
EVERY = Network("every layer", EVERY_LAYER)


def raised(text: Any) -> str:
    """The one line of the error that a JSON text is."""
    with pytest.raises(CostModelError) as caught:
        from_json(text)
    (line,) = str(caught.value).splitlines()
    return line


def document(*layers: Any, **fields: Any) -> str:
    """A network's JSON text, an input of 8 channels before the layers."""
    image = {"type": "Input", "name": "image", "shape": [1, 8, 9, 9]}
    return json.dumps({"name": "net", "layers": [image, *layers]} | fields)


def conv(**fields: Any) -> dict[str, Any]:
    """A convolution's JSON object."""
    return {"type": "Conv", "name": "my conv", "out_channels": 4, "kernel": 3} | fields


@pytest.mark.parametrize("network", [EVERY, *(a.build() for a in ZOO.values())], ids=repr)
def test_json_round_trip(network: Network) -> None:
    """Every layer type and every network of the zoo is read back equal, and costs the same."""
    again = from_json(to_json(network))
    assert again == network
    assert hash(again) == hash(network)
    assert cost(again) == cost(network)


@settings(QUICK, max_examples=examples(150))
@given(networks(), st.booleans(), alphas)
def test_json_round_trip_of_random_networks(network: Network, widened: bool, a: Any) -> None:  # noqa: FBT001
    """So is a random network, and what widen makes of it."""
    written = widen(network, a) if widened else network
    assert from_json(to_json(written)) == written


@settings(QUICK, max_examples=40)
@given(networks())
def test_json_round_trip_of_symbolic_networks(network: Network) -> None:
    """So is a network of α and ρ."""
    symbolic = widen(resize(network, rho=rho), alpha, "divisible(8)")
    assert from_json(to_json(symbolic)) == symbolic


def test_json_round_trip_of_symbolic_sizes() -> None:
    """So are sizes, kernels and relations that a user writes with symbols."""
    sizes = Network("s", (Input("i", (1, 3, H, W - 2)), Conv("c", AtLeast(8 * alpha), H / 2)))
    assert from_json(to_json(sizes)) == sizes


def test_json_is_a_layer_a_line() -> None:
    """A network's text is for people to read and to compare."""
    lines = to_json(EVERY).splitlines()
    assert len(lines) == len(EVERY_LAYER) + 2
    assert all(layer.name in line for layer, line in zip(EVERY_LAYER, lines[1:], strict=False))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *(("a", field) for field in ("stride", "padding", "dilation", "groups", "bias")),
        *(("b", "inputs"), ("d", "affine"), ("é <&>", "function"), ("g", "ceil_mode")),
        ("j", "bias"),
    ],
)
def test_json_round_trip_notices_a_lost_field(name: str, field: str) -> None:
    """A field left out of the text makes another network: each one is written."""
    data = json.loads(to_json(EVERY))
    (written,) = (layer for layer in data["layers"] if layer["name"] == name)
    if field == "inputs":
        written[field] = ["image"]
    else:
        del written[field]
    assert from_json(json.dumps(data)) != EVERY


def test_networks_are_values() -> None:
    """Equal layers make equal networks with one hash; another field makes another network."""
    again = Network("every layer", tuple(EVERY_LAYER))
    assert again == EVERY
    assert len({again, EVERY}) == 1
    changed = (IMAGE, replace(EVERY_LAYER[1], bias=False), *EVERY_LAYER[2:])
    assert Network("every layer", changed) != EVERY
    assert Network("renamed", EVERY_LAYER) != EVERY


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Conv("c", 8, (3, 3)), Conv("c", 8, 3)),
        (Conv("c", 8, [3, 1]), Conv("c", 8, (3, 1))),
        (Conv("c", 8, 3, inputs="a"), Conv("c", 8, 3, inputs=("a",))),
        (Input("i", [1, 2]), Input("i", (1, 2))),
        (Conv("c", np.int64(8), np.int32(3)), Conv("c", 8, 3)),
    ],
)
def test_layers_are_normalised(one: Layer, other: Layer) -> None:
    """Spellings of one layer are equal and hash alike."""
    assert one == other
    assert hash(one) == hash(other)


def test_layers_are_frozen() -> None:
    """Nothing changes a layer or a network in place."""
    with pytest.raises(FrozenInstanceError):
        IMAGE.name = "x"  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        EVERY.name = "x"  # type: ignore[misc]


@pytest.mark.parametrize("network", [EVERY, *(a.build() for a in ZOO.values())], ids=repr)
def test_repr_is_one_line(network: Network) -> None:
    """A network's repr names it, counts its layers and shows its input."""
    (line,) = repr(network).splitlines()
    sides = "×".join(map(str, network.layers[0].shape))
    assert line == f"Network({network.name!r}, {len(network.layers)} layers, input {sides})"


def test_inputs_default_to_the_layer_before() -> None:
    """A layer that names no input reads the one before it."""
    written = Network("n", (IMAGE, BatchNorm("a"), BatchNorm("b", inputs="image"), BatchNorm("c")))
    assert [layer.inputs for layer in written.layers] == [(), ("image",), ("image",), ("b",)]


def test_layers_by_name() -> None:
    """network[name] is the layer, or an error that names it and the network."""
    assert EVERY["a"] is EVERY.layers[1]
    with pytest.raises(CostModelError, match="no layer 'zz' in every layer"):
        EVERY["zz"]


def test_numpy_integers_become_ints() -> None:
    """numpy's integers, which would wrap at 2⁶³, are Python's from the start."""
    big = np.int64(2**40)
    network = Network("n", (Input("i", (np.int8(1), big, 1, 1)), Conv("c", big, np.uint8(1))))
    (nest,) = lower(network)[1].nests
    assert nest.macs == 2**80
    assert {type(size) for size in network.layers[0].shape} == {int}
    assert [type(n) for n in (network["c"].out_channels, network["c"].kernel)] == [int, int]


def test_huge_numbers_stay_exact() -> None:
    """2⁷⁰ channels are written, read and multiplied exactly."""
    network = from_json(document(conv(out_channels=2**70, kernel=1)))
    assert network["my conv"].out_channels == 2**70
    assert cost(from_json(to_json(network))).macs == 2**70 * 8 * 9 * 9


POSITIVE = "must be a positive integer (or one for each axis)"
WIDTH = "must be a positive count or a relation"
BAD_FIELDS = [
    *((f, bad, POSITIVE) for f in ("kernel", "stride", "dilation") for bad in (0, -1, 1.5, True)),
    *((f, bad, POSITIVE) for f in ("kernel", "stride") for bad in (None, [1, 0], [[1]], {}, [])),
    *(("out_channels", bad, WIDTH) for bad in (0, -1, 1.5, True, None, [4], {}, {"fixed": 0})),
    *(("out_channels", bad, WIDTH) for bad in ({"times": 0}, {"times": True}, {"times": 1.5})),
    *(("out_channels", bad, WIDTH) for bad in ({"fixed": 1, "x": 2}, {"atleast": -3})),
    *(("padding", bad, "must be an integer of at least 0") for bad in (-1, 0.5, False, None, [])),
    *(("groups", bad, "must be a positive integer or Times(n)") for bad in (0, -1, 1.5, True)),
    *(("bias", bad, "must be true or false") for bad in (0, 1, None, [], {})),
    *(("shares", bad, "must be the name of a layer") for bad in (None, 1, True, ["image"])),
    *(
        ("inputs", bad, "must be names of layers")
        for bad in (1, None, [1], [["image"]], [""], True, {})
    ),
]


@pytest.mark.parametrize(("field", "bad", "rule"), BAD_FIELDS, ids=str)
def test_bad_fields_are_named(field: str, bad: Any, rule: str) -> None:
    """A value that a field cannot have is an error that names layer, field and rule."""
    assert raised(document(conv(**{field: bad}))).startswith(f"my conv: {field} {rule}")


@pytest.mark.parametrize("field", ["kernel", "padding", "out_channels"])
@pytest.mark.parametrize("bad", ["-1", "0 - 3", "1/2", "1/0", "Max()", "abc", "__import__('os')"])
def test_bad_sizes_in_text_are_named(field: str, bad: str) -> None:
    """A text that is no size, or a number no size can be, names its layer and field."""
    message = raised(document(conv(**{field: bad})))
    assert "my conv" in message
    assert field in message


@pytest.mark.parametrize("number", ["7", "3 + 4", "CeilDiv(14, 2)"])
def test_numbers_in_text_are_ints(number: str) -> None:
    """A text that is a number is that int, so that no sympy follows it."""
    network = from_json(document(conv(out_channels=number)))
    assert type(network["my conv"].out_channels) is int
    assert network["my conv"].out_channels == 7


@pytest.mark.parametrize("shape", [None, 5, [1, 3, 0], [1, 3, -1], [1, 2.5], [True], [[1]], {}])
def test_bad_input_shapes_are_named(shape: Any) -> None:
    """An input's shape is positive integers."""
    image = {"type": "Input", "name": "photo", "shape": shape}
    assert raised(json.dumps({"name": "n", "layers": [image]})).startswith(
        "photo: shape must be two or more positive integers"
    )


@pytest.mark.parametrize(
    ("shape", "layer"),
    [
        ((), Linear("l", 3)),
        ((), Flatten("l")),
        *((shape, kind("l")) for shape in ((), (1,)) for kind in (BatchNorm, Concat)),
    ],
    ids=str,
)
def test_inputs_without_channels_are_an_error(shape: tuple[int, ...], layer: Layer) -> None:
    """A shape without a batch and channels is an error of this library, wherever it is met."""
    with pytest.raises(CostModelError):
        cost(Network("n", (Input("i", shape), layer)))


@pytest.mark.parametrize(
    ("layer", "parts"),
    [
        (conv(colour=1), ("my conv", "'colour'", "kernel")),
        (conv(in_channels=8), ("my conv", "'in_channels'")),
        ({"type": "Conv", "name": "my conv", "kernel": 3}, ("my conv", "'out_channels'")),
        ({"type": "Conv", "name": "my conv"}, ("my conv", "'out_channels'", "'kernel'")),
        ({"name": "my conv"}, ("my conv", "type", "Conv")),
        (conv(type="Convolution"), ("my conv", "type", "'Convolution'", "Conv")),
        (conv(type=["Conv"]), ("my conv", "type")),
        (conv(type="Layer"), ("my conv", "type", "'Layer'")),
        (conv(name=""), ("name", "not empty", "''")),
        (conv(name=7), ("name", "7")),
        ({}, ("name",)),
        (7, ("a layer", "7")),
        (None, ("a layer", "None")),
        (conv(inputs=["nowhere"]), ("my conv", "'nowhere'", "no such layer")),
        (conv(inputs=["my conv"]), ("my conv", "'my conv'", "cycle")),
        (conv(inputs=["image", "image"]), ("my conv", "Conv reads 1", "got 2")),
        (conv(shares="nowhere"), ("my conv", "'nowhere'", "no such layer")),
        (conv(out_channels={"times": 1, "of": "nowhere"}), ("my conv", "'nowhere'")),
        (conv(groups={"times": 1, "of": "nowhere"}), ("my conv", "groups")),
        (conv(name="image"), ("two layers", "'image'")),
        ({"type": "Pool", "name": "p", "kind": "min", "kernel": 2, "stride": 2}, ("p", "'min'")),
        ({"type": "Pool", "name": "p", "kind": [], "kernel": 2, "stride": 2}, ("p", "kind")),
        ({"type": "Activation", "name": "p", "function": 1}, ("p", "function", "1")),
        ({"type": "BatchNorm", "name": "p", "affine": "yes"}, ("p", "affine")),
    ],
    ids=str,
)
def test_bad_layers_are_named(layer: Any, parts: tuple[str, ...]) -> None:
    """A layer that is none, or that fits nowhere, is an error of one line that names it."""
    message = raised(document(layer))
    assert all(part in message for part in parts), message


def test_a_width_of_what_has_none_is_named() -> None:
    """Two times as many as a pooling layer sets is no count."""
    layers = Input("i", (1, 3, 8, 8)), Pool("pool", "max", 2, 2), Conv("c", Times(2, of="pool"), 1)
    with pytest.raises(CostModelError, match=r"^c: takes its width from 'pool', which sets none$"):
        Network("n", layers)


def test_cycles_and_disorder_are_named() -> None:
    """A layer that reads a later one is a cycle or out of order, and the error says which."""
    one, two = conv(name="one", inputs=["two"]), conv(name="two", inputs=["one"])
    assert raised(document(one, two)).startswith("one: reads 'two', which does not come before it")


@pytest.mark.parametrize(
    "text",
    ["", "{", "nonsense", "[" * 100_000, '{"a":' * 100_000, "\x00", '{"name": "n", "layers": [}'],
    ids=lambda text: text[:10],
)
def test_what_is_not_json_is_refused(text: str) -> None:
    """Text that is no JSON, or too deep, is an error of one line."""
    assert raised(text).startswith("a network must be JSON text")


@pytest.mark.parametrize(
    "data",
    [
        None,
        1,
        "net",
        [],
        {},
        {"name": "n"},
        {"layers": []},
        {"name": 1, "layers": []},
        {"name": None, "layers": []},
        {"name": "n", "layers": {}},
        {"name": "n", "layers": None},
        {"name": "n", "layers": [], "version": 1},
        list(range(10_000)),
    ],
    ids=lambda data: str(data)[:30],
)
def test_other_documents_are_refused(data: Any) -> None:
    """JSON that is no network is an error that says what one looks like, and is short."""
    message = raised(json.dumps(data))
    assert message.startswith('a network is {"name": …, "layers": […]}')
    assert len(message) < 200


def test_a_network_begins_with_an_input() -> None:
    """No layers, or none to read, is an error."""
    assert "begin with an Input" in raised('{"name": "n", "layers": []}')
    with pytest.raises(CostModelError, match="c: a Conv reads 1, got 0"):
        Network("n", (Conv("c", 1, 1),))
    with pytest.raises(CostModelError, match="layers must be layers, got 'conv'"):
        Network("n", (IMAGE, "conv"))  # type: ignore[arg-type]


def test_a_name_of_two_lines_makes_a_message_of_one() -> None:
    """Whatever a model calls its layers, an error is one line."""
    assert "kernel" in raised(document(conv(name="two\nlines", kernel=0)))
