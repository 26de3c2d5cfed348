"""Memory against sets of positions, torch's gradients, a simulated allocator and live tensors."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import prod
from pathlib import Path
from random import Random
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import Phase, find, given, settings, strategies as st
from strategies import Case, PoolCase, convolutions, examples, networks, pools
from torch.nn import functional
from torch_models.live import PARTS, Branched, samples, under
from torch_models.mobilenet_v2 import MobileNetV2

from costmodel import (
    ZOO,
    CostModelError,
    Layer,
    Network,
    alpha,
    mobilenet_v1,
    relax,
    resize,
    rho,
    widen,
)
from costmodel.algebra.polynomial import ALPHA, RHO
from costmodel.algebra.symbols import H, parse
from costmodel.core import infer
from costmodel.core.nest import Elementwise, Window
from costmodel.layers import (
    Activation,
    AdaptivePool,
    Add,
    BatchNorm,
    Concat,
    Conv,
    Flatten,
    Input,
    Linear,
    Pool,
)
from costmodel.metrics import memory
from costmodel.metrics.memory import (
    MemoryRules,
    live_bytes,
    peak_activations,
    touched,
    traffic,
    weight_bytes,
)
from costmodel.reference.mobilenet import MobileNetV1
from costmodel.zoo import mobilenet_v2

if TYPE_CHECKING:
    from collections.abc import Callable

    Mutate = Callable[[str, str], ModuleType]

torch.set_num_threads(1)  # the tensors are tiny: threads only wait for one another
QUICK = settings(derandomize=True, deadline=None, database=None)
SEARCH = settings(QUICK, max_examples=500, phases=[Phase.generate])
BOTH = (False, True)
RULES = [MemoryRules(*r) for r in product(("float32", "float16", "int8"), BOTH, BOTH, BOTH)]
BYTES = {"float32": 4, "float16": 2, "int8": 1}
FLOATS = {"float32": torch.float32, "float16": torch.float16}


@pytest.fixture
def mutate(monkeypatch: pytest.MonkeyPatch) -> Mutate:
    """`costmodel.metrics.memory` with one piece of its source replaced; the piece must be there."""

    def mutant(old: str, new: str) -> ModuleType:
        source = Path(memory.__file__).read_text("utf-8")
        assert source.count(old) == 1, old
        module = ModuleType("mutant")
        monkeypatch.setitem(sys.modules, "mutant", module)  # dataclasses look there
        exec(compile(source.replace(old, new), "mutant", "exec"), module.__dict__)  # noqa: S102
        return module

    return mutant


# What a window touches.


def slide(size: int, kernel: int, stride: int, padding: int, dilation: int) -> list[set[int]]:
    """The elements that each position of a window reads, padding left out."""
    positions, start = [], -padding
    while start + dilation * (kernel - 1) < size + padding:
        taps = {start + tap * dilation for tap in range(kernel)}
        positions.append(taps & set(range(size)))
        start += stride
    return positions


#: Every small window that fits: size, kernel, stride, padding, dilation.
AXES = [
    axis
    for axis in product(range(1, 10), range(1, 5), range(1, 6), range(4), range(1, 5))
    if slide(*axis)
]


def disagreements(function: Callable[..., object]) -> list[tuple[int, ...]]:
    """The axes on which a count is not that of the union of all positions."""
    windows = ((axis, slide(*axis)) for axis in AXES)
    return [
        (size, *window)
        for (size, *window), positions in windows
        if function(size, len(positions), *window) != len(set().union(*positions))
    ]


def test_touched_elements_are_the_union_of_positions() -> None:
    """For every small window, thousands, the count is that of the set of elements it reads."""
    assert len(AXES) > 2_000
    assert disagreements(touched) == []


def test_a_kernel_of_many_taps_is_counted_at_once() -> None:
    """10⁹ taps, every 7th element, at 10 positions 3 apart: a set per position, no two alike but 3.

    Positions i and i + 7 read what is 21 = 3·7 apart: the same but for 3 taps each.
    """
    taps = 10**9
    assert touched(10**12, 10, taps, stride=3, dilation=7) == 7 * taps + 3 * 3


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("    alone = max", "    return size\n    alone = max", id="a stride skips"),
        pytest.param("_read_before(padding, taps", "_read_before(0, taps", id="padding, left"),
        pytest.param("_read_before(size + padding", "_read_before(size * 9", id="padding, right"),
        pytest.param("min(positions, dilation // common)", "positions", id="overlaps count twice"),
        pytest.param("dilation // common)", "dilation)", id="s and d may have a divisor"),
        pytest.param(
            "kernel - stride // common)", "kernel - stride)", id="a divisor, of the stride"
        ),
        pytest.param("(none - 1) * dilation", "(none - 1)", id="dilation is ignored"),
    ],
)
def test_positions_notice_that(old: str, new: str, mutate: Mutate) -> None:
    """A count that forgets one thing about a window disagrees with the sets of positions."""
    assert disagreements(mutate(old, new).touched)


def moved(case: Case) -> tuple[int, int, int]:
    """A convolution's reads, weights and writes, by loops over its output and its taps."""
    batch, channels, *size = case.image
    inputs, *kernel = case.weight[1:]
    windows = zip(size, kernel, case.stride, case.padding, case.dilation, strict=True)
    read, writes = set(), 0
    positions = list(product(*(slide(*axis) for axis in windows)))
    for n, group in product(range(batch), range(channels // inputs)):
        for boxes in positions:
            writes += case.weight[0] // case.groups
            read.update(product([n], range(group * inputs, (group + 1) * inputs), *boxes))
    return len(read), prod(case.weight), writes


@settings(QUICK, max_examples=examples(250))
@given(convolutions())
def test_a_convolutions_traffic_is_that_of_its_loops(case: Case) -> None:
    """Reads, weights and writes are those of loops with sets; bytes are four times the sum."""
    conv = traffic(case.network)[-1]
    assert (conv.reads, conv.weights, conv.writes) == moved(case)
    assert conv.bytes == 4 * sum(moved(case))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_what_a_convolution_touches_has_a_gradient(rank: int) -> None:
    """With weights of one, torch's gradient is not zero at exactly the elements touched."""
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[rank - 1]

    @settings(QUICK, max_examples=examples(100))
    @given(convolutions(rank))
    def compare(case: Case) -> None:
        image = torch.zeros(case.image, requires_grad=True)
        window = (case.stride, case.padding, case.dilation, case.groups)
        convolve(image, torch.ones(case.weight), None, *window).sum().backward()
        assert traffic(case.network)[-1].reads == int(torch.count_nonzero(image.grad))

    compare()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_what_a_pool_touches_has_a_gradient(rank: int) -> None:
    """The same of an average over each window, in ceil_mode or not."""
    pool = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[rank - 1]

    @settings(QUICK, max_examples=examples(100))
    @given(pools(rank))
    def compare(case: PoolCase) -> None:
        image = torch.zeros(case.image, requires_grad=True)
        pool(image, case.kernel, case.stride, case.padding, case.ceil_mode).sum().backward()
        assert traffic(case.network)[-1].reads == int(torch.count_nonzero(image.grad))

    compare()


def one_axis(kernel: int, stride: int, padding: int, dilation: int) -> Network:
    """A 1-D convolution of an input of symbolic size H."""
    conv = Conv("conv", 1, kernel, stride, padding, dilation)
    return Network("one", (Input("image", (1, 1, H)), conv))


def test_symbols_touch_what_numbers_do() -> None:
    """Where there is a formula for what is touched, it is right at every size that fits."""
    checked = 0
    for window in product((1, 2, 3, 5), (1, 2, 3), range(3), (1, 2)):
        kernel, stride, _, dilation = window
        try:
            formula = traffic(one_axis(*window))[-1].reads
        except CostModelError:
            assert dilation > 1 or stride > kernel  # gaps, of which a small size shows some
            continue
        for size in filter(lambda d: slide(d, *window), range(1, 9)):
            assert formula.subs(H, size) == len(set().union(*slide(size, *window))), window
            checked += 1
    assert checked > 250


@pytest.mark.parametrize(
    ("layer", "reads"),
    [
        pytest.param(Conv("conv", 1, 3, 1, 1), H, id="stride 1"),
        pytest.param(Conv("conv", 1, 3, 2, 1), H, id="all but padding"),
        pytest.param(Conv("conv", 1, 3, 1, 2, 2), H, id="dilated, padded to the same size"),
        pytest.param(Conv("conv", 1, 5), H, id="no padding"),
        pytest.param(AdaptivePool("pool"), H, id="global pooling"),
    ],
)
def test_a_covered_axis_is_read_whole(layer: Layer, reads: object) -> None:
    """A window that leaves nothing out of a symbolic size reads exactly that size."""
    assert traffic(Network("one", (Input("image", (1, 1, H)), layer)))[-1].reads == reads


def test_a_symbolic_ceil_mode_pool_reads_what_it_does_at_each_size() -> None:
    """A pool in ceil_mode over H reads, with H set to a number, what it reads of that number."""
    pool = Pool("pool", "max", 3, 2, ceil_mode=True)
    formula = traffic(Network("one", (Input("image", (1, 1, H)), pool)))[-1].reads
    for size in range(3, 12):
        number = traffic(Network("one", (Input("image", (1, 1, size)), pool)))[-1].reads
        assert formula.subs(H, size) == number == size


def test_what_has_no_formula_is_an_error() -> None:
    """A window with gaps over a symbolic size is refused, and the layer named."""
    for window in [(3, 1, 0, 2), (2, 3, 0, 1), (1, 2, 1, 1)]:
        with pytest.raises(CostModelError, match=r"^conv: what a window of kernel .* resize to a"):
            traffic(one_axis(*window))
    with pytest.raises(CostModelError, match="no closed form"):
        traffic(Network("one", (Input("image", (1, 1, 9)), Conv("conv", 1, H, 2))))


# Traffic of layers.


def test_a_pointwise_convolution_with_stride_two_reads_a_quarter() -> None:
    """A 1×1 stride-2 convolution reads every second row and column."""
    image = Input("image", (1, 16, 56, 56))
    conv = traffic(Network("one", (image, Conv("conv", 32, 1, 2))))[-1]
    assert conv.reads == 16 * 28 * 28
    assert conv.bytes == 4 * (16 * 28 * 28 + 16 * 32 + 32 * 28 * 28)


def test_depthwise_intensity_is_far_lower_than_pointwise() -> None:
    """Block 7 of MobileNetV1: 9·196 / 4(2·196 + 9) MACs a byte against 512·196 / 4(2·196 + 512)."""
    layers = {t.layer: t for t in traffic(mobilenet_v1())}
    depthwise, pointwise = layers["block7.dw"], layers["block7.pw"]
    assert depthwise.bytes == 4 * (512 * 14 * 14 + 512 * 9 + 512 * 14 * 14)
    assert pointwise.bytes == 4 * (512 * 14 * 14 + 512 * 512 + 512 * 14 * 14)
    assert depthwise.intensity == Fraction(9 * 196, 4 * (2 * 196 + 9)) == Fraction(441, 401)
    assert pointwise.intensity == Fraction(512 * 196, 4 * (2 * 196 + 512)) == Fraction(3136, 113)
    assert pointwise.intensity > 25 * depthwise.intensity


SMALL = Network(
    "small",
    (
        Input("image", (1, 2, 4, 4)),
        Conv("conv", 3, 1, bias=True),
        BatchNorm("norm"),
        Conv("again", 3, 3, padding=1, inputs=("norm",)),
        Conv("twice", 3, 3, padding=1, shares="again"),
        Add("sum", inputs=("twice", "twice")),
        Add("residual", inputs=("sum", "norm")),
        Activation("dropout", "dropout"),
        AdaptivePool("pool"),
        Flatten("flatten"),
        Linear("classifier", 5),
    ),
)


def test_each_operand_moves_once() -> None:
    """Biases, scales and shared weights are read; an input read twice moves once, a view never."""
    rows = [(t.layer, t.reads, t.weights, t.writes) for t in traffic(SMALL)]
    assert rows == [
        ("image", 0, 0, 0),
        ("conv", 2 * 16, 2 * 3 + 3, 3 * 16),
        ("norm", 3 * 16, 2 * 3, 3 * 16),
        ("again", 3 * 16, 3 * 3 * 9, 3 * 16),
        ("twice", 3 * 16, 3 * 3 * 9, 3 * 16),
        ("sum", 3 * 16, 0, 3 * 16),
        ("residual", 2 * 3 * 16, 0, 3 * 16),
        ("dropout", 0, 0, 0),
        ("pool", 3 * 16, 0, 3),
        ("flatten", 0, 0, 0),
        ("classifier", 3, 3 * 5 + 5, 5),
    ]
    assert traffic(SMALL)[0].intensity == traffic(SMALL)[5].intensity == 0


def test_traffic_by_dtype() -> None:
    """In int8 a bias and a batch norm's values are four bytes; folded, the norm moves nothing."""
    _, conv, norm, *_ = traffic(SMALL, MemoryRules("int8"))
    assert conv.bytes == 2 * 16 + 2 * 3 + 4 * 3 + 3 * 16
    assert norm.bytes == 3 * 16 + 4 * 2 * 3 + 3 * 16
    _, conv, norm, *_ = traffic(SMALL, MemoryRules("float16", fold_batch_norm=True))
    assert conv.bytes == 2 * (2 * 16 + 2 * 3 + 3 + 3 * 16)
    assert (norm.bytes, norm.weights) == (0, 0)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(
            "_after_folding(x.used, x, folded)",
            "_after_folding(x.parameters, x, folded)",
            id="a shared weight is free",
        ),
        pytest.param(
            "sum(map(prod, shapes.values()))\n    shape",
            "sum(map(prod, x.inputs))\n    shape",
            id="an operand read twice moves twice",
        ),
        pytest.param("arity == 0 or same or", "arity == 0 or", id="a view moves its input"),
    ],
)
def test_operands_counted_by_hand_notice_that(old: str, new: str, mutate: Mutate) -> None:
    """A count of operands with one rule broken isn't the one by hand."""
    mutant = mutate(old, new).traffic(SMALL)
    assert [t.bytes for t in mutant] != [t.bytes for t in traffic(SMALL)]


@dataclass(frozen=True)
class Crop(Layer):
    """The upper left quarter: a layer of a user's."""


def test_a_new_layer_says_what_it_touches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A layer of a user's reads all of its input, or what the window of its body touches."""

    def half(_layer: Layer, inputs: tuple[tuple[int, ...], ...], *_: object) -> tuple[int, ...]:
        return *inputs[0][:2], *(side // 2 for side in inputs[0][2:])

    network = Network("net", (Input("image", (1, 3, 8, 8)), Crop("crop")))
    with pytest.raises(CostModelError, match="no rule for crop"):
        traffic(network)
    monkeypatch.setattr(Crop, "output_shape", half)
    monkeypatch.setattr(Crop, "lowered", lambda *shapes: ((Elementwise("crop", shapes[2]),), ()))
    assert traffic(network)[1].reads == 3 * 8 * 8
    body = Elementwise("crop", (1, 3, 4, 4), window=Window(kernel=1, stride=1))
    monkeypatch.setattr(Crop, "lowered", lambda *_: ((body,), ()))
    assert traffic(network)[1].reads == 3 * 4 * 4
    monkeypatch.setattr(Crop, "arity", 2)
    where = Input("where", (1, 5))
    both = Network("net", (*network.inputs, where, Crop("crop", inputs=("image", "where"))))
    assert traffic(both)[2].reads == 3 * 4 * 4 + 5  # the window slides over the first alone


# Live activations against an allocator.

KINDS = ("conv", "norm", "relu", "dropout", "lrn", "add", "concat", "flatten", "input")


def grown(genes: list[tuple[str, int, int, int]]) -> Network:
    """A network in which any layer may read any earlier one: skips, dead ends, several inputs."""
    layers: list[Layer] = [Input("image", (1, 2, 3, 3))]
    channels = {"image": 2}
    for i, (kind, first, second, width) in enumerate(genes):
        name, names = f"{kind}{i}", list(channels)
        source = names[-1 - first % len(names)]
        alike = [n for n in names if kind == "concat" or channels[n] == channels[source]]
        both = source, alike[second % len(alike)]
        kinds: dict[str, Layer] = {
            "conv": Conv(name, width, 1, bias=width > 1, inputs=(source,)),
            "norm": BatchNorm(name, inputs=(source,)),
            "relu": Activation(name, inputs=(source,)),
            "dropout": Activation(name, "dropout", inputs=(source,)),
            "lrn": Activation(name, "local_response_norm", inputs=(source,)),
            "add": Add(name, inputs=both),
            "concat": Concat(name, inputs=both),
            "flatten": Flatten(name, inputs=(source,)),
            "input": Input(name, (1, width, 3, 3)),
        }
        layers.append(kinds[kind])
        made = {"conv": width, "input": width, "concat": sum(map(channels.__getitem__, both))}
        if kind != "flatten":
            channels[name] = made.get(kind, channels[source])
    return Network("grown", tuple(layers))


_NUMBER = st.integers(0, 3)
graphs = st.lists(
    st.tuples(st.sampled_from(KINDS), _NUMBER, _NUMBER, st.integers(1, 3)), min_size=1, max_size=12
).map(grown)


class Allocator:
    """Blocks with reference counts; a block is free once its last reference is let go of."""

    def __init__(self) -> None:
        """Begin with an empty heap."""
        self.sizes: list[int] = []
        self.references: list[int] = []

    def allocate(self, size: int) -> int:
        """A new block."""
        self.sizes.append(size)
        self.references.append(0)
        return len(self.sizes) - 1

    @property
    def used(self) -> int:
        """The bytes of all blocks that something refers to."""
        return sum(s for s, held in zip(self.sizes, self.references, strict=True) if held)


def foldable(network: Network) -> set[str]:
    """The batch norms that a convolution without another reader or shared weights takes in."""
    reads = [name for layer in network.layers for name in layer.inputs]
    shared = {getattr(layer, "shares", "") for layer in network.layers}
    return {
        layer.name
        for layer in network.layers
        if isinstance(layer, BatchNorm)
        and isinstance(conv := network[layer.inputs[0]], Conv)
        and reads.count(conv.name) == 1
        and not conv.shares
        and conv.name not in shared
    }


def simulate(network: Network, rules: MemoryRules) -> list[tuple[str, int]]:
    """Run the network on an allocator: the bytes in use while each layer runs."""
    heap, block, used = Allocator(), dict[str, int](), []
    uses = Counter(name for layer in network.layers for name in layer.inputs)
    sizes = {p.layer.name: BYTES[rules.dtype] * prod(p.output) for p in infer(network)}
    folds = foldable(network) if rules.fold_batch_norm else set()

    def hold(layer: Layer, at: int) -> None:
        block[layer.name] = at
        heap.references[at] += uses[layer.name] or 1  # the caller's, who never lets go

    for image in network.inputs:
        hold(image, heap.allocate(sizes[image.name] * rules.count_input))
    callers = set(block.values())
    for layer in network.layers:
        if not isinstance(layer, Input):
            read = [block[name] for name in layer.inputs]
            function = getattr(layer, "function", "")
            if isinstance(layer, Flatten) or function == "dropout" or layer.name in folds:
                target = read[0]
            else:
                overwrites = isinstance(layer, (Add, BatchNorm)) or function == "relu"
                free = [b for b in read if heap.references[b] == read.count(b)]
                free = [b for b in free if overwrites and rules.in_place and b not in callers]
                target = free[0] if free else heap.allocate(sizes[layer.name])
            hold(layer, target)
        used.append((layer.name, heap.used))
        for name in layer.inputs:
            heap.references[block[name]] -= 1
    return used


def differs(module: ModuleType, network: Network) -> bool:
    """Whether under some rules the live bytes are not the simulation's."""
    return any(module.live_bytes(network, r) != tuple(simulate(network, r)) for r in RULES[:8])


@pytest.mark.parametrize("strategy", [networks(), graphs], ids=["networks", "any graph"])
def test_live_bytes_and_peak_are_an_allocators(strategy: st.SearchStrategy[Network]) -> None:
    """Under all 24 rules the bytes at every layer, the peak and where it is are simulated ones."""

    @settings(QUICK, max_examples=examples(75))
    @given(strategy)
    def compare(network: Network) -> None:
        sizes = {p.layer.name: prod(p.output) for p in infer(network)}
        for rules in RULES:
            used = simulate(network, rules)
            assert live_bytes(network, rules) == tuple(used)
            peak = peak_activations(network, rules)
            most = max(size for _, size in used)
            assert (peak.layer, peak.bytes) == next(x for x in used if x[1] == most)
            assert BYTES[rules.dtype] * sum(sizes[name] for name in peak.live) == most

    compare()


OVERWRITES = "x.layer.may_overwrite()"
#: Rules of memory, each broken in one way.
BROKEN = {
    "memory is never free": ("if until[home[name]] == i}", "if not i}"),
    "a view's readers don't hold it": (
        "until[own] = max(until.get(own, 0), last_reader[name])",
        "until.setdefault(own, last_reader[name])",
    ),
    "outputs are let go of": ("name: len(layers) for x", "name: 0 for x"),
    "what is read later is overwritten": ("if until[h] == i and h not in", "if h not in"),
    "an input is overwritten": ("until[h] == i and h not in inputs", "until[h] == i"),
    "inputs are always counted": ("layers if rules.count_input)", "layers)"),
    "nothing is in place": ("elif rules.in_place and", "elif False and"),
    "an Add makes a tensor": (OVERWRITES, f"{OVERWRITES} and type(x.layer).__name__ != 'Add'"),
    "a batch norm makes a tensor": (OVERWRITES, f"{OVERWRITES} and not x.layer.folds"),
    "neighbours are overwritten": (OVERWRITES, f"({OVERWRITES} or hasattr(x.layer, 'function'))"),
    "a dropout and a flatten make tensors": (
        "name in viewed or name in folded:",
        "name in folded:",
    ),
    "a folded norm makes a tensor": ("name in viewed or name in folded:", "name in viewed:"),
    "a norm folds past other readers": ("if readers[name] == 1}", "}"),
}


# `find` writes out each graph that it tries, however large.
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
@pytest.mark.parametrize("broken", BROKEN)
def test_the_allocator_notices_that(broken: str, mutate: Mutate) -> None:
    """With one rule broken, a random graph has other live bytes than the allocator's."""
    mutant = mutate(*BROKEN[broken])
    found = find(graphs, lambda g: differs(mutant, g), settings=SEARCH, random=Random(0))  # noqa: S311
    assert not differs(memory, found)


# Live activations against torch.


def unit(name: str, width: int, kernel: int = 1, stride: int = 1, act: str = "act") -> list[Layer]:
    """Convolution, batch norm and perhaps ReLU."""
    conv = Conv(name, width, kernel, stride, kernel // 2)
    return [conv, BatchNorm(f"{name}.norm"), *([Activation(f"{name}.{act}")] if act else [])]


def branched() -> Network:
    """The network of `torch_models.live.Branched`."""
    right, *rest = unit("right", 7, 3)
    layers = [
        *(Input("image", (1, 3, 16, 16)), *unit("stem", 8, 3, 2), *unit("wide", 24, act="")),
        *(*unit("back", 8, 3, act=""), Add("sum", inputs=("back.norm", "stem.act"))),
        *(Activation("relu"), *unit("left", 5), right.evolve(inputs=("sum",)), *rest),
        *(Concat("cat", inputs=("left.act", "right.act")), Pool("shrink", "average", 3, 2, 1)),
        *(Activation("dropout", "dropout"), Add("twice", inputs=("shrink", "dropout"))),
        *(Flatten("flatten"), Linear("classifier", 10), AdaptivePool("pool", inputs=("twice",))),
    ]
    return Network("branched", tuple(layers))


MODELS = {
    "mobilenet_v1": (lambda: MobileNetV1(0.25), widen(mobilenet_v1(resolution=32), 0.25), 32),
    "branched": (Branched, branched(), 16),
}


def by_torch(model: torch.nn.Module, side: int, rules: MemoryRules) -> list[int]:
    """Live bytes at each operator that makes a layer's tensor of a real forward pass; the peak."""
    dtype = FLOATS[rules.dtype]
    model = under(model, in_place=rules.in_place, fold=rules.fold_batch_norm).to(dtype)
    image = torch.zeros((1, 3, side, side), dtype=dtype)
    measured = samples(model, image, count_input=rules.count_input)
    made = [size for operator, size in measured if operator not in PARTS]
    return [*made, max(size for _, size in measured)]


def by_formula(network: Network, rules: MemoryRules, module: ModuleType = memory) -> list[int]:
    """Live bytes at each layer that makes a tensor; the peak."""
    folded = foldable(network) if rules.fold_batch_norm else set()
    silent = {"dropout", "flatten", "image"} | folded
    made = [size for name, size in module.live_bytes(network, rules) if name not in silent]
    return [*made, module.peak_activations(network, rules).bytes]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("rules", [*RULES[:8], RULES[8], RULES[15]], ids=str)
def test_live_bytes_are_those_of_a_real_forward_pass(name: str, rules: MemoryRules) -> None:
    """Operator by operator, what torch holds is what the network says; so is the peak."""
    build, network, side = MODELS[name]
    assert by_torch(build(), side, rules) == by_formula(network, rules)


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULES[:8], ids=str)
def test_live_bytes_of_the_whole_mobilenet_are_torchs(rules: MemoryRules) -> None:
    """The same at α = 1 and 224 px."""
    assert by_torch(MobileNetV1(), 224, rules) == by_formula(mobilenet_v1(), rules)


@pytest.mark.parametrize("fold", BOTH)
def test_the_peak_of_mobilenet_v2_is_torchs(fold: bool) -> None:  # noqa: FBT001
    """Seventeen bottlenecks with residuals hold in torch what the zoo's network says."""
    network, rules = mobilenet_v2(resolution=32), MemoryRules(fold_batch_norm=fold)
    assert by_torch(MobileNetV2(), 32, rules) == by_formula(network, rules)


@pytest.mark.parametrize("name", MODELS)
def test_the_models_in_place_and_folded_compute_the_same(name: str) -> None:
    """The variants that torch runs have the outputs of the model as it is."""
    build, _, side = MODELS[name]
    model = build().eval()
    image = torch.linspace(-1, 1, 3 * side * side).reshape(1, 3, side, side)
    expected = model(image.clone())
    for in_place, fold in product(BOTH, BOTH):
        variant = under(model, in_place=in_place, fold=fold)
        torch.testing.assert_close(variant(image.clone()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "broken",
    [
        *("memory is never free", "what is read later is overwritten", "an Add makes a tensor"),
        *("a batch norm makes a tensor", "a view's readers don't hold it", "nothing is in place"),
        *("inputs are always counted", "a dropout and a flatten make tensors"),
        "a folded norm makes a tensor",
    ],
)
def test_torch_notices_that(broken: str, mutate: Mutate) -> None:
    """With one rule broken, the branched model holds something else in torch, under some rules."""
    mutant, network = mutate(*BROKEN[broken]), branched()
    float32 = RULES[:8]
    assert any(by_torch(Branched(), 16, r) != by_formula(network, r, mutant) for r in float32)


def test_a_sequential_holds_on_to_its_input() -> None:
    """Called as written, MobileNetV1's peak is higher: image, block and pair keep what they got."""
    model, image = MobileNetV1(0.25).eval(), torch.zeros(1, 3, 64, 64)
    eager = samples(model, image, forward=lambda module: module)
    held = 4 * (3 * 64 * 64 + 8 * 32 * 32 + 8 * 32 * 32)  # of model, of block1 and of block1.pw
    network = widen(mobilenet_v1(resolution=64), 0.25)
    assert max(size for _, size in eager) == peak_activations(network).bytes + held


# Figures by hand.


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "RGB"])
def test_the_smallest_mobilenet_has_a_peak_of_54_kib(channels: int) -> None:
    """MobileNetV1 0.25 at 96 px in int8, in place and folded: block 1's 8 + 16 maps of 48×48."""
    network = widen(mobilenet_v1(resolution=96, in_channels=channels), 0.25)
    rules = MemoryRules("int8", in_place=True, fold_batch_norm=True)
    expected = ((8 + 16) * 48 * 48, "block1.pw", ("block1.dw", "block1.pw"))
    assert peak_activations(network, rules) == expected
    assert live_bytes(network, rules)[1] == ("conv1", channels * 96 * 96 + 8 * 48 * 48)
    assert peak_activations(network, MemoryRules("int8")).bytes == 2 * 16 * 48 * 48


def test_an_output_stays_and_an_input_goes() -> None:
    """What nothing reads is alive to the end; the image only until its last reader."""
    image, *convs = Input("image", (1, 2, 4, 4)), *(Conv(f"conv{i}", 4, 1) for i in range(2))
    layers = (image, *convs, Conv("head", 1, 1, inputs=("conv0",)), Conv("last", 1, 1))
    assert live_bytes(Network("heads", layers)) == (
        ("image", 4 * 16 * 2),
        ("conv0", 4 * 16 * (2 + 4)),
        ("conv1", 4 * 16 * (4 + 4)),
        ("head", 4 * 16 * (4 + 4 + 1)),
        ("last", 4 * 16 * (4 + 1 + 1)),
    )


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("fold", BOTH)
@pytest.mark.parametrize("name", [*MODELS, "mobilenet_v2"])
def test_weight_bytes_are_those_of_torchs_parameters(name: str, dtype: str, fold: bool) -> None:  # noqa: FBT001
    """The bytes of a real model's parameter tensors, as it is and after torch's own folding."""
    build, network, _ = {**MODELS, "mobilenet_v2": (MobileNetV2, mobilenet_v2(), 0)}[name]
    model = under(build(), in_place=False, fold=fold).to(FLOATS[dtype])
    expected = sum(p.numel() * p.element_size() for p in model.parameters())
    assert weight_bytes(network, MemoryRules(dtype, fold_batch_norm=fold)) == expected


TWO = Network(
    "two",
    (
        *(Input("image", (1, 3, 5, 5)), Conv("conv", 8, 3), BatchNorm("norm"), Activation("act")),
        *(AdaptivePool("pool"), Flatten("flatten"), Linear("classifier", 10)),
    ),
)


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (MemoryRules("int8"), 3 * 3 * 3 * 8 + 4 * 2 * 8 + 8 * 10 + 4 * 10),
        (MemoryRules("int8", fold_batch_norm=True), 3 * 3 * 3 * 8 + 4 * 8 + 8 * 10 + 4 * 10),
        (MemoryRules("float16"), 2 * (3 * 3 * 3 * 8 + 2 * 8 + 8 * 10 + 10)),
        (MemoryRules(fold_batch_norm=True), 4 * (3 * 3 * 3 * 8 + 8 + 8 * 10 + 10)),
    ],
    ids=str,
)
def test_weight_bytes_of_two_layers_by_hand(rules: MemoryRules, expected: int) -> None:
    """In int8 a weight is a byte, and a bias, a scale and a shift are four."""
    assert weight_bytes(TWO, rules) == expected


FOLD = MemoryRules(fold_batch_norm=True)


def test_a_bias_that_is_there_is_not_made_twice() -> None:
    """Folding into a convolution or linear layer with a bias only removes scale and shift."""
    image = Input("image", (1, 3, 1, 1))
    layers = (image, Conv("conv", 8, 1, bias=True), BatchNorm("norm"), Flatten("flatten"))
    linear = (Linear("linear", 5, bias=False), BatchNorm("last", affine=False))
    network = Network("biased", (*layers, *linear))
    assert weight_bytes(network, FOLD) == 4 * (3 * 8 + 8 + 8 * 5 + 5)
    assert weight_bytes(network) == 4 * (3 * 8 + 8 + 2 * 8 + 8 * 5)


def test_what_cannot_fold_stays() -> None:
    """Shared weights, another reader and a norm over another axis than the weights' keep a norm."""
    image = Input("image", (1, 4, 3, 3))
    tied = Conv("again", 4, 1, shares="conv")
    shared = (image, Conv("conv", 4, 1), BatchNorm("norm"), tied, BatchNorm("other"))
    assert weight_bytes(Network("shared", shared), FOLD) == 4 * (4 * 4 + 2 * 4 + 2 * 4)
    read = (image, Conv("conv", 4, 1), BatchNorm("norm"), Add("sum", inputs=("norm", "conv")))
    assert weight_bytes(Network("read", read), FOLD) == 4 * (4 * 4 + 2 * 4)
    tokens = (Input("tokens", (1, 7, 4)), Linear("linear", 5), BatchNorm("norm"))
    assert weight_bytes(Network("tokens", tokens), FOLD) == 4 * (4 * 5 + 5 + 2 * 7)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("sources - tied", "sources", id="shared weights fold"),
        pytest.param("if readers[name] == 1}", "}", id="folds past other readers"),
        pytest.param(
            "and x.layer.axis % len(x.output) == 1  # the channels",
            "",
            id="folds over another axis",
        ),
    ],
)
def test_what_cannot_fold_notices_that(old: str, new: str, mutate: Mutate) -> None:
    """The three networks of `test_what_cannot_fold_stays` tell if one of its reasons is lost."""
    image, norm = Input("image", (1, 4, 3, 3)), BatchNorm("norm")
    conv = Conv("conv", 4, 1)
    bodies = (
        (image, conv, norm, Conv("again", 4, 1, shares="conv"), BatchNorm("other")),
        (image, conv, norm, Add("sum", inputs=("norm", "conv"))),
        (Input("tokens", (1, 7, 4)), Linear("linear", 5), norm),
    )
    mutant = mutate(old, new)
    networks = [Network("net", body) for body in bodies]
    assert any(mutant.weight_bytes(n, FOLD) != weight_bytes(n, FOLD) for n in networks)


# Symbols and errors.


def test_formulas_give_the_numbers() -> None:
    """Live bytes, traffic and weights in α and ρ, at α = 1/4 and ρ = 3/7, are those of 96 px."""
    head = Network("head", mobilenet_v1().layers[:16])  # conv1 to block2.dw, with strides
    formula = widen(resize(head, rho=rho), alpha)
    number = widen(resize(head, rho="3/7"), "1/4")
    values = {alpha: Fraction(1, 4), rho: Fraction(3, 7)}
    for rules in (MemoryRules(), MemoryRules("int8", in_place=True, fold_batch_norm=True)):
        pairs = zip(live_bytes(formula, rules), live_bytes(number, rules), strict=True)
        for (name, symbolic), (same, size) in pairs:
            assert (name, getattr(symbolic, "subs", lambda _, s=symbolic: s)(values)) == (
                same,
                size,
            )
        assert weight_bytes(formula, rules).subs(values) == weight_bytes(number, rules)
        moved = zip(traffic(formula, rules), traffic(number, rules), strict=True)
        assert all(t.bytes == n.bytes or t.bytes.subs(values) == n.bytes for t, n in moved)


def test_formulas_relax_to_polynomials() -> None:
    """MobileNetV1's first block in α and ρ, and the same on the path without sympy."""
    network = widen(resize(mobilenet_v1(), rho=rho), alpha)
    live = dict(live_bytes(network))
    assert relax(live["block1.pw"]) == 4 * (32 + 64) * 112**2 * alpha * rho**2
    layers = {t.layer: t for t in traffic(network)}
    assert relax(layers["block1.pw"].bytes).equals(
        4 * ((32 + 64) * 112**2 * alpha * rho**2 + 32 * 64 * alpha**2)
    )
    assert relax(layers["block2.dw"].reads) == 64 * 112**2 * alpha * rho**2
    assert layers["block1.dw"].intensity.subs({alpha: 1, rho: 1}) == Fraction(
        9 * 112**2, 4 * (2 * 112**2 + 9)
    )
    for light in traffic(widen(resize(mobilenet_v1(), rho=RHO), ALPHA)):
        assert parse(str(light.bytes)) == relax(layers[light.layer].bytes)


@pytest.mark.parametrize("name", ZOO)
def test_every_network_has_its_memory(name: str) -> None:
    """Each network of the zoo: what a layer touches is part of it, and all of it for most."""
    network = ZOO[name].build()
    for layer, moved in zip(infer(network), traffic(network), strict=True):
        given = sum(map(prod, dict(zip(layer.layer.inputs, layer.inputs, strict=True)).values()))
        assert 0 <= moved.reads <= given
    peak = peak_activations(network)
    assert peak.bytes == max(size for _, size in live_bytes(network))
    assert peak.bytes >= peak_activations(network, MemoryRules(in_place=True)).bytes


def test_a_peak_needs_numbers() -> None:
    """The peak of formulas is refused, and the remedy named; α alone is a symbol too."""
    with pytest.raises(CostModelError, match=r"^the peak of mobilenet_v1 needs numbers.*resize or"):
        peak_activations(widen(mobilenet_v1(), alpha))


@pytest.mark.parametrize("dtype", ["int4", "", "Float32", None, 32, torch.float16, ["int8"]])
def test_another_dtype_is_an_error(dtype: object) -> None:
    """A dtype must be one of the three texts; the message is one line that says so."""
    with pytest.raises(CostModelError, match=r"^dtype must be one of float32, float16, int8, got"):
        MemoryRules(dtype)


@pytest.mark.parametrize("function", [weight_bytes, live_bytes, peak_activations, traffic])
def test_an_unknown_layer_is_an_error(function: Callable[[Network], object]) -> None:
    """Nothing is said of the memory of a layer without a rule, rather than too little."""
    network = Network("net", (Input("image", (1, 3, 8, 8)), Crop("crop")))
    with pytest.raises(CostModelError, match=r"^no rule for crop; subclass Layer"):
        function(network)


def test_numbers_load_nothing_heavy() -> None:
    """Weights, peak and traffic of numbers load neither sympy nor numpy."""
    code = (
        "import sys; from costmodel import mobilenet_v1; v1 = mobilenet_v1(); "
        "from costmodel.metrics import memory as m; "
        "m.weight_bytes(v1); m.peak_activations(v1); m.traffic(v1); "
        "print({'sympy', 'numpy', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
