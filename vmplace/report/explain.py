"""Terminal report of `explain`: what is wrong and why, which VMs and rules cause it, and what would help."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from vmplace.diagnosis.results import Blame, Explanation, Obstacle, Remedy, Slack, Stuck
from vmplace.model.guarantee import guarantee_of
from vmplace.model.text import counted, fails, readable, rule_label, with_overhead
from vmplace.report.soft_rules import broken_rule_line
from vmplace.report.tables import FEW, STYLE, Screen
from vmplace.results.values import Status

__all__ = ["explanation_report"]

_STYLE = {**STYLE, Status.INFEASIBLE: "bold red"}

_HEADLINE = {
    "failure": ("failure is not survived", "failures are not survived"),
    "turns": ("pool cannot lose its nodes one after the other", "pools cannot lose their nodes one after the other"),
    "overfull": ("node is overfull", "nodes are overfull"),
    "rule": ("broken rule", "broken rules"),
    "size": ("VM is too large for its node", "VMs are too large for their nodes"),
    "waiting": ("VM waits for a node", "VMs wait for a node"),
}
"""Singular and plural of each kind of flaw."""


def explanation_report(found: Explanation, screen: Screen) -> RenderableType:
    """What is wrong, then the remedies."""
    return Group(*_lines(found, screen))


def _lines(found: Explanation, screen: Screen) -> Iterator[RenderableType]:
    yield Text.assemble((found.status.value.upper(), _STYLE[found.status]), f": {_verdict(found)}")
    yield from _section("Tightest", [[_slack(slack, found)] for slack in found.tightest], screen)
    for kind, title in _TITLES.items():
        mine = [blame for blame in found.blames if blame.kind == kind]
        yield from _section(title, [_blame(blame, found, screen) for blame in mine], screen)
    waiting = [blame.subject for blame in found.blames if blame.kind == "waiting"]
    if waiting:
        yield Text(f"Waiting for a node, and not running: {screen.few(waiting)}")
    obstacles = dict.fromkeys(tuple(_obstacle(obstacle, found, screen)) for obstacle in found.obstacles)
    yield from _section("Why no migration can help", list(obstacles), screen)
    remedies = [_remedy(number, remedy, screen) for number, remedy in enumerate(found.remedies, start=1)]
    yield from _section(_REMEDIES, remedies, screen)
    yield from _section("Tried, and not enough alone", [[way] for way in found.futile], screen)
    broken = [[broken_rule_line(rule, found.cluster, screen)] for rule in found.broken_rules]
    yield from _section("Soft rules that are broken now (mended by: place --move-running --objective rules)", broken, screen)
    yield from _section("Not decided", [[what] for what in found.unfinished], screen)
    yield from screen.section("Warnings", found.warnings, len(found.warnings))


_TITLES = {
    "overfull": "Overfull now",
    "rule": "Rules broken now",
    "size": "Too large for their nodes now (max_vm)",
    "failure": "Why it is not safe",
    "turns": "Why it is not safe, one failure after the other",
}

_REMEDIES = "What would help, least intrusive first (each was tried and checked to be safe)"


def _verdict(found: Explanation) -> str:
    if found.status is Status.SAFE:
        every = "each guarantee" if found.cluster.further else "the guarantee"
        return f"nothing is wrong: the cluster survives every failure of {every}"
    if found.status is Status.UNKNOWN:
        return "nothing wrong was found, but some failures are undecided"
    counts = Counter(blame.kind for blame in found.blames)
    wrong = ", ".join(f"{count} {_HEADLINE[kind][count > 1]}" for kind, count in counts.items())
    if found.obstacles:
        return f"{wrong}; no placement is safe, even if every VM may migrate"
    mended = next((remedy for remedy in found.remedies if remedy.kind in ("start", "move")), None)
    if mended is None:
        return wrong
    return f"{wrong}; {'migrating ' + readable(mended.moved) if mended.moved else 'starting the VMs that wait'} repairs it"


def _slack(slack: Slack, found: Explanation) -> str:
    left, displaced = readable(slack.left), readable(slack.displaced)
    piece = f"no node more than {readable(slack.piece)}"
    whose, scenario = _marked(slack.scenario, found)
    return f"{whose}if {fails(scenario)}, {displaced} restart, and the others keep {left} free, {piece}"


def _marked(key: str, found: Explanation) -> tuple[str, str]:
    """Which of several guarantees a key is of, and the key without its mark."""
    number, own = guarantee_of(key)
    return (f"guarantee {number + 1}: " if found.cluster.further else ""), own


def _blame(blame: Blame, found: Explanation, screen: Screen) -> list[str]:
    """What is wrong, and which VMs and rules cause it."""
    whose, subject = _marked(blame.subject, found) if blame.kind in ("failure", "turns") else ("", "")
    if blame.kind != "failure":
        lines = [f"{whose}pool {subject}: {blame.reason}" if blame.kind == "turns" else blame.reason]
        return [*lines, _guilty(blame, found, screen)]
    lines = [f"{whose}if {fails(subject)}: {blame.reason}"]
    in_pieces = blame.shortfall is not None and not blame.rules
    if in_pieces and blame.displaced is not None and blame.free is not None and blame.displaced <= blame.free:
        lines.append(f"{readable(blame.displaced)} must restart; the other nodes have {readable(blame.free)} free, but in pieces")
    others = _folded([stuck for stuck in blame.stuck if stuck.reason != blame.reason], screen)
    shown = others if screen.everything else others[:FEW]
    lines += shown
    if len(others) > len(shown):
        lines.append(screen.omitted("more VMs find no node"))
    if blame.vms or blame.rules:
        lines.append(_guilty(blame, found, screen))
    if blame.shortfall is not None:
        lines.append(f"missing: with {readable(blame.shortfall)} more on {blame.on} the cluster would survive it")
    elif blame.missing:
        lines.append(f"missing: {blame.missing}")
    return lines


def _folded(stuck: Sequence[Stuck], screen: Screen) -> list[str]:
    """Why VMs find no node; those of which the same is said share a line."""
    alike: dict[str, list[Stuck]] = {}
    for one in stuck:
        said = one.reason.removeprefix(one.vm).removeprefix(f" ({readable(one.memory)})")
        alike.setdefault(said, []).append(one)
    return [
        members[0].reason
        if len(members) == 1
        else f"{len(members)} VMs: {screen.few([one.vm for one in members], _NAMED)}: each{said}"
        for said, members in alike.items()
    ]


_NAMED = 2
"""So many VMs are named where the same is said of more."""


def _guilty(blame: Blame, found: Explanation, screen: Screen) -> str:
    nodes = [f"the memory of {screen.few(blame.nodes)}"] if blame.nodes and blame.kind == "failure" else []
    more = max(0, len(blame.stuck) - len(blame.vms))
    return _together(blame.vms, [*_rules(blame.rules, found), *nodes], blame.minimal, found, screen, more)


def _together(vms: Sequence[str], terms: Sequence[str], minimal: bool, found: Explanation, screen: Screen, more: int = 0) -> str:
    """VMs that are too much, or that rules and other terms do not let be.

    Parameters
    ----------
    more
        How many more VMs suffer from the same: the ones named are not the only ones that are one too many.
    """
    sized = screen.few(_sized(vms, found))
    if terms:
        fewer = "without any one of these, the rest of these could be met" if minimal else "perhaps fewer of these are"
        return f"to blame together: {'; '.join([sized, *terms] if vms else terms)} ({fewer})"
    if len(vms) == 1:
        return f"{sized} alone could not restart; {counted(more, 'more VM')} cannot either" if more else f"to blame: {sized}"
    memory = dict(zip(found.cluster.vms.names, found.cluster.vms.charged.tolist(), strict=True))
    total = readable(sum(memory[vm] for vm in vms))
    fewer = "one less of these would fit" if minimal else "perhaps fewer of these are, too"
    return f"these alone are already too much ({total}; {fewer}): {sized}"


def _rules(indices: Sequence[int], found: Explanation) -> list[str]:
    rules = found.cluster.rules
    return [rule_label(index, rules[index].kind, rules[index].name) for index in indices]


def _sized(vms: Sequence[str], found: Explanation) -> list[str]:
    """VMs with their memory."""
    wanted = set(vms)
    held = found.cluster.vms
    columns = zip(held.names, held.charged.tolist(), held.overhead.tolist(), strict=True)
    memory = {name: with_overhead(charged, overhead) for name, charged, overhead in columns if name in wanted}
    return [f"{vm} ({memory[vm]})" for vm in vms]


_ALL = {"sums", "capacity", "alone", "quorum"}
"""Kinds of conflict that are about all VMs: the reason and what is missing say enough."""


def _obstacle(obstacle: Obstacle, found: Explanation, screen: Screen) -> list[str]:
    conflict = obstacle.conflict
    lines = [f"pool {obstacle.pool}: {obstacle.reason}" if obstacle.pool else obstacle.reason]
    if obstacle.shortfall and conflict.kind != "slots":
        lines.append(f"missing: {readable(obstacle.shortfall)}")
    if conflict.kind in _ALL:
        return lines
    terms = [*_rules(conflict.rules, found), *conflict.limits]
    return [*lines, _together(conflict.vms, terms, conflict.minimal, found, screen)]


def _remedy(number: int, remedy: Remedy, screen: Screen) -> list[str]:
    """What to do, and what it costs."""
    costs = [f"{readable(remedy.moved)} migrated"] if remedy.moved else []
    costs += [f"{readable(remedy.bought)} bought"] if remedy.bought else []
    costs += ["less may be enough"] if not remedy.least else []
    pool = f"pool {remedy.pool}: " if remedy.pool else ""
    line = f"{number}. {pool}{remedy.action}{' [' + ', '.join(costs) + ']' if costs else ''}"
    if remedy.kind == "move" or not remedy.migrations:
        return [line]
    ways = [f"{m.vm} to {m.destination}" for m in remedy.migrations]
    return [line, f"and migrate {screen.few(ways)}"]


def _section(title: str, entries: Sequence[Sequence[str]], screen: Screen) -> Iterator[Text]:
    """Entries of several lines, indented after the first; long lists are shortened."""
    if not entries:
        return
    yield Text(f"{title}:")
    shown = entries if screen.everything else entries[:FEW]
    for first, *rest in shown:
        yield Text(f"  {screen.clean(first)}")
        for line in rest:
            yield Text(f"      {screen.clean(line)}")
    if len(entries) > len(shown):
        yield Text(f"  {screen.omitted(f'{len(entries) - len(shown)} more')}")
