"""The foot of the terminal, at fixed sizes and times."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from buildtool.report.board import Board
from buildtool.report.footer import render
from buildtool.report.model import JobReport
from buildtool.report.paint import Paint
from support.golden import golden

NOW = 1000.0


def job(task: str, name: str, status: str = "ran") -> JobReport:
    return JobReport(f"{task} {name}", task, {"n": name}, (f"out/{name}",), status)


def some() -> Board:
    """A build that is half done, with three jobs that run and one that failed."""
    board = Board()
    board.begin(40, NOW - 90)
    for number in range(17):
        board.finished(job("count", str(number)))
    board.finished(job("count", "bad", "failed"))
    for at, name in enumerate(("fish", "swallow of the north", "日本語の長い名前のテキスト")):
        board.started(job("count", name), NOW - 75 / (at + 1) ** 2)
    board.output(
        job("count", "fish"), b"reading\nread 1200 of 3000 lines, which is quite a lot of them all\n"
    )
    board.output(job("count", "swallow of the north"), b"\x1b[31mred\x1b[0m and \x1b[2Jwild\n\n")
    board.left, board.left_at = 100.0, NOW - 3
    return board


def crowd() -> Board:
    """Hundreds of jobs that run at once."""
    board = Board()
    board.begin(5000, NOW - 4)
    for task, number in (("align", 300), ("index", 20), ("report", 1)):
        for at in range(number):
            board.started(job(task, str(at)), NOW - 3 + at / 200)
    board.doing = "cluster farm: 12 of 40 machines are up (35 s)"
    return board


def hashing() -> Board:
    """Nothing runs; a large file is looked at."""
    board = Board()
    board.begin(3, NOW - 2)
    board.reading = ("data/genome.fa", 1_230_000_000, 4_000_000_000)
    return board


@pytest.mark.parametrize("colour", [False, True], ids=["plain", "colour"])
@pytest.mark.parametrize("width", [120, 80, 40])
@pytest.mark.parametrize("board", [some, crowd, hashing], ids=lambda board: board.__name__)
def test_golden_feet(board: object, width: int, colour: bool) -> None:
    assert callable(board)
    lines = render(board(), width, 24, NOW, Paint(colour))
    golden(f"footer-{board.__name__}-{width}-{'colour' if colour else 'plain'}", "\n".join(lines) + "\n")


@pytest.mark.parametrize("board", [some, crowd, hashing])
@pytest.mark.parametrize("width", [1, 2, 5, 10, 17, 33, 59, 60, 61, 79, 200])
@pytest.mark.parametrize("height", [1, 2, 3, 10, 24])
def test_it_always_fits(board: object, width: int, height: int) -> None:
    assert callable(board)
    lines = render(board(), width, height, NOW, Paint())
    assert 1 <= len(lines) <= max(1, height // 2)
    assert all(cell_len(line) <= width for line in lines), lines


def test_without_utf_8_the_bar_is_ascii() -> None:
    assert render(crowd(), 80, 24, NOW, Paint(), ascii_only=True)[0].isascii()
