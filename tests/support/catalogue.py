"""Events of every type with whatever their schema permits, for tests that hold for all of them."""

from typing import Any

from hypothesis import strategies as st

from itp_events.events import FACTS, Data
from tests.support.study import Json

# Around the day on which the tests' subjects are enrolled, so that much of it is accepted.
DAYS = [f"2026-01-{day:02}" for day in range(1, 20)] + ["2025-12-20", "1900-01-01", "2199-12-31"]
VISITS = ["INF1", "INF2", "INF3", "FU-D14", "FU-M12"]
LONG_TEXTS = [
    "x",
    "x~1",
    "x~void",
    "x#2",
    "x" * 200,
    "病" * 200,
    "四川大学华西医院",
    "a/b:c~2",
    "%\u2028é \x1b",
]


def names(longest: int = 200) -> st.SearchStrategy[str]:
    """Text that the catalogue takes: long, Chinese, with the marks of the service's own ids."""
    letters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return st.sampled_from(LONG_TEXTS) | st.text(letters, min_size=1, max_size=longest)


def data_of(kind: type[Data]) -> st.SearchStrategy[Json]:
    """The data of one type of event, drawn from its schema."""
    schema = kind.model_json_schema()
    return _value(schema, schema.get("$defs", {}), "")


def any_data() -> st.SearchStrategy[tuple[str, Json]]:
    """A type of event that people state, and its data."""
    return st.sampled_from(FACTS).flatmap(lambda kind: st.tuples(st.just(kind.type), data_of(kind)))


def _value(schema: Json, defs: Json, name: str) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return _value(defs[schema["$ref"].rsplit("/", 1)[1]], defs, name)
    if one_of := schema.get("anyOf") or schema.get("oneOf"):
        return st.one_of(*(_value(each, defs, name) for each in one_of))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "const" in schema:
        return st.just(schema["const"])
    of_type: st.SearchStrategy[Any] = _OF_TYPE[schema["type"]](schema, defs, name)
    return of_type


def _object(schema: Json, defs: Json, name: str) -> st.SearchStrategy[Json]:
    parts = {key: _value(each, defs, key) for key, each in schema["properties"].items()}
    required = schema.get("required", [])
    return st.fixed_dictionaries(
        {key: parts[key] for key in required},
        optional={key: part for key, part in parts.items() if key not in required},
    )


def _string(schema: Json, defs: Json, name: str) -> st.SearchStrategy[str]:
    if schema.get("format") == "date":
        return st.sampled_from(DAYS)
    if schema.get("format") == "date-time":
        return st.sampled_from([f"{day}T09:00:00+08:00" for day in DAYS])
    free = names(schema.get("maxLength", 200))
    return st.sampled_from(VISITS) | free if name == "visit" else free


def _number(schema: Json, defs: Json, name: str) -> st.SearchStrategy[float]:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum", 0)), schema.get("maximum", 1e308)
    return st.floats(low, high, exclude_min="exclusiveMinimum" in schema) | st.just(min(35, high))


def _integer(schema: Json, defs: Json, name: str) -> st.SearchStrategy[int]:
    return st.integers(schema.get("minimum", 0), schema.get("maximum", 1000))


_OF_TYPE: dict[str, Any] = {
    "object": _object,
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": lambda schema, defs, name: st.booleans(),
    "null": lambda schema, defs, name: st.none(),
    "array": lambda schema, defs, name: st.lists(_value(schema["items"], defs, name), max_size=3),
}
