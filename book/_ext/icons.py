"""Icons as a font of those that the pages show, in place of all that there are and a script.

The theme has each icon twice, as a script that draws it and in a font; the font alone is enough.
"""

import re
from pathlib import Path

from fontTools import subset

SCRIPT = re.compile(r'<script defer src="[^"]*scripts/fontawesome\.js[^"]*"></script>\n?')
NAMED = re.compile(r"\bfa-[a-z0-9-]+")
RULE = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"\\([0-9a-f]+)"\}')
CODE = re.compile(r'"\\(f[0-9a-f]{3})"')
FONT = "fa-solid-900"


def codes(pages, styles):
    """Return the code points of the icons that pages name, and of those that styles insert."""
    named = set(NAMED.findall(pages))
    found = {
        code for names, code in RULE.findall(styles) if named & set(NAMED.findall(names))
    } | set(CODE.findall(RULE.sub("", styles)))
    return sorted(int(code, 16) for code in found)


def shrink(path, wanted):
    """Keep these code points of a font."""
    options = subset.Options(flavor=path.suffix[1:] if path.suffix == ".woff2" else None)
    font = subset.load_font(str(path), options)
    kept = subset.Subsetter(options)
    kept.populate(unicodes=wanted)
    kept.subset(font)
    subset.save_font(font, str(path), options)


def replace(app, exception):
    """Take the script out of all pages, and make the font small."""
    static = Path(app.outdir, "_static")
    if exception or not (static / "scripts" / "fontawesome.js").exists():
        return
    pages = {path: path.read_text(encoding="utf8") for path in Path(app.outdir).rglob("*.html")}
    for path, text in pages.items():
        if SCRIPT.search(text):
            path.write_text(SCRIPT.sub("", text), encoding="utf8")
    styles = "".join(path.read_text(encoding="utf8") for path in static.rglob("*.css"))
    wanted = codes("".join(pages.values()), styles)
    for font in (static / "vendor" / "fontawesome" / "webfonts").glob(f"{FONT}.*"):
        shrink(font, wanted)
    for script in static.glob("scripts/fontawesome*"):
        script.unlink()


def setup(app):
    app.connect("build-finished", replace)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
