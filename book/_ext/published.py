"""What the book is on the web: a description and a picture for links, an error page, a map.

All but the addresses is there before the book has one (``html_baseurl`` in ``_config.yml``).
"""

import shutil
from pathlib import Path
from urllib.parse import urlsplit

from downloads import web

CARD = Path(__file__).parents[1] / "_static" / "card.png"
WITH_BUTTON = ("github.com", "gitlab.com")  # of which the theme knows the sign


def configure(app, config):
    """Give the extensions the book's address, its picture and its mark."""
    address = config.html_baseurl
    config.ogp_site_url = address
    config.ogp_image = f"_static/{CARD.name}" if address else None
    config.ogp_image_alt = "The book's mark, two curves that fall towards one point, and its title."
    config.ogp_site_name = config.html_title
    config.ogp_social_cards = {"enable": False}
    config.notfound_urls_prefix = urlsplit(address).path or "/"
    config.sitemap_url_scheme = "{link}"
    repository = web(config.html_theme_options.get("repository_url") or "")
    known = urlsplit(repository).netloc in WITH_BUTTON
    config.html_theme_options["use_repository_button"] = known


def card(app, exception):
    """Put the picture where links to the book ask for it."""
    if not exception:
        shutil.copy2(CARD, Path(app.outdir, "_static", CARD.name))


def setup(app):
    app.setup_extension("sphinxext.opengraph")
    app.setup_extension("notfound.extension")
    if app.config.html_baseurl:
        app.setup_extension("sphinx_sitemap")
    app.connect("config-inited", configure, priority=100)
    app.connect("build-finished", card)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
