"""Terminal report of `explain`: what is wrong and why, which VMs and rules cause it, and what would help."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from vmplace.diagnosis.results import Blame, Explanation, Obstacle, Remedy, Slack
from vmplace.model.text import readable, rule_label, with_overhead
from vmplace.report.soft_rules import broken_rule_line
from vmplace.report.tables import ELLIPSIS, FEW, STYLE, Screen
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
    yield from _section("Tightest", [[_slack(slack)] for slack in found.tightest], screen)
    for kind, title in _TITLES.items():
        mine = [blame for blame in found.blames if blame.kind == kind]
        yield from _section(title, [_blame(blame, found, screen) for blame in mine], screen)
    waiting = [blame.subject for blame in found.blames if blame.kind == "waiting"]
    if waiting:
        yield Text(f"Waiting for a node, and not running: {screen.few(waiting)}")
    yield from _section("Why no migration can help", [_obstacle(obstacle, found, screen) for obstacle in found.obstacles], screen)
    remedies = [_remedy(number, remedy, screen) for number, remedy in enumerate(found.remedies, start=1)]
    yield from _section(_REMEDIES, remedies, screen)
    yield from _section("Tried, and not enough alone", [[way] for way in found.futile], screen)
    broken = [[broken_rule_line(rule, found.cluster, screen)] for rule in found.broken_rules]
    yield from _section("Soft rules that are broken now (mended by: place --move-running --objective rules)", broken, screen)
    yield from _section("Not decided", [[what] for what in found.unfinished], screen)


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
        return "nothing is wrong: the cluster survives every failure of the guarantee"
    if found.status is Status.UNKNOWN:
        return "nothing wrong was found, but some failures are undecided"
    counts = Counter(blame.kind for blame in found.blames)
    wrong = ", ".join(f"{count} {_HEADLINE[kind][count > 1]}" for kind, count in counts.items())
    if found.obstacles:
        return f"{wrong}; no placement is safe, whatever migrates"
    mended = next((remedy for remedy in found.remedies if remedy.kind in ("start", "move")), None)
    if mended is None:
        return wrong
    return f"{wrong}; {'migrating ' + readable(mended.moved) if mended.moved else 'starting the VMs that wait'} repairs it"


def _slack(slack: Slack) -> str:
    left, displaced = readable(slack.left), readable(slack.displaced)
    piece = f"no node more than {readable(slack.piece)}"
    return f"if {_fails(slack.scenario)}, {displaced} restart, and the others keep {left} free, {piece}"


def _fails(scenario: str) -> str:
    return f"{scenario} fail" if "+" in scenario else f"{scenario} fails"


def _blame(blame: Blame, found: Explanation, screen: Screen) -> list[str]:
    """What is wrong, and which VMs and rules cause it."""
    if blame.kind != "failure":
        lines = [f"pool {blame.subject}: {blame.reason}" if blame.kind == "turns" else blame.reason]
        return [*lines, _guilty(blame, found, screen)]
    lines = [f"if {_fails(blame.subject)}: {blame.reason}"]
    in_pieces = blame.shortfall is not None and not blame.rules
    if in_pieces and blame.displaced is not None and blame.free is not None and blame.displaced <= blame.free:
        lines.append(f"{readable(blame.displaced)} must restart; the other nodes have {readable(blame.free)} free, but in pieces")
    others = [stuck.reason for stuck in blame.stuck if stuck.reason != blame.reason]
    shown = others if screen.everything else others[:FEW]
    lines += shown
    if len(others) > len(shown):
        lines.append(f"{screen.choose(ELLIPSIS)} {len(others) - len(shown)} more VMs find no node (--all lists them)")
    lines.append(_guilty(blame, found, screen))
    if blame.shortfall is not None:
        lines.append(f"missing: with {readable(blame.shortfall)} more on {blame.on} the cluster would survive it")
    elif blame.missing:
        lines.append(f"missing: {blame.missing}")
    return lines


def _guilty(blame: Blame, found: Explanation, screen: Screen) -> str:
    rules = _rules(blame.rules, found)
    nodes = [f"the memory of {screen.few(blame.nodes)}"] if blame.nodes and blame.kind == "failure" else []
    guilty = "; ".join([screen.few(_sized(blame.vms, found)), *rules, *nodes])
    right = "the cluster would survive it" if blame.kind in ("failure", "turns") else "this would be right"
    return f"to blame: {guilty}{_share(blame.minimal, len(blame.vms) + len(rules) + len(nodes), right)}"


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


def _share(minimal: bool, count: int, right: str) -> str:
    if not minimal:
        return " (perhaps fewer)"
    return f" (without any one of these {right})" if count > 1 else ""


def _obstacle(obstacle: Obstacle, found: Explanation, screen: Screen) -> list[str]:
    conflict = obstacle.conflict
    rules = _rules(conflict.rules, found)
    guilty = "; ".join([screen.few(_sized(conflict.vms, found)), *rules])
    lines = [f"pool {obstacle.pool}: {obstacle.reason}" if obstacle.pool else obstacle.reason]
    if obstacle.shortfall and conflict.kind != "slots":
        lines.append(f"missing: {readable(obstacle.shortfall)}")
    share = _share(conflict.minimal, len(conflict.vms) + len(conflict.rules), "the others could be placed safely")
    return [*lines, f"to blame: {guilty}{share}"]


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
        yield Text(f"  {screen.choose(ELLIPSIS)} {len(entries) - len(shown)} more (--all lists them)")
