"""What pydantic finds wrong with an entry, as a sentence: the rule, and what was given."""

from __future__ import annotations

from typing import Any

from cosim.scenario.table import NAME


def sentence_of(item: Any) -> str:
    """Return the sentence for one of a ``ValidationError``'s errors."""
    return _rule(item) if item["type"] == "too_short" else f"{_rule(item)}, {_found(item.get('input'))}"


def _found(given: Any) -> str:
    """Return what was given, in words."""
    if given is None:
        return "but it is empty"
    if isinstance(given, (dict, list)):
        return "not a list" if isinstance(given, list) else "not a mapping"
    return f"not {given!r}"


def _rule(item: Any) -> str:
    context = item.get("ctx", {})
    kind = item["type"]
    rules = {
        "int_parsing": "must be a whole number", "int_type": "must be a whole number",
        "int_from_float": "must be a whole number", "float_parsing": "must be a number",
        "float_type": "must be a number", "finite_number": "must be a finite number", "string_type": "must be text", "list_type": "must be a list",
        "dict_type": "must be a mapping of keys", "model_type": "must be a mapping of keys",
        "dataclass_type": "must be a mapping of keys", "bool_parsing": "must be true or false",
        "bool_type": "must be true or false",
        "tuple_type": "must be a pair such as [0 V, 0.2 V]",
        "too_short": f"must have at least {context.get('min_length', 1)} entry",
    }  # fmt: skip
    if kind in rules:
        return rules[kind]
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind.startswith(("greater_than", "less_than")):
        words = {
            "greater_than": "above",
            "greater_than_equal": "at least",
            "less_than": "below",
            "less_than_equal": "at most",
        }
        limit = next(iter(context.values()))
        return f"must be {words[kind]} {limit:g}"
    if kind == "string_pattern_mismatch" and context.get("pattern") != NAME:
        return "must be a name of letters, digits, dots, dashes and underscores that starts with a letter or a digit"
    if kind == "string_pattern_mismatch":
        return "must be a name of letters, digits and underscores that starts with a letter"
    return str(item["msg"]).lower()
