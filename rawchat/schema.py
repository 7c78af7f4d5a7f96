"""From a Python type to the JSON schema that a server holds a model to (strict); `typed` is the way back.

>>> @dataclasses.dataclass
... class Event:
...     name: str
...     people: list[str]
>>> schema(Event)["properties"]
{'name': {'type': 'string'}, 'people': {'type': 'array', 'items': {'type': 'string'}}}

Strict means: an object has exactly the named keys, all of them.  The schemas are those that the official SDK
(openai-python 3.52) sends for the same pydantic models, but for `title`.
"""
import dataclasses
import enum
import inspect
import re
import reprlib
import types
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

JSON_TYPES: dict[Any, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}
UNIONS = (Union, getattr(types, "UnionType", Union))        # Optional[int], and int | None from Python 3.10 on
QUALIFIERS = ("Required", "NotRequired", "ReadOnly")     #: of a TypedDict's key
NONE = inspect.Parameter.empty                              #: there is no default
Definitions = dict[Any, dict[str, Any]]                     # the named types that a schema refers to, by type


class Field(NamedTuple):
    """A key of an object: a field of a class, or a parameter of a function."""

    name: str
    kind: Any
    needed: bool = True
    default: Any = NONE
    description: str = ""


def schema(kind: Any) -> dict[str, Any]:
    """The strict schema of a dataclass, a TypedDict, a function's parameters, or a pydantic model.

    Raises TypeError for what a strict schema cannot hold: open dicts, sets, tuples, Any.
    """
    if hasattr(kind, "model_json_schema"):
        whole: dict[str, Any] = kind.model_json_schema()
    else:
        defs: Definitions = {}
        whole = _object(kind, defs) if is_object(kind) else _properties(kind, defs)
        if defs:
            whole["$defs"] = {known.__name__: body for known, body in defs.items()}
    return strict(whole, whole)


def response_format(kind: Any) -> dict[str, Any]:
    """The parameter `response_format` that asks for an instance of `kind`."""
    shape = answer(kind)
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", shape.__name__)[:64]
    return {"type": "json_schema", "json_schema": {"name": name, "schema": schema(shape), "strict": True}}


def answer(kind: Any) -> Any:
    """`kind`, or a class with it as `value` where it is no object: the root of a strict schema must be one."""
    if is_object(kind) or hasattr(kind, "model_json_schema"):
        return kind
    return dataclasses.make_dataclass("Answer", [("value", kind)])


def is_object(kind: Any) -> bool:
    """Is it a dataclass or a TypedDict?"""
    return isinstance(kind, type) and (dataclasses.is_dataclass(kind) or hasattr(kind, "__total__"))


def fields(kind: Any) -> list[Field]:
    """The keys of a dataclass or TypedDict, or of the call of a function."""
    hints = get_type_hints(kind, localns={kind.__name__: kind}, include_extras=True)
    if dataclasses.is_dataclass(kind):
        return [Field(field.name, hints[field.name], field.default is field.default_factory,
                      NONE if field.default is dataclasses.MISSING else field.default)
                for field in dataclasses.fields(kind) if field.init]
    if is_object(kind):
        return [Field(name, hint, name in kind.__required_keys__) for name, hint in hints.items()]
    return [_parameter(parameter, hints, inspect.getdoc(kind) or "")
            for parameter in inspect.signature(kind).parameters.values()]


def _parameter(parameter: inspect.Parameter, hints: Mapping[str, Any], doc: str) -> Field:
    """A parameter; its description is its line of the docstring: 'name: text' or ':param name: text'."""
    name = parameter.name
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) or name not in hints:
        raise TypeError(f"parameter {parameter}: a tool's parameters have a name and a type")
    told = re.search(rf"^\s*(?::param\s+(?:\w+\s+)?)?{name}(?:\s*\([^)]*\))?\s*:\s+(\S.*)$", doc, re.MULTILINE)
    return Field(name, hints[name], parameter.default is NONE, parameter.default, told[1].strip() if told else "")


def _properties(kind: Any, defs: Definitions) -> dict[str, Any]:
    """The schema of an object with the fields of `kind`."""
    properties = {}
    for name, hint, _, default, description in fields(kind):
        properties[name] = {**({"description": description} if description else {}),
                            **_node(hint, defs, f"{kind.__name__}.{name}"),
                            **({} if default is NONE else {"default": plain(default)})}
    return {"type": "object", "properties": properties}


def _object(kind: Any, defs: Definitions) -> dict[str, Any]:
    doc = inspect.cleandoc(kind.__doc__ or "")
    own = doc and not doc.startswith(f"{kind.__name__}(")       # else the one that @dataclass writes
    return {**_properties(kind, defs), **({"description": doc} if own else {})}


def _node(kind: Any, defs: Definitions, place: str) -> dict[str, Any]:
    """The schema of any type; named ones go into `defs`, which is what makes recursive ones finite."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        texts = [text for text in args[1:] if isinstance(text, str)]
        return {**_node(args[0], defs, place), **({"description": texts[0]} if texts else {})}
    if origin in UNIONS:
        return {"anyOf": [_node(arg, defs, place) for arg in args]}
    if origin is Literal:
        chosen = _values(args, place)
        return {"const": chosen.pop("enum")[0], **chosen} if len(args) == 1 else chosen
    if origin is list and args:
        return {"type": "array", "items": _node(args[0], defs, place)}
    if getattr(origin, "_name", "") in QUALIFIERS:
        return _node(args[0], defs, place)
    if is_object(kind) or is_enum(kind):
        if kind not in defs:
            if any(known.__name__ == kind.__name__ for known in defs):
                raise TypeError(f"{place}: two types are called {kind.__name__}; rename one")
            defs[kind] = {}
            defs[kind] = _values([member.value for member in kind], place) if is_enum(kind) else _object(kind, defs)
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if isinstance(kind, type) and kind in JSON_TYPES:
        return {"type": JSON_TYPES[kind]}
    hint = f'; quote the whole annotation: "list[{kind}]"' if isinstance(kind, str) else ""
    raise TypeError(f"{place}: a strict schema cannot hold {getattr(kind, '__name__', kind)!s}{hint}")


def _values(values: Iterable[Any], place: str) -> dict[str, Any]:
    """The schema of a choice of values."""
    listed = list(values)
    if not all(type(value) in JSON_TYPES for value in listed):
        raise TypeError(f"{place}: a choice is of text, numbers, booleans or None")
    kinds = {JSON_TYPES[type(value)] for value in listed}
    return {"enum": listed, **({"type": kinds.pop()} if len(kinds) == 1 else {})}


def is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, enum.Enum)


def plain(default: Any) -> Any:
    """A default as JSON has it."""
    if isinstance(default, enum.Enum):
        return default.value
    return dataclasses.asdict(default) if dataclasses.is_dataclass(default) else default    # type: ignore[arg-type]


def strict(node: Mapping[str, Any], root: Mapping[str, Any], inside: tuple[str, ...] = ()) -> dict[str, Any]:
    """`node` of the schema `root` in strict form: objects closed, all keys required, a $ref alone.

    A $ref with a neighbour (a description) gives way to what it refers to; `inside` are those around this place,
    which stay, or a recursive type would not end.
    """
    node = dict(node)
    if len(node.get("allOf", ())) == 1:                     # how pydantic before 2.9 writes a described $ref
        node.update(node.pop("allOf")[0])
    if node.get("default", NONE) is None:
        del node["default"]
    ref = node.get("$ref")
    if ref and len(node) > 1:
        del node["$ref"]
        target = root["$defs"][ref.rsplit("/", 1)[-1]]
        return {"$ref": ref} if ref in inside else strict({**target, **node}, root, (*inside, ref))
    if not node.keys() - {"title", "description", "default"} or "prefixItems" in node or "uniqueItems" in node \
            or node.get("additionalProperties"):
        raise TypeError(f"a strict schema cannot hold an open dict, set, tuple or Any: {reprlib.repr(node)}")
    if node.get("type") == "object":
        node["additionalProperties"] = False
    if "properties" in node:
        node["required"] = list(node["properties"])
    for name in ("properties", "$defs"):
        if name in node:
            node[name] = {key: strict(value, root, inside) for key, value in node[name].items()}
    if "items" in node:
        node["items"] = strict(node["items"], root, inside)
    if "anyOf" in node:
        node["anyOf"] = [strict(value, root, inside) for value in node["anyOf"]]
    return node
