"use strict";
// Replaces the parts of the page that have changed, when the server says so. Without script a reload does the same.
const shown = new Map();
for (const part of document.querySelectorAll("[data-live]")) shown.set(part.id, part.innerHTML);
// What a person has folded or unfolded.
const folds = new Map();
let busy = false;
let again = false;

// A link is the same in the next version of a part if it leads to the same place; a fold, if it is of the same row.
function nameOf(element) {
  const link = element.matches("a") ? element : element.closest("li")?.querySelector("a");
  return `${element.localName} ${link?.getAttribute("href")}`;
}

const focusable = (part) => [...part.querySelectorAll("a[href], summary, [tabindex]")];

function replace(part, html) {
  const before = focusable(part);
  const place = before.indexOf(document.activeElement);
  part.innerHTML = html;
  for (const fold of part.querySelectorAll("details")) fold.open = folds.get(nameOf(fold)) ?? fold.open;
  if (place < 0) return;
  const after = focusable(part);
  const isSame = (element) => element && nameOf(element) === nameOf(before[place]);
  const next = isSame(after[place]) ? after[place] : after.find(isSame) ?? after[Math.min(place, after.length - 1)];
  next?.focus({ preventScroll: true });
}

// The address of the page, with the trace that it shows: a newer one does not take its place while it is read.
function address() {
  const found = new URL(location.href);
  const shownTrace = document.querySelector("[data-trace]")?.dataset.trace;
  if (shownTrace) found.searchParams.set("trace", shownTrace);
  return found;
}

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    // Without an answer the parts stay: the stream opens again when the server is back.
    const answer = await fetch(address(), { headers: { accept: "text/html" } }).catch(() => null);
    if (!answer?.headers.get("content-type")?.startsWith("text/html")) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const [id, before] of shown) {
      const next = fresh.getElementById(id);
      const part = document.getElementById(id);
      // Nobody loses a field that is being filled in.
      if (next === null || part === null || part.querySelector("form :focus")) continue;
      part.toggleAttribute("data-again", next.hasAttribute("data-again"));
      if (next.innerHTML === before) continue;
      shown.set(id, next.innerHTML);
      replace(part, next.innerHTML);
    }
  } finally {
    busy = false;
    if (again) { again = false; refresh(); }
  }
}

document.addEventListener("click", (event) => {
  const fold = event.target.closest("summary")?.parentElement;
  if (fold) folds.set(nameOf(fold), !fold.open);
});

// The first one comes at once: there may have been changes since the page was made, or while the server was down.
new EventSource("/live").addEventListener("changed", refresh);
// What a store does not have yet, it has in a moment.
setInterval(() => { if (document.querySelector("[data-again]")) refresh(); }, 2000);
