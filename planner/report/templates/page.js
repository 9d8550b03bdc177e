"use strict";
(() => {
  const read = (id) => { const node = document.getElementById(id); return node ? JSON.parse(node.textContent) : null; };
  document.documentElement.classList.add("scripted");
  // Numbers as planner/quantities.py prints them.
  const trim = (value, digits) => String(Number(value.toPrecision(digits)));
  const human = (value, digits) => {
    const size = Math.abs(value);
    if (size >= 1e15) { const [head, power] = value.toExponential(digits - 1).split("e"); return `${head}e${Number(power)}`; }
    for (const [letter, scale] of [["T", 1e12], ["B", 1e9], ["M", 1e6], ["K", 1e3]])
      if (size >= scale * (1 - 0.5 * 10 ** -digits)) return trim(value / scale, digits) + letter;
    return trim(value, digits);
  };
  const shown = { hours: (v) => human(v, 4), usd: (v) => "$" + human(v, 4), ratio: (v) => (v >= 0.095 || v === 0 ? v.toFixed(2) : v.toPrecision(2)) + "x" };

  const base = read("base");
  if (base) {
    const panel = document.getElementById("what-if"), inputs = [...panel.querySelectorAll("input")];
    const says = { usd_per_gpu_hour: (v) => "$" + v.toFixed(2) };
    const recompute = () => {
      const at = Object.fromEntries(inputs.map((input) => [input.name, Number(input.value)]));
      const now = base.now, price = at.usd_per_gpu_hour ?? now.usd_per_gpu_hour;
      const runs = base.kept_gpu_hours * now.utilisation_small / at.utilisation_small / (1 - at.lost_share);
      const hours = runs + base.other_gpu_hours;
      const final = base.pretraining_gpu_hours * now.utilisation_final / at.utilisation_final + base.stages_gpu_hours;
      const found = { hours, usd: price * hours + base.fixed_usd, final_hours: final, final_usd: price * final + base.final_fixed_usd, ratio: hours / final };
      for (const node of panel.querySelectorAll("output[data-out]")) {
        const value = found[node.dataset.out];
        node.textContent = shown[node.dataset.out.replace("final_", "")](value);
        node.dataset.value = value;
      }
      for (const input of inputs) input.parentElement.querySelector("output").textContent = (says[input.name] || ((v) => (100 * v).toFixed(1) + "%"))(Number(input.value));
    };
    for (const input of inputs) input.addEventListener("input", recompute);
    document.getElementById("reset").addEventListener("click", () => { for (const input of inputs) input.value = input.defaultValue; recompute(); });
    recompute();
  }

  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : a === null ? 1 : b === null ? -1 : String(a).localeCompare(String(b), "en", { numeric: true }));
  const sortable = (head, act) => [...head.cells].forEach((cell, index) => {
    const button = document.createElement("button");
    button.type = "button"; button.append(...cell.childNodes); cell.append(button);
    button.addEventListener("click", () => {
      const up = cell.getAttribute("aria-sort") === "descending";
      for (const other of head.cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", up ? "ascending" : "descending");
      act(index, up ? 1 : -1);
    });
  });
  const worth = (cell) => { const data = cell.querySelector("data"); return data ? Number(data.value) : cell.textContent.trim(); };
  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    sortable(table.tHead.rows[0], (index, way) => {
      const rows = [...body.rows].map((row) => [worth(row.cells[index]), row]);
      body.append(...rows.sort((a, b) => way * compare(a[0], b[0])).map(([, row]) => row));
    });
  }

  const ledger = read("ledger-rows");
  if (ledger) {
    const PAGE = 50, table = document.getElementById("ledger"), count = document.getElementById("ledger-count");
    const [words, side, status] = ["ledger-filter", "ledger-side", "ledger-status"].map((id) => document.getElementById(id));
    const rows = ledger.rows.map((row) => row.map((cell, i) => (ledger.words[i] && cell !== null ? ledger.words[i][cell] : cell)));
    const texts = rows.map((row) => row.filter((cell) => typeof cell === "string").join(" ").toLowerCase());
    const at = (name) => ledger.columns.indexOf(name);
    for (const [list, name] of [[side, "side"], [status, "status"]])
      for (const text of ledger.words[at(name)]) if (text) list.add(new Option(text, text));
    let order = rows.map((_, i) => i), page = 0;
    const render = () => {
      const wanted = words.value.trim().toLowerCase();
      const kept = order.filter((i) => (!wanted || texts[i].includes(wanted)) && (!side.value || rows[i][at("side")] === side.value) && (!status.value || rows[i][at("status")] === status.value));
      page = Math.max(0, Math.min(page, Math.ceil(kept.length / PAGE) - 1));
      const lines = kept.slice(page * PAGE, (page + 1) * PAGE).map((i) => {
        const line = document.createElement("tr");
        rows[i].forEach((cell, k) => {
          const box = line.insertCell();
          if (ledger.words[k]) box.className = "text";
          box.textContent = cell === null || cell === "" ? "–" : typeof cell === "number" ? (ledger.dollars.includes(k) ? "$" : "") + human(cell, 4) : cell;
        });
        return line;
      });
      table.tBodies[0].replaceChildren(...lines);
      const total = (name) => kept.reduce((sum, i) => sum + Math.round((rows[i][at(name)] || 0) * 1e6), 0) / 1e6;
      const money = at("usd") < 0 ? "" : `, ${shown.usd(total("usd"))}`;
      count.textContent = `${kept.length.toLocaleString("en")} entries, ${shown.hours(total("GPU-hours"))} GPU-hours${money}; page ${kept.length ? page + 1 : 0} of ${Math.ceil(kept.length / PAGE)}`;
    };
    sortable(table.tHead.rows[0], (index, way) => { order.sort((a, b) => way * compare(rows[a][index], rows[b][index])); page = 0; render(); });
    for (const node of [words, side, status]) node.addEventListener("input", () => { page = 0; render(); });
    document.getElementById("ledger-back").addEventListener("click", () => { page -= 1; render(); });
    document.getElementById("ledger-next").addEventListener("click", () => { page += 1; render(); });
    render();
  }
})();
