"""The playground trains what rgkit trains, in a worker, from the keyboard, and without a server."""

import gzip

import jax
import numpy as np
import optax
import pytest
from opened import HTML, PAGES

import rgkit as rg

PAGE = "book/playground"
SMALL = {"K": 0.8, "N": 8, "n": 3, "width": 16, "batch": 0, "steps": 500, "seed": 3}
# what the worker says is kept, beside what the page makes of it
LISTEN = """
  window.heard = [];
  const Plain = window.Worker;
  window.Worker = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({data}) => window.heard.push(data));
    }
  };
"""


@pytest.fixture
def play(context, site):
    """Open the playground with settings in its address, ready to train."""
    opened = []

    def open_page(root=site, **settings):
        page = context.new_page()
        opened.append(page)
        page.add_init_script(LISTEN)
        address = "&".join(f"{name}={value}" for name, value in settings.items())
        page.goto(f"{root}/{PAGE}.html#{address}")
        page.wait_for_selector("#playground-form[data-ready=yes]")
        return page

    yield open_page
    for page in opened:
        page.close()


def trained(page):
    """The losses and the records of a run from its first step to its last."""
    page.click("button[name=play]")
    page.wait_for_function("heard.some(message => message.done)")
    heard = page.evaluate("heard")
    losses = [loss for message in heard for loss in message.get("losses", [])]
    return np.array(losses), [message["record"] for message in heard if "record" in message]


def in_python(objective, optimizer):
    """The same run with rgkit, recorded at each step."""
    network_key, key = jax.random.split(jax.random.key(SMALL["seed"]))
    steps, widths = SMALL["steps"], (SMALL["N"], SMALL["width"], SMALL["n"])
    falling = optax.linear_schedule(0.3, 0, steps // 5, steps - steps // 5)
    tasks = {
        "infomax": rg.Infomax(),
        "reconstruction": rg.Reconstruction(),
        "label": rg.Classification(lambda x: (x.sum() > 0).astype(int)),
    }
    return rg.train(
        rg.FCNetwork(widths, rg.SpinChannel(), key=network_key),
        rg.IsingChain(SMALL["K"], n_sites=SMALL["N"]),
        tasks[objective],
        steps=steps,
        optimizer=optax.sgd(falling) if optimizer == "sgd" else None,
        records=steps,
        key=key,
    )


@pytest.mark.parametrize(
    ("objective", "optimizer"),
    [("infomax", "sgd"), ("reconstruction", "sgd"), ("label", "sgd"), ("label", "adam")],
)
def test_the_page_takes_the_steps_of_rgkit(play, objective, optimizer):
    losses, records = trained(play(objective=objective, optimizer=optimizer, **SMALL))
    run = in_python(objective, optimizer)
    expected = run.history.loss.to_numpy()
    assert len(losses) == SMALL["steps"]
    assert abs(losses[:6] - expected[:6]).max() < 1e-5
    assert abs(losses[:101] - expected[:101]).max() < 1e-4
    first, last = run.history.iloc[0], run.history.iloc[-1]
    for record, row, error in ((records[0], first, 1e-5), (records[-1], last, 1e-3)):
        for name in ("information", "gap", "divergence"):
            assert record[name] == pytest.approx(row[name], abs=error)


def test_with_adam_the_losses_part_where_rounding_decides(play):
    """The slope of a bias is zero but for rounding, and Adam makes a full step of it."""
    losses, _ = trained(play(objective="infomax", optimizer="adam", **SMALL))
    expected = in_python("infomax", "adam").history.loss.to_numpy()
    assert abs(losses[:2] - expected[:2]).max() < 1e-4
    assert 1e-5 < abs(losses[:101] - expected[:101]).max() < 0.05


def test_its_lines_are_those_of_rgkit(play):
    levels = play(**SMALL | {"n": 4}).evaluate("heard.find(message => message.levels).levels")
    ring = rg.IsingChain(SMALL["K"], n_sites=SMALL["N"])
    maps = [rg.random_map(4, key) for key in jax.random.split(jax.random.key(0), 64)]
    chance = [rg.pushforward(ring, each).gap() for each in maps]
    assert levels["decimation"] == pytest.approx(rg.pushforward(ring, rg.decimation(2)).gap())
    assert levels["least"] == pytest.approx(rg.water_filling_divergence(ring, 4))
    # of 32 maps there and 64 here
    assert abs(levels["chance"] - np.mean(chance)) < 5 * np.std(chance) * (1 / 32 + 1 / 64) ** 0.5


def test_it_is_played_from_the_keyboard_and_speaks(play):
    page = play(**SMALL)
    assert "press Play" in page.inner_text("#playground-status")
    page.focus("button[name=once]")
    page.keyboard.press("Enter")
    page.wait_for_function("document.getElementById('playground-step').textContent === '1'")
    assert page.inner_text("#playground-status").startswith("Step 1 of 500.")
    page.focus("button[name=play]")
    page.keyboard.press("Space")
    page.wait_for_function("heard.some(message => message.done)")
    assert page.inner_text("#playground-status").startswith("Step 500 of 500, the last.")
    assert page.inner_text("button[name=play]") == "Play"
    curve = page.evaluate("document.querySelector('.vl-chart').vlView.data('curve').length")
    assert curve > 4


def test_a_pause_stops_it_and_a_change_begins_anew(play):
    page = play(**SMALL | {"N": 12, "width": 64, "steps": 5000})
    page.click("button[name=play]")
    page.wait_for_function("heard.length > 3")
    page.click("button[name=play]")
    page.wait_for_timeout(600)
    step = page.inner_text("#playground-step")
    page.wait_for_timeout(400)
    assert page.inner_text("#playground-step") == step and int(step) > 0
    page.select_option("select[name=n]", "2")
    page.wait_for_function("document.getElementById('playground-step').textContent === '0'")
    assert "n=2" in page.get_attribute("#playground-link", "href")
    assert "rg.FCNetwork((12, 64, 2)" in page.inner_text("#playground-python")


def test_a_link_sets_what_is_on_offer_and_nothing_else(play):
    page = play(K=0.5, N=99, n=2, width="many", seed=-1, other=1)
    chosen = page.evaluate(
        "['K', 'N', 'n', 'width', 'seed'].map("
        "name => document.getElementById('playground-form').elements[name].value)"
    )
    assert chosen == ["0.5", "12", "2", "64", "0"]


def test_it_starts_without_a_server(play):
    assert "press Play" in play(HTML.as_uri(), **SMALL).inner_text("#playground-status")


def test_it_is_light_and_only_this_page_carries_it():
    worker = (HTML / "_static" / "playground-worker.js").read_bytes()
    assert len(gzip.compress(worker)) < 120_000
    carriers = [
        page for page in PAGES if "playground-worker" in (HTML / f"{page}.html").read_text("utf8")
    ]
    assert carriers == [PAGE]
