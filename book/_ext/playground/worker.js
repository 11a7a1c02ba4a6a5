// Runs one network beside the page, so that the page stays at hand; both speak in messages.
// In:  {settings} a new run, {play: true or false}, {step: true}.
// Out: {levels, record} of a new run, {record, losses, speed} on the way, {done}, {error}.
async function work(scope, jax) {
  "use strict";
  const SPELL = 120; // milliseconds of training between two messages
  await jax.init("wasm");
  jax.defaultDevice("wasm");
  const engine = engineOf(jax);
  let run = null;
  let playing = false;

  function spell(longest, most) {
    const losses = [];
    const begun = performance.now();
    while (losses.length < most && performance.now() - begun < longest) {
      const loss = run.advance();
      if (loss === null) break;
      losses.push(loss);
      if (!Number.isFinite(loss)) throw new Error("the loss is no number any more: choose a smaller rate");
    }
    return { losses, speed: losses.length / ((performance.now() - begun) / 1000) };
  }

  function report({ losses, speed }) {
    const record = run.record();
    const done = record.step === run.settings.steps;
    playing = playing && !done;
    scope.postMessage({ record, losses, speed, done });
  }

  // A message that arrives meanwhile is read between two spells.
  function loop() {
    if (!playing) return;
    attempt(() => report(spell(SPELL, Infinity)));
    setTimeout(loop, 0);
  }

  function attempt(action) {
    try {
      action();
    } catch (error) {
      playing = false;
      scope.postMessage({ error: error.message });
    }
  }

  scope.onmessage = ({ data }) => attempt(() => {
    if (data.settings) {
      playing = false;
      run = engine.run(data.settings);
      scope.postMessage({ levels: run.levels, record: run.record() });
    }
    if (data.step) report(spell(Infinity, 1));
    if ("play" in data) {
      const begins = data.play && !playing;
      playing = data.play;
      if (begins) loop();
    }
  });
  scope.postMessage({ ready: true });
}
