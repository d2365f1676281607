"""Jobs or tasks as a drawing: text, dot or mermaid, and the whole graph as data.

A drawing has jobs (named by what they make) and the files that nothing makes. Does not know how a graph comes
about, nor what is stale.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from buildtool.graph import File, FileId, Graph, Job, JobId, Kind
from buildtool.report.paint import Paint
from buildtool.text import count, printable
from buildtool.tuples import NamedTuple

SHOWN = 3  # outputs of one job that are named
DEEPEST = 40  # levels of one tree; what lies deeper becomes a tree of its own, or lines would grow with depth
Found = Mapping[JobId, Sequence[str]]  # the inputs that jobs named themselves when they last ran
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-./,()")


class Node(NamedTuple):
    """A job, a task, or a file that nothing makes."""

    title: str
    detail: str = ""
    is_file: bool = False


class Link(NamedTuple):
    """From a node to something that it waits for."""

    target: int
    how: str  # reads, found, needs or after


@dataclass(slots=True)
class Drawing:
    """Nodes by position, and the links of each; `roots` are where reading begins."""

    nodes: list[Node] = field(default_factory=list)
    links: list[list[Link]] = field(default_factory=list)
    roots: list[int] = field(default_factory=list)

    def add(self, node: Node) -> int:
        """The position of a new node."""
        self.nodes.append(node)
        self.links.append([])
        return len(self.nodes) - 1

    def tops(self) -> list[int]:
        """The nodes that nothing else waits for."""
        used = {link.target for links in self.links for link in links}
        return [at for at in range(len(self.nodes)) if at not in used]


# -- what is drawn -------------------------------------------------------------------------------------------


def draw_jobs(
    graph: Graph,
    roots: Sequence[JobId],
    missing: Collection[FileId],
    found: Found,
    *,
    explicit: bool,
) -> Drawing:
    """The jobs behind `roots`; unless these are `explicit`, only those that no other job uses stay roots."""
    drawing = Drawing()
    at = {job: drawing.add(_job_node(graph, graph.jobs[job])) for job in graph.closure(list(roots))}
    sources: dict[str, int] = {}

    def source(path: str, detail: str) -> int:
        if path not in sources:
            sources[path] = drawing.add(Node(path, detail, is_file=True))
        return sources[path]

    for job, node in at.items():
        links: dict[int, str] = {}
        for file, how in _read(graph.jobs[job]):
            producer = graph.files[file].producer
            if producer is not None:
                links.setdefault(at[producer], how)
                continue
            gone = "missing" if file in missing else ""
            links.setdefault(source(graph.files[file].path, gone), how)
        for path in found.get(job, ()):
            producer = graph.files[graph.by_path[path]].producer if path in graph.by_path else None
            maker = at.get(producer) if producer is not None else None
            links.setdefault(source(path, "") if maker is None else maker, "found")
        for other in graph.jobs[job].requires:
            links.setdefault(at[other], "needs")
        for other in graph.jobs[job].after:
            links.setdefault(at[other], "after")
        links.pop(node, None)
        drawing.links[node] = [Link(target, how) for target, how in links.items()]
    asked = [at[job] for job in roots]
    tops = set() if explicit else set(drawing.tops())
    drawing.roots = asked if explicit else [node for node in asked if node in tops]
    return drawing


def draw_tasks(
    graph: Graph, jobs: Iterable[JobId], kinds: dict[str, Kind], roots: Sequence[str] | None
) -> Drawing:
    """The tasks, with a link wherever a job of one waits for a job of another."""
    numbers = dict.fromkeys(kinds, 0)
    links: dict[str, dict[str, str]] = {name: {} for name in kinds}
    for number in jobs:
        job = graph.jobs[number]
        numbers[job.task] += job.kind is not Kind.GROUP
        later = set(job.after)
        for other in sorted(graph.prerequisites(job)):
            name = graph.jobs[other].task
            if name != job.task:
                known = links[job.task].get(name)
                how = "after" if other in later else "reads"
                links[job.task][name] = how if known in (None, "after") else "reads"
    drawing = Drawing()
    at = {}
    for name, kind in kinds.items():
        detail = kind.value if kind is not Kind.RULE else count(numbers[name], "job")
        at[name] = drawing.add(Node(name, detail))
    for name, found in links.items():
        drawing.links[at[name]] = [Link(at[other], how) for other, how in found.items()]
    drawing.roots = drawing.tops() if roots is None else [at[name] for name in roots]
    return drawing


def _read(job: Job) -> Iterable[tuple[FileId, str]]:
    for file in job.input_files():
        yield file, "reads"
    for file in job.needs:
        yield file, "needs"


def _job_node(graph: Graph, job: Job) -> Node:
    paths = graph.paths(job.output_files())
    more_to_come = ", not all known yet" if job.growing else ""
    if not paths:
        return Node(job.name, job.kind.value + more_to_come)
    more = len(paths) - SHOWN
    title = ", ".join(paths if more < 2 else paths[:SHOWN]) + (f" and {more} more" if more >= 2 else "")
    return Node(title, job.name + more_to_come)


# -- how it is drawn -----------------------------------------------------------------------------------------


def render_text(drawing: Drawing, paint: Paint) -> list[str]:
    """Trees from targets to inputs; what was shown once is referred to. Bars go on where a line is folded."""
    lines: list[str] = []
    seen: set[int] = set()
    below: set[int] = set()
    trees = deque(drawing.roots)
    rest = iter(range(len(drawing.nodes)))
    while True:
        if not trees:  # a circle of tasks has no root of its own
            trees += next(([at] for at in rest if at not in seen and not drawing.nodes[at].is_file), [])
            if not trees:
                return lines
        root = trees.popleft()
        stack = [(root, "", "", "", 0)]
        below.discard(root)
        while stack:
            at, lead, indent, how, depth = stack.pop()
            text = lead + _label(drawing.nodes[at]) + (f", {how}" if how in ("after", "found") else "")
            links = drawing.links[at]
            if at in seen or at in below:
                see = f", see {'below' if at in below else 'above'}" if links else ""
                lines += _told(text + see, indent + "    ", paint)
            elif links and depth == DEEPEST:
                below.add(at)
                trees.append(at)
                lines += _told(text + ", see below", indent + "    ", paint)
            else:
                seen.add(at)
                lines += _told(text, indent + ("│   " if links else "    "), paint)
                for place, link in enumerate(reversed(links)):
                    corner, bar = ("└── ", "    ") if place == 0 else ("├── ", "│   ")
                    stack.append((link.target, indent + corner, indent + bar, link.how, depth + 1))


def _told(text: str, indent: str, paint: Paint) -> list[str]:
    """A line of a tree, folded while its bars leave room for that."""
    return paint.fold(text, indent) if len(indent) <= (paint.width or 0) // 2 else [text]


def render_dot(drawing: Drawing) -> list[str]:
    """Graphviz; arrows lead from what is read to what reads it."""
    lines = ["digraph bt {", "  rankdir=LR;", "  node [shape=box];"]
    for at, node in enumerate(drawing.nodes):
        label = _dot(node.title) + (f"\\n({_dot(node.detail)})" if node.detail else "")
        lines.append(f'  n{at} [label="{label}"{", shape=plaintext" if node.is_file else ""}];')
    styles = {
        "reads": "",
        "found": ' [label="found"]',
        "needs": " [style=dashed]",
        "after": " [style=dotted]",
    }
    lines += [f"  n{link.target} -> n{at}{styles[link.how]};" for at, link in _links(drawing)]
    return [*lines, "}"]


def render_mermaid(drawing: Drawing) -> list[str]:
    """A mermaid flowchart; arrows lead from what is read to what reads it."""
    lines = ["flowchart LR"]
    for at, node in enumerate(drawing.nodes):
        label = _mermaid(node.title) + (f"<br>({_mermaid(node.detail)})" if node.detail else "")
        lines.append(f'  n{at}(["{label}"])' if node.is_file else f'  n{at}["{label}"]')
    arrows = {"reads": "-->", "found": "-->|found|", "needs": "-.->", "after": "-.->|after|"}
    return [*lines, *(f"  n{link.target} {arrows[link.how]} n{at}" for at, link in _links(drawing))]


def _links(drawing: Drawing) -> Iterable[tuple[int, Link]]:
    return ((at, link) for at, links in enumerate(drawing.links) for link in links)


def _label(node: Node) -> str:
    return printable(node.title) + (f"  ({printable(node.detail)})" if node.detail else "")


def _dot(text: str) -> str:
    """Safe inside the quotes of a label, where backslashes escape and `&` begins an entity."""
    return printable(text).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;")


def _mermaid(text: str) -> str:
    """Safe inside the quotes of a label: all that could mean something is written as its code."""
    return "".join(c if c in PLAIN or c > "\x7f" else f"#{ord(c)};" for c in printable(text))


# -- data ----------------------------------------------------------------------------------------------------


def graph_data(
    graph: Graph, jobs: Sequence[JobId], missing: Collection[FileId], found: Found
) -> dict[str, Any]:
    """The jobs and every file that they read or write; found ones by path alone."""
    files: dict[FileId, File] = {}
    for number in jobs:
        job = graph.jobs[number]
        for file in (*job.input_files(), *job.needs, *job.output_files()):
            files[file] = graph.files[file]
    return {
        "jobs": [_job_data(graph, graph.jobs[job], found.get(job, ())) for job in jobs],
        "files": [
            {
                "path": file.path,
                "form": file.form.value,
                "producer": file.producer,
                "missing": file.id in missing,
            }
            for file in files.values()
        ],
    }


def _job_data(graph: Graph, job: Job, found: Sequence[str]) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "task": job.task,
        "kind": job.kind.value,
        "wildcards": dict(job.wildcards),
        "inputs": graph.paths(job.input_files()),
        "found": found,
        "outputs": graph.paths(job.output_files()),
        "needs": graph.paths(job.needs),
        "requires": job.requires,
        "after": job.after,
        "growing": job.growing,
    }


def task_graph_data(drawing: Drawing) -> dict[str, Any]:
    """The tasks with the names of those they wait for."""
    return {
        "tasks": [
            {
                "name": node.title,
                "needs": [drawing.nodes[k.target].title for k in links if k.how != "after"],
                "after": [drawing.nodes[k.target].title for k in links if k.how == "after"],
            }
            for node, links in zip(drawing.nodes, drawing.links, strict=True)
        ]
    }
