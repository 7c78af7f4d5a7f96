"""What a Python type is made of: `schema` asks a model for it, `typed` builds it from the answer.

>>> def weather(city: str, days: int = 3) -> str:
...     '''The weather.
...     city: its name
...     '''
>>> [(field.name, field.needed, field.description) for field in fields(weather)]
[('city', True, 'its name'), ('days', False, '')]
"""

import dataclasses
import enum
import inspect
import re
import types
from collections.abc import Mapping
from typing import Any, NamedTuple, Union, get_type_hints

UNIONS = (
    Union,
    getattr(types, "UnionType", Union),
)  # Optional[int], and int | None from Python 3.10 on


QUALIFIERS = ("Required", "NotRequired", "ReadOnly")  #: of a TypedDict's key


NO_DEFAULT = inspect.Parameter.empty  #: there is no default


class Field(NamedTuple):
    """A key of an object: a field of a class, or a parameter of a function."""

    name: str
    kind: Any
    needed: bool = True
    default: Any = NO_DEFAULT
    description: str = ""


def fields(kind: Any) -> list[Field]:
    """The keys of a dataclass or TypedDict, or of the call of a function."""
    hints = get_type_hints(kind, localns={kind.__name__: kind}, include_extras=True)
    if dataclasses.is_dataclass(kind):
        return [
            Field(
                field.name,
                hints[field.name],
                field.default is field.default_factory,
                NO_DEFAULT if field.default is dataclasses.MISSING else field.default,
            )
            for field in dataclasses.fields(kind)
            if field.init
        ]
    if is_object(kind):
        return [Field(name, hint, name in kind.__required_keys__) for name, hint in hints.items()]
    return [
        parameter_field(parameter, hints, inspect.getdoc(kind) or "")
        for parameter in inspect.signature(kind).parameters.values()
    ]


def parameter_field(parameter: inspect.Parameter, hints: Mapping[str, Any], doc: str) -> Field:
    """A parameter; its description is its line of the docstring: 'name: text' or ':param name: text'."""
    name = parameter.name
    if (
        parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        or name not in hints
    ):
        raise TypeError(f"parameter {parameter}: a tool's parameters have a name and a type")
    told = re.search(
        rf"^[ \t]*(?::param[ \t]+(?:\w+[ \t]+)?)?{name}(?:[ \t]*\([^)\n]*\))?[ \t]*:\s+(\S.*)$",
        doc,
        re.MULTILINE,
    )
    return Field(
        name,
        hints[name],
        parameter.default is NO_DEFAULT,
        parameter.default,
        told[1].strip() if told else "",
    )


def is_object(kind: Any) -> bool:
    """Is it a dataclass or a TypedDict?"""
    return isinstance(kind, type) and (dataclasses.is_dataclass(kind) or hasattr(kind, "__total__"))


def is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def to_jsonable(value: Any) -> Any:
    """`value` as JSON has it: members of an Enum, instances of a dataclass, lists of them."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, list):
        return [to_jsonable(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_jsonable(getattr(value, field.name))
            for field in dataclasses.fields(value)
        }
    return value
