"""MyST Markdown turned into the Markdown that every notebook viewer reads."""

import re

import yaml

FENCE = re.compile(r"^\s*(?P<fence>`{3,}|:{3,})\{(?P<name>[^}]+)\}\s*(?P<argument>.*)$")
OPTION = re.compile(r"^\s*:([\w-]+):\s*(.*)$")
ROLE = re.compile(r"\{([a-z:]+)\}`([^`]+)`")
TARGET = re.compile(r"^\([\w-]+\)=\s*$")
LABELLED = re.compile(r"^(.*)\$\$\s*\(([\w-]+)\)\s*$", re.MULTILINE)
WITH_TEXT = re.compile(r"^(.*?)\s*<([^>]+)>$", re.DOTALL)

# headings, so that a notebook's outline has the exercises and folds their solutions
EXERCISE, SOLUTION = "### ", "#### Solution to "
# a line of its own, which whoever makes a notebook of the text takes out again
SOLVED = "<!-- end of the solution -->"
PROVED = {
    "theorem", "lemma", "corollary", "proposition", "definition", "remark", "conjecture", "example",
    "algorithm", "axiom", "criterion", "observation", "property", "assumption",
}  # fmt: skip
BOXES = {
    "note",
    "tip",
    "warning",
    "important",
    "hint",
    "caution",
    "attention",
    "danger",
    "error",
    "seealso",
}
UNWRAPPED = {
    "div",
    "grid",
    "grid-item",
    "card",
    "tab-set",
    "margin",
    "sidebar",
    "table",
    "epigraph",
    "centered",
}
DROPPED = {
    "bibliography",
    "tableofcontents",
    "contents",
    "index",
    "exercise-end",
    "raw",
    "eval-rst",
}
DROPPED |= {"nb-exec-table"}  # the notebook's reader has other run times


class Unreadable(ValueError):
    """MyST syntax that has no plain form yet."""


class References:
    """What the page's roles resolve to: texts by label, and where they lead."""

    def __init__(self, texts=None, numbers=None, equations=None, cited=None, glued=None):
        self.texts = texts or {}
        self.numbers = numbers or {}
        self.equations = equations or {}
        self.cited = cited or {}
        self.glued = glued or {}

    def role(self, name, content):
        """Return the plain form of one role."""
        if name.startswith("glue"):
            return self.glued[content.split(":")[0]]
        if name == "math":
            return f"${content}$"
        if name.startswith("cite"):
            return self.citation(name, content)
        if name in {
            "doc",
            "ref",
            "numref",
            "eq",
            "prf:ref",
            "term",
            "py:class",
            "py:func",
            "py:meth",
            "download",
        }:
            return self.link(content)
        raise Unreadable(f"no plain form for the role {name!r}")

    def citation(self, name, content):
        """Return authors and years, linked to the publications."""
        entries = [self.cited[key.strip()] for key in content.split(",")]
        in_text = name.endswith(":t")
        shown = [
            f"[{who} ({year})]({where})" if in_text else f"[{who}, {year}]({where})"
            for who, year, where in entries
        ]
        return ", ".join(shown) if in_text else f"({'; '.join(shown)})"

    def link(self, content):
        """Return the text of a cross-reference."""
        given = WITH_TEXT.match(content)
        return given[1] if given else self.texts.get(content, content.rsplit("/", 1)[-1])


def convert(text, references):
    """Return ``text`` with its directives, labels and roles in plain Markdown."""
    return "\n".join(_blocks(text.split("\n"), references)).strip("\n")


def _blocks(lines, references):
    lines, prose = list(lines), []
    while lines:
        line = lines.pop(0)
        opening = FENCE.match(line)
        if opening or line.lstrip().startswith("```"):
            yield from _prose(prose, references)
            prose.clear()
        if opening:
            yield from _directive(opening, _body(lines, opening["fence"]), references)
        elif line.lstrip().startswith("```"):
            yield line
            yield from _verbatim(lines, line.strip())
        elif not TARGET.match(line) and not line.startswith(("%", "+++")):
            prose.append(line)
    yield from _prose(prose, references)


def _prose(lines, references):
    """Convert lines together: a role may begin on one and end on the next."""
    return [_inline("\n".join(lines), references)] if lines else []


def _body(lines, fence):
    """Take the lines up to the fence that closes this one."""
    body = []
    while lines:
        line = lines.pop(0)
        if re.fullmatch(rf"\s*{re.escape(fence[0])}{{{len(fence)},}}\s*", line):
            return body
        body.append(line)
    raise Unreadable(f"a directive is not closed by {fence!r}")


def _verbatim(lines, fence):
    ticks = re.match("`+", fence)[0]
    while lines:
        line = lines.pop(0)
        yield line
        if line.strip() == ticks:
            return


def _options(body):
    """Split a directive's body into its options and its content."""
    options = {}
    if body and body[0].strip() == "---" and "---" in (rest := [b.strip() for b in body[1:]]):
        end = rest.index("---") + 1
        return yaml.safe_load("\n".join(body[1:end])) or {}, body[end + 1 :]
    while body and (found := OPTION.match(body[0])):
        options[found[1]] = found[2]
        body = body[1:]
    return options, body


def _directive(opening, body, references):
    options, body = _options(body)
    name, argument = opening["name"], _inline(opening["argument"], references)
    kind = name.removeprefix("prf:")
    label = options.get("label") or opening["argument"].strip()
    content = list(_blocks(body, references))
    if name in {"code-block", "code", "literalinclude"}:
        return [f"```{argument}", *body, "```"]
    if name == "math":
        return ["$$", *body, f"{_tag(label, references)}$$"]
    if name.startswith("prf:") and kind == "proof":
        return ["*Proof.*", "", *content, "", "∎"]
    if name.startswith("prf:") and kind in PROVED:
        return [f"**{_named(kind, label, argument, references)}.**", "", *content]
    if name in {"exercise", "exercise-start"}:
        return [f"{EXERCISE}{_named('exercise', label, argument, references)}", "", *content]
    if name == "solution-start":
        return [f"{SOLUTION}{references.link(argument)}"]
    if name == "solution":
        return [f"{SOLUTION}{references.link(argument)}", "", *content, SOLVED]
    if name == "solution-end":
        return [SOLVED]
    if name == "dropdown":
        return _folded(argument, content)
    if name == "admonition" or name in BOXES:
        title = argument if name == "admonition" else name.title()
        return [f"> **{title}**", ">", *(f"> {line}".rstrip() for line in content)]
    if name in {"figure", "image"}:
        return [f"*{options.get('alt', '')}*", "", *content]
    if name == "glossary":
        return content
    if name in DROPPED:
        return []
    if name in UNWRAPPED:
        return content
    raise Unreadable(f"no plain form for the directive {name!r}")


def _named(kind, label, title, references):
    """Return a name such as "Theorem 1.1 (Gap)"."""
    number = references.numbers.get(label)
    return f"{kind.title()}{f' {number}' if number else ''}" + (f" ({title})" if title else "")


def _folded(summary, content):
    return [f"<details><summary>{summary}</summary>", "", *content, "", "</details>"]


def _tag(label, references):
    number = references.equations.get(label)
    return rf"\tag{{{number}}}" if number else ""


def _inline(text, references):
    text = LABELLED.sub(lambda found: f"{found[1]}{_tag(found[2], references)}$$", text)
    return ROLE.sub(lambda role: references.role(role[1], " ".join(role[2].split())), text)
