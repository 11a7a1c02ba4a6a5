// One network of the playground: the chain, the start, the loss, the steps and the record, as rgkit has them.
// `jax` is jax-js. It counts references: a function uses up the arrays that it is given, `.ref` keeps one.
function engineOf(jax) {
  "use strict";
  const { numpy: np, nn, random } = jax;
  const TINY = 1.1754943508222875e-38; // of float32
  const MAPS = 32; // how many maps made by chance are averaged
  const DRAWN = 1 << 15; // how many configurations are drawn at once

  // ---- the chain ----

  // All configurations of a ring, spin j of row x being +1 where bit j of x is 0, and their probabilities.
  function ring({ K, N }) {
    const rows = 2 ** N;
    const spins = new Float32Array(rows * N);
    const weights = new Float64Array(rows);
    for (let row = 0; row < rows; row += 1) {
      let bonds = 0;
      for (let site = 0; site < N; site += 1) {
        spins[row * N + site] = (row >> site) & 1 ? -1 : 1;
        bonds += ((row >> site) ^ (row >> (site + 1) % N)) & 1 ? -1 : 1;
      }
      weights[row] = Math.exp(K * (bonds - N));
    }
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return { N, rows, spins, probabilities: weights.map((weight) => weight / total) };
  }

  const entropy = (law) => law.reduce((sum, q) => (q > 0 ? sum - q * Math.log(q) : sum), 0);

  // The law of what a map makes of the chain: `outcome` gives the row number of the features' state.
  function pushed(chain, n, outcome) {
    const law = new Float64Array(2 ** n);
    chain.probabilities.forEach((p, row) => { law[outcome(row)] += p; });
    return law;
  }

  const gapOf = (law) => Math.max(0, Math.log(law.length) - entropy(law));

  // The gap of decimation, which keeps n sites as evenly spaced as may be.
  function decimation(chain, n) {
    const kept = Array.from({ length: n }, (_, j) => Math.floor((j * chain.N) / n));
    return gapOf(pushed(chain, n, (row) => kept.reduce((state, site, j) => state | (((row >> site) & 1) << j), 0)));
  }

  // The mean gap of maps whose images are drawn by chance.
  function chance(chain, n, key) {
    const images = random.randint(key, { shape: [MAPS, chain.rows], minval: 0, maxval: 2 ** n }).dataSync();
    let sum = 0;
    for (let map = 0; map < MAPS; map += 1) sum += gapOf(pushed(chain, n, (row) => images[map * chain.rows + row]));
    return sum / MAPS;
  }

  // The certificate: no map has a smaller gap. What is heavier than the level stands alone, the rest is spread evenly.
  function leastGap(chain, n) {
    const bins = 2 ** n;
    const heaviest = [...chain.probabilities].sort((a, b) => b - a).slice(0, bins);
    const law = [];
    let rest = 1;
    while (law.length < bins && heaviest[law.length] > rest / (bins - law.length)) {
      rest -= heaviest[law.length];
      law.push(heaviest[law.length]);
    }
    const left = bins - law.length;
    return gapOf(law.concat(Array(left).fill(Math.max(0, rest) / Math.max(1, left))));
  }

  // ---- the start ----

  // The inverse error function of numbers in (-1, 1), by Giles' polynomials for single precision, as XLA has it:
  // M. Giles, in GPU Computing Gems, Jade edition (2011), 109.
  const CENTRE = [2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087, -0.00125372503, -0.00417768164, 0.246640727, 1.50140941];
  const TAIL = [-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613, 0.00943887047, 1.00167406, 2.83297682];
  function inverseErf(x) {
    const w = -Math.log1p(-Math.fround(x * x));
    const [coefficients, argument] = w < 5 ? [CENTRE, w - 2.5] : [TAIL, Math.sqrt(w) - 3];
    return x * coefficients.reduce((sum, coefficient) => sum * argument + coefficient, 0);
  }

  // What jax.random.normal draws.
  function normal(key, shape, scale) {
    const low = Math.fround(-0.99999994); // the next float32 above -1
    const uniform = random.uniform(key, shape).dataSync();
    const values = Float32Array.from(uniform, (u) => scale * Math.SQRT2 * inverseErf(Math.fround(Math.fround(u * (1 - low)) + low)));
    return np.array(values).reshape(shape);
  }

  function keys(key, count) {
    const split = random.split(key, count);
    return Array.from({ length: count }, (_, i) => split.ref.slice(i));
  }

  // The weights of `rgkit.FCNetwork` from the same key, (out, in); no biases.
  function start({ N, n, width }, key) {
    const parameters = { weights: [], biases: [] };
    [[N, width], [width, n]].forEach(([fanIn, fanOut]) => {
      const [next, weightKey, biasKey] = keys(key, 3);
      biasKey.dispose();
      key = next;
      parameters.weights.push(normal(weightKey, [fanOut, fanIn], fanIn ** -0.5));
      parameters.biases.push(np.zeros([fanOut]));
    });
    key.dispose();
    return parameters;
  }

  // ---- the network, and what it is trained for ----

  // Activations (rows, n).
  function activations({ weights, biases }, x) {
    const hidden = np.tanh(np.dot(x, weights[0].transpose()).add(biases[0]));
    return np.dot(hidden, weights[1].transpose()).add(biases[1]);
  }

  // P(y|x) of independent spins with means (rows, k), (rows, 2^k).
  function outcomes(means) {
    const k = means.shape[1];
    let table = null;
    for (let j = 0; j < k; j += 1) {
      const mean = means.ref.slice([], [j, j + 1]);
      const up = mean.ref.add(1).mul(0.5);
      const down = np.subtract(1, mean).mul(0.5);
      table = table ? np.concatenate([table.ref.mul(up), table.mul(down)], 1) : np.concatenate([up, down], 1);
    }
    means.dispose();
    return table;
  }

  // The logarithm of jax-js is right to 1e-5, its exponential to 2e-7: a step of Newton's method.
  function log(x) {
    const near = np.log(x.ref);
    return near.ref.add(x.mul(np.exp(near.neg()))).sub(1);
  }

  // The law of the features and H(y|x), from activations.
  function push(a, weights) {
    const [rows, n] = a.shape;
    const half = Math.ceil(n / 2);
    const means = np.tanh(a.ref);
    const size = np.abs(a.ref);
    const noise = log(np.exp(size.ref.mul(-2)).add(1)).add(size).sub(a.mul(means.ref)).sum(1);
    const low = outcomes(means.ref.slice([], [0, half]));
    const high = n > half ? outcomes(means.slice([], [half, n])) : (means.dispose(), np.ones([rows, 1]));
    const law = np.dot(high.mul(weights.ref.reshape([rows, 1])).transpose(), low).reshape([-1]);
    return [law, np.dot(weights, noise)];
  }

  const entr = (q) => {
    const positive = np.maximum(q, TINY);
    return positive.ref.mul(log(positive)).neg();
  };

  // Each takes activations (rows, n), configurations, their weights and labels, and the head.
  const OBJECTIVES = {
    infomax(a, head, x, weights, labels) {
      x.dispose();
      labels.dispose();
      const [law, noise] = push(a, weights);
      return noise.sub(entr(law).sum());
    },
    reconstruction(a, head, x, weights, labels) {
      labels.dispose();
      const [rows, N] = x.shape;
      const joint = outcomes(np.tanh(a)).mul(weights.reshape([rows, 1]));
      const law = joint.ref.sum(0);
      const moments = np.dot(joint.transpose(), x);
      const column = law.ref.reshape([-1, 1]);
      const up = column.ref.add(moments.ref).mul(0.5);
      const down = column.sub(moments).mul(0.5);
      return entr(up).sum().add(entr(down).sum()).sub(entr(law).sum().mul(N));
    },
    label(a, head, x, weights, labels) {
      x.dispose();
      const [rows, n] = a.shape;
      const joint = np.dot(outcomes(np.tanh(a)).transpose(), labels.mul(weights.reshape([rows, 1])));
      const states = np.array(Float32Array.from({ length: n * 2 ** n }, (_, i) => ((Math.floor(i / n) >> i % n) & 1 ? -1 : 1)));
      const scores = nn.logSoftmax(np.dot(states.reshape([2 ** n, n]), head.transpose()));
      return joint.mul(scores).sum().neg();
    },
  };

  // One step of the optimiser on all parameters as one vector; `moments` are Adam's two averages, or none.
  function stepOf({ objective, optimizer, N, n, width }) {
    const shapes = [[width, N], [n, width], [width], [n], ...(objective === "label" ? [[2, n]] : [])];
    const unpack = (flat) => {
      let at = 0;
      const parts = shapes.map((shape) => {
        const size = shape.reduce((a, b) => a * b);
        const part = flat.ref.slice([at, at + size]).reshape(shape);
        at += size;
        return part;
      });
      flat.dispose();
      const [first, last, c, d, head] = parts;
      return { weights: [first, last], biases: [c, d], ...(head ? { head } : {}) };
    };
    const loss = (flat, x, weights, labels) => {
      const model = unpack(flat);
      return OBJECTIVES[objective](activations(model, x.ref), model.head, x, weights, labels);
    };
    const step = jax.jit((flat, moments, x, weights, labels, rate, corrections) => {
      const [value, slope] = jax.valueAndGrad(loss)(flat.ref, x, weights, labels);
      if (optimizer === "sgd") {
        corrections.dispose();
        return [value, flat.sub(slope.mul(rate)), moments];
      }
      const [first, second] = moments;
      const mean = first.mul(0.98).add(slope.ref.mul(0.02));
      const square = second.mul(0.999).add(slope.ref.mul(slope).mul(0.001));
      const [c1, c2] = [corrections.ref.slice(0), corrections.slice(1)];
      const next = flat.sub(mean.ref.div(c1).mul(rate).div(np.sqrt(square.ref.div(c2)).add(1e-8)));
      return [value, next, [mean, square]];
    });
    const pack = ({ weights, biases, head }) =>
      np.concatenate([...weights, ...biases, ...(head ? [head] : [])].map((a) => a.reshape([-1])));
    return { step, pack, unpack };
  }

  // ---- a run ----

  // `rgkit.training`'s default schedule: constant, and over the last fifth down to nothing.
  function rateAt(count, { rate, steps }) {
    const decay = Math.floor(steps / 5);
    return rate * (1 - Math.max(count - (steps - decay), 0) / Math.max(decay, 1));
  }

  // Rows of the chain drawn with their probabilities, as many at a time as one call of the generator is worth.
  function sampler(chain, key) {
    const cumulative = new Float64Array(chain.rows);
    chain.probabilities.reduce((sum, p, row) => (cumulative[row] = sum + p), 0);
    let uniform = [];
    let used = 0;
    function draw() {
      if (used === uniform.length) {
        const [next, now] = keys(key, 2);
        key = next;
        uniform = random.uniform(now, [DRAWN]).dataSync();
        used = 0;
      }
      const u = uniform[used];
      used += 1;
      let [low, high] = [0, chain.rows - 1];
      while (low < high) {
        const middle = (low + high) >> 1;
        if (cumulative[middle] > u) high = middle;
        else low = middle + 1;
      }
      return low;
    }
    return draw;
  }

  function run(settings) {
    const { N, n, seed, batch, optimizer, objective } = settings;
    const chain = ring(settings);
    const labels = Float32Array.from({ length: 2 * chain.rows }, (_, i) => {
      const row = i >> 1;
      let sum = 0;
      for (let site = 0; site < N; site += 1) sum += chain.spins[row * N + site];
      return Number((i & 1) === (sum > 0 ? 1 : 0));
    });
    const matrix = (values, columns) => np.array(values).reshape([-1, columns]);
    const every = [matrix(chain.spins, N), np.array(Float32Array.from(chain.probabilities)), matrix(labels, 2)];

    // the keys of `network_key, key = jax.random.split(jax.random.key(seed))` and of `rgkit.train`
    const [networkKey, trainKey] = keys(random.key(seed), 2);
    const [dataKey, runsKey] = keys(trainKey, 2);
    const [chanceKey, rowsKey] = keys(dataKey, 2);
    const model = start(settings, networkKey);
    if (objective === "label") {
      const [initKey, runKey] = keys(keys(runsKey, 1)[0], 2);
      initKey.dispose();
      const [headKey, rest] = keys(runKey, 2);
      rest.dispose();
      model.head = normal(headKey, [2, n], n ** -0.5);
    } else {
      runsKey.dispose();
    }
    const { step, pack, unpack } = stepOf(settings);
    let flat = pack(model);
    let moments = optimizer === "sgd" ? [] : [0, 1].map(() => np.zeros(flat.shape));
    const draw = batch ? sampler(chain, rowsKey) : null;
    const equal = batch ? np.full([batch], 1 / batch) : null;
    let count = 0;

    function rows() {
      if (!batch) return every.map((array) => array.ref);
      const x = new Float32Array(batch * N);
      const label = new Float32Array(batch * 2);
      for (let i = 0; i < batch; i += 1) {
        const row = draw();
        x.set(chain.spins.subarray(row * N, (row + 1) * N), i * N);
        label.set(labels.subarray(row * 2, (row + 1) * 2), i * 2);
      }
      return [matrix(x, N), equal.ref, matrix(label, 2)];
    }

    // One step of the optimiser; the loss before it, or null after the last.
    function advance() {
      if (count === settings.steps) return null;
      const [x, weights, label] = rows();
      const corrections = np.array([1 - 0.98 ** (count + 1), 1 - 0.999 ** (count + 1)]);
      const rate = np.array(rateAt(count, settings));
      let value;
      [value, flat, moments] = step(flat, moments, x, weights, label, rate, corrections);
      count += 1;
      return value.item ? value.item() : value.js();
    }

    const watch = jax.jit((parameters, x, weights) => {
      const a = activations(parameters, x);
      const [law, noise] = push(a.ref, weights);
      return [a, law, noise];
    });

    // What `rgkit` records: the soft features' gap, and the law of their signs over all configurations.
    function record() {
      const { weights, biases, head } = unpack(flat.ref);
      if (head) head.dispose();
      const [a, law, noise] = watch({ weights, biases }, every[0].ref, every[1].ref);
      const values = a.dataSync();
      const state = (row) => {
        let outcome = 0;
        for (let j = 0; j < n; j += 1) if (values[row * n + j] < 0) outcome |= 1 << j;
        return outcome;
      };
      const signs = pushed(chain, n, state);
      const spin = (outcome, j) => ((outcome >> j) & 1 ? -1 : 1);
      // artanh of the mean of a sign: half the log of how much more often it is +1 than -1
      const artanh = (sign) => {
        const [up, down] = [1, -1].map((s) => signs.reduce((sum, q, outcome) => (sign(outcome) === s ? sum + q : sum), 0));
        return Math.abs(Math.log(up / down)) / 2;
      };
      let [coupling, field] = [0, 0];
      for (let j = 0; j < n; j += 1) {
        field = Math.max(field, artanh((y) => spin(y, j)));
        for (let k = 0; k < j; k += 1) coupling = Math.max(coupling, artanh((y) => spin(y, j) * spin(y, k)));
      }
      const reads = Array.from({ length: n }, () => new Float64Array(N));
      chain.probabilities.forEach((p, row) => {
        const outcome = state(row);
        for (let j = 0; j < n; j += 1) {
          for (let site = 0; site < N; site += 1) reads[j][site] += p * spin(outcome, j) * chain.spins[row * N + site];
        }
      });
      const information = entropy(law.dataSync()) - noise.js();
      return {
        step: count, information, gap: n * Math.LN2 - information, divergence: gapOf(signs), coupling, field,
        signs: [...signs], reads: reads.map((row) => [...row]),
      };
    }

    const levels = { trivial: n * Math.LN2, decimation: decimation(chain, n), chance: chance(chain, n, chanceKey), least: leastGap(chain, n) };
    return { settings, levels, advance, record };
  }

  return { run };
}
