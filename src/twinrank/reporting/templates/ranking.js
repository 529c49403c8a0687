"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const [list, line] = [document.getElementById("list"), document.getElementById("line").content];
const [search, goto, previous, next, where] = ["search", "goto", "previous", "next", "where"].map((id) => document.getElementById(id));
const lower = data.names.map((name) => name.toLowerCase());
const whole = (number) => number.toLocaleString("en");
const score = (value) => (value / data.decimals).toFixed(2).replace("-", "\u2212");
const at = (value) => `${(100 * (value - data.axis[0])) / (data.axis[1] - data.axis[0])}%`;
let found = null;
let start = 0;

function fill(place) {
  const row = line.cloneNode(true).firstElementChild;
  const put = (name, text) => { row.querySelector(name).textContent = text; };
  const count = data.comparisons[place];
  put(".place span", whole(place + 1));
  put(".place small", `${whole(data.best[place])}\u2013${whole(data.last[place])}`);
  put(".who span", data.names[place]);
  put(".who small", `${whole(count)} ${count === 1 ? "comparison" : "comparisons"}`);
  put(".score span", score(data.mean[place]));
  put(".score small", `${score(data.low[place])} to ${score(data.high[place])}`);
  const bar = row.querySelector(".bar").style;
  for (const [variable, key] of [["--l", "low"], ["--m", "mean"], ["--h", "high"]]) bar.setProperty(variable, at(data[key][place]));
  const picture = data.pictures[place];
  if (picture) {
    const image = document.createElement("img");
    Object.assign(image, { src: picture, alt: "" });
    row.querySelector(".thumb").append(image);
  }
  return row;
}

function show() {
  const count = found === null ? data.names.length : found.length;
  const end = Math.min(start + data.pageSize, count);
  const places = Array.from({ length: end - start }, (_, step) => (found === null ? start + step : found[start + step]));
  list.replaceChildren(...places.map(fill));
  where.textContent = count ? `${whole(start + 1)}\u2013${whole(end)} of ${whole(count)}` : "no image has such a name";
  previous.disabled = start === 0;
  next.disabled = end >= count;
}

search.addEventListener("input", () => {
  const wanted = search.value.trim().toLowerCase();
  found = wanted ? lower.flatMap((name, place) => (name.includes(wanted) ? [place] : [])) : null;
  start = 0;
  show();
});
goto.addEventListener("change", () => {
  const place = Math.min(Math.max(1, Math.round(Number(goto.value) || 1)), data.names.length) - 1;
  [found, search.value, start] = [null, "", place - (place % data.pageSize)];
  show();
});
previous.addEventListener("click", () => { start = Math.max(0, start - data.pageSize); show(); });
next.addEventListener("click", () => { start += data.pageSize; show(); });
document.getElementById("tools").hidden = false;
show();
