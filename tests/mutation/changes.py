"""What could be changed in the code: its mutants.

Left out are docstrings, annotations, `__all__`, `__slots__`, what is in f-strings, and a module's
numbers with a point, which are seconds to wait.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_COMPARE = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
_ARITHMETIC: dict[type, ast.operator] = {
    ast.Add: ast.Sub(), ast.Sub: ast.Add(), ast.Mult: ast.Div(), ast.Div: ast.Mult(),
    ast.FloorDiv: ast.Mult(), ast.Mod: ast.Mult(), ast.Pow: ast.Mult(), ast.BitAnd: ast.BitOr(),
    ast.BitOr: ast.BitAnd(), ast.LShift: ast.RShift(), ast.RShift: ast.LShift(),
}  # fmt: skip
_NAMES = {
    "min": "max", "max": "min", "any": "all", "all": "any", "startswith": "endswith",
    "endswith": "startswith", "append": "appendleft", "popleft": "pop", "partition": "rpartition",
    "rpartition": "partition", "match": "search", "fullmatch": "match", "monotonic": "time",
    "removesuffix": "removeprefix", "appendleft": "append",
}  # fmt: skip
_NEEDLESS = frozenset(
    ("lower", "upper", "strip", "rstrip", "lstrip", "copy", "reversed", "sorted", "removesuffix")
)


class Mutant(NamedTuple):
    """One change: the code between two offsets becomes another."""

    room: str
    path: str
    where: str
    line: int
    start: int
    end: int
    code: str
    before: str
    after: str
    in_body: bool  # of a function: it has an effect only when the function is called

    def key(self) -> tuple[str, str, str, str]:
        return self.path, self.where, self.before, self.after


def _replacements(node: ast.AST, top_level: bool) -> Iterator[tuple[ast.AST, str]]:
    """What could stand instead of a node, or instead of a part of it."""

    def text(part: ast.AST) -> str:
        return ast.unparse(ast.fix_missing_locations(part))

    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        operator = _COMPARE[type(node.ops[0])]
        yield node, f"{text(node.left)} {operator} {text(node.comparators[0])}"
    elif isinstance(node, ast.BoolOp):
        other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield node, f"({text(ast.BoolOp(other, node.values))})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield node, f"({text(node.operand)})"
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        other = _ARITHMETIC[type(node.op)]
        yield node, f"({text(ast.BinOp(node.left, other, node.right))})"
    elif isinstance(node, ast.AugAssign) and type(node.op) in _ARITHMETIC:
        yield node, text(ast.AugAssign(node.target, _ARITHMETIC[type(node.op)], node.value))
        yield node, text(ast.Assign([node.target], node.value))
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield node, str(not node.value)
        elif isinstance(node.value, int):
            yield node, str(node.value + 1)
        elif isinstance(node.value, float) and not top_level:
            yield node, repr(node.value * 10 or 1.0)
        elif isinstance(node.value, (str, bytes)):
            extra = "XX" if isinstance(node.value, str) else b"XX"
            yield node, repr(extra + node.value)
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        yield node.test, f"(not ({text(node.test)}))"
    elif isinstance(node, ast.comprehension):
        for condition in node.ifs:
            yield condition, f"(not ({text(condition)}))"
            yield condition, "True"
    elif isinstance(node, ast.Call):
        yield from _other_calls(node, text)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        yield node, text(node.value)
    elif isinstance(node, ast.Return) and node.value is not None:
        if not (isinstance(node.value, ast.Constant) and not node.value.value):
            yield node, "return None"
    elif isinstance(node, (ast.Expr, ast.Delete, ast.Raise)) or (
        isinstance(node, (ast.Assign, ast.AnnAssign)) and not top_level and _keeps(node)
    ):
        yield node, "pass"
    elif isinstance(node, ast.With) and "lock" in ast.unparse(node.items[0]):
        header = ast.Pass(
            lineno=node.lineno,
            col_offset=node.col_offset,
            end_lineno=node.items[-1].context_expr.end_lineno,
            end_col_offset=node.items[-1].context_expr.end_col_offset,
        )
        yield header, "if True"
    elif isinstance(node, (ast.Break, ast.Continue)):
        yield node, "continue" if isinstance(node, ast.Break) else "break"


def _other_calls(node: ast.Call, text: Any) -> Iterator[tuple[ast.AST, str]]:
    for position, keyword in enumerate(node.keywords):
        if keyword.arg is not None and keyword.arg != "daemon":
            others = [*node.keywords[:position], *node.keywords[position + 1 :]]
            yield node, text(ast.Call(node.func, node.args, others))
    if isinstance(node.func, ast.Name):
        if node.func.id in _NAMES:
            other: ast.expr = ast.Name(_NAMES[node.func.id])
            yield node, text(ast.Call(other, node.args, node.keywords))
        if node.func.id in _NEEDLESS and node.args:
            yield node, text(node.args[0])
    elif isinstance(node.func, ast.Attribute):
        if node.func.attr in _NAMES:
            other = ast.Attribute(node.func.value, _NAMES[node.func.attr])
            yield node, text(ast.Call(other, node.args, node.keywords))
        if node.func.attr in _NEEDLESS:
            yield node, text(node.func.value)


def _keeps(node: ast.Assign | ast.AnnAssign) -> bool:
    """Whether something outlives the function that is assigned to in it."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return node.value is not None and any(
        isinstance(target, (ast.Attribute, ast.Subscript)) for target in targets
    )


def mutants_of(room: str, path: Path, root: Path) -> Iterator[Mutant]:
    """All mutants of a module."""
    source = path.read_bytes()
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def visit(node: ast.AST, where: str, in_function: bool, in_body: bool) -> Iterator[Mutant]:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            where = f"{where}.{node.name}".lstrip(".")
        function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        in_function = in_function or function
        if _uninteresting(node):
            return
        for part, code in _replacements(node, not in_function):
            start = starts[part.lineno - 1] + part.col_offset  # type: ignore[attr-defined]
            end = starts[part.end_lineno - 1] + part.end_col_offset  # type: ignore[attr-defined]
            first, last = starts[part.lineno - 1], starts[part.end_lineno]  # type: ignore[attr-defined]
            before = source[first:last].decode()
            after = (source[first:start] + code.encode() + source[end:last]).decode()
            yield Mutant(
                room, str(path.relative_to(root)), where, part.lineno,  # type: ignore[attr-defined]
                start, end, code, _flat(before), _flat(after), in_body,
            )  # fmt: skip
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "decorator_list", "ctx", "op", "ops"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    in_it = in_body or (function and name == "body")
                    yield from visit(child, where, in_function, in_it)

    for mutant in visit(ast.parse(source), "", in_function=False, in_body=False):
        if mutant.before != mutant.after:
            yield mutant


def _flat(code: str) -> str:
    return " ".join(code.split())


def _uninteresting(node: ast.AST) -> bool:
    if isinstance(node, (ast.JoinedStr, ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        return True
    if isinstance(node, ast.Raise):
        return False
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id in ("__all__", "__slots__")
    return False
