const AHEAD = 3;
const ZOOMS = [1, 1.5, 2, 3, 4, 6];
const WORDS = { left: "left", right: "right", tie: "equal", skip: "skipped" };
const SIDES = ["left", "right"];
const state = {
  rater: "", queue: [], unsent: [], current: null, ready: false, shown: 0, showing: 0, zoom: 0, actual: false, asking: null, busy: false, undoing: false, turn: 0, ranking: "", lost: "",
};

// A server that is not there, or one whose disk is full, may keep an answer later; so may one that it reached too late.
const refused = ({ status }) => status < 500 && status !== 408;
const why = (error) => (error.status && error.status !== 408 ? `The server cannot go on: ${error.message}.` : "The server does not answer.");

function progress(found) {
  const missing = found.missing.toLocaleString();
  const reached = found.missing
    ? `At least ${missing} more until judgements link all images into one order.`
    : "Judgements link all images into one order, so the next pairs are those that tell most about it.";
  at("progress").textContent = `${found.own.toLocaleString()} judged by you, ${found.all.toLocaleString()} by all. ${reached}`;
  at("bar").max = found.images - 1;
  at("bar").value = found.images - 1 - found.missing;
  at("bar").hidden = !found.missing;
}

// Answers are sent one after the other, and again until the server has kept them.
async function send() {
  if (state.busy) return;
  state.busy = true;
  while (state.unsent.length) {
    const { id, ...given } = state.unsent[0];
    try {
      progress((await call(`api/pairs/${id}`, given)).progress);
      trouble(state.lost);
    } catch (error) {
      if (!refused(error)) {
        const count = state.unsent.length;
        trouble(`${why(error)} ${count === 1 ? "1 answer of yours waits" : `${count} answers of yours wait`} here; keep this page open.`);
        await pause(1000);
        continue;
      }
      // It stays until the page is loaded again.
      state.lost = `An answer was not kept: ${error.message}.`;
      trouble(state.lost);
    }
    state.unsent.shift();
  }
  state.busy = false;
}

// Numbers of the pairs that this page has.
const here = () => new Set([state.current, ...state.queue, ...state.unsent].filter(Boolean).map((each) => each.id));

async function fill() {
  if (state.asking) return state.asking;
  state.asking = (async () => {
    const rater = state.rater;
    try {
      const before = here();
      const found = await call("api/next", { rater, count: AHEAD });
      if (rater !== state.rater) return;
      for (const pair of found.pairs) {
        if (before.has(pair.id) || here().has(pair.id)) continue;
        state.queue.push(pair);
        for (const number of [pair.left, pair.right]) Object.assign(new Image(), { fetchPriority: "low", src: `images/${number}` });
      }
      if (!state.unsent.length) progress(found.progress);
    } finally {
      state.asking = null;
    }
  })();
  return state.asking;
}

function enable(on) {
  state.ready = on;
  for (const each of document.querySelectorAll("#judge [data-outcome]")) each.disabled = !on;
  for (const side of SIDES) at(`pane-${side}`).setAttribute("aria-disabled", String(!on));
}

// Nothing of the last pair stays on the screen.
function clear() {
  state.showing += 1;
  state.current = null;
  enable(false);
  for (const side of SIDES) at(side).style.visibility = "hidden";
}

// A later call, another rater or an undone answer ends an earlier one that still waits.
async function advance() {
  const turn = ++state.turn;
  clear();
  while (!state.queue.length) {
    try {
      if (state.unsent.length >= AHEAD) await send();
      await fill();
      if (!state.queue.length) await pause(100);
      else if (!state.unsent.length) trouble(state.lost);
    } catch (error) {
      if (turn !== state.turn) return;
      if (refused(error)) return begin("", error.message);
      // What waits to be sent has a message of its own.
      if (!state.unsent.length) trouble(`${why(error)} This page tries again.`);
      await pause(1000);
    }
    if (turn !== state.turn) return;
  }
  show(state.queue.shift());
  if (state.queue.length < AHEAD - 1) send().then(fill).catch(() => {});
}

// Both images of a pair, and then its answers: nobody judges what is not on the screen.
async function show(pair) {
  clear();
  const showing = state.showing;
  state.current = pair;
  for (const side of SIDES) {
    at(`pane-${side}`).setAttribute("aria-busy", "true");
    at(`pane-${side}`).scrollTo(0, 0);
  }
  const found = await Promise.all(SIDES.map((side) => load(side, pair[side], showing)));
  if (showing !== state.showing) return;
  for (const side of SIDES) at(`pane-${side}`).setAttribute("aria-busy", "false");
  if (!state.unsent.length) trouble(state.lost);
  state.shown = performance.now();
  enable(true);
  const broken = SIDES.filter((_, number) => !found[number]);
  if (!broken.length) return;
  for (const each of document.querySelectorAll("#judge [data-outcome]")) each.disabled = each.dataset.outcome !== "skip";
  for (const side of SIDES) at(`pane-${side}`).setAttribute("aria-disabled", "true");
  at("status").textContent = `${broken.length > 1 ? "Both images" : `The ${broken[0]} image`} cannot be shown. Skip this pair.`;
}

// Show an image; false if it cannot be shown. A server that does not answer is asked again.
async function load(side, number, showing) {
  const image = at(side);
  while (showing === state.showing) {
    image.src = `images/${number}`;
    try {
      await image.decode();
      if (showing !== state.showing) return false;
      size(side);
      image.style.visibility = "";
      return true;
    } catch (error) {} // What is wrong, the next request says.
    if (showing !== state.showing) return false;
    try {
      const answer = await fetch(`images/${number}`);
      answer.body?.cancel();
      if (refused(answer)) return false;
    } catch (error) {
      if (!state.unsent.length) trouble(`${why(error)} This page tries again.`);
    }
    await pause(1000);
    image.removeAttribute("src");
  }
  return false;
}

function judge(outcome) {
  const pair = state.current;
  if (!state.ready || document.querySelector(`#judge [data-outcome="${outcome}"]`).disabled) return;
  const seconds = Math.min((performance.now() - state.shown) / 1000, 1e6);
  state.unsent.push({ id: pair.id, rater: state.rater, outcome, seconds: Math.round(seconds * 1000) / 1000 });
  at("status").textContent = `Last answer: ${WORDS[outcome]}.`;
  send();
  advance();
}

async function undo() {
  if (state.undoing) return;
  state.undoing = true;
  try {
    while (state.unsent.length || state.busy) await pause(30);
    const found = await call("api/undo", { rater: state.rater });
    progress(found.progress);
    if (found.pair) {
      state.turn += 1;
      if (state.current) state.queue.unshift(state.current);
      show(found.pair);
      at("status").textContent = "The last answer is taken back. Judge this pair again.";
    } else at("status").textContent = "There is no answer to take back.";
  } catch (error) {
    trouble(`Not taken back: ${error.message}`);
  } finally {
    state.undoing = false;
  }
}

// An image that fits its pane, times the zoom; or a pixel of it for each of the screen.
function size(side) {
  const [pane, image, ratio] = [at(`pane-${side}`), at(side), window.devicePixelRatio || 1];
  const fit = ZOOMS[state.zoom] * Math.min((pane.offsetWidth - 2) / image.naturalWidth, (pane.offsetHeight - 2) / image.naturalHeight);
  const scale = state.actual ? 1 / ratio : fit;
  if (!Number.isFinite(scale)) return;
  const pixels = (length) => `${state.actual ? length * scale : Math.max(1, Math.floor(length * scale))}px`;
  image.style.width = pixels(image.naturalWidth);
  image.style.height = pixels(image.naturalHeight);
  // Pixels that are seen stay sharp: blur would hide noise.
  image.style.imageRendering = scale * ratio >= 2 ? "pixelated" : "";
}

function zoom(step, actual = false) {
  state.actual = actual;
  state.zoom = step === 0 ? 0 : Math.max(0, Math.min(ZOOMS.length - 1, state.zoom + step));
  SIDES.forEach(size);
  at("fit").textContent = state.zoom ? `Fit × ${ZOOMS[state.zoom]}` : "Fit";
  at("fit").setAttribute("aria-pressed", String(!actual && !state.zoom));
  at("actual").setAttribute("aria-pressed", String(actual));
  at("smaller").disabled = state.zoom === 0;
  at("larger").disabled = state.zoom === ZOOMS.length - 1;
}

// Both images show the same part, along the sides on which both are larger than their panes.
function follow(from, to) {
  for (const [place, whole, seen] of [["scrollTop", "scrollHeight", "clientHeight"], ["scrollLeft", "scrollWidth", "clientWidth"]]) {
    const [here, there] = [from[whole] - from[seen], to[whole] - to[seen]];
    if (here <= 0 || there <= 0) continue;
    const wanted = (from[place] / here) * there;
    if (Math.abs(to[place] - wanted) > 1) to[place] = wanted;
  }
}

const percent = (share) => `${(100 * share).toFixed(0)}%`;

function fact(term, value) {
  const part = document.createElement("div");
  const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
  dt.textContent = term;
  dd.textContent = value;
  part.append(dt, dd);
  at("facts").append(part);
}

const estimate = (found, none) =>
  found ? `${percent(found.value)} (${percent(found.low)}–${percent(found.high)}), ${found.pairs} pairs` : none;

function standings(found) {
  const fitted = found.fitted;
  at("facts").replaceChildren();
  fact("judgements", found.judgements.toLocaleString());
  fact("images", found.images.toLocaleString());
  fact("judgements link all images", found.connected ? "yes" : "not yet");
  if (fitted) {
    fact("neighbours in a sure order", percent(fitted.sure_neighbours));
    fact("a place is typically known to within", `${fitted.width} ${fitted.width === 1 ? "place" : "places"}`);
    fact("two raters give the same answer", estimate(fitted.raters_agree, "no pair has two raters yet"));
    fact("a rater gives the same answer again", estimate(fitted.raters_repeat, "no pair was judged twice by one rater yet"));
  }
  at("verdict").textContent = found.trouble || (fitted ? fitted.verdict : "The order appears after five judgements.");
  at("order-part").hidden = !fitted;
  at("raters-part").hidden = !found.raters.length;
  if (fitted) order(found, fitted);
  at("raters").replaceChildren(...found.raters.map(row));
}

function order(found, fitted) {
  const [shown, left] = [fitted.ranking.length, found.images - fitted.ranking.length];
  at("ends").textContent = `Fitted to ${fitted.judgements.toLocaleString()} judgements.${left ? " Both ends are shown." : ""}`;
  // What has not changed stays, so that the page does not jump.
  const now = JSON.stringify(fitted.ranking);
  if (now === state.ranking) return;
  state.ranking = now;
  at("order").replaceChildren(
    ...fitted.ranking.flatMap((each, number) => {
      const [item, picture, place] = ["li", "img", "b"].map((name) => document.createElement(name));
      picture.src = `images/${each.image}`;
      picture.alt = "";
      picture.loading = "lazy";
      place.textContent = each.place;
      item.append(picture, place, ` (${each.first}–${each.last}) ${each.name}`);
      if (!left || number !== shown / 2) return [item];
      const gap = document.createElement("li");
      gap.className = "gap";
      gap.textContent = `… ${left.toLocaleString()} more images lie between …`;
      return [gap, item];
    }),
  );
}

function row(each) {
  const line = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = each.name;
  const values = [each.judgements, each.ties, each.skipped, each.left === null ? "" : percent(each.left)];
  line.append(head, ...values.map((value) => Object.assign(document.createElement("td"), { className: "number", textContent: value })));
  return line;
}

async function refresh() {
  if (at("ranking").hidden) return;
  try {
    standings(await call("api/standings"));
  } catch (error) {
    at("verdict").textContent = `${why(error)} This page tries again.`;
  }
}

function open(tab) {
  const judging = tab === "judge";
  for (const name of ["judge", "ranking"]) {
    at(`tab-${name}`).setAttribute("aria-selected", String(name === tab));
    at(`tab-${name}`).tabIndex = name === tab ? 0 : -1;
  }
  at("enter").hidden = !judging || state.rater !== "";
  at("judge").hidden = !judging || state.rater === "";
  at("ranking").hidden = judging;
  if (judging && state.ready) state.shown = performance.now();
  refresh();
}

// Judging under a name; without one, the form asks for it, and says what was wrong with the last one.
function begin(name, wrong = "") {
  const before = state.rater;
  state.rater = name;
  at("who").hidden = name === "";
  at("who-name").textContent = name;
  at("wrong").textContent = wrong && `${wrong[0].toUpperCase()}${wrong.slice(1)}.`;
  at("wrong").hidden = !wrong;
  if (wrong) at("name").value = before;
  try {
    localStorage.setItem("twinrank-rater", name);
  } catch (error) {} // Without storage, the name is asked for again.
  Object.assign(state, { queue: [], turn: state.turn + 1 });
  clear();
  for (const each of ["progress", "status"]) at(each).textContent = "";
  at("bar").hidden = true;
  if (!state.unsent.length) trouble(state.lost);
  open("judge");
  if (name) advance();
  else at("name").focus();
}

at("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  if (at("name").value.trim()) begin(at("name").value.trim());
});
at("change").addEventListener("click", () => begin(""));
at("undo").addEventListener("click", undo);
at("smaller").addEventListener("click", () => zoom(-1));
at("larger").addEventListener("click", () => zoom(1));
at("fit").addEventListener("click", () => zoom(0));
at("actual").addEventListener("click", () => zoom(0, true));
for (const each of document.querySelectorAll("#judge [data-outcome]")) each.addEventListener("click", () => judge(each.dataset.outcome));
for (const side of SIDES) {
  const [pane, other] = [at(`pane-${side}`), at(`pane-${side === "left" ? "right" : "left"}`)];
  pane.addEventListener("click", () => judge(side));
  pane.addEventListener("keydown", (event) => {
    if (event.repeat || (event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    judge(side);
  });
  pane.addEventListener("scroll", () => follow(pane, other));
  new ResizeObserver(() => size(side)).observe(pane);
}
// A button that was clicked loses the focus, so that the space key does not press it again.
document.addEventListener("click", (event) => {
  if (event.detail > 0 && document.activeElement?.matches("button, [role='button']")) document.activeElement.blur();
});
for (const tab of ["judge", "ranking"]) {
  at(`tab-${tab}`).addEventListener("click", () => open(tab));
  at(`tab-${tab}`).addEventListener("keydown", (event) => {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    event.stopPropagation();
    const other = tab === "judge" ? "ranking" : "judge";
    open(other);
    at(`tab-${other}`).focus();
  });
}
const KEYS = {
  ArrowLeft: () => judge("left"), ArrowRight: () => judge("right"), ArrowDown: () => judge("tie"), ArrowUp: () => judge("skip"),
  " ": () => judge("tie"), s: () => judge("skip"), z: undo, "+": () => zoom(1), "-": () => zoom(-1), 0: () => zoom(0), 1: () => zoom(0, true),
};
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
document.addEventListener("keydown", (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const typing = event.target.matches("input") || (key === " " && event.target.matches("button, [role='button']"));
  if (at("judge").hidden || typing || event.repeat || event.ctrlKey || event.metaKey || event.altKey || !(key in KEYS)) return;
  event.preventDefault();
  if (!event.shiftKey || !(key in MOVES)) return KEYS[key]();
  for (const side of SIDES) at(`pane-${side}`).scrollBy(...MOVES[key].map((step) => step * 80));
});
window.addEventListener("beforeunload", (event) => {
  if (state.unsent.length) event.preventDefault();
});
setInterval(refresh, 3000);
zoom(0);
let known = "";
try {
  known = localStorage.getItem("twinrank-rater") || "";
} catch (error) {} // Without storage, the name is asked for.
begin(known);
