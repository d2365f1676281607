"""`bt`, and `python -m buildtool`."""

import os
import sys


def main() -> None:
    """Run `bt` and end the process with its exit code."""
    arguments = sys.argv[1:]
    try:
        if arguments[:1] == ["build"] and _has_nothing_to_do(arguments):
            return
        from buildtool.cli.main import main as house

        house()
    except KeyboardInterrupt:  # so early that nothing has begun
        sys.exit(130)


def _has_nothing_to_do(arguments: list[str]) -> bool:
    """Whether a build has, as far as can be told at the door, and that is said."""
    from buildtool.door import answer

    try:
        here = os.getcwd()
    except OSError:
        return False
    try:
        closing = answer(here, arguments)
        if closing is not None:
            sys.stdout.write(closing + "\n")
            sys.stdout.flush()
            return True
    except (OSError, ValueError, EOFError, LookupError, TypeError):
        pass  # something is missing, or the note is another `bt`'s: the house knows what to say
    os.chdir(here)
    return False


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the working directory: `json.py` of a project is not the `json` that is meant here
    main()
