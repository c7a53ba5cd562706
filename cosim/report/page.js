"use strict";
const root = document.documentElement;
const island = name => JSON.parse(document.getElementById(name).textContent);
const figures = island("figures");
const settings = { responsive: true, displaylogo: false, displayModeBar: matchMedia("(hover: hover)").matches ? "hover" : false, modeBarButtonsToRemove: ["select2d", "lasso2d"], toImageButtonOptions: { format: "svg" } };

// Figures name colours as CSS variables, so that they follow the theme of the page.
const css = name => getComputedStyle(root).getPropertyValue(name).trim();
function coloured(value) {
  if (typeof value === "string") return /^--[a-z]+\d?$/.test(value) ? css(value) : value;
  if (Array.isArray(value)) return value.length > 400 ? value : value.map(coloured);
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, coloured(part)]));
  return value;
}
function styled(layout) {
  const base = { height: 360, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: { color: css("--ink"), family: "system-ui, sans-serif", size: 12 },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: css("--soft"), activecolor: css("--ink") }, margin: { l: 60, r: 20, t: 40, b: 45 }, hoverlabel: { align: "left", bgcolor: css("--paper"), bordercolor: css("--line"), font: { color: css("--ink") } }, ...coloured(layout) };
  for (const key of Object.keys(base)) if (/^[xy]axis/.test(key)) base[key] = { gridcolor: css("--line"), zerolinecolor: css("--line"), linecolor: css("--line"), ...base[key] };
  return base;
}
const drawn = new Set();
function draw(place) {
  if (place === timeline.place) return timeline.draw();
  const figure = figures[place.dataset.figure];
  drawn.add(place);
  return Plotly.react(place, coloured(figure.data), styled(figure.layout), settings);
}

// The timeline: exact intervals where few are in view, else the part of each column in which a resource was busy.
const timeline = {
  place: document.getElementById("timeline"), most: 1500, tracks: [], packed: null, range: null,
  async open() {
    this.packed = island("tracks");
    const bytes = Uint8Array.from(atob(this.packed.data), c => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    const words = new Uint32Array(await new Response(stream).arrayBuffer());
    let at = 0;
    for (const track of this.packed.tracks) {
      const own = { ...track, kinds: [] };
      for (const [kind, count] of track.kinds) {
        const starts = words.slice(at, at + count), durations = words.subarray(at + count, at + 2 * count), units = words.subarray(at + 2 * count, at + 3 * count);
        for (let k = 1; k < count; k++) starts[k] += starts[k - 1];
        let longest = 0;
        for (const duration of durations) if (duration > longest) longest = duration;
        own.kinds.push({ kind, starts, durations, units, longest });
        at += 3 * count;
      }
      this.tracks.push(own);
    }
    this.range = [0, this.packed.end];
    return this.draw();
  },
  // First interval that may reach into the view.
  first(kind, tick) {
    const wanted = tick - kind.longest;
    let low = 0, high = kind.starts.length;
    while (low < high) { const middle = (low + high) >> 1; if (kind.starts[middle] < wanted) low = middle + 1; else high = middle; }
    return low;
  },
  *seen(kind, low, high) {
    for (let k = this.first(kind, low); k < kind.starts.length && kind.starts[k] < high; k++)
      if (kind.starts[k] + kind.durations[k] > low) yield k;
  },
  bars() {
    const [low, high] = this.range, series = new Map();
    const add = (kind, name, start, duration, opacity, text) => {
      if (!series.has(kind)) series.set(kind, { type: "bar", orientation: "h", name: kind, x: [], y: [], base: [], text: [], textposition: "none", marker: { color: kinds[kind] ?? css("--soft"), opacity: [], line: { width: 0 } }, hovertemplate: "%{y}, " + kind + "<br>%{text}<extra></extra>" });
      const one = series.get(kind), tick = this.packed.tick_s;
      one.x.push(duration * tick); one.base.push(start * tick); one.y.push(name); one.marker.opacity.push(opacity); one.text.push(text);
    };
    let count = 0;
    for (const track of this.tracks) for (const kind of track.kinds) { for (const _ of this.seen(kind, low, high)) if (++count > this.most) break; if (count > this.most) break; }
    this.exact = count <= this.most;
    const kinds = coloured(figures.kinds);
    for (const track of this.tracks) {
      if (this.exact) for (const kind of track.kinds) for (const k of this.seen(kind, low, high))
        add(kind.kind, track.name, kind.starts[k], kind.durations[k], 0.9, `from ${seconds(kind.starts[k] * this.packed.tick_s)} for ${seconds(kind.durations[k] * this.packed.tick_s)}`);
      else this.columns(track, low, high, add);
    }
    return [...series.values()];
  },
  columns(track, low, high, add) {
    const bins = Math.max(20, Math.min(400, Math.floor(3000 / this.tracks.length))), width = (high - low) / bins;
    const cover = track.kinds.map(() => new Float64Array(bins));
    track.kinds.forEach((kind, number) => {
      for (const k of this.seen(kind, low, high)) {
        const from = Math.max(kind.starts[k], low), to = Math.min(kind.starts[k] + kind.durations[k], high);
        const last = Math.min(bins - 1, Math.floor((to - low) / width));
        for (let bin = Math.floor((from - low) / width); bin <= last; bin++)
          cover[number][bin] += kind.units[k] * Math.max(0, Math.min(to, low + (bin + 1) * width) - Math.max(from, low + bin * width));
      }
    });
    let open = null;
    const close = bin => { if (open) add(track.kinds[open.kind].kind, track.name, low + open.bin * width, (bin - open.bin) * width, 0.25 + 0.7 * open.level / 4, `busy about ${25 * open.level} % of the time or less`); open = null; };
    for (let bin = 0; bin < bins; bin++) {
      let total = 0, kind = 0;
      cover.forEach((part, number) => { total += part[bin]; if (part[bin] > cover[kind][bin]) kind = number; });
      const level = Math.ceil(4 * Math.min(1, total / width / track.units) - 1e-9);
      if (!open || open.kind !== kind || open.level !== level) { close(bin); if (level > 0) open = { bin, kind, level }; }
    }
    close(bins);
  },
  draw() {
    if (!this.packed) return this.open();
    const tick = this.packed.tick_s, names = this.tracks.map(track => track.name);
    const layout = styled({ barmode: "overlay", bargap: 0.15, height: 130 + 24 * names.length, dragmode: "zoom", showlegend: true,
      legend: { orientation: "h", y: 1.02, yanchor: "bottom" }, yaxis: { automargin: true, autorange: "reversed", fixedrange: true, categoryorder: "array", categoryarray: names, range: [names.length - 0.5, -0.5] },
      xaxis: { title: { text: "time" }, tickformat: "~s", ticksuffix: "s", hoverformat: ".6s", range: this.range.map(end => end * tick) } });
    const first = !drawn.has(this.place);
    drawn.add(this.place);
    this.place.dataset.exact = "";
    const done = Plotly.react(this.place, this.bars(), layout, { ...settings, scrollZoom: true });
    this.place.dataset.exact = String(this.exact);
    if (first) {
      this.place.on("plotly_relayout", change => {
        if (change["xaxis.autorange"]) this.show([0, this.packed.end]);
        else if ("xaxis.range[0]" in change) this.show([change["xaxis.range[0]"] / tick, change["xaxis.range[1]"] / tick]);
      });
      for (const button of document.querySelectorAll("[data-zoom]")) button.addEventListener("click", () => this.step(button.dataset.zoom));
    }
    return done;
  },
  show([low, high]) {
    const span = Math.min(Math.max(high - low, 16), this.packed.end);
    low = Math.min(Math.max(low, 0), this.packed.end - span);
    this.range = [low, low + span];
    return this.draw();
  },
  step(way) {
    const [low, high] = this.range, middle = (low + high) / 2, half = (high - low) / 2;
    const spans = { in: [middle - half / 2, middle + half / 2], out: [middle - 2 * half, middle + 2 * half], left: [low - half, high - half], right: [low + half, high + half], whole: [0, this.packed.end] };
    return this.show(spans[way]);
  },
};
function seconds(value) {
  const units = [[1, "s"], [1e-3, "ms"], [1e-6, "µs"], [1e-9, "ns"], [1e-12, "ps"], [1e-15, "fs"]];
  const [scale, unit] = units.find(([scale]) => Math.abs(value) >= scale) ?? units.at(-1);
  return `${Number((value / scale).toPrecision(4))} ${unit}`;
}

// Figures are drawn when they come into view, and all of them before the page is printed.
const places = [...document.querySelectorAll("[data-figure]")];
if (timeline.place) places.push(timeline.place);
const watch = new IntersectionObserver(entries => {
  for (const entry of entries) if (entry.isIntersecting) { watch.unobserve(entry.target); draw(entry.target); }
}, { rootMargin: "300px" });
for (const place of places) watch.observe(place);
const again = () => { for (const place of drawn) draw(place); };
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
addEventListener("beforeprint", () => { root.dataset.theme = "light"; for (const place of places) draw(place); });
addEventListener("afterprint", () => { delete root.dataset.theme; again(); });

for (const table of document.querySelectorAll("table.sortable")) {
  table.tHead.rows[0].querySelectorAll("th").forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const x = key(a), y = key(b);
        const order = x !== "" && y !== "" && !isNaN(x) && !isNaN(y) ? x - y : x.localeCompare(y);
        return down ? -order : order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}
