"use strict";
// Replaces the parts of the page that have changed, when the server says so. Without script a reload does the same.
const shown = new Map();
for (const part of document.querySelectorAll("[data-live]")) shown.set(part.id, part.innerHTML);
let busy = false;
let again = false;

async function refresh() {
  if (busy) { again = true; return; }
  busy = true;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.headers.get("content-type")?.startsWith("text/html")) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const [id, before] of shown) {
      const next = fresh.getElementById(id)?.innerHTML;
      const part = document.getElementById(id);
      if (next === undefined || part === null) continue;
      part.toggleAttribute("data-again", fresh.getElementById(id).hasAttribute("data-again"));
      if (next === before) continue;
      const focused = part.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      part.innerHTML = next;
      shown.set(id, next);
      if (focused !== null) part.querySelector(`[href="${CSS.escape(focused)}"]`)?.focus();
    }
  } finally {
    busy = false;
    if (again) { again = false; refresh(); }
  }
}

new EventSource("/live").addEventListener("changed", refresh);
// What a store does not have yet, it has in a moment.
setInterval(() => { if (document.querySelector("[data-again]")) refresh(); }, 2000);
