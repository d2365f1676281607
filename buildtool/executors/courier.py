"""Talks to a cluster, in a thread of its own: sends jobs and what they read, brings home what they make.

Does not know when jobs run nor what comes of them; it is told what to do and tells what happened, both in messages.
"""

from __future__ import annotations

import contextlib
import itertools
import platform
import queue
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import buildtool.executors.drift as drifts
from buildtool.errors import BtError, ExecutorError
from buildtool.executors.contents import ChangedError, Contents, GoneError, fetch
from buildtool.executors.kit import BOOT, ENVIRONS, runtime
from buildtool.executors.messages import (
    Answered,
    Batch,
    Began,
    Cluster,
    Connect,
    LeavingError,
    Lost,
    Passed,
    Printed,
    Said,
    Sized,
    Stop,
    Told,
    Trouble,
)
from buildtool.executors.parcels import described, luggage, noted, place_in, put
from buildtool.executors.protocol import Differs, Transfer, Work
from buildtool.runtime.child import AT_START
from buildtool.runtime.job import Data
from buildtool.text import cause_of
from buildtool.tuples import NamedTuple

_TICK = 1.0  # seconds between two looks at the cluster
_PATIENCE = 10.0  # seconds without a machine, or one with the resources, before that is said
_INVENTORY = 3.0  # seconds that machines may take to say what they keep
# Ends jobs wherever they are, whichever text of `remote` runs them; those that have not begun never will.
_STOP = (
    "(lambda known: known.setdefault('_bt_unwanted', set()).update({ids}) or [stop({now}) for one, stop in"
    " list(known.get('_bt_stops', {{}}).items()) if one in {ids} or one.partition('-')[0] in {ids}] and None)"
    "(__import__('sys').__dict__)"
)
_AGAIN = 3  # times that another cluster is had when one is lost
_UNMAKING = 60.0  # seconds that it may take to end a cluster that is half made
_ASKED = 4  # machines that are asked what is installed there: they are made alike
_OTHERS = (  # whether more than one client is connected to the scheduler
    "sum(n != 'fire-and-forget' for s in __import__('distributed').Scheduler._instances for n in s.clients) > 1"
)
_DEEP = 2  # jobs for each thread of the cluster: one runs, one waits for it


class LostError(ExecutorError):
    """A cluster that was there is gone."""


class _RenewError(Exception):
    """The cluster differs from this machine, and is to be made anew."""


class _OtherError(Exception):
    """Another cluster is wanted since the code changed."""


class Courier:
    """One cluster. `connect` gives it, from the courier's own thread; `tell` is called from several."""

    def __init__(self, name: str, connect: Connect, tell: Callable[[Told], None]) -> None:
        self._name = name
        self._connect = connect
        self._tell = tell
        self._inbox: queue.SimpleQueue[Batch | Stop | _Done | None] = queue.SimpleQueue()
        self._nonce = secrets.token_hex(6)
        self._numbers = itertools.count()
        self._jobs: dict[str, _Sent] = {}  # futures of jobs, by key
        self._began: set[int] = set()
        self._runs: dict[int, set[str]] = {}  # machines on which a job began
        self._stopped: set[int] = set()
        self._threads: dict[str, int] = {}  # of the machines of the cluster
        self._lonely_since: float | None = None
        self._said: set[str] = set()
        self._codes: dict[str, Any] = {}
        self._code = ""  # the name of the project's code when jobs were last sent
        self._leaving = threading.Event()
        self._connected = False
        self._held: deque[_Held] = deque()  # batches that have come and are not sent
        self._compared = self._expected = self._renewed = self._differs = False
        self._difference = ""  # as it was told of this cluster
        self._here: Data = {}  # what this machine was like when they were compared
        self._looked_here = 0.0
        self._transfers: dict[int, list[Transfer]] = {}  # of files of jobs that were sent, by job
        self._brought: set[int] = set()  # jobs whose outputs are on their way, or came
        self._thread = threading.Thread(target=self._work, name=f"bt {name}", daemon=True)
        self._thread.start()

    def give(self, message: Batch | Stop) -> None:
        """Have something done."""
        if isinstance(message, Stop) and not self._connected:
            self._stopped.update(
                message.ids
            )  # nothing of them runs: nobody needs to wait until there is a cluster
            self._tell_stopped(message.ids)
        self._inbox.put(message)

    def close(self, patience: float) -> None:
        """End what runs and let go of the cluster; waits so many seconds at most, or until nothing is half made."""
        self._leaving.set()
        self._inbox.put(None)
        self._thread.join(patience if self._connected else max(patience, _UNMAKING))

    # -- the thread ------------------------------------------------------------------------------------------

    def _work(self) -> None:
        again = _AGAIN
        while True:
            try:
                cluster = self._cluster = self._connect(self._tell, self._leaving)
            except LeavingError:
                return
            except BtError as error:
                self._tell(Trouble(error))
                return
            except BaseException as error:  # noqa: BLE001  somebody waits: whatever a library raises must be told
                cause = " ".join(f"{type(error).__name__}: {error}".split())
                self._tell(Trouble(ExecutorError(f"`{self._name}` cannot be reached: {cause}")))
                return
            try:
                lost = self._use(cluster)
            except _RenewError:
                self._renewed = True
                self._forget()
                continue
            except _OtherError:
                self._forget()
                continue
            if lost is None:
                return
            idle = not self._jobs and self._inbox.empty()
            used_up = again == 0 and not idle
            if not isinstance(lost, LostError) or not cluster.again or used_up or self._leaving.is_set():
                self._tell(Trouble(lost))
                return
            if idle:
                self._tell(Said(f"{cluster.title} is gone: another one is had when there is work for it"))
            else:
                again -= 1
                self._tell(
                    Said(f"{cluster.title} is lost, so another one is had: what ran there runs once more")
                )
            self._forget()
            if not self._has_work():
                return

    def _has_work(self) -> bool:
        """Wait until there is something to run: until then nobody needs a cluster. False: nothing will come."""
        while True:
            match message := self._inbox.get():
                case None:
                    return False
                case Batch():
                    self._inbox.put(message)
                    return True
                case Stop(ids):
                    self._stopped.update(ids)
                    self._tell_stopped(ids)
                case _Done():
                    pass  # of what is lost

    def _use(self, cluster: Cluster) -> BtError | None:
        """Run jobs there until nobody wants that any more; why it cannot be used otherwise."""
        self._client = cluster.client
        self._fetchers = ThreadPoolExecutor(2)
        self._connected = True
        close = cluster.close
        try:
            self._prepare()
            self._serve()
        except _RenewError:
            close = cluster.renew or close
            raise
        except _OtherError:
            raise
        except BtError as error:
            return error
        except Exception as error:  # noqa: BLE001  what a library raises when its connection is gone is not told anywhere
            return self._gone(f"{type(error).__name__}: {error}")
        finally:
            self._connected = False
            self._fetchers.shutdown(wait=False, cancel_futures=True)
            while self._held:  # if there will be another cluster, it is for that one
                self._inbox.put(self._held.popleft().batch)
            with contextlib.suppress(Exception):
                close()
        return None

    def _forget(self) -> None:
        """The cluster is gone, with all that it had: what was to run there is to be done once more."""
        lost, self._jobs = self._jobs, {}
        self._began.clear()
        self._runs.clear()
        self._codes.clear()
        self._transfers.clear()
        self._threads = {}
        self._lonely_since = None
        self._compared = self._expected = False
        self._difference = ""
        for sent in lost.values():
            for work, _ in sent.batch.works:
                self._tell(Lost(work.id, "its cluster was lost"))

    def _prepare(self) -> None:
        kit = runtime()
        self._kit = kit.name
        self._boot_name = f"bt_remote_{kit.name}"
        self._kit_future = self._client.submit(bytes, kit.data, key=f"bt-kit-{kit.name}", pure=False)
        self._contents = Contents(self._client, self._read)
        self._topic = f"bt-{self._nonce}"
        self._client.subscribe_topic(self._topic, self._heard)
        self._look()
        inventory = {
            worker: self._call(f"{BOOT}.kept_names()", {}, workers=[worker]) for worker in self._threads
        }
        until = time.monotonic() + _INVENTORY
        for worker, future in inventory.items():
            with contextlib.suppress(Exception):  # it is busy, or gone: what it keeps is sent once more
                self._contents.kept(worker, future.result(timeout=max(0.0, until - time.monotonic())))

    def _serve(self) -> None:
        looked = time.monotonic()
        while True:
            self._send_held()
            try:
                message = self._inbox.get(timeout=max(0.0, looked + _TICK - time.monotonic()))
            except queue.Empty:
                self._look()
                looked = time.monotonic()
                continue
            match message:
                case None:
                    if self._jobs:
                        self._end({self._nonce}, now=True)
                    return
                case Batch():
                    self._held.append(_Held(message))
                case Stop(ids, now):
                    self._stop(ids, now=now)
                case _Done(key):
                    for held in self._held:
                        if held.probe is not None and held.probe.key == key:
                            held.probe = None
                            self._look()  # a machine has come
                    self._collect([message, *self._all_done()])

    def _all_done(self) -> list[_Done]:
        """What else has come in of that kind; the rest is put back."""
        found: list[_Done] = []
        others: list[Batch | Stop | None] = []
        with contextlib.suppress(queue.Empty):
            while True:
                message = self._inbox.get_nowait()
                if isinstance(message, _Done):
                    found.append(message)
                else:
                    others.append(message)
        for other in others:
            self._inbox.put(other)
        return found

    def _key(self, kind: str) -> str:
        """A new key. From what others of its kind took, a cluster foresees how long one takes, and grows for that."""
        return f"bt-{kind}-{self._nonce}-{next(self._numbers)}"

    def _call(self, text: str, names: Data, **options: Any) -> Any:
        """A future of an expression, evaluated on a machine of the cluster."""
        return self._client.submit(
            eval,
            text,
            {"name": self._boot_name, "kit": self._kit_future, **names},
            key=options.pop("key", None) or self._key("ask"),
            pure=False,
            retries=0,
            **options,
        )

    def _ask(self, text: str, names: Data, workers: list[str]) -> Data:
        """What these machines say to an expression, at once, even if they are busy; one that is gone says nothing."""
        told = self._client.run(eval, text, names, workers=workers, on_error="return") if workers else {}
        return {worker: answer for worker, answer in told.items() if not isinstance(answer, BaseException)}

    def _read(self, names: list[str], index: int, worker: str) -> Any:
        return self._call(
            f"{BOOT}.read(names, index)", {"names": names, "index": index}, workers=[worker], priority=100
        )

    # -- sending ---------------------------------------------------------------------------------------------

    def _send_held(self) -> None:
        """Send what has come, once it is known what the machines are like: until there are any, it is held back."""
        while self._held:
            batch = self._held[0].batch
            remote = luggage(batch.works[0][0])
            self._ask_again(remote.code[0])
            if self._cluster.drift != "ignore" and self._is_to_be_compared():
                self._compare(remote.imports)
                if not self._compared:
                    self._ask_for_machines()
                    return
            self._send(batch)
            self._held.popleft()

    def _ask_for_machines(self) -> None:
        """Have something wait in the place of what is held back: a cluster grows with what waits there."""
        for held in self._held:
            if held.probe is None:
                key = self._key("probe")
                resources = dict(luggage(held.batch.works[0][0]).resources) or None
                held.probe = self._client.submit(eval, "None", key=key, pure=False, resources=resources)
                held.probe.add_done_callback(lambda done: self._inbox.put(_Done(done.key)))

    def _send(self, batch: Batch) -> None:
        jobs: list[Data] = []
        works: list[tuple[Work, Data]] = []
        contents: dict[str, list[Any]] = {}
        for work, call in batch.works:
            if work.id in self._stopped:
                self._tell(Answered(work.id, {"cancelled": True}))
                continue
            try:
                moved: list[Transfer] = []
                name = f"{self._nonce}-{work.id}"
                jobs.append(described(work, call, name, self._contents, contents, moved))
            except ChangedError as error:
                self._tell(Lost(work.id, f"`{error}` changed before it was sent"))
                continue
            except GoneError as error:
                self._lose_away(work, f"`{error}` is not on any machine any more")
                continue
            except OSError as error:
                self._tell(
                    Lost(
                        work.id,
                        f"`{error.filename}` cannot be sent: {cause_of(error)}",
                    )
                )
                continue
            works.append((work, call))
            self._transfers[work.id] = moved
        if not jobs:
            return
        remote = luggage(works[0][0])
        code = self._codes.get(remote.code[0])
        if code is None:
            name, data = remote.code
            code = self._codes[name] = self._client.submit(bytes, data, key=f"bt-code-{name}", pure=False)
        order = {
            "topic": self._topic,
            "kit": self._kit,
            "code": remote.code[0],
            "jobs": jobs,
            "names": {key: self._contents.names(key) for key in contents},
            "at_start": AT_START,
            "python": platform.python_version(),
        }
        future = self._call(
            f"{BOOT}.run(batch, kit, code, contents)",
            {"batch": order, "code": code, "contents": contents},
            key=self._key("job"),
            priority=remote.urgency,
            resources=dict(remote.resources) or None,
        )
        sent = _Sent(Batch(tuple(works)), future)
        self._jobs[future.key] = sent
        future.add_done_callback(lambda done: self._inbox.put(_Done(done.key)))

    def _ask_again(self, code: str) -> None:
        """See whether this cluster is the one that is wanted, also by code that is another since."""
        if self._jobs or code == self._code:
            return
        before, self._code = self._code, code
        if before and not self._cluster.is_wanted():
            raise _OtherError

    def _is_to_be_compared(self) -> bool:
        """Whether the machines were not compared with this one yet, or this one may be another since."""
        if not self._compared:
            return True
        if self._jobs or time.monotonic() < self._looked_here + _TICK:  # that costs milliseconds
            return False
        self._looked_here = time.monotonic()
        known, self._here = self._here, drifts.surroundings(self._cluster.root)
        self._renewed = self._renewed and known == self._here
        return known != self._here

    def _compare(self, imports: tuple[str, ...]) -> None:
        """See whether the machines are like this one; while there are none, whether what was noted of them is."""
        cluster = self._cluster
        names = {"name": f"bt_environs_{self._kit}", "kit": runtime().data}
        asked = list(self._threads)[:_ASKED]
        there = list(self._ask(f"{ENVIRONS}.environs()", names, asked).values())
        if asked and not there:
            self._look()  # they may be gone
        was_compared = self._compared
        self._compared = was_compared or bool(there) or not self._threads.keys().isdisjoint(asked)
        noted = (cluster.made_with or {}).get("environment")
        if not self._compared and (noted is None or self._expected):
            return
        if not was_compared:
            self._here = drifts.surroundings(cluster.root)
        here = self._here
        self._looked_here = time.monotonic()
        if not there and noted is not None:
            there, self._expected = [noted], True
        found = drifts.differences(here, there, cluster.made_with, cluster.settings, imports)
        if not found:
            if self._differs:
                self._tell(Passed(Differs(self._name, "", "")))
            self._differs = False
            return
        self._differs = True
        short = ", ".join(one.line() for one in found[:3]) + (", …" if len(found) > 3 else "")
        others = cluster.drift == "restart" and not self._renewed and self._others()
        if cluster.drift == "restart" and not others and not self._renewed and cluster.renew is not None:
            self._say(f"{cluster.title} is made anew, since it differs from this machine: {short}")
            raise _RenewError
        if cluster.drift == "error" or others:
            facts = [("difference", one.line()) for one in found]
            raise ExecutorError(
                f"{cluster.title} differs from this machine",
                facts=(("executor", self._name), *facts, *((("also used by", "others"),) if others else ())),
                hint=cluster.remedy,
            )
        text = drifts.told(cluster.title, found, remedy=cluster.remedy)
        if text != self._difference or was_compared:  # what was noted may have told so already
            self._tell(Passed(Differs(self._name, text, short)))
        self._difference = text

    def _others(self) -> bool:
        """Whether somebody else is connected to the scheduler."""
        return bool(self._client.run_on_scheduler(eval, _OTHERS))

    # -- hearing ---------------------------------------------------------------------------------------------

    def _heard(self, event: tuple[float, Data]) -> None:
        """What a machine says while a job runs; called in a thread of the client's."""
        told = event[1]
        number = int(told["id"].rpartition("-")[2])
        if told["kind"] == "began":
            machines = self._runs.setdefault(number, set())
            if machines and told["worker"] not in machines:
                self._tell(Said("the machine of a running job is gone: the job began again on another"))
            machines.add(told["worker"])
            self._tell(Began(number))
        else:
            self._tell(Printed(number, told["data"]))

    def _collect(self, done: Iterable[_Done]) -> None:
        """Take the answers of batches that have ended."""
        good: list[_Sent] = []
        for key in dict.fromkeys(message.key for message in done):
            sent = self._jobs.get(key)
            if sent is None:
                continue
            if sent.future.status == "finished":
                good.append(sent)
                continue
            if sent.future.status == "cancelled":
                self._cancelled(sent)
            else:
                self._failed(sent)
            del self._jobs[key]
        for sent, answers in zip(good, self._client.gather([s.future for s in good]), strict=True):
            del self._jobs[sent.future.key]
            for (work, _), answer in zip(sent.batch.works, answers, strict=True):
                self._answered(work, answer)

    def _cancelled(self, sent: _Sent) -> None:
        self._forget_transfers(sent)
        mine = {work.id for work, _ in sent.batch.works} <= self._stopped
        if not mine and self._client.status != "running":
            raise self._gone("it has closed the connection")
        for work, _ in sent.batch.works:
            if work.id in self._stopped:
                self._tell(Answered(work.id, {"cancelled": True}))
            else:
                self._tell(Lost(work.id, "the cluster has lost it"))

    def _forget_transfers(self, sent: _Sent) -> None:
        for work, _ in sent.batch.works:
            self._transfers.pop(work.id, None)

    def _failed(self, sent: _Sent) -> None:
        """The machines could not run a batch at all."""
        self._forget_transfers(sent)
        error = sent.future.exception()
        words = " ".join(f"{type(error).__name__}: {error}".split())
        if type(error).__name__ == "KilledWorker":
            words = "the machines that ran it died, one after another"
        for work, _ in sent.batch.works:
            for _, key in luggage(work).inputs:
                self._contents.forget(key)
            self._lose_away(work, words)

    def _answered(self, work: Work, answer: Data) -> None:
        worker = answer.get("worker", "")
        answer["transfers"] = self._transfers.pop(work.id, [])
        if worker and worker not in self._threads:  # it has come since the last look
            self._look()
        self._contents.kept(worker, answer.pop("kept", ()))
        if answer.get("lacking"):
            for _, key in luggage(work).inputs:
                self._contents.forget(key)
            self._lose_away(work, answer["error"])
        elif any(e.get("data", b"") is None and not e.get("key") for e in answer["made"]):
            self._brought.add(work.id)
            self._fetchers.submit(self._bring, work, answer)
        else:
            self._bring(work, answer)

    def _lose_away(self, work: Work, why: str) -> None:
        """A run does not count, perhaps because what only machines had is gone: that is to be made again."""
        self._tell(Lost(work.id, why, tuple(luggage(work).sizes)))

    def _bring(self, work: Work, answer: Data) -> None:
        """Put what a job made into its box."""
        remote = luggage(work)
        try:
            for entry in answer["made"]:
                began = time.monotonic()
                if remote.stays and entry.get("key"):
                    self._contents.made(answer["worker"], entry["key"], entry["hash"], entry["size"])
                    answer.setdefault("away", []).append((entry["path"], entry["key"], entry["size"]))
                else:
                    self._put(remote.box, entry, answer["worker"])
                    if entry["kind"] == "file":
                        answer["transfers"].append(noted(entry["path"], entry["size"], began, is_sent=False))
        except (GoneError, ExecutorError) as error:
            self._tell(Lost(work.id, str(error)))
        except OSError as error:
            answer |= {"status": "failed", "cause": f"what it made cannot be written: {error}"}
            self._tell(Answered(work.id, answer))
        except Exception as error:  # noqa: BLE001  a lost piece is told in many ways
            self._tell(Lost(work.id, f"what it made did not come home: {type(error).__name__}: {error}"))
        else:
            self._tell(Answered(work.id, answer))

    def _put(self, box: str, entry: Data, worker: str) -> None:
        if entry["kind"] == "file" and entry["data"] is None:
            where = place_in(box, entry)
            names = [entry["hash"]]
            key = fetch(where, entry, lambda index: self._read(names, index, worker), self._wait_for(worker))
            self._contents.made(worker, key, entry["hash"], entry["size"])
        else:
            put(box, entry)

    def _wait_for(self, worker: str) -> Callable[[Any], bytes]:
        """Wait for what only one machine can give, as long as it is there."""

        def wait(future: Any) -> bytes:
            while True:
                try:
                    return bytes(future.result(timeout=_TICK))
                except TimeoutError:
                    if worker not in self._threads:
                        raise GoneError(f"{worker} is gone with what it made") from None

        return wait

    # -- ending ----------------------------------------------------------------------------------------------

    def _stop(self, ids: Iterable[int], *, now: bool) -> None:
        """End jobs: what runs is told to, and what waits is taken back."""
        self._stopped.update(ids)
        for held in [h for h in self._held if {work.id for work, _ in h.batch.works} <= self._stopped]:
            self._held.remove(held)
        known = {work.id for sent in self._jobs.values() for work, _ in sent.batch.works}
        self._tell_stopped(number for number in ids if number not in known and number not in self._brought)
        self._end({f"{self._nonce}-{number}" for number in ids}, now=now)
        self._take_back()

    def _take_back(self) -> None:
        """Take jobs back that are to end and run nowhere: no machine will ever answer for them."""
        waiting = []
        for sent in self._jobs.values():
            numbers = {work.id for work, _ in sent.batch.works}
            machines = {machine for number in numbers for machine in self._runs.get(number, ())}
            if numbers <= self._stopped and not machines & self._threads.keys():
                waiting.append(sent.future)
        if waiting:
            self._client.cancel(waiting, force=True)

    def _tell_stopped(self, ids: Iterable[int]) -> None:
        for number in ids:
            self._tell(Answered(number, {"cancelled": True}))

    def _end(self, names: set[str], *, now: bool) -> None:
        """Have all machines end what is called so."""
        with contextlib.suppress(Exception):
            self._client.run(eval, _STOP.format(ids=names, now=now), on_error="ignore")

    # -- the cluster -----------------------------------------------------------------------------------------

    def _gone(self, cause: str) -> LostError:
        return LostError(
            f"the connection to the cluster of `{self._name}` is lost",
            facts=(("cluster", self._cluster.title), ("cause", cause)),
            hint="what is finished is kept: when the cluster is there again, run `bt build` again",
        )

    def _look(self) -> None:
        """See which machines there are; say what will never come by itself."""
        if self._client.status != "running":
            raise self._gone("it has closed the connection")
        known = self._client.scheduler_info(n_workers=-1)["workers"]
        threads = {worker: int(told["nthreads"]) for worker, told in known.items()}
        if threads != self._threads:
            self._threads = threads
            self._contents.workers = set(threads)
            self._tell(Sized(float(max(1, sum(threads.values()), self._cluster.most) * _DEEP)))
            self._take_back()  # what ran on a machine that is gone waits for another one
        now = time.monotonic()
        if threads or not (self._jobs or self._held):
            self._lonely_since = None
        elif self._lonely_since is None:
            self._lonely_since = now
        elif now - self._lonely_since >= _PATIENCE:
            self._say(f"`{self._name}` has no workers: its jobs wait until there are some")
            self._lonely_since = now
            if self._cluster.refill is not None:
                with contextlib.suppress(Exception):  # it is asked again
                    self._cluster.refill()
        self._look_for_resources(known)

    def _look_for_resources(self, known: Data) -> None:
        wanted = {
            name: amount
            for sent in self._jobs.values()
            for work, _ in sent.batch.works
            for name, amount in luggage(work).resources.items()
            if time.monotonic() - sent.at >= _PATIENCE
        }
        for name, amount in wanted.items() if known else ():
            if all(told.get("resources", {}).get(name, 0) < amount for told in known.values()):
                self._say(
                    f"no worker of `{self._name}` offers {name} = {amount:g}: its jobs wait until one does"
                )

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            self._tell(Said(text))


class _Sent:
    """A batch that is in the cluster."""

    def __init__(self, batch: Batch, future: Any) -> None:
        self.batch = batch
        self.future = future
        self.at = time.monotonic()


class _Held:
    """A batch that waits to be sent, and what waits in the cluster in its place."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.probe: Any = None


class _Done(NamedTuple):
    """The future of this key has come out."""

    key: str
