(function () {
  "use strict";

  // Axes and text take the page's colour through currentColor in SVG: a switch between
  // light and dark needs no redraw, and the reader's sliders stay where they are.
  const INK = "currentColor";
  const CONFIG = {
    axis: {
      labelColor: INK, titleColor: INK, domainColor: INK, tickColor: INK,
      gridColor: INK, gridOpacity: 0.15, labelFontSize: 13, titleFontSize: 13, titleFontWeight: 500,
    },
    header: { labelColor: INK, titleColor: INK, labelFontSize: 13, titleFontSize: 13 },
    title: { color: INK, subtitleColor: INK, fontSize: 14, fontWeight: 500, anchor: "start" },
    legend: { labelColor: INK, titleColor: INK, labelFontSize: 13, titleFontSize: 13, labelLimit: 260, orient: "top" },
    text: { color: INK, fontSize: 13 },
    rule: { color: INK },
    font: "system-ui, sans-serif",   // named, because Vega measures text before the page lays it out
  };
  const PANEL = 230;      // narrowest readable panel of a composed chart, in pixels
  const GAP = 20;         // Vega-Lite's space between panels
  const REDRAW = 24;      // a change of width below this only rescales the drawing
  const ATTEMPTS = 4;
  const AHEAD = "600px";  // how far below the window a chart is drawn

  const isComposed = (spec) =>
    !(spec.mark || spec.layer) || ["facet", "column", "row"].some((channel) => (spec.encoding || {})[channel]);

  // Vega-Lite reports that a chart whose height follows from its categories is fitted in width alone: as asked.
  const LOGGER = {
    level() { return LOGGER; },
    error(...text) { console.error(...text); return LOGGER; },
    warn(...text) { if (!text.join(" ").includes('Dropping "fit-y"')) console.warn(...text); return LOGGER; },
    info() { return LOGGER; },
    debug() { return LOGGER; },
  };

  function columnsOf(spec, width) {
    const list = spec.hconcat || spec.concat;
    const asked = spec.columns || (list ? list.length : ((spec.encoding || {}).facet || {}).columns || 4);
    return Math.max(1, Math.min(asked, Math.floor(width / PANEL)));
  }

  // The same chart with panels that share `width`, `frame` being what axes take beside each panel.
  function fit(spec, width, frame) {
    const list = spec.hconcat || spec.concat;
    const columns = columnsOf(spec, width);
    const share = (width - GAP * (columns - 1)) / columns;
    if (list) {
      const { hconcat, ...rest } = spec;
      return { ...rest, columns, concat: list.map((panel) => fit(panel, share, frame)) };
    }
    if (spec.vconcat) return { ...spec, vconcat: spec.vconcat.map((panel) => fit(panel, width, frame)) };
    if (spec.facet && spec.spec) return { ...spec, columns, spec: fit(spec.spec, share, frame) };
    const { column, ...encoding } = spec.encoding || {};
    const facet = column || encoding.facet;
    const panel = { ...spec, width: Math.max(80, (facet ? share : width) - frame) };
    return facet ? { ...panel, encoding: { ...encoding, facet: { ...facet, columns } } } : panel;
  }

  // How many panels stand side by side in the widest row.
  function abreast(spec, width) {
    const list = spec.hconcat || spec.concat || spec.vconcat;
    const columns = spec.vconcat ? 1 : columnsOf(spec, width);
    if (list) return columns * Math.max(...list.map((panel) => (isComposed(panel) ? abreast(panel, width / columns) : 1)));
    return columns;
  }

  function embed(target, spec, width) {
    const legend = { ...CONFIG.legend, columns: Math.max(1, Math.floor(width / 150)) };
    return window.vegaEmbed(target, spec, {
      actions: false, renderer: "svg", config: { ...CONFIG, legend }, tooltip: { theme: "custom" }, logger: LOGGER,
    });
  }

  // Axes, legends and labels are measured, not guessed: draw, compare with the room there is, draw again.
  async function drawInto(target, spec, width) {
    const composed = isComposed(spec);
    const panels = composed ? abreast(spec, width) : 1;
    const single = (frame) => ({ ...spec, width: width - frame, autosize: { type: "fit-x", contains: "padding" } });
    let frame = composed ? 60 : 0;
    for (let attempt = 1; ; attempt += 1) {
      const result = await embed(target, composed ? fit(spec, width, frame) : single(frame), width);
      const excess = Number(target.querySelector("svg").getAttribute("width")) - width;
      if ((excess <= 0 && excess > -12) || attempt === ATTEMPTS) return result;
      result.finalize();
      frame += (excess + (composed ? 4 : 0)) / panels;
    }
  }

  const sliders = (spec) => (spec.params || []).filter((param) => param.bind && param.bind.input);

  function label(target) {
    target.querySelectorAll(".vega-bind").forEach((row) => {
      const name = row.querySelector(".vega-bind-name").textContent.trim();
      row.querySelectorAll("input, select").forEach((input) => input.setAttribute("aria-label", name));
    });
  }

  function addReset(target, view, params) {
    const form = target.querySelector(".vega-bindings");
    if (!form || !params.length) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "vl-reset";
    button.textContent = "Reset";
    button.addEventListener("click", () => {
      params.forEach((param) => view.signal(param.name, param.value));
      view.runAsync();
    });
    form.appendChild(button);
  }

  const positions = (view, params) => (view ? params.map((param) => [param.name, view.signal(param.name)]) : []);

  async function draw(figure, spec, width) {
    const target = figure.querySelector(".vl-target");
    const params = sliders(spec);
    const kept = positions(figure.vlView, params);
    if (figure.vlResult) figure.vlResult.finalize();
    const result = await drawInto(target, spec, width);
    kept.forEach(([name, value]) => result.view.signal(name, value));
    await result.view.runAsync();
    label(target);
    addReset(target, result.view, params);
    figure.vlResult = result;
    figure.vlView = result.view;
    figure.dataset.ready = "yes";
    figure.dispatchEvent(new Event("drawn"));
  }

  function fail(figure, error) {
    figure.dataset.ready = "error";
    figure.querySelector(".vl-target").textContent = "This chart could not be drawn: " + error;
    console.error(error);
  }

  // A chart is drawn when it is about to come into view, or all are asked for, and again when its
  // width changes. In a closed box it has no width: it is drawn when the box opens.
  function watch(figure) {
    const spec = JSON.parse(figure.querySelector("script").textContent);
    spec.config = { ...spec.config, background: "transparent" };
    let near = false;
    let drawn = 0;
    let queue = Promise.resolve();
    const redraw = () => {
      const width = figure.clientWidth;
      if (!near || !width || Math.abs(width - drawn) < REDRAW) return;
      drawn = width;
      queue = queue.then(() => draw(figure, spec, width)).catch((error) => fail(figure, error));
    };
    const approach = () => {
      near = true;
      redraw();
    };
    new ResizeObserver(redraw).observe(figure);
    new IntersectionObserver((entries, observer) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      observer.disconnect();
      approach();
    }, { rootMargin: AHEAD }).observe(figure);
    ["beforeprint", "drawcharts"].forEach((event) => window.addEventListener(event, approach));
  }

  // One chart that cannot be read or drawn leaves the others of its page as they are.
  function attempt(figure) {
    try {
      watch(figure);
    } catch (error) {
      fail(figure, error);
    }
  }

  document.querySelectorAll(".vl-chart").forEach(attempt);
})();
