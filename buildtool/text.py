"""Small words for messages: plurals, lists, nearest names, safe names.

Knows nothing of terminals or of the project.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from buildtool.regex import Regex

# Every escape sequence that is no colour (`CSI … m`): cursor movements, titles, links.
_OTHER_ESCAPES = Regex(r"\x1b(?!\[[0-9;:]*m)(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.?)|\r")


def cause_of(error: OSError) -> str:
    """What the system says of an error, as it stands in a message."""
    return (error.strerror or str(error)).lower()


def count(number: int, noun: str, plural: str | None = None) -> str:
    """`count(1, "job")` is `1 job`, `count(2, "job")` is `2 jobs`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def listing(words: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that `word` was most likely meant to be, or None."""
    import difflib  # 5 ms, and only needed once something is wrong

    candidates = list(known)
    folded = {candidate.casefold(): candidate for candidate in reversed(candidates)}
    found = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint that names the nearest known word, or None."""
    found = nearest(word, known)
    return meant(word, found) if found else None


def meant(word: str, found: str) -> str:
    """A hint that names another word, with its codes if nobody could see a difference."""
    import unicodedata  # only needed once something is wrong

    looks = [unicodedata.normalize("NFKC", name) for name in (word, found)]
    codes = f" It looks the same and is written {found!a}." if looks[0] == looks[1] else ""
    return f"did you mean `{printable(found)}`?{codes}"


def printable(name: str) -> str:
    """The name with control characters and undecodable bytes escaped, so that it is safe to show."""
    if name.isprintable():
        return name
    return "".join(c if c.isprintable() else _escape(c) for c in name)


def shell_word(text: str) -> str:
    """The text as one word of a shell, safe to show: `$'…'` where not all of it is printable."""
    if text.isprintable():
        import shlex  # only needed once something is wrong

        return shlex.quote(text)
    return "$'" + "".join(map(_in_shell, text)) + "'"


def _in_shell(character: str) -> str:
    """One character within `$'…'`."""
    if character.isprintable():
        return f"\\{character}" if character in "\\'" else character
    short = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}.get(character)
    return short or "".join(f"\\{byte:03o}" for byte in character.encode("utf-8", "surrogateescape"))


def visible(line: str) -> str:
    """A line of a job's output, safe to show: colours stay, other control sequences do not."""
    if line.isprintable():
        return line
    kept = line.replace("\t", "    ")
    if "\x1b" in line or "\r" in line:
        kept = _OTHER_ESCAPES.sub("", kept)
    if not kept.replace("\x1b", "").isprintable():
        kept = "".join(c if c.isprintable() or c == "\x1b" else _escape(c) for c in kept)
    return kept + "\x1b[0m" if "\x1b" in kept else kept


def _escape(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8, as `surrogateescape` carries it
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def duration(seconds: float) -> str:
    """A length of time as a person reads it: `0.3 s`, `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def size(number: float) -> str:
    """A number of bytes as a person reads it, in decimal units: `999 B`, `1.2 MB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
