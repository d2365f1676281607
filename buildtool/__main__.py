"""`bt`, and `python -m buildtool`."""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False  # `typing` costs time

if TYPE_CHECKING:
    from buildtool.door import Glimpse


def main() -> None:
    """Run `bt` and end the process with its exit code."""
    try:
        gc.disable()  # most commands end before there is much to collect; those that run on turn it on again
        arguments = sys.argv[1:]
        glimpse = None
        if arguments[:1] == ["build"]:
            closing, glimpse = _look(arguments)
            if closing is not None:
                try:
                    sys.stdout.write(closing + "\n")
                    sys.stdout.flush()
                except (OSError, ValueError, AttributeError):
                    pass  # the house tells what is wrong with it
                else:
                    return
        from buildtool.cli.main import main as house

        house(glimpse)
    except KeyboardInterrupt:  # so early that nothing has begun
        sys.exit(130)
    except Exception as error:
        cause = _lacking(error)
        if cause is None:
            raise
        _give_up(cause)


def _lacking(error: BaseException | None) -> str | None:
    """What the system did not give, if that is behind an error: what follows such an error is none of its own."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, ImportError) and "map segment" in str(error)):
            return "there is not enough memory"
        if isinstance(error, RuntimeError) and "start new thread" in str(error):
            return "the system has no room for another thread"
        error = error.__cause__ or error.__context__
    return None


def _give_up(cause: str) -> None:
    """End the process, with few words: what shows errors well needs memory."""
    try:
        sys.stdout.flush()
        sys.stderr.write(
            f"error: {cause}\n  hint: raise the limits of this shell (`ulimit -v`, `ulimit -u`)\n"
        )
        sys.stderr.flush()
    except (OSError, ValueError, AttributeError):
        pass  # whoever reads has gone
    os._exit(5)


def _look(arguments: list[str]) -> tuple[str | None, Glimpse | None]:
    """What can be said of a build at the door, and what was seen (see `door.answer`)."""
    from buildtool.door import answer

    try:
        here = os.getcwd()
    except OSError:
        return None, None
    try:
        return answer(here, arguments)
    except (OSError, ValueError, EOFError, LookupError, TypeError):
        return None, None  # something is missing, or the note is another `bt`'s: the house knows what to say
    finally:
        os.chdir(here)


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory: `json.py` of a project is not the `json` that is meant here
    main()
