// SPDX-License-Identifier: Apache-2.0
#include <doppel/io/safetensors.hpp>

#include <doppel/core/random.hpp>

#include "support/support.hpp"

#include <cstring>

using namespace doppel;
using namespace doppel::test;

namespace {

/// A file with this header and data.
std::string file_of(const std::string& header, const std::string& data = "") {
    const std::uint64_t length = header.size();
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    return bytes + header + data;
}

/// What loading a file of these bytes says; "" when it is accepted. The file has a new name each time:
/// file systems that flush when a file is written over would make this slow.
std::string complaint_about(const TemporaryFolder& folder, const std::string& bytes,
                            io::Checksum checksum = io::Checksum::none) {
    static int count = 0;
    const auto path = folder / ("bad" + std::to_string(count++));
    write_bytes(path, bytes);
    const auto problem = message_of([&] { io::load_safetensors(path, checksum); });
    std::filesystem::remove(path);
    CHECK((problem.empty() || mentions(problem, {"load_safetensors: " + path.string()})));
    CHECK(problem.find('\n') == std::string::npos);
    return problem;
}

bool same(const at::Tensor& a, const at::Tensor& b) {
    return a.scalar_type() == b.scalar_type() && a.sizes() == b.sizes() && a.equal(b);
}

/// One tensor of each type, by the formula of tests/reference/make_safetensors_fixture.py.
io::TensorFile example() {
    const auto n = at::arange(6);
    const auto bytes = at::TensorOptions().dtype(at::kByte);
    return {.tensors = {{"f64", (n.to(at::kDouble) / 7 - 0.5).reshape({2, 3})},
                        {"f32", (n.to(at::kFloat) / 7 - 0.5).reshape({3, 2})},
                        {"f16", n.to(at::kHalf) / 8 - 0.5},
                        {"bf16", (n.to(at::kBFloat16) / 8 - 0.5).reshape({1, 6})},
                        {"i64", (n - 3) * 1'000'000'000'000},
                        {"i32", ((n - 3) * 100'000'000).to(at::kInt)},
                        {"i16", ((n - 3) * 10'000).to(at::kShort)},
                        {"i8", ((n - 3) * 40).to(at::kChar)},
                        {"u8", (n * 50).to(at::kByte)},
                        {"bool", n.remainder(3) == 0},
                        {"scalar", at::scalar_tensor(2.5)},
                        {"empty", at::zeros({0, 4})},
                        {"na\xC3\xAFve \"name\"", at::arange(1, 3, bytes)}},
            .metadata = {{"format", "pt"}, {"note", "\xC3\xBCn\xC3\xAF \"quoted\"\nline"}}};
}

void check_same(const io::TensorFile& file, const io::TensorFile& expected) {
    CHECK(file.metadata == expected.metadata);
    REQUIRE(file.tensors.size() == expected.tensors.size());
    for (const auto& [name, tensor] : expected.tensors) {
        INFO(name);
        REQUIRE(file.tensors.count(name) == 1);
        CHECK(same(file.tensors.at(name), tensor));
    }
}

}  // namespace

TEST_CASE("What Python's safetensors wrote is read, every type") {
    check_same(io::load_safetensors(test::reference_folder() / "python.safetensors"), example());
}

TEST_CASE("What is saved is loaded again, with and without a checksum") {
    const TemporaryFolder folder;
    for (const auto checksum : {io::Checksum::none, io::Checksum::crc32}) {
        io::save_safetensors(folder / "all", example(), checksum);
        check_same(io::load_safetensors(folder / "all", checksum), example());
        check_same(io::load_safetensors(folder / "all"), example());
    }
    io::save_safetensors(folder / "nothing", {});
    check_same(io::load_safetensors(folder / "nothing"), {});
}

TEST_CASE("The data begins at a multiple of eight bytes, wide types first, so that every tensor is aligned") {
    const TemporaryFolder folder;
    io::save_safetensors(folder / "all", example(), io::Checksum::crc32);
    const auto bytes = read_text(folder / "all");
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    CHECK(length % 8 == 0);
    CHECK(bytes[8] == '{');
    const auto header =
        io::detail::parse_safetensors_header("test", bytes.substr(8, length), bytes.size() - 8 - length);
    for (const auto& entry : header.tensors) CHECK(entry.begin % io::detail::bytes_of_type(entry.type) == 0);
}

TEST_CASE("Views, channels-last and trainable tensors are stored as their values") {
    const TemporaryFolder folder;
    const auto base = at::arange(48, at::kFloat).reshape({2, 3, 2, 4});
    const io::TensorFile file{.tensors = {{"t", base.transpose(1, 3)},
                                          {"cl", base.contiguous(at::MemoryFormat::ChannelsLast)},
                                          {"slice", base.slice(3, 1, 3)},
                                          {"expanded", at::ones({1}).expand({5})},
                                          {"negative", at::imag(at::complex(at::ones({3}), at::ones({3})).conj())},
                                          {"grad", at::ones({2}).requires_grad_(true)}}};
    io::save_safetensors(folder / "views", file);
    const auto loaded = io::load_safetensors(folder / "views");
    for (const auto& [name, tensor] : file.tensors) {
        INFO(name);
        CHECK(same(loaded.tensors.at(name), tensor));
        CHECK(loaded.tensors.at(name).is_contiguous());
        CHECK_FALSE(loaded.tensors.at(name).requires_grad());
    }
}

TEST_CASE("Loaded tensors own their memory: writing over the file changes nothing") {
    const TemporaryFolder folder;
    io::save_safetensors(folder / "file", {.tensors = {{"x", at::ones({1000})}}});
    const auto loaded = io::load_safetensors(folder / "file");
    write_bytes(folder / "file", std::string(5000, '\0'));
    CHECK(loaded.tensors.at("x").equal(at::ones({1000})));
}

TEST_CASE("A file with a checksum is refused when any single bit of it changed") {
    const TemporaryFolder folder;
    io::save_safetensors(
        folder / "good",
        {.tensors = {{"w", at::arange(3, at::kFloat)}, {"b", at::ones({2}, at::kBool)}}, .metadata = {{"arch", "x"}}},
        io::Checksum::crc32);
    const auto good = read_text(folder / "good");
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
        auto bad = good;
        bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ 1 << bit % 8);
        INFO("bit " << bit);
        CHECK_FALSE(complaint_about(folder, bad, io::Checksum::crc32).empty());
    }
}

TEST_CASE("A file is refused when it is cut short anywhere or longer than it says, with or without a checksum") {
    const TemporaryFolder folder;
    io::save_safetensors(folder / "good", {.tensors = {{"w", at::arange(3, at::kFloat)}}, .metadata = {{"arch", "x"}}});
    const auto good = read_text(folder / "good");
    for (std::size_t size = 0; size < good.size(); ++size)
        CHECK_FALSE(complaint_about(folder, good.substr(0, size)).empty());
    CHECK(mentions(complaint_about(folder, good + '\0'), {"describes 12 bytes", "has 13"}));
}

TEST_CASE("A checksum that is missing where it is asked for, or that is none, is refused") {
    const TemporaryFolder folder;
    io::save_safetensors(folder / "plain", example());
    CHECK(mentions(message_of([&] { io::load_safetensors(folder / "plain", io::Checksum::crc32); }),
                   {"no checksum", "doppel.crc32"}));
    CHECK(mentions(complaint_about(folder, file_of(R"({"__metadata__":{"doppel.crc32":"zz"}})")),
                   {"\"zz\"", "8 hexadecimal digits"}));
}

TEST_CASE("A wrong header is refused with what it says and what was expected") {
    const TemporaryFolder folder;
    const auto refusal = [&](const std::string& bytes) { return complaint_about(folder, bytes); };
    const std::string four(4, '\0'), eight(8, '\0');
    const auto entry = [](const std::string& inside) { return "{\"w\":{" + inside + "}}"; };

    CHECK(mentions(refusal(file_of("{\"w\":")), {"not JSON"}));
    CHECK(mentions(refusal(file_of("[]")), {"array", "expected an object"}));
    CHECK(mentions(refusal(file_of("\xFF\xFE")), {"not JSON"}));
    CHECK(mentions(refusal(file_of(std::string(100000, '['))), {"nests too deeply"}));
    CHECK(mentions(refusal(std::string(8, '\xFF') + "{}"), {"18446744073709551615", "truncated"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"F32","shape":[1])"), four)),
                   {"\"w\"", "expected {dtype, shape, data_offsets}"}));
    CHECK(mentions(refusal(file_of(R"({"w":3})")), {"\"w\"", "expected {dtype"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4])"), four)),
                   {"F8_E4M3", "BF16"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"F32","shape":[2],"data_offsets":[0,4])"), four)),
                   {"need 8 bytes", "0 to 4"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"F32","shape":[1],"data_offsets":[4,0])"), four)),
                   {"need 4 bytes", "4 to 0"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"F32","shape":[-1],"data_offsets":[0,4])"), four)),
                   {"shape", "[-1]"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"F32","shape":[1.0],"data_offsets":[0,4])"), four)),
                   {"shape", "[1.0]"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"F32","shape":1,"data_offsets":[0,4])"), four)), {"shape"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"F32","shape":[1],"data_offsets":[0,4,8])"), four)),
                   {"data_offsets", "[0,4,8]"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0])"))),
                   {"larger than any memory"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"U8","shape":[9223372036854775807,0,9],"data_offsets":[0,0])"))),
                   {"larger than any memory"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,0])"))),
                   {"shape"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"F32","shape":[1],"data_offsets":[4,8])"), eight)),
                   {"begins at data byte 4", "expected 0"}));
    CHECK(mentions(
        refusal(file_of(
            R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[2,6]}})",
            std::string(6, '\0'))),
        {"begins at data byte 2", "no overlaps"}));
    CHECK(mentions(
        refusal(file_of(
            R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})")),
        {"\"a\" twice"}));
    CHECK(mentions(refusal(file_of(R"({"__metadata__":{"n":1}})")), {"__metadata__", "\"n\"", "number"}));
    CHECK(mentions(refusal(file_of(R"({"__metadata__":[]})")), {"__metadata__", "array"}));
    CHECK(mentions(refusal(file_of(entry(R"("dtype":"BOOL","shape":[1],"data_offsets":[0,1])"), "\x02")),
                   {"BOOL", "neither 0 nor 1"}));
    CHECK(mentions(refusal(file_of("{}", "x")), {"describes 0 bytes", "has 1"}));
}

TEST_CASE("Random bytes and random damage end in an error or a sound file, never in a crash") {
    const TemporaryFolder folder;
    io::save_safetensors(folder / "good", example());
    const auto good = read_text(folder / "good");
    random::Stream draw({.seed = 5});
    int refused = 0;
    for (int trial = 0; trial < 600; ++trial) {
        auto bytes = good;
        if (trial % 3 == 0) {
            bytes = file_of(std::string(draw.below(60), '\0'));
            for (std::size_t at = trial % 2 == 0 ? 0 : 8; at < bytes.size(); ++at)
                bytes[at] = static_cast<char>(draw.bits());
        } else {
            for (std::uint64_t change = draw.below(4); change < 4; ++change)
                bytes[draw.below(trial % 2 == 0 ? 900 : bytes.size())] =
                    static_cast<char>(trial % 5 == 0 ? '0' + draw.below(10) : draw.bits());
        }
        refused += complaint_about(folder, bytes).empty() ? 0 : 1;
    }
    CHECK(refused > 300);
}

TEST_CASE("What the format cannot hold is refused by name, and no file is left") {
    const TemporaryFolder folder;
    const auto refusal = [&](const io::TensorFile& file) {
        const auto problem = message_of([&] { io::save_safetensors(folder / "out", file); });
        CHECK(std::filesystem::is_empty(folder.path()));
        CHECK(mentions(problem, {"save_safetensors", (folder / "out").string()}));
        return problem;
    };
    CHECK(mentions(refusal({.tensors = {{"w", at::Tensor()}}}), {"\"w\"", "undefined"}));
    CHECK(mentions(refusal({.tensors = {{"w", at::zeros({2}, at::kComplexFloat)}}}), {"\"w\"", "ComplexFloat"}));
    CHECK(mentions(refusal({.tensors = {{"w", at::eye(2).to_sparse()}}}), {"\"w\"", "sparse"}));
    CHECK(mentions(refusal({.tensors = {{"__metadata__", at::ones({1})}}}), {"reserved"}));
    CHECK(mentions(refusal({.tensors = {{"caf\xE9", at::ones({1})}}}), {"UTF-8"}));
    CHECK(mentions(refusal({.metadata = {{"k", "caf\xE9"}}}), {"UTF-8"}));
}

TEST_CASE("A file that cannot be opened is named with the reason") {
    const TemporaryFolder folder;
    CHECK(mentions(message_of([&] { io::load_safetensors(folder / "none"); }),
                   {(folder / "none").string(), "No such file"}));
    CHECK(mentions(message_of([&] { io::load_safetensors(folder.path()); }), {folder.path().string(), "directory"}));
    CHECK(mentions(message_of([&] { io::save_safetensors(folder / "no/file", {}); }),
                   {(folder / "no/file").string(), "No such file"}));
}
