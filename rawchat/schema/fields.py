"""Describe what a Python type is made of: `schema` asks a model for it, `build` makes it from the answer.

>>> def weather(city: str, days: int = 3) -> str:
...     '''The weather.
...     city: its name
...     '''
>>> [(field.name, field.required, field.description) for field in fields(weather)]
[('city', True, 'its name'), ('days', False, '')]
"""

import dataclasses
import enum
import inspect
import re
import types
from collections.abc import Mapping
from typing import Any, NamedTuple, Union, get_type_hints

# The origins of Optional[int], and of int | None from Python 3.10 on.
UNIONS = (Union, getattr(types, "UnionType", Union))

QUALIFIERS = ("Required", "NotRequired", "ReadOnly")  #: of a TypedDict's key

NO_DEFAULT = inspect.Parameter.empty  #: stands for a default that is missing


class Field(NamedTuple):
    """A key of an object: a field of a class, or a parameter of a function."""

    name: str
    type: Any
    required: bool = True
    default: Any = NO_DEFAULT
    description: str = ""


def fields(type_: Any) -> list[Field]:
    """Return the keys of a dataclass or a TypedDict, or the parameters of a function.

    Raises TypeError for a function with a parameter that has no type, or cannot be passed by name.
    """
    hints = get_type_hints(type_, localns={type_.__name__: type_}, include_extras=True)
    if dataclasses.is_dataclass(type_):
        return [dataclass_field(each, hints) for each in dataclasses.fields(type_) if each.init]
    if is_object(type_):
        required = type_.__required_keys__
        return [Field(name, hint, name in required) for name, hint in hints.items()]
    doc = inspect.getdoc(type_) or ""
    parameters = inspect.signature(type_).parameters.values()
    found = []
    for parameter in parameters:
        check_parameter(parameter, hints, type_.__name__)
        found.append(parameter_field(parameter, hints, doc))
    return found


def dataclass_field(field: "dataclasses.Field[Any]", hints: Mapping[str, Any]) -> Field:
    """Return the Field for a field of a dataclass."""
    default = NO_DEFAULT
    if field.default is not dataclasses.MISSING:
        default = field.default
    has_factory = field.default_factory is not dataclasses.MISSING
    required = default is NO_DEFAULT and not has_factory
    return Field(field.name, hints[field.name], required, default)


def check_parameter(parameter: inspect.Parameter, hints: Mapping[str, Any], function: str) -> None:
    """Raise TypeError for a parameter of `function` that has no type hint, or cannot be passed by name."""
    by_name = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    if by_name and parameter.name in hints:
        return
    fault = (
        f"{function}(): parameter {parameter}: every parameter of a tool needs a name and a type"
    )
    if by_name:
        fault += f"; write {parameter.name}: str, or another type"
    raise TypeError(fault)


def parameter_field(parameter: inspect.Parameter, hints: Mapping[str, Any], doc: str) -> Field:
    """Return the Field for a parameter of a function whose docstring is `doc`.

    Its description is its line of the docstring: 'name: text', 'name (type): text' or ':param name: text'.
    """
    name = parameter.name
    line = re.search(
        rf"^[ \t]*(?::param[ \t]+(?:\w+[ \t]+)?)?{name}(?:[ \t]*\([^)\n]*\))?[ \t]*:\s+(\S.*)$",
        doc,
        re.MULTILINE,
    )
    description = ""
    if line:
        description = line[1].strip()
    required = parameter.default is NO_DEFAULT
    return Field(name, hints[name], required, parameter.default, description)


def is_object(type_: Any) -> bool:
    """Return whether `type_` is a dataclass or a TypedDict."""
    if not isinstance(type_, type):
        return False
    return dataclasses.is_dataclass(type_) or hasattr(type_, "__total__")


def is_enum(type_: Any) -> bool:
    """Return whether `type_` is an Enum."""
    return isinstance(type_, type) and issubclass(type_, enum.Enum)


def is_pydantic(type_: Any) -> bool:
    """Return whether `type_` is a pydantic model, or has the methods of one: it describes and checks itself."""
    return hasattr(type_, "model_json_schema")


def to_jsonable(value: Any) -> Any:
    """Return `value` in the form that JSON has for it: an Enum's member, a dataclass, a list of them."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, list):
        return [to_jsonable(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: to_jsonable(getattr(value, name)) for name in names}
    return value
