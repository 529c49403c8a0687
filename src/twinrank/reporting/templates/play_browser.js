// Predictions in this page, by onnxruntime-web. The runtime and the network stand in the page, compressed.
const about = JSON.parse(at("about").textContent);
const known = new WeakMap();
let begun;

const network = {
  preparing: "Unpacking the network …",

  async models() {
    return [about];
  },

  async compare(model, left, right) {
    const sides = [await embedded(left.pixels), await embedded(right.pixels)];
    const [z] = await logits(...sides.map((side) => side.features));
    const likelier = 1 / (1 + Math.exp(-Math.abs(z)));
    const found = { probability: z >= 0 ? likelier : 1 - likelier, logit: z };
    if (about.nu) found.tie = shareOfTies(Math.abs(z));
    if (about.levels) found.levels = { left: sides[0].levels, right: sides[1].levels };
    return found;
  },

  // What the server does, too: spots are covered one by one. A line of them goes through the network together.
  async explain(model, left, right) {
    const sides = [await embedded(left.pixels), await embedded(right.pixels)];
    const features = sides.map((side) => side.features);
    const [logit] = await logits(...features);
    const grids = [[], []];
    for (const [side, { pixels }] of [left, right].entries()) {
      for (const top of about.spots.tops) {
        const line = about.spots.lefts.map((from) => covered(pixels, top, from));
        const found = await ran(["features"], line, [], []);
        const given = features.map((each, other) => (other === side ? found.features.data : repeated(each, line.length)));
        grids[side].push((await logits(...given)).map((z) => logit - z));
      }
    }
    return { logit, left: grids[0], right: grids[1] };
  },
};

// Each image goes through the network alone, once. So its features depend neither on the other nor on its side.
async function embedded(pixels) {
  if (!known.has(pixels)) {
    const found = await ran(about.levels ? ["features", "levels"] : ["features"], [pixels], [], []);
    known.set(pixels, { features: found.features.data, levels: found.levels && Array.from(found.levels.data, Math.exp) });
  }
  return known.get(pixels);
}

// Calibrated logits of pairs of features, one behind the other.
async function logits(left, right) {
  const { logit } = await ran(["logit"], [], left, right);
  return Array.from(logit.data, (value) => about.scale * value);
}

// The graph has two entries, and either may be empty.
async function ran(outputs, images, left, right) {
  begun ??= loaded();
  const { runtime, session } = await begun;
  network.preparing = "";
  const tensor = (values, ...shape) => {
    const size = shape.reduce((product, each) => product * each, 1);
    return new runtime.Tensor("float32", Float32Array.from(values), [values.length / size, ...shape]);
  };
  const pixels = new Float32Array(images.length * about.channels * about.height * about.width);
  images.forEach((each, number) => pixels.set(each, number * each.length));
  const feeds = { images: tensor(pixels, about.channels, about.height, about.width) };
  for (const [name, values] of Object.entries({ left, right })) feeds[name] = tensor(values, about.features);
  return session.run(feeds, outputs);
}

function covered(pixels, top, left) {
  const found = pixels.slice();
  for (let y = top; y < top + about.spots.side; y++) {
    found.fill(0, y * about.width + left, y * about.width + left + about.spots.side);
  }
  return found;
}

function repeated(features, times) {
  const found = new Float32Array(times * features.length);
  for (let number = 0; number < times; number++) found.set(features, number * features.length);
  return found;
}

// Davidson's probability of a tie.
function shareOfTies(z) {
  const tie = about.nu * Math.exp(-z / 2);
  return tie / (1 + Math.exp(-z) + tie);
}

async function loaded() {
  if (document.readyState === "loading") await new Promise((done) => document.addEventListener("DOMContentLoaded", done));
  try {
    const [script, machine, graph] = await Promise.all(["script", "machine", "graph"].map(unpacked));
    const runtime = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
    Object.assign(runtime.env.wasm, { numThreads: 1, wasmBinary: machine });
    return { runtime, session: await runtime.InferenceSession.create(graph, { logSeverityLevel: 3 }) };
  } catch (error) {
    throw new Error(`This browser cannot run the network (${error.message}). Try a newer one.`);
  }
}

async function unpacked(id) {
  const text = atob(at(id).textContent);
  at(id).remove();
  const bytes = new Uint8Array(text.length);
  for (let place = 0; place < text.length; place++) bytes[place] = text.charCodeAt(place);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
