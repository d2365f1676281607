"""Placeholders in texts and commands; the real shells judge the quoting."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from buildtool.taskfile.shell import Value
from buildtool.taskfile.template import (
    Placeholder,
    TemplateError,
    dedent_command,
    parse_command,
    parse_template,
)
from support.effort import amount

SHELLS = [shell for shell in ("sh", "bash", "dash") if shutil.which(shell)]


def render(text: str, values: Mapping[str, Value]) -> str:
    return parse_command(text).render(lambda placeholder: values[placeholder.name])


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("${VAR} {print $1} {a,b} {1..3} {} { cmd; }", "${VAR} {print $1} {a,b} {1..3} {} { cmd; }"),
        ("awk '{{print}}'", "awk '{print}'"),
        ("${a:-${b}}", "${a:-${b}}"),
        ("""'{"a": {"b": 1}}'""", """'{"a": {"b": 1}}'"""),
        ("""{{"a": {{"b": {x}}}}}""", """{"a": {"b": 1}}"""),
        ("""{"a": {"b": {x}}}""", """{"a": {"b": 1}}"""),
        ("{{x}} {{{x}}}", "{x} {1}"),
        ("${{x}} ${{FOO-none}}", "${x} ${FOO-none}"),
        ("${x} $${x} ${y:-{x}}", "${x} $$1 ${y:-1}"),
        ("}} {{ } }}", "}} { } }"),
        ("stash@{0} {9a} {x.} {x[-1]} {x[a]} {x!s}", "stash@{0} {9a} {x.} {x[-1]} {x[a]} {x!s}"),
    ],
)
def test_only_placeholders_and_doubled_braces_change(text: str, plain: str) -> None:
    assert parse_template(text).render(lambda _: "1") == plain


def test_a_placeholder_says_what_it_is_and_where() -> None:
    found = parse_template("a {{ {input.ref[2]!r}{x-1.k}").placeholders
    assert found == (
        Placeholder("input.ref", 2, raw=True, offset=5, length=16, head="input", tail="ref"),
        Placeholder("x-1.k", None, raw=False, offset=21, length=7, head="x-1", tail="k"),
    )


def test_without_a_shell_nothing_is_quoted() -> None:
    assert parse_template("{a} {b}").render(lambda p: ["x y", "$z"] if p.name == "a" else "'") == "x y $z '"


@pytest.mark.parametrize(
    ("text", "value", "command"),
    [
        ("cat {x}", "a/b.txt", "cat a/b.txt"),
        ("cat {x}", "", "cat ''"),
        ("cat {x}", "-n", "cat -n"),
        ("cat {x}", "it's", r"cat 'it'\''s'"),
        ("cat {x}", ["a", "b c"], "cat a 'b c'"),
        ("cat {x} end", [], "cat  end"),
        ("cat pre{x}post", "a b", "cat pre'a b'post"),
        ("cat {x!r}", "$a b", "cat $a b"),
        ("echo 'a {x} b'", "c", "echo 'a c b'"),
        ("echo 'a {x} b'", "$c", "echo 'a ''$c'' b'"),
        ("""echo "a {x} b" """, "$c", """echo "a "'$c'" b" """),
        ("echo $'a{x}'", "b", "echo $'a''b'$''"),
        ("echo $HOME{x}", "a", "echo $HOME'a'"),
        ("""echo "$HOME{x}" """, "a", """echo "$HOME"'a'"" """),
        ("# see {x}\nls", "a\nrm -rf /", "# see a rm -rf /\nls"),
        ("cat <<EOF\n{x}\nEOF", "$(a) \\ `b`", "cat <<EOF\n\\$(a) \\\\ \\`b\\`\nEOF"),
        ("cat <<'EOF'\n{x}\nEOF\necho {x}", "$a", "cat <<'EOF'\n$a\nEOF\necho '$a'"),
        ("cat <<A <<-\\B\n{x}\nA\n\t{x}\n\tB\n", "$a", "cat <<A <<-\\B\n\\$a\nA\n\t$a\n\tB\n"),
        ("cat <<< {x}\necho {x}", "$a", "cat <<< '$a'\necho '$a'"),
        ("echo $(( x - {x} ))", "-5", "echo $(( x -  -5 ))"),
        ("echo `cat {x}`", "a/b", "echo `cat a/b`"),
        ("echo ${y:-{x}} {x}", "a", "echo ${y:-a} a"),
        ("echo ${y:{x}:1}", "-2", "echo ${y: -2:1}"),
        ("{x} a", "then", "'then' a"),
        ("{x}/run a", "bin", "'bin'/run a"),
        ("{x} a", "./tool", "./tool a"),
        ("echo {x}>f", "2", "echo '2'>f"),
        ("echo {1..{x}}", "3", "echo {1..3}"),
        ("echo {a,{x}}", "b,c", "echo {a,'b,c'}"),
        ("echo ~{x}", "root", "echo ~'root'"),
        ("X=1 {x} y", "A=b", "X=1 'A=b' y"),
        ("a[{x}]=1", "2", "a[2]=1"),
        ("[[ $a == {x} ]] && echo {x}", "a.b", "[[ $a == 'a.b' ]] && echo a.b"),
    ],
)
def test_a_value_is_quoted_for_its_place(text: str, value: Value, command: str) -> None:
    assert render(text, {"x": value}) == command


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("echo `cat {x}`", "a b", "inside backticks"),
        ("echo ${y:-{x}}", "a b", "shell variable"),
        ("echo ${y:-{x}}", "", "shell variable"),
        ("echo $((1 + {x}))", "a[$(b)]", "arithmetic"),
        ("a[{x}]=1", "b[$(c)]", "arithmetic"),
        ("[[ {x} -eq 1 ]]", "b[$(c)]", "computes"),
        ("cat <<EOF\n{x}\nEOF", "a\nEOF\nrm b", "EOF"),
        ("cat <<EOF\nE{x}\nEOF", "OF", "EOF"),
        ("cat <<EOF\nE{x}{x}F\nEOF", "", None),
        ("cat <<EOF\nE{x}\nEOF", "é", "delimiter"),
        ("cat <<-EOF\n\t{x}\n\tEOF", "\ta", "tabs"),
        ("cat <<EOF\n$(echo {x})\nEOF", "a b", "here-document"),
        ("cat < {x}", ["a", "b"], "one word"),
        ("x={x}", ["a", "b"], "one word"),
        ("echo {x}", "a\0b", "NUL"),
        ("cat <<$X\n{x}", "a b", "delimiter"),
        ("echo ) {x}", "a b", "closes nothing"),
        ("echo $(case a in a) {x};; esac", "a b", "cannot be told"),
        ("echo \"a $(b '", "x", None),
    ],
)
def test_a_value_that_cannot_be_safe_is_refused(text: str, value: Value, words: str | None) -> None:
    if words is None:
        render(text, {"x": value})
        return
    with pytest.raises(TemplateError, match=words) as caught:
        render(text, {"x": value})
    assert text[caught.value.offset :].startswith("{x}")
    assert caught.value.length == 3


@pytest.mark.parametrize(
    "text",
    [
        "echo \\{x}",
        'echo "\\{x}"',
        "echo $'\\{x}'",
        "echo \\$${x}",
        "echo ${{{x}}}",
        "echo ${y{x}}",
        "echo ${y@{x}}",
        "echo $(( $y{x} ))",
        "cat <<A\n$y{x}\nA",
        "cat <<A\n\\{x}\nA",
        "echo $\\\n{x}",
        "echo `~{x}`",
    ],
)
def test_where_no_value_is_safe_the_command_is_refused_unless_raw(text: str) -> None:
    with pytest.raises(TemplateError, match="cannot stand"):
        parse_command(text)
    assert parse_command(text.replace("{x}", "{x!r}")).render(lambda _: "v")


def test_a_nul_in_a_command_is_refused() -> None:
    with pytest.raises(TemplateError) as caught:
        parse_command("a\0")
    assert caught.value.offset == 1


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("\n\n    a  \n      b\t\n\n", "a\n  b"),
        ("a \\ \nb", "a \\ \nb"),
        ("", ""),
    ],
)
def test_dedent_drops_only_what_does_not_count(text: str, same: str) -> None:
    assert dedent_command(text) == same


# Laws, judged by the shells. `rec` writes the words it is given; {x} and {y} are texts, {l} is a list.

PLACES: list[tuple[str, list[str]]] = [
    ("rec {x}", ["{x}"]),
    ("rec pre{x}post{y}", ["pre{x}post{y}"]),
    ("rec 'a {x}b' 'c'", ["a {x}b", "c"]),
    ('rec "a {x}b" "$N{x}"', ["a {x}b", "N{x}"]),
    ("rec {l} end", ["{l}", "end"]),
    ('rec "$(rec {x} >&3; echo "in {y}" >/dev/null)" ', ["{x}", ""]),
    ('rec "$(rec "a{x}" \'b{y}\' >&3)"', ["a{x}", "b{y}", ""]),
    ("rec $(rec {x} >&3) \"$(case a in (a) rec '{x}' >&3;; b) ;; esac)\" {y}", ["{x}", "{x}", "", "{y}"]),
    ('V={x}; rec "$V"; W="a{y}" V=\'{x}\'; rec "$W$V"', ["{x}", "a{y}{x}"]),
    ("rec a # {x} '\n# it's {y}\nrec {x}", ["a", "{x}"]),
    ("case {x} in {x}) rec {y};; *) rec no;; esac", ["{y}"]),
    ('for i in {l}; do rec "$i"; done; rec {x}', ["{l}", "{x}"]),
    ("if :; then { rec {x}; }; fi; (rec {y}) | cat; f() { rec {x}; }; f", ["{x}", "{y}", "{x}"]),
    ('rec ${Z:-"b"} ${N#N} {x} $(( (1+2) * 3 )) {y}', ["b", "{x}", "9", "{y}"]),
    ('rec a\\\'{x} \\\n "\\"{y}" \\\n{x}', ["a'{x}", '"{y}', "{x}"]),
    ("rec `echo '{' \\`echo a\\``{x}", ["{", "a{x}"]),
    ("rec ~root{x} a={x} *{x}", ["~root{x}", "a={x}", "*{x}"]),
    ("fold <<EOF\nb {x} $N ${N} $(echo)\n{y}\nEOF\nrec {x}", ["<b {x} N N \n{y}\n>", "{x}"]),
    ("fold <<-'EOF'; rec {y}\n\tb{x}`$(\n\tEOF\nrec {x}", ["<b{x}`$(\n>", "{y}", "{x}"]),
    ('fold <<A; fold << "B"\n{x}\nA\n{y}\nB\nrec {x}', ["<{x}\n>", "<{y}\n>", "{x}"]),
    ("(cd / > /dev/null 2>&1 && rec {x} || rec no)", ["{x}"]),
]
BASH_PLACES: list[tuple[str, list[str]]] = [
    ("rec $'a\\n{x}b' $\"c{y}\"", ["a\n{x}b", "c{y}"]),
    ('A=({x} # c\'\n {y}); rec "${A[@]}"', ["{x}", "{y}"]),
    ("[[ {x} == {x} && {y} =~ ^{y}$ ]] && rec {x}", ["{x}"]),
    ("rec {a,b}{x}; cat <(rec {y}); rec {x}", ["a{x}", "b{x}", "{y}", "{x}"]),
    ("cat <<< {x} >/dev/null; rec {y}; for ((i=0; i<1; i++)); do rec {x}; done", ["{y}", "{x}"]),
    ("case a in a) ;& b) rec {x};; esac; (( 1 < 2 )) && rec {y}", ["{x}", "{y}"]),
]
PRELUDE = r"""
exec 3>&1
N=N
rec() { for word in "$@"; do printf '%s\0' "$word"; done; }
fold() { text=$(cat; printf '>'); rec "<$text"; }
"""
NASTY = [*"'\"\\\n\r\t *~!#)FAB=&|\u00e9\u3000\udcff\udcc3\x01\x7f"]
NASTY += [
    "`touch canary`",
    "$(touch canary)",
    "${IFS}",
    "-n",
    "{a,b}",
    "';touch canary;'",
    '";touch canary;"',
]
NASTY += ["esac", "EO", ">canary", ";touch canary;", "$'", "[[", "a[$(touch canary)]"]
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
BYTES = st.binary(max_size=4).map(lambda raw: raw.replace(b"\0", b"").decode("utf-8", "surrogateescape"))
VALUES = (
    st.lists(st.one_of(st.sampled_from(NASTY), TEXT, BYTES), max_size=5)
    .map("".join)
    .map(lambda text: os.fsencode(text).decode("utf-8", "surrogateescape"))
)


def expected(words: list[str], values: Mapping[str, Value]) -> list[str]:
    out: list[str] = []
    for word in words:
        if word == "{l}":
            out += values["l"]
        else:
            text = parse_template(word).render(lambda p: values[p.name])
            out.append(os.fsencode(text).decode("utf-8", "surrogateescape"))  # two halves may make a whole
    return out


def run_shell(shell: str, script: str, locale: str) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "script")
        path.write_bytes(os.fsencode(script))
        work = Path(folder, "work")
        work.mkdir()
        done = subprocess.run(
            [shell, "../script"],
            cwd=work,
            capture_output=True,
            check=False,
            timeout=30,
            env={"PATH": os.environ["PATH"], "HOME": "/h", "LC_ALL": locale},
        )
        assert done.stderr == b"", (script, done.stderr)
        assert list(work.iterdir()) == [], script
        return done.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=amount(25, 1000), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    sets=st.lists(
        st.fixed_dictionaries({"x": VALUES, "y": VALUES, "l": st.lists(VALUES, max_size=4)}),
        min_size=1,
        max_size=4,
    ),
    locale=st.sampled_from(["C", "C.UTF-8"]),
)
def test_every_value_is_data_wherever_it_stands(
    shell: str, sets: list[Mapping[str, Value]], locale: str
) -> None:
    places = PLACES + (BASH_PLACES if shell == "bash" else [])
    scripts = [PRELUDE]
    words: list[str] = []
    for values in sets:
        for text, seen in places:
            try:
                scripts.append(render(text, values) + "\nrec @\n")
            except TemplateError as error:
                assert "delimiter" in error.message or "`<<-` would" in error.message  # noqa: PT017
                continue
            words += [*expected(seen, values), "@"]
    assert run_shell(shell, "".join(scripts), locale) == words


FRAGMENTS = [
    "{x}",
    *"{x} {x} {x} # ` $( ) ${Z :- } $(( )) (( <<E <<'E' <<-E ;; esac $' <( A=( rec {{ }} fi done".split(),  # noqa: SIM905
]
FRAGMENTS += [*" \n'\"\\$#E=a;(&|2[~!", "\nE\n", "case a in ", "a) ", "[[ ", " ]]", "\\\n", ">/dev/null "]
FRAGMENTS += ["if ", "then ", "for i in ", "do "]
ATTACKS = [
    "$(touch canary)",
    "`touch canary`",
    "';touch canary;'",
    '";touch canary;"',
    "\ntouch canary\n",
    "\nE\ntouch canary\n",
]
ATTACKS += [
    "a[$(touch canary)]",
    ");touch canary;",
    "\\';touch canary;",
    "*/ #",
    "$'\\';touch canary;'",
    ";touch canary;",
]


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=amount(50, 1000), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(parts=st.lists(st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join), min_size=1, max_size=8))
def test_no_value_runs_even_where_the_command_is_nonsense(shell: str, parts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        runs = []
        for text in parts:
            for attack in ATTACKS:
                try:
                    command = render(text, {"x": attack})
                except TemplateError:
                    continue
                if "{x}" in text:
                    runs.append(command)
        for number, command in enumerate(runs):
            Path(folder, f"{number}.sh").write_text(PRELUDE + command, encoding="utf-8")
        work = Path(folder, "work")
        work.mkdir()
        if runs:
            loop = f'{shell} "$f" </dev/null >/dev/null 2>&1; test ! -e canary || echo "$f"; rm -f canary'
            loop = f"for f in ../*.sh; do {loop}; done"
            done = subprocess.run(
                ["sh", "-c", loop], cwd=work, capture_output=True, text=True, check=False, timeout=60
            )
            ran = [runs[int(Path(name).stem)] for name in done.stdout.split()]
            assert ran == []


@given(
    text=st.lists(st.sampled_from(FRAGMENTS), max_size=12).map("".join),
    value=st.one_of(VALUES, st.lists(VALUES, max_size=4)),
)
def test_a_command_that_is_open_takes_every_value(text: str, value: Value) -> None:
    try:
        command = parse_command(text)
    except TemplateError:
        return
    if command.is_open:
        command.render(lambda _: value)
