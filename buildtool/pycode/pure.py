"""Decorators that are known to touch nothing but what they decorate.

A definition under any other decorator may be entered in a registry when its module is imported.
"""

from __future__ import annotations

import ast

from buildtool.pycode.encode import does_nothing
from buildtool.pycode.origin import Origins, origin, unroll
from buildtool.pycode.scopes import parameters


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


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
# What may be called at the top of a module without counting as more than the value that it gives.
_BUILTINS = _words(
    "abs all any ascii bin bool bytearray bytes callable chr classmethod complex dict dir divmod enumerate filter"
    " float format frozenset getattr hasattr hash hex id int isinstance issubclass iter len list map max"
    " memoryview min object oct open ord pow property range repr reversed round set slice sorted staticmethod"
    " str sum super tuple type zip"
)
_CALLS = _words(
    "os.environ.get os.getenv os.fspath os.cpu_count os.getcwd os.getpid os.listdir os.sep logging.getLogger"
    " logging.NullHandler structlog.get_logger time.time time.monotonic time.perf_counter json.loads json.load"
    " json.dumps tomllib.loads tomllib.load yaml.safe_load importlib.resources.files"
    " importlib.metadata.version platform.system platform.machine sys.getsizeof shutil.which attr.ib attr.s"
    " attrs.field attrs.define pydantic.create_model pandas.read_csv pandas.read_table pandas.to_datetime"
    " pandas.concat pandas.date_range torch.device torch.tensor torch.zeros torch.ones copy.copy copy.deepcopy"
    " pytest.param pytest.fixture numpy.random.default_rng"
)
_MAKING = _words(
    "dict list set bytearray sorted collections.defaultdict collections.deque copy.copy str int float"
)
_QUIET = _words(
    "abc ast base64 bisect calendar cmath collections dataclasses datetime decimal difflib enum fractions functools"
    " fnmatch glob hashlib html itertools math numpy operator ntpath pathlib posixpath re statistics string"
    " struct textwrap types typing typing_extensions unicodedata urllib uuid zoneinfo"
)
_LOUD = (
    *("numpy.random", "numpy.set", "numpy.save", "numpy.put", "numpy.copyto", "numpy.fill", "urllib.request"),
    *("decimal.setcontext", "bisect.insort", "calendar.setfirstweekday", "re.purge", "decimal.getcontext"),
    *("typing.get_overloads", "operator.set", "operator.del", "operator.i", "collections.deque."),
)
_READING = _words(
    "absolute as_posix as_uri astype capitalize casefold copy count decode difference encode endswith exists expanduser"
    " find findall finditer format format_map fromkeys fullmatch get get_text getvalue glob group groupdict groups"
    " hexdigest index intersection is_dir is_file isalpha isdigit isdisjoint isidentifier isoformat issubset items"
    " iterdir join joinpath keys lower lstrip match maketrans mean most_common partition read read_bytes read_text"
    " readlines relative_to removeprefix removesuffix replace reshape resolve rfind rglob rpartition rsplit rstrip"
    " samefile search split splitlines startswith stat strftime strip strptime sub sum swapcase symmetric_difference"
    " timestamp title to_bytes tolist total_seconds translate union upper values with_name with_stem with_suffix"
    " zfill"
)


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


def known(name: str | None) -> bool:
    """Whether calling a thing from outside, named in dotted text, is known to change nothing.

    A class, told by its capital letter, makes an object and no more.
    """
    if name is None:
        return False
    name = name.removeprefix("builtins.")
    top, _, last = name.rpartition(".")
    if not top:
        return last in _BUILTINS or last.endswith(("Error", "Exception"))
    if name in _CALLS or top == "os.path" or last[:1].isupper():
        return True
    return name.partition(".")[0] in _QUIET and not name.startswith(_LOUD)


def makes(name: str | None) -> bool:
    """Whether what a call gives is a thing of its own, which nobody else has yet."""
    if name is None or not known(name):
        return False
    return name in _MAKING or name.rpartition(".")[2][:1].isupper()


def reads(method: str) -> bool:
    """Whether a method of that name, of an object from outside, is known to change nothing."""
    return method in _READING
