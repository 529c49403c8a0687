// The benchmark's corruption of a digit: noise, blur and covered rectangles, from a seed.
const SEVERITY = 6;
const LONGEST = 2 + 3 * SEVERITY;

function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

function normal(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

// Values along one axis, weighted by a bell; beyond an edge its last value goes on.
function blurred(pixels, width, height, sigma, step) {
  const reach = Math.ceil(3 * sigma);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, at) => Math.exp(-((at - reach) ** 2) / (2 * sigma * sigma)));
  const total = weights.reduce((sum, each) => sum + each, 0);
  const found = new Float32Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let sum = 0;
      for (let at = -reach; at <= reach; at++) {
        const column = step === 1 ? Math.min(width - 1, Math.max(0, x + at)) : x;
        const line = step === 1 ? y : Math.min(height - 1, Math.max(0, y + at));
        sum += weights[at + reach] * pixels[line * width + column];
      }
      found[y * width + x] = sum / total;
    }
  }
  return found;
}

function corrupted(clean, width, height, seed, covers) {
  const random = generator(seed);
  let pixels = clean.map((value) => Math.floor(Math.min(255, Math.max(0, value + 3 * SEVERITY * normal(random)))));
  for (const step of [1, 2]) pixels = blurred(pixels, width, height, 0.2 * SEVERITY, step);
  pixels = pixels.map(Math.round);
  const scale = Math.min(width, height) / 28;
  const between = (low, high) => low + Math.floor(random() * (high - low + 1));
  for (let number = 0; number < covers; number++) {
    const [wide, high] = [between(2, LONGEST), between(2, LONGEST)].map((side) => Math.round(side * scale));
    const [left, top] = [between(0, Math.max(0, width - wide)), between(0, Math.max(0, height - high))];
    for (let y = top; y <= Math.min(height - 1, top + high); y++) {
      for (let x = left; x <= Math.min(width - 1, left + wide); x++) pixels[y * width + x] = 0;
    }
  }
  return pixels;
}

// A drawing as MNIST has it: 20 of 28 pixels long, its centre of mass in the middle. None if nothing is drawn.
function centred(drawing, width, height) {
  const { data } = drawing.getContext("2d").getImageData(0, 0, drawing.width, drawing.height);
  let [left, top, right, bottom] = [drawing.width, drawing.height, -1, -1];
  for (let y = 0; y < drawing.height; y++) {
    for (let x = 0; x < drawing.width; x++) {
      if (data[4 * (y * drawing.width + x)] < 40) continue;
      [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
    }
  }
  if (right < 0) return null;
  const [wide, high] = [right - left + 1, bottom - top + 1];
  const scale = ((20 / 28) * Math.min(width, height)) / Math.max(wide, high);
  const small = canvasOf(width, height);
  const context = small.getContext("2d");
  const place = (dx, dy) => {
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    context.imageSmoothingQuality = "high";
    context.drawImage(drawing, left, top, wide, high, dx, dy, Math.max(1, wide * scale), Math.max(1, high * scale));
    return greys(small);
  };
  const [dx, dy] = [(width - wide * scale) / 2, (height - high * scale) / 2];
  const first = place(dx, dy);
  let [mass, across, down] = [0, 0, 0];
  first.forEach((value, at) => {
    mass += value;
    across += value * (at % width);
    down += value * Math.floor(at / width);
  });
  if (!mass) return first;
  return place(dx + Math.round(width / 2 - across / mass), dy + Math.round(height / 2 - down / mass));
}

// The context that is asked for first decides that pixels are often read.
function canvasOf(width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d", { willReadFrequently: true });
  return canvas;
}

function greys(canvas) {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Float32Array.from({ length: data.length / 4 }, (_, at) => Math.round(0.299 * data[4 * at] + 0.587 * data[4 * at + 1] + 0.114 * data[4 * at + 2]));
}

function paint(canvas, pixels, width, height) {
  Object.assign(canvas, { width, height });
  const image = new ImageData(width, height);
  pixels.forEach((value, at) => image.data.set([value, value, value, 255], 4 * at));
  canvas.getContext("2d").putImageData(image, 0, 0);
}
