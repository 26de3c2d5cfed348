"""The clock: where marks are, what is taken from them, and that torch is as it was."""

from __future__ import annotations

from itertools import count

import pytest
import torch
from torch import nn

from costmodel import CostModelError, Network, build, mobilenet_v1
from costmodel.backends import clock as timing
from costmodel.backends.clock import Clock, Passes, clock_of, in_place, inference, layer_by_layer
from costmodel.layers import Activation, Add, Conv, Input

IMAGE = Input("image", (1, 3, 8, 8))


def ticking(waits: list[str] | None = None) -> Clock:
    """A clock whose every mark is one second after the one before."""
    seconds = count()
    said = [] if waits is None else waits
    return Clock(lambda: next(seconds), lambda a, b: float(b - a), lambda: said.append("waited"))


def test_each_layer_is_between_two_marks() -> None:
    """A layer takes what passes between the mark before it and that after it: one second each."""
    layers = (IMAGE, Conv("conv", 4, 3), Activation("act"), Add("sum", inputs=("act", "conv")))
    graph = build(Network("n", layers)).eval()
    with inference(1):
        seconds = layer_by_layer(graph, [torch.randn(1, 3, 8, 8)], ticking())
    assert seconds == {"conv": 1.0, "act": 1.0, "sum": 1.0}


def test_a_slow_layer_is_the_slow_one() -> None:
    """What a layer waits is its own time, and no other's."""
    graph = build(Network("n", (IMAGE, Conv("a", 4, 3), Activation("slow"), Conv("b", 4, 3))))
    now = [0.0]
    graph.slow.register_forward_hook(lambda *_: now.__setitem__(0, now[0] + 5))
    clock = Clock(lambda: now[0], lambda a, b: b - a, lambda: None)
    seconds = layer_by_layer(graph.eval(), [torch.randn(1, 3, 8, 8)], clock)
    assert seconds == {"a": 0.0, "slow": 5.0, "b": 0.0}


def test_a_device_has_done_its_work_before_a_time_is_read() -> None:
    """The clock waits before the first mark and after the last: events are read when they are."""
    waits: list[str] = []
    timing.whole(nn.ReLU(), [torch.ones(2)], ticking(waits))
    assert waits == ["waited"] * 2


def test_passes_take_turns() -> None:
    """One pass to warm up, and then as many by layer as whole ones, one after the other."""
    graph = build(Network("n", (IMAGE, Activation("act")))).eval()
    ran: list[int] = []
    graph.register_forward_hook(lambda *_: ran.append(1))
    made = timing.passed(graph, graph, [torch.ones(1, 3, 8, 8)], ticking(), 3)
    assert (len(made.layers), len(made.wholes), len(ran)) == (3, 3, 4)


def test_layers_are_of_fast_passes() -> None:
    """Layers add up to what a pass took; their minima, each of another pass, would be less."""
    passes = [{"a": 1.0, "b": 4.0}, {"a": 3.0, "b": 1.0}, {"a": 9.0, "b": 9.0}]
    seconds = Passes(passes, [7.0, 5.0]).of_layers(best=1)
    assert seconds == {"a": 3.0, "b": 1.0}
    assert sum(seconds.values()) > sum(min(x[name] for x in passes) for name in "ab")
    assert Passes(passes, [7.0, 5.0]).fastest == 5.0


def test_activations_in_place_where_nothing_else_reads() -> None:
    """Neither an input is overwritten nor what a sum reads as well; what it makes is the same."""
    layers = (
        *(IMAGE, Activation("first"), Conv("a", 3, 3, padding=1), Activation("own")),
        *(Conv("b", 3, 3, padding=1), Activation("shared"), Add("sum", inputs=("shared", "b"))),
    )
    graph = build(Network("n", layers)).eval()
    with torch.inference_mode():
        before = graph(image := torch.randn(1, 3, 8, 8))
        kept = image.clone()
        after = in_place(graph)(image)
    assert [graph.module_named(x).inplace for x in ("first", "own", "shared")] == [0, 1, 0]
    assert torch.equal(image, kept)
    assert torch.equal(before, after)


def test_torch_is_as_it_was() -> None:
    """Threads are set and restored, also when something fails."""
    before = torch.get_num_threads()

    def fail() -> None:
        with inference(before + 1):
            assert torch.get_num_threads() == before + 1
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert torch.get_num_threads() == before
    assert not torch.is_inference_mode_enabled()


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "2"])
def test_threads_are_a_positive_integer(threads: object) -> None:
    """Anything else is refused by name and value."""
    with (
        pytest.raises(CostModelError, match=r"threads must be a positive integer, got"),
        inference(threads),
    ):
        pass


def test_devices() -> None:
    """An unknown one is refused with those that there are, one that is not here with a remedy."""
    with pytest.raises(CostModelError, match=r"device must be one of cpu, cuda, mps, got 'tpu'"):
        clock_of("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(CostModelError, match=r"no cuda device here; use cpu"):
            clock_of("cuda")


def test_a_module_that_was_replaced_is_the_one_that_runs() -> None:
    """The graph looks its modules up on every pass: one put in another's place is called."""
    graph = build(mobilenet_v1(resolution=32)).eval()
    graph.conv1.norm = nn.Identity()
    assert isinstance(graph.module_named("conv1.norm"), nn.Identity)
    called: list[int] = []
    graph.conv1.norm.register_forward_hook(lambda *_: called.append(1))
    graph(torch.randn(1, 3, 32, 32))
    assert called
