// Fills the report's plots with the numbers of the selected class. Body of a callback; its arguments come from
// report/__init__.py. The columns are those of report/rows.py.

const c = state.data.target[0]
const other = state.data.other[0]
const K = data.channels.length
const T = data.basin.shape[1]
const C = data.names.length

const number = (value, digits) => (Number.isFinite(value) ? value.toFixed(digits).replace("-", "\u2212") : "\u2013")
const cut = (name) => (name.length <= look.name_letters ? name : name.slice(0, look.name_letters - 1) + "\u2026")
const noFormula = (text) => text.replaceAll("$$", "$\u200b$").replaceAll("\\(", "\\\u200b(").replaceAll("\\[", "\\\u200b[")

// The record of a class: int16 for OFIV, low, high, spread and the basins' means, then bytes for convergence.
const [OFIV, LOW, HIGH, SPREAD, MEANS] = [0, 1, 2, 3, 4]
const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))
data.records ??= document.getElementById("dr-records").textContent.trim().split("\n")
const record = (c) => {
  const raw = bytes(data.records[c])
  const rows = MEANS + data.basins[c]
  const words = new DataView(raw.buffer)
  const at = (row, k) => {
    const q = words.getInt16(2 * (row * K + k), true)
    return q === look.nothing ? NaN : q * data.scale[c]
  }
  return {at, gap: raw.subarray(2 * rows * K)}
}
const one = record(c)
const compared = other < 0 ? null : record(other)

// ---- importance: which channels get a row, and what stands in it -----------------------------------------------

const values = Array.from({length: K}, (_, k) => one.at(OFIV, k))
const key = (k) => (Number.isFinite(values[k]) ? values[k] : 0)
const n_rows = widgets.everything.active ? K : Math.min(look.rows, K)
const by_size = Array.from({length: K}, (_, k) => k).sort((a, b) => Math.abs(key(b)) - Math.abs(key(a)) || a - b)
const shown = by_size.slice(0, n_rows).sort((a, b) => key(b) - key(a) || a - b)
const folded = by_size.slice(n_rows).sort((a, b) => a - b)
const above = shown.filter((k) => key(k) >= 0).length
const fold = folded.length > 0
const y = shown.map((_, i) => i + (fold && i >= above ? 1 : 0))
const disagree = shown.map((k) => one.at(SPREAD, k) < 0)

const rows = {
  y, k: shown,
  channel: shown.map((k) => data.channels[k]),
  value: shown.map((k) => values[k]),
  low: shown.map((k) => one.at(LOW, k)),
  high: shown.map((k) => one.at(HIGH, k)),
  colour: shown.map((k) => (values[k] < 0 ? look.negative : look.positive)),
  alpha: disagree.map((d) => (d ? look.pale : look.solid)),
  line: disagree.map(Number),
  spread: shown.map((k) => number(Math.abs(one.at(SPREAD, k)), look.digits)),
  mark: disagree.map(Number),
  sharing: shown.map((k) => String(data.sharing[k])),
  other: shown.map((k) => (compared ? compared.at(OFIV, k) : NaN)),
}
const marks = {x: [], y: [], colour: [], mark: []}
for (let b = 0; b < data.basins[c]; b++) {
  const [colour, mark] = look.basins[b]
  shown.forEach((k, i) => {
    if (!disagree[i]) return
    marks.x.push(one.at(MEANS + b, k))
    marks.y.push(y[i])
    marks.colour.push(colour)
    marks.mark.push(mark)
  })
}
const widest = Math.max(0, ...folded.map((k) => Math.abs(key(k))))

const logo = {xs: [], ys: [], colour: []}
if (data.logo) {
  const width = data.logo.shape[2]
  const pitch = look.logo.width / width
  shown.forEach((k, row) => {
    for (let i = 0; i < width; i++) {
      const bits = [0, 1, 2, 3].map((b) => data.logo[(k * 4 + b) * width + i])
      let level = y[row] + look.logo.tall / 2
      for (const b of [0, 1, 2, 3].sort((p, q) => bits[p] - bits[q] || p - q)) {
        const tall = (-bits[b] / 2) * look.logo.tall
        if (!(Math.abs(tall) >= 0.02 * look.logo.tall)) continue
        logo.xs.push(look.letters[b].map(([x]) => look.logo.left + (i + x * 0.94) * pitch))
        logo.ys.push(look.letters[b].map(([, y]) => level + (1 - y) * tall))
        logo.colour.push(look.bases[b])
        level += tall
      }
    }
  })
}
sources.rows.data = rows
sources.marks.data = marks
sources.logo.data = logo
sources.fold.data = {x: folded.map(key), y: folded.map(() => above)}
sources.words.data = fold
  ? {y: [above], more: [`${folded.length} more`], within: [`within \u00b1${number(widest, look.digits)}`]}
  : {y: [], more: [], within: []}

// Room for everything that is drawn, and for zero.
const drawn = [...rows.value, ...rows.low, ...rows.high, ...rows.other, ...marks.x].filter(Number.isFinite)
const [least, most] = [Math.min(0, ...drawn), Math.max(0, ...drawn)]
const margin = look.margin * (most - least) || 1
figures.bars.x_range.setv({start: least - margin, end: most + margin})

const range = figures.bars.y_range
const room = Math.min(look.rows, K)
if (range.start - range.end !== room + 1 || !widgets.everything.active) {
  range.setv({start: room + 0.5, end: -0.5})
}

// ---- the selected channel: its row, and its importance in every class ------------------------------------------

const channel = state.data.channel[0]
const leading = channel >= 0 ? channel : by_size[0]
const row = shown.indexOf(channel)
sources.chosen_row.data = {y: row < 0 ? [] : [y[row]]}
// One number out of every record: only the letters that hold its two bytes are decoded.
const ofivOf = (c, k) => {
  const group = Math.floor((2 * k) / 3) // three bytes are four letters
  const raw = atob(data.records[c].slice(4 * group, 4 * group + 8))
  const at = 2 * k - 3 * group
  const q = ((raw.charCodeAt(at) | (raw.charCodeAt(at + 1) << 8)) << 16) >> 16 // the sign of 16 bits
  return q === look.nothing ? NaN : q * data.scale[c]
}
const across = Array.from({length: C}, (_, i) => ofivOf(i, leading))
const both = [0, ...across.filter(Number.isFinite)]
figures.strip.x_range.setv({start: Math.min(...both) || -1e-9, end: Math.max(...both) || 1e-9})
sources.strip.data = {
  y: Array.from(data.place),
  value: across.map((v) => (Number.isFinite(v) ? v : 0)),
  colour: across.map((v) => (v < 0 ? look.negative : look.positive)),
  name: data.names,
}
const caption = (id, text) => {
  const node = document.getElementById(id)
  if (node) node.textContent = text // names are text, never markup
}
caption("dr-strip", `channel ${data.channels[leading]}`)

// ---- convergence ------------------------------------------------------------------------------------------------

const P = data.steps.length
const lines = {xs: [], ys: [], colour: [], restart: []}
const ends = {x: [], y: [], colour: [], mark: [], word: [], restart: []}
const sizes = []
for (let t = 0; t < T; t++) {
  const b = data.basin[c * T + t]
  if (b >= 0) sizes[b] = (sizes[b] ?? 0) + 1
}
for (let t = 0; t < T; t++) {
  const xs = []
  const ys = []
  for (let p = 0; p < P; p++) {
    const byte = one.gap[t * P + p]
    if (!byte) continue
    xs.push(data.steps[p])
    ys.push(10 ** (data.gap_low[c] + (byte - 1) / look.gap_steps))
  }
  if (!xs.length) continue
  const b = data.basin[c * T + t]
  const [colour, mark] = look.basins[Math.min(Math.max(b, 0), look.basins.length - 1)]
  lines.xs.push(xs)
  lines.ys.push(ys)
  lines.colour.push(colour)
  lines.restart.push(t)
  ends.x.push(xs[xs.length - 1])
  ends.y.push(ys[ys.length - 1])
  ends.colour.push(colour)
  ends.mark.push(mark)
  ends.word.push(b < 0 ? "left out" : `basin ${b + 1}: ${sizes[b]} restart${sizes[b] === 1 ? "" : "s"}`)
  ends.restart.push(t)
}
const steps = lines.xs.flat()
const gaps = lines.ys.flat()
if (gaps.length) {
  figures.convergence.x_range.setv({start: 0, end: look.beyond * Math.max(...steps)})
  figures.convergence.y_range.setv({start: look.decade * Math.max(...gaps), end: Math.min(...gaps) / look.decade})
}
sources.lines.data = lines
sources.ends.data = ends

// ---- classes: the names that fit, the frames around the chosen ones, their paths to the root -------------------

const view = figures.classes.y_range
const top = Math.max(0, Math.floor(Math.min(view.start, view.end)))
const bottom = Math.min(C - 1, Math.ceil(Math.max(view.start, view.end)))
const labels = {y: [], text: [], style: [], colour: []}
const label = (c) => {
  labels.y.push(data.place[c])
  labels.text.push(cut(data.names[c]))
  labels.style.push(c === state.data.target[0] || c === other ? "bold" : "normal")
  labels.colour.push(c === state.data.target[0] ? look.selected : look.ink)
}
if (bottom - top < look.named) for (let i = top; i <= bottom; i++) label(data.order[i])
else for (const chosen of other >= 0 && other !== c ? [c, other] : [c]) label(chosen)
sources.labels.data = labels

const pitch = figures.classes.height / Math.abs(view.start - view.end)
const dots = {x: [], y: [], edge: [], fill: [], support: []}
tree.support.forEach((share, i) => {
  if (share < 0 || tree.size[i] * pitch < tree.least) return
  dots.x.push(tree.x[4 * i + 1])
  dots.y.push((tree.y[4 * i + 1] + tree.y[4 * i + 2]) / 2)
  dots.edge.push(tree.edge[i])
  dots.fill.push(tree.fill[i])
  dots.support.push(share)
})
sources.dots.data = dots

const [heat, heat_width] = look.heat
const frames = {left: [], right: [], top: [], bottom: [], colour: [], fill: [], dash: []}
const frame = (left, right, top, bottom, colour, fill, dash) => {
  for (const [name, value] of Object.entries({left, right, top, bottom, colour, fill, dash})) frames[name].push(value)
}
for (const [chosen, colour, dash] of [[other, look.ink, "dashed"], [c, look.selected, "solid"]]) {
  if (chosen < 0) continue
  const at = data.place[chosen]
  frame(look.names_from, heat, at - 0.5, at + 0.5, colour, 0.09, "solid")
  frame(heat, heat + heat_width, at - 0.5, at + 0.5, colour, 0, dash)
  frame(heat + (at / C) * heat_width, heat + ((at + 1) / C) * heat_width, -0.5, C - 0.5, colour, 0, dash)
}
sources.frames.data = frames

const path = (leaf) => {
  const xs = []
  const ys = []
  for (let node = leaf, up = data.parent[leaf]; leaf >= 0 && up >= 0; node = C + up, up = data.parent[node]) {
    // A bracket's four points run from the left child to the right one: the half on this node's side is its path.
    const at = up * 4
    const place = node < C ? data.place[node] : (tree.y[(node - C) * 4 + 1] + tree.y[(node - C) * 4 + 2]) / 2
    const half = Math.abs(tree.y[at] - place) < 1e-6 ? [0, 1] : [3, 2]
    const middle = (tree.y[at + 1] + tree.y[at + 2]) / 2
    xs.push([...half.map((i) => tree.x[at + i]), tree.x[at + 1]])
    ys.push([...half.map((i) => tree.y[at + i]), middle])
  }
  return {xs, ys}
}
sources.path.data = path(c)
sources.other_path.data = path(other)

// ---- pairs ------------------------------------------------------------------------------------------------------

const table = tables.find((entry) => entry.target === c)
const section = document.getElementById("dr-pairs")
if (section) section.classList.toggle("dr-none", !table)
if (table && sources.cells) {
  const n = table.features.length
  const cells = {x: [], y: [], level: [], value: [], first: [], second: [], logic: [], index: []}
  let limit = 0
  for (let i = 0; i < n * n; i++) if (Number.isFinite(table.nonlinearity[i]) && i % n < Math.floor(i / n)) limit = Math.max(limit, Math.abs(table.nonlinearity[i]))
  for (let i = 1; i < n; i++) {
    for (let j = 0; j < i; j++) {
      const value = table.nonlinearity[i * n + j]
      if (!Number.isFinite(value)) continue
      const cell = {x: j, y: i, level: limit ? value / limit : 0, value, first: table.features[i], second: table.features[j], logic: table.logic[i * n + j], index: i * n + j}
      for (const [name, entry] of Object.entries(cell)) cells[name].push(entry)
    }
  }
  sources.cells.data = cells
  const places = table.features.map((_, i) => i)
  sources.diagonal.data = {x: places, y: places, text: table.features.map(cut)}
  figures.pairs.x_range.setv({start: -0.7, end: n - 0.3})
  figures.pairs.y_range.setv({start: n - 0.3, end: -0.7})

  const strongest = cells.index[cells.value.reduce((best, v, i) => (Math.abs(v) > Math.abs(cells.value[best] ?? 0) ? i : best), 0)]
  const pair = cells.index.includes(state.data.pair[0]) ? state.data.pair[0] : strongest
  const [i, j] = [Math.floor(pair / n), pair % n]
  sources.chosen_cell.data = pair === undefined ? {x: [], y: []} : {x: [j], y: [i]}
  const four = ["s00", "s01", "s10", "s11"].map((name) => table[name][pair])
  const largest = Math.max(...four.map(Math.abs)) * 1.6 // so that ink reads on the strongest
  sources.corners.data = {
    x: [0, 1, 0, 1], y: [0, 0, 1, 1],
    level: four.map((v) => (largest ? v / largest : 0)),
    text: four.map((v, k) => {
      const half = table.half_width[4 * pair + k]
      return Number.isFinite(half) ? `${number(v, 2)} \u00b1${number(half, 2)}` : number(v, 2)
    }),
    ink: four.map(() => look.ink),
  }
  const words = {x: [], y: [], text: [], size: [], style: [], align: []}
  const say = (x, y, text, size = "11px", style = "normal", align = "center") => {
    for (const [name, entry] of Object.entries({x, y, text, size, style, align})) words[name].push(entry)
  }
  const sure = Number.isFinite(table.confidence[pair]) ? `, confidence ${number(table.confidence[pair], 2)}` : ""
  if (table.logic[pair]) say(-1.15, -1.3, table.logic[pair] + sure, "15px", "bold", "left")
  say(0.5, -0.95, cut(table.features[j]), "12px", "bold")
  say(-0.9, 0.5, cut(table.features[i]), "12px", "bold")
  say(0, -0.65, "off"); say(1, -0.65, "on"); say(-0.62, 0, "off"); say(-0.62, 1, "on")
  say(-1.15, 1.85, `non-linearity ${number(table.nonlinearity[pair], 2)} logits`, "12px", "normal", "left")
  sources.pair_words.data = words
  caption("dr-sentence", table.sentence[pair] ?? "")
}

// ---- the words around -------------------------------------------------------------------------------------------

const ended = Array.from({length: T}, (_, t) => data.status[c * T + t])
const diverged = ended.filter((s) => s === 4).length
caption("dr-class", data.names[c])
caption("dr-other", other >= 0 ? data.names[other] : "")
caption("dr-restarts", diverged ? `${diverged} of ${T} restarts diverged and left out` : "")
document.getElementById("dr-compared")?.classList.toggle("dr-none", other < 0)
const follow = () => {
  const [target, other] = [String(state.data.target[0]), String(state.data.other[0])]
  if (widgets.target.value !== target) widgets.target.value = target
  if (widgets.other.value !== other) widgets.other.value = other
}
if (widgets.target.options.length === C) follow()
else if (!data.filling) {
  data.filling = true
  setTimeout(() => {
    const options = Array.from(data.order, (c) => [String(c), data.names[c]])
    widgets.target.options = options
    widgets.other.options = [look.nobody, ...options]
    follow()
  })
}
