"""The mutants of a module: every small change of its syntax tree that could be a mistake in an edit.

Comparisons, conditions, constants, returned values, arguments with a name, statements left out, `break` for `continue`.
Texts for people (constants with a space in them), annotations, decorators and imports stay as they are.
"""

from __future__ import annotations

import ast
import inspect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any, TypeAlias

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_FUNCTIONS = {"min": "max", "max": "min", "any": "all", "all": "any", "sorted": "list", "reversed": "list"}
_KEPT_ARGUMENTS = {"strict"}

Edit: TypeAlias = "tuple[ast.AST, str, int | None, Any]"
"""The field of a node (with a number: that element of it) that gets another value."""

Parent: TypeAlias = "tuple[ast.AST, str, int]"
"""Where a statement is: the node that holds it, in which list, and at which place."""

FunctionPlace: TypeAlias = "tuple[str, int]"
"""A function's name and first line: what finds its code again."""


@dataclass(frozen=True)
class Mutant:
    """One change: the text of its statement `before` and `after`, and where it is.

    `first` and `last` are the lines of the statement, the head alone of one that has a body. `function` is None where
    the change is outside of functions; else `code` is what that function becomes.
    """

    module: str
    place: str
    before: str
    after: str
    first: int
    last: int
    source: str
    function: FunctionPlace | None
    code: CodeType

    @property
    def name(self) -> tuple[str, str, str, str]:
        """What the mutant is called in the list of the equivalent ones, independent of line numbers."""
        return self.module, self.place, self.before, self.after


def mutants_of(module: str, source: str, filename: str) -> list[Mutant]:
    """Return all mutants of a module, in the order of its lines."""
    tree = ast.parse(source, filename)
    found: list[Mutant] = []
    seen: Counter[tuple[str, str, str]] = Counter()
    functions = {place: code.co_freevars for place, code in functions_in(_compiled(tree, filename)).items()}
    parents = _parents(tree)
    for statement, place, function in list(_statements(tree, "", None)):
        before = _head(statement)
        for edit in list(_edits(statement, parents[statement] if function is not None else None)):
            undo = _apply(edit)
            ast.fix_missing_locations(tree)
            after = _head(statement) if edit[0] is not parents[statement][0] else "pass"
            if isinstance(edit[3], (ast.Break, ast.Continue)):
                after = _head(edit[3])
            try:
                code = _compiled(tree, filename)
            except SyntaxError:
                _apply(undo)
                continue
            _apply(undo)
            if after == before:
                continue
            inside = function
            if function is not None:
                changed = functions_in(code).get(function)
                if changed is not None and changed.co_freevars == functions[function]:
                    code = changed
                else:
                    inside = None
            seen[place, before, after] += 1
            number = seen[place, before, after]
            shown = before if number == 1 else f"{before}  # {number}"
            first, last = _lines(statement)
            found.append(
                Mutant(module, place, shown, after, first, last, source.splitlines()[first - 1].strip(), inside, code)
            )
    return found


def functions_in(code: CodeType) -> dict[FunctionPlace, CodeType]:
    """Return the outermost functions of a module, and the methods of its classes, by name and first line."""
    found: dict[FunctionPlace, CodeType] = {}
    for part in code.co_consts:
        if isinstance(part, CodeType):
            if part.co_flags & inspect.CO_OPTIMIZED:
                found[part.co_name, part.co_firstlineno] = part
            else:  # the body of a class
                found.update(functions_in(part))
    return found


def _statements(node: ast.AST, place: str, function: FunctionPlace | None) -> Iterator[tuple[ast.stmt, str, Any]]:
    """Yield each statement with the name of what holds it, and the outermost function."""
    for _, body in ast.iter_fields(node):
        if not isinstance(body, list):
            continue
        for child in body:
            if isinstance(child, ast.ExceptHandler):
                yield from _statements(child, place, function)
            if not isinstance(child, ast.stmt) or _is_left_out(child):
                continue
            inner, within = place, function
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                inner = f"{place}.{child.name}".lstrip(".")
                if function is None and not isinstance(child, ast.ClassDef):
                    line = min([child.lineno, *(each.lineno for each in child.decorator_list)])
                    within = (child.name, line)
                yield child, inner, function
            else:
                yield child, place or "<module>", function
            yield from _statements(child, inner, within)


def _parents(tree: ast.Module) -> dict[ast.stmt, Parent]:
    return {
        child: (node, name, index)
        for node in ast.walk(tree)
        for name, body in ast.iter_fields(node)
        if isinstance(body, list)
        for index, child in enumerate(body)
        if isinstance(child, ast.stmt)
    }


def _is_left_out(statement: ast.stmt) -> bool:
    if isinstance(statement, (ast.Import, ast.ImportFrom, ast.Pass, ast.Global, ast.Nonlocal)):
        return True
    if isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING":
        return True
    if isinstance(statement, ast.AnnAssign) and ast.unparse(statement.annotation) == "TypeAlias":
        return True
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _edits(statement: ast.stmt, parent: Parent | None) -> Iterator[Edit]:
    """Yield the changes of a statement itself, where its `parent` is given, then of the expressions in its head."""
    if parent is not None:
        yield from _edits_of_statement(statement, *parent)
    for name, value in ast.iter_fields(statement):
        if name in ("body", "orelse", "finalbody", "handlers", "decorator_list", "annotation", "returns", "target"):
            continue
        for index, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST):
                yield from _edits_of_expression(child, statement, name, index if isinstance(value, list) else None)


def _edits_of_statement(statement: ast.stmt, parent: ast.AST, field: str, index: int) -> Iterator[Edit]:
    simple = (ast.Expr, ast.Assign, ast.AugAssign, ast.Raise, ast.Delete, ast.Break, ast.Continue)
    if isinstance(statement, simple) or (isinstance(statement, ast.AnnAssign) and statement.value is not None):
        yield parent, field, index, ast.Pass()
    if isinstance(statement, ast.Break):
        yield parent, field, index, ast.Continue()
    elif isinstance(statement, ast.Continue):
        yield parent, field, index, ast.Break()
    elif isinstance(statement, ast.AugAssign) and type(statement.op) in _OPERATORS:
        yield statement, "op", None, _OPERATORS[type(statement.op)]()
    elif isinstance(statement, ast.Return) and statement.value is not None:
        if not (isinstance(statement.value, ast.Constant) and statement.value.value is None):
            yield statement, "value", None, ast.Constant(None)
    elif isinstance(statement, ast.If):
        yield statement, "test", None, ast.Constant(True)
        yield statement, "test", None, ast.Constant(False)
    elif isinstance(statement, ast.While):
        yield statement, "test", None, ast.Constant(False)
    elif isinstance(statement, ast.For):
        yield statement, "iter", None, ast.Tuple([], ast.Load())


def _edits_of_expression(node: ast.AST, parent: ast.AST, field: str, index: int | None) -> Iterator[Edit]:
    """Yield the changes of an expression in `field` of `parent`, and of everything in it."""
    if isinstance(parent, ast.JoinedStr) and isinstance(node, ast.Constant):
        return
    for new in _replacements(node):
        yield parent, field, index, new
    yield from _edits_inside(node)
    for name, value in ast.iter_fields(node):
        if name == "annotation" or (isinstance(node, ast.keyword) and node.arg in _KEPT_ARGUMENTS):
            continue
        for number, child in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(child, ast.AST):
                yield from _edits_of_expression(child, node, name, number if isinstance(value, list) else None)


def _edits_inside(node: ast.AST) -> Iterator[Edit]:
    """Yield the changes of an expression that stays the expression it is."""
    if isinstance(node, ast.Compare):
        for number, operator in enumerate(node.ops):
            for other in _COMPARISONS[type(operator)]:
                yield node, "ops", number, other()
    elif isinstance(node, ast.BoolOp):
        yield node, "op", None, ast.Or() if isinstance(node.op, ast.And) else ast.And()
    elif isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        yield node, "op", None, _OPERATORS[type(node.op)]()
    elif isinstance(node, ast.Slice):
        for bound in ("lower", "upper"):
            if getattr(node, bound) is not None:
                yield node, bound, None, None
    elif (optional := _optional_parts(node)) is not None:
        field, numbers = optional
        for number in numbers:
            yield node, field, None, _without(getattr(node, field), number)


def _optional_parts(node: ast.AST) -> tuple[str, list[int]] | None:
    """Return the field of an expression whose parts may be left out, and the numbers of those parts."""
    if isinstance(node, ast.Call):
        return "keywords", [at for at, part in enumerate(node.keywords) if part.arg not in _KEPT_ARGUMENTS]
    if isinstance(node, ast.comprehension):
        return "ifs", list(range(len(node.ifs)))
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return "elts", [at for at, part in enumerate(node.elts) if isinstance(part, ast.Starred)]
    if isinstance(node, ast.JoinedStr):
        texts = [at for at, part in enumerate(node.values) if isinstance(part, ast.Constant)]
        return "values", [at for at in texts if " " not in ast.unparse(node.values[at])]
    return None


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what may replace a whole expression."""
    if isinstance(node, ast.BoolOp):
        for number in range(len(node.values)):
            rest = _without(node.values, number)
            yield rest[0] if len(rest) == 1 else ast.BoolOp(node.op, rest)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield node.operand
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS:
        other = _FUNCTIONS[node.func.id]
        keywords = [] if other == "list" else node.keywords
        yield ast.Call(ast.Name(other, ast.Load()), node.args, keywords)
    elif isinstance(node, ast.Dict):
        for number, key in enumerate(node.keys):
            if key is None:
                yield ast.Dict(_without(node.keys, number), _without(node.values, number))
    elif isinstance(node, ast.Constant):
        yield from map(ast.Constant, _constants(node.value))


def _without(entries: list[Any], number: int) -> list[Any]:
    return [*entries[:number], *entries[number + 1 :]]


def _constants(value: object) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, float):
        yield value * 2
    elif isinstance(value, str) and " " not in value:
        yield f"X{value}"


def _apply(edit: Edit) -> Edit:
    """Make a change; return the one that undoes it."""
    node, field, index, new = edit
    if index is None:
        old = getattr(node, field)
        setattr(node, field, new)
    else:
        entries = getattr(node, field)
        old, entries[index] = entries[index], new
    return node, field, index, old


def _compiled(tree: ast.Module, filename: str) -> CodeType:
    return compile(tree, filename, "exec", dont_inherit=True)


def _head(statement: ast.stmt) -> str:
    """Return the text of a statement in one line, without its decorators and its body."""
    lines = ast.unparse(statement).splitlines()
    return next(line for line in lines if not line.startswith("@"))


def _lines(statement: ast.stmt) -> tuple[int, int]:
    body = getattr(statement, "body", None)
    last = body[0].lineno - 1 if body else statement.end_lineno or statement.lineno
    return statement.lineno, max(statement.lineno, last)
