"""Puts right what a build left that was killed: leftover processes, half-written outputs, outputs moved aside.

Does not know why it was killed, and needs nobody's permission: the lock is held, so whoever wrote these rows is dead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from buildtool.errors import DiskError
from buildtool.executors.processes import alive, end_processes, marked
from buildtool.executors.protocol import MARK
from buildtool.expand.listing import matches
from buildtool.files import Disk, NotAFileError
from buildtool.isolation import BOXES
from buildtool.paths import ASIDE, STATE, parents
from buildtool.state.records import Running
from buildtool.state.store import PLACE, RUN, State
from buildtool.taskfile.pattern import parse_pattern
from buildtool.text import count, printable

KEPT = ".bt/kept/"
GRACE = 2.0  # seconds between TERM and KILL
_FOLDERS = ("log", "kept", "aside", "isolated", "cache")  # of the state: what is in them is written by many
_STUCK = "stuck"  # the value that names what lies aside and could be moved nowhere
_SHOWN = 5  # files named in a sentence


def recover(state: State, disk: Disk) -> str | None:
    """Undo what dead builds had begun; a sentence that says what was done, or None if there was nothing.

    The jobs whose outputs are others now than a moment before are noted in the state that is open (`State.undone`).
    """
    refuse_links(disk)
    place, *allowed = (state.value(PLACE) or "").split("\0")
    disk.allowed = tuple(allowed)
    died = [build for build in state.builds(1) if build.ended is None]
    running, lost = state.running(), state.lost
    torn, moved = state.left_behind() if died or running else (False, ())
    here, stopped = place_of(disk), 0  # of a state that is a copy, the processes are not ours
    if place == here and (running or died):
        stopped += _end_leftovers(running, state.value(RUN))
    if lost is not None and lost.jobs and lost.place == here:
        stopped += _end_leftovers(lost.jobs, lost.run)
    interrupted = cut_short(running)
    kept_as: dict[str, str] = {}  # paths, by where they are now
    found_as: dict[str, str] = {}
    number = died[0].number if died else 0
    began = died[0].started if died else None
    undone: set[str] = set()
    discarded, returned = _undo(
        running, disk, kept_as, found_as, undone, began=began, build=number if torn else None
    )
    unknown = _keep_unknown(running, disk, state, number)
    undone |= {job.key for job in running if job.patterns} if unknown else set()
    state.undone = frozenset(undone)
    found_as |= unknown
    found_as |= _told_copies(running, disk, state)
    if lost is not None:
        found_as |= _told_copies(lost.jobs, disk, state)
        found_as |= _told([pair for job in lost.jobs for pair in job.aside], disk)
    found_as |= _told(moved, disk) if died else {}
    if torn:
        folder = f"{KEPT}{number}/"
        found_as |= {place: place.removeprefix(folder) for place in disk.below(folder)} | found_as
    is_stuck = _free_stuck(state, disk, kept_as)
    for job in running:
        record = state.job(job.key)
        if record is not None and job.key in interrupted:
            state.record(record._replace(status="interrupted"))
        state.stop(job.key)
    kept = sum(len([e for e in state.history(build=b.number) if e.status != "failed"]) for b in died)
    for build in died:
        state.end_build(build.number, 137, build.counts)
    disk.sync()  # before it is forgotten that there was something to put back
    if torn or moved or lost is not None:
        state.forget_left()
    state.commit()
    rest = None if is_stuck else _clear_aside(disk, {place for _, place in moved})
    _remove_folder(disk, BOXES)
    is_dead = bool(died or running or (lost is not None and lost.jobs))
    words = [f"{count(kept, 'finished job')} kept"] if died or running else []
    if discarded:
        named = ", ".join(f"`{printable(path)}`" for path in discarded[:_SHOWN])
        more = " …" if len(discarded) > _SHOWN else ""
        words.append(f"{count(len(discarded), 'half-written output')} discarded ({named}{more})")
    if returned:
        words.append(f"{count(returned, 'earlier output')} put back")
    if stopped:
        words.append(f"{count(stopped, 'leftover process', 'leftover processes')} stopped")
    if found_as:
        words.append(f"{count(len(found_as), 'file')} in the way of outputs kept: {_named(found_as)}")
    if kept_as:
        words.append(f"{count(len(kept_as), 'file')} that cannot be put back kept: {_named(kept_as)}")
    if is_stuck:
        words.append(f"what cannot be put back nor kept stays in `{ASIDE}`")
    if rest is not None:
        words.append(rest)
    if not words:
        return None
    return ("recovered from a build that was cut short: " if is_dead else "") + ", ".join(words)


def note_place(state: State, disk: Disk) -> None:
    """Tell who may have to recover whose state this is, and where outputs may lie outside the project."""
    state.set_value(PLACE, "\0".join((place_of(disk), *disk.allowed)))


def note_stuck(state: State, path: str, place: str) -> None:
    """Tell later builds that what lies here is no garbage: it can neither be put back nor be kept elsewhere."""
    state.set_value(_STUCK, json.dumps([*_stuck(state), [path, place]]))


def _stuck(state: State) -> list[list[str]]:
    return list(json.loads(state.value(_STUCK) or "[]"))


def _free_stuck(state: State, disk: Disk, kept_as: dict[str, str]) -> bool:
    """Try once more to move what is stuck to `.bt/kept/`; whether anything still is."""
    before = _stuck(state) if disk.exists(ASIDE) else []
    left = []
    for path, place in before:
        try:
            if disk.exists(place):
                kept_as[keep(disk, path, place)] = path
        except DiskError:
            left.append([path, place])
    if left != before:
        state.set_value(_STUCK, json.dumps(left))
    return bool(left)


def _named(kept_as: Mapping[str, str]) -> str:
    named = [f"`{printable(path)}` as `{printable(kept)}`" for kept, path in kept_as.items()]
    return ", ".join(named[:_SHOWN]) + (" …" if len(named) > _SHOWN else "")


def refuse_links(disk: Disk) -> None:
    """Raise `DiskError` if a folder of the state is a link: what is written there would land elsewhere."""
    for name in _FOLDERS:
        if os.path.islink(disk.absolute(f"{STATE}/{name}")):
            raise DiskError(f"`{STATE}/{name}` is a link", hint="remove it: bt makes the folder anew")


def kept_place(disk: Disk, build: int | str, path: str, taken: Collection[str] = ()) -> str:
    """A free place in `.bt/kept/` for what a build keeps, beside those that are `taken`.

    Raises `DiskError` where a link leads elsewhere.
    """
    folder, name = f"{KEPT}{build}/", path.strip("/")
    above = [folder + directory[:-1] for directory in parents(name)]
    if any(place in taken or os.path.isfile(disk.absolute(place)) for place in above):
        name = name.replace("/", "%")
    kept, number = folder + name, 1
    for place in (KEPT, folder):
        if os.path.islink(disk.absolute(place[:-1])):
            raise DiskError(f"`{place[:-1]}` is a link", hint="remove it: bt makes the folder anew")
    is_directory = path.endswith("/")
    while (
        disk.exists(kept) or kept in taken or (is_directory and any(t.startswith(f"{kept}/") for t in taken))
    ):
        number += 1
        kept = f"{folder}{name}.{number}"
    return kept


def keep(disk: Disk, path: str, place: str) -> str:
    """Move what lies aside to `.bt/kept/`, unless it is there already; where it is then."""
    if place.startswith(KEPT):
        return place
    kept = kept_place(disk, place.removeprefix(ASIDE).split("/", 1)[0], path)
    disk.move(place, kept, durable=True)
    disk.remove_empty_parents(place)
    return kept


def put_back(
    disk: Disk,
    outputs: Iterable[str],
    aside: Mapping[str, str],
    lost: Callable[[str, str, str], None],
    *,
    began: float | None,
    durable: bool,
    discard: Callable[[str], None] | None = None,
) -> tuple[int, int, list[DiskError]]:
    """Remove what a run left at its outputs, and move back what lies aside; how many of each, and what resisted.

    Nothing is touched behind a link out of the project, or one that is there since the run `began` (seconds since the
    epoch, if that is known). `lost` is told of what cannot go back: its path, where it lies, and why. `discard` removes
    what the run left, if it is not simply removed.
    """
    moved = [path for path, place in aside.items() if disk.exists(place)]
    discarded, returned = 0, 0
    resisted: dict[str, DiskError] = {}
    for path in dict.fromkeys((*outputs, *aside)):
        if path in aside and path not in moved:
            continue  # it was not moved away: what is there is the old output
        if disk.way_out(path, began) is None and disk.exists(path):
            try:
                (discard or disk.remove)(path)
                discarded += 1
            except DiskError as error:
                resisted[path] = error
    for path in reversed(moved):  # as they were moved away, a directory may come before what lay in it
        before, link = resisted.pop(path, None), disk.way_out(path, began)
        cause = before.summary if before is not None else None
        if link is not None:
            cause = f"`{printable(link)}` is a link, and leads elsewhere"
        if cause is None:
            try:
                disk.move(aside[path], path, durable=durable)
            except DiskError as error:
                cause = error.summary
        if cause is None:
            disk.remove_empty_parents(aside[path])
            returned += 1
        else:
            lost(path, aside[path], cause)
    return discarded, returned, [*resisted.values()]


def place_of(disk: Disk) -> str:
    """A name for the state folder of this project that a copy of the project does not share."""
    st = os.stat(disk.absolute(".bt/"))
    return f"{st.st_dev}:{st.st_ino}"


def rescue(disk: Disk) -> str | None:
    """Keep what lies aside when no state tells any more where it belongs; a sentence about it, if there is any."""
    if not any(disk.below(ASIDE)):
        return None
    refuse_links(disk)
    number = 1
    while disk.exists(f"{KEPT}aside-{number}/"):
        number += 1
    disk.move(ASIDE, f"{KEPT}aside-{number}/")
    return f"files that a killed build had moved aside are in {KEPT}aside-{number}/"


def _end_leftovers(running: Iterable[Running], run: str | None) -> int:
    """End the processes of a dead run, known by pid and start time, or by their environment."""
    groups = [job.pid for job in running if job.pid and job.stamp and alive(job.pid, job.stamp)]
    pids = marked(MARK, run) if run else []
    return end_processes(pids, groups, grace=GRACE)


def lies(aside: Iterable[tuple[str, str]], disk: Disk) -> dict[str, str]:
    """Where each path lies that was moved aside: of its places, at the first where anything is."""
    found: dict[str, str] = {}
    for path, place in aside:
        if path not in found or (disk.exists(place) and not disk.exists(found[path])):
            found[path] = place
    return found


def _undo(
    running: Iterable[Running],
    disk: Disk,
    kept_as: dict[str, str],
    found_as: dict[str, str],
    undone: set[str],
    *,
    began: float | None,
    build: int | None,
) -> tuple[list[str], int]:
    """Remove what jobs had half written, which comes first, and put their earlier outputs back; how many.

    What cannot be put back goes to `.bt/kept/`, and into `kept_as`. `began`: when their build did, if that is known.
    `build`: its number, if it may have settled some: then what is in their place goes there, and into `found_as`.
    The keys of the jobs of which anything was there go into `undone`.
    """

    def lost(path: str, place: str, _: str) -> None:
        kept_as[keep(disk, path, place)] = path

    def set_aside(path: str) -> None:
        found_as[_keep_found(disk, build or 0, path)] = path

    def remove(path: str) -> None:
        disk.remove(path)
        discarded.append(path)

    discarded: list[str] = []
    returned = 0
    for job in running:
        gone, back, resisted = put_back(
            disk,
            job.outputs,
            lies(job.aside, disk),
            lost,
            began=job.began or began,
            durable=True,
            discard=remove if build is None else set_aside,
        )
        if resisted:
            raise resisted[0]
        if gone or back:
            undone.add(job.key)
        returned += back
    return discarded, returned


def cut_short(running: Iterable[Running]) -> set[str]:
    """The keys of dead jobs of which nothing is put back: checks, and with `keep` what is there is what they left.

    A job that waited for copies was not started.
    """
    return {job.key for job in running if not (job.outputs or job.patterns or job.waits)}


def displaced(
    running: Sequence[Running], disk: Disk, owner: Callable[[str], str | None]
) -> dict[str, str | None]:
    """The outputs of dead jobs that are not in their place, with where they are; None where there was none before.

    What is in their place is half-written.
    """
    found: dict[str, str | None] = {}
    for job in running:
        aside = lies(job.aside, disk)
        for path in job.outputs:
            moved = aside.get(path)
            if moved is None or disk.exists(moved):  # else it was killed before the move
                found[path] = moved
    return found | dict.fromkeys(_unknown(running, disk, owner))


def _unknown(running: Sequence[Running], disk: Disk, owner: Callable[[str], str | None]) -> list[str]:
    """Files that a pattern of a dead job's outputs matches and that are nobody's: most likely half-written."""
    known = {path for job in running for path in (*job.outputs, *job.spared, *(p for p, _ in job.aside))}
    found = []
    for job in running:
        for text in job.patterns:
            [pattern] = parse_pattern(text, disk.root)
            paths = [path for path in matches(Disk(disk.root), pattern) if path not in known]
            found += [path for path in paths if owner(path) in (None, job.key)]
    return found


def _keep_unknown(running: Sequence[Running], disk: Disk, state: State, build: int) -> dict[str, str]:
    """Move those to `.bt/kept/`, since a person may have written one meanwhile; by where they are then, their paths."""
    moved: dict[str, str] = {}
    began = min((job.began for job in running if job.began is not None), default=None)
    for path in _unknown(running, disk, state.owner):
        if disk.exists(path) and disk.way_out(path, began) is None:
            moved[_keep_found(disk, build, path)] = path
    return moved


def _keep_found(disk: Disk, build: int, path: str) -> str:
    """Move what is at a path to `.bt/kept/`; where it is then."""
    place = kept_place(disk, build, path)
    disk.move(path, place, durable=True)
    return place


def _is_same(disk: Disk, path: str, place: str) -> bool:
    """Whether both hold the same; a directory or a pipe by now is not what was copied."""
    links = [one for one in map(disk.absolute, (path, place)) if os.path.islink(one)]
    if len(links) == 2:  # of a link that was copied it counts where it leads
        return os.readlink(links[0]) == os.readlink(links[1])
    try:
        return disk.digest(path) == disk.digest(place)
    except NotAFileError:
        return False


def _told_copies(running: Iterable[Running], disk: Disk, state: State) -> dict[str, str]:
    """The copies of what dead jobs may have written over. One that nobody needs, since they did not, is removed."""
    told: dict[str, str] = {}
    for job in running:
        for path, place in job.copies:
            disk.remove_part(place)
            if not disk.exists(place):
                disk.remove_empty_parents(place)
            elif job.waits and is_free(disk, path) and disk.way_out(path) is None:
                disk.move(place, path, durable=True)  # it was moved away
                disk.remove_empty_parents(place)
            elif _is_needless(job, path, place, disk, state):
                disk.remove(place)
                disk.remove_empty_parents(place)
            else:
                told[keep(disk, path, place)] = path
    return told


def is_free(disk: Disk, path: str) -> bool:
    """Whether nothing is at a path; the directory that was made there for a job, and is empty, goes."""
    if path[-1:] == "/":
        disk.remove_empty_parents(f"{path}-")
    return not disk.exists(path)


def _is_needless(job: Running, path: str, place: str, disk: Disk, state: State) -> bool:
    """Whether what was copied is there still, or something that can be made again."""
    is_guard = place.startswith(ASIDE)  # of another job's output, or of a source
    if (
        is_guard
        and (made := state.recorded(path)) is not None
        and made in (disk.digest(path), disk.digest(place))
    ):
        return True
    return (is_guard or job.waits or state.owner(path) is None) and _is_same(disk, path, place)


def _told(moved: Iterable[tuple[str, str]], disk: Disk) -> dict[str, str]:
    """Those that are in `.bt/kept/`: whoever put them there may have been killed before he told of it."""
    return {place: path for path, place in moved if place.startswith(KEPT) and disk.exists(place)}


def _clear_aside(disk: Disk, garbage: Collection[str]) -> str | None:
    """Remove what lies aside and is known to be garbage; what no journal tells of is kept, which is told."""
    where = disk.absolute(ASIDE)
    for folder in os.listdir(where) if os.path.isdir(where) else ():
        if os.path.islink(where + folder) or not os.path.isdir(where + folder):
            continue
        for name in os.listdir(where + folder):
            place = f"{ASIDE}{folder}/{name}"
            if place in garbage or name.startswith(".bt-"):  # half of what is whole elsewhere
                disk.remove(place)
    try:
        rest = rescue(disk)
    except DiskError as error:
        return f"what a killed build had moved aside stays in `{ASIDE}`: {error.summary}"
    _remove_folder(disk, ASIDE)
    return rest


def _remove_folder(disk: Disk, folder: str) -> None:
    """Remove a folder with all that is in it, if it is there and can be; a link in its place leads nowhere."""
    if os.path.lexists(where := disk.absolute(folder).rstrip("/")):
        import shutil  # slow to import, and most builds leave nothing there

        shutil.rmtree(where, ignore_errors=True)
