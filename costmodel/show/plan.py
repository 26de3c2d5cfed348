"""A plan for people and as data: the choice, why, what is next to it, and the front."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.console import Group
from rich.text import Text

from costmodel.errors import printable
from costmodel.metrics.timing import every_quantity
from costmodel.published.family import law
from costmodel.reports.timing import device_record, on_device
from costmodel.show.grid import Grid, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from costmodel.core.network import Network
    from costmodel.planners.planning import Choice, Plan

#: Rows of the front that a terminal shows.
MOST_ROWS = 8


def rich(plan: Plan) -> RenderableType:
    """The whole plan."""
    return Group(
        *_head(plan), Text(), *_choices(plan), *_limits(plan), *_front(plan), *_notes(plan)
    )


def to_text(plan: Plan) -> str:
    """What a terminal would show, without colour."""
    return plain(rich(plan))


def _head(plan: Plan) -> Iterator[Text]:
    widths, sides = plan.swept.shape
    size = f"{_number(widths, 'width')} × {_number(sides, 'resolution')}"
    facts = f"{size} · rounding {plan.network.rounding} · {plan.rules}{square(plan.network)}"
    facts += on_device(plan.swept.device)
    yield Text.assemble((printable(plan.network.name), "bold"), f"  {facts}")
    yield Text(" · ".join(map(str, plan.limits)))
    fit = f"{plan.feasible:,} of {plan.candidates:,} networks fit"
    yield Text(fit, style="green" if plan.choice else "bold yellow")


def _number(count: int, what: str) -> str:
    return f"{count:,} {what}" + "s" * (count != 1)


def square(network: Network) -> str:
    """A word on D where the network's own inputs are not square.

    >>> from costmodel import Network, mobilenet_v1
    >>> from costmodel.layers import Input
    >>> square(Network("words", (Input("spectrum", (1, 1, 49, 10)),)))
    ' · D×D px, itself 49×10'
    >>> square(mobilenet_v1())
    ''
    """
    sides = [layer.shape[2:] for layer in network.inputs if len(set(layer.shape[2:])) > 1]
    return f" · D×D px, itself {'×'.join(map(str, sides[0]))}" if sides else ""


def _choices(plan: Plan) -> Iterator[RenderableType]:
    named = {
        "choice": plan.choice,
        "next better": plan.larger,
        "next worse": plan.smaller,
        "smallest there is": plan.smallest,
    }
    yield _grid("", {name: choice for name, choice in named.items() if choice}, plan.objective)


def _grid(title: str, choices: dict[str, Choice], objective: str) -> Grid:
    scored = objective == "top1"
    names = next(iter(choices.values())).quantities
    titles = [every_quantity()[name].title for name in names]
    rows = ((name, *_cells(choice, scored=scored)) for name, choice in choices.items())
    return Grid(title, ("", "α", "D", *["top-1"] * scored, *titles), tuple(rows))


def _cells(choice: Choice, *, scored: bool) -> Iterator[str]:
    yield f"{float(choice.alpha):g}"
    yield str(choice.resolution)
    if scored:
        yield f"{'≈' if choice.estimated else ''}{choice.top1}"
    yield from (every_quantity()[name].text(x) for name, x in choice.quantities.items())


def _limits(plan: Plan) -> Iterator[RenderableType]:
    """What the choice, or the smallest network, takes of each limit; and the reason in a line."""
    taken = plan.choice or plan.smallest
    who = "choice" if plan.choice else "smallest"
    rows = []
    for limit in plan.limits:
        takes = getattr(taken, limit.quantity)
        room = f"{100 * (1 - takes / limit.most):.1f} %"
        room = room if takes <= limit.most else f"{takes / limit.most:.3g}× the limit"
        binds = "binds" if limit.name in plan.binding else ""
        taken_text = every_quantity()[limit.quantity].text(takes)
        rows.append((limit.option, limit.amount, taken_text, room, binds))
    yield Grid("", ("limit", "most", f"{who} takes", "head-room", ""), tuple(rows))
    yield Text(reason(plan), style="bold")


def reason(plan: Plan) -> str:
    """Why this choice, in a sentence.

    >>> from costmodel import mobilenet_v1
    >>> from costmodel.planners.planning import plan
    >>> print(reason(plan(mobilenet_v1(), max_macs="1k")))
    nothing fits: the smallest network there is breaks --max-macs
    """
    names = " and ".join(x.option for x in plan.limits if x.name in plan.binding)
    if plan.choice is None:
        return f"nothing fits: the smallest network there is breaks {names}"
    what = "most accurate" if plan.objective == "top1" else "largest"
    if plan.larger is None:
        return f"the {what} of all the networks considered fits"
    return f"the {what} that fits; a better one breaks {names}"


def _front(plan: Plan) -> Iterator[RenderableType]:
    if not plan.front:
        return
    step = max(1, -(-len(plan.front) // MOST_ROWS))
    objective = "top-1" if plan.objective == "top1" else "MACs"
    against = every_quantity()[plan.against].title
    title = f"Pareto front, {objective} against {against}: {len(plan.front):,}"
    title += " networks" + (f", every {step}th of them" if step > 1 else "")
    yield Text()
    yield _grid(
        title, {f"{i + 1}": plan.front[i] for i in range(0, len(plan.front), step)}, plan.objective
    )


def _notes(plan: Plan) -> Iterator[RenderableType]:
    if plan.objective == "top1":
        yield Text(
            "top-1 in percent as the paper prints it, or ≈ by its law of MACs alone, held between "
            f"the printed ones:\n{law()}",
            style="dim",
        )
    if hint := closed_form_hint(plan):
        yield Text(f"closed form, without rounding: {hint}", style="dim")


def closed_form_hint(plan: Plan) -> str | None:
    """The α that takes exactly the limit's MACs at the chosen resolution, if it has a formula."""
    from costmodel.planners.inverting import exact_choice  # sympy is slow to load

    choice = exact_choice(plan)
    return choice and f"α = {choice.alpha:.6g} takes {choice.macs:,} MACs at {choice.resolution} px"


def to_json(plan: Plan) -> str:
    """Everything but the grid itself."""
    data = {
        "network": plan.network.name,
        "rounding": plan.network.rounding,
        "memory_rules": str(plan.rules),
        **device_record(plan.swept.device),
        "limits": {limit.name: limit.most for limit in plan.limits},
        "objective": plan.objective,
        "candidates": plan.candidates,
        "feasible": plan.feasible,
        "reason": reason(plan),
        "binding": list(plan.binding),
        "head_room": dict(plan.head_room),
        "choice": _record(plan.choice),
        "larger": _record(plan.larger),
        "smaller": _record(plan.smaller),
        "smallest": _record(plan.smallest),
        "front_against": plan.against,
        "front": [_record(choice) for choice in plan.front],
        "closed_form_hint": closed_form_hint(plan),
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _record(choice: Choice | None) -> dict[str, object] | None:
    if choice is None:
        return None
    about = {"alpha": float(choice.alpha), "resolution": choice.resolution}
    return about | {**choice.quantities} | {"top1": choice.top1, "estimated": choice.estimated}
