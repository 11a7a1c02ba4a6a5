"""Pages and charts of the built site, as a test sees them in the browser."""

import http.server
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
CONTENTS = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [
    CONTENTS["root"],
    *(page["file"] for part in CONTENTS["parts"] for page in part["chapters"]),
]
TEXTS = {page: (ROOT / f"{page}.md").read_text(encoding="utf8") for page in PAGES}
CHAPTERS = [page for page, text in TEXTS.items() if "{code-cell}" in text]
EXTRA = ["search", "genindex"]  # made by Sphinx


class Server(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Keep the tests' output readable."""


class Chart:
    """One drawn chart of a page."""

    def __init__(self, element):
        self.element = element
        self.sliders = element.query_selector_all("input[type=range]")

    @property
    def description(self):
        return self.element.evaluate(
            "figure => JSON.parse(figure.querySelector('script').textContent).description"
        )

    def marks(self):
        """Return the drawn marks as text, to see whether anything has moved."""
        self.settle()
        return self.svg.evaluate("svg => svg.innerHTML")

    @property
    def svg(self):
        return self.element.query_selector("svg")

    def settle(self):
        self.element.evaluate("figure => figure.vlView.runAsync().then(() => null)")

    def set(self, **values):
        """Set parameters by name, as their sliders would."""
        script = """(figure, values) => {
          for (const name in values) figure.vlView.signal(name, values[name]);
        }"""
        self.element.evaluate(script, values)
        self.settle()

    def signal(self, name):
        return self.element.evaluate("(figure, name) => figure.vlView.signal(name)", name)

    def data(self):
        """Return the data sets behind the drawing by name.

        Each is a list of rows with plain values.
        """
        script = """figure => {
          const plain = (row) => Object.fromEntries(
            Object.entries(row).filter(([, value]) => Object(value) !== value)
          );
          const names = Object.keys(figure.vlView._runtime.data);
          return Object.fromEntries(
            names.map((name) => [name, (figure.vlView.data(name) || []).map(plain)])
          );
        }"""
        return self.element.evaluate(script)

    def sets(self, *fields):
        """Return every data set whose rows have all the fields."""
        found = [rows for rows in self.data().values() if rows]
        return [rows for rows in found if all(field in rows[0] for field in fields)]

    def rows(self, *fields):
        """Return the longest data set whose rows have all the fields."""
        return max(self.sets(*fields), key=len)

    def drawn(self, *fields):
        """Return the chosen fields of every row that a mark is drawn for, where it has them all."""
        script = """(figure, fields) => {
          const found = [];
          const walk = item => {
            const row = Object(item.datum);
            if (fields.every(field => field in row))
              found.push(Object.fromEntries(fields.map(field => [field, row[field]])));
            (item.items || []).forEach(walk);
          };
          walk(figure.vlView.scenegraph().root);
          return found;
        }"""
        self.settle()
        return self.element.evaluate(script, list(fields))


class Visit:
    """A page as a reader has it open, with everything that went wrong on the way."""

    def __init__(self, context, site, name, scheme, width=1280):
        self.name, self.site = name, site
        self.outside, self.problems = [], []
        self.page = context.new_page()
        self.page.set_viewport_size({"width": width, "height": 900})
        self.listen()
        self.page.emulate_media(color_scheme=scheme)
        self.page.goto(f"{self.site}/{self.name}.html", wait_until="load")
        self.open_boxes()
        self.wait()

    def listen(self):
        self.page.on("request", self.ask)
        self.page.on("console", self.note)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on(
            "requestfailed", lambda request: self.problems.append(f"failed: {request.url}")
        )
        self.page.on("response", self.answer)

    def ask(self, request):
        if not request.url.startswith((self.site, "data:", "blob:")):
            self.outside.append(request.url)

    def note(self, message):
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def answer(self, response):
        if response.status >= 400:
            self.problems.append(f"{response.status}: {response.url}")

    def open_boxes(self):
        """Open what is folded, since a closed box hides its faults."""
        self.page.evaluate(
            "document.querySelectorAll('details').forEach(box => { box.open = true; })"
        )
        for button in self.page.query_selector_all("button.toggle-button.toggle-button-hidden"):
            button.evaluate("button => button.click()")

    def wait(self):
        """Wait until mathematics and charts stand, those below the window too."""
        self.page.evaluate("window.dispatchEvent(new Event('drawcharts'))")
        if self.page.query_selector(".math"):
            self.page.wait_for_function(
                "window.MathJax && MathJax.startup && MathJax.startup.promise"
            )
            self.page.evaluate("MathJax.startup.promise.then(() => null)")
        ready = """[...document.querySelectorAll('.vl-chart')].every(
          figure => figure.dataset.ready || !figure.clientWidth
        )"""
        self.page.wait_for_function(ready)

    def switch(self, scheme):
        """Let the reader's system change between light and dark while the page is open."""
        self.page.emulate_media(color_scheme=scheme)
        self.page.wait_for_function(
            "scheme => document.documentElement.dataset.theme === scheme", arg=scheme
        )

    @property
    def theme(self):
        return self.page.get_attribute("html", "data-theme")

    def resize(self, width):
        self.page.set_viewport_size({"width": width, "height": 900})
        self.page.wait_for_timeout(600)

    @property
    def charts(self):
        return [Chart(element) for element in self.page.query_selector_all(".vl-chart")]

    def figure(self, name):
        """Return the chart of a numbered figure."""
        return Chart(self.page.query_selector(f"#{name} .vl-chart"))

    def close(self):
        self.page.close()
