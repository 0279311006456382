"""Nodes that compute with numbers. Expressions are evaluated by simpleeval, as in ComfyUI, within limits of our own."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import simpleeval

from discomfort.runtime.engines.embedded.pack.protocol import node

MAX_BITS = 1_000_000
"""The most binary digits of a whole number; with more of them a result could take minutes and gigabytes."""
MAX_SHIFT = 10_000
MAX_TEXT = 100_000
"""The most characters or items of a text or list on the way to a number."""
MAX_EXPRESSION = 10_000
"""The most characters of an expression; Python 3.10 itself crashes on one that is much longer."""

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "ceil": math.ceil,
    "cos": math.cos,
    "float": float,
    "floor": math.floor,
    "int": int,
    "log": math.log,
    "log10": math.log10,
    "log2": math.log2,
    "max": max,
    "min": min,
    "pow": lambda base, exponent: _power(base, exponent),
    "round": lambda number, ndigits=None: _round(number, ndigits),
    "sin": math.sin,
    "sqrt": math.sqrt,
    "sum": lambda *terms: sum(terms[0] if len(terms) == 1 and isinstance(terms[0], list) else terms),
    "tan": math.tan,
}
_NUMBER = frozenset({"as_integer_ratio", "conjugate", "imag", "is_integer", "real"})
_WHOLE_NUMBER = _NUMBER | {"bit_count", "bit_length", "denominator", "numerator"}
ATTRIBUTES: dict[type, frozenset[str]] = {
    bool: _WHOLE_NUMBER,
    int: _WHOLE_NUMBER,
    float: _NUMBER | {"hex"},
    complex: frozenset({"imag", "real"}),
    list: frozenset({"copy", "count", "index", "pop"}),
    tuple: frozenset({"count", "index"}),
    str: frozenset({"count", "endswith", "find", "index", "lower", "lstrip", "rfind", "rindex", "rstrip", "split"})
    | frozenset({"startswith", "strip", "upper", "isalnum", "isalpha", "isdecimal", "isdigit", "isnumeric"}),
}
"""The attributes and methods that expressions may use, by class: those whose results cannot outgrow the value."""


def _power(base: Any, exponent: Any) -> Any:
    if isinstance(base, int) and isinstance(exponent, int) and exponent * base.bit_length() > MAX_BITS:
        raise ValueError(f"{base} ** {exponent} would be too large to compute")
    return base**exponent


def _shift(shift: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def limited(value: Any, places: Any) -> Any:
        if abs(places) > MAX_SHIFT:
            raise ValueError(f"a shift by {places} places would be too large to compute")
        if _bits(value) > MAX_BITS:
            raise ValueError(f"shifting {_bits(value)} binary digits would be too large to compute")
        return shift(value, places)

    return limited


def _bits(*numbers: Any) -> int:
    return sum(number.bit_length() for number in numbers if isinstance(number, int))


def _multiply(left: Any, right: Any) -> Any:
    for items, times in ((left, right), (right, left)):
        if isinstance(items, _SEQUENCES) and isinstance(times, int) and len(items) * times > MAX_TEXT:
            raise ValueError(f"{len(items) * times} characters or items would be too large to compute")
    if _bits(left, right) > MAX_BITS:
        raise ValueError(f"a product of {_bits(left, right)} binary digits would be too large to compute")
    return left * right


_SEQUENCES = (str, bytes, list, tuple)


def _add(left: Any, right: Any) -> Any:
    sizes = [len(value) for value in (left, right) if isinstance(value, _SEQUENCES)]
    if len(sizes) == 2 and sum(sizes) > MAX_TEXT:
        raise ValueError(f"{sum(sizes)} characters or items would be too large to compute")
    return left + right


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, (str, bytes)):  # `"%999999999d" % 1` is a text of gigabytes
        raise ValueError("expressions format no text")
    return left % right


def _round(number: Any, digits: Any = None) -> Any:
    if isinstance(digits, int) and abs(digits) > MAX_SHIFT:
        raise ValueError(f"rounding to {digits} digits would be too large to compute")
    return round(number, digits)


OPERATORS: dict[type, Callable[..., Any]] = simpleeval.DEFAULT_OPERATORS | {
    ast.Add: _add,
    ast.Mult: _multiply,
    ast.Mod: _modulo,
    ast.Pow: _power,
    ast.LShift: _shift(operator.lshift),
    ast.RShift: _shift(operator.rshift),
}
"""The library's operators; those whose results could take minutes and gigabytes have limits of ours."""

_NOT_EVALUATED = (ast.JoinedStr, ast.FormattedValue)
"""Parts of expressions that simpleeval knows and we refuse: texts in f-strings can grow without limit."""


def evaluate(expression: str, names: Mapping[str, Any]) -> Any:
    """Return the value of an expression over named numbers.

    Raises:
        ValueError: the expression holds what expressions may not, or names something unknown.
        SyntaxError: it is not Python.
    """
    tree = _first_expression(expression)
    evaluator = simpleeval.SimpleEval(OPERATORS, FUNCTIONS, dict(names), ATTRIBUTES)
    for kind in _NOT_EVALUATED:
        del evaluator.nodes[kind]  # pyright: ignore[reportOptionalSubscript] — None only before it is made
    try:
        return evaluator.eval(expression, tree)
    except simpleeval.NameNotDefined as error:
        defined = ", ".join(sorted(names)) or "none"
        raise ValueError(f"{error.name!r} is not defined; defined are {defined}") from error
    except simpleeval.FunctionNotDefined as error:
        raise ValueError(f"{error.func_name!r} is not a function; there are {', '.join(FUNCTIONS)}") from error
    except simpleeval.InvalidExpression as error:
        raise ValueError(f"{expression!r} cannot be evaluated: {error}") from error


def _first_expression(text: str) -> ast.expr:
    """Read the first statement: an expression, or the right side of an assignment, augmented or not."""
    if not text.strip():
        raise ValueError("Expression cannot be empty.")
    if len(text) > MAX_EXPRESSION:
        raise ValueError(f"the expression has {len(text)} characters; at most {MAX_EXPRESSION} are allowed")
    statement = ast.parse(text.strip()).body[0]
    if isinstance(statement, ast.Expr | ast.Assign | ast.AugAssign):
        return statement.value
    raise ValueError(f"{text!r} is not an expression")


@node("ComfyMathExpression")
def math_expression(expression: str, values: dict[str, Any]) -> tuple[float, int, bool]:
    """Compute an expression over `a`, `b` … and the list `values`; give the result as FLOAT, INT and BOOLEAN."""
    result = evaluate(expression, {**values, "values": list(values.values())})
    if not isinstance(result, int | float):
        raise ValueError(f"{expression!r} gives {type(result).__name__} {result!r}, not a number")
    try:
        number = float(result)
    except OverflowError as error:
        raise ValueError(f"{expression!r} gives a number too large for a FLOAT") from error
    if not math.isfinite(number):
        raise ValueError(f"{expression!r} gives {number}, not a finite number")
    return number, int(result), bool(result)


@node("ComfyNumberConvert")
def number_convert(value: Any) -> tuple[float, int]:
    """Turn a number, a boolean or a text into FLOAT and INT; INT is cut towards 0."""
    exact: Any = value
    if isinstance(value, str):
        if not value.strip():
            raise ValueError("an empty text is not a number")
        try:
            exact = int(value.strip()) if value.strip().lstrip("+-").isdigit() else float(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is not a number") from error
    if not math.isfinite(exact):
        raise ValueError(f"{value!r} is not finite")
    return float(exact), int(exact)
