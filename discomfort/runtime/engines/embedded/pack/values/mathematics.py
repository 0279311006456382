"""Nodes that compute with numbers; expressions are walked as syntax trees, never handed to Python's own evaluation."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

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
NUMBER_ATTRIBUTES = ("real", "imag", "numerator", "denominator")
METHODS: dict[type, frozenset[str]] = {
    int: frozenset({"as_integer_ratio", "bit_count", "bit_length", "conjugate", "is_integer"}),
    float: frozenset({"as_integer_ratio", "conjugate", "hex", "is_integer"}),
    list: frozenset({"copy", "count", "index", "pop"}),
    tuple: frozenset({"count", "index"}),
    str: frozenset({"count", "endswith", "find", "index", "lower", "lstrip", "rfind", "rindex", "rstrip", "split"})
    | frozenset({"startswith", "strip", "upper", "isalnum", "isalpha", "isdecimal", "isdigit", "isnumeric"}),
}
"""The methods that expressions may call, by the class of the value: those whose results cannot outgrow it."""


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
    if isinstance(left, _SEQUENCES) and isinstance(right, _SEQUENCES) and len(left) + len(right) > MAX_TEXT:
        raise ValueError(f"{len(left) + len(right)} characters or items would be too large to compute")
    return left + right


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, (str, bytes)):  # `"%999999999d" % 1` is a text of gigabytes
        raise ValueError("expressions format no text")
    return left % right


def _round(number: Any, digits: Any = None) -> Any:
    if isinstance(digits, int) and abs(digits) > MAX_SHIFT:
        raise ValueError(f"rounding to {digits} digits would be too large to compute")
    return round(number, digits)


BINARY: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: _add,
    ast.Sub: operator.sub,
    ast.Mult: _multiply,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: _modulo,
    ast.Pow: _power,
    ast.LShift: _shift(operator.lshift),
    ast.RShift: _shift(operator.rshift),
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
UNARY: dict[type, Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
    ast.Invert: operator.invert,
}
COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, container: item in container,
    ast.NotIn: lambda item, container: item not in container,
}


class Evaluator:
    """Computes one expression over named numbers."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self.names = names

    def evaluate(self, tree: ast.expr) -> Any:
        """Return the value of a syntax tree. Raises ValueError for what expressions may not hold."""
        method = getattr(self, f"_{type(tree).__name__.lower()}", None)
        if method is None:
            raise ValueError(f"expressions have no {type(tree).__name__}")
        return method(tree)

    def _constant(self, tree: ast.Constant) -> Any:
        return tree.value

    def _subscript(self, tree: ast.Subscript) -> Any:
        return self.evaluate(tree.value)[self.evaluate(tree.slice)]

    def _slice(self, tree: ast.Slice) -> Any:
        return slice(*(None if part is None else self.evaluate(part) for part in (tree.lower, tree.upper, tree.step)))

    def _name(self, tree: ast.Name) -> Any:
        if tree.id in FUNCTIONS:
            return FUNCTIONS[tree.id]
        if tree.id not in self.names:
            known = ", ".join(sorted(self.names)) or "none"
            raise ValueError(f"{tree.id!r} is not defined; there are {known}")
        return self.names[tree.id]

    def _binop(self, tree: ast.BinOp) -> Any:
        if type(tree.op) not in BINARY:
            raise ValueError(f"expressions have no operator {type(tree.op).__name__}")
        return BINARY[type(tree.op)](self.evaluate(tree.left), self.evaluate(tree.right))

    def _unaryop(self, tree: ast.UnaryOp) -> Any:
        return UNARY[type(tree.op)](self.evaluate(tree.operand))

    def _boolop(self, tree: ast.BoolOp) -> Any:
        stop_at = isinstance(tree.op, ast.Or)
        value: Any = None
        for operand in tree.values:
            value = self.evaluate(operand)
            if bool(value) is stop_at:
                break
        return value

    def _compare(self, tree: ast.Compare) -> Any:
        left = self.evaluate(tree.left)
        for comparison, operand in zip(tree.ops, tree.comparators, strict=True):
            right = self.evaluate(operand)
            if not COMPARISONS[type(comparison)](left, right):
                return False
            left = right
        return True

    def _ifexp(self, tree: ast.IfExp) -> Any:
        return self.evaluate(tree.body if self.evaluate(tree.test) else tree.orelse)

    def _attribute(self, tree: ast.Attribute) -> Any:
        if tree.attr not in NUMBER_ATTRIBUTES:
            raise ValueError(f"numbers have no {tree.attr!r} in expressions")
        return getattr(self.evaluate(tree.value), tree.attr)

    def _call(self, tree: ast.Call) -> Any:
        function = self._method(tree.func) if isinstance(tree.func, ast.Attribute) else self._function(tree.func)
        named = {keyword.arg: self.evaluate(keyword.value) for keyword in tree.keywords if keyword.arg}
        return function(*map(self.evaluate, tree.args), **named)

    def _function(self, tree: ast.expr) -> Callable[..., Any]:
        if not isinstance(tree, ast.Name) or tree.id not in FUNCTIONS:
            raise ValueError(f"{ast.unparse(tree)!r} is no function; there are {', '.join(FUNCTIONS)}")
        return FUNCTIONS[tree.id]

    def _method(self, tree: ast.Attribute) -> Callable[..., Any]:
        value = self.evaluate(tree.value)
        for kind in type(value).__mro__:
            if tree.attr in METHODS.get(kind, ()):
                method: Callable[..., Any] = getattr(value, tree.attr)
                return method
        raise ValueError(f"{ast.unparse(tree)!r} is not a method that expressions may call")


def _first_expression(text: str) -> ast.expr:
    """Read the first statement: an expression, or the right side of an assignment, augmented or not."""
    if not text.strip():
        raise ValueError("Expression cannot be empty.")
    if len(text) > MAX_EXPRESSION:
        raise ValueError(f"the expression has {len(text)} characters; at most {MAX_EXPRESSION} are allowed")
    statement = ast.parse(text.strip()).body[0]
    if isinstance(statement, ast.Expr | ast.Assign | ast.AugAssign):
        return statement.value
    raise ValueError(f"{text!r} is no expression")


@node("ComfyMathExpression")
def math_expression(expression: str, values: dict[str, Any]) -> tuple[float, int, bool]:
    """Compute an expression over `a`, `b` … and the list `values`; give the result as FLOAT, INT and BOOLEAN."""
    result = Evaluator({**values, "values": list(values.values())}).evaluate(_first_expression(expression))
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
            raise ValueError("an empty text is no number")
        try:
            exact = int(value.strip()) if value.strip().lstrip("+-").isdigit() else float(value)
        except ValueError as error:
            raise ValueError(f"{value!r} is no number") from error
    if not math.isfinite(exact):
        raise ValueError(f"{value!r} is not finite")
    return float(exact), int(exact)
