"""What could be changed in the code: its mutants.

Never changed are strings (names, messages, patterns), annotations, `__all__`, `__slots__`, branches
for another Python or system, and numbers with a point, which are seconds to wait.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_MARK = "no test can tell"  # in a comment: a change of this line does the same

_COMPARE = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
_ARITHMETIC: dict[type, ast.operator] = {
    ast.Add: ast.Sub(), ast.Sub: ast.Add(), ast.Mult: ast.Div(), ast.Div: ast.Mult(),
    ast.FloorDiv: ast.Mult(), ast.Mod: ast.Mult(), ast.Pow: ast.Mult(), ast.BitAnd: ast.BitOr(),
    ast.BitOr: ast.BitAnd(), ast.LShift: ast.RShift(), ast.RShift: ast.LShift(),
}  # fmt: skip
_CALLED = {
    "min": "max", "max": "min", "any": "all", "all": "any", "startswith": "endswith",
    "endswith": "startswith", "append": "appendleft", "popleft": "pop", "partition": "rpartition",
    "rpartition": "partition", "match": "search", "fullmatch": "match",
    "removesuffix": "removeprefix", "appendleft": "append",
}  # fmt: skip
_NEEDLESS = frozenset(
    ("lower", "upper", "strip", "rstrip", "lstrip", "copy", "reversed", "sorted", "removesuffix")
)
_TEXTS = frozenset(("daemon", "description", "encoding", "epilog", "help", "metavar", "name"))
_ELSEWHERE = ("TYPE_CHECKING", "sys.version_info", "sys.platform", "os.name", "implementation")
_UNSAID = ["__all__"], ["__slots__"], ["TYPE_CHECKING"]
_SMALL = 10  # numbers below are counted up; those above are bounds, and doubled


class Mutant(NamedTuple):
    """One change: the code between two offsets becomes another."""

    path: str
    where: str  # the function
    line: int
    start: int
    end: int
    code: str
    before: str
    after: str
    names: tuple[str, ...] | None  # what is made of it at import; None: it is in a function's body
    equivalent: bool  # is said to be

    @property
    def room(self) -> str:
        """The folder that it is in, below loghc."""
        folders = Path(self.path).parts
        return folders[1] if len(folders) > 2 else "loghc"

    @property
    def title(self) -> str:
        return f"{self.path}:{self.line} {self.where}"


def mutants_of(path: str, text: str) -> Iterator[Mutant]:
    """All mutants of a module."""
    source = text.encode()
    starts = list(itertools.accumulate(map(len, source.splitlines(keepends=True)), initial=0))

    def mutant(part: Any, code: str, where: str, names: list[str] | None) -> Mutant:
        first, last = starts[part.lineno - 1], starts[part.end_lineno]
        start = first + part.col_offset
        end = starts[part.end_lineno - 1] + part.end_col_offset
        before = source[first:last].decode()
        after = source[first:start].decode() + code + source[end:last].decode()
        return Mutant(
            path, where, part.lineno, start, end, code, " ".join(before.split()),
            " ".join(after.split()), None if names is None else tuple(names), _MARK in before,
        )  # fmt: skip

    def visit(node: ast.AST, where: str, names: list[str] | None) -> Iterator[Mutant]:
        if _is_left_out(node):
            return
        body_names = names
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            where = f"{where}.{node.name}".lstrip(".")
            names = names if names is None else [*names, node.name]
            body_names = names if isinstance(node, ast.ClassDef) else None
        elif names is not None and (bound := bound_by(node)):
            names = bound
        for part, code in _replacements(node, top_level=names is not None):
            yield mutant(part, code, where, names)
        for field, value in ast.iter_fields(node):
            if field not in ("annotation", "returns", "decorator_list", "ctx", "op", "ops"):
                for child in value if isinstance(value, list) else [value]:
                    if isinstance(child, ast.AST):
                        yield from visit(child, where, body_names if field == "body" else names)

    yield from (each for each in visit(ast.parse(source), "", []) if each.before != each.after)


def bound_by(statement: ast.AST) -> list[str]:
    """The names that an assignment binds."""
    targets = getattr(statement, "targets", [getattr(statement, "target", ast.Pass())])
    found = (each for target in targets for each in ast.walk(target))
    return [each.id for each in found if isinstance(each, ast.Name)]


def _is_left_out(node: ast.AST) -> bool:
    match node:
        case ast.JoinedStr() | ast.Import() | ast.ImportFrom() | ast.Expr(ast.Constant()):
            return True  # the last one is a docstring
        case ast.If(test) | ast.IfExp(test):
            return any(name in _text(test) for name in _ELSEWHERE)
    return isinstance(node, ast.Assign) and bound_by(node) in _UNSAID


def _replacements(node: ast.AST, top_level: bool) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """What could stand instead of a node, or instead of a part of it."""
    match node:
        case ast.Compare(left, [operator], [right]):
            yield node, f"{_text(left)} {_COMPARE[type(operator)]} {_text(right)}"
        case ast.BoolOp(operator, values):
            other = ast.Or() if isinstance(operator, ast.And) else ast.And()
            yield node, f"({_text(ast.BoolOp(other, values))})"
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield node, f"({_text(operand)})"
        case ast.BinOp(left, operator, right) if type(operator) in _ARITHMETIC:
            if not isinstance(getattr(left, "value", None), str | bytes):  # a message's text
                yield node, f"({_text(ast.BinOp(left, _ARITHMETIC[type(operator)], right))})"
        case ast.AugAssign(target, operator, value) if type(operator) in _ARITHMETIC:
            yield node, _text(ast.AugAssign(target, _ARITHMETIC[type(operator)], value))
            yield node, _text(ast.Assign([target], value))
        case ast.Constant(bool() as value):
            yield node, str(not value)
        case ast.Constant(int() as value):
            yield node, str(value + 1 if value < _SMALL else value * 2)
        case ast.If(test) | ast.While(test) | ast.IfExp(test):
            yield test, f"(not ({_text(test)}))"
        case ast.Call():
            yield from _other_calls(node)
        case ast.Subscript(value, ast.Slice()):
            yield node, _text(value)
        case ast.Return(ast.expr() as value):
            if not (isinstance(value, ast.Constant) and not value.value):
                yield node, "return None"
        case ast.Expr() | ast.Delete() | ast.Raise():
            yield node, "pass"
        case ast.Assign(value=ast.expr()) | ast.AnnAssign(value=ast.expr()) if not top_level:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(isinstance(each, ast.Attribute | ast.Subscript) for each in targets):
                yield node, "pass"  # else a name would be missing, which any test notices
        case ast.Break() | ast.Continue():
            yield node, "continue" if isinstance(node, ast.Break) else "break"
        case ast.comprehension(ifs=conditions):
            for condition in conditions:
                yield condition, f"(not ({_text(condition)}))"
                yield condition, "True"


def _other_calls(node: ast.Call) -> Iterator[tuple[ast.expr, str]]:
    for keyword in node.keywords:
        if keyword.arg is not None and keyword.arg not in _TEXTS:
            others = [each for each in node.keywords if each is not keyword]
            yield node, _text(ast.Call(node.func, node.args, others))
    name = getattr(node.func, "id", getattr(node.func, "attr", None))
    base = [node.func.value] if isinstance(node.func, ast.Attribute) else node.args
    if name in _CALLED:
        other = re.sub(rf"{name}$", _CALLED[name], _text(node.func))
        yield node, _text(ast.Call(ast.Name(other), node.args, node.keywords))
    if name in _NEEDLESS and base:
        yield node, _text(base[0])


def _text(node: ast.AST) -> str:
    return ast.unparse(ast.fix_missing_locations(node))
