from __future__ import annotations

import json

import pytest
import tomli
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from test_load import GOOD, WRONG

from buildtool.taskfile.keys import TASK_KEYS
from buildtool.taskfile.schema import json_schema

BEYOND = (
    "larger number first",  # of two numbers
    "allows none",  # mistakes that JSON Schema cannot express: NUL, equal names, rows that differ, files
    "NUL", "names an input and an output", "different keys", "`run` is empty", "out of range", "no file",
    "outside the project", "is a directory", "no executor is called",
)  # fmt: skip


def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(json.dumps(json_schema())))


def test_it_is_a_schema_and_takes_a_good_file() -> None:
    Draft202012Validator.check_schema(json_schema())
    _validator().validate(tomli.loads(GOOD))
    _validator().validate({})


@pytest.mark.parametrize("text", [text for text, _ in WRONG])
def test_it_refuses_what_the_loader_refuses(text: str) -> None:
    summaries = " ".join(summary for text_, errors in WRONG if text_ == text for *_, summary, _ in errors)
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return
    if not any(word in summaries for word in BEYOND):
        assert not _validator().is_valid(document)


def test_what_is_not_supported_is_not_in_it() -> None:
    schema = json_schema()
    task = schema["properties"]["tasks"]["additionalProperties"]["properties"]
    assert set(task) == {key.name for key in TASK_KEYS if key.supported}
    assert {*schema["properties"]["bt"]["properties"]["cache"]["properties"]} == {"size"}


def test_every_key_has_one_sentence() -> None:
    def descriptions(node: object) -> list[str]:
        if isinstance(node, list):
            return [text for inner in node for text in descriptions(inner)]
        if not isinstance(node, dict):
            return []
        own = [node["description"]] if isinstance(node.get("description"), str) else []
        return own + [text for inner in node.values() for text in descriptions(inner)]

    found = descriptions(json_schema())
    assert len(found) > 40
    assert all(text.endswith((".", "`.")) and "\n" not in text for text in found)
