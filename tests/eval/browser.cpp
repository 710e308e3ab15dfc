// SPDX-License-Identifier: Apache-2.0
// The pages of write_report() and write_comparison() in a headless Chromium, as a reader opens them.
#include <doppel/eval/comparison.hpp>
#include <doppel/eval/report.hpp>

#include "support/markup.hpp"
#include "support/support.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <cmath>
#include <cstdio>

using namespace doppel;
namespace fs = std::filesystem;

namespace {

/// What a command prints.
std::string output_of(const std::string& command) {
    std::FILE* pipe = ::popen(command.c_str(), "r");
    std::string text;
    std::array<char, 4096> part;
    while (pipe)
        if (const auto size = std::fread(part.data(), 1, part.size(), pipe); size > 0)
            text.append(part.data(), size);
        else
            break;
    if (pipe) ::pclose(pipe);
    return text;
}

/// The browser's command; empty where there is none.
std::string browser() {
    auto found = output_of("for name in chromium chromium-browser google-chrome; do command -v $name && break; done 2>/dev/null");
    found.erase(std::min(found.find('\n'), found.size()));
    return found;
}

/// Opens `page` in frames of 390 and 1440 pixels, runs `script` in each (its `d` is the document, `w` the window, `point` sends
/// a pointer to a share of an element's box), and returns what it gives for each width; null where the browser did not come
/// to an end. `console`: what the browser's console says.
nlohmann::json in_frames(const test::TemporaryFolder& folder, const std::string& page, const std::string& script, std::string& console) {
    test::write_bytes(folder / "frames.html", R"html(<!doctype html><body><pre id="result"></pre><script>
const results = {};
const open = width => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.width = width;
  frame.height = 900;
  frame.onload = () => {
    const d = frame.contentDocument, w = frame.contentWindow;
    const point = (type, element, x, y) => {
      const box = element.getBoundingClientRect();
      element.setPointerCapture = () => {};
      element.dispatchEvent(new w.PointerEvent(type, { clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true,
                                                       pointerType: "mouse", pointerId: 1, button: 0 }));
    };
    const key = (element, name) => element.dispatchEvent(new w.KeyboardEvent("keydown", { key: name, bubbles: true }));
    try { results[width] = ((d, w) => { )html" + script + R"html( })(d, w); } catch (error) { results[width] = { error: String(error) }; }
    done();
  };
  frame.src = ")html" + page + R"html(";
  document.body.append(frame);
});
open(390).then(() => open(1440)).then(() => { document.getElementById("result").textContent = "RESULT" + JSON.stringify(results) + "END"; });
</script></body>)html");
    const auto log = (folder / "console.txt").string();
    auto text = output_of("timeout 140 '" + browser() + "' --headless --no-sandbox --disable-gpu --allow-file-access-from-files --enable-logging=stderr" +
                          " --user-data-dir='" + (folder / "profile").string() + "' --virtual-time-budget=8000 --dump-dom 'file://" +
                          (folder / "frames.html").string() + "' 2> '" + log + "'; echo EXIT$?");
    for (const auto& line : {test::read_text(log)})
        for (auto at = line.find("CONSOLE"); at != line.npos; at = line.find("CONSOLE", at + 1)) console += line.substr(at, line.find('\n', at) - at) + "\n";
    if (text.ends_with("EXIT124\n")) return nullptr;
    const auto start = text.find("RESULT{"), end = text.find("}END");
    if (start == text.npos || end == text.npos) return {{"error", "the browser gave no result: " + text.substr(0, 300) + test::read_text(log).substr(0, 500)}};
    text = text.substr(start + 6, end + 1 - start - 6);
    for (const auto& [entity, character] : {std::pair("&lt;", "<"), std::pair("&gt;", ">"), std::pair("&amp;", "&")})
        for (auto at = text.find(entity); at != text.npos; at = text.find(entity, at + 1)) text.replace(at, std::string(entity).size(), character);
    return nlohmann::json::parse(text);
}

Image gradient(int side, int seed) {
    Image image(side, side, 3);
    for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(i / 3 * 5 + static_cast<std::size_t>(seed * 40));
    return image;
}

eval::Report whole_report() {
    eval::Report report{.title = "SimCLR on drawn images",
                        .summary = "A summary of a sentence or two.",
                        .tags = {"self-supervised", "20 epochs"},
                        .verdict = {.sentence = "Learned: 12 points above raw pixels.", .tone = eval::Tone::good},
                        .measures = eval::knn_headline({.trained = 0.7, .untrained = 0.2, .pixels = 0.3, .classes = 3, .interval = std::pair(0.65, 0.74)}),
                        .facts = {{"method", "SimCLR"}},
                        .details = {{"Views", {{"view 1", std::string(300, 'x')}}}},
                        .command = "./run train simclr --data " + std::string(200, 'y')};
    eval::Series line{.name = "train"};
    for (int i = 1; i <= 400; ++i) line.points.emplace_back(i / 20.0, 5 + std::sin(i / 30.0));
    report.curves = {{.name = "Loss", .x_label = "epoch", .y_label = "loss", .series = {line, {"raw pixels", {{0, 4.5}, {20, 4.5}}, true}}},
                     {.name = "Rank", .x_label = "epoch", .y_label = "rank", .series = {{"", {{1, 1}, {2, 30}, {3, 900}}}}, .log_y = true}};
    report.more_curves = {{.name = "Speed", .series = {{"", {{1, 1}, {2, 3}}}}}};
    const std::vector<std::string> classes{"cat", "dog", "elk"};
    eval::ContactSheet sheet{.title = "View 1", .note = "Left: an image."};
    eval::NeighborSheet neighbors{.title = "Nearest neighbors"};
    for (int r = 0; r < 2; ++r) {
        sheet.rows.push_back({.source = {gradient(32, r), "cat"}, .views = std::vector<eval::Picture>(8, {gradient(32, r + 1), "epoch 1"})});
        neighbors.rows.push_back({.query = {gradient(100, r), "dog"}, .nearest = {{gradient(100, r), "dog", 0.9, true}, {gradient(100, 3), "elk", 0.8, false}}});
    }
    report.sheets = {sheet};
    report.neighbors = {neighbors};
    for (const char* name : {"PCA", "t-SNE"}) {
        eval::FeatureMap map{.title = name, .classes = classes};
        for (int i = 0; i < 90; ++i)
            map.points.push_back({.x = static_cast<double>(i % 10),
                                  .y = std::floor(i / 10.0),
                                  .label = i % 3,
                                  .thumbnail = gradient(32, i),
                                  .caption = "image " + std::to_string(i)});
        report.maps.push_back(std::move(map));
    }
    report.spectra = {{.name = "Singular values", .series = {{"", {{1, 10}, {10, 1}, {100, 0.1}}}}, .log_x = true, .log_y = true}};
    report.confusion = {{.title = "k-NN", .classes = classes, .counts = {8, 1, 1, 2, 7, 1, 0, 0, 10}}};
    report.tables = {{.title = "Images of each class", .columns = {"class", "images"}, .rows = {{"cat", "9"}, {"dog", "100"}, {"elk", "30"}}}};
    report.figures = {{"feature_std", "0.08", "spread of the unit-norm features"}};
    return report;
}

}  // namespace

TEST_CASE("A report in a browser: all sections, no error, no request, no overflow at 390 and 1440 pixels, and its script works") {
    if (browser().empty()) SKIP("no Chromium is installed");
    const test::TemporaryFolder folder;
    eval::write_report(folder / "report.html", whole_report());
    std::string console;
    const auto found = in_frames(folder, "report.html", R"js(
      const out = { script: d.documentElement.classList.contains("script"), wide: d.documentElement.scrollWidth, inner: d.documentElement.clientWidth };
      out.requests = w.performance.getEntriesByType("resource").filter(one => !one.name.startsWith("data:")).length;
      out.sections = [...d.querySelectorAll("section > h2, section summary")].map(one => one.textContent);
      out.unloaded = [...d.images].filter(one => one.naturalWidth === 0).length;
      const chart = d.querySelector("svg[data-frame]"), plot = chart.parentElement;
      point("pointermove", chart, 0.5, 0.5);
      out.tip = plot.querySelector(".tip").textContent;
      const ticks = () => [...chart.querySelectorAll(".ticks text")].map(one => one.textContent).join(" ");
      out.ticks = ticks();
      point("pointerdown", chart, 0.5, 0.5);
      point("pointermove", chart, 0.6, 0.5);
      point("pointerup", chart, 0.6, 0.5);
      out.zoomed = ticks();
      chart.dispatchEvent(new w.MouseEvent("dblclick"));
      out.whole = ticks();
      key(chart, "ArrowRight");
      out.stepped = plot.querySelector(".tip").textContent;
      const map = d.querySelector("svg[data-map]"), panels = [...d.querySelectorAll(".map")];
      out.shown = panels.map(one => one.hidden);
      const places = map.dataset.map.split(" ").map(one => one.split(",").map(Number));
      point("pointermove", map, places[42][0] / 640, places[42][1] / 480);
      const tip = map.parentElement.querySelector(".tip"), thumb = tip.querySelector(".thumb img");
      out.caption = tip.textContent;
      out.thumb = thumb.style.transform;
      out.side = [thumb.parentElement.clientWidth, thumb.clientWidth, thumb.naturalWidth];
      d.querySelectorAll(".key")[1].click();
      point("pointermove", map, places[42][0] / 640, places[42][1] / 480);
      out.alone = tip.hidden || tip.textContent;
      d.querySelectorAll(".tab")[1].click();
      out.other = panels.map(one => one.hidden);
      const matrix = d.querySelector("svg[data-counts]");
      key(matrix, "ArrowRight");
      out.cell = matrix.closest(".plot").querySelector(".tip").textContent;
      const rows = () => [...d.querySelectorAll("table.sortable")].find(one => one.textContent.includes("images") && one.rows.length === 4 && one.rows[0].cells.length === 2);
      [...rows().querySelectorAll("th button")][1].click();
      out.sorted = [...rows().tBodies[0].rows].map(one => one.cells[0].textContent).join(" ");
      return out;)js", console);
    if (found.is_null()) SKIP("Chromium did not answer within 140 s");
    INFO(found.dump(1));
    INFO(console);
    CHECK(console.empty());
    for (const char* width : {"390", "1440"}) {
        INFO(width);
        REQUIRE(found.contains(width));
        const auto& page = found[width];
        REQUIRE(!page.contains("error"));
        CHECK(page["script"] == true);  // the policy lets it run
        CHECK(page["wide"] == page["inner"]);
        CHECK(page["requests"] == 0);
        CHECK(page["unloaded"] == 0);
        const std::vector<std::string> sections{"What was learned", "What was run", "Views", "How it went", "More curves", "View 1", "Nearest neighbors",
                                                "Map of the features", "Spectrum of the features", "Confusion: k-NN", "Accuracy of each class",
                                                "Images of each class", "Figures"};
        CHECK(page["sections"] == sections);
        CHECK(test::mentions(page["tip"].get<std::string>(), {"epoch", "train: ", "raw pixels: 4.5"}));
        CHECK(page["zoomed"] != page["ticks"]);
        CHECK(page["whole"] == page["ticks"]);
        CHECK(page["stepped"].get<std::string>().find("epoch") == 0);
        CHECK(page["shown"] == std::vector<bool>{false, true});
        CHECK(page["other"] == std::vector<bool>{true, false});
        CHECK(page["caption"] == "image 42cat");
        CHECK(page["thumb"] == "translate(-224px, -448px)");  // column 2, row 4 of 10 columns
        CHECK(page["side"] == std::vector<int>{112, 1120, 320});
        CHECK(page["alone"] != page["caption"]);  // the class of image 42 is hidden
        CHECK(page["cell"] == "cat, taken for dog1 of 10 images (10.0 %)");
        CHECK(page["sorted"] == "dog elk cat");
    }
}

TEST_CASE("A comparison in a browser: no error, no request, no overflow at 390 and 1440 pixels") {
    if (browser().empty()) SKIP("no Chromium is installed");
    const test::TemporaryFolder folder;
    eval::Comparison comparison{.title = "Runs", .summary = "Eight runs."};
    eval::Curve curve{.name = "k-NN", .x_label = "epoch", .y_label = "share"};
    eval::Comparison::Figure figure{.name = "k-NN", .digits = 1, .percent = true};
    eval::Comparison::Fact fact{.name = "lr"};
    for (int i = 0; i < 8; ++i) {
        comparison.runs.push_back({"a run with a long name, seed " + std::to_string(i), "./run train simclr --seed " + std::to_string(i)});
        figure.values.push_back(0.1 * i);
        fact.values.push_back(std::to_string(i) + " to 0 over 5 % of the run");
        curve.series.push_back({comparison.runs.back().name, {{1, 0.1}, {2, 0.1 * i}}});
    }
    comparison.figures = std::vector<eval::Comparison::Figure>(9, figure);
    comparison.facts = {fact};
    comparison.curves = {curve};
    eval::write_comparison(folder / "comparison.html", comparison);
    std::string console;
    const auto found = in_frames(folder, "comparison.html", R"js(
      return { wide: d.documentElement.scrollWidth, inner: d.documentElement.clientWidth,
               script: d.documentElement.classList.contains("script"), best: d.querySelectorAll(".best").length,
               requests: w.performance.getEntriesByType("resource").length };)js", console);
    if (found.is_null()) SKIP("Chromium did not answer within 140 s");
    INFO(found.dump(1));
    CHECK(console.empty());
    for (const char* width : {"390", "1440"}) {
        REQUIRE(found.contains(width));
        CHECK(found[width]["wide"] == found[width]["inner"]);
        CHECK(found[width]["script"] == true);
        CHECK(found[width]["best"] == 9);
        CHECK(found[width]["requests"] == 0);
    }
}
