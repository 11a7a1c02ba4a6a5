"""Start a chapter that builds: ``python scripts/chapter.py lenses/what-two-coins-tell``."""

import re
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
TEMPLATE = Path(__file__).with_suffix(".md")
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*/[a-z][a-z0-9]*(-[a-z0-9]+)*")
EXAMPLE = "lenses/what-two-coins-tell"
LABEL = re.compile(r"^:label: (\S+)|^:\s+name: (\S+)|\$\$ \((\S+)\)$|^\((\S+)\)=$", re.MULTILINE)
NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
OVERVIEW = "What one spin of a chain tells about another."
LEDGER = """\
## Chapter 0: @TITLE@

| Claim | Whose | Proof | Test | Verdict |
|---|---|---|---|---|
| Two fair coins with correlation $c$ share between $c^2/2$ and $c^2 \\ln 2$ nats. | classical \
| {prf:ref}`thm-@NAME@` | both bounds and the formula, both signs of $K$; a field as the control \
| holds for fair coins; fails in a field |"""


class Refused(ValueError):
    """A chapter that cannot be started, in one sentence."""


def pages(root):
    """Return all pages of the book by name."""
    paths = sorted((root / "book").rglob("*.md"))
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in paths}


def parts(contents):
    """Return the parts whose chapters are numbered."""
    return [part for part in yaml.safe_load(contents)["parts"] if part.get("numbered")]


def numbers(contents):
    """Return the number of each chapter."""
    chapters = [page["file"] for part in parts(contents) for page in part["chapters"]]
    return {page: number for number, page in enumerate(chapters, 1)}


def check(name, root):
    """Refuse a name that is missing, misspelt or taken."""
    if not name:
        raise Refused(f"NAME is missing: say for example make chapter NAME={EXAMPLE}.")
    if not NAME.fullmatch(name):
        form = "a folder and a file in small letters, digits and hyphens"
        raise Refused(f"NAME must be {form}, such as {EXAMPLE}; got {name!r}.")
    folder, stem = name.split("/")
    if (root / "book" / folder).exists() and not chapters_in(folder, toc(root)):
        raise Refused(f"book/{folder} holds no chapters: choose another folder.")
    for page in pages(root):
        if page.endswith(f"/{stem}"):
            raise Refused(f"{page}.md already exists: choose another name.")


def chapters_in(folder, contents):
    """Return the numbered chapters of a folder."""
    return [page for page in numbers(contents) if page.startswith(f"book/{folder}/")]


def toc(root):
    return (root / "_toc.yml").read_text(encoding="utf8")


def write(name, root):
    """Write the chapter's file, whose labels carry its name."""
    stem = name.split("/")[1]
    title = stem.replace("-", " ").capitalize()
    text = TEMPLATE.read_text(encoding="utf8").replace("@TITLE@", title).replace("@NAME@", stem)
    others = "\n".join(path.read_text(encoding="utf8") for path in pages(root).values())
    taken = set(labels(text)) & set(labels(others))
    if taken:
        raise Refused(f"The label {min(taken)} is taken: choose another name than {stem}.")
    path = root / "book" / f"{name}.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf8")


def labels(text):
    """Return the labels that a page gives."""
    return [label for found in LABEL.findall(text) for label in found if label]


def listed(contents, name):
    """Return the table of contents with the chapter as the last of its part, which may be new."""
    folder = name.split("/")[0]
    known = chapters_in(folder, contents)
    added = [f"      - file: book/{name}"]
    if not known:
        caption = f"Part {NUMERALS[len(parts(contents))]}. {folder.replace('-', ' ').capitalize()}"
        added = [f"  - caption: {caption}", "    numbered: 1", "    chapters:", *added]
    lines = contents.splitlines()
    after = lines.index(f"      - file: {(known or list(numbers(contents)))[-1]}") + 1
    return "\n".join([*lines[:after], *added, *lines[after:]]) + "\n"


def renumbered(text, numbers):
    """Return a page whose links to chapters have the numbers of the table of contents."""

    def number(link):
        return str(numbers.get(link["page"], link[0]))

    text = re.sub(r"\d+(?= </(?P<page>book/[\w/-]+)>)", number, text)
    return re.sub(r"(?m)^\d+(?=\. \{doc\}`/(?P<page>book/[\w/-]+)`)", number, text)


def in_overview(text, name, before):
    """Return the landing page with a line for the chapter."""
    line = re.search(rf"^\d+\. \{{doc\}}`/{before}`.*\n", text, re.MULTILINE)
    return text[: line.end()] + f"0. {{doc}}`/book/{name}` {OVERVIEW}\n" + text[line.end() :]


def in_ledger(text, name, number):
    """Return the claims ledger with a section for the chapter, and the later ones renumbered."""
    head, *sections = re.split(r"(?=^## Chapter )", text, flags=re.MULTILINE)
    stem = name.split("/")[1]
    section = LEDGER.replace("@TITLE@", stem.replace("-", " ")).replace("@NAME@", stem)
    sections.insert(number - 1, section)
    counted = [re.sub(r"\d+", str(n), text.strip(), count=1) for n, text in enumerate(sections, 1)]
    return "\n\n".join([head.strip(), *counted]) + "\n"


def start(name, root=ROOT):
    """Write the chapter, and name it wherever the book lists its chapters."""
    check(name, root)
    write(name, root)
    (root / "_toc.yml").write_text(listed(toc(root), name), encoding="utf8")
    order = numbers(toc(root))
    number = order[f"book/{name}"]
    edit(root / "book/reference/claims-ledger.md", in_ledger, name, number)
    edit(root / "book/index.md", in_overview, name, list(order)[number - 2])
    for page in pages(root).values():
        edit(page, renumbered, order)


def edit(path, change, *arguments):
    text = path.read_text(encoding="utf8")
    path.write_text(change(text, *arguments), encoding="utf8")


if __name__ == "__main__":
    name = " ".join(sys.argv[1:])
    try:
        start(name)
    except Refused as error:
        sys.exit(str(error))
    print(f"book/{name}.md is a chapter that builds. Write yours over it,")
    print("and over its section in the claims ledger and its line in book/index.md.")
