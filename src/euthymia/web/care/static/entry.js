// Sends a form without leaving its page, so that nothing typed is lost when it is refused or not saved.
"use strict";

const NOT_REACHED = "NOT SAVED: the record cannot be reached. What you typed is still here: try again, or use paper.";

function clear(form) {
  for (const one of form.querySelectorAll("[aria-invalid]")) one.removeAttribute("aria-invalid");
  form.querySelector(".refusal")?.remove();
}

function box(form) {
  const made = document.createElement("div");
  made.className = "refusal";
  made.setAttribute("role", "alert");
  made.tabIndex = -1;
  form.prepend(made);
  return made;
}

function line(parent, text, tag = "p") {
  const one = document.createElement(tag);
  one.textContent = text;
  parent.append(one);
  return one;
}

// Who wrote what in between, beside what is on this page: nothing is overwritten, nothing typed is thrown away.
function meantime(parent, found) {
  for (const one of found.since || []) line(parent, `${one.kind || "changed"} by ${one.author || "somebody"}, ${one.entered_at || ""}`, "li");
  for (const one of found.differences || []) line(parent, `${one.field}: yours ${one.yours}, by ${one.author} ${one.theirs}`, "li");
  const link = line(parent, "Load this page again (copy what you typed first)", "a");
  link.href = location.href;
}

function refuse(form, found) {
  const made = box(form);
  line(made, "Not saved", "strong");
  for (const one of found.errors || []) {
    line(made, one.message);
    const field = one.field && form.elements[one.field];
    for (const each of field instanceof RadioNodeList ? field : field ? [field] : []) each.setAttribute?.("aria-invalid", "true");
  }
  for (const one of found.findings || []) line(made, `${one.status === "unknown" ? "?" : "✕"} ${one.says} (${one.status})`, "li");
  if (found.since || found.differences) meantime(made, found);
  if (found.status === 401 || found.status === 423) {
    const link = line(made, "Unlock or sign in on a new tab, then save again here", "a");
    link.href = found.status === 423 ? "/unlock" : "/login";
    link.target = "_blank";
  }
  const deviation = form.querySelector("[data-deviation]");
  if (deviation && found.may_deviate) deviation.hidden = false;
  made.focus();
  made.scrollIntoView({ block: "nearest" });
}

async function send(form, button) {
  clear(form);
  const body = new URLSearchParams(new FormData(form));
  if (button?.name) body.append(button.name, button.value);
  const buttons = form.querySelectorAll("button");
  for (const one of buttons) one.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", headers: { Accept: "application/json" }, body });
    const found = await answer.json();
    if (found.ok) {
      form.dataset.sent = "yes";
      const here = location.pathname + location.search;
      if (found.go === here) location.reload();
      else location.assign(found.go);
    } else refuse(form, found);
  } catch {
    refuse(form, { errors: [{ field: "", message: NOT_REACHED }] });
  } finally {
    for (const one of buttons) one.disabled = false;
  }
}

for (const form of document.querySelectorAll("form[data-send]")) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form, event.submitter);
  });
  form.addEventListener("input", () => { form.dataset.changed = "yes"; });
}

window.addEventListener("beforeunload", (event) => {
  const left = [...document.querySelectorAll("form[data-send][data-changed]:not([data-sent])")];
  if (left.length && !document.querySelector("form[data-sent]")) event.preventDefault();
});

for (const one of document.querySelectorAll("[data-print]")) one.addEventListener("click", () => window.print());
