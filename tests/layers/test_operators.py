from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, strategies as st
from strategies import width_function

from costmodel import (
    CostModelError,
    Layer,
    Network,
    cost,
    cost_function,
    from_json,
    join,
    layers as ir,
    lower,
    mobilenet_v1,
    separate,
    sweep,
    to_json,
    widen,
)
from costmodel.algebra.symbols import H, W
from costmodel.core import infer
from costmodel.layers import FAMILIES, SAME, BatchNorm, Conv, Fixed, Input, Times
from costmodel.metrics.memory import MemoryRules, live_bytes, traffic, weight_bytes
from costmodel.metrics.operators import operators

if TYPE_CHECKING:
    from costmodel.core.fields import Shape


def network(layer: Layer, *shapes: Shape) -> Network:
    """A layer that reads inputs of some shapes."""
    inputs = [Input(f"in{i}", shape) for i, shape in enumerate(shapes)]
    reads = tuple(x.name for x in inputs)
    return Network("one", (*inputs, layer.evolve(inputs=reads if layer.arity != 0 else ())))


def shape_of(layer: Layer, *shapes: Shape) -> Shape:
    """What a layer makes of inputs of some shapes."""
    return infer(network(layer, *shapes))[-1].output


#: A layer of every type, its inputs' shapes, its output's and its MACs and params.
LAYERS: list[tuple[Layer, tuple[Shape, ...], Shape, tuple[int, int]]] = [
    (
        ir.TransposedConv("x", 8, (3, 2), (2, 1), (1, 0), (1, 0), (1, 2), 2, bias=True),
        ((1, 4, 5, 6),),
        (1, 8, (5 - 1) * 2 - 2 + 2 + 1 + 1, 6 - 1 + 2 + 1),
        (3 * 2 * 2 * 8 * 30, 3 * 2 * 2 * 8 + 8),
    ),
    (
        ir.TransposedConv("x", SAME, 2, 2, groups=SAME),
        ((1, 4, 5, 6),),
        (1, 4, 10, 12),
        (4 * 4 * 30, 16),
    ),
    (ir.Filter("x", SAME, 3, groups=SAME), ((1, 4, 5, 6),), (1, 4, 3, 4), (9 * 4 * 12, 0)),
    (ir.Affine("x", "group_norm", (1,), 2, 2), ((1, 4, 5, 6),), (1, 4, 5, 6), (0, 8)),
    (ir.Affine("x", "layer_norm", (-2, -1), 1), ((1, 4, 5, 6),), (1, 4, 5, 6), (0, 30)),
    (ir.Affine("x", "prelu", (), 1), ((1, 4, 5, 6),), (1, 4, 5, 6), (0, 1)),
    (ir.Embedding("x", 7, 100), ((1, 4),), (1, 4, 7), (0, 700)),
    (ir.Einsum("x", "bij,bjk->bik"), ((2, 3, 4), (2, 4, 5)), (2, 3, 5), (2 * 3 * 4 * 5, 0)),
    (ir.Einsum("x", "bij,kj->ikb"), ((2, 3, 4), (5, 4)), (3, 5, 2), (2 * 3 * 4 * 5, 0)),
    (ir.Einsum("x", "bij,bij->bij"), ((2, 3, 4), (1, 3, 4)), (2, 3, 4), (0, 0)),
    (ir.Einsum("x", "bij,bkl->bk"), ((2, 3, 4), (2, 5, 6)), (2, 5), (0, 0)),
    (
        ir.DotProductAttention("x"),
        ((2, 3, 4), (2, 5, 4), (2, 5, 6)),
        (2, 3, 6),
        (2 * 3 * 5 * (4 + 6), 0),
    ),
    (
        ir.DotProductAttention("x", heads=2),
        ((3, 1, 8), (5, 1, 8), (5, 1, 8), (3, 5)),
        (3, 1, 8),
        (2 * 3 * 5 * (4 + 4), 0),
    ),
    (ir.Combine("x", "mul"), ((1, 4, 5, 6), (4, 1, 1)), (1, 4, 5, 6), (0, 0)),
    (ir.WithNumbers("x", "add", (3.0,)), ((1, 4, 5),), (1, 4, 5), (0, 0)),
    (
        ir.Reshape("x", ((1, (-1,)), (1, (2, -1)), (2, (-1,)))),
        ((1, 4, 5, 6),),
        (1, 2, 2, 30),
        (0, 0),
    ),
    (ir.Reshape("x", ((0, (1,)), (1, ()), (1, ((1, 0), -1)))), ((1, 6), (3, 9)), (1, 3, 2), (0, 0)),
    (ir.Permute("x", (0, 2, 1)), ((1, 4, 5),), (1, 5, 4), (0, 0)),
    (ir.Split("x", 2, -1, part=1), ((1, 4, 6),), (1, 4, 3), (0, 0)),
    (ir.Slice("x", ((0, None, 1), 1, (1, -1, 2))), ((1, 4, 6, 2),), (1, 2, 2), (0, 0)),
    (ir.Join("x", -1), ((1, 4, 5), (1, 4, 6)), (1, 4, 11), (0, 0)),
    (ir.Reduce("x", (2, 3)), ((1, 4, 5, 6),), (1, 4), (0, 0)),
    (ir.Reduce("x", (1,), keepdim=True), ((1, 4, 5, 6),), (1, 1, 5, 6), (0, 0)),
    (ir.Repeat("x", (2, 1, 3)), ((4, 5),), (2, 4, 15), (0, 0)),
    (ir.Resample("x", (3, 1), (2, 1)), ((1, 4, 5, 6),), (1, 4, 7, 6), (0, 0)),
    (ir.Resample("x"), ((1, 4, 5, 6), (1, 9, 2, 3)), (1, 4, 2, 3), (0, 0)),
    (ir.Pad("x", ((1, 2), (0, -1))), ((1, 4, 5, 6),), (1, 4, 8, 5), (0, 0)),
    (ir.PadSame("x", 3, 2), ((1, 4, 5, 6),), (1, 4, 7, 7), (0, 0)),
    (ir.FixedSize("x", sizes=(-1, -1, 5, 6)), ((1, 4, 5, 6),), (1, 4, 5, 6), (0, 0)),
    (ir.FixedSize("x", sizes=(-1, 1), modulo=(1, 3)), ((1, 4),), (1, 4), (0, 0)),
    (ir.Constant("x", (1, 7), 7), ((1, 4),), (1, 7), (0, 7)),
    (ir.Recorded("x", "f", ((1, 4),), (1, 9), 11), ((1, 4),), (1, 9), (11, 0)),
    (ir.Unknown("x", "f", ((1, 4),), (1, 9)), ((1, 4),), (1, 9), (0, 0)),
]


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: type(case[0]).__name__)
def test_shapes_and_costs(case: Any) -> None:
    """Each layer makes the shape and costs the products written beside it; JSON keeps it."""
    layer, shapes, output, (macs, params) = case
    one = network(layer, *shapes)
    assert infer(one)[-1].output == output
    assert (cost(one).macs, cost(one).params) == (macs, params)
    assert from_json(to_json(one)) == one


def test_every_type_is_tried() -> None:
    """No layer that is not in the papers' tables is missing above."""
    tables = {"Conv", "Linear", "BatchNorm", "Activation", "Pool", "AdaptivePool", "Add", "Concat"}
    tables |= {"Flatten", "CropAndResize"}
    assert {type(case[0]).__name__ for case in LAYERS} == FAMILIES.keys() - tables


def test_states() -> None:
    """A layer is counted, free or unknown; the operators of a network are listed so."""
    states = {
        type(case[0]).__name__: lower(network(case[0], *case[1]))[-1].state for case in LAYERS
    }
    assert {name for name, state in states.items() if state == "unknown"} == {"Unknown"}
    assert (
        states["DotProductAttention"] == states["TransposedConv"] == states["Recorded"] == "counted"
    )
    assert [(x.name, x.calls) for x in operators(mobilenet_v1())[:3]] == [
        ("Conv", 27),
        ("Linear", 1),
        ("BatchNorm", 27),
    ]


REFUSED: list[tuple[Layer, tuple[Shape, ...], str]] = [
    (
        ir.TransposedConv("x", 8, 3, groups=3),
        ((1, 4, 5, 6),),
        "in_channels must be divisible by groups, got 4 and 3",
    ),
    (ir.Affine("x", "group_norm", groups=3), ((1, 4, 5),), "3 groups must divide 4 channels"),
    (ir.Affine("x", "norm", (4,)), ((1, 4),), "needs an axis 4, and its input is 1×4"),
    (ir.Einsum("x", "ij,jk->ik"), ((2, 3), (4, 5)), "ij,jk->ik multiplies 2×3 and 4×5"),
    (ir.Einsum("x", "ij,jk->ik"), ((2, 3, 4), (4, 5)), "ij indexes an input of 2×3×4"),
    (ir.DotProductAttention("x"), ((2, 3, 4), (2, 5, 6), (2, 5, 6)), "attends from 2×3×4 to 2×5×6"),
    (ir.DotProductAttention("x"), ((2, 3, 4),) * 2, "needs queries, keys and values"),
    (ir.DotProductAttention("x", heads=3), ((3, 1, 8),) * 3, "3 heads must divide 8 features"),
    (
        ir.DotProductAttention("x"),
        (*((2, 3, 4),) * 3, (5, 3)),
        "its mask is 5×3 for 3 queries and 3 keys",
    ),
    (ir.Combine("x", "mul"), ((1, 4, 5), (1, 4, 6)), "mul of 1×4×5 and 1×4×6, one of which fixes"),
    (ir.Reshape("x", ((2, (5, 5)),)), ((4, 6),), "reshape fixes its input's size to 5×5, got 24"),
    (ir.Reshape("x", ((2, (5, -1)),)), ((4, 6),), "5 parts must divide 24"),
    (ir.Reshape("x", ((1, (-1,)),)), ((4, 6),), "reshapes 1 axes, and its input is 4×6"),
    (ir.Permute("x", (1, 0)), ((4, 5, 6),), "orders 2 axes of 4×5×6"),
    (ir.Split("x", 2), ((1, 5),), "2 parts must divide 5"),
    (ir.Slice("x", ((0, 9, 1),)), ((5, 5),), "takes 0:9 of 5"),
    (ir.Slice("x", (0, 0, 0)), ((5, 5),), "indexes 3 axes of 5×5"),
    (ir.Join("x", 2), ((1, 2, 3), (1, 4, 3)), "joins 1×2×3 and 1×4×3"),
    (ir.Repeat("x", (2,)), ((4, 5),), "repeats 1 axes of 4×5"),
    (ir.Pad("x", ((1, 1),) * 3), ((4, 5),), "pads 3 axes of 4×5"),
    (ir.FixedSize("x", sizes=(-1,)), ((1, 4),), "has 1 sizes for 1×4"),
    (ir.FixedSize("x", sizes=(-1, 5)), ((1, 4),), r"fixes its input's size to \*×5, got 1×4"),
    (
        ir.FixedSize("x", sizes=(-1, 0), modulo=(1, 3)),
        ((1, 4),),
        r"fixes its input's size to \*×0 mod 3, got 1×4",
    ),
    (
        ir.Recorded("x", "f", ((1, 4),), (1, 9)),
        ((1, 5),),
        "f fixes its input's size to 1×4, got 1×5",
    ),
]


@pytest.mark.parametrize(("layer", "shapes", "message"), REFUSED)
def test_shapes_that_do_not_fit(layer: Layer, shapes: tuple[Shape, ...], message: str) -> None:
    """A shape that a layer cannot take is an error that names the layer and both."""
    with pytest.raises(CostModelError, match=f"^x: {message}"):
        cost(network(layer, *shapes))


WRONG: list[tuple[type[Layer], dict[str, Any], str]] = [
    (ir.Affine, {"function": "f", "along": 1}, "along must be axes, got 1"),
    (ir.Affine, {"function": "f", "tensors": -1}, "tensors must be a count, got -1"),
    (ir.Embedding, {"out_features": 4, "rows": 0}, "rows must be a positive count, got 0"),
    (ir.Einsum, {"equation": "ij,jk"}, "equation must be two operands' indices"),
    (ir.Einsum, {"equation": 3}, "equation must be two operands' indices"),
    (ir.Einsum, {"equation": "ij,jk->il"}, "equation must be two operands' indices"),
    (ir.DotProductAttention, {"heads": -1}, "heads must be a count, got -1"),
    (ir.Reshape, {"runs": 3}, "runs must be runs of"),
    (ir.Reshape, {"runs": ((1, (-1, -1)),)}, "runs must be runs of"),
    (ir.Permute, {"order": (0, 2)}, "order must be a permutation of the axes"),
    (ir.Split, {"parts": 0}, "parts must be a positive count"),
    (ir.Split, {"parts": 2, "along": "1"}, "along must be an axis"),
    (ir.Slice, {"items": ((0, 1),)}, "items must be indices or"),
    (ir.Slice, {"items": 1}, "items must be indices or"),
    (ir.Join, {"along": None}, "along must be an axis"),
    (ir.Reduce, {"over": 1}, "over must be axes"),
    (ir.Reduce, {"over": (1,), "keepdim": 1}, "keepdim must be true or false"),
    (ir.Repeat, {"times": (0,)}, "times must be positive counts"),
    (ir.Resample, {"numerator": 0}, "numerator must be a positive integer"),
    (ir.Pad, {"amounts": ((1,),)}, "amounts must be pairs"),
    (ir.Pad, {"amounts": 1}, "amounts must be pairs"),
    (ir.FixedSize, {"sizes": (-2,)}, "sizes must be sizes, or -1"),
    (ir.FixedSize, {"sizes": (1, 1), "modulo": (2,)}, "modulo must be a positive count for each"),
    (ir.Constant, {"sizes": (1, "a")}, "sizes must be counts"),
    (ir.Constant, {"sizes": (1,), "parameters": -1}, "parameters must be a count"),
    (ir.Recorded, {"function": "f", "reads": 1, "sizes": ()}, "reads must be shapes"),
    (ir.Recorded, {"function": "f", "reads": (), "sizes": (), "macs": -1}, "macs must be a count"),
    (ir.Combine, {"function": 3}, "function must be a text"),
    (ir.Split, {"parts": 2, "part": 2}, "part must be one of 2 parts, from 0, got 2"),
    (ir.WithNumbers, {"numbers": 3}, "numbers must be finite numbers, got 3"),
    (ir.WithNumbers, {"numbers": (float("inf"),)}, "numbers must be finite numbers"),
]


@pytest.mark.parametrize(("kind", "fields", "message"), WRONG)
def test_wrong_fields(kind: type[Layer], fields: dict[str, Any], message: str) -> None:
    """A field out of range is an error, when the layer is made, that names it."""
    with pytest.raises(CostModelError, match=f"^x: {message}"):
        kind("x", **fields)


def test_symbols() -> None:
    """Sizes may be formulas: of a transposed convolution, of padding, of resampling."""
    layers = (
        Input("image", (1, 3, H, W)),
        ir.PadSame("pad", 3, 2),
        ir.TransposedConv("up", 8, 2, 2),
        ir.Resample("scale", 3, 2),
        ir.FixedSize("fixed", sizes=(-1, -1, 7, 7)),
    )
    *_, scaled, fixed = infer(Network("n", layers))
    assert scaled.output[2].subs(H, 31) == (2 * 33 * 3) // 2
    assert fixed.output == (1, 8, 7, 7)


def test_widths_scale() -> None:
    """A transposed convolution's and an embedding's widths follow α, and relations hold."""
    layers = (
        Input("image", (1, 3, 8, 8)),
        ir.TransposedConv("up", 16, 2, 2),
        ir.TransposedConv("depthwise", Times(2), 3, groups=SAME),
    )
    shapes = [place.output[1] for place in infer(widen(Network("n", layers), 2))]
    assert shapes == [3, 32, 64]
    table = Network("n", (Input("tokens", (1, 4)), ir.Embedding("table", 16, 10)))
    assert cost(widen(table, 2)).params == 320


def test_a_fixed_size_is_a_view() -> None:
    """It takes no memory."""
    layers = (Input("image", (1, 3, 8, 8)), ir.FixedSize("fixed", sizes=(-1, -1, 8, 8)))
    assert live_bytes(Network("n", layers))[1][1] == 4 * 3 * 64


@given(
    st.integers(1, 40), st.integers(1, 4), st.integers(1, 3), st.integers(0, 1), st.integers(1, 2)
)
def test_a_transposed_convolution_undoes_the_size(
    size: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    """A convolution with the same window turns its output's size back into its input's."""
    window = {"kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    if dilation * (kernel - 1) + 1 <= padding * 2:
        return
    up = ir.TransposedConv("up", 4, **window)
    layers = (Input("map", (1, 4, size, size)), up, Conv("down", 4, **window))
    before, _, after = infer(Network("n", layers))
    assert after.output == before.output


@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 4), st.integers(1, 2))
def test_same_padding_gives_a_position_a_stride(
    size: int, kernel: int, stride: int, dilation: int
) -> None:
    """After it, a convolution without padding has ⌈D / stride⌉ positions, as in TensorFlow."""
    layers = (
        Input("map", (1, 4, size)),
        ir.PadSame("pad", kernel, stride, dilation),
        Conv("conv", 4, kernel, stride, dilation=dilation),
    )
    assert infer(Network("n", layers))[-1].output[2] == -(-size // stride)


SHUFFLE = Network(
    "shuffle",
    (
        Input("image", (1, 3, 32, 32)),
        Conv("a", 24, 3, 2, 1),
        ir.Reshape("split", ((1, (-1,)), (1, (2, -1)), (1, (-1,)), (1, (-1,)))),
        ir.Permute("swap", (0, 2, 1, 3, 4)),
        # Back to the channels of `a`, as `view(n, c, h, w)` has it.
        ir.Reshape(
            "back", ((1, (-1,)), (2, ((1, 1),)), (1, (-1,)), (1, (-1,))), inputs=("swap", "a")
        ),
        Conv("b", 16, 1),
        ir.FixedSize("pin", sizes=(-1, -1, 16, 16)),
        Conv("c", Fixed(10), 16),
    ),
)


def test_grids_and_functions_refuse_what_is_fixed() -> None:
    """A fixed size is checked in a sweep and when a function is called, and not trusted."""
    function, widths = cost_function(SHUFFLE), width_function(SHUFFLE)
    for alpha in (0.5, 1, 1.5):
        expected = cost(widen(SHUFFLE, alpha))
        assert function(alpha, 32) == expected
        assert sweep(SHUFFLE, [alpha], [31, 32]).macs.tolist() == [[expected.macs] * 2]
    assert widths([24, 16], 32) == cost(SHUFFLE)
    for refused in (
        lambda: function(1, 40),
        lambda: widths([[24, 16]], 40),
        lambda: sweep(SHUFFLE, [1.0], [32, 40]),
    ):
        with pytest.raises(CostModelError, match="pin fixes its input's size"):
            refused()


def test_channels_that_parts_divide_stay_multiples() -> None:
    """At α = 25/24 a shuffle in two of 24 channels keeps 24, in a number as in a function."""
    assert widen(SHUFFLE, 25 / 24)["a"].out_channels == 24
    assert cost_function(SHUFFLE)(25 / 24, 32) == cost(widen(SHUFFLE, 25 / 24))
    assert sweep(SHUFFLE, [25 / 24], [32]).macs == cost(widen(SHUFFLE, 25 / 24)).macs
    widths = width_function(SHUFFLE)
    for odd in ([25, 16], [[24, 16], [25, 16]]):
        with pytest.raises(CostModelError, match="a: counts must be multiples of 2"):
            widths(odd, 32)


def test_a_filter_is_left_alone_by_what_rewrites_convolutions() -> None:
    """A kernel that is no parameter has no factors, and with a pointwise layer is no pair."""
    blur = ir.Filter("blur", 3, 3, padding=1)
    standard = Network("n", (Input("image", (1, 3, 8, 8)), blur, Conv("conv", 4, 3)))
    separated = separate(standard)
    assert separated["blur"] == standard["blur"]
    assert cost(separated).params == 9 * 3 + 3 * 4
    with pytest.raises(CostModelError, match="selects no layer"):
        separate(standard, "blur")
    depthwise = ir.Filter("blur", SAME, 3, padding=1, groups=SAME)
    pair = Network("n", (Input("image", (1, 3, 8, 8)), depthwise, Conv("conv", 4, 1)))
    with pytest.raises(CostModelError, match="selects no layer"):
        join(pair, "blur")
    norm = Network("n", (Input("image", (1, 3, 8, 8)), depthwise, BatchNorm("norm")))
    assert weight_bytes(norm, MemoryRules(fold_batch_norm=True)) == weight_bytes(norm) == 4 * 2 * 3


def test_a_filter_reads_what_a_convolution_reads() -> None:
    """Of 8×8, windows of 3 at stride 3 touch 6×6; its JSON says no more than its fields."""
    blur = ir.Filter("blur", SAME, 3, 3, groups=SAME)
    made = network(blur, (1, 3, 8, 8))
    assert traffic(made)[-1].reads == 3 * 6 * 6
    assert from_json(to_json(made)) == made


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (ir.Permute("x", (0,)), "permute"),
        (ir.Join("x", 1), "cat"),
        (ir.Pad("x", ((0, 1),)), "pad"),
        (ir.PadSame("x", 3), "pad"),
        (ir.Reshape("x", ((1, (-1,)),)), "reshape"),
        (ir.Split("x", 2), "chunk"),
        (ir.Slice("x", (0,)), "getitem"),
        (ir.Repeat("x", (1,)), "repeat"),
        (ir.Reduce("x", (1,)), "mean"),
        (ir.Resample("x"), "interpolate"),
        (ir.FixedSize("x"), "identity"),
        (ir.Einsum("x", "ab,bc->ac", inputs=("a", "b")), "matmul"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_a_layer_is_called_as_torchs_function(layer: Any, function: str) -> None:
    """Unless it says otherwise, a layer of a traced model has the usual function's name."""
    assert layer.function == function
