"""What the report, the import and one more configuration cost, against the tools in use today."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
import warnings
from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

import pytest
import torch

from costmodel import cost, mobilenet_v1, resize, widen
from costmodel.reference.mobilenet import MobileNetV1

if TYPE_CHECKING:
    from collections.abc import Callable


ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
pytestmark = pytest.mark.slow
REPORT = ("-m", "costmodel", "report", "--no-check")
TOOLS = ("-c", "import torch, fvcore.nn")


def _python(*arguments: str) -> None:
    """Run a whole process on one thread."""
    command = [sys.executable, *arguments]
    subprocess.run(command, env=os.environ | ONE_THREAD, stdout=subprocess.DEVNULL, check=True)


# A small process between: a child's peak would count what it was forked from, this one with torch.
PEAK = """
import resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def _peak_memory(*arguments: str) -> int:
    """A whole process's peak memory in KiB."""
    command = [sys.executable, "-c", PEAK, *arguments]
    return int(subprocess.run(command, capture_output=True, check=True).stdout)


def _alpha(i: int) -> str:
    return str(Fraction(50 + i % 50, 100))


def test_the_analytic_report(versus: Callable) -> None:
    """`report --no-check` takes at most a third of importing torch and fvcore."""
    versus(
        "`costmodel report --no-check` : `import torch, fvcore.nn`",
        lambda i: _python(*REPORT, "--alpha", _alpha(i)),
        lambda _: _python(*TOOLS),
        bound=1 / 3,
    )


def _bare_interpreter() -> float:
    times = []
    for _ in range(9):
        start = time.perf_counter()
        _python("-c", "pass")
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]


def test_the_import(versus: Callable) -> None:
    """`import costmodel` takes at most a fifth of `import sympy`, interpreter start subtracted."""
    versus(
        "`import costmodel` : `import sympy`",
        lambda _: _python("-c", "import costmodel"),
        lambda _: _python("-c", "import sympy"),
        bound=1 / 5,
        seconds=_bare_interpreter,
    )


# 96 configurations: the paper's resolutions, α from 0.25 to 1.4 in steps of 0.05.
CONFIGURATIONS = list(product([Fraction(n, 20) for n in range(5, 29)], (224, 192, 160, 128)))


def _fvcore(i: int) -> int:
    from fvcore.nn import FlopCountAnalysis

    alpha, resolution = CONFIGURATIONS[i * 7 % len(CONFIGURATIONS)]
    module = MobileNetV1(alpha).eval()
    counts = FlopCountAnalysis(module, torch.zeros(1, 3, resolution, resolution))
    counts.unsupported_ops_warnings(enabled=False).uncalled_modules_warnings(enabled=False)
    return counts.total()


def test_one_more_configuration(versus: Callable) -> None:
    """Rewriting, lowering and costing one (α, D) takes at most 1/200 of fvcore's build + count."""
    base = mobilenet_v1()

    def ours(i: int) -> object:
        alpha, resolution = CONFIGURATIONS[i * 7 % len(CONFIGURATIONS)]
        return cost(widen(resize(base, resolution=resolution), alpha))

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            versus(
                "one more (α, D), rewritten and lowered : fvcore's build + count",
                ours,
                _fvcore,
                bound=1 / 200,
                batch=len(CONFIGURATIONS),
            )
    finally:
        torch.set_num_threads(threads)


def test_memory(record: Callable) -> None:
    """The analytic report's peak memory is under a third of the checked one's."""
    ours = _peak_memory(*REPORT)
    theirs = _peak_memory(*REPORT[:-1])
    what = "peak memory, `report --no-check` : `report`"
    record(what, f"{ours / 1024:.0f} MiB", f"{theirs / 1024:.0f} MiB", ours / theirs, 1 / 3)
