"""Reconciling: what each tool prints for a network, as an exact sum, and what it really prints."""

from __future__ import annotations

import io
import logging
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import deepcopy
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from itertools import chain
from traceback import walk_tb
from typing import TYPE_CHECKING

from costmodel import tools
from costmodel.backends.building import build
from costmodel.errors import INSTALL, CostModelError, printable, said, torch_or_error
from costmodel.frontends.origins import Traced
from costmodel.metrics.memory import known_layers
from costmodel.tools.crosscheck import BUILT, WRITTEN, forward_pass
from costmodel.tools.deviations import UNTRACEABLE, Deviation, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Set as AbstractSet

    import torch
    from torch import nn

    from costmodel.core.network import Network
    from costmodel.tools.convention import Images, Rule, Tool


@dataclass(frozen=True)
class Reckoning:
    """A tool's figure as a sum, and as the tool printed it, or the problem that kept it from it.

    `deviations` explain a printed figure, or an error, that the sum does not.
    """

    tool: Tool
    parts: Mapping[Rule, int]
    measured: float | None = None
    problem: str = ""
    version: str = ""
    deviations: tuple[Deviation, ...] = ()
    #: The layers that the tool may count or not: with any, the sum is a lower bound.
    unknown: tuple[str, ...] = ()

    @property
    def predicted(self) -> int:
        """The sum of the parts: what the tool prints, or at least prints."""
        return sum(self.parts.values())

    @property
    def status(self) -> str:
        """`predicted` where it was not run, else `equal`, `different`, `missing` or `failed`.

        It is a `deviation` where a named one explains what would be different or failed, and a
        `bound` where the sum is one and what was printed no less.
        """
        if self.measured == self.predicted:
            return "equal"
        if self.unknown and self.measured is not None and self.measured > self.predicted:
            return "bound"
        if self.measured is None and not self.problem:
            return "predicted"
        if self.measured is None and not self.version:
            return "missing"
        if self.deviations:
            return "deviation"
        return "failed" if self.measured is None else "different"


@dataclass(frozen=True)
class Reconciliation:
    """Every tool's figure for one network; `model` says what the tools were run on."""

    network: Network
    reckonings: tuple[Reckoning, ...]
    model: str = ""

    @property
    def failed(self) -> bool:
        """Whether a tool that was run printed a figure that nothing explains."""
        return any(reckoning.status == "different" for reckoning in self.reckonings)


def reconcile(
    network: Network, module: nn.Module | None = None, *, run: bool = False
) -> Reconciliation:
    """What every tool prints for a network; with `run`, what it printed of the module.

    Without a module the tools that are installed are run on the one that `build` makes of the
    network, its layers side by side. Where the network is the module's own, traced, each layer
    counts as the module calls it; a network of the zoo's counts as it is built. A tool gets a copy
    of the module in evaluation mode, and what it patches in torch is put back.

    >>> from costmodel import mobilenet_v1
    >>> reconciliation = reconcile(mobilenet_v1(resolution=32), run=True)
    >>> thop = reconciliation.reckonings[3]
    >>> thop.tool.name, thop.predicted, thop.measured, thop.status
    ('thop', 13023744, 13023744, 'equal')

    Raises CostModelError for a layer without a rule; with `run`, where torch is missing, where
    the module cannot be copied, where its forward pass fails, and as `build` does.
    """
    return _reconciled(_of_network(network, module), module, run=run)


def reconcile_model(
    module: nn.Module, input_size: tuple[int, ...] = (3, 224, 224), *, run: bool = False
) -> Reconciliation:
    """What every tool prints for a torch module in evaluation mode, on one input of a size.

    With `run` the tools that are installed are run on copies of the module, and where a figure is
    not the predicted one, the deviations that the module shows explain it. On the meta device a
    copy has zeros in place of what was never allocated.

    >>> from torch import nn
    >>> reconciliation = reconcile_model(nn.Sequential(nn.Linear(8, 4), nn.GELU()), (8,), run=True)
    >>> [(x.tool.name, x.measured, x.status) for x in reconciliation.reckonings[4:6]]
    [('ptflops', 44, 'equal'), ('ptflops aten', 36, 'equal')]

    Raises CostModelError as `trace` and `reconcile` do.
    """
    torch_or_error("reconcile_model")
    from costmodel.frontends.torch.forward import trace_origins

    if not isinstance(module, import_module("torch").nn.Module):
        got = type(module).__name__
        raise CostModelError(f"reconcile_model takes a torch.nn.Module, got {got}")
    return _reconciled(trace_origins(_copy(module), input_size), module, run=run)


def _of_network(network: Network, module: nn.Module | None) -> Traced:
    """The network, with origins where it is what the module is traced as."""
    plain = Traced(network, {})
    if module is None or find_spec("torch") is None:
        return plain
    from costmodel.frontends.torch.forward import trace_origins

    shapes = tuple(layer.shape for layer in network.inputs)
    try:
        traced = trace_origins(_copy(module), example_inputs=shapes)
    except CostModelError:
        return plain  # the network is someone's own
    return traced if traced.network == network else plain


def _reconciled(traced: Traced, module: nn.Module | None, *, run: bool) -> Reconciliation:
    network, layers = traced.network, known_layers(traced.network)
    reckonings = tuple(
        Reckoning(
            tool, tool.parts(layers, traced.origins), unknown=tool.unknown(layers, traced.origins)
        )
        for tool in tools.TOOLS
    )
    if not run:
        return Reconciliation(network, reckonings)
    if find_spec("torch") is None:
        raise CostModelError(f"running the tools needs torch, which is not installed; {INSTALL}")
    copy = _copy(built(network) if module is None else module)
    module, model = _real(copy), BUILT if module is None else WRITTEN
    if module is not copy:
        model = f"{model} with zeros for its weights"
    images = _forward(module, network)
    signs = shown(layers, traced)
    measured = (_explained(_run(x, module, images), signs) for x in reckonings)
    return Reconciliation(network, tuple(measured), model)


def _explained(reckoning: Reckoning, signs: AbstractSet[str]) -> Reckoning:
    """With the deviations that may have made a figure another, or an error."""
    if reckoning.status not in {"different", "failed"}:
        return reckoning
    tool, failed = reckoning.tool, reckoning.status == "failed"
    may_be = (x for x in tool.deviations if (x in tool.raises) == failed and x.is_in(signs))
    return replace(reckoning, deviations=(*reckoning.deviations, *may_be))


def _raised_by_jit(
    error: BaseException, module: nn.Module, images: Images
) -> tuple[Deviation, ...]:
    """The deviation of an error under torch.jit, of a model that runs without it."""
    import torch

    modules = {frame.f_globals.get("__name__", "") for frame, _ in walk_tb(error.__traceback__)}
    if not any(name.startswith("torch.jit") for name in modules):
        return ()
    try:
        with _silence(), torch.no_grad():
            _copy(module)(*images)
    except Exception:  # noqa: BLE001 - it is not torch.jit's, then
        return ()
    return (UNTRACEABLE,)


def built(network: Network) -> nn.Module:
    """The network as a module whose layers every tool sees: none stands inside another."""
    from costmodel.backends.modules import side_by_side

    return side_by_side(build(network))


def _forward(module: nn.Module, network: Network) -> Images:
    import torch

    with torch.no_grad():
        return forward_pass(module, tuple(layer.shape for layer in network.inputs))


def _copy(module: nn.Module) -> nn.Module:
    """Another module in evaluation mode, of the same parameters and of buffers like its own.

    What is hung on it is thrown away, and what it writes to its buffers.
    """
    tensors: dict[int, torch.Tensor] = {id(tensor): tensor for tensor in module.parameters()}
    tensors |= {id(tensor): tensor.detach().clone() for tensor in module.buffers()}
    return _deepcopy(module, tensors).eval()


#: Bytes past which a model on the meta device is not given memory.
_MOST_BYTES = 2**32


def _real(module: nn.Module) -> nn.Module:
    """A module with zeros for the tensors that it has on the meta device."""
    import torch

    unallocated = [x for x in chain(module.parameters(), module.buffers()) if x.is_meta]
    if not unallocated:
        return module
    size = sum(tensor.numel() * tensor.element_size() for tensor in unallocated)
    if size > _MOST_BYTES:
        raise CostModelError(
            f"the tools need real tensors, and the {size:,} bytes that the model has on the meta "
            f"device are more than {_MOST_BYTES:,}; make a smaller one, or make it on the CPU"
        )
    tensors: dict[int, torch.Tensor] = {id(tensor): tensor for tensor in module.parameters()}
    for tensor in unallocated:
        zeros = torch.zeros_like(tensor, device="cpu")
        learned = isinstance(tensor, torch.nn.Parameter)
        tensors[id(tensor)] = torch.nn.Parameter(zeros, tensor.requires_grad) if learned else zeros
    return _deepcopy(module, tensors)


def _deepcopy(module: nn.Module, tensors: dict[int, torch.Tensor]) -> nn.Module:
    """A copy that has these tensors in place of those with these ids."""
    try:
        return deepcopy(module, tensors)
    except (RuntimeError, TypeError) as error:
        raise CostModelError(
            "the tools need copies of the torch model, which cannot be copied: "
            f"{said(error)}; give one that copy.deepcopy takes"
        ) from None


def _run(reckoning: Reckoning, module: nn.Module, images: Images) -> Reckoning:
    tool = reckoning.tool
    if tool.run is None:
        return reckoning  # the paper is no tool
    if find_spec(tool.package) is None:
        return replace(reckoning, problem=f"not installed; pip install {tool.package}")
    reckoning = replace(reckoning, version=version(tool.package))
    try:
        return replace(reckoning, measured=measure(tool, module, images))
    except Exception as error:  # noqa: BLE001 - whatever a tool raises is its failure, not ours
        problem = printable(f"failed: {said(error)}")
        return replace(reckoning, problem=problem, deviations=_raised_by_jit(error, module, images))


def measure(tool: Tool, module: nn.Module, images: Images) -> float:
    """What a tool prints of any module's forward pass; the module and torch are as before.

    >>> import torch
    >>> from costmodel.tools import THOP
    >>> measure(THOP, torch.nn.BatchNorm2d(3), (torch.zeros(1, 3, 8, 8),)) == 4 * 3 * 8 * 8
    True

    Raises what the tool raises, and CostModelError for the paper, which is none.
    """
    import torch

    if tool.run is None:
        raise CostModelError(f"{tool.name} is no tool that could be run")
    with _silence(), torch.no_grad():
        import_module(tool.package)  # not to be undone
        with _patches_undone():
            measured = tool.run(_copy(module), images)
    return int(measured) if measured == int(measured) else measured


@contextmanager
def _silence() -> Iterator[None]:
    """No output, warnings or log of a tool's."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with redirect_stderr(io.StringIO()):
                yield
    finally:
        logging.disable(before)


@contextmanager
def _patches_undone() -> Iterator[None]:
    """Put back what a tool replaces: calflops forgets baddbmm, and all of it after an error."""
    import torch

    owners = (torch, torch.nn.functional, torch.Tensor)
    before = [(owner, dict(vars(owner))) for owner in owners]
    try:
        yield
    finally:
        for owner, attributes in before:
            for name in attributes:
                if vars(owner)[name] is not attributes[name]:
                    setattr(owner, name, attributes[name])
        for name in vars(torch.Tensor).keys() - attributes.keys():  # methods that it inherits
            delattr(torch.Tensor, name)
