"""Decorators that are known to touch nothing but what they decorate.

A definition under any other decorator may be entered in a registry when its module is imported.
"""

from __future__ import annotations

import ast

from buildtool.pycode.encode import does_nothing
from buildtool.pycode.scopes import parameters
from buildtool.pycode.uses import Origins, origin, unroll

_MODULES = frozenset(
    {
        *(
            "abc",
            "attr",
            "attrs",
            "beartype",
            "click",
            "contextlib",
            "dask",
            "dataclasses",
            "enum",
            "functools",
        ),
        *("jax", "numba", "pytest", "tenacity", "typeguard", "typing", "typing_extensions"),
    }
)
_NAMES = frozenset(
    {
        *("classmethod", "property", "staticmethod", "coiled.function", "joblib.delayed", "numpy.vectorize"),
        *("line_profiler.profile", "memory_profiler.profile", "pydantic.dataclasses.dataclass"),
        *(
            "pydantic.validate_call",
            "ray.remote",
            "torch.inference_mode",
            "torch.jit.script",
            "torch.no_grad",
        ),
        *("types.coroutine", "warnings.deprecated"),
    }
)
_NOT = ("numba.extending",)


def is_pure(decorator: ast.expr, origins: Origins) -> bool:
    """Whether a decorator comes from outside and is known to register nothing."""
    name = origin(called(decorator), origins)
    if name is None or name.startswith(_NOT):
        return False
    return name in _NAMES or name.partition(".")[0] in _MODULES


def called(decorator: ast.expr) -> ast.expr:
    """The thing that is called: of `@register("x")`, `register`."""
    while isinstance(decorator, ast.Call):
        decorator = decorator.func
    return decorator


def only_wraps(node: ast.AST, calls: int, origins: Origins) -> bool:
    """Whether a function of the project, called so many times, does no more than define and return functions.

    That is what a plain decorator does: `def timed(f): @wraps(f) def inner(*a): …; return inner`.
    """
    if not isinstance(node, ast.FunctionDef):
        return False
    own = {item.arg for item in parameters(node.args)}
    inner: dict[str, ast.FunctionDef] = {}
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            if not all(is_pure(decorator, origins) for decorator in statement.decorator_list):
                return False
            inner[statement.name] = statement
            own.add(statement.name)
        elif isinstance(statement, ast.Return):
            if calls <= 1:
                return isinstance(statement.value, ast.Name | ast.Lambda | None)
            name = statement.value.id if isinstance(statement.value, ast.Name) else ""
            return name in inner and only_wraps(inner[name], calls - 1, origins)
        elif not (does_nothing(statement) or _marks(statement, own)):
            return False
    return calls <= 1


def _marks(statement: ast.stmt, own: set[str]) -> bool:
    """Whether it sets an attribute of something local to a plain value: `inner.calls = 0`."""
    return (
        isinstance(statement, ast.Assign)
        and isinstance(statement.value, ast.Constant | ast.Name)
        and all(
            isinstance(root, ast.Name) and (root.id in own if names else True)
            for root, names in map(unroll, statement.targets)
        )
    )
