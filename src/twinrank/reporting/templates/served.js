"use strict";
// What pages of servers have in common.
const at = (id) => document.getElementById(id);

async function call(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await fetch(path, options);
  const value = await answer.json().catch(() => ({}));
  if (answer.ok) return value;
  const detail = typeof value.detail === "string" ? value.detail : `the server refused it (${answer.status})`;
  throw Object.assign(new Error(detail), { status: answer.status });
}

const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

function trouble(text) {
  at("problem").textContent = text;
  at("problem").hidden = !text;
}
