"""The parts that build the site.

The cache's key, the charts, the notebooks' Markdown, the locks.
"""

import re
import shutil
import tomllib
from urllib.parse import parse_qs, unquote, urlsplit

import altair as alt
import downloads
import execution
import numpy as np
import pandas as pd
import plain_markdown
import pytest
import yaml
from opened import HTML, ROOT
from packaging.specifiers import SpecifierSet

from rgkit import charts

ALT = (
    "The distance to the fixed point falls with every step of the flow, "
    "faster for weaker couplings."
)
LINE = alt.Chart(pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0]})).mark_line().encode(x="x", y="y")


@pytest.fixture
def checkout(tmp_path):
    for name in execution.INPUTS:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", ["rgkit/presentation/charts.py", "locks/book.txt"])
def test_a_change_of_the_package_or_the_lock_changes_the_key(checkout, name):
    before = execution.key(checkout)
    with (checkout / name).open("a") as file:
        file.write("\n# changed\n")
    assert execution.key(checkout) != before


def test_stored_data_belong_to_the_key(checkout):
    before = execution.key(checkout)
    (checkout / "rgkit" / "data" / "new.csv").write_text("K\n1\n")
    assert execution.key(checkout) != before


def test_compiled_files_do_not_belong_to_the_key(checkout):
    before = execution.key(checkout)
    (checkout / "rgkit" / "__pycache__").mkdir(exist_ok=True)
    (checkout / "rgkit" / "__pycache__" / "new.pyc").write_bytes(b"0")
    assert execution.key(checkout) == before


def test_the_site_was_executed_under_the_present_key():
    assert [folder.name for folder in (HTML.parent / "executed").iterdir()] == [execution.key()]


def test_a_chart_needs_a_description():
    with pytest.raises(ValueError, match="alt must say"):
        charts.show(LINE, alt="A line chart.")


def test_a_chart_must_be_small():
    heavy = (
        alt.Chart(pd.DataFrame({"x": np.random.default_rng(0).normal(size=20_000)}))
        .mark_point()
        .encode(x="x")
    )
    with (
        alt.data_transformers.enable("default", max_rows=None),
        pytest.raises(ValueError, match="limit is 300 kB"),
    ):
        charts.show(heavy, alt=ALT)


def test_a_chart_wraps_in_one_direction():
    with pytest.raises(ValueError, match="row and column"):
        charts.show(LINE.encode(row="x:N", column="y:N"), alt=ALT)


def test_a_slider_starts_within_its_range():
    with pytest.raises(ValueError, match="value must lie between"):
        charts.slider("K", "coupling K", 0, 2, 0.1, 3)


def test_glued_numbers_are_formatted():
    with pytest.raises(TypeError, match="gap must be formatted"):
        charts.glue(gap=0.25)


@pytest.mark.parametrize(
    "value, text", [(1.23e-7, "1.2 × 10⁻⁷"), (5e10, "5.0 × 10¹⁰"), (-2.0, "−2.0 × 10⁰")]
)
def test_powers_of_ten(value, text):
    assert charts.power(value) == text


def test_a_chart_shows_in_the_book_and_in_the_notebook():
    bundle = charts.show(LINE, alt=ALT)._repr_mimebundle_()
    assert bundle["text/plain"] == ALT and bundle[charts.VEGA_LITE]["width"] > 0


REFERENCES = plain_markdown.References(
    texts={"thm-gap": "Theorem 1.1"},
    numbers={"thm-gap": "1.1"},
    equations={"eq-t": "3"},
    cited={"Kadanoff1966": ("Kadanoff", "1966", "https://doi.org/10.1")},
    glued={"gap": "0.271"},
)


@pytest.mark.parametrize(
    "source, plain",
    [
        (
            "```{prf:theorem} Gap\n:label: thm-gap\n$G$ falls.\n```",
            "**Theorem 1.1 (Gap).**\n\n$G$ falls.",
        ),
        ("```{prf:proof}\nDone.\n```", "*Proof.*\n\nDone.\n\n∎"),
        (":::{note}\nRead.\n:::", "> **Note**\n>\n> Read."),
        ("````{admonition} A\n```{math}\nx\n```\n````", "> **A**\n>\n> $$\n> x\n> $$"),
        (
            "The gap is {glue:text}`gap`, by {prf:ref}`thm-gap`.",
            "The gap is 0.271, by Theorem 1.1.",
        ),
        ("{cite:t}`Kadanoff1966`", "[Kadanoff (1966)](https://doi.org/10.1)"),
        ("{term}`fixed points <fixed point>`", "fixed points"),
        ("$$\nt\n$$ (eq-t)", "$$\nt\n\\tag{3}$$"),
        ("```{math}\n:label: eq-t\nt\n```", "$$\nt\n\\tag{3}$$"),
        ("```{math}\n---\nlabel: eq-t\n---\nt\n```", "$$\nt\n\\tag{3}$$"),
        ("A {term}`fixed\npoint` and {term}`flows\n<flow>`.", "A fixed point and flows."),
        (
            "{cite:p}`Kadanoff1966`:\n:::{note}\nRead\n:::",
            "([Kadanoff, 1966](https://doi.org/10.1)):\n> **Note**\n>\n> Read",
        ),
        ("```{exercise} One\n:label: thm-gap\nTry.\n```", "### Exercise 1.1 (One)\n\nTry."),
        ("```{solution-start} thm-gap\n:class: dropdown\n```", "#### Solution to Theorem 1.1"),
        (
            "```{solution} thm-gap\n:class: dropdown\nSo.\n```",
            "#### Solution to Theorem 1.1\n\nSo.\n<!-- end of the solution -->",
        ),
        ("```{solution-end}\n```\nOn.", "<!-- end of the solution -->\nOn."),
        ("(sec-a)=\n# A", "# A"),
        ("```python\n{ref}`kept`\n```", "```python\n{ref}`kept`\n```"),
    ],
)
def test_directives_become_plain(source, plain):
    assert plain_markdown.convert(source, REFERENCES) == plain


@pytest.mark.parametrize(
    "source", ["```{unheard-of}\n```", "{unheard}`of`", "```{note}\nnever closed"]
)
def test_what_has_no_plain_form_is_named(source):
    with pytest.raises(plain_markdown.Unreadable):
        plain_markdown.convert(source, REFERENCES)


NAMED = [
    ("https://github.com/a/b", "https://github.com/a/b"),
    ("https://github.com/a/b.git/", "https://github.com/a/b"),
    ("git@github.com:a/b.git", "https://github.com/a/b"),
    ("https://gitlab.com/group/part/b", "https://gitlab.com/group/part/b"),
    ("https://git.example.org:8443/a/b", "https://git.example.org:8443/a/b"),
    ("ssh://git@git.example.org:22/a/b.git", "https://git.example.org/a/b"),
    ("", ""),
    ("my book", ""),
    ("https://example.org", ""),
]


@pytest.mark.parametrize("given, address", NAMED)
def test_a_repository_may_be_named_as_git_names_it(given, address):
    assert downloads.web(given) == address


@pytest.mark.parametrize(
    "url, kinds",
    [
        ("https://github.com/a/b", {"Binder": "v2/gh/a/b/HEAD", "Colab": "/github/a/b/blob/"}),
        ("https://gitlab.com/g/p/b", {"Binder": "v2/gl/g%2Fp%2Fb/HEAD"}),
        ("https://x.org:81/a/b", {"Binder": "v2/git/https%3A%2F%2Fx.org%3A81%2Fa%2Fb/HEAD"}),
        ("", {}),
    ],
)
def test_a_page_is_launched_where_its_repository_can_be(url, kinds):
    offered = downloads.places(url, "book/a page")
    assert set(offered) == set(kinds)
    for place, part in kinds.items():
        assert part in offered[place]
    for link in filter(None, [offered.get("Binder")]):
        (inner,) = parse_qs(urlsplit(link).query)["urlpath"]
        wanted = {name: value for name, (value,) in parse_qs(urlsplit(inner).query).items()}
        assert wanted["repo"] == url and wanted["branch"] == "gh-pages"
        assert unquote(wanted["urlpath"]) == "lab/tree/b/_sources/book/a page.ipynb"


def pyproject():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_conda_environment_has_the_ranges_of_the_package():
    project = pyproject()
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = {re.split("[<>=]", item)[0]: item for item in listed if isinstance(item, str)}
    version = conda.pop("python").removeprefix("python=")
    assert version in SpecifierSet(project["requires-python"])
    assert {conda.pop("pip"), conda.pop("nbgitpuller")} == {"pip", "nbgitpuller"}
    wanted = project["dependencies"] + project["optional-dependencies"]["notebooks"]
    assert sorted(conda.values()) == sorted(wanted)
    (pip,) = [item["pip"] for item in listed if isinstance(item, dict)]
    assert pip == ["--editable .[book]"]


@pytest.mark.parametrize("name", ["book", "test", "uv"])
def test_locks_have_hashes_and_no_addresses(name):
    text = (ROOT / "locks" / f"{name}.txt").read_text()
    pinned = re.findall(r"^[\w.\[\]-]+==", text, re.MULTILINE)
    assert pinned and text.count("--hash=sha256:") >= len(pinned)
    assert not re.search(r"https?://|file:|index-url|find-links", text)


@pytest.mark.parametrize("extra, lock", [("book", "book"), ("test", "test")])
def test_locks_hold_every_dependency(extra, lock):
    project = pyproject()
    text = (ROOT / "locks" / f"{lock}.txt").read_text()
    extras = project["optional-dependencies"]
    wanted = project["dependencies"] + extras["notebooks"] + extras[extra]
    names = {re.split(r"[<>=\[]", item)[0] for item in wanted} - {project["name"]}
    assert [name for name in names if f"\n{name}==" not in text] == []
