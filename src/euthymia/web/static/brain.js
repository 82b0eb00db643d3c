// Draws the cortex with WebGL: two meshes, coloured by the change of each network's coupling; turned by pointer, touch or arrow keys.
(() => {
  "use strict";
  let mesh = null;
  const view = { turn: -1.9, tilt: 0.16, moment: 0 };
  const shader = {
    vertex: `attribute vec3 place; attribute vec3 normal; attribute vec3 tint; uniform mat4 pose; uniform float aspect; varying vec3 n; varying vec3 c;
      void main() { vec4 p = pose * vec4(place, 1.0); n = (pose * vec4(normal, 0.0)).xyz; c = tint; gl_Position = vec4(p.x / aspect, p.y, p.z * 0.4, 1.0); }`,
    fragment: `precision mediump float; varying vec3 n; varying vec3 c;
      void main() { vec3 m = normalize(n); float light = 0.42 + 0.5 * max(0.0, dot(m, normalize(vec3(-0.35, 0.55, -0.85)))) + 0.14 * max(0.0, -m.z); gl_FragColor = vec4(c * light, 1.0); }`,
  };

  async function load() {
    const held = await (await fetch("/api/story/brain")).json();
    const parts = held.points_mm.map((points, side) => ({ points, triangles: held.triangles[side], networks: held.point_networks[side] }));
    const place = [], index = [], networks = [];
    for (const part of parts) {
      const first = place.length / 3;
      for (const one of part.points) place.push(one);
      for (const one of part.triangles) index.push(one + first);
      networks.push(...part.networks);
    }
    // the axes of the screen: right is right, up is up, front comes from the back; centred, about one wide
    const centred = new Float32Array(place.length);
    for (let i = 0; i < place.length; i += 3) { centred[i] = place[i] / 92; centred[i + 1] = (place[i + 2] - 14) / 92; centred[i + 2] = (place[i + 1] + 18) / 92; }
    return { place: centred, normal: normals(centred, index), index: new Uint16Array(index), networks };
  }

  function normals(place, index) {
    const found = new Float32Array(place.length);
    for (let i = 0; i < index.length; i += 3) {
      const [a, b, c] = [index[i] * 3, index[i + 1] * 3, index[i + 2] * 3];
      const u = [0, 1, 2].map((k) => place[b + k] - place[a + k]), v = [0, 1, 2].map((k) => place[c + k] - place[a + k]);
      const n = [u[2] * v[1] - u[1] * v[2], u[0] * v[2] - u[2] * v[0], u[1] * v[0] - u[0] * v[1]];
      for (const at of [a, b, c]) for (let k = 0; k < 3; k += 1) found[at + k] += n[k];
    }
    return found;
  }

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255);

  function tints(data) {
    const plain = rgb(style("--cortex")), more = rgb(style("--more")), less = rgb(style("--less"));
    const largest = Math.max(...Object.values(data.networks).flat().map(Math.abs), 1e-6);
    const found = new Float32Array(mesh.networks.length * 3);
    mesh.networks.forEach((name, i) => {
      const change = (data.networks[name]?.[view.moment] ?? 0) / largest;
      const share = Math.min(1, Math.sqrt(Math.abs(change))), end = change > 0 ? more : less;
      for (let k = 0; k < 3; k += 1) found[3 * i + k] = plain[k] * (1 - share) + end[k] * share;
    });
    return found;
  }

  function pose() {
    const [ct, st, cp, sp] = [Math.cos(view.turn), Math.sin(view.turn), Math.cos(view.tilt), Math.sin(view.tilt)];
    return new Float32Array([ct, sp * st, cp * st, 0, 0, cp, -sp, 0, -st, sp * ct, cp * ct, 0, 0, 0, 0, 1]);
  }

  function start(figure) {
    const canvas = figure.querySelector("canvas"), gl = canvas.getContext("webgl", { antialias: true, alpha: true });
    if (!gl) return;
    figure.hidden = false;
    const data = JSON.parse(figure.dataset.brain), program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, shader.vertex], [gl.FRAGMENT_SHADER, shader.fragment]]) {
      const one = gl.createShader(kind);
      gl.shaderSource(one, text); gl.compileShader(one); gl.attachShader(program, one);
    }
    gl.linkProgram(program); gl.useProgram(program);
    const buffers = {};
    for (const [name, values] of [["place", mesh.place], ["normal", mesh.normal], ["tint", tints(data)]]) {
      buffers[name] = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]); gl.bufferData(gl.ARRAY_BUFFER, values, gl.DYNAMIC_DRAW);
      const at = gl.getAttribLocation(program, name);
      gl.enableVertexAttribArray(at); gl.vertexAttribPointer(at, 3, gl.FLOAT, false, 0, 0);
    }
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer()); gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, mesh.index, gl.STATIC_DRAW);
    gl.enable(gl.DEPTH_TEST); gl.clearColor(0, 0, 0, 0);

    function draw() {
      const wide = canvas.clientWidth, high = canvas.clientHeight, scale = Math.min(devicePixelRatio, 2);
      canvas.width = wide * scale; canvas.height = high * scale;
      gl.viewport(0, 0, canvas.width, canvas.height); gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
      gl.uniformMatrix4fv(gl.getUniformLocation(program, "pose"), false, pose());
      gl.uniform1f(gl.getUniformLocation(program, "aspect"), wide / high);
      gl.drawElements(gl.TRIANGLES, mesh.index.length, gl.UNSIGNED_SHORT, 0);
    }

    function paint() {
      gl.bindBuffer(gl.ARRAY_BUFFER, buffers.tint); gl.bufferData(gl.ARRAY_BUFFER, tints(data), gl.DYNAMIC_DRAW);
      for (const button of figure.querySelectorAll("[data-moment]")) button.setAttribute("aria-pressed", String(Number(button.dataset.moment) === view.moment));
      draw();
    }

    figure.querySelectorAll("[data-moment]").forEach((button) => button.addEventListener("click", () => { view.moment = Number(button.dataset.moment); paint(); }));
    canvas.addEventListener("pointermove", (event) => { if (event.buttons) { view.turn += event.movementX / 140; view.tilt = Math.max(-1.4, Math.min(1.4, view.tilt + event.movementY / 140)); draw(); } });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] }[event.key];
      if (step) { event.preventDefault(); view.turn += step[0]; view.tilt += step[1]; draw(); }
    });
    new ResizeObserver(draw).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (figure.isConnected) paint(); });
    paint();
  }

  window.euthymiaBrain = async (root) => {
    const figure = root.querySelector("figure[data-brain]");
    if (!figure || figure.dataset.drawn) return;
    figure.dataset.drawn = "true";
    mesh ??= await load();
    start(figure);
  };
  document.addEventListener("DOMContentLoaded", () => {
    const near = new IntersectionObserver((entries) => { for (const { target, isIntersecting } of entries) if (isIntersecting) window.euthymiaBrain(target); }, { rootMargin: "600px" });
    document.querySelectorAll(".live").forEach((one) => near.observe(one));
  });
})();
