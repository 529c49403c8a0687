const state = { models: [], wanted: 0, busy: false, last: null };
const sides = {};

const chosen = () => state.models[at("model").selectedIndex] || state.models[0];
const both = () => sides.left.file && sides.right.file;

function announce(text) {
  at("looked").textContent = text;
}

// Both sides of a half round alike, so an exchanged pair has the same words.
function percent(share) {
  if (share > 0.9995) return "more than 99.9%";
  return share < 0.0005 && share > 0 ? "less than 0.1%" : `${(100 * share).toFixed(1)}%`;
}

// One comparison at a time; what has changed meanwhile is compared after it.
async function compare() {
  state.wanted += 1;
  announce("");
  if (state.busy) return;
  state.busy = true;
  while (true) {
    const wanted = state.wanted;
    if (!both()) {
      nothing();
    } else {
      if (network.preparing) at("verdict").textContent = network.preparing;
      try {
        const found = await network.compare(chosen(), sides.left.content, sides.right.content, at("resize").checked);
        if (wanted === state.wanted) show(found);
        trouble("");
      } catch (error) {
        if (error.status === 503) {
          await pause(1000);
          continue;
        }
        nothing();
        refused(error);
      }
    }
    if (wanted === state.wanted) break;
  }
  state.busy = false;
}

// What requests call `resize` is a box to tick here.
function refused(error) {
  trouble(error.message.replaceAll("`resize`", `“${at("fit").textContent.trim()}”`));
}

function nothing() {
  state.last = null;
  const missing = Object.values(sides).filter((side) => !side.file).map((side) => side.name);
  at("verdict").textContent = missing.length ? `Waiting for ${missing.length === 2 ? "two images" : `the ${missing[0]} image`}.` : "No prediction.";
  at("numbers").textContent = "";
  at("bar").hidden = at("levels").hidden = true;
  at("explain").disabled = true;
}

function show(found) {
  state.last = found;
  const { probability, logit } = found;
  const tie = found.tie || 0;
  const [side, sure] = probability >= 0.5 ? ["left", probability] : ["right", 1 - probability];
  const word = chosen().drawn ? "digit is greater" : "image ranks higher";
  const share = Object.assign(document.createElement("b"), { textContent: percent(sure) });
  if (probability === 0.5) at("verdict").replaceChildren("Both are alike: ", Object.assign(share, { textContent: "50%" }), " each.");
  else at("verdict").replaceChildren(`The ${side} ${word}: `, share, ".");
  const shares = { left: (1 - tie) * probability, tie, right: (1 - tie) * (1 - probability) };
  for (const [name, width] of Object.entries(shares)) at(`bar-${name}`).style.width = `${100 * width}%`;
  at("bar").hidden = false;
  const parts = [`left ${percent(probability)}`, `right ${percent(1 - probability)}`, `logit ${logit.toFixed(3)}`];
  if (found.tie !== undefined) parts.push(`judged equal: ${percent(tie)}; the others are shares of the rest`);
  at("numbers").textContent = parts.join(" · ");
  at("explain").disabled = false;
  levels(found.levels);
}

function levels(found) {
  at("levels").hidden = !found;
  if (!found) return;
  const rows = found.left.map((share, level) => {
    const [line, head] = [document.createElement("tr"), document.createElement("th")];
    head.scope = "row";
    head.textContent = level;
    line.append(cell("left", share), head, cell("right", found.right[level]));
    return line;
  });
  at("rows").replaceChildren(...rows.reverse());
}

function cell(side, share) {
  const [data, box, bar] = ["td", "div", "i"].map((name) => document.createElement(name));
  data.className = side;
  bar.style.width = `${(75 * share).toFixed(2)}%`;
  box.append(bar, share < 0.0005 ? "0%" : `${(100 * share).toFixed(1)}%`);
  data.append(box);
  return data;
}

async function explain() {
  if (!both() || at("explain").disabled) return;
  const wanted = state.wanted;
  at("explain").disabled = true;
  announce("Covering one spot after the other …");
  try {
    const found = await network.explain(chosen(), sides.left.content, sides.right.content, at("resize").checked);
    if (wanted !== state.wanted) return;
    const most = Math.max(...["left", "right"].flatMap((side) => found[side].flat().map(Math.abs)), 1e-6);
    for (const side of ["left", "right"]) {
      if (!chosen().drawn) await sides[side].showNetworks(found[`${side}_image`]);
      heat(at(`heat-${side}`), found[side], side === "left" ? most : -most);
    }
    announce(inWords(found));
  } catch (error) {
    announce("");
    refused(error);
  } finally {
    at("explain").disabled = !state.last;
  }
}

// Blue where a spot speaks for its own image, orange where it speaks against it.
function heat(canvas, grid, most) {
  const small = canvasOf(grid[0].length, grid.length);
  const image = new ImageData(small.width, small.height);
  grid.flat().forEach((value, place) => {
    const share = value / most;
    image.data.set([...(share > 0 ? [30, 144, 255] : [255, 120, 20]), Math.round(255 * Math.min(1, Math.abs(share)))], 4 * place);
  });
  small.getContext("2d").putImageData(image, 0, 0);
  const under = canvas.previousElementSibling;
  Object.assign(canvas, { width: 280, height: Math.round((280 * under.height) / under.width) });
  canvas.getContext("2d").drawImage(small, 0, 0, canvas.width, canvas.height);
  canvas.hidden = false;
}

function inWords(found) {
  let best = { size: 0 };
  for (const side of ["left", "right"]) {
    found[side].forEach((line, row) =>
      line.forEach((value, column) => {
        if (Math.abs(value) <= best.size) return;
        const [down, right] = [row / (found[side].length - 1 || 1), column / (line.length - 1 || 1)];
        best = { size: Math.abs(value), side, down, right, own: value > 0 === (side === "left") };
      }),
    );
  }
  if (!best.side) return "No spot matters.";
  const third = (share, names) => names[Math.min(2, Math.floor(3 * share))];
  const place = [third(best.down, ["top", "", "bottom"]), third(best.right, ["left", "", "right"])].filter(Boolean).join(" ") || "middle";
  const effect = best.own ? "speaks for" : "speaks against";
  return `Blue speaks for an image, orange against it. What matters most is at the ${place} of the ${best.side} image: it ${effect} it, by ${best.size.toFixed(1)} in logits.`;
}

function exchange() {
  sides.left.exchange(sides.right);
  compare();
}

function open() {
  const model = chosen();
  document.body.classList.toggle("photos", !model.drawn);
  for (const each of document.querySelectorAll("[data-drawn]")) each.hidden = !model.drawn;
  at("question").textContent = model.question || "Which one ranks higher?";
  const [size, kind] = [`${model.width} × ${model.height} pixels`, model.channels === 1 ? "grey" : "colour"];
  at("hint").textContent = model.drawn
    ? "Draw two digits in the place of these examples, or drop or paste images. The network predicts which one is greater, though parts are covered."
    : `Drop or paste two images, or choose them. The network predicts which one ranks higher, as in the judgements that it learned from. It takes ${kind} images${model.any_size ? " of any size" : ` of ${size}`}.`;
  at("fit").hidden = model.drawn || model.any_size;
  at("size").textContent = size;
  for (const side of Object.values(sides)) {
    side.clear();
    if (model.drawn) side.example(DIGITS[side.name]);
    at(`file-${side.name}`).accept = model.drawn ? SHOWN : `${SHOWN},.tif,.tiff`;
  }
}

async function begin() {
  for (const name of ["left", "right"]) sides[name] = new Side(name, compare);
  try {
    state.models = await network.models();
  } catch (error) {
    return trouble(error.message);
  }
  at("model").replaceChildren(...state.models.map((model) => new Option(`${model.name} (${model.network})`)));
  at("choice").hidden = state.models.length < 2;
  open();
}

at("model").addEventListener("change", open);
at("resize").addEventListener("change", compare);
at("swap").addEventListener("click", exchange);
at("explain").addEventListener("click", explain);
at("again").addEventListener("click", () => {
  for (const side of Object.values(sides)) {
    side.content.seed = (Math.random() * 2 ** 32) >>> 0;
    side.render();
  }
});
at("cover").addEventListener("input", () => {
  at("covers").textContent = at("cover").value;
  for (const side of Object.values(sides)) side.render();
});
document.addEventListener("paste", (event) => {
  const file = [...event.clipboardData.files].find((each) => each.type.startsWith("image/"));
  if (!file) return;
  event.preventDefault();
  const focused = Object.values(sides).find((side) => at(`side-${side.name}`).contains(document.activeElement));
  (focused || Object.values(sides).find((side) => !side.file) || sides.left).take(file);
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.matches("input, select")) return;
  if (event.key.toLowerCase() === "x") exchange();
  else if (event.key.toLowerCase() === "e") explain();
});
begin();
