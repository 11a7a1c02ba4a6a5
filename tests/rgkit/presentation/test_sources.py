"""What a script or a chapter runs on: in a small package made up here, and in the real one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import rgkit as rg
from rgkit.presentation.sources import PACKAGE, sources_of

CHAPTERS = sorted((PACKAGE.parent / "book").rglob("*.md"))
MADE_UP = {
    "__init__.py": "import lazy_loader\n__version__ = '1'\nCONSTANT = 3\n",
    "__init__.pyi": "from .a.one import One\nfrom .b import shown\nfrom .c import deep as new\n",
    "alone.py": "",
    "unused.py": "",
    "a/__init__.py": "",
    "a/one.py": "from made.a import two\nfrom .. import alone\nclass One: pass\n",
    "a/two.py": "def later():\n    from .three import nothing\n",
    "a/three.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import made.unused\n",
    "b/__init__.py": "lazy = ['shown']\n",
    "b/shown.py": "import json\n",
    "b/hidden.py": "",
    "c/__init__.py": "from .inner import deep\n",
    "c/inner.py": "deep = 1\n",
}
OF_ONE = ["__init__.py", "a/__init__.py", "a/one.py", "a/three.py", "a/two.py", "alone.py"]
OF_B = ["__init__.py", "b/__init__.py"]
OF_C = ["__init__.py", "c/__init__.py", "c/inner.py"]


@pytest.fixture
def made(tmp_path):
    for name, text in MADE_UP.items():
        path = tmp_path / "made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "made"


def closure(made, code, suffix=".py"):
    path = made.parent / f"script{suffix}"
    path.write_text(code)
    return [file.relative_to(made).as_posix() for file in sources_of(path, made)]


@pytest.mark.parametrize(
    "code, files",
    [
        ("import json, sys\njson.One\n", []),
        ("import made as m\n", ["__init__.py"]),
        ("import made as m\nm.One().steps\n", OF_ONE),
        ("import made\nprint(made.One)\n", OF_ONE),
        ("from made import One\n", OF_ONE),
        ("from made import One as other\n", OF_ONE),
        ("def f():\n    import made as m\n    return lambda: m.One\n", OF_ONE),
        ("import made.a.one\n", OF_ONE),
        ("import made.b.hidden\nmade.alone\n", [*OF_B[:1], "alone.py", *OF_B[1:], "b/hidden.py"]),
        ("import made as m\nm.shown.draw()\n", [*OF_B, "b/shown.py"]),
        ("import made as m\nm.b.shown\n", [*OF_B, "b/shown.py"]),
        ("import made as m\nm.b.lazy\n", OF_B),
        ("import made as m\nm.new + m.CONSTANT\n", OF_C),
        ("import made as m\nm.__version__\n", ["__init__.py"]),
        ("import made as m\ngetattr(m.c, 'deep')\n", OF_C),
        ("import made as m\nvars(m)\n", sorted(name for name in MADE_UP if name[-1] == "y")),
        ("from made import *\n", sorted(name for name in MADE_UP if name[-1] == "y")),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from made import One\n", []),
        ("x.One\nmade = 3\n", []),
    ],
)
def test_names_lead_to_files(made, code, files):
    assert closure(made, code) == files


def test_a_module_of_the_package_has_sources_too(made):
    files = sources_of(made / "a" / "one.py", made)
    assert {file.relative_to(made).as_posix() for file in files} == set(OF_ONE) - {"a/one.py"}


CHAPTER = """---
title: m.NOPE
---
The name `m.NOPE` is prose.

```{code-cell} ipython3
:tags: [hide-input]
%matplotlib inline
import made as m
```

```python
m.NOPE
```

````{code-cell} ipython3
---
mystnb:
  figure: {name: fig-a}
---
text = \"\"\"
```
\"\"\"
m.shown
````
"""


def test_a_chapter_is_its_code_cells(made):
    assert closure(made, CHAPTER, ".md") == [*OF_B, "b/shown.py"]


@pytest.mark.parametrize(
    "code, sentence",
    [
        ("import made as m\n\nm.NOPE\n", "script.py, line 3: made has no 'NOPE': correct the name"),
        ("from made.b import nope\n", "script.py, line 1: made.b has no 'nope'"),
        ("import made.nope\n", "script.py, line 1: there is no module made.nope"),
        ("import made as m\nm.(\n", "script.py, line 2: this is not Python"),
    ],
)
def test_what_leads_nowhere_is_named(made, code, sentence):
    with pytest.raises(ValueError, match=sentence):
        closure(made, code)


def test_a_wrong_name_in_a_chapter_is_named_at_its_line(made):
    with pytest.raises(ValueError, match=r"script\.md, line 24: made has no 'gone'"):
        closure(made, CHAPTER.replace("m.shown", "m.gone"), ".md")


def test_a_package_is_a_folder_with_its_init(tmp_path):
    with pytest.raises(ValueError, match="package must be a folder with an __init__.py"):
        sources_of(tmp_path / "script.py", tmp_path)


def folders(tmp_path, code):
    (tmp_path / "chapter.md").write_text(f"```{{code-cell}} ipython3\n{code}\n```\n")
    files = sources_of(tmp_path / "chapter.md")
    return {file.relative_to(PACKAGE).parts[0] for file in files}


def test_a_chapter_of_chains_does_not_depend_on_training(tmp_path):
    found = folders(tmp_path, "import rgkit as rg\nrg.IsingChain(1.0, n_sites=4).entropy()")
    assert "systems" in found and not found & {"training", "presentation", "renormalizations"}


@pytest.mark.parametrize("name", sorted(rg.__all__))
def test_every_public_name_leads_to_a_file(tmp_path, name):
    assert folders(tmp_path, f"import rgkit as rg\nrg.{name}") > {"__init__.py"}


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_every_chapter_names_what_there_is(chapter):
    text = chapter.read_text()
    assert bool(sources_of(chapter)) == ("{code-cell}" in text and "import rgkit as rg" in text)


RUNS = {
    "a law": "rg.pushforward(rg.IsingChain(0.5, n_sites=6), rg.majority(3)).divergence()",
    "a flow": "rg.ising_decimation(2).flow({'K': 1.0}, 2)",
    "training": "rg.train_ensemble({'K': 0.5, 'n_sites': 4, 'n_features': 2}, rg.Infomax(), "
    "steps=1, key=__import__('jax').random.key(0))",
    "a stored sweep": "rg.sweeps.load('controls')",
    "a slider": "rg.charts.slider('K', 'coupling K', 0, 2, 0.1, 1)",
}


@pytest.mark.parametrize("code", RUNS.values(), ids=RUNS)
def test_what_a_run_imports_is_among_the_sources(tmp_path, code):
    script = tmp_path / "script.py"
    script.write_text(f"import rgkit as rg\n{code}\n")
    tell = (
        f"import json, runpy, sys; runpy.run_path({str(script)!r}); "
        "print(json.dumps([m.__file__ for n, m in sys.modules.items() if n.startswith('rgkit')]))"
    )
    told = subprocess.run([sys.executable, "-c", tell], check=True, capture_output=True, text=True)
    imported = {Path(file) for file in json.loads(told.stdout.splitlines()[-1])}
    assert len(imported) > 2 and imported <= set(sources_of(script))
