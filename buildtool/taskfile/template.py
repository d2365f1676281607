"""Texts with placeholders: `{name}`, `{name.part}`, `{name[0]}`, `{name!r}`; `{{` is a brace.

Braces that are no placeholder (`${VAR}`, `{print $1}`, `{a,b}`, `{}`) stay as they are. Knows nothing of what
the names mean: the caller looks values up.
"""

from __future__ import annotations

from collections.abc import Callable

from buildtool.regex import Regex
from buildtool.taskfile.shell import MARK, Body, Kind, Refused, Value, check_body, quoter, takes_anything
from buildtool.tuples import NamedTuple


class Placeholder(NamedTuple):
    """One place of a text where a value goes."""

    name: str  # `input`, `input.ref`, `sample`, `params.k`
    item: int | None  # 0 of `input[0]`
    raw: bool  # {x!r}: put in as it is
    offset: int  # of its `{` in the text
    length: int
    head: str  # `input` of `input.ref`
    tail: str  # `ref`


class TemplateError(ValueError):
    """A text that cannot be parsed, or a value that cannot stand where its placeholder stands."""

    def __init__(self, message: str, offset: int, length: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.length = length


class Template:
    """A text with placeholders. `literals`: what stands before, between and behind them."""

    def __init__(self, text: str, placeholders: tuple[Placeholder, ...], literals: tuple[str, ...]) -> None:
        self.text = text
        self.placeholders = placeholders
        self.literals = literals

    def render(self, value: Callable[[Placeholder], Value]) -> str:
        """The text with every value put in as it is; the words of a list are joined with a space."""
        parts = [self.literals[0]]
        for placeholder, literal in zip(self.placeholders, self.literals[1:], strict=True):
            parts += (_plain(value(placeholder)), literal)
        return "".join(parts)


class ShellTemplate(Template):
    """A shell command with placeholders. `bodies`: here-documents that hold some."""

    def __init__(
        self,
        text: str,
        placeholders: tuple[Placeholder, ...],
        literals: tuple[str, ...],
        quoters: tuple[Callable[[Value], str], ...],
        bodies: tuple[Body, ...],
        *,
        is_open: bool,
    ) -> None:
        super().__init__(text, placeholders, literals)
        self.quoters = quoters
        self.bodies = bodies
        self.is_open = is_open  # no value is refused, but one with a NUL

    def render(self, value: Callable[[Placeholder], Value]) -> str:
        """The command with every value quoted for its place, so that it is data to sh, dash and bash.

        Raises `TemplateError` where a value cannot be made safe.
        """
        literals = self.literals
        parts = [literals[0]]
        for i, placeholder in enumerate(self.placeholders):
            found = value(placeholder)
            try:
                written = self.quoters[i](found)
            except Refused as error:
                raise _at(placeholder, str(error)) from None
            parts += (written, literals[i + 1])
        rendered = "".join(parts)
        if "\0" in rendered:
            raise self._nul(parts)
        for body in self.bodies:
            self._check(body, parts)
        return rendered

    def _nul(self, parts: list[str]) -> TemplateError:
        guilty = next(i for i, part in enumerate(parts) if "\0" in part)
        return _at(self.placeholders[guilty // 2], "a value with a NUL cannot stand in a command")

    def _check(self, body: Body, parts: list[str]) -> None:
        first, last = 2 * body.first, 2 * body.last + 2  # the literals around it
        inner = "".join(parts[first + 1 : last])
        before = parts[first][len(parts[first]) - body.before :]
        try:
            check_body(body, before + inner + parts[last][: body.behind])
        except Refused as error:
            raise _at(self.placeholders[body.first], str(error)) from None


def parse_template(text: str) -> Template:
    """Parse a text that no shell reads."""
    placeholders, literals = _split(text)
    return Template(text, placeholders, literals)


def parse_command(text: str) -> ShellTemplate:
    """Parse a shell command. Raises `TemplateError` where a placeholder can never be made safe."""
    if MARK in text:
        raise TemplateError("a command cannot hold a NUL", text.index(MARK), 1)
    placeholders, literals = _split(text)
    if not placeholders:
        return ShellTemplate(text, (), literals, (), (), is_open=True)
    from buildtool.taskfile.shellscan import scan  # of no use where no value goes

    spots, bodies = scan(MARK.join(literals))
    quoters: list[Callable[[Value], str]] = []
    for placeholder, spot in zip(placeholders, spots, strict=True):
        if spot.kind is Kind.NEVER and not placeholder.raw:
            raise _at(placeholder, f"a value cannot stand {spot.why}")
        quoters.append(_plain if placeholder.raw else quoter(spot))
    is_open = not bodies and all(p.raw or takes_anything(s) for p, s in zip(placeholders, spots, strict=True))
    return ShellTemplate(text, placeholders, literals, tuple(quoters), tuple(bodies), is_open=is_open)


def dedent_command(text: str) -> str:
    """The command without common indentation, trailing blanks and blank lines around it: for fingerprints."""
    if "\n" not in text and text.strip(" \t") == text:
        return text  # as most are
    import textwrap  # slow to import

    lines = textwrap.dedent(text).split("\n")
    return "\n".join(map(_trimmed, lines)).strip("\n")


def _trimmed(line: str) -> str:
    stripped = line.rstrip(" \t")
    return line if stripped.endswith("\\") else stripped  # a blank behind a backslash is no trailing blank


def _plain(value: Value) -> str:
    return value if isinstance(value, str) else " ".join(value)


def _at(placeholder: Placeholder, message: str) -> TemplateError:
    return TemplateError(message, placeholder.offset, placeholder.length)


_TOKEN = Regex(
    r"\$\$|\$\{(?!\{)|\{\{"
    r"|\{(?P<name>[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*)(?:\[(?P<index>[0-9]+)\])?(?P<raw>!r)?\}"
    r"|[{}]"
)


def _split(text: str) -> tuple[tuple[Placeholder, ...], tuple[str, ...]]:
    """The placeholders, and the text around them with doubled braces made single."""
    placeholders: list[Placeholder] = []
    literals = [""]
    braces: list[str] = []  # what opened those that are open: `{`, `{{` or `${`
    at = 0
    while token := _TOKEN.search(text, at):
        start, end, found = token.start(), token.end(), token.group()
        literals[-1] += text[at:start]
        if token["name"]:
            index = None if token["index"] is None else int(token["index"])
            name = token["name"]
            head, _, tail = name.partition(".")
            placeholders.append(Placeholder(name, index, bool(token["raw"]), start, end - start, head, tail))
            literals.append("")
            found = ""
        elif found == "}":
            doubled = bool(braces) and braces[-1] == "{{"
            if doubled and text.startswith("}}", start):
                end += 1
            if braces and (not doubled or end > start + 1):
                braces.pop()
        elif found != "$$":
            braces.append(found)
            found = found[-1:] if found == "{{" else found
        literals[-1] += found
        at = end
    literals[-1] += text[at:]
    return tuple(placeholders), tuple(literals)
