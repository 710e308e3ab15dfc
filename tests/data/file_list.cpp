// SPDX-License-Identifier: Apache-2.0
#include <doppel/data/file_list.hpp>

#include "support/images.hpp"
#include "support/support.hpp"

using namespace doppel;
using namespace doppel::test;
namespace fs = std::filesystem;

namespace {

/// A folder with images 100.png to 105.png in "some images", and lists beside it.
struct Lists {
    TemporaryFolder folder;
    Lists() { save_images(folder / "some images", 6); }

    fs::path write(const std::string& name, const std::string& text) const {
        write_bytes(folder / name, text);
        return folder / name;
    }
    data::FileList read(const std::string& name, const std::string& text) const { return data::read_file_list(write(name, text)); }
};

/// "100=cat 101=- …": the files' names with their classes.
std::string text_of(const data::Dataset& images) {
    std::string text;
    for (std::int64_t i = 0; i < images.size(); ++i) {
        const auto label = images.label(i);
        text += (i ? " " : "") + images.path(i).stem().string() + "=" +
                (label == data::unlabeled ? "-" : images.classes().at(static_cast<std::size_t>(label)));
    }
    return text;
}

}  // namespace

TEST_CASE("a CSV file lists images and labels, without a header, with quotes, CRLF and a byte order mark") {
    const Lists lists;
    const auto plain = lists.read("a.csv", "some images/103.png,dog\nsome images/100.png,cat\n\nsome images/101.png,\n").train;
    CHECK(text_of(plain) == "103=dog 100=cat 101=-");
    CHECK(plain.classes() == std::vector<std::string>{"cat", "dog"});
    CHECK(plain.image(0) == image::read(lists.folder / "some images/103.png"));
    const auto windows = lists.read("b.CSV", "\xEF\xBB\xBF\"some images/103.png\" , \"dog, \"\"big\"\"\"\r\n\r\nsome images/100.png,\"cat\nor not\"\r\n"
                                             "some images/102.png , cat").train;
    CHECK(text_of(windows) == "103=dog, \"big\" 100=cat\nor not 102=cat");
    CHECK(text_of(lists.read("c.csv", "some images/103.png\nsome images/100.png\n").train) == "103=- 100=-");
    CHECK(lists.read("c.csv", "some images/103.png\n").train.classes().empty());
    CHECK(text_of(lists.read("d.tsv", "some images/103.png\tx, y\nsome images/100.png\tz\n").train) == "103=x, y 100=z");
    CHECK(text_of(lists.read("e.csv", "some images/103.png;1\nsome images/100.png;0\n").train) == "103=1 100=0");
}

TEST_CASE("a first line names the columns, in any order and among others") {
    const Lists lists;
    const auto found = lists.read("a.csv", "id,Class Name,file_name,extra,split\n7,b,some images/100.png,x,train\n8,a,some images/101.png,,valid\n"
                                           "9,b,some images/102.png,x,Test\n10,a,some images/103.png,x,training\n");
    CHECK(text_of(found.train) == "100=b 103=a");
    CHECK(text_of(found.validation) == "101=a");
    CHECK(text_of(found.test) == "102=b");
    CHECK(found.test.classes() == std::vector<std::string>{"a", "b"});
    CHECK(text_of(lists.read("b.csv", "label,image\ncat,some images/100.png\n").train) == "100=cat");
    CHECK(text_of(lists.read("c.csv", "image_id,x\nsome images/100.png,cat\n").train) == "100=-");
    CHECK(text_of(lists.read("d.csv", "target,path\n2,some images/100.png\n").train) == "100=2");
}

TEST_CASE("whole numbers are classes in their order, -1 and nothing mean unlabeled; one other text makes all of them texts") {
    const Lists lists;
    const auto rows = [&](const std::vector<std::string>& labels) {
        std::string text;
        for (std::size_t i = 0; i < labels.size(); ++i) text += "some images/10" + std::to_string(i) + ".png," + labels[i] + "\n";
        return lists.read("a.csv", text).train;
    };
    const auto numbers = rows({"10", "9", "-1", "", "009", "10"});
    CHECK(numbers.classes() == std::vector<std::string>{"9", "10"});
    CHECK(text_of(numbers) == "100=10 101=9 102=- 103=- 104=9 105=10");
    CHECK(rows({"10", "9", "x"}).classes() == std::vector<std::string>{"10", "9", "x"});
}

TEST_CASE("a text lists a path per line, with or without a number behind it") {
    const Lists lists;
    const auto found = lists.read("a.txt", "some images/100.png 3\r\nsome images/101.png\t12\n\n  some images/102.png\nsome images/103.png -1").train;
    CHECK(text_of(found) == "100=3 101=12 102=- 103=-");
    CHECK(found.classes() == std::vector<std::string>{"3", "12"});
    const auto absolute = lists.read("b.txt", (lists.folder / "some images/104.png").string() + "\n./some images/../some images/105.png 1\n").train;
    CHECK(absolute.path(0) == lists.folder / "some images/104.png");
    CHECK(absolute.image(1) == image::read(lists.folder / "some images/105.png"));
}

TEST_CASE("a file that is not there is left out and named with its line; a list of mostly such files is rejected") {
    const Lists lists;
    const auto found = lists.read("a.csv", "path,label\nsome images/100.png,a\nsome images/gone.png,b\nsome images,c\nsome images/101.png,b\n");
    CHECK(text_of(found.train) == "100=a 101=b");
    REQUIRE(found.skipped.size() == 2);
    CHECK(mentions(found.skipped[0], {"a.csv:3: some images/gone.png: No such file"}));
    CHECK(mentions(found.skipped[1], {"a.csv:4: some images: no such file"}));
    CHECK(found.train.classes() == std::vector<std::string>{"a", "b"});
    says([&] { lists.read("b.csv", "id,breed\n1,x\nsome images/100.png,b\n"); },
         {"b.csv:1: id: ", "2 of the list's 3 files are not there", "relative to the list's folder", "must have one named path"});
    says([&] { lists.read("b.txt", "1.png 0\n2.png 1\n"); }, {"b.txt:1: 1.png: ", "2 of the list's 2 files"});
    CHECK(!mentions(message_of([&] { lists.read("b.txt", "1.png 0\n"); }), {"must have one named"}));
}

TEST_CASE("a list that cannot be read says where") {
    const Lists lists;
    const auto refused = [&](const std::string& name, const std::string& text, std::initializer_list<std::string_view> parts) {
        says([&] { lists.read(name, text); }, parts);
        says([&] { lists.read(name, text); }, {(lists.folder / name).string()});
    };
    refused("a.csv", "", {"names no files"});
    refused("a.csv", "path,label\n", {"names no files"});
    refused("a.csv", "some images/100.png,\"cat\n", {"a.csv:1: a quote is not closed"});
    refused("a.csv", "path,label\n\"some images/100.png\"x,cat\n", {"a.csv:2: text behind a quoted field"});
    refused("a.csv", "path,label\n\"some\nimages/1.png\",x\n,cat\n", {"a.csv:4: no path"});
    refused("a.csv", "1,2,3\n", {"a.csv:1: 3 columns without names"});
    refused("a.csv", "path,split\nsome images/100.png,fold 1\n", {"a.csv:2: split 'fold 1', expected train, val or test"});
    refused("a.csv", "path,split\nsome images/100.png,\n", {"a.csv:2: split ''"});
    refused("a.csv", std::string("\xFF\xFE" "p\0a\0", 6), {"zero bytes, expected text in UTF-8"});
    says([&] { data::read_file_list(lists.folder / "none.csv"); }, {"cannot read", "none.csv"});
}

TEST_CASE("a long list says how far it is") {
    const Lists lists;
    std::string text = "path,label\n";
    for (int i = 0; i < 20'000; ++i) text += "some images/10" + std::to_string(i % 6) + ".png,class " + std::to_string(i % 1000) + "\n";
    int lines = 0;
    const auto found = data::read_file_list(lists.write("a.csv", text), {.say = [&](const std::string&) { ++lines; }, .seconds = 0});
    CHECK(found.train.size() == 20'000);
    CHECK(found.train.classes().size() == 1000);
    CHECK(lines > 0);
}
