// SPDX-License-Identifier: Apache-2.0
// A part of the script of a page: maps of features and confusion matrices.
#pragma once

namespace doppel::eval::detail {

/// Shows the image under the pointer of a map, and the counts under that of a confusion matrix.
inline constexpr const char* script_of_maps = R"js(const map = svg => {
  const plot = svg.parentElement, tip = tipOf(plot), panel = svg.closest(".map");
  const points = svg.dataset.map ? svg.dataset.map.split(" ").map(text => text.split(",").map(Number)) : [];
  const captions = lines(svg.dataset.captions), classes = lines(svg.dataset.classes);
  const sprite = document.getElementById("sprite-" + svg.dataset.sprite), size = 112;
  const thumb = textOf("thumb", "");
  if (sprite) {
    const image = tag("img", sprite.dataset.side > 40 ? "" : "px", thumb);
    image.alt = "";
    image.src = sprite.src;
    image.style.width = sprite.dataset.columns * size + "px";
  }
  const ring = svgTag("circle", { "class": "ring", visibility: "hidden", "vector-effect": "non-scaling-stroke" }, svg);
  let only = null, view = [0, 0, 640, 480], at = -1, drag = null;

  const clear = () => { ring.setAttribute("visibility", "hidden"); tip.hide(); };
  const show = i => {
    at = i;
    const [px, py, label] = points[i], client = new DOMPoint(px, py).matrixTransform(svg.getScreenCTM());
    ring.setAttribute("cx", px);
    ring.setAttribute("cy", py);
    ring.setAttribute("r", 7 / svg.getScreenCTM().a);
    ring.setAttribute("visibility", "visible");
    const parts = [];
    if (sprite) {
      const columns = Number(sprite.dataset.columns);
      thumb.firstChild.style.transform = `translate(${-(i % columns) * size}px, ${-Math.floor(i / columns) * size}px)`;
      parts.push(thumb);
    }
    if (captions[i]) parts.push(textOf("caption", captions[i]));
    if (label >= 0 && captions[i] !== classes[label]) parts.push(textOf("soft", classes[label]));
    tip.show(client.x, client.y, parts);
  };
  const hover = event => {
    const to = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const reach = (event.pointerType === "mouse" ? 24 : 48) / svg.getScreenCTM().a;
    let best = -1, least = reach * reach;
    points.forEach(([px, py, label], i) => {
      const far = (px - to.x) ** 2 + (py - to.y) ** 2;
      if (least > far && (only === null || label === only)) best = i, least = far;
    });
    if (0 > best) clear(); else show(best);
  };
  const look = (left, top, width) => {
    const wide = clamp(width, 20, 640), high = wide * 0.75;
    view = [clamp(left, 0, 640 - wide), clamp(top, 0, 480 - high), wide, high];
    svg.setAttribute("viewBox", view.join(" "));
    svg.classList.toggle("zoomed", 640 > wide);
    clear();
  };
  const zoom = factor => {
    if (factor === 0) return look(0, 0, 640);
    const [left, top, wide, high] = view, chosen = at >= 0 ? points[at] : [left + wide / 2, top + high / 2];
    const middle = [clamp(chosen[0], left, left + wide), clamp(chosen[1], top, top + high)];
    look(middle[0] - (middle[0] - left) * factor, middle[1] - (middle[1] - top) * factor, wide * factor);
  };
  svg.addEventListener("pointerdown", event => {
    if (event.pointerType === "mouse" && 640 > view[2]) {
      drag = { x: event.clientX, y: event.clientY, view };
      svg.setPointerCapture(event.pointerId);
    } else hover(event);
  });
  svg.addEventListener("pointermove", event => {
    if (!drag) return hover(event);
    const scale = svg.getScreenCTM().a;
    look(drag.view[0] - (event.clientX - drag.x) / scale, drag.view[1] - (event.clientY - drag.y) / scale, view[2]);
  });
  svg.addEventListener("pointerup", () => { drag = null; });
  svg.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") clear(); });
  svg.addEventListener("dblclick", () => zoom(0));
  svg.addEventListener("blur", clear);
  svg.addEventListener("keydown", event => {
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (direction && points.length) {
      const [fx, fy] = at >= 0 ? points[at] : [view[0] + view[2] / 2, view[1] + view[3] / 2];
      let best = at, least = Infinity;
      points.forEach(([px, py, label], i) => {
        const along = (px - fx) * direction[0] + (py - fy) * direction[1];
        const beside = Math.abs((px - fx) * direction[1]) + Math.abs((py - fy) * direction[0]);
        if (i !== at && along > 0 && least > along + 2 * beside && (only === null || label === only)) best = i, least = along + 2 * beside;
      });
      if (best >= 0) show(best);
    } else if (event.key === "+" || event.key === "=") zoom(0.5);
    else if (event.key === "-") zoom(2);
    else if (event.key === "0" || event.key === "Escape") zoom(0);
    else return;
    event.preventDefault();
  });
  const keys = [...panel.querySelectorAll(".key")];
  for (const key of keys)
    key.addEventListener("click", () => {
      const label = Number(key.dataset.class);
      only = only === label ? null : label;
      for (const other of keys) other.setAttribute("aria-pressed", String(Number(other.dataset.class) === only));
      for (const group of svg.querySelectorAll("g[data-class]"))
        group.style.opacity = only === null || Number(group.dataset.class) === only ? "" : "0.1";
      clear();
    });
  svg.tabIndex = 0;
  toolsOf(plot, zoom);
};

const confusion = svg => {
  const plot = svg.closest(".plot"), tip = tipOf(plot);
  const [left, top, cell] = numbers(svg.dataset.grid), counts = numbers(svg.dataset.counts), classes = lines(svg.dataset.classes);
  const size = classes.length, frame = svgTag("rect", { "class": "ring", visibility: "hidden", width: cell, height: cell }, svg);
  let at = [0, 0];
  const clear = () => { frame.setAttribute("visibility", "hidden"); tip.hide(); };
  const show = (r, c) => {
    at = [r, c];
    const count = counts[r * size + c], all = counts.slice(r * size, (r + 1) * size).reduce((a, b) => a + b, 0);
    frame.setAttribute("x", left + c * cell);
    frame.setAttribute("y", top + r * cell);
    frame.setAttribute("visibility", "visible");
    const client = new DOMPoint(left + (c + 0.5) * cell, top + (r + 0.5) * cell).matrixTransform(svg.getScreenCTM());
    tip.show(client.x, client.y, [
      textOf("caption", r === c ? `${classes[r]}, predicted right` : `${classes[r]}, taken for ${classes[c]}`),
      textOf("soft", `${count} of ${all} images` + (all ? ` (${(100 * count / all).toFixed(1)} %)` : ""))]);
  };
  const hover = event => {
    const to = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const r = Math.floor((to.y - top) / cell), c = Math.floor((to.x - left) / cell);
    if (r >= 0 && c >= 0 && size > r && size > c) show(r, c); else clear();
  };
  svg.addEventListener("pointerdown", hover);
  svg.addEventListener("pointermove", hover);
  svg.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") clear(); });
  svg.addEventListener("blur", clear);
  svg.addEventListener("keydown", event => {
    const turn = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    if (!turn) return;
    show(clamp(at[0] + turn[0], 0, size - 1), clamp(at[1] + turn[1], 0, size - 1));
    event.preventDefault();
  });
  svg.tabIndex = 0;
};

)js";

}  // namespace doppel::eval::detail
