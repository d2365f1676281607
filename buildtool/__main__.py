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
