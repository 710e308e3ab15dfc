// SPDX-License-Identifier: Apache-2.0
// A part of the script of a page: charts.
#pragma once

namespace doppel::eval::detail {

/// Shows values under the pointer of a drawing by line_chart(), and zooms.
inline constexpr const char* script_of_charts = R"js(const chart = svg => {
  const plot = svg.parentElement, tip = tipOf(plot), ticks = svg.querySelector(".ticks"), inside = svg.querySelector(".inside");
  const [left, right, top, bottom] = numbers(svg.dataset.frame);
  const axis = text => {
    const [low, high, log] = numbers(text);
    return { low, high, log, inner: value => log ? Math.log10(value) : value, outer: at => log ? 10 ** at : at };
  };
  const fullX = axis(svg.dataset.x), fullY = axis(svg.dataset.y);
  const all = [...svg.querySelectorAll("g.series")].map(group => {
    const [path, marks] = group.children;
    return { name: group.dataset.name, reference: "reference" in group.dataset, path, marks, d: path.getAttribute("d"),
             points: group.dataset.points ? group.dataset.points.split(" ").map(pair => pair.split(",").map(Number)) : [] };
  });
  const known = all.some(line => !line.reference && line.points.length) ? all.filter(line => !line.reference) : all;
  const stops = [...new Set(known.flatMap(line => line.points).filter(p => isFinite(fullX.inner(p[0])) && isFinite(fullY.inner(p[1])))
                                 .map(p => p[0]))].sort((a, b) => a - b);
  if (!stops.length) return;
  let x = fullX, y = fullY, at = null, start = null;
  const column = value => left + (x.inner(value) - x.low) / (x.high - x.low) * (right - left);
  const row = value => bottom - (y.inner(value) - y.low) / (y.high - y.low) * (bottom - top);
  const first = [...ticks.childNodes];
  const cross = svgTag("g", { "class": "cross" }, svg);

  const draw = () => {
    const whole = x.low === fullX.low && x.high === fullX.high;
    y = fullY;
    if (!whole) {
      const seen = all.flatMap(line => line.points).filter(p => column(p[0]) >= left && right >= column(p[0]))
                      .map(p => y.inner(p[1])).filter(isFinite);
      const low = Math.min(...seen), high = Math.max(...seen);
      if (seen.length) {
        const margin = 0.06 * (high - low) || 0.06 * Math.abs(high) || 0.5;
        y = { ...fullY, low: low - margin, high: high + margin };
      }
    }
    inside.setAttribute("overflow", whole ? "visible" : "hidden");
    for (const line of all) {
      let d = "", pen = false;
      for (const [px, py] of line.points) {
        const c = column(px), r = row(py), shown = isFinite(c) && isFinite(r);
        if (shown) d += (pen ? "L" : "M") + c.toFixed(1) + " " + r.toFixed(1) + (pen ? "" : "h0");
        pen = shown;
      }
      line.path.setAttribute("d", whole ? line.d : d);
      line.marks.style.display = whole ? "" : "none";
    }
    ticks.replaceChildren(...(whole ? first : []));
    if (whole) return;
    const text = (cx, cy, anchor, value) => {
      svgTag("text", { x: cx, y: cy, "text-anchor": anchor, fill: "currentColor", "fill-opacity": 0.75 }, ticks).textContent = short(value);
    };
    for (const inner of ticksOf(y.low, y.high, y.log)) {
      const r = row(y.outer(inner));
      svgTag("line", { x1: left, x2: right, y1: r, y2: r, stroke: "currentColor", "stroke-opacity": 0.15 }, ticks);
      text(left - 7, r + 4, "end", y.outer(inner));
    }
    for (const inner of ticksOf(x.low, x.high, x.log)) {
      const c = column(x.outer(inner));
      svgTag("line", { x1: c, x2: c, y1: bottom, y2: bottom + 5, stroke: "currentColor", "stroke-opacity": 0.5 }, ticks);
      text(c, bottom + 18, "middle", x.outer(inner));
    }
  };

  const clear = () => { cross.replaceChildren(); tip.hide(); };
  const show = value => {
    at = value;
    clear();
    const c = column(value), found = [textOf("soft", (svg.dataset.label + " " + short(value)).trim())];
    svgTag("line", { x1: c, x2: c, y1: top, y2: bottom, stroke: "currentColor", "stroke-opacity": 0.4 }, cross);
    for (const line of all) {
      let best = null;
      for (const p of line.points)
        if (isFinite(row(p[1])) && (best === null || Math.abs(column(best[0]) - c) > Math.abs(column(p[0]) - c))) best = p;
      if (best === null || (!line.reference && Math.abs(column(best[0]) - c) > 12)) continue;
      const color = getComputedStyle(line.path).stroke, entry = textOf("", "");
      tag("span", "swatch", entry).style.background = color;
      entry.append((line.name ? line.name + ": " : "") + short(best[1]));
      found.push(entry);
      const r = row(best[1]);
      if (!line.reference && r >= top - 1 && bottom + 1 >= r)
        svgTag("circle", { cx: column(best[0]), cy: r, r: 4, style: "fill:" + color }, cross);
    }
    const box = svg.getBoundingClientRect(), scale = box.width / 440;
    tip.show(box.left + c * scale, box.top + (top + bottom) / 2 * scale, found);
  };
  const place = event => {
    const box = svg.getBoundingClientRect();
    return clamp((event.clientX - box.left) * 440 / box.width, left, right);
  };
  const hover = event => {
    const c = place(event);
    let best = null;
    for (const stop of stops)
      if (column(stop) >= left - 1 && right + 1 >= column(stop) && (best === null || Math.abs(column(best) - c) > Math.abs(column(stop) - c)))
        best = stop;
    if (best === null) clear(); else show(best);
  };
  const look = (low, high) => {
    const least = (fullX.high - fullX.low) / 2000, width = clamp(high - low, least, fullX.high - fullX.low);
    const from = clamp((low + high - width) / 2, fullX.low, fullX.high - width);
    x = width === fullX.high - fullX.low ? fullX : { ...fullX, low: from, high: from + width };
    clear();
    draw();
  };
  const zoom = factor => {
    if (factor === 0) return look(fullX.low, fullX.high);
    const inner = at === null ? NaN : x.inner(at), middle = inner >= x.low && x.high >= inner ? inner : (x.low + x.high) / 2;
    look(middle - (middle - x.low) * factor, middle + (x.high - middle) * factor);
  };
  let band = null;
  svg.addEventListener("pointerdown", event => {
    if (event.pointerType === "mouse" && event.button === 0) {
      start = place(event);
      svg.setPointerCapture(event.pointerId);
      event.preventDefault();
      svg.focus({ preventScroll: true });
    } else hover(event);
  });
  svg.addEventListener("pointermove", event => {
    if (start === null) return hover(event);
    clear();
    const c = place(event);
    band = band || svgTag("rect", { "class": "band", y: top, height: bottom - top }, svg);
    band.setAttribute("x", Math.min(c, start));
    band.setAttribute("width", Math.abs(c - start));
  });
  svg.addEventListener("pointerup", event => {
    if (start === null) return;
    const ends = [start, place(event)].sort((a, b) => a - b).map(c => x.low + (c - left) / (right - left) * (x.high - x.low));
    const moved = Math.abs(place(event) - start);
    start = null;
    if (band) band.remove(), band = null;
    if (moved > 8) look(ends[0], ends[1]);
  });
  svg.addEventListener("pointerleave", event => { if (event.pointerType === "mouse" && start === null) clear(); });
  svg.addEventListener("dblclick", () => zoom(0));
  svg.addEventListener("blur", clear);
  svg.addEventListener("keydown", event => {
    const key = event.key, turn = { ArrowLeft: -1, ArrowRight: 1 }[key];
    if (turn) {
      const next = at === null ? (turn > 0 ? 0 : stops.length - 1) : clamp(stops.indexOf(at) + turn, 0, stops.length - 1);
      const inner = x.inner(stops[next]), half = (x.high - x.low) / 2;
      if (x.low > inner || inner > x.high) look(inner - half, inner + half);
      show(stops[next]);
    } else if (key === "+" || key === "=") zoom(0.5);
    else if (key === "-") zoom(2);
    else if (key === "0" || key === "Escape") zoom(0);
    else return;
    event.preventDefault();
  });
  svg.tabIndex = 0;
  toolsOf(plot, zoom);
};

)js";

}  // namespace doppel::eval::detail
