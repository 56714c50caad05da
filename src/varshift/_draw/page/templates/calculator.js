// What if: the laws of varshift.theory, in the same words.
const theory = {
  tau: (at) => (at.law === "uout" ? at.beta ** 2 / 3 : at.drop_p / (1 - at.drop_p)),
  signal: (at) => (at.placement === "a" ? at.var : at.var * (1 + at.rho * (at.d_cos2 - 1))),
  energy: (at) => at.mean ** 2 + at.var,
  shift: (at) => theory.signal(at) / (theory.signal(at) + theory.tau(at) * theory.energy(at)),
  max_tau: (at, bound) => (theory.signal(at) * (1 - bound)) / (bound * theory.energy(at)),
};

const LAWS = {
  a: "Δ = v / (v + τ(c² + v))",
  b: "Δ = A / (A + τ(c² + v)),  A = v(1 + ρ(d·cos²θ − 1))",
};
const NUMBERS = ["drop_p", "beta", "mean", "var", "rho", "d_cos2"];
const byId = (name) => document.getElementById(`calculator-${name}`);
const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
const written = (value, digits = 4) =>
  Number.isFinite(value) ? String(Number(value.toPrecision(digits))).replace("-", "−") : "—";

function state() {
  const at = { placement: chosen("placement"), law: chosen("law") };
  // An empty field is no number; Number("") would be 0.
  for (const name of NUMBERS) at[name] = byId(`set-${name}`).valueAsNumber;
  return at;
}

function wrong(at) {
  if (!(at.drop_p >= 0 && at.drop_p < 1)) return at.law === "dropout" && "drop_p goes from 0 to below 1";
  if (!(at.beta >= 0 && at.beta <= 1)) return at.law === "uout" && "β goes from 0 to 1";
  if (!Number.isFinite(at.mean) || !(at.var > 0)) return "v is above 0, and c any number";
  if (!Number.isFinite(theory.energy(at))) return "c² + v is beyond what numbers hold";
  if (at.placement === "b" && !(at.rho >= -1 && at.rho <= 1)) return "ρ goes from −1 to 1";
  if (at.placement === "b" && !(at.d_cos2 >= 0)) return "d·cos²θ is 0 or more";
  if (!(theory.signal(at) >= 0)) return "no inputs have such c, v, ρ under such a filter";
  if (theory.signal(at) === 0) return "no variance is left without the noise (A = 0), so there is no Δ";
  return false;
}

function show(name, value, digits) {
  byId(name).textContent = written(value, digits);
  byId(name).dataset.value = String(value);
}

function curve(at) {
  const own = at.law === "uout" ? "beta" : "drop_p";
  const place = (x, shift) => [44 + 364 * x, 196 - 180 * shift];
  const points = [];
  for (let step = 0; step <= 99; step += 1) {
    const x = step / 100;
    points.push(place(x, theory.shift({ ...at, [own]: x })).map((p) => p.toFixed(1)).join(" "));
  }
  byId("curve-line").setAttribute("d", `M${points.join("L")}`);
  const [x, y] = place(at[own], theory.shift(at));
  byId("curve-now").setAttribute("cx", x);
  byId("curve-now").setAttribute("cy", y);
  byId("curve-x").textContent = own === "beta" ? "β" : "drop_p";
}

function update() {
  const at = state();
  for (const name of NUMBERS) {
    if (byId(`set-${name}`).value !== "") byId(`slide-${name}`).value = byId(`set-${name}`).value;
  }
  byId("dial-drop_p").hidden = at.law !== "dropout";
  byId("dial-beta").hidden = at.law !== "uout";
  byId("dial-rho").hidden = byId("dial-d_cos2").hidden = at.placement === "a";
  const why = wrong(at);
  byId("law").textContent = why || LAWS[at.placement];
  const shift = why ? NaN : theory.shift(at);
  const tau = why ? NaN : theory.tau(at);
  show("shift", shift, 5);
  show("severity", 1 / shift);
  show("tau", tau);
  show("train_var", why ? NaN : theory.signal(at) + tau * theory.energy(at));
  const most = why ? NaN : theory.max_tau(at, 0.95);
  show("max_drop_p", most / (1 + most));
  const beta = Math.sqrt(3 * tau);
  const uout = beta <= 1 ? `β ${written(beta)}` : "no Uout";
  byId("alike").textContent = why
    ? "—"
    : `drop_p ${written(tau / (1 + tau))}, ${uout}, σ ${written(Math.sqrt(tau))}`;
  if (!why) curve(at);
}

function known(shift) {
  for (const part of document.querySelectorAll(".measured")) part.hidden = shift === undefined;
  if (shift !== undefined) show("measured", shift);
}

// Figures changed by hand are those of no norm.
function edited() {
  if (byId("preset")) byId("preset").value = "";
  known(undefined);
  update();
}

function start(preset) {
  for (const [name, value] of Object.entries(preset)) {
    if (NUMBERS.includes(name)) byId(`set-${name}`).value = String(value);
  }
  document.querySelector('input[name="placement"][value="a"]').checked = true;
  document.querySelector('input[name="law"][value="dropout"]').checked = true;
  known(preset.known);
}

if (document.getElementById("calculator")) {
  for (const name of NUMBERS) {
    byId(`slide-${name}`).addEventListener("input", (event) => {
      byId(`set-${name}`).value = event.target.value;
      edited();
    });
    byId(`set-${name}`).addEventListener("input", edited);
  }
  for (const input of document.querySelectorAll("#calculator input[type=radio]")) {
    input.addEventListener("change", edited);
  }
  if (byId("preset")) {
    const presets = JSON.parse(byId("presets").textContent);
    byId("preset").addEventListener("change", (event) => {
      if (event.target.value === "") known(undefined);
      else start(presets[Number(event.target.value)]);
      update();
    });
    byId("preset").value = "0";
    start(presets[0]);
  }
  update();
}
