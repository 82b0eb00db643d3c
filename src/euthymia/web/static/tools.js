// A dial says its value at once; the model answers a moment later, in #live.
(() => {
  "use strict";
  const root = document.documentElement;
  document.addEventListener("input", ({ target }) => {
    if (target.type !== "range") return;
    const text = Number(target.value).toFixed(Number(target.dataset.places));
    target.parentElement.querySelector("output b").textContent = text;
    target.setAttribute("aria-valuetext", `${text} ${target.dataset.unit}`);
  });
  const mark = (isSettled) => {
    root.dataset.settled = String(isSettled);
    document.getElementById("live")?.setAttribute("aria-busy", String(!isSettled));
    document.getElementById("live")?.toggleAttribute("data-stale", !isSettled);
  };
  document.addEventListener("htmx:beforeRequest", () => mark(false));
  document.addEventListener("htmx:afterSettle", () => mark(true));
  document.addEventListener("htmx:responseError", ({ detail }) => { detail.target.innerHTML = detail.xhr.response; mark(true); });
  document.addEventListener("htmx:sendError", ({ detail }) => { detail.target.innerHTML = '<p class="problem" role="alert">The server did not answer. Is it still running?</p>'; mark(true); });
  mark(true);
})();
