"""Tuples with named fields, declared as with `typing.NamedTuple`, and made in half the time.

That one compiles the annotation of each field, whether anybody asks for it or not.
"""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

__all__ = ("NamedTuple",)

if TYPE_CHECKING:
    from typing import NamedTuple  # for who checks types, it is no other
else:

    class _Maker(type):
        def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if not bases:
                return super().__new__(cls, name, bases, body)
            fields = body.get("__annotations__", {})
            defaults = [body.pop(field) for field in fields if field in body]
            made = collections.namedtuple(  # noqa: PYI024  what the other one makes, too
                name, fields, defaults=defaults, module=body["__module__"]
            )
            for key, value in body.items():
                setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Maker):
        """What a class inherits from to be a tuple: its annotations are the fields, those with a default last."""
