"""What a teacher takes into class, from the built book: what `make kit` calls.

Below ``teach`` in the site and in ``kit.zip``: the package as one file, the notebooks of all
chapters for students and with solutions, and chapters on paper, likewise.
"""

import itertools
import shutil
import subprocess
import sys
import zipfile

import nbformat
import pdf
import yaml

ROOT, HTML = pdf.ROOT, pdf.HTML
TEACH = HTML / "teach"
NOTEBOOKS = {"student": "teach/student", "instructor": "_sources"}
MODULES = ("rgkit", "sklearn", "PIL")
INSTALL = f"""\
# The book's package from the kit's folder, and what it needs, installed where something is missing.
import importlib.util
import pathlib
import subprocess
import sys

if not all(map(importlib.util.find_spec, {MODULES})):
    wheels = sorted(pathlib.Path("..").glob("rgkit-*.whl"))
    if not wheels:
        raise FileNotFoundError(
            "rgkit-*.whl is not in the folder above this notebook: unpack all of kit.zip, and "
            "start from the notebook in it"
        )
    package = f"{{wheels[-1].resolve()}}[notebooks]"
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", package], check=True)"""
README = """\
# Two Flows, One Number: the course kit

- `student/`: a notebook for each chapter, with an empty cell below each exercise.
- `instructor/`: the same with solutions.
- `handouts/`, `handouts-with-solutions/`: the chapters on paper.
- `{wheel}`: the book's package. The first cell of a notebook installs it where it is missing.

Python 3.11, 3.12 or 3.13 is needed. In a terminal, in this folder, on Windows:

    py -m venv course
    course\\Scripts\\python -m pip install jupyterlab ".\\{wheel}[notebooks]"
    course\\Scripts\\jupyter lab student

and elsewhere:

    python3 -m venv course
    course/bin/python -m pip install jupyterlab "./{wheel}[notebooks]"
    course/bin/jupyter lab student
"""
SOLVED = """@media print {
  div.solution, div.solution > * { display: revert !important; visibility: visible !important; }
  div.solution .toggle-button, div.solution details.hide { display: none !important; }
}"""


def chapters():
    """Give the chapters by their numbers, with the name that their files have in the kit."""
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf8"))
    parts = (part["chapters"] for part in contents["parts"] if part.get("numbered"))
    for number, page in enumerate(itertools.chain.from_iterable(parts), 1):
        yield page["file"], f"{number:02}-{page['file'].rsplit('/', 1)[-1]}"


def wheel(folder):
    """Build the package as one file and return its path."""
    shutil.rmtree(folder, ignore_errors=True)
    command = [sys.executable, "-m", "uv", "build", "--quiet", "--wheel", "--no-build-isolation"]
    subprocess.run([*command, "--out-dir", folder, ROOT], cwd=ROOT, check=True)
    (found,) = folder.glob("rgkit-*.whl")
    return found


def notebook(path):
    """Return a notebook of the site whose first cell installs what the kit holds."""
    book = nbformat.read(path, as_version=4)
    book.cells[0].source = INSTALL
    return nbformat.writes(book)


def handouts(listed):
    """Print the chapters without and with solutions, and give the files by their kit's names."""
    with pdf.paper() as printed:
        for folder, style in (("handouts", ""), ("handouts-with-solutions", SOLVED)):
            (TEACH / folder).mkdir(exist_ok=True)
            for page, name in listed:
                target = TEACH / folder / f"{name}.pdf"
                printed(page, target, style=style)
                yield f"{folder}/{name}.pdf", target


def kit(listed):
    """Write everything, and the zip file of it all."""
    package = wheel(TEACH / "package")
    with zipfile.ZipFile(TEACH / "kit.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kit/README.md", README.format(wheel=package.name))
        archive.write(package, f"kit/{package.name}")
        for page, name in listed:
            for folder, source in NOTEBOOKS.items():
                text = notebook(HTML / source / f"{page}.ipynb")
                archive.writestr(f"kit/{folder}/{name}.ipynb", text)
        for name, path in handouts(listed):
            archive.write(path, f"kit/{name}")
    return TEACH / "kit.zip"


if __name__ == "__main__":
    written = kit(list(chapters()))
    print(f"{written.relative_to(ROOT)}: {written.stat().st_size / 1e6:.1f} MB")
