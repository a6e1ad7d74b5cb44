// src/answers.js
var e = class extends Error {
	constructor() {
		super("This answer belongs to another film. Nothing is shown. Tell the administrator, and read the film elsewhere.");
	}
};
async function t(e) {
	let t;
	try {
		t = await fetch(e, {
			credentials: "same-origin",
			cache: "no-store"
		});
	} catch {
		throw Error("The server does not answer. Check the connection and try again.");
	}
	if (t.redirected) throw Error("You are signed out. Sign in again.");
	if (!t.ok) throw Error(`The server refused this picture (${t.status}). Open the study page.`);
	return t;
}
function n(t) {
	if (!t) throw new e();
}
async function r(e, { study: r, patient: i }) {
	let a = await (await t(e)).json();
	return n(a.study === r && a.patient === i), n(a.films.every((e) => e.study === r && e.patient === i)), n(a.priors.every((e) => e.study !== r && e.patient === i)), a;
}
async function i(e, r, i = {}) {
	let a = await t(r), o = {
		"X-Study-ID": e.study,
		"X-Radiograph-ID": e.id,
		"X-Image-SHA256": e.sha256,
		...i
	};
	for (let [e, t] of Object.entries(o)) n(a.headers.get(e) === t);
	return a;
}
async function a(e) {
	return (await i(e, e.picture)).arrayBuffer();
}
async function o(e, t) {
	let n = await i(e, t.address, {
		"X-Prediction-ID": t.prediction,
		"X-Finding": t.label
	});
	return createImageBitmap(await n.blob());
}
// src/keys.js
var s = [
	{
		keys: ["w"],
		shown: "W",
		words: "drag: window (across: contrast, up and down: brightness)",
		does: (e) => e.choose("window")
	},
	{
		keys: ["m"],
		shown: "M",
		words: "drag: move the film (or the middle button)",
		does: (e) => e.choose("pan")
	},
	{
		keys: ["z"],
		shown: "Z",
		words: "drag: zoom (or the wheel, two fingers)",
		does: (e) => e.choose("zoom")
	},
	{
		keys: ["l"],
		shown: "L",
		words: "draw a length",
		does: (e) => e.choose("length")
	},
	{
		keys: ["c"],
		shown: "C",
		words: "cardiothoracic ratio: draw the heart, then the chest",
		does: (e) => e.choose("ratio")
	},
	{
		keys: ["Delete", "Backspace"],
		shown: "Delete",
		words: "take the last line away",
		does: (e) => e.removeLast()
	},
	{
		keys: [..."123456789"],
		shown: "1 … 9",
		words: "window presets, in the order of the list",
		does: (e, t) => e.preset(Number(t) - 1)
	},
	{
		keys: ["v"],
		shown: "V",
		words: "invert",
		does: (e) => e.do("invert")
	},
	{
		keys: ["t"],
		shown: "T",
		words: "turn by a quarter",
		does: (e) => e.do("rotate")
	},
	{
		keys: ["x"],
		shown: "X",
		words: "mirror left and right",
		does: (e) => e.do("flip")
	},
	{
		keys: ["o"],
		shown: "O",
		words: "1:1, one pixel of the film on one of the screen",
		does: (e) => e.do("actual")
	},
	{
		keys: ["e"],
		shown: "E",
		words: "fit the whole film",
		does: (e) => e.do("fit")
	},
	{
		keys: ["+", "="],
		shown: "+",
		words: "closer",
		does: (e) => e.closer(1.25)
	},
	{
		keys: ["-"],
		shown: "−",
		words: "further",
		does: (e) => e.closer(.8)
	},
	{
		keys: ["0"],
		shown: "0",
		words: "reset everything",
		does: (e) => e.do("reset")
	},
	{
		keys: ["h"],
		shown: "H",
		words: "model attention on and off",
		does: (e) => e.do("map")
	},
	{
		keys: ["b"],
		shown: "B",
		words: "prior film beside this one",
		does: (e) => e.do("prior")
	},
	{
		keys: ["y"],
		shown: "Y",
		words: "yoke: link zoom and window of the two films",
		does: (e) => e.do("link")
	},
	{
		keys: ["ArrowRight"],
		shown: "→",
		words: "next film",
		does: (e) => e.step(1)
	},
	{
		keys: ["ArrowLeft"],
		shown: "←",
		words: "previous film",
		does: (e) => e.step(-1)
	},
	{
		keys: ["?"],
		shown: "?",
		words: "this list",
		does: (e) => e.do("help")
	}
], c = "input:not([type=range]), textarea, select, [contenteditable]", l = "input[type=range], select";
function u(e) {
	document.addEventListener("keydown", (t) => {
		if (t.ctrlKey || t.metaKey || t.altKey || t.defaultPrevented || t.target.closest(c) || document.querySelector("dialog[open]") || t.key.startsWith("Arrow") && t.target.closest(l)) return;
		let n = t.key.length === 1 ? t.key.toLowerCase() : t.key, r = s.find((e) => e.keys.includes(n));
		r && (t.preventDefault(), r.does(e, n));
	}, { signal: e.ended.signal });
}
function d(e) {
	e.replaceChildren();
	for (let { shown: t, words: n } of s) {
		let [r, i] = [document.createElement("dt"), document.createElement("dd")], a = document.createElement("kbd");
		a.textContent = t, r.append(a), i.textContent = n, e.append(r, i);
	}
}
// src/measures.js
var f = 14, p = {
	length: "#ffd166",
	heart: "#ff8fa3",
	chest: "#8dd5e8"
}, m = {
	heart: "Heart",
	chest: "Chest"
}, h = class {
	constructor() {
		this.lines = /* @__PURE__ */ new Map();
	}
	of(e) {
		return this.lines.has(e.about.id) || this.lines.set(e.about.id, []), this.lines.get(e.about.id);
	}
	begin(e, t, n) {
		let r = this.of(e.film), i = this.at(e, t);
		if (i) return i;
		let a = e.toFilm(t), o = {
			kind: n === "length" ? "length" : this.next(r),
			from: g(a),
			to: g(a)
		};
		if (o.kind !== "length") {
			let e = o.kind === "heart" ? ["heart", "chest"] : ["chest"];
			for (let t of e) _(r, r.find((e) => e.kind === t));
		}
		return r.push(o), {
			line: o,
			end: "to"
		};
	}
	next(e) {
		let t = (t) => e.some((e) => e.kind === t);
		return t("heart") && !t("chest") ? "chest" : "heart";
	}
	at(e, t) {
		for (let n of [...this.of(e.film)].reverse()) for (let r of ["from", "to"]) {
			let i = e.toPane(n[r]);
			if (Math.hypot(i.x - t.x, i.y - t.y) < f) return {
				line: n,
				end: r
			};
		}
		return null;
	}
	move(e, t, n) {
		t.line[t.end] = g(e.toFilm(n));
	}
	end(e, t) {
		let [n, r] = [e.toPane(t.line.from), e.toPane(t.line.to)];
		Math.hypot(n.x - r.x, n.y - r.y) < 4 && _(this.of(e.film), t.line);
	}
	remove(e, t) {
		_(this.of(e), t);
	}
	removeLast(e) {
		this.of(e).pop();
	}
	said(e) {
		let t = this.of(e), n = t.find((e) => e.kind === "heart"), r = t.find((e) => e.kind === "chest"), i = t.filter((e) => e.kind === "length").map((t, n) => ({
			words: `Length ${n + 1}: ${v(e, t)}, ${e.length(t.from, t.to).of}`,
			lines: [t]
		}));
		if (n && r) {
			let t = e.length(n.from, n.to).number / e.length(r.from, r.to).number;
			i.push({
				words: `Cardiothoracic ratio ${t.toFixed(2)}: heart / chest, by hand`,
				lines: [n, r]
			});
		} else n && i.push({
			words: "Cardiothoracic ratio: now draw the widest inner chest",
			lines: [n]
		});
		return i;
	}
	draw(e, t) {
		for (let n of this.of(e.film)) {
			let [r, i] = [e.toPane(n.from), e.toPane(n.to)];
			t.lineWidth = 4, t.strokeStyle = "rgb(0 0 0 / 60%)", y(t, r, i), t.lineWidth = 1.75, t.strokeStyle = p[n.kind], y(t, r, i), b(t, m[n.kind] ?? v(e.film, n), i, p[n.kind]);
		}
	}
};
function g({ x: e, y: t }) {
	return {
		x: e,
		y: t
	};
}
function _(e, t) {
	let n = e.indexOf(t);
	n >= 0 && e.splice(n, 1);
}
function v(e, t) {
	let { number: n, unit: r } = e.length(t.from, t.to);
	return `${r === "px" ? Math.round(n) : n.toFixed(1)} ${r}`;
}
function y(e, t, n) {
	e.beginPath(), e.moveTo(t.x, t.y), e.lineTo(n.x, n.y);
	for (let r of [t, n]) e.moveTo(r.x + 4, r.y), e.arc(r.x, r.y, 4, 0, 2 * Math.PI);
	e.stroke();
}
function b(e, t, n, r) {
	e.font = "600 13px Inter, system-ui, sans-serif";
	let i = e.measureText(t).width, a = Math.max(4, Math.min(n.x + 10, e.canvas.clientWidth - i - 12)), o = Math.max(20, n.y - 10);
	e.fillStyle = "rgb(0 0 0 / 70%)", e.fillRect(a - 4, o - 14, i + 8, 19), e.fillStyle = r, e.fillText(t, a, o);
}
// src/pane.js
var x = Object.freeze({
	zoom: 1,
	actual: !1,
	x: .5,
	y: .5,
	shift: 0,
	stretch: 1
}), S = 40, C = class {
	constructor(e) {
		this.look = { ...x }, this.turn = {
			quarter: 0,
			flip: !1,
			invert: !1
		}, this.film = null, this.map = null, this.onChange = e, this.build();
	}
	build() {
		this.element = document.createElement("figure"), this.element.className = "pane", this.element.tabIndex = 0, this.canvas = document.createElement("canvas"), this.canvas.setAttribute("role", "img"), this.canvas.setAttribute("aria-label", "Chest film, not shown yet"), this.label = document.createElement("figcaption"), this.foot = document.createElement("p"), this.foot.className = "pane-foot", this.notice = document.createElement("p"), this.notice.className = "pane-notice", this.notice.setAttribute("role", "alert"), this.element.append(this.canvas, this.label, this.foot, this.notice), new ResizeObserver(() => this.paint()).observe(this.element);
	}
	show(e) {
		this.film = e, this.map = null, this.turn = {
			quarter: 0,
			flip: !1,
			invert: !1
		}, this.warn("");
		let { about: t } = e;
		this.label.replaceChildren(...T(e)), this.canvas.setAttribute("aria-label", `Chest film${t.view ? `, ${t.view}` : ""}, taken ${t.taken}`), this.element.dataset.radiograph = t.id, this.paint();
	}
	warn(e) {
		this.notice.textContent = e;
	}
	refuse(e) {
		this.warn(e), this.film?.release(), this.film = null, this.map = null, delete this.element.dataset.radiograph, delete this.element.dataset.ready, this.label.replaceChildren(), this.foot.textContent = "", this.paint();
	}
	get window() {
		let { centre: e, width: t } = this.film.facts.windows[0];
		return {
			centre: e + this.look.shift * t,
			width: Math.max(t * this.look.stretch, t / 1e3)
		};
	}
	set window({ centre: e, width: t }) {
		let n = this.film.facts.windows[0];
		this.look.shift = (e - n.centre) / n.width, this.look.stretch = t / n.width;
	}
	get upright() {
		let { width: e, height: t } = this.film;
		return this.turn.quarter % 2 ? [t, e] : [e, t];
	}
	get scale() {
		return this.look.actual ? 1 / (window.devicePixelRatio || 1) : this.fit * this.look.zoom;
	}
	set scale(e) {
		this.look.zoom = Math.max(Math.min(Math.max(e, .01), S) / this.fit, .2), this.look.actual = !1;
	}
	get fit() {
		let [e, t] = this.upright, n = this.canvas.getBoundingClientRect();
		return Math.min(n.width / e, n.height / t);
	}
	get matrix() {
		let e = this.canvas.getBoundingClientRect(), { width: t, height: n } = this.film, r = new DOMMatrix().translate(e.width / 2, e.height / 2).scale(this.scale).scale(this.turn.flip ? -1 : 1, 1).rotate(this.turn.quarter * 90).translate(-this.look.x * t, -this.look.y * n), i = window.devicePixelRatio || 1;
		return r.e = Math.round(r.e * i) / i, r.f = Math.round(r.f * i) / i, r;
	}
	toPane(e) {
		return this.matrix.transformPoint(e);
	}
	toFilm(e) {
		return this.matrix.inverse().transformPoint(e);
	}
	pan(e, t) {
		let [n, r] = [this.toFilm({
			x: 0,
			y: 0
		}), this.toFilm({
			x: e,
			y: t
		})];
		this.look.x = Math.min(1.2, Math.max(-.2, this.look.x - (r.x - n.x) / this.film.width)), this.look.y = Math.min(1.2, Math.max(-.2, this.look.y - (r.y - n.y) / this.film.height));
	}
	zoom(e, t) {
		let n = this.toFilm(t);
		this.scale *= e;
		let r = this.toPane(n);
		this.pan(t.x - r.x, t.y - r.y);
	}
	paint() {
		cancelAnimationFrame(this.waiting), this.waiting = requestAnimationFrame(() => this.draw());
	}
	draw() {
		let { canvas: e, film: t } = this, n = this.element.getBoundingClientRect(), r = window.devicePixelRatio || 1, [i, a] = [Math.round(n.width * r), Math.round(n.height * r)];
		(e.width !== i || e.height !== a) && Object.assign(e, {
			width: i,
			height: a
		});
		let o = e.getContext("2d", { alpha: !1 });
		o.setTransform(1, 0, 0, 1, 0, 0), o.fillStyle = "#000", o.fillRect(0, 0, i, a), delete this.element.dataset.map, t && (o.setTransform(new DOMMatrix().scale(r).multiply(this.matrix)), o.imageSmoothingEnabled = this.scale * r < 2, o.imageSmoothingQuality = "high", o.drawImage(t.grey(this.window, this.turn.invert), 0, 0), this.map && (o.imageSmoothingEnabled = !0, o.globalAlpha = this.map.strength, o.drawImage(this.map.bitmap, 0, 0, t.width, t.height), o.globalAlpha = 1, this.element.dataset.map = this.map.label), o.setTransform(r, 0, 0, r, 0, 0), this.onChange(this, o), this.element.dataset.ready = t.about.id);
	}
	say(e) {
		if (!this.film) return;
		let { centre: t, width: n } = this.window, r = [`C ${w(t)} W ${w(n)}`, `${Math.round(this.scale * (window.devicePixelRatio || 1) * 100)} %`];
		if (this.turn.invert && r.push("inverted"), this.turn.flip && r.push("mirrored"), this.turn.quarter && r.push(`turned ${this.turn.quarter * 90}°`), e) {
			let { x: t, y: n } = this.toFilm(e), i = this.film.said(Math.floor(t), Math.floor(n));
			i && r.push(`x ${Math.floor(t)} y ${Math.floor(n)}: ${i}`);
		}
		this.foot.textContent = r.join(" · "), this.foot.classList.toggle("pane-altered", this.turn.flip || this.turn.quarter > 0);
	}
};
function w(e) {
	return Number(e.toPrecision(5));
}
function T(e) {
	let { about: t, isTrue: n, facts: r } = e;
	return [`${t.isPrior ? "PRIOR · " : ""}${t.taken} · ${t.view || "view not stated"} · study ${t.study.slice(0, 8)}`, n ? `${r.bits} bits${r.photometric === "MONOCHROME1" ? ", stored as a negative" : ""}` : "8-bit display copy: the film was prepared before its full depth was kept"].map((e, t) => {
		let r = document.createElement("span");
		return r.textContent = e, t && !n && (r.className = "pane-reduced"), r;
	});
}
// src/pointer.js
function E(e, t) {
	let { element: n, canvas: r } = e, i = /* @__PURE__ */ new Map(), a = null, o = (e) => {
		let t = r.getBoundingClientRect(), n = window.devicePixelRatio || 1, i = (e) => Math.round(e * n) / n;
		return {
			x: e.clientX - i(t.left),
			y: e.clientY - i(t.top)
		};
	};
	r.addEventListener("pointerdown", (s) => {
		if (!e.film) return;
		t.activate(e), n.focus({ preventScroll: !0 }), r.setPointerCapture(s.pointerId), i.set(s.pointerId, o(s)), a?.held && t.measures.end(e, a.held);
		let c = [
			"tool",
			"pan",
			"zoom"
		][s.button] ?? "tool";
		a = {
			tool: c === "tool" ? t.tool : c,
			from: o(s)
		}, i.size > 1 && (a.tool = "fingers"), (a.tool === "length" || a.tool === "ratio") && (a.held = t.measures.begin(e, a.from, a.tool)), s.preventDefault();
	}), r.addEventListener("pointermove", (n) => {
		if (!e.film) return;
		let r = o(n);
		if (e.say(r), e.pointer = r, !a || !i.has(n.pointerId)) return;
		let c = i.get(n.pointerId);
		a.tool === "fingers" ? l(c, r, [...i].find(([e]) => e !== n.pointerId)?.[1]) : s(a, c, r), i.set(n.pointerId, r), t.changed(e);
	});
	function s({ tool: n, held: r, from: i }, a, o) {
		let [s, l] = [o.x - a.x, o.y - a.y];
		n === "window" && c(s, l), n === "pan" && e.pan(s, l), n === "zoom" && e.zoom(1.01 ** -l, i), r && t.measures.move(e, r, o);
	}
	function c(t, n) {
		let { centre: r, width: i } = e.window, a = e.film.facts.windows[0].width / 400;
		e.window = {
			centre: r + n * a * e.film.upward * (e.turn.invert ? -1 : 1),
			width: Math.max(i + t * a, a)
		};
	}
	function l(t, n, r) {
		if (!r) return;
		let i = Math.hypot(t.x - r.x, t.y - r.y), a = Math.hypot(n.x - r.x, n.y - r.y), o = {
			x: (n.x + r.x) / 2,
			y: (n.y + r.y) / 2
		};
		i > 8 && e.zoom(a / i, o), e.pan((n.x - t.x) / 2, (n.y - t.y) / 2);
	}
	let u = (n) => {
		i.delete(n.pointerId), a?.held && (t.measures.end(e, a.held), t.changed(e)), a = null;
	};
	r.addEventListener("pointerup", u), r.addEventListener("pointercancel", u), r.addEventListener("contextmenu", (e) => e.preventDefault()), r.addEventListener("pointerleave", () => {
		e.pointer = null, e.say(null);
	}), r.addEventListener("wheel", (n) => {
		e.film && (n.preventDefault(), t.activate(e), e.zoom(1.0015 ** -n.deltaY, o(n)), t.changed(e));
	}, { passive: !1 }), n.addEventListener("focus", () => e.film && t.activate(e));
}
// node_modules/fflate/esm/browser.js
var D = Uint8Array, O = Uint16Array, k = Int32Array, ee = new D([
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	1,
	1,
	1,
	1,
	2,
	2,
	2,
	2,
	3,
	3,
	3,
	3,
	4,
	4,
	4,
	4,
	5,
	5,
	5,
	5,
	0,
	0,
	0,
	0
]), te = new D([
	0,
	0,
	0,
	0,
	1,
	1,
	2,
	2,
	3,
	3,
	4,
	4,
	5,
	5,
	6,
	6,
	7,
	7,
	8,
	8,
	9,
	9,
	10,
	10,
	11,
	11,
	12,
	12,
	13,
	13,
	0,
	0
]), ne = new D([
	16,
	17,
	18,
	0,
	8,
	7,
	9,
	6,
	10,
	5,
	11,
	4,
	12,
	3,
	13,
	2,
	14,
	1,
	15
]), re = function(e, t) {
	for (var n = new O(31), r = 0; r < 31; ++r) n[r] = t += 1 << e[r - 1];
	for (var i = new k(n[30]), r = 1; r < 30; ++r) for (var a = n[r]; a < n[r + 1]; ++a) i[a] = a - n[r] << 5 | r;
	return {
		b: n,
		r: i
	};
}, A = re(ee, 2), ie = A.b, ae = A.r;
ie[28] = 258, ae[258] = 28;
var j = re(te, 0), oe = j.b;
j.r;
for (var M = new O(32768), N = 0; N < 32768; ++N) {
	var P = (N & 43690) >> 1 | (N & 21845) << 1;
	P = (P & 52428) >> 2 | (P & 13107) << 2, P = (P & 61680) >> 4 | (P & 3855) << 4, M[N] = ((P & 65280) >> 8 | (P & 255) << 8) >> 1;
}
for (var F = (function(e, t, n) {
	for (var r = e.length, i = 0, a = new O(t); i < r; ++i) e[i] && ++a[e[i] - 1];
	var o = new O(t);
	for (i = 1; i < t; ++i) o[i] = o[i - 1] + a[i - 1] << 1;
	var s;
	if (n) {
		s = new O(1 << t);
		var c = 15 - t;
		for (i = 0; i < r; ++i) if (e[i]) for (var l = i << 4 | e[i], u = t - e[i], d = o[e[i] - 1]++ << u, f = d | (1 << u) - 1; d <= f; ++d) s[M[d] >> c] = l;
	} else for (s = new O(r), i = 0; i < r; ++i) e[i] && (s[i] = M[o[e[i] - 1]++] >> 15 - e[i]);
	return s;
}), I = new D(288), N = 0; N < 144; ++N) I[N] = 8;
for (var N = 144; N < 256; ++N) I[N] = 9;
for (var N = 256; N < 280; ++N) I[N] = 7;
for (var N = 280; N < 288; ++N) I[N] = 8;
for (var se = new D(32), N = 0; N < 32; ++N) se[N] = 5;
var ce = /*#__PURE__*/ F(I, 9, 1), le = /*#__PURE__*/ F(se, 5, 1), ue = function(e) {
	for (var t = e[0], n = 1; n < e.length; ++n) e[n] > t && (t = e[n]);
	return t;
}, L = function(e, t, n) {
	var r = t / 8 | 0;
	return (e[r] | e[r + 1] << 8) >> (t & 7) & n;
}, de = function(e, t) {
	var n = t / 8 | 0;
	return (e[n] | e[n + 1] << 8 | e[n + 2] << 16) >> (t & 7);
}, fe = function(e) {
	return (e + 7) / 8 | 0;
}, R = function(e, t, n) {
	return (t == null || t < 0) && (t = 0), (n == null || n > e.length) && (n = e.length), new D(e.subarray(t, n));
}, z = [
	"unexpected EOF",
	"invalid block type",
	"invalid length/literal",
	"invalid distance",
	"stream finished",
	"no stream handler",
	,
	"no callback",
	"invalid UTF-8 data",
	"extra field too long",
	"date not in range 1980-2099",
	"filename too long",
	"stream finishing",
	"invalid zip data"
], B = function(e, t, n) {
	var r = Error(t || z[e]);
	if (r.code = e, Error.captureStackTrace && Error.captureStackTrace(r, B), !n) throw r;
	return r;
}, V = function(e, t, n, r) {
	var i = e.length, a = r ? r.length : 0;
	if (!i || t.f && !t.l) return n || new D(0);
	var o = !n, s = o || t.i != 2, c = t.i;
	o && (n = new D(i * 3));
	var l = function(e) {
		var t = n.length;
		if (e > t) {
			var r = new D(Math.max(t * 2, e));
			r.set(n), n = r;
		}
	}, u = t.f || 0, d = t.p || 0, f = t.b || 0, p = t.l, m = t.d, h = t.m, g = t.n, _ = i * 8;
	do {
		if (!p) {
			u = L(e, d, 1);
			var v = L(e, d + 1, 3);
			if (d += 3, !v) {
				var y = fe(d) + 4, b = e[y - 4] | e[y - 3] << 8, x = y + b;
				if (x > i) {
					c && B(0);
					break;
				}
				s && l(f + b), n.set(e.subarray(y, x), f), t.b = f += b, t.p = d = x * 8, t.f = u;
				continue;
			}
			if (v == 1) p = ce, m = le, h = 9, g = 5;
			else if (v == 2) {
				var S = L(e, d, 31) + 257, C = L(e, d + 10, 15) + 4, w = S + L(e, d + 5, 31) + 1;
				d += 14;
				for (var T = new D(w), E = new D(19), O = 0; O < C; ++O) E[ne[O]] = L(e, d + O * 3, 7);
				d += C * 3;
				for (var k = ue(E), re = (1 << k) - 1, A = F(E, k, 1), O = 0; O < w;) {
					var ae = A[L(e, d, re)];
					d += ae & 15;
					var y = ae >> 4;
					if (y < 16) T[O++] = y;
					else {
						var j = 0, M = 0;
						for (y == 16 ? (M = 3 + L(e, d, 3), d += 2, j = T[O - 1]) : y == 17 ? (M = 3 + L(e, d, 7), d += 3) : y == 18 && (M = 11 + L(e, d, 127), d += 7); M--;) T[O++] = j;
					}
				}
				var N = T.subarray(0, S), P = T.subarray(S);
				h = ue(N), g = ue(P), p = F(N, h, 1), m = F(P, g, 1);
			} else B(1);
			if (d > _) {
				c && B(0);
				break;
			}
		}
		s && l(f + 131072);
		for (var I = (1 << h) - 1, se = (1 << g) - 1, z = d;; z = d) {
			var j = p[de(e, d) & I], V = j >> 4;
			if (d += j & 15, d > _) {
				c && B(0);
				break;
			}
			if (j || B(2), V < 256) n[f++] = V;
			else if (V == 256) {
				z = d, p = null;
				break;
			} else {
				var pe = V - 254;
				if (V > 264) {
					var O = V - 257, H = ee[O];
					pe = L(e, d, (1 << H) - 1) + ie[O], d += H;
				}
				var U = m[de(e, d) & se], W = U >> 4;
				U || B(3), d += U & 15;
				var P = oe[W];
				if (W > 3) {
					var H = te[W];
					P += de(e, d) & (1 << H) - 1, d += H;
				}
				if (d > _) {
					c && B(0);
					break;
				}
				s && l(f + 131072);
				var G = f + pe;
				if (f < P) {
					var K = a - P, q = Math.min(P, G);
					for (K + f < 0 && B(3); f < q; ++f) n[f] = r[K + f];
				}
				for (; f < G; ++f) n[f] = n[f - P];
			}
		}
		t.l = p, t.p = z, t.b = f, t.f = u, p && (u = 1, t.m = h, t.d = m, t.n = g);
	} while (!u);
	return f != n.length && o ? R(n, 0, f) : n.subarray(0, f);
}, pe = /*#__PURE__*/ new D(0), H = function(e, t) {
	return ((e[0] & 15) != 8 || e[0] >> 4 > 7 || (e[0] << 8 | e[1]) % 31) && B(6, "invalid zlib data"), (e[1] >> 5 & 1) == +!t && B(6, "invalid zlib data: " + (e[1] & 32 ? "need" : "unexpected") + " dictionary"), (e[1] >> 3 & 4) + 2;
}, U = /* @__PURE__ */ function() {
	function e(e, t) {
		typeof e == "function" && (t = e, e = {}), this.ondata = t;
		var n = e && e.dictionary && e.dictionary.subarray(-32768);
		this.s = {
			i: 0,
			b: n ? n.length : 0
		}, this.o = new D(32768), this.p = new D(0), n && this.o.set(n);
	}
	return e.prototype.e = function(e) {
		if (this.ondata || B(5), this.d && B(4), !this.p.length) this.p = e;
		else if (e.length) {
			var t = new D(this.p.length + e.length);
			t.set(this.p), t.set(e, this.p.length), this.p = t;
		}
	}, e.prototype.c = function(e) {
		this.s.i = +(this.d = e || !1);
		var t = this.s.b, n = V(this.p, this.s, this.o);
		this.ondata(R(n, t, this.s.b), this.d), this.o = R(n, this.s.b - 32768), this.s.b = this.o.length, this.p = R(this.p, this.s.p / 8 | 0), this.s.p &= 7;
	}, e.prototype.push = function(e, t) {
		this.e(e), this.c(t);
	}, e;
}(), W = /* @__PURE__ */ function() {
	function e(e, t) {
		U.call(this, e, t), this.v = e && e.dictionary ? 2 : 1;
	}
	return e.prototype.push = function(e, t) {
		if (U.prototype.e.call(this, e), this.v) {
			if (this.p.length < 6 && !t) return;
			this.p = this.p.subarray(H(this.p, this.v - 1)), this.v = 0;
		}
		t && (this.p.length < 4 && B(6, "invalid zlib data"), this.p = this.p.subarray(0, -4)), U.prototype.c.call(this, t);
	}, e;
}();
function G(e, t) {
	return V(e.subarray(H(e, t && t.dictionary), -4), { i: 2 }, t && t.out, t && t.dictionary);
}
var K = typeof TextDecoder < "u" && /*#__PURE__*/ new TextDecoder();
try {
	K.decode(pe, { stream: !0 });
} catch {}
// node_modules/iobuffer/lib/text.js
function q(e, t = "utf8") {
	return new TextDecoder(t).decode(e);
}
var me = new TextEncoder();
function he(e) {
	return me.encode(e);
}
// node_modules/iobuffer/lib/iobuffer.js
var ge = 8192, _e = (() => {
	let e = /* @__PURE__ */ new Uint8Array(4), t = new Uint32Array(e.buffer);
	return !((t[0] = 1) & e[0]);
})(), J = {
	int8: globalThis.Int8Array,
	uint8: globalThis.Uint8Array,
	int16: globalThis.Int16Array,
	uint16: globalThis.Uint16Array,
	int32: globalThis.Int32Array,
	uint32: globalThis.Uint32Array,
	uint64: globalThis.BigUint64Array,
	int64: globalThis.BigInt64Array,
	float32: globalThis.Float32Array,
	float64: globalThis.Float64Array
}, ve = class e {
	buffer;
	byteLength;
	byteOffset;
	length;
	offset;
	lastWrittenByte;
	littleEndian;
	_data;
	_mark;
	_marks;
	constructor(t = ge, n = {}) {
		let r = !1;
		typeof t == "number" ? t = new ArrayBuffer(t) : (r = !0, this.lastWrittenByte = t.byteLength);
		let i = n.offset ? n.offset >>> 0 : 0, a = t.byteLength - i, o = i;
		(ArrayBuffer.isView(t) || t instanceof e) && (t.byteLength !== t.buffer.byteLength && (o = t.byteOffset + i), t = t.buffer), this.lastWrittenByte = r ? a : 0, this.buffer = t, this.length = a, this.byteLength = a, this.byteOffset = o, this.offset = 0, this.littleEndian = !0, this._data = new DataView(this.buffer, o, a), this._mark = 0, this._marks = [];
	}
	available(e = 1) {
		return this.offset + e <= this.length;
	}
	isLittleEndian() {
		return this.littleEndian;
	}
	setLittleEndian() {
		return this.littleEndian = !0, this;
	}
	isBigEndian() {
		return !this.littleEndian;
	}
	setBigEndian() {
		return this.littleEndian = !1, this;
	}
	skip(e = 1) {
		return this.offset += e, this;
	}
	back(e = 1) {
		return this.offset -= e, this;
	}
	seek(e) {
		return this.offset = e, this;
	}
	mark() {
		return this._mark = this.offset, this;
	}
	reset() {
		return this.offset = this._mark, this;
	}
	pushMark() {
		return this._marks.push(this.offset), this;
	}
	popMark() {
		let e = this._marks.pop();
		if (e === void 0) throw Error("Mark stack empty");
		return this.seek(e), this;
	}
	rewind() {
		return this.offset = 0, this;
	}
	ensureAvailable(e = 1) {
		if (!this.available(e)) {
			let t = (this.offset + e) * 2, n = new Uint8Array(t);
			n.set(new Uint8Array(this.buffer)), this.buffer = n.buffer, this.length = t, this.byteLength = t, this._data = new DataView(this.buffer);
		}
		return this;
	}
	readBoolean() {
		return this.readUint8() !== 0;
	}
	readInt8() {
		return this._data.getInt8(this.offset++);
	}
	readUint8() {
		return this._data.getUint8(this.offset++);
	}
	readByte() {
		return this.readUint8();
	}
	readBytes(e = 1) {
		return this.readArray(e, "uint8");
	}
	readArray(e, t) {
		let n = J[t].BYTES_PER_ELEMENT * e, r = this.byteOffset + this.offset, i = this.buffer.slice(r, r + n);
		if (this.littleEndian === _e && t !== "uint8" && t !== "int8") {
			let e = new Uint8Array(this.buffer.slice(r, r + n));
			e.reverse();
			let i = new J[t](e.buffer);
			return this.offset += n, i.reverse(), i;
		}
		let a = new J[t](i);
		return this.offset += n, a;
	}
	readInt16() {
		let e = this._data.getInt16(this.offset, this.littleEndian);
		return this.offset += 2, e;
	}
	readUint16() {
		let e = this._data.getUint16(this.offset, this.littleEndian);
		return this.offset += 2, e;
	}
	readInt32() {
		let e = this._data.getInt32(this.offset, this.littleEndian);
		return this.offset += 4, e;
	}
	readUint32() {
		let e = this._data.getUint32(this.offset, this.littleEndian);
		return this.offset += 4, e;
	}
	readFloat32() {
		let e = this._data.getFloat32(this.offset, this.littleEndian);
		return this.offset += 4, e;
	}
	readFloat64() {
		let e = this._data.getFloat64(this.offset, this.littleEndian);
		return this.offset += 8, e;
	}
	readBigInt64() {
		let e = this._data.getBigInt64(this.offset, this.littleEndian);
		return this.offset += 8, e;
	}
	readBigUint64() {
		let e = this._data.getBigUint64(this.offset, this.littleEndian);
		return this.offset += 8, e;
	}
	readChar() {
		return String.fromCharCode(this.readInt8());
	}
	readChars(e = 1) {
		let t = "";
		for (let n = 0; n < e; n++) t += this.readChar();
		return t;
	}
	readUtf8(e = 1) {
		return q(this.readBytes(e));
	}
	decodeText(e = 1, t = "utf8") {
		return q(this.readBytes(e), t);
	}
	writeBoolean(e) {
		return this.writeUint8(e ? 255 : 0), this;
	}
	writeInt8(e) {
		return this.ensureAvailable(1), this._data.setInt8(this.offset++, e), this._updateLastWrittenByte(), this;
	}
	writeUint8(e) {
		return this.ensureAvailable(1), this._data.setUint8(this.offset++, e), this._updateLastWrittenByte(), this;
	}
	writeByte(e) {
		return this.writeUint8(e);
	}
	writeBytes(e) {
		this.ensureAvailable(e.length);
		for (let t = 0; t < e.length; t++) this._data.setUint8(this.offset++, e[t]);
		return this._updateLastWrittenByte(), this;
	}
	writeInt16(e) {
		return this.ensureAvailable(2), this._data.setInt16(this.offset, e, this.littleEndian), this.offset += 2, this._updateLastWrittenByte(), this;
	}
	writeUint16(e) {
		return this.ensureAvailable(2), this._data.setUint16(this.offset, e, this.littleEndian), this.offset += 2, this._updateLastWrittenByte(), this;
	}
	writeInt32(e) {
		return this.ensureAvailable(4), this._data.setInt32(this.offset, e, this.littleEndian), this.offset += 4, this._updateLastWrittenByte(), this;
	}
	writeUint32(e) {
		return this.ensureAvailable(4), this._data.setUint32(this.offset, e, this.littleEndian), this.offset += 4, this._updateLastWrittenByte(), this;
	}
	writeFloat32(e) {
		return this.ensureAvailable(4), this._data.setFloat32(this.offset, e, this.littleEndian), this.offset += 4, this._updateLastWrittenByte(), this;
	}
	writeFloat64(e) {
		return this.ensureAvailable(8), this._data.setFloat64(this.offset, e, this.littleEndian), this.offset += 8, this._updateLastWrittenByte(), this;
	}
	writeBigInt64(e) {
		return this.ensureAvailable(8), this._data.setBigInt64(this.offset, e, this.littleEndian), this.offset += 8, this._updateLastWrittenByte(), this;
	}
	writeBigUint64(e) {
		return this.ensureAvailable(8), this._data.setBigUint64(this.offset, e, this.littleEndian), this.offset += 8, this._updateLastWrittenByte(), this;
	}
	writeChar(e) {
		return this.writeUint8(e.charCodeAt(0));
	}
	writeChars(e) {
		for (let t = 0; t < e.length; t++) this.writeUint8(e.charCodeAt(t));
		return this;
	}
	writeUtf8(e) {
		return this.writeBytes(he(e));
	}
	toArray() {
		return new Uint8Array(this.buffer, this.byteOffset, this.lastWrittenByte);
	}
	getWrittenByteLength() {
		return this.lastWrittenByte - this.byteOffset;
	}
	_updateLastWrittenByte() {
		this.offset > this.lastWrittenByte && (this.lastWrittenByte = this.offset);
	}
}, ye = [];
for (let e = 0; e < 256; e++) {
	let t = e;
	for (let e = 0; e < 8; e++) t & 1 ? t = 3988292384 ^ t >>> 1 : t >>>= 1;
	ye[e] = t;
}
var be = 4294967295;
function xe(e, t, n) {
	let r = e;
	for (let e = 0; e < n; e++) r = ye[(r ^ t[e]) & 255] ^ r >>> 8;
	return r;
}
function Se(e, t) {
	return (xe(be, e, t) ^ be) >>> 0;
}
function Ce(e, t, n) {
	let r = e.readUint32(), i = Se(new Uint8Array(e.buffer, e.byteOffset + e.offset - t - 4, t), t);
	if (i !== r) throw Error(`CRC mismatch for chunk ${n}. Expected ${r}, found ${i}`);
}
// node_modules/fast-png/lib/helpers/unfilter.js
function we(e, t, n) {
	for (let r = 0; r < n; r++) t[r] = e[r];
}
function Te(e, t, n, r) {
	let i = 0;
	for (; i < r; i++) t[i] = e[i];
	for (; i < n; i++) t[i] = e[i] + t[i - r] & 255;
}
function Ee(e, t, n, r) {
	let i = 0;
	if (n.length === 0) for (; i < r; i++) t[i] = e[i];
	else for (; i < r; i++) t[i] = e[i] + n[i] & 255;
}
function De(e, t, n, r, i) {
	let a = 0;
	if (n.length === 0) {
		for (; a < i; a++) t[a] = e[a];
		for (; a < r; a++) t[a] = e[a] + (t[a - i] >> 1) & 255;
	} else {
		for (; a < i; a++) t[a] = e[a] + (n[a] >> 1) & 255;
		for (; a < r; a++) t[a] = e[a] + (t[a - i] + n[a] >> 1) & 255;
	}
}
function Oe(e, t, n, r, i) {
	let a = 0;
	if (n.length === 0) {
		for (; a < i; a++) t[a] = e[a];
		for (; a < r; a++) t[a] = e[a] + t[a - i] & 255;
	} else {
		for (; a < i; a++) t[a] = e[a] + n[a] & 255;
		for (; a < r; a++) t[a] = e[a] + ke(t[a - i], n[a], n[a - i]) & 255;
	}
}
function ke(e, t, n) {
	let r = e + t - n, i = Math.abs(r - e), a = Math.abs(r - t), o = Math.abs(r - n);
	return i <= a && i <= o ? e : a <= o ? t : n;
}
// node_modules/fast-png/lib/helpers/apply_unfilter.js
function Ae(e, t, n, r, i, a) {
	switch (e) {
		case 0:
			we(t, n, i);
			break;
		case 1:
			Te(t, n, i, a);
			break;
		case 2:
			Ee(t, n, r, i);
			break;
		case 3:
			De(t, n, r, i, a);
			break;
		case 4:
			Oe(t, n, r, i, a);
			break;
		default: throw Error(`Unsupported filter: ${e}`);
	}
}
// node_modules/fast-png/lib/helpers/decode_interlace_adam7.js
var je = new Uint16Array([255]), Me = new Uint8Array(je.buffer)[0] === 255;
function Ne(e) {
	let { data: t, width: n, height: r, channels: i, depth: a } = e, o = [
		{
			x: 0,
			y: 0,
			xStep: 8,
			yStep: 8
		},
		{
			x: 4,
			y: 0,
			xStep: 8,
			yStep: 8
		},
		{
			x: 0,
			y: 4,
			xStep: 4,
			yStep: 8
		},
		{
			x: 2,
			y: 0,
			xStep: 4,
			yStep: 4
		},
		{
			x: 0,
			y: 2,
			xStep: 2,
			yStep: 4
		},
		{
			x: 1,
			y: 0,
			xStep: 2,
			yStep: 2
		},
		{
			x: 0,
			y: 1,
			xStep: 1,
			yStep: 2
		}
	], s = Math.ceil(a / 8) * i, c = new Uint8Array(r * n * s), l = 0;
	for (let e = 0; e < 7; e++) {
		let i = o[e], a = Math.ceil((n - i.x) / i.xStep), u = Math.ceil((r - i.y) / i.yStep);
		if (a <= 0 || u <= 0) continue;
		let d = a * s, f = new Uint8Array(d);
		for (let e = 0; e < u; e++) {
			let o = t[l++], u = t.subarray(l, l + d);
			l += d;
			let p = new Uint8Array(d);
			Ae(o, u, p, f, d, s), f.set(p);
			for (let t = 0; t < a; t++) {
				let a = i.x + t * i.xStep, o = i.y + e * i.yStep;
				if (!(a >= n || o >= r)) for (let e = 0; e < s; e++) c[(o * n + a) * s + e] = p[t * s + e];
			}
		}
	}
	if (a === 16) {
		let e = new Uint16Array(c.buffer);
		if (Me) for (let t = 0; t < e.length; t++) e[t] = Pe(e[t]);
		return e;
	}
	return c;
}
function Pe(e) {
	return (e & 255) << 8 | e >> 8 & 255;
}
// node_modules/fast-png/lib/helpers/decode_interlace_null.js
var Fe = new Uint16Array([255]), Ie = new Uint8Array(Fe.buffer)[0] === 255, Le = /* @__PURE__ */ new Uint8Array();
function Re(e) {
	let { data: t, width: n, height: r, channels: i, depth: a } = e, o = Math.ceil(a / 8) * i, s = Math.ceil(a / 8 * i * n), c = new Uint8Array(r * s), l = Le, u = 0, d, f;
	for (let e = 0; e < r; e++) {
		switch (d = t.subarray(u + 1, u + 1 + s), f = c.subarray(e * s, (e + 1) * s), t[u]) {
			case 0:
				we(d, f, s);
				break;
			case 1:
				Te(d, f, s, o);
				break;
			case 2:
				Ee(d, f, l, s);
				break;
			case 3:
				De(d, f, l, s, o);
				break;
			case 4:
				Oe(d, f, l, s, o);
				break;
			default: throw Error(`Unsupported filter: ${t[u]}`);
		}
		l = f, u += s + 1;
	}
	if (a === 16) {
		let e = new Uint16Array(c.buffer);
		if (Ie) for (let t = 0; t < e.length; t++) e[t] = ze(e[t]);
		return e;
	}
	return c;
}
function ze(e) {
	return (e & 255) << 8 | e >> 8 & 255;
}
// node_modules/fast-png/lib/helpers/signature.js
var Y = Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10);
function Be(e) {
	if (!Ve(e.readBytes(Y.length))) throw Error("wrong PNG signature");
}
function Ve(e) {
	if (e.length < Y.length) return !1;
	for (let t = 0; t < Y.length; t++) if (e[t] !== Y[t]) return !1;
	return !0;
}
// node_modules/fast-png/lib/helpers/text.js
var He = "tEXt", Ue = 0, We = new TextDecoder("latin1");
function Ge(e) {
	if (qe(e), e.length === 0 || e.length > 79) throw Error("keyword length must be between 1 and 79");
}
var Ke = /^[\u0000-\u00FF]*$/;
function qe(e) {
	if (!Ke.test(e)) throw Error("invalid latin1 text");
}
function Je(e, t, n) {
	let r = Ye(t);
	e[r] = Xe(t, n - r.length - 1);
}
function Ye(e) {
	for (e.mark(); e.readByte() !== Ue;);
	let t = e.offset;
	e.reset();
	let n = We.decode(e.readBytes(t - e.offset - 1));
	return e.skip(1), Ge(n), n;
}
function Xe(e, t) {
	return We.decode(e.readBytes(t));
}
// node_modules/fast-png/lib/internal_types.js
var X = {
	UNKNOWN: -1,
	GREYSCALE: 0,
	TRUECOLOUR: 2,
	INDEXED_COLOUR: 3,
	GREYSCALE_ALPHA: 4,
	TRUECOLOUR_ALPHA: 6
}, Ze = {
	UNKNOWN: -1,
	DEFLATE: 0
}, Qe = {
	UNKNOWN: -1,
	ADAPTIVE: 0
}, $e = {
	UNKNOWN: -1,
	NO_INTERLACE: 0,
	ADAM7: 1
}, Z = {
	NONE: 0,
	BACKGROUND: 1,
	PREVIOUS: 2
}, et = {
	SOURCE: 0,
	OVER: 1
}, tt = class extends ve {
	_checkCrc;
	_inflator;
	_png;
	_apng;
	_end;
	_hasPalette;
	_palette;
	_hasTransparency;
	_transparency;
	_compressionMethod;
	_filterMethod;
	_interlaceMethod;
	_colorType;
	_isAnimated;
	_numberOfFrames;
	_numberOfPlays;
	_frames;
	_writingDataChunks;
	_chunks;
	_inflatorResult;
	constructor(e, t = {}) {
		super(e);
		let { checkCrc: n = !1 } = t;
		this._checkCrc = n, this._inflator = new W((e, t) => {
			if (this._chunks.push(e), t) {
				let e = this._chunks.reduce((e, t) => e + t.length, 0);
				this._inflatorResult = new Uint8Array(e);
				let t = 0;
				for (let e of this._chunks) this._inflatorResult.set(e, t), t += e.length;
				this._chunks = [];
			}
		}), this._chunks = [], this._png = {
			width: -1,
			height: -1,
			channels: -1,
			data: /* @__PURE__ */ new Uint8Array(),
			depth: 1,
			text: {}
		}, this._apng = {
			width: -1,
			height: -1,
			channels: -1,
			depth: 1,
			numberOfFrames: 1,
			numberOfPlays: 0,
			text: {},
			frames: []
		}, this._end = !1, this._hasPalette = !1, this._palette = [], this._hasTransparency = !1, this._transparency = /* @__PURE__ */ new Uint16Array(), this._compressionMethod = Ze.UNKNOWN, this._filterMethod = Qe.UNKNOWN, this._interlaceMethod = $e.UNKNOWN, this._colorType = X.UNKNOWN, this._isAnimated = !1, this._numberOfFrames = 1, this._numberOfPlays = 0, this._frames = [], this._writingDataChunks = !1, this._inflatorResult = /* @__PURE__ */ new Uint8Array(), this.setBigEndian();
	}
	decode() {
		for (Be(this); !this._end;) {
			let e = this.readUint32(), t = this.readChars(4);
			this.decodeChunk(e, t);
		}
		return this._inflator.push(/* @__PURE__ */ new Uint8Array(), !0), this.decodeImage(), this._png;
	}
	decodeApng() {
		for (Be(this); !this._end;) {
			let e = this.readUint32(), t = this.readChars(4);
			this.decodeApngChunk(e, t);
		}
		return this.decodeApngImage(), this._apng;
	}
	decodeChunk(e, t) {
		let n = this.offset;
		switch (t) {
			case "IHDR":
				this.decodeIHDR();
				break;
			case "PLTE":
				this.decodePLTE(e);
				break;
			case "IDAT":
				this.decodeIDAT(e);
				break;
			case "IEND":
				this._end = !0;
				break;
			case "tRNS":
				this.decodetRNS(e);
				break;
			case "iCCP":
				this.decodeiCCP(e);
				break;
			case He:
				Je(this._png.text, this, e);
				break;
			case "pHYs":
				this.decodepHYs();
				break;
			default: this.skip(e);
		}
		if (this.offset - n !== e) throw Error(`Length mismatch while decoding chunk ${t}`);
		this._checkCrc ? Ce(this, e + 4, t) : this.skip(4);
	}
	decodeApngChunk(e, t) {
		let n = this.offset;
		switch (t !== "fdAT" && t !== "IDAT" && this._writingDataChunks && this.pushDataToFrame(), t) {
			case "acTL":
				this.decodeACTL();
				break;
			case "fcTL":
				this.decodeFCTL();
				break;
			case "fdAT":
				this.decodeFDAT(e);
				break;
			default: this.decodeChunk(e, t), this.offset = n + e;
		}
		if (this.offset - n !== e) throw Error(`Length mismatch while decoding chunk ${t}`);
		this._checkCrc ? Ce(this, e + 4, t) : this.skip(4);
	}
	decodeIHDR() {
		let e = this._png;
		e.width = this.readUint32(), e.height = this.readUint32(), e.depth = nt(this.readUint8());
		let t = this.readUint8();
		this._colorType = t;
		let n;
		switch (t) {
			case X.GREYSCALE:
				n = 1;
				break;
			case X.TRUECOLOUR:
				n = 3;
				break;
			case X.INDEXED_COLOUR:
				n = 1;
				break;
			case X.GREYSCALE_ALPHA:
				n = 2;
				break;
			case X.TRUECOLOUR_ALPHA:
				n = 4;
				break;
			case X.UNKNOWN:
			default: throw Error(`Unknown color type: ${t}`);
		}
		if (this._png.channels = n, this._compressionMethod = this.readUint8(), this._compressionMethod !== Ze.DEFLATE) throw Error(`Unsupported compression method: ${this._compressionMethod}`);
		this._filterMethod = this.readUint8(), this._interlaceMethod = this.readUint8();
	}
	decodeACTL() {
		this._numberOfFrames = this.readUint32(), this._numberOfPlays = this.readUint32(), this._isAnimated = !0;
	}
	decodeFCTL() {
		let e = {
			sequenceNumber: this.readUint32(),
			width: this.readUint32(),
			height: this.readUint32(),
			xOffset: this.readUint32(),
			yOffset: this.readUint32(),
			delayNumber: this.readUint16(),
			delayDenominator: this.readUint16(),
			disposeOp: this.readUint8(),
			blendOp: this.readUint8(),
			data: /* @__PURE__ */ new Uint8Array()
		};
		this._frames.push(e);
	}
	decodePLTE(e) {
		if (e % 3 != 0) throw RangeError(`PLTE field length must be a multiple of 3. Got ${e}`);
		let t = e / 3;
		this._hasPalette = !0;
		let n = [];
		this._palette = n;
		for (let e = 0; e < t; e++) n.push([
			this.readUint8(),
			this.readUint8(),
			this.readUint8()
		]);
	}
	decodeIDAT(e) {
		this._writingDataChunks = !0;
		let t = e, n = this.offset + this.byteOffset;
		try {
			this._inflator.push(new Uint8Array(this.buffer, n, t), !1);
		} catch (e) {
			throw Error("Error while decompressing the data:", { cause: e });
		}
		this.skip(e);
	}
	decodeFDAT(e) {
		this._writingDataChunks = !0;
		let t = e, n = this.offset + this.byteOffset;
		n += 4, t -= 4;
		try {
			this._inflator.push(new Uint8Array(this.buffer, n, t), !1);
		} catch (e) {
			throw Error("Error while decompressing the data:", { cause: e });
		}
		this.skip(e);
	}
	decodetRNS(e) {
		switch (this._colorType) {
			case X.GREYSCALE:
			case X.TRUECOLOUR:
				if (e % 2 != 0) throw RangeError(`tRNS chunk length must be a multiple of 2. Got ${e}`);
				if (e / 2 > this._png.width * this._png.height) throw Error(`tRNS chunk contains more alpha values than there are pixels (${e / 2} vs ${this._png.width * this._png.height})`);
				this._hasTransparency = !0, this._transparency = new Uint16Array(e / 2);
				for (let t = 0; t < e / 2; t++) this._transparency[t] = this.readUint16();
				break;
			case X.INDEXED_COLOUR: {
				if (e > this._palette.length) throw Error(`tRNS chunk contains more alpha values than there are palette colors (${e} vs ${this._palette.length})`);
				let t = 0;
				for (; t < e; t++) {
					let e = this.readByte();
					this._palette[t].push(e);
				}
				for (; t < this._palette.length; t++) this._palette[t].push(255);
				break;
			}
			case X.UNKNOWN:
			case X.GREYSCALE_ALPHA:
			case X.TRUECOLOUR_ALPHA:
			default: throw Error(`tRNS chunk is not supported for color type ${this._colorType}`);
		}
	}
	decodeiCCP(e) {
		let t = Ye(this), n = this.readUint8();
		if (n !== Ze.DEFLATE) throw Error(`Unsupported iCCP compression method: ${n}`);
		let r = this.readBytes(e - t.length - 2);
		this._png.iccEmbeddedProfile = {
			name: t,
			profile: G(r)
		};
	}
	decodepHYs() {
		let e = this.readUint32(), t = this.readUint32(), n = this.readByte();
		this._png.resolution = {
			x: e,
			y: t,
			unit: n
		};
	}
	decodeApngImage() {
		this._apng.width = this._png.width, this._apng.height = this._png.height, this._apng.channels = this._png.channels, this._apng.depth = this._png.depth, this._apng.numberOfFrames = this._numberOfFrames, this._apng.numberOfPlays = this._numberOfPlays, this._apng.text = this._png.text, this._apng.resolution = this._png.resolution;
		for (let e = 0; e < this._numberOfFrames; e++) {
			let t = {
				sequenceNumber: this._frames[e].sequenceNumber,
				delayNumber: this._frames[e].delayNumber,
				delayDenominator: this._frames[e].delayDenominator,
				data: this._apng.depth === 8 ? new Uint8Array(this._apng.width * this._apng.height * this._apng.channels) : new Uint16Array(this._apng.width * this._apng.height * this._apng.channels)
			}, n = this._frames.at(e);
			if (n) {
				if (n.data = Re({
					data: n.data,
					width: n.width,
					height: n.height,
					channels: this._apng.channels,
					depth: this._apng.depth
				}), this._hasPalette && (this._apng.palette = this._palette), this._hasTransparency && (this._apng.transparency = this._transparency), e === 0 || n.xOffset === 0 && n.yOffset === 0 && n.width === this._png.width && n.height === this._png.height) t.data = n.data;
				else {
					let r = this._apng.frames.at(e - 1);
					this.disposeFrame(n, r, t), this.addFrameDataToCanvas(t, n);
				}
				this._apng.frames.push(t);
			}
		}
		return this._apng;
	}
	disposeFrame(e, t, n) {
		switch (e.disposeOp) {
			case Z.NONE: break;
			case Z.BACKGROUND:
				for (let t = 0; t < this._png.height; t++) for (let r = 0; r < this._png.width; r++) {
					let i = (t * e.width + r) * this._png.channels;
					for (let e = 0; e < this._png.channels; e++) n.data[i + e] = 0;
				}
				break;
			case Z.PREVIOUS:
				n.data.set(t.data);
				break;
			default: throw Error("Unknown disposeOp");
		}
	}
	addFrameDataToCanvas(e, t) {
		let n = 1 << this._png.depth, r = (e, n) => ({
			index: ((e + t.yOffset) * this._png.width + t.xOffset + n) * this._png.channels,
			frameIndex: (e * t.width + n) * this._png.channels
		});
		switch (t.blendOp) {
			case et.SOURCE:
				for (let n = 0; n < t.height; n++) for (let i = 0; i < t.width; i++) {
					let { index: a, frameIndex: o } = r(n, i);
					for (let n = 0; n < this._png.channels; n++) e.data[a + n] = t.data[o + n];
				}
				break;
			case et.OVER:
				for (let i = 0; i < t.height; i++) for (let a = 0; a < t.width; a++) {
					let { index: o, frameIndex: s } = r(i, a);
					for (let r = 0; r < this._png.channels; r++) {
						let i = t.data[s + this._png.channels - 1] / n, a = r % (this._png.channels - 1) == 0 ? 1 : t.data[s + r], c = Math.floor(i * a + (1 - i) * e.data[o + r]);
						e.data[o + r] += c;
					}
				}
				break;
			default: throw Error("Unknown blendOp");
		}
	}
	decodeImage() {
		let e = this._inflatorResult;
		if (this._filterMethod !== Qe.ADAPTIVE) throw Error(`Filter method ${this._filterMethod} not supported`);
		if (this._interlaceMethod === $e.NO_INTERLACE) this._png.data = Re({
			data: e,
			width: this._png.width,
			height: this._png.height,
			channels: this._png.channels,
			depth: this._png.depth
		});
		else if (this._interlaceMethod === $e.ADAM7) this._png.data = Ne({
			data: e,
			width: this._png.width,
			height: this._png.height,
			channels: this._png.channels,
			depth: this._png.depth
		});
		else throw Error(`Interlace method ${this._interlaceMethod} not supported`);
		this._hasPalette && (this._png.palette = this._palette), this._hasTransparency && (this._png.transparency = this._transparency);
	}
	pushDataToFrame() {
		this._inflator.push(/* @__PURE__ */ new Uint8Array(), !0);
		let e = this._inflatorResult, t = this._frames.at(-1);
		t ? t.data = e : this._frames.push({
			sequenceNumber: 0,
			width: this._png.width,
			height: this._png.height,
			xOffset: 0,
			yOffset: 0,
			delayNumber: 0,
			delayDenominator: 0,
			disposeOp: Z.NONE,
			blendOp: et.SOURCE,
			data: e
		}), this._inflator = new W((e, t) => {
			if (this._chunks.push(e), t) {
				let e = this._chunks.reduce((e, t) => e + t.length, 0);
				this._inflatorResult = new Uint8Array(e);
				let t = 0;
				for (let e of this._chunks) this._inflatorResult.set(e, t), t += e.length;
				this._chunks = [];
			}
		}), this._chunks = [], this._writingDataChunks = !1;
	}
};
function nt(e) {
	if (e !== 1 && e !== 2 && e !== 4 && e !== 8 && e !== 16) throw Error(`invalid bit depth: ${e}`);
	return e;
}
// node_modules/fast-png/lib/index.js
function rt(e, t) {
	return new tt(e, t).decode();
}
// src/film.js
var it = {
	lowest: 0,
	slope: 1,
	intercept: 0,
	inverted: !1,
	bits: 8,
	spacing: null
}, at = {
	detector: {
		unit: "mm at the detector",
		of: "the body is drawn larger than it is"
	},
	calibrated: {
		unit: "mm",
		of: "calibrated, as the file says"
	},
	scanned: {
		unit: "mm on the sheet",
		of: "the film was scanned, and the body is drawn larger than it is"
	},
	unstated: {
		unit: "mm",
		of: "the file does not say where they hold"
	}
}, ot = class {
	constructor(e, t, n, r, i) {
		this.about = e, this.samples = t, this.width = n, this.height = r, this.isTrue = i, this.facts = i ? e.reading : {
			...it,
			windows: [{
				centre: 127.5,
				width: 255,
				of: "full"
			}]
		}, this.picture = null, this.painted = "";
	}
	get presets() {
		let [e] = this.facts.windows, t = {
			header: "As the device set it",
			curve: "As the device's curve, straightened",
			full: "Every level",
			range: "The film's own range"
		}, n = this.facts.windows.map((e, n) => ({
			...e,
			name: e.of === "header" && n > 0 ? `Window ${n + 1} of the file` : t[e.of]
		})), { centre: r, width: i } = e;
		return [
			...n,
			{
				name: "More contrast",
				centre: r,
				width: i * .6
			},
			{
				name: "Less contrast",
				centre: r,
				width: i * 1.6
			},
			{
				name: "Into the dark",
				centre: r - this.upward * i * .25,
				width: i * .5
			},
			{
				name: "Into the bright",
				centre: r + this.upward * i * .25,
				width: i * .5
			}
		].slice(0, 9);
	}
	get upward() {
		return this.facts.inverted ? -1 : 1;
	}
	stored(e, t) {
		return e < 0 || t < 0 || e >= this.width || t >= this.height ? null : this.samples[t * this.width + e] + this.facts.lowest;
	}
	said(e, t) {
		let n = this.stored(e, t);
		if (n === null) return "";
		let { slope: r, intercept: i } = this.facts, a = r === 1 && i === 0 ? "" : ` → ${Number((n * r + i).toFixed(3))}`;
		return `${this.isTrue ? "value" : "display level"} ${n}${a}`;
	}
	length(e, t) {
		let n = this.facts.spacing, [r, i] = [t.x - e.x, t.y - e.y];
		return n ? {
			number: Math.hypot(r * n.column_mm, i * n.row_mm),
			...at[n.at]
		} : {
			number: Math.hypot(r, i),
			unit: "px",
			of: "the file does not say how large its pixels are"
		};
	}
	grey({ centre: e, width: t }, n) {
		let r = `${e} ${t} ${n}`;
		if (this.painted === r) return this.picture;
		this.picture || (this.picture = document.createElement("canvas"), this.picture.width = this.width, this.picture.height = this.height, this.context = this.picture.getContext("2d", { alpha: !1 }), this.image = this.context.createImageData(this.width, this.height), this.pixels = new Uint32Array(this.image.data.buffer));
		let i = this.table(e, t, n), { samples: a, pixels: o } = this;
		for (let e = 0; e < a.length; e += 1) o[e] = i[a[e]];
		return this.context.putImageData(this.image, 0, 0), this.painted = r, this.picture;
	}
	release() {
		this.picture = this.context = this.image = this.pixels = null, this.painted = "";
	}
	table(e, t, n) {
		let { lowest: r, slope: i, intercept: a, inverted: o } = this.facts, s = new Uint32Array(this.samples instanceof Uint8Array ? 256 : 65536), c = o !== n;
		for (let n = 0; n < s.length; n += 1) {
			let o = (n + r) * i + a, l = Math.min(1, Math.max(0, (o - e) / t + .5)), u = Math.round((c ? 1 - l : l) * 255);
			s[n] = 4278190080 | u << 16 | u << 8 | u;
		}
		return s;
	}
};
async function st(t) {
	let n = await a(t), { width: r, height: i, channels: o, data: s } = rt(new Uint8Array(n), { checkCrc: !0 });
	if (o !== 1) throw new e();
	let c = t.reading;
	if (c && (r !== c.columns || i !== c.rows)) throw new e();
	return new ot(t, s, r, i, !!c);
}
// src/store.js
var Q = /* @__PURE__ */ new Map();
function ct(e) {
	let t = [
		e.patient,
		e.study,
		e.id,
		e.sha256,
		e.picture
	].join(" "), n = Q.get(t) ?? st(e);
	n.catch(() => Q.delete(t)), Q.delete(t), Q.set(t, n);
	for (let e of [...Q.keys()].slice(0, -6)) Q.delete(e);
	return n.then((t) => Object.assign(t, { about: e }));
}
// src/viewer.js
var lt = 2, ut = class {
	constructor(e) {
		this.element = e, this.tool = "window", this.linked = !0, this.at = 0, this.ended = new AbortController(), this.measures = new h();
		let t = (e, t) => {
			this.measures.draw(e, t), e.say(e.pointer);
		};
		this.main = new C(t), this.prior = new C(t), this.prior.element.hidden = !0, this.active = this.main;
	}
	part(e) {
		return this.element.querySelector(`[data-part="${e}"]`);
	}
	buttons(e, t) {
		return this.element.querySelectorAll(`[data-${e}${t ? `="${t}"` : ""}]`);
	}
	async start() {
		this.wire();
		let { study: e, patient: t, films: n } = this.element.dataset;
		try {
			let { films: i, priors: a } = await r(n, {
				study: e,
				patient: t
			});
			this.films = i, this.priors = a.map((e) => ({
				...e,
				isPrior: !0
			}));
		} catch (e) {
			this.part("said").textContent = e.message, this.part("said").setAttribute("role", "alert");
			return;
		}
		this.films.length ? (this.list(), this.part("said").hidden = !0, this.part("panes").append(this.main.element, this.prior.element), await this.open(0), await this.lookAhead()) : this.part("said").textContent = "No film of this study can be shown yet.";
	}
	end() {
		this.ended.abort();
		for (let e of [this.main, this.prior]) e.film?.release();
	}
	async lookAhead() {
		let { aheadStudy: e, aheadPatient: t, aheadFilms: n } = this.element.dataset;
		if (!n) return;
		await new Promise((e) => (window.requestIdleCallback ?? setTimeout)(e));
		let i = await r(n, {
			study: e,
			patient: t
		}).catch(() => ({ films: [] }));
		for (let e of i.films.slice(0, lt)) {
			if (this.ended.signal.aborted) return;
			await ct(e).catch(() => null);
		}
	}
	wire() {
		for (let e of [this.main, this.prior]) E(e, this);
		u(this);
		for (let e of document.querySelectorAll("[data-viewer-keys]")) d(e);
		for (let e of this.buttons("tool")) e.addEventListener("click", () => this.choose(e.dataset.tool));
		for (let e of this.buttons("do")) e.addEventListener("click", () => this.do(e.dataset.do));
		this.part("presets").addEventListener("change", (e) => this.preset(e.target.selectedIndex)), this.part("priors").addEventListener("change", () => this.showPrior()), this.part("maps").addEventListener("change", () => this.showMap()), this.part("opacity").addEventListener("input", () => this.strengthen()), document.addEventListener("click", (e) => this.follow(e), { signal: this.ended.signal });
	}
	follow(e) {
		let t = e.target.closest("[data-open-film]"), n = t && this.films ? this.films.findIndex(({ id: e }) => e === t.dataset.openFilm) : -1;
		n < 0 || (e.preventDefault(), this.open(n));
	}
	list() {
		let e = this.films.map((e, t) => {
			let n = document.createElement("button");
			return n.type = "button", n.className = "tool", n.textContent = e.name, n.addEventListener("click", () => this.open(t)), n;
		});
		this.part("films").replaceChildren(...e.length > 1 ? e : []), this.part("priors").replaceChildren(...this.priors.map((e) => new Option(`${e.taken} ${e.view}`))), this.part("priors-box").hidden = !this.priors.length;
	}
	async open(e) {
		if (this.at = e, [...this.part("films").children].forEach((t, n) => t.setAttribute("aria-pressed", String(n === e))), Object.assign(this.main.look, x), this.press("map", !1), await this.put(this.main, this.films[e]), this.at === e) {
			this.activate(this.main);
			for (let t of [
				this.films[e + 1],
				this.films[e - 1],
				this.priors[0]
			]) t && await ct(t).catch(() => null);
		}
	}
	async put(e, t) {
		e.wanted = t.id, e.refuse("Loading …"), this.describe();
		try {
			let n = await ct(t);
			e.wanted === t.id && e.show(n);
		} catch (n) {
			e.wanted === t.id && e.refuse(n.message);
		}
		this.describe();
	}
	async showPrior() {
		let e = this.pressed("prior");
		this.prior.element.hidden = !e, this.part("panes").classList.toggle("viewer-two", e), this.link(), e ? await this.put(this.prior, this.priors[this.part("priors").selectedIndex]) : this.activate(this.main), this.main.paint();
	}
	link() {
		this.prior.look = this.linked ? this.main.look : { ...this.main.look }, this.changed(this.main), this.prior.paint();
	}
	activate(e) {
		if (!(e === this.active && e.element.classList.contains("pane-active"))) {
			this.active = e;
			for (let t of [this.main, this.prior]) t.element.classList.toggle("pane-active", t === e);
			this.describe();
		}
	}
	changed(e) {
		e.paint(), this.linked && !this.prior.element.hidden && (e === this.main ? this.prior : this.main).paint(), this.markPreset(), this.listMeasures();
	}
	choose(e) {
		this.tool = e;
		for (let t of this.buttons("tool")) t.setAttribute("aria-pressed", String(t.dataset.tool === e));
		this.element.dataset.using = e;
	}
	pressed(e) {
		return this.buttons("do", e)[0].getAttribute("aria-pressed") === "true";
	}
	press(e, t) {
		for (let n of this.buttons("do", e)) n.setAttribute("aria-pressed", String(t));
	}
	do(e) {
		if (e === "help") return this.part("help")?.showModal();
		let t = this.active;
		t.film && ({
			invert: () => t.turn.invert = !t.turn.invert,
			flip: () => t.turn.flip = !t.turn.flip,
			rotate: () => t.turn.quarter = (t.turn.quarter + (t.turn.flip ? 3 : 1)) % 4,
			actual: () => t.look.actual = !0,
			fit: () => Object.assign(t.look, {
				zoom: 1,
				actual: !1,
				x: .5,
				y: .5
			}),
			reset: () => {
				Object.assign(t.look, x), t.turn = {
					quarter: 0,
					flip: !1,
					invert: !1
				};
			},
			map: () => this.toggleMap(),
			prior: () => this.priors.length && (this.press("prior", !this.pressed("prior")), this.showPrior()),
			link: () => {
				this.linked = !this.linked, this.press("link", this.linked), this.link();
			}
		}[e](), this.describe(), this.changed(t));
	}
	preset(e) {
		let t = this.active, n = t.film?.presets[e];
		n && (t.window = n, this.changed(t));
	}
	closer(e) {
		let t = this.active;
		if (!t.film) return;
		let n = t.canvas.getBoundingClientRect();
		t.zoom(e, {
			x: n.width / 2,
			y: n.height / 2
		}), this.changed(t);
	}
	step(e) {
		let t = this.at + e;
		this.films?.[t] && this.open(t);
	}
	toggleMap() {
		this.part("map-box").hidden || (this.press("map", !this.pressed("map")), this.showMap());
	}
	async showMap() {
		let { film: t } = this.main;
		if (this.main.map = null, this.main.paint(), t && this.main.warn(""), !t || !this.pressed("map")) return;
		let n = t.about.maps[this.part("maps").selectedIndex];
		try {
			let e = await o(t.about, n);
			if (!(this.main.film === t && this.pressed("map")) || n !== t.about.maps[this.part("maps").selectedIndex]) return;
			this.main.map = {
				label: n.label,
				bitmap: e,
				strength: this.strength
			};
		} catch (n) {
			this.press("map", !1), n instanceof e ? this.main.refuse(n.message) : this.main.film === t && this.main.warn(n.message);
		}
		this.main.paint();
	}
	get strength() {
		return this.part("opacity").value / 100;
	}
	strengthen() {
		this.main.map && (this.main.map.strength = this.strength, this.main.paint());
	}
	describe() {
		let { film: e, turn: t } = this.active;
		this.press("invert", t.invert), this.press("flip", t.flip);
		let n = (e?.presets ?? []).map(({ name: e }, t) => new Option(`${t + 1}  ${e}`));
		this.part("presets").replaceChildren(...n);
		let r = this.main.film?.about;
		this.part("map-box").hidden = !r?.maps.length;
		let i = (r?.maps ?? []).map(({ title: e, said: t }) => new Option(`${e}: ${t}`)), a = this.part("maps").selectedIndex;
		i.length && (this.part("maps").replaceChildren(...i), this.part("maps").selectedIndex = Math.min(Math.max(a, 0), i.length - 1)), this.part("warnings").replaceChildren(...(r?.warnings ?? []).map((e) => dt(e))), this.markPreset(), this.listMeasures();
	}
	markPreset() {
		if (!this.active.film) return;
		let { film: e, window: t } = this.active, n = ({ centre: e, width: n }) => Math.abs(e - t.centre) + Math.abs(n - t.width) < n / 1e6;
		this.part("presets").selectedIndex = e.presets.findIndex(n);
	}
	listMeasures() {
		let e = [];
		for (let t of [this.main, this.prior]) if (t.film && !t.element.hidden) for (let { words: n, lines: r } of this.measures.said(t.film)) {
			let i = dt(t === this.prior ? `Prior: ${n}` : n), a = document.createElement("button");
			a.type = "button", a.className = "tool", a.textContent = "Remove", a.addEventListener("click", () => {
				r.forEach((e) => this.measures.remove(t.film, e)), this.changed(t);
			}), i.append(" ", a), e.push(i);
		}
		this.part("measures").replaceChildren(...e);
	}
	removeLast() {
		this.active.film && (this.measures.removeLast(this.active.film), this.changed(this.active));
	}
};
function dt(e) {
	let t = document.createElement("li");
	return t.textContent = e, t;
}
// src/main.js
var $ = [];
function ft() {
	for (let e of $) e.element.isConnected || e.end();
	$ = $.filter(({ element: e }) => e.isConnected);
	for (let e of document.querySelectorAll("[data-viewer]")) {
		if ($.some((t) => t.element === e)) continue;
		let t = new ut(e);
		$.push(t), t.start();
	}
}
ft(), document.addEventListener("htmx:load", ft);
