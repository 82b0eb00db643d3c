// Draws every figure that carries data-chart, with uPlot, in the colours of the page; again when it is swapped or the theme changes.
(() => {
  "use strict";
  const drawn = new Map();
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const faded = (hex, alpha) => hex.startsWith("#") ? hex + Math.round(alpha * 255).toString(16).padStart(2, "0") : hex;
  const number = (value, places) => value == null ? "–" : value.toFixed(places);

  function bands(data) {
    const found = [];
    let place = 1;
    for (const line of data.lines) {
      if (line.low) found.push({ series: [place + 2, place + 1], fill: faded(colour(line.tone), 0.16) });
      place += line.low ? 3 : 1;
    }
    return found;
  }

  function columns(data) {
    return [data.x, ...data.lines.flatMap((line) => line.low ? [line.y, line.low, line.high] : [line.y])];
  }

  function series(data) {
    const edge = (line) => ({ label: "", stroke: faded(colour(line.tone), 0.35), width: 1, points: { show: false } });
    return [{ label: data.xLabel }, ...data.lines.flatMap((line) => {
      if (line.dots) return [{ label: line.label, stroke: colour(line.tone), fill: line.dash ? colour("card") : colour(line.tone), width: 1.6, paths: () => null, points: { show: true, size: 7, width: 1.6, stroke: colour(line.tone), fill: line.dash ? colour("card") : colour(line.tone) } }];
      const curve = { label: line.label, stroke: colour(line.tone), width: line.tone === "quiet" ? 1.8 : 2.6, dash: line.dash ? [7, 5] : undefined, points: { show: false }, paths: uPlot.paths.spline() };
      return line.low ? [curve, edge(line), edge(line)] : [curve];
    })];
  }

  function behind(data) {
    return (u) => {
      const { ctx, bbox } = u;
      ctx.save();
      for (const [from, to, label] of data.spans) {
        const left = Math.max(u.valToPos(from, "x", true), bbox.left), right = Math.min(u.valToPos(to, "x", true), bbox.left + bbox.width);
        if (right <= left) continue;
        ctx.fillStyle = faded(colour("doubt"), 0.13);
        ctx.fillRect(left, bbox.top, right - left, bbox.height);
        if (label) words(ctx, label, left + 6 * devicePixelRatio, bbox.top + 14 * devicePixelRatio, colour("doubt"));
      }
      for (const [value, label] of data.levels) {
        const y = u.valToPos(value, "y", true);
        if (y < bbox.top || y > bbox.top + bbox.height) continue;
        stroke(ctx, colour("quiet"), [3, 4], [[bbox.left, y], [bbox.left + bbox.width, y]]);
        words(ctx, label, bbox.left + bbox.width - 4 * devicePixelRatio, y - 5 * devicePixelRatio, colour("soft"), "right");
      }
      for (const mark of data.marks) {
        const x = u.valToPos(mark, "x", true);
        if (x < bbox.left - 1 || x > bbox.left + bbox.width + 1) continue;
        const size = 5 * devicePixelRatio, foot = bbox.top + bbox.height;
        ctx.fillStyle = colour("main");
        ctx.beginPath(); ctx.moveTo(x, foot - 2 * size); ctx.lineTo(x - size, foot); ctx.lineTo(x + size, foot); ctx.fill();
      }
      if (data.now != null) {
        const x = u.valToPos(data.now, "x", true);
        stroke(ctx, colour("ink"), [2, 3], [[x, bbox.top], [x, bbox.top + bbox.height]]);
      }
      ctx.restore();
    };
  }

  function stroke(ctx, style, dash, points) {
    ctx.strokeStyle = style; ctx.lineWidth = 1.2 * devicePixelRatio; ctx.setLineDash(dash.map((one) => one * devicePixelRatio));
    ctx.beginPath(); points.forEach(([x, y], index) => index ? ctx.lineTo(x, y) : ctx.moveTo(x, y)); ctx.stroke(); ctx.setLineDash([]);
  }

  function words(ctx, text, x, y, style, align = "left") {
    ctx.font = `500 ${11.5 * devicePixelRatio}px Inter, system-ui, sans-serif`;
    ctx.fillStyle = style; ctx.textAlign = align; ctx.fillText(text, x, y);
  }

  function pointer(data, holder) {
    const box = document.createElement("div");
    box.className = "readout"; box.hidden = true;
    holder.append(box);
    return (u) => {
      const { left, idx } = u.cursor;
      box.hidden = left < 0 || idx == null;
      if (box.hidden) return;
      let place = 1;
      const lines = data.lines.map((line) => { const value = u.data[place][idx]; place += line.low ? 3 : 1; return `${line.label}: ${number(value, data.decimals)}${data.yUnit ? ` ${data.yUnit}` : ""}`; });
      box.textContent = "";
      for (const text of [`${number(u.data[0][idx], u.data[0][idx] < 10 ? 1 : 0)} ${data.xUnit}`, ...lines]) { const row = document.createElement("div"); row.textContent = text; box.append(row); }
      const start = u.over.offsetLeft + left;
      box.style.left = `${start + 14 + box.offsetWidth > holder.clientWidth ? Math.max(0, start - 14 - box.offsetWidth) : start + 14}px`;
      box.style.top = `${u.over.offsetTop + 6}px`;
    };
  }

  function axis(label, isX) {
    return { stroke: colour("soft"), font: "12px Inter, system-ui, sans-serif", labelFont: "500 12px Inter, system-ui, sans-serif", label, labelSize: 20, size: isX ? 30 : 46, gap: 4,
      grid: { stroke: colour("grid"), width: 1, show: !isX }, ticks: { show: isX, stroke: colour("line"), width: 1, size: 5 }, space: isX ? 56 : 34 };
  }

  function draw(figure) {
    const holder = figure.querySelector(".plot"), data = JSON.parse(figure.dataset.chart);
    drawn.get(figure)?.plot.destroy();
    holder.textContent = "";
    const size = () => ({ width: Math.max(holder.clientWidth, 200), height: figure.classList.contains("tall") ? 300 : 236 });
    const plot = new uPlot({
      ...size(), padding: [10, 16, 0, 0], legend: { show: false }, bands: bands(data), series: series(data),
      cursor: { points: { size: 8 }, drag: { x: false, y: false }, y: false },
      scales: { x: { time: false, range: (_, low, high) => [low, high] }, y: { range: (_, low, high) => {
        const [bottom, top] = uPlot.rangeNum(data.floor ?? low, data.ceiling ?? high, 0.08, true);
        return [data.floor ?? bottom, data.ceiling ?? top]; } } },
      axes: [axis(data.xLabel, true), axis(data.yLabel, false)],
      hooks: { drawClear: [behind(data)], setCursor: [pointer(data, holder)] },
    }, columns(data), holder);
    drawn.set(figure, { plot, size });
    watcher.observe(holder);
  }

  const watcher = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const one = drawn.get(target.closest("figure"));
      if (one && Math.abs(one.plot.width - Math.max(target.clientWidth, 200)) > 1) one.plot.setSize(one.size());
    }
  });

  function all(root) {
    for (const figure of drawn.keys()) if (!figure.isConnected) { drawn.get(figure).plot.destroy(); drawn.delete(figure); }
    const figures = [...root.querySelectorAll("figure[data-chart]")];
    if (root.matches?.("figure[data-chart]")) figures.push(root);
    figures.forEach(draw);
  }

  window.euthymiaCharts = { all };
  document.addEventListener("DOMContentLoaded", () => all(document));
  document.addEventListener("htmx:afterSettle", (event) => all(event.target));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => all(document));
})();
