// The page "Playground": its controls, its charts, and the worker that trains.
(function () {
  "use strict";
  const form = document.getElementById("playground-form");
  const field = (name) => form.elements[name];
  const part = (name) => document.getElementById(`playground-${name}`);
  const NAMES = ["K", "N", "n", "width", "objective", "optimizer", "batch", "steps", "seed"];
  const NUMBERS = ["K", "N", "n", "width", "batch", "steps", "seed"];
  const RATES = { adam: 0.01, sgd: 0.3 };
  const OBJECTIVES = { infomax: "rg.Infomax()", reconstruction: "rg.Reconstruction()", label: "rg.Classification(label)" };
  const SPOKEN = 4000; // milliseconds between two sentences of a run
  const figures = [...document.querySelectorAll(".vl-chart")];
  const DRAWN_IN = { levels: 0, curve: 0, states: 1, reads: 2 };
  const data = {};
  let levels = null;
  let playing = false;
  let finished = false;
  let spoken = 0;

  // ---- settings: in the form, in the address, in Python ----

  function settings() {
    const chosen = Object.fromEntries(NAMES.map((name) => [name, field(name).value]));
    NUMBERS.forEach((name) => { chosen[name] = Number(chosen[name]); });
    return { ...chosen, rate: RATES[chosen.optimizer] };
  }

  function fromAddress() {
    new URLSearchParams(window.location.hash.slice(1)).forEach((value, name) => {
      if (!NAMES.includes(name)) return;
      const before = field(name).value;
      field(name).value = value;
      // what is not on offer leaves a list empty
      if (!field(name).value || !field(name).checkValidity()) field(name).value = before;
    });
  }

  const address = () => `#${new URLSearchParams(NAMES.map((name) => [name, field(name).value]))}`;

  function inPython({ K, N, n, width, objective, optimizer, rate, batch, steps, seed }) {
    const sgd = `, optimizer=optax.sgd(\n        optax.linear_schedule(${rate}, 0, ${Math.floor(steps / 5)}, ${steps - Math.floor(steps / 5)})\n    )`;
    return [
      "import jax",
      ...(optimizer === "sgd" ? ["import optax"] : []),
      "import rgkit as rg",
      "",
      ...(objective === "label" ? ["def label(x):", "    return (x.sum() > 0).astype(int)", ""] : []),
      `network_key, key = jax.random.split(jax.random.key(${seed}))`,
      `network = rg.FCNetwork((${N}, ${width}, ${n}), rg.SpinChannel(), key=network_key)`,
      "run = rg.train(",
      `    network, rg.IsingChain(${K}, n_sites=${N}), ${OBJECTIVES[objective]},`,
      `    steps=${steps}, batch_size=${batch || "None"}, key=key${optimizer === "sgd" ? sgd : ""},`,
      ")",
      "run.history",
    ].join("\n");
  }

  // ---- what is shown ----

  const nats = (value) => (value < 0.0005 ? value.toExponential(1) : value.toFixed(3));
  const coupling = (value) => (Number.isFinite(value) ? value.toFixed(2) : "infinite");

  function put(name, rows) {
    data[name] = rows;
    const { vlView } = figures[DRAWN_IN[name]];
    if (vlView) vlView.data(name, rows).runAsync();
  }

  function showLevels() {
    const { steps } = settings();
    const kinds = { decimation: "decimation", chance: "random map", least: "best map" };
    put("levels", Object.entries(kinds).flatMap(([name, kind]) =>
      [0, steps].map((step) => ({ kind, step, gap: levels[name] }))));
  }

  function showRecord(record, speed) {
    const { n } = settings();
    const curve = record.step ? data.curve : [];
    put("curve", [
      ...curve,
      { kind: "gap", step: record.step, gap: record.gap },
      { kind: "D of the signs", step: record.step, gap: record.divergence },
    ]);
    put("states", record.signs.map((q, outcome) => ({
      state: Array.from({ length: n }, (_, j) => ((outcome >> j) & 1 ? "−" : "+")).join(""), q, even: 2 ** -n,
    })));
    put("reads", record.reads.flatMap((row, j) => row.map((c, i) => ({
      feature: j + 1, site: i + 1, size: Math.abs(c), sign: c < 0 ? "opposite" : "alike",
    }))));
    const cells = {
      step: record.step, speed: speed ? Math.round(speed) : "–", information: nats(record.information), gap: nats(record.gap),
      divergence: nats(record.divergence), coupling: coupling(record.coupling), field: coupling(record.field),
    };
    Object.entries(cells).forEach(([name, value]) => { part(name).textContent = value; });
  }

  function place(gap) {
    const passed = [["decimation", "decimation"], ["chance", "the random map"]].filter(([name]) => gap < levels[name]).map(([, word]) => word);
    const below = passed.length ? `below ${passed.join(" and ")}` : "above decimation and the random map";
    return `The gap is ${nats(gap)} nats, ${below}; no map comes below ${nats(levels.least)}.`;
  }

  function say(sentence, always = true) {
    if (!always && performance.now() - spoken < SPOKEN) return;
    spoken = performance.now();
    part("status").textContent = sentence;
  }

  function setPlaying(value) {
    playing = value;
    form.elements.play.textContent = playing ? "Pause" : "Play";
  }

  // ---- the worker ----

  // From its source, so that it also starts where the book is opened as a file.
  const source = new Blob([`(${window.playgroundWorker})()`], { type: "text/javascript" });
  const worker = new Worker(URL.createObjectURL(source));

  function showCoupling() {
    form.elements.shown.value = Number(field("K").value).toFixed(2);
  }

  function begin() {
    if (!form.reportValidity()) return;
    setPlaying(false);
    showCoupling();
    part("link").href = address();
    part("python").textContent = inPython(settings());
    say("The network is being set up.");
    worker.postMessage({ settings: settings() });
  }

  worker.onmessage = ({ data: message }) => {
    if (message.ready) {
      fromAddress();
      begin();
    } else if (message.error) {
      setPlaying(false);
      say(`Training stopped: ${message.error}.`);
    } else {
      if (message.levels) {
        ({ levels } = message);
        showLevels();
        form.dataset.ready = "yes";
      }
      const { record, speed, done } = message;
      showRecord(record, speed);
      finished = Boolean(done);
      if (done) setPlaying(false);
      const where = record.step ? `Step ${record.step} of ${settings().steps}${done ? ", the last" : ""}.` : "Ready: press Play.";
      say(`${where} ${place(record.gap)}`, !playing);
    }
  };
  worker.onerror = () => say("Training stopped: this browser could not run it.");

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", begin);
  field("K").addEventListener("input", showCoupling);
  form.elements.reset.addEventListener("click", begin);
  form.elements.once.addEventListener("click", () => {
    setPlaying(false);
    worker.postMessage({ play: false, step: true });
  });
  form.elements.play.addEventListener("click", () => {
    if (finished) begin();
    setPlaying(!playing);
    worker.postMessage({ play: playing });
  });
  window.addEventListener("hashchange", () => {
    fromAddress();
    begin();
  });
  // a chart that is drawn anew, for another width, has lost its data
  figures.forEach((figure) => figure.addEventListener("drawn", () => Object.entries(data).forEach(([name, rows]) => put(name, rows))));
})();
