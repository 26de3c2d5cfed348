"""The notebooks are what a clean kernel makes of them; `python tests/test_notebooks.py` runs them.

Run as a program, this file executes each notebook (or those named) and writes its outputs.
"""

from __future__ import annotations

import os
import re
import sys
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbformat import NotebookNode

FOLDER = Path(__file__).parents[1] / "notebooks"
PATHS = sorted(FOLDER.glob("*.ipynb"))
IDS = [path.stem for path in PATHS]

METADATA = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}}
#: Sliders live in a running kernel only, under identifiers made up anew each time.
WIDGET = "application/vnd.jupyter.widget-view+json"
#: What differs from one machine or hour to the next.
LOCAL = {
    "an absolute path": r"(?<![\w.<)])/(?:home|mnt|opt|root|srv|tmp|usr|var|work)\b",
    "a path of Windows or macOS": r"\b[A-Z]:\\|/Users/",
    "an address in memory": r"\b0x[0-9a-f]{6,}",
    "a time": r"\b\d\d:\d\d:\d\d\b|\b20\d\d-\d\d-\d\d\b",
    "a timing": r"\b\d[\d.]* ?(?:ms|µs|ns|seconds)\b",
}


def read(path: Path) -> NotebookNode:
    """A notebook as it is in its file."""
    import nbformat  # takes seconds, of every worker that collects this file

    return nbformat.read(path, as_version=4)


def execute(notebook: NotebookNode) -> NotebookNode:
    """The same cells with the outputs of a clean kernel; a cell that fails raises."""
    from nbclient import NotebookClient
    from nbformat import NotebookNode

    fresh = deepcopy(notebook)
    with TemporaryDirectory() as home:
        own = {"IPYTHONDIR": home, "PYDEVD_DISABLE_FILE_VALIDATION": "1", "OMP_NUM_THREADS": "1"}
        given = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        client = NotebookClient(
            fresh, kernel_name="python3", timeout=300, startup_timeout=300, record_timing=False
        )
        client.coalesce_streams = True  # a kernel may send what is printed in parts
        client.extra_arguments = ["--log-level=ERROR"]  # a local socket needs no encryption
        client.execute(cwd=FOLDER, env=given | own)
    fresh.metadata = NotebookNode(METADATA)
    for cell in fresh.cells:
        cell.metadata = NotebookNode()
        if cell.cell_type == "code":
            cell.outputs = [out for out in cell.outputs if WIDGET not in out.get("data", {})]
    return fresh


def shown(notebook: NotebookNode) -> list[Any]:
    """What each code cell says: its texts, and of a picture that there is one."""
    return [
        [part for output in cell.outputs for part in _parts(output)]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _parts(output: NotebookNode) -> Iterable[tuple[str, str]]:
    if output.output_type == "stream":
        yield output.name, output.text
    elif output.output_type == "error":
        yield "error", f"{output.ename}: {output.evalue}"
    else:
        for kind, value in sorted(output.data.items()):
            yield kind, "" if kind.startswith("image/png") else str(value)


def everything(notebook: NotebookNode) -> str:
    """All texts of all outputs."""
    return "\n".join(text for cell in shown(notebook) for _, text in cell)


@pytest.mark.slow
@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_notebook_is_what_a_clean_kernel_makes_of_it(path: Path) -> None:
    """Every assertion holds, and every text output is the committed one, cell by cell."""
    committed = read(path)
    for cell, (fresh, old) in enumerate(
        zip(shown(execute(committed)), shown(committed), strict=True), 1
    ):
        assert fresh == old, f"{path.name}, code cell {cell} is stale"


@pytest.mark.slow
def test_a_stale_notebook_is_noticed() -> None:
    """A number that the code no longer gives differs from the fresh run; the picture may not."""
    from nbformat.v4 import new_code_cell, new_notebook

    picture = "from IPython.display import Image\nImage(data=b'\\x89PNG', format='png')"
    cells = [new_code_cell("6 * 7"), new_code_cell(picture), new_code_cell("print('569 M')")]
    notebook = execute(new_notebook(cells=cells))
    assert shown(notebook)[0] == [("text/plain", "42")]
    assert shown(execute(notebook)) == shown(notebook)
    stale = deepcopy(notebook)
    stale.cells[0].outputs[0].data["text/plain"] = "41"
    assert shown(execute(stale))[0] != shown(stale)[0]
    stale = deepcopy(notebook)
    stale.cells[1].outputs = []
    assert shown(execute(stale))[1] != shown(stale)[1]


@pytest.mark.slow
def test_sliders_are_optional() -> None:
    """Without ipywidgets the planning notebook still runs to its end, and says what is missing."""
    from nbformat.v4 import new_code_cell

    notebook = read(FOLDER / "04-family-and-planning.ipynb")
    notebook.cells.insert(0, new_code_cell("import sys\nsys.modules['ipywidgets'] = None"))
    assert "Without ipywidgets" in everything(execute(notebook))


@pytest.mark.slow
def test_the_clock_is_optional() -> None:
    """Without torch the notebook on time still runs to its end, and says what is missing.

    A mutation that fails it: its last cell measures without asking.
    """
    from nbformat.v4 import new_code_cell

    notebook = read(FOLDER / "07-time.ipynb")
    notebook.cells.insert(0, new_code_cell("import sys\nsys.modules['torch'] = None"))
    assert "Not measured: " in everything(execute(notebook))


@pytest.mark.parametrize("path", PATHS, ids=IDS)
def test_notebook_is_committed_as_executed(path: Path) -> None:
    """Executed once from top to bottom, nothing failed or warned, and nothing of a machine."""
    import nbformat

    committed = read(path)
    nbformat.validate(committed)
    assert complaints(committed) == []


def complaints(notebook: NotebookNode) -> list[str]:
    """What a committed notebook must not have."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    parts = [part for cell in shown(notebook) for part in cell]
    counts = [cell.execution_count for cell in code]
    found = ["an empty cell"] * (not all(cell.source.strip() for cell in notebook.cells))
    found += ["metadata"] * (notebook.metadata != METADATA)
    found += ["metadata of a cell"] * any(cell.metadata for cell in notebook.cells)
    found += ["execution counts"] * (counts != list(range(1, len(code) + 1)))
    found += ["no figure"] * ("image/png" not in {kind for kind, _ in parts})
    found += ["no assertion"] * (not any("assert " in cell.source for cell in code))
    found += [kind for kind, _ in parts if kind in {"error", "stderr"}]
    text = everything(notebook)
    return found + [what for what, pattern in LOCAL.items() if re.search(pattern, text)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("/home/me/model.pt", "an absolute path"),
        ("C:\\models", "a path of Windows or macOS"),
        ("<object at 0x7f3a5c0d1e20>", "an address in memory"),
        ("2026-01-31 12:00:00", "a time"),
        ("12.3 ms", "a timing"),
    ],
)
def test_what_is_of_a_machine_is_noticed(text: str, complaint: str) -> None:
    """A path, an address, a time or a timing in an output is found."""
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    output = new_output("stream", name="stdout", text=text)
    cell = new_code_cell("assert x", outputs=[output], execution_count=1)
    found = complaints(new_notebook(cells=[cell], metadata=METADATA))
    assert found == ["no figure", complaint]


def test_what_is_not_clean_is_noticed() -> None:
    """An empty cell, a run out of order, a warning and someone's kernel are each found."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

    warned = new_output("stream", name="stderr", text="UserWarning")
    cells = [
        new_markdown_cell(" "),
        new_code_cell("x", outputs=[warned], execution_count=7, metadata={"collapsed": True}),
    ]
    assert complaints(new_notebook(cells=cells)) == [
        "an empty cell",
        "metadata",
        "metadata of a cell",
        "execution counts",
        "no figure",
        "no assertion",
        "stderr",
    ]


def write(path: Path) -> None:
    """Execute a notebook and put its outputs into its file."""
    import nbformat

    nbformat.write(execute(read(path)), path)


if __name__ == "__main__":
    for chosen in [Path(name) for name in sys.argv[1:]] or PATHS:
        write(chosen)
