"""Build one page of the book by itself: ``python scripts/page.py book/ising/chain-of-spins``."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
REFERENCE = ("book/reference/bibliography", "book/reference/glossary")


def contents(page):
    """Return a table of contents with the page and what it cites, as far as it is written."""
    others = [name for name in REFERENCE if (ROOT / f"{name}.md").exists() and name != page]
    listed = "".join(f"      - file: {name}\n" for name in others)
    return f"format: jb-book\nroot: {page}\n" + (
        f"parts:\n  - chapters:\n{listed}" if others else ""
    )


def main(page):
    page = page.removesuffix(".md")
    folder = ROOT / "_build" / "pages" / Path(page).name
    folder.mkdir(parents=True, exist_ok=True)
    toc = folder / "_toc.yml"
    toc.write_text(contents(page))
    command = [
        Path(sys.executable).with_name("jupyter-book"),
        "build",
        ROOT,
        "--toc",
        toc,
        "--path-output",
        folder,
    ]
    status = subprocess.run(command, cwd=ROOT).returncode
    print(f"{folder}/_build/html/{page}.html")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
