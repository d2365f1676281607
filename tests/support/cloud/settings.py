"""What tests can set while the control plane runs."""

from __future__ import annotations

from dataclasses import dataclass, field

WORKSPACE = "tests"  # that clusters are made in by themselves
WORKSPACES = (WORKSPACE, "others")
TOKEN = "token-for-tests"


@dataclass(slots=True)
class Settings:
    """How the control plane behaves."""

    boot_seconds: float = 0.0
    hidden: list[str] = field(default_factory=list)  # directories that machines do not see
    refusal: dict[str, object] | None = None  # `status` and `message` for the next creation
    fail_start: str = ""  # why the next cluster does not come up
    answer: int = 0  # an HTTP status for every call, while `answer_until` lies ahead
    answer_until: float = 0.0  # `time.time()`
