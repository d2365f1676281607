"""Commands that need no shell, although they are written for one: a program, plain arguments, files to read and write.

To start a shell that does nothing but start a program takes longer than many programs run, so that make and others
leave it out, too. What the program sees is the same: `bash`, `dash` and `sh` replace themselves by it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from functools import cache

from buildtool.regex import Regex
from buildtool.tuples import NamedTuple

_SHELLS = ("bash", "dash", "sh")
_WORD = r"[A-Za-z0-9_./,:=+@%^-]+"  # nothing in it that a shell reads
_PLAIN = Regex(
    rf"(?P<words>[A-Za-z0-9_./][A-Za-z0-9_./+-]*(?: +{_WORD})*)"
    rf"(?: +< *(?P<source>{_WORD}))?(?: +> *(?P<target>{_WORD}))?[ \n]*"
)
# Words and builtins of these shells: not always what a program of that name does.
_OWN = """
. : alias bg bind break builtin caller case cd chdir command compgen complete compopt continue coproc declare
dirs disown do done echo elif else enable esac eval exec exit export false fc fg fi for function getopts hash
help history if in jobs kill let local logout mapfile popd printf pushd pwd read readarray readonly return
select set shift shopt source suspend test then time times trap true type typeset ulimit umask unalias unset
until wait while
"""
_OPTIONS = ((), ("-e",), ("-e", "-u", "-o", "pipefail"))  # that make no difference to one program
# Variables by which a shell does more than its command says, or (EXECIGNORE, in some versions) finds other programs.
_DEFINING = frozenset(("BASH_ENV", "BASHOPTS", "SHELLOPTS", "EXECIGNORE"))


class Direct(NamedTuple):
    """A program, and what it is given."""

    program: str  # its path
    argv: tuple[str, ...]
    source: str | None = None  # the file that is its standard input, relative to where it runs
    target: str | None = None  # the file that its standard output goes to


def seen(env: Mapping[str, str], program: str, cwd: str, shell: str) -> dict[str, str]:
    """The environment as a shell would hand it on: with where it is, and for `bash` what it runs and how deep."""
    found = {**env, "PWD": _here(env.get("PWD", ""), cwd)}
    if os.path.basename(shell) == "bash":
        depth = env.get("SHLVL", "")
        found |= {"_": program, "SHLVL": depth if depth.isdecimal() else "0"}
    return found


def _here(told: str, cwd: str) -> str:
    """The name that a shell gives to a directory: that which it was told, if it is one."""
    if told == cwd or told[:1] != "/":
        return cwd
    with contextlib.suppress(OSError):
        return told if os.path.samefile(told, cwd) else cwd
    return cwd


def direct(argv: tuple[str, ...], env: Mapping[str, str], cwd: str) -> Direct | None:
    """The program that a shell would replace itself by; None: ask the shell."""
    shell, *options, flag, text = argv if len(argv) > 2 else ("", "", "")
    if os.path.basename(shell) not in _SHELLS or flag != "-c" or tuple(options) not in _OPTIONS:
        return None
    found = _PLAIN.fullmatch(text)
    if found is None or "\n" in text.rstrip("\n"):
        return None
    words, source, target = found["words"].split(), found["source"], found["target"]
    if words[0] in _own() or not _DEFINING.isdisjoint(env) or "\0BASH_FUNC_" in "\0".join(("", *env)):
        return None
    program = _program(words[0], env.get("PATH"))
    if program is None or not (_opens(source, cwd, there=True) and _opens(target, cwd, there=False)):
        return None
    return Direct(program, tuple(words), source, target)


def _opens(path: str | None, cwd: str, *, there: bool) -> bool:
    """Whether to open a file takes no time: to open a pipe waits for whoever is at its other end."""
    if path is None or path == os.devnull:
        return True
    try:
        return stat.S_ISREG(os.stat(os.path.join(cwd, path)).st_mode)
    except OSError:
        return not there


@cache
def _own() -> frozenset[str]:
    return frozenset(_OWN.split())


def _program(name: str, path: str | None) -> str | None:
    """Where a shell would find a program; None if that is for the shell to say."""
    if "/" in name:
        return name if name[0] == "/" and _runs(name) else None
    for folder in path.split(":") if path else ():
        if folder[:1] != "/":
            return None  # looked up from where the command runs
        found = f"{folder}/{name}"
        if os.access(found, os.X_OK) and os.path.isfile(found):
            return found
    return None


def _runs(path: str) -> bool:
    return os.access(path, os.X_OK) and os.path.isfile(path)
