"use strict";
// What pages with scripts have in common.
const at = (id) => document.getElementById(id);
const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

function trouble(text) {
  at("problem").textContent = text;
  at("problem").hidden = !text;
}
