// SPDX-License-Identifier: Apache-2.0
#include <doppel/eval/report.hpp>

#include "support/markup.hpp"
#include "support/support.hpp"

#include <cmath>
#include <cstdio>

using namespace doppel;
using test::count;
using test::mentions;
using test::message_of;
using test::well_formed;

namespace {

std::string page_of(const eval::Report& report) {
    const test::TemporaryFolder folder;
    eval::write_report(folder / "report.html", report);
    return test::read_text(folder / "report.html");
}

/// The page without the text of its script, which is no markup.
std::string markup_of(std::string page) {
    const auto script = eval::detail::page_script();
    const auto at = page.find(script);
    REQUIRE(at != page.npos);
    return page.erase(at, script.size());
}

Image gradient(int width, int height, int channels) {
    Image image(width, height, channels);
    for (std::size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<std::uint8_t>(i * 7);
    return image;
}

eval::Report everything() {
    const std::string nasty = "<script>alert('x')</script>&\"";
    return {
        .title = "Title " + nasty,
        .summary = nasty,
        .tags = {nasty},
        .verdict = {.sentence = nasty, .tone = eval::Tone::good, .advice = nasty},
        .measures = eval::knn_headline({.trained = 0.712, .untrained = 0.2, .pixels = 0.3, .k = 7, .classes = 8}),
        .facts = {{nasty, nasty}},
        .details = {{nasty, {{nasty, nasty}}}},
        .command = nasty,
        .curves =
            {{.name = nasty, .x_label = nasty, .y_label = nasty, .series = {{nasty, {{0, 1}, {1, 2}}}, {"b", {}}}}},
        .more_curves = {{.name = nasty}},
        .sheets = {{.title = nasty,
                    .note = nasty,
                    .rows = {{.source = {gradient(3, 2, 3), nasty}, .views = {{gradient(2, 2, 1), nasty}}}}}},
        .neighbors =
            {{.title = nasty,
              .note = nasty,
              .rows = {{.query = {gradient(4, 4, 3), nasty},
                        .nearest = {{.image = gradient(4, 4, 3), .label = nasty, .similarity = 0.9876, .right = true},
                                    {.image = gradient(4, 4, 3), .label = "b", .similarity = 0.5, .right = false},
                                    {.image = gradient(4, 4, 3), .label = "c", .similarity = -1, .right = {}}}}}}},
        .maps = {{.title = nasty,
                  .note = nasty,
                  .classes = {nasty, "b"},
                  .points = {{.x = 1, .y = 2, .label = 0, .thumbnail = gradient(20, 10, 3), .caption = nasty},
                             {.x = 3, .y = -2, .label = -1, .thumbnail = gradient(40, 40, 1), .caption = "second"}}}},
        .spectra = {{.name = nasty}},
        .confusion = {{.title = nasty, .note = nasty, .classes = {nasty, "b"}, .counts = {3, 1, 0, 4}}},
        .tables = {{.title = nasty, .note = nasty, .columns = {nasty, "n"}, .rows = {{nasty, "1"}}},
                   {.title = nasty, .columns = {nasty}, .rows = {{nasty}}, .folded = true}},
        .figures = {{nasty, nasty, nasty}}};
}

}  // namespace

TEST_CASE("A report loads nothing, and runs nothing but its own script") {
    const auto page = page_of(everything());
    CHECK(count(page, "<script") == 1);
    CHECK(count(page, "http://") == count(page, "http://www.w3.org/2000/svg"));
    CHECK(count(page, "https://") == 0);
    CHECK(count(page, "<link") == 0);
    CHECK(count(page, "@import") == 0);
    CHECK(count(page, "url(") == 0);
    CHECK(count(page, " src=\"") == count(page, " src=\"data:image/"));
    CHECK(count(page, " onclick") == 0);
    CHECK(count(eval::detail::page_script(), "innerHTML") == 0);  // no text becomes markup
    CHECK(count(eval::detail::page_script(), "</") == 0);
    CHECK(mentions(page, {"<!doctype html>", "charset=\"utf-8\"", "name=\"viewport\"", "default-src 'none'", "prefers-color-scheme",
                          std::string("script-src '") + eval::detail::page_script_hash + "'"}));
}

TEST_CASE("The policy of a page names the hash of its script") {
    const test::TemporaryFolder folder;
    test::write_bytes(folder / "script", eval::detail::page_script());
    std::FILE* pipe = ::popen(("sha256sum < '" + (folder / "script").string() + "' 2>/dev/null").c_str(), "r");
    char text[65] = "";
    const bool read = pipe && std::fread(text, 1, 64, pipe) == 64;
    if (pipe) ::pclose(pipe);
    if (!read) SKIP("sha256sum is not installed");
    std::vector<std::uint8_t> bytes;
    for (int i = 0; i < 64; i += 2) bytes.push_back(static_cast<std::uint8_t>(std::stoi(std::string(text + i, 2), nullptr, 16)));
    CHECK("sha256-" + eval::detail::base64(bytes) == eval::detail::page_script_hash);
}

TEST_CASE("Everything that is given appears, escaped, in well-formed elements") {
    const auto page = markup_of(page_of(everything()));
    CHECK(well_formed(page));
    CHECK(count(page, "<script>alert") == 0);
    CHECK(count(page, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;") >= 40);
    CHECK(count(page, "<img") == 7);
    CHECK(count(page, "class=\"right\"") == 1);
    CHECK(count(page, "class=\"wrong\"") == 1);
    CHECK(mentions(page, {"0.988", "0.500", "-1.000", "71.2", "width:71.20%", "width:12.50%", "7 nearest", "One of 8 classes",
                          "class=\"verdict good\"", "What was learned", "What was run", "To repeat it", "How it went", "More curves",
                          "Map of the features", "Spectrum of the features", "Confusion: ", "Accuracy of each class", "Figures"}));
    CHECK(count(page, "<section") == 11);
    CHECK(count(page, "<a href=\"#section-") == 11);
}

TEST_CASE("A verdict says its tone by a sign too") {
    const auto page = [](eval::Tone tone) { return page_of({.verdict = {.sentence = "So it is.", .tone = tone}}); };
    CHECK(mentions(page(eval::Tone::good), {"class=\"verdict good\"", "aria-label=\"good\"", "So it is."}));
    CHECK(mentions(page(eval::Tone::unsure), {"aria-label=\"unsure\">?<"}));
    CHECK(mentions(page(eval::Tone::bad), {"aria-label=\"bad\">!<"}));
    CHECK(count(page_of({.title = "none"}), "class=\"verdict") == 0);
}

TEST_CASE("An empty report is a page all the same, without empty sections") {
    const auto page = page_of({.title = "Empty"});
    CHECK(well_formed(markup_of(page)));
    CHECK(count(page, "<section") == 0);
    CHECK(mentions(page, {"<h1>Empty</h1>"}));
}

TEST_CASE("Text that is no UTF-8 or that XML forbids is replaced, other text is kept") {
    using eval::detail::escaped;
    const std::string mark = "\xEF\xBF\xBD";
    CHECK(escaped("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\n\t") == "caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\n\t");
    CHECK(escaped("a\xE9z") == "a" + mark + "z");
    CHECK(escaped(std::string_view("\0\x1b", 2)) == mark + mark);
    CHECK(escaped("\xC3") == mark);
    CHECK(escaped("\xC0\xBC") == mark + mark);           // an overlong '<'
    CHECK(escaped("\xED\xA0\x80") == mark + mark + mark);  // a surrogate
}

TEST_CASE("Base64 is that of RFC 4648") {
    const auto encoded = [](std::string_view text) {
        return eval::detail::base64({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    };
    CHECK(encoded("").empty());
    CHECK(encoded("f") == "Zg==");
    CHECK(encoded("fo") == "Zm8=");
    CHECK(encoded("foo") == "Zm9v");
    CHECK(encoded("foobar") == "Zm9vYmFy");
    CHECK(encoded("\xFF\xFE\xFD") == "//79");
}

TEST_CASE("Small images are shown as squares, large ones are shrunk by the mean of whole squares") {
    CHECK(mentions(eval::detail::image_tag(gradient(32, 32, 3), ""), {"class=\"px\"", "width=\"32\""}));
    CHECK_FALSE(mentions(eval::detail::image_tag(gradient(100, 100, 3), ""), {"class=\"px\""}));
    CHECK(mentions(eval::detail::image_tag(gradient(449, 225, 3), ""), {"width=\"149\"", "height=\"75\""}));
    Image image(4, 2, 1);
    image.pixels = {0, 2, 10, 10, 4, 6, 10, 11};
    const auto small = eval::detail::thumbnail(image, 2);
    REQUIRE(small.width == 2);
    REQUIRE(small.height == 1);
    CHECK(small.pixels == std::vector<std::uint8_t>{3, 10});
    CHECK(eval::detail::thumbnail(gradient(1000, 1, 3), 224).height == 1);
}

TEST_CASE("What cannot be shown is refused, and no report is left") {
    const test::TemporaryFolder folder;
    const auto refuses = [&](const eval::Report& report) {
        const auto text = message_of([&] { eval::write_report(folder / "report.html", report); });
        CHECK(std::filesystem::is_empty(folder.path()));
        return text;
    };
    CHECK(mentions(refuses({.measures = {{.name = "k-NN", .share = 71.2}}}),
                   {"write_report", "k-NN", "71.2", "between 0 and 1"}));
    CHECK(mentions(refuses({.measures = {{.name = "k-NN", .share = std::nan("")}}}), {"k-NN", "nan"}));
    Image broken(4, 4, 3);
    broken.pixels.pop_back();
    CHECK(mentions(refuses({.sheets = {{.rows = {{.source = {broken, ""}}}}}}), {"4 x 4 x 3", "47 bytes"}));
    CHECK(mentions(refuses({.sheets = {{.rows = {{.source = {Image(), ""}}}}}}), {"0 x 0"}));
}
