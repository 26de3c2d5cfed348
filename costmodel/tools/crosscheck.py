"""The cross-check: a network's counts against tools that measure a real torch model.

fvcore traces a forward pass, torch's FlopCounterMode watches one, and the parameters are the
module's own tensors. Everything is compared with `==`, per layer, per operator and in total.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from typing import TYPE_CHECKING

from costmodel.backends.building import build
from costmodel.core.cost import cost
from costmodel.core.lower import lower
from costmodel.core.nest import LoopNest
from costmodel.errors import INSTALL, CostModelError, said
from costmodel.layers.factorising import join, separable_pairs
from costmodel.tools import flop_counter, fvcore
from costmodel.tools.flop_counter import UNSEEN
from costmodel.tools.operations import operations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import torch
    from torch import nn

    from costmodel.core.lower import Lowered
    from costmodel.core.network import Network
    from costmodel.tools.deviations import Deviation


#: A torch model written apart from the network, which checks its layer table too.
WRITTEN = "a real torch model"
#: One made from the network: it checks how layers are counted, and not which they are.
BUILT = "a torch model built from the network"
#: The model that a network was traced from.
TRACED = "the model itself"


@dataclass(frozen=True)
class Comparison:
    """One figure known two ways: what the formula expects and what a tool measured.

    `left_out` is how much of it the tool does not see, by a deviation of a name.
    """

    tool: str
    quantity: str
    layer: str
    expected: int | Fraction
    measured: int | Fraction | None
    left_out: int = 0
    deviation: Deviation | None = None

    @property
    def equal(self) -> bool:
        """Whether the two are the same number, but for what is left out."""
        return self.expected - self.left_out == self.measured

    @property
    def explanation(self) -> str:
        """What the tool leaves out, and why; empty where it is nothing."""
        if self.deviation is None:
            return ""
        what = f"{self.tool} leaves out {self.left_out:,} {self.quantity}"
        return f"{what}: {self.deviation.name} ({self.deviation.effect})"

    def __str__(self) -> str:
        where = self.layer or "total"
        return (
            f"{where}: {self.quantity} {self.expected} by formula, {self.measured} by {self.tool}"
        )


@dataclass(frozen=True)
class CrossCheck:
    """Every comparison, the versions of the tools, and one tool's MACs by layer."""

    comparisons: tuple[Comparison, ...]
    tools: Mapping[str, str]
    reference_macs: Mapping[str, int | None]
    #: fvcore's depthwise + pointwise over its standard convolution, by block, where measured.
    reductions: Mapping[str, Fraction]
    #: What was measured: a module of one's own, or one that `build` made.
    model: str = WRITTEN
    #: Whose MACs `reference_macs` are.
    counter: str = "fvcore"

    @property
    def mismatches(self) -> tuple[Comparison, ...]:
        """The comparisons that are not equal."""
        return tuple(c for c in self.comparisons if not c.equal)

    @property
    def explanations(self) -> tuple[str, ...]:
        """What the tools are known to leave out, in all."""
        return tuple(c.explanation for c in self.comparisons if c.explanation and not c.layer)

    @property
    def status(self) -> str:
        """`passed` or `failed`."""
        return "failed" if self.mismatches else "passed"


def torch_is_installed() -> bool:
    """Whether the `torch` extra is there, without importing it."""
    return all(find_spec(name) for name in ("torch", "fvcore"))


def crosscheck(
    network: Network, module: nn.Module | None = None, twin: nn.Module | None = None
) -> CrossCheck:
    """Compare a network with the torch module it describes; the module's mode is restored.

    Layer `name` of the network is submodule `name`, or the `name.conv` inside it. Without a
    module, the network is compared with the one that `build` makes of it: that checks how
    its layers are counted, and not that they are the right ones. With `twin`, the same
    architecture with standard convolutions, the reduction of every depthwise separable block is
    measured too and compared with 1/C_out + 1/K² as exact rationals.

    >>> from costmodel import mobilenet_v1, widen
    >>> from costmodel.reference.mobilenet import MobileNetV1
    >>> crosscheck(widen(mobilenet_v1(resolution=32), 0.25), MobileNetV1(0.25)).status
    'passed'
    >>> crosscheck(widen(mobilenet_v1(resolution=32), 0.25)).model
    'a torch model built from the network'

    Raises CostModelError where torch or fvcore is missing, where the forward pass fails, and as
    `build` does.
    """
    from importlib.metadata import version

    if not torch_is_installed():
        raise CostModelError(
            f"the cross-check needs torch and fvcore, which are not installed; {INSTALL}"
        )
    shapes = tuple(layer.shape for layer in network.inputs)
    measured = _measure(build(network) if module is None else module, shapes)
    comparisons = [*_by_layer(network, measured), *_totals(network, measured)]
    reductions = {}
    if twin is not None:
        reductions = _reductions(network, measured, _measure(twin, shapes))
        comparisons += _compare_reductions(network, reductions)
    tools = {name: version(name) for name in ("torch", "fvcore")}
    reference = {
        layer.layer.name: measured.macs_of(layer.layer.name)
        for layer in lower(network)
        if layer.nests
    }
    model = WRITTEN if measured.paths is None else BUILT
    return CrossCheck(tuple(comparisons), tools, reference, reductions, model)


def crosscheck_traced(network: Network, module: nn.Module) -> CrossCheck:
    """Compare a traced network with the module that it was traced from, on the meta device.

    FlopCounterMode's count in all, and of each layer that a module of its own runs once; and
    the elements of all parameters. Nothing is allocated, and the module is unchanged.

    >>> from torch import nn
    >>> from costmodel import trace
    >>> module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())
    >>> crosscheck_traced(trace(module, (3, 32, 32)), module).status
    'passed'

    What FlopCounterMode does not see (`mv`, `dot`, `addbmm`) is left out of what is expected of it.

    Raises CostModelError where torch cannot run the module so.
    """
    from importlib.metadata import version

    flops = _flops_on_meta(module, tuple(layer.shape for layer in network.inputs))
    total, layers = cost(network), lower(network)
    params = sum(parameter.numel() for parameter in module.parameters())
    comparisons = [
        _seen("", total.flops, flops.get("", 0), layers),
        Comparison("torch", "params", "", total.params, params),
    ]
    reference: dict[str, int | None] = {}
    names = {layer.name for layer in network.layers}
    # A module that runs several functions gives its name to the first of them.
    parts = {x.layer.name.rpartition(".")[0] for x in layers if x.nests}
    for layer in layers:
        name = layer.layer.name
        alone = name not in parts and f"{name}_2" not in names
        if layer.nests and name in flops and alone:
            macs, measured = sum(nest.macs for nest in layer.nests), flops[name]
            comparisons.append(_seen(name, 2 * macs, measured, (layer,)))
            reference[name] = measured // 2
    tools = {"torch": version("torch")}
    return CrossCheck(tuple(comparisons), tools, reference, {}, TRACED, "torch")


def _seen(name: str, expected: int, measured: int, layers: Iterable[Lowered]) -> Comparison:
    """A count of FlopCounterMode's, without the products of these layers that it does not see."""
    unseen = UNSEEN.shown_by.split()
    left_out = 2 * sum(
        body.macs
        for layer in layers
        for operation, body in operations(layer)
        if operation in unseen and isinstance(body, LoopNest)
    )
    deviation = UNSEEN if left_out else None
    return Comparison("FlopCounterMode", "flops", name, expected, measured, left_out, deviation)


def _flops_on_meta(module: nn.Module, shapes: tuple[tuple[int, ...], ...]) -> dict[str, int]:
    """FlopCounterMode's counts by module, "" being all of it."""
    import torch

    from costmodel.frontends.torch.forward import as_written

    tensors = (*module.named_parameters(), *module.named_buffers())
    state = {name: torch.empty_like(tensor, device="meta") for name, tensor in tensors}
    dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
    images = tuple(torch.empty(shape, dtype=dtype, device="meta") for shape in shapes)
    try:
        with as_written():
            return flop_counter.counted(
                module, lambda: torch.func.functional_call(module, state, images)
            )[1]
    except Exception as error:  # noqa: BLE001 - whatever the model raises
        raise CostModelError(f"FlopCounterMode cannot run it without data: {said(error)}") from None


@dataclass(frozen=True)
class _Measured:
    modules: dict[str, nn.Module]
    paths: Mapping[str, str] | None  # where `build` put each layer, if it did
    counts: fvcore.Counts
    flops: dict[str, int]  # FlopCounterMode's by module

    def path(self, layer: str) -> str:
        """Which submodule a layer is."""
        if self.paths is not None:
            return self.paths.get(layer, layer)
        return conv if (conv := f"{layer}.conv") in self.modules else layer

    def macs_of(self, layer: str) -> int | None:
        """fvcore's count of a layer."""
        path = self.path(layer)
        macs = self.counts.macs.get(path)
        if macs is None or self.paths is None:
            return macs
        # fvcore adds what stands inside a module, and `build` puts `rpn.boxes` inside `rpn`.
        inside = (f"{path}.{name}" for name, _ in self.modules[path].named_children())
        return macs - sum(self.counts.macs.get(child, 0) for child in inside)

    def flops_of(self, layer: str) -> int | None:
        """FlopCounterMode's count of a layer."""
        return self.flops.get(self.path(layer))

    def params_of(self, layer: str) -> int | None:
        """The elements of a layer's own parameters."""
        part = self.modules.get(self.path(layer))
        return None if part is None else sum(p.numel() for p in part.parameters(recurse=False))

    @property
    def params(self) -> int:
        """Those of all parameters, shared ones once."""
        return sum(parameter.numel() for parameter in self.modules[""].parameters())


def _measure(module: nn.Module, shapes: tuple[tuple[int, ...], ...]) -> _Measured:
    with _evaluating(module):
        import torch

        with torch.no_grad():
            images, flops = flop_counter.counted(module, lambda: forward_pass(module, shapes))
            counts = fvcore.counts(module, images)
    paths = getattr(module, "module_of", None)
    return _Measured(dict(module.named_modules()), paths, counts, flops)


def forward_pass(
    module: nn.Module, shapes: tuple[tuple[int, ...], ...]
) -> tuple[torch.Tensor, ...]:
    """Images, of the parameters' kind of float, on which a forward pass of the module succeeds.

    Raises CostModelError where it does not.
    """
    import torch

    try:
        kind = next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
        images = tuple(torch.zeros(shape, dtype=kind) for shape in shapes)
        module(*images)
    except Exception as error:  # noqa: BLE001 - whatever the module raises is its own failure
        what = f"the torch model's forward pass on {shapes} failed: {said(error)}"
        raise CostModelError(what) from None
    return images


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode for the module and quiet for the tools; both as before afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    log = logging.getLogger("fvcore")
    level = log.level
    log.setLevel(logging.ERROR)
    module.eval()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
        for part, training in modes:
            part.training = training


def _by_layer(network: Network, measured: _Measured) -> Iterator[Comparison]:
    for lowered in lower(network):
        name = lowered.layer.name
        if lowered.nests:
            macs = sum(nest.macs for nest in lowered.nests)
            yield Comparison("fvcore", "macs", name, macs, measured.macs_of(name))
            yield Comparison("FlopCounterMode", "flops", name, 2 * macs, measured.flops_of(name))
        if lowered.parameters:
            params = sum(parameter.count for parameter in lowered.parameters)
            yield Comparison("torch", "params", name, params, measured.params_of(name))


def _totals(network: Network, measured: _Measured) -> Iterator[Comparison]:
    total = cost(network)
    expected, counts = fvcore.FVCORE.count(network), measured.counts
    for operator in sorted(expected.keys() | counts.operators.keys()):
        count = counts.operators.get(operator, 0)
        yield Comparison("fvcore", operator, "", expected[operator], count)
    yield Comparison("fvcore", "count", "", expected.total(), sum(counts.operators.values()))
    yield Comparison("fvcore", "activations", "", total.activations, counts.activations)
    yield Comparison("FlopCounterMode", "flops", "", total.flops, measured.flops.get("", 0))
    yield Comparison("torch", "params", "", total.params, measured.params)


def _reductions(network: Network, separable: _Measured, standard: _Measured) -> dict[str, Fraction]:
    """fvcore's depthwise + pointwise count over fvcore's standard count, per block."""
    return {
        pair.joined: Fraction(
            (separable.macs_of(pair.depthwise) or 0) + (separable.macs_of(pair.pointwise) or 0),
            standard.macs_of(pair.joined) or 1,
        )
        for pair in separable_pairs(network)
    }


def _compare_reductions(
    network: Network, reductions: Mapping[str, Fraction]
) -> Iterator[Comparison]:
    nests = {lowered.layer.name: lowered.nests for lowered in lower(join(network))}
    for name, measured in reductions.items():
        (nest,) = nests[name]
        taps = 1
        for extent in nest.kernel:
            taps *= extent
        expected = Fraction(1, nest.k) + Fraction(1, taps)
        yield Comparison("fvcore", "reduction", name, expected, measured)
