"""What a script or a chapter runs on: the package's files that its imports and names lead to.

Files are read, never imported, so that asking runs nothing and needs none of the libraries.
"""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

PACKAGE = Path(__file__).parents[1]
_CHECKING = ("TYPE_CHECKING", "typing.TYPE_CHECKING")
_CELL = re.compile(
    r"^(?P<fence>`{3,}|~{3,}|:{3,})\{code-cell\}[^\n]*\n(?P<code>.*?)^(?P=fence)[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
# what is no Python in a cell: its options, and the commands of IPython
_NO_CODE = re.compile(
    r"\A---\n.*?^---$|\A(?::[^\n]*\n)+|^[ \t]*[%!][^\n]*", re.MULTILINE | re.DOTALL
)


def sources_of(path: str | Path, package: str | Path = PACKAGE) -> list[Path]:
    """The package's files that a script or a chapter depends on, directly or through others.

    They follow from the imports, also those inside functions, and from names like ``rg.IsingChain``
    on an imported package, which its ``__init__.pyi`` leads to their modules. The ``__init__.py``
    on the way belong to them. Where a package itself is handed on, as in ``getattr(rg, name)``, all
    of it belongs to them. Imports for type checkers alone do not count, since they never run.

    Arguments:
        path: a script (``.py``), or a chapter (``.md``), of which the code cells are read.
        package: the folder of the package, whose name is that of the import.

    Returns:
        The files, sorted.

    Raises:
        ValueError: naming the file and the line, where a name leads to nothing in the package, or
            where the code is not Python.
    """
    tree = _Package(Path(package))
    found: set[Path] = set()
    queue = [Path(path)]
    while queue:
        file = queue.pop()
        new = set().union(*(tree.files(asked, file) for asked in tree.asked_by(file))) - found
        queue += new
        found |= new
    return sorted(found)


class _Asked(NamedTuple):
    """A module, the names asked of it and of what they lead to in turn, and the line of this.

    The name ``*`` is all that a package holds; of a module or of what it defines, it is nothing.
    """

    module: str
    names: tuple[str, ...]
    line: int


class _Package:
    """A package on disk, by its modules."""

    def __init__(self, folder: Path):
        if not (folder / "__init__.py").is_file():
            raise ValueError(f"package must be a folder with an __init__.py, got {folder}.")
        self.folder, self.name = folder, folder.name
        self.contents = functools.cache(self._contents)

    def file(self, module: str) -> Path | None:
        """Where a module lies, or None where there is no such module."""
        within = self.folder.joinpath(*module.split(".")[1:])
        beside = within.parent / f"{within.name}.py"
        return next((file for file in (within / "__init__.py", beside) if file.is_file()), None)

    def parts(self, file: Path) -> tuple[str, ...]:
        """The package that a file lies in, as its names; none for a file elsewhere."""
        if not file.resolve().is_relative_to(self.folder.resolve()):
            return ()
        return (self.name, *file.resolve().relative_to(self.folder.resolve()).parent.parts)

    def asked_by(self, file: Path) -> list[_Asked]:
        """What the code of a file asks of the package."""
        nodes = _executed(file)
        imported = [pair for node in nodes for pair in self.imported(node, file)]
        aliases = {name: asked for name, asked in imported}
        within = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        asked = [asked for _, asked in imported]
        for node in nodes:
            if not isinstance(node, ast.Name | ast.Attribute) or id(node) in within:
                continue
            root, attributes = _chain(node)
            if root in aliases:
                module, names, _ = aliases[root]
                asked.append(_Asked(module, (*names, *attributes, "*"), node.lineno))
        return asked

    def imported(self, node: ast.AST, file: Path) -> Iterator[tuple[str, _Asked]]:
        """What an import statement gives to a file: its name there, and what it asks for."""
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == self.name:
                    whole = alias.name if alias.asname else self.name
                    yield alias.name, _Asked(alias.name, (), node.lineno)
                    yield alias.asname or self.name, _Asked(whole, (), node.lineno)
        if isinstance(node, ast.ImportFrom):
            home = self.parts(file)
            above = home[: len(home) - node.level + 1] if node.level else ()
            module = ".".join([*above, *([node.module] if node.module else [])])
            if module.split(".")[0] == self.name:
                for alias in node.names:
                    yield alias.asname or alias.name, _Asked(module, (alias.name,), node.lineno)

    def files(self, asked: _Asked, asker: Path) -> set[Path]:
        """The files that lead to what is asked for, the ``__init__.py`` above them among them."""
        module, names = asked.module, list(asked.names)
        found: set[Path] = set()
        while True:
            file = self.file(module)
            if file is None:
                raise ValueError(
                    f"{asker}, line {asked.line}: there is no module {module}: correct the import."
                )
            found |= {file, *self.above(file)}
            if file.name != "__init__.py" or not names:
                return found
            name = names.pop(0)
            if name == "*":
                return found | set(file.parent.rglob("*.py"))
            exported, defined = self.contents(file)
            if name in exported:
                module, names = exported[name].module, [*exported[name].names, *names]
            elif self.file(f"{module}.{name}"):
                module = f"{module}.{name}"
            elif name in defined or name.startswith("__"):
                return found
            else:
                raise ValueError(
                    f"{asker}, line {asked.line}: {module} has no {name!r}: correct the name, or "
                    f"list it in the __init__.pyi of {module}."
                )

    def above(self, file: Path) -> set[Path]:
        """The ``__init__.py`` that run before a file."""
        folders = [folder for folder in file.parents if folder.is_relative_to(self.folder)]
        return {folder / "__init__.py" for folder in folders}

    def _contents(self, init: Path) -> tuple[dict[str, _Asked], set[str]]:
        """What a package hands on from its modules, and the names that it defines itself."""
        nodes = _executed(init)
        stub = init.with_suffix(".pyi")
        listed = _executed(stub) if stub.is_file() else ()
        pairs = [pair for node in (*nodes, *listed) for pair in self.imported(node, init)]
        itself = ".".join(self.parts(init))
        exported = {n: asked for n, asked in pairs if asked[:2] != (itself, (n,))}
        stored = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        made = {n.name for n in nodes if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        return exported, stored | made


def _executed(file: Path) -> tuple[ast.AST, ...]:
    """All nodes of the code of a file, of all cells where it is a chapter."""
    text = file.read_text(encoding="utf-8")
    try:
        return _nodes(_cells(text) if file.suffix == ".md" else text)
    except SyntaxError as error:
        raise ValueError(
            f"{file}, line {error.lineno}: this is not Python ({error.msg}): correct it."
        ) from None


@functools.lru_cache(maxsize=256)
def _nodes(code: str) -> tuple[ast.AST, ...]:
    """All nodes of some code, but for what only a type checker reads."""
    found: list[ast.AST] = [ast.parse(code)]
    for node in found:
        if isinstance(node, ast.If) and ast.unparse(node.test) in _CHECKING:
            found += node.orelse
        else:
            found += ast.iter_child_nodes(node)
    return tuple(found)


def _cells(chapter: str) -> str:
    """The code of a chapter's cells, each at its lines, and nothing on all others."""
    code, end = "", 0
    for cell in _CELL.finditer(chapter):
        code += _blank(chapter[end : cell.start("code")])
        code += _NO_CODE.sub(lambda match: _blank(match[0]), cell["code"])
        end = cell.end("code")
    return code


def _blank(text: str) -> str:
    return "\n" * text.count("\n")


def _chain(node: ast.AST) -> tuple[str | None, tuple[str, ...]]:
    """For ``a.b.c`` the name a and its attributes (b, c); None where no name is read so."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    return node.id if isinstance(node, ast.Name) else None, tuple(attributes)
