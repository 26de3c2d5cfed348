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
from typing import TYPE_CHECKING, Any

from costmodel.building import INSTALL, build
from costmodel.check import BUILT, WRITTEN, forward_pass
from costmodel.conventions import (
    CALFLOPS,
    CALFLOPS_FLOPS,
    CONVENTIONS,
    FVCORE,
    PTFLOPS,
    PTFLOPS_ATEN,
    THOP,
    TORCH,
    TORCHINFO,
    TORCHPROFILE,
)
from costmodel.errors import CostModelError, printable
from costmodel.memory import known_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import torch
    from torch import nn

    from costmodel.conventions import Convention, Rule
    from costmodel.network import Network

    Images = tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Reckoning:
    """A tool's figure as a sum, and as the tool printed it, or the problem that kept it from it."""

    convention: Convention
    parts: Mapping[Rule, int]
    measured: float | None = None
    problem: str = ""
    version: str = ""

    @property
    def predicted(self) -> int:
        """The sum of the parts: what the tool prints."""
        return sum(self.parts.values())

    @property
    def status(self) -> str:
        """`predicted` where it was not run, else `equal`, `different`, `missing` or `failed`."""
        if self.measured is not None:
            return "equal" if self.measured == self.predicted else "different"
        if not self.problem:
            return "predicted"
        return "failed" if self.version else "missing"


@dataclass(frozen=True)
class Reconciliation:
    """Every convention's figure for one network; `model` says what the tools were run on."""

    network: Network
    reckonings: tuple[Reckoning, ...]
    model: str = ""

    @property
    def failed(self) -> bool:
        """Whether a tool that was run printed another figure, or none."""
        return any(made.status in {"different", "failed"} for made in self.reckonings)


def reconcile(
    network: Network, module: nn.Module | None = None, *, run: bool = False
) -> Reconciliation:
    """What every tool prints for a network; with `run`, what it printed of the module.

    Without a module the tools that are installed are run on the one that `build` makes of the
    network, its layers side by side. A tool gets a copy of the module in evaluation mode, and
    what it patches in torch is put back.

    >>> from costmodel import mobilenet_v1
    >>> made = reconcile(mobilenet_v1(resolution=32), run=True)
    >>> thop = made.reckonings[3]
    >>> thop.convention.name, thop.predicted, thop.measured, thop.status
    ('thop', 13023744, 13023744, 'equal')

    Raises CostModelError for a layer without a rule; with `run`, where torch is missing, where
    the module cannot be copied, where its forward pass fails, and as `build` does.
    """
    layers = known_layers(network)
    made = tuple(Reckoning(convention, convention.parts(layers)) for convention in CONVENTIONS)
    if not run:
        return Reconciliation(network, made)
    if find_spec("torch") is None:
        raise CostModelError(f"running the tools needs torch, which is not installed; {INSTALL}")
    model = BUILT if module is None else WRITTEN
    module = _copy(_built(network) if module is None else module)
    images = _forward(module, network)
    return Reconciliation(network, tuple(_run(x, module, images) for x in made), model)


def _built(network: Network) -> nn.Module:
    from costmodel.modules import side_by_side

    return side_by_side(build(network))


def _forward(module: nn.Module, network: Network) -> Images:
    import torch

    with torch.no_grad():
        return forward_pass(module, tuple(layer.shape for layer in network.inputs))


def _copy(module: nn.Module) -> nn.Module:
    """Another module in evaluation mode, of the same tensors: what is hung on it is thrown away."""
    tensors = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    try:
        return deepcopy(module, tensors).eval()
    except (RuntimeError, TypeError) as error:
        text = str(error).partition("\n")[0]
        raise CostModelError(
            f"the tools need copies of the torch model, which cannot be copied: {text}; give one "
            "that copy.deepcopy takes"
        ) from None


def _run(made: Reckoning, module: nn.Module, images: Images) -> Reckoning:
    convention = made.convention
    if convention.name not in _TOOLS:
        return made  # the paper is no tool
    if find_spec(convention.package) is None:
        return replace(made, problem=f"not installed; pip install {convention.package}")
    made = replace(made, version=version(convention.package))
    try:
        return replace(made, measured=measure(convention, module, images))
    except Exception as error:  # noqa: BLE001 - whatever a tool raises is its failure, not ours
        text = f"{type(error).__name__}: {error}".partition("\n")[0].rstrip(": ")
        return replace(made, problem=printable(f"failed: {text}"))


def measure(convention: Convention, module: nn.Module, images: Images) -> float:
    """What a tool prints of any module's forward pass; the module and torch are as before.

    >>> import torch
    >>> measure(THOP, torch.nn.BatchNorm2d(3), (torch.zeros(1, 3, 8, 8),)) == 4 * 3 * 8 * 8
    True

    Raises what the tool raises.
    """
    import torch

    with _silence(), torch.no_grad():
        import_module(convention.package)  # not to be undone
        with _patches_undone():
            measured = _TOOLS[convention.name](_copy(module), images)
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
        for owner, own in before:
            for name in own:
                if vars(owner)[name] is not own[name]:
                    setattr(owner, name, own[name])
        for name in vars(torch.Tensor).keys() - own.keys():  # methods that it inherits
            delattr(torch.Tensor, name)


def _fvcore(module: nn.Module, images: Images) -> int:
    from fvcore.nn import FlopCountAnalysis

    total: int = FlopCountAnalysis(module, images).total()
    return total


def _flop_counter_mode(module: nn.Module, images: Images) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        module(*images)
    total: int = counter.get_total_flops()
    return total


def _thop(module: nn.Module, images: Images) -> float:
    import thop

    total: float = thop.profile(module, inputs=images, verbose=False)[0]
    return total


def _ptflops(backend: str) -> Callable[[nn.Module, Images], int]:
    def run(module: nn.Module, images: Images) -> int:
        from ptflops import get_model_complexity_info

        several = {f"image{i}": image for i, image in enumerate(images)}
        total: int | None = get_model_complexity_info(
            module if len(images) == 1 else _by_keyword(module),
            (1,),  # in place of the images that the constructor makes
            print_per_layer_stat=False,
            as_strings=False,
            input_constructor=lambda _: images[0] if len(images) == 1 else several,
            backend=backend,
        )[0]
        if total is None:  # it prints what went wrong
            raise ValueError("no figure")
        return total

    return run


def _by_keyword(module: nn.Module) -> nn.Module:
    """The module with keyword arguments, which is how ptflops passes several inputs."""
    from torch import nn

    class ByKeyword(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, **images: torch.Tensor) -> Any:
            return self.module(*images.values())

    return ByKeyword()


def _torchinfo(module: nn.Module, images: Images) -> int:
    import torchinfo

    total: int = torchinfo.summary(module, input_data=list(images), verbose=0).total_mult_adds
    return total


def _torchprofile(module: nn.Module, images: Images) -> int:
    import torchprofile

    total: Any = torchprofile.profile_macs(module, images)  # by operator, were it asked to
    return int(total)


def _calflops(place: int) -> Callable[[nn.Module, Images], int]:
    def run(module: nn.Module, images: Images) -> int:
        import calflops

        totals: tuple[int, int, int] = calflops.calculate_flops(
            module, args=list(images), print_results=False, output_as_string=False
        )
        return totals[place]

    return run


#: How each tool counts a module in evaluation mode on some images.
_TOOLS: dict[str, Callable[[nn.Module, Images], float]] = {
    FVCORE.name: _fvcore,
    TORCH.name: _flop_counter_mode,
    THOP.name: _thop,
    PTFLOPS.name: _ptflops("pytorch"),
    PTFLOPS_ATEN.name: _ptflops("aten"),
    TORCHINFO.name: _torchinfo,
    TORCHPROFILE.name: _torchprofile,
    CALFLOPS_FLOPS.name: _calflops(0),
    CALFLOPS.name: _calflops(1),
}
