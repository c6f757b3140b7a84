"""Measures of how the package is laid out and written: `make house`, one `name: value` a line.

Lines and functions are counted over the files of `mrftool/`. The length of a function is that of
its body, without the list of its arguments and without its docstring. Cyclomatic complexity is
radon's, which also counts boolean operators, conditional expressions and comprehensions. Exits
with 1 where a limit of `LIMITS` is exceeded.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp
from radon.visitors import ComplexityVisitor

ROOT = Path(__file__).resolve().parents[1]
LIMITS = {
    "largest_folder_files": 12,
    "functions_over_30_lines_percent": 1.0,
    "functions_over_complexity_8_percent": 1.0,
    "conditional_expressions_per_1000_lines": 10.0,
    "largest_import_cycle": 0,
    "physical_arguments_without_unit": 0,
}
PHYSICAL = {
    "t1", "t2", "b1", "m0", "adc", "off_resonance", "r2_prime", "te", "tr", "ti", "flip_angle",
    "rf_phase", "noise_sd", "field", "flips", "duration", "wait", "gradient", "affine",
}  # fmt: skip


def main() -> None:
    """Print every measure of the package in the checkout, or in the one named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkout", nargs="?", type=Path, default=ROOT)
    parser.add_argument("--list", action="store_true", help="name what exceeds a limit")
    options = parser.parse_args()
    package = options.checkout / "mrftool"
    offenders: dict[str, list[str]] = {}
    measures = measure(package, offenders)
    for name, value in measures.items():
        print(f"{name}: {value:g}")
    if options.list:
        for name, places in offenders.items():
            print(f"\n{name}")
            print("\n".join(f"  {place}" for place in places))
    exceeded = [name for name, limit in LIMITS.items() if measures[name] > limit]
    if exceeded:
        sys.exit("over the limit: " + ", ".join(exceeded))


def measure(package: Path, offenders: dict[str, list[str]]) -> dict[str, float]:
    """All measures by name; what exceeds a limit is added to `offenders`."""
    trees = {path: ast.parse(path.read_text("utf-8")) for path in sorted(package.rglob("*.py"))}
    lines = list(code_lines(trees))
    functions = [
        (path, node)
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = [place(package, *f) for f in functions if function_length(f[1]) > 30]
    branchy = complex_functions(package)
    conditional = count_nodes(trees, ast.IfExp)
    unstated = list(missing_units(package, trees))
    offenders |= {
        "functions over 30 lines": long,
        "functions over complexity 8": branchy,
        "physical arguments without a unit": unstated,
        "files over 250 lines": long_files(package, trees),
    }
    return {
        "files": len(trees),
        "lines_of_code": len(lines),
        "largest_folder_files": largest_folder(package),
        "files_over_250_lines": len(offenders["files over 250 lines"]),
        "functions": len(functions),
        "functions_over_30_lines_percent": 100 * len(long) / len(functions),
        "functions_over_complexity_8_percent": 100 * len(branchy) / len(functions),
        "characters_per_line": sum(map(len, lines)) / len(lines),
        "conditional_expressions_per_1000_lines": 1000 * conditional / len(lines),
        "comprehensions_per_1000_lines": 1000 * count_comprehensions(trees) / len(lines),
        "largest_import_cycle": largest_cycle(package),
        "physical_arguments_without_unit": len(unstated),
    }


def code_lines(trees: dict[Path, ast.Module]) -> Iterator[str]:
    """Lines that hold code, without indentation: no docstrings, comments or blank lines."""
    for path, tree in trees.items():
        hidden = set()
        for node in ast.walk(tree):
            text = docstring_node(node)
            if text is not None:
                hidden |= set(range(text.lineno, (text.end_lineno or text.lineno) + 1))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            stripped = line.strip()
            if stripped and number not in hidden and not stripped.startswith("#"):
                yield line.rstrip()


def docstring_node(node: ast.AST) -> ast.Expr | None:
    """The docstring of a module, class or function, as a node."""
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return None
    if ast.get_docstring(node, clean=False) is None:
        return None
    first = node.body[0]
    return first if isinstance(first, ast.Expr) else None


def function_length(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of the body, without the docstring."""
    statements = [each for each in node.body if each is not docstring_node(node)]
    if not statements:
        return 0
    return (node.end_lineno or node.lineno) - statements[0].lineno + 1


def complex_functions(package: Path) -> list[str]:
    """Functions whose cyclomatic complexity exceeds 8."""
    found = []
    for path in sorted(package.rglob("*.py")):
        visitor = ComplexityVisitor.from_code(path.read_text("utf-8"))
        methods = [method for group in visitor.classes for method in group.methods]
        found += [
            f"{path.relative_to(package)}:{block.lineno} {block.name} ({block.complexity})"
            for block in (*visitor.functions, *methods)
            if block.complexity > 8
        ]
    return found


def count_nodes(trees: dict[Path, ast.Module], kind: type[ast.AST]) -> int:
    """Nodes of one kind in all files."""
    return sum(isinstance(node, kind) for tree in trees.values() for node in ast.walk(tree))


def count_comprehensions(trees: dict[Path, ast.Module]) -> int:
    """List, set and dict comprehensions and generator expressions."""
    kinds = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    return sum(count_nodes(trees, kind) for kind in kinds)


def largest_folder(package: Path) -> int:
    """Python files in the fullest folder."""
    folders = [package, *(path for path in package.rglob("*") if path.is_dir())]
    return max(len(list(folder.glob("*.py"))) for folder in folders)


def long_files(package: Path, trees: dict[Path, ast.Module]) -> list[str]:
    """Files of more than 250 lines."""
    sizes = {path: len(path.read_text("utf-8").splitlines()) for path in trees}
    return [f"{path.relative_to(package)}: {n} lines" for path, n in sizes.items() if n > 250]


def place(package: Path, path: Path, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Where a function stands."""
    return f"{path.relative_to(package)}:{node.lineno} {node.name} ({function_length(node)} lines)"


def largest_cycle(package: Path) -> int:
    """Modules in the largest cycle of imports at run time; 0 where there is none."""
    sys.path.insert(0, str(package.parent))
    graph = grimp.build_graph("mrftool", exclude_type_checking_imports=True, cache_dir=None)
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    largest = max(len(group) for group in strongly_connected(imports))
    return largest if largest > 1 else 0


def strongly_connected(edges: dict[str, set[str]]) -> list[set[str]]:
    """Strongly connected components: modules that reach each other."""
    reach = {start: reachable(start, edges) for start in edges}
    groups = []
    left = set(edges)
    while left:
        start = next(iter(left))
        group = {start} | {other for other in reach[start] if start in reach[other]}
        groups.append(group)
        left -= group
    return groups


def reachable(start: str, edges: dict[str, set[str]]) -> set[str]:
    """Everything that `start` imports, directly or not."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for other in edges[waiting.pop()]:
            if other not in seen:
                seen.add(other)
                waiting.append(other)
    return seen


def missing_units(package: Path, trees: dict[Path, ast.Module]) -> Iterator[str]:
    """Public functions with physical arguments whose docstring states no unit for one of them.

    Options of the command line state theirs in their help.
    """
    for path, tree in trees.items():
        if path.relative_to(package).parts[0] == "cli":
            continue
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef) or node.name.startswith("_"):
                continue
            documented = ast.get_docstring(node) or ""
            arguments = [a.arg for a in (*node.args.args, *node.args.kwonlyargs)]
            for name in set(arguments) & PHYSICAL:
                if not has_unit(documented, name):
                    yield f"{path.relative_to(package)}:{node.lineno} {node.name}({name})"


def has_unit(documented: str, name: str) -> bool:
    """Whether a docstring names the argument and gives a unit in brackets before the next one."""
    start = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", documented)
    return start is not None and re.search(r"\[[^\]]+\]", documented[start.start() :]) is not None


if __name__ == "__main__":
    main()
