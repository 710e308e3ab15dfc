// SPDX-License-Identifier: Apache-2.0
// The script of a page: values under the pointer, zoom, images of maps, sorted tables.
#pragma once

#include <doppel/eval/detail/script_chart.hpp>
#include <doppel/eval/detail/script_map.hpp>

#include <string>

namespace doppel::eval::detail {

/// What the other parts share.
inline constexpr const char* script_of_tools = R"js(
"use strict";
(() => {
document.documentElement.classList.add("script");
const svgTag = (name, attributes, parent) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
};
const tag = (name, style, parent, text = "") => {
  const made = document.createElement(name);
  made.className = style;
  made.textContent = text;
  parent.append(made);
  return made;
};
const numbers = text => text.split(" ").map(Number);
const lines = text => text.split("\n");
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
const short = value => {
  let unit = "";
  for (const next of "kMG") if (Math.abs(value) >= 9999.5) value /= 1000, unit = next;
  return Number(value.toPrecision(4)) + unit;
};

// A box beside the pointer, inside the plot.
const tipOf = plot => {
  const tip = tag("div", "tip", plot);
  tip.setAttribute("role", "status");
  tip.hidden = true;
  return {
    show(x, y, children) {
      tip.replaceChildren(...children);
      tip.hidden = false;
      const box = plot.getBoundingClientRect(), wide = tip.offsetWidth, high = tip.offsetHeight;
      const left = x - box.left, right = left + 16, fits = right + wide <= box.width;
      tip.style.left = clamp(fits ? right : left - 16 - wide, 0, Math.max(0, box.width - wide)) + "px";
      tip.style.top = (left >= 16 + wide || fits ? clamp(y - box.top - high / 2, 0, Math.max(0, box.height - high))
                                                 : y - box.top - high - 24) + "px";
    },
    hide() { tip.hidden = true; },
  };
};
const textOf = (style, text) => tag("div", style, document.createDocumentFragment(), text);

const toolsOf = (plot, zoom) => {
  const bar = tag("div", "tools", plot);
  for (const [sign, label, factor] of [["\u2212", "Zoom out", 2], ["+", "Zoom in", 0.5], ["\u21ba", "Show all", 0]]) {
    const button = tag("button", "", bar, sign);
    button.type = "button";
    button.title = label;
    button.setAttribute("aria-label", label);
    button.addEventListener("click", () => zoom(factor));
  }
};

// The ticks of an axis from `low` to `high` (decimal logarithms if `log`), by the rule of the drawing.
const ticksOf = (low, high, log) => {
  const range = high - low, size = 10 ** Math.floor(Math.log10(range / 6)), found = [];
  let step = [1, 2, 5, 10].map(factor => factor * size).find(one => 6 >= range / one);
  if (log) step = Math.max(1, Math.round(step));
  for (let at = log ? Math.floor(low / step) : Math.ceil(low / step - 1e-9); high / step + 1e-9 >= at && 50 > found.length; ++at)
    for (const factor of log ? [1, 2, 5] : [1]) {
      const inner = at * step + Math.log10(factor);
      if (inner >= low - 1e-9 * range && high + 1e-9 * range >= inner && (factor === 1 || 2 > range)) found.push(inner);
    }
  return found;
};

)js";

/// Sorts tables, switches maps, copies commands, and starts everything.
inline constexpr const char* script_of_tables = R"js(const sortable = table => {
  const heads = [...table.querySelectorAll("thead th")], body = table.tBodies[0];
  const value = text => {
    const number = parseFloat(text.replace("\u2212", "-"));
    return isNaN(number) ? null : number;
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const numeric = head.classList.contains("number");
      const turn = head.ariaSort === (numeric ? "descending" : "ascending") ? !numeric : numeric;  // large numbers first
      for (const other of heads) other.ariaSort = null;
      head.ariaSort = turn ? "descending" : "ascending";
      const rows = [...body.rows].map(row => ({ row, text: row.cells[column].textContent }));
      rows.sort((a, b) => {
        const x = value(a.text), y = value(b.text);
        if (!numeric) return a.text.localeCompare(b.text) * (turn ? -1 : 1);
        if (x === null || y === null) return (x === null) - (y === null);
        return (x - y) * (turn ? -1 : 1);
      });
      body.append(...rows.map(one => one.row));
    });
  });
};

document.querySelectorAll(".plot > svg[data-frame]").forEach(chart);
document.querySelectorAll("svg[data-map]").forEach(map);
document.querySelectorAll("svg[data-counts]").forEach(confusion);
document.querySelectorAll("table.sortable").forEach(sortable);
for (const tabs of document.querySelectorAll(".tabs")) {
  const buttons = [...tabs.children], panels = [...tabs.parentElement.querySelectorAll(".map")];
  const choose = chosen => buttons.forEach((button, i) => {
    button.setAttribute("aria-pressed", String(i === chosen));
    panels[i].hidden = i !== chosen;
  });
  buttons.forEach((button, i) => button.addEventListener("click", () => choose(i)));
  choose(0);
}
for (const command of document.querySelectorAll("pre.command")) {
  const button = tag("button", "copy", command, "Copy");
  button.type = "button";
  button.addEventListener("click", async () => {
    const code = command.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
  });
}
})();
)js";

inline std::string page_script() { return std::string(script_of_tools) + script_of_charts + script_of_maps + script_of_tables; }

/// The hash by which a page's policy allows its script and no other one (Content Security Policy, level 3). When the script
/// has changed, the test of the report tells the new one.
inline constexpr const char* page_script_hash = "sha256-CwkV2LxIXw9TkTsM4IJNgwZa8gci0Lso+Vr1L3Q2XSM=";

}  // namespace doppel::eval::detail
